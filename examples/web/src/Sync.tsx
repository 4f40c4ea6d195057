/** Syncing the dataset with its folder: started here or elsewhere, its progress is pushed. */
import { useEffect, useState } from "react";
import { useQuery } from "urql";

import {
  CancelJobDocument,
  JobWarningsDocument,
  type SyncFragment,
  SyncDatasetDocument,
  SyncProgressDocument,
} from "./gql/graphql";
import { Action } from "./parts";
import { connection } from "./session";
import { Store, useStore } from "./store";
import { activeKind, useWorkspace } from "./workspace";

/** The sync that was started here. A short one ends before the page hears that it runs. */
const started = new Store<string | null>(null);

export function SyncButton() {
  const { dataset, mutate, text } = useWorkspace();
  const active = activeKind(dataset);
  const start = async () => {
    const answer = await mutate(SyncDatasetDocument, { input: { datasetId: dataset.id } });
    if (answer?.syncDataset) started.set(answer.syncDataset.job.id);
  };
  return (
    <Action
      may={dataset.viewerCan.sync && !active}
      reason={active ? text.busy[active] : undefined}
      onClick={() => void start()}
    >
      {active ? text.active[active] : text.sync}
    </Action>
  );
}

/** The sync that runs, and what it did until that is closed. */
export function SyncProgress() {
  const { client, dataset, mutate, text } = useWorkspace();
  const [job, setJob] = useState<SyncFragment | null>(null);
  const [isDetailed, setDetailed] = useState(false);
  const mine = useStore(started);
  const followed = activeKind(dataset) === "SyncJob" ? dataset.activeJob?.id : mine;
  const reached = useStore(connection);
  useEffect(() => {
    if (!followed || reached === "lost") return undefined;
    // The present state comes first, so nothing is missed; it completes when the job has ended.
    const progress = client.subscription(SyncProgressDocument, { id: dataset.id }).subscribe(({ data }) => {
      if (data?.syncProgress.id === followed) setJob(data.syncProgress);
    });
    return () => progress.unsubscribe();
  }, [followed, dataset.id, reached]);
  const isRunning = job?.status === "RUNNING" || job?.status === "QUEUED";
  const [{ data }] = useQuery({
    query: JobWarningsDocument,
    variables: { id: job?.id ?? "" },
    pause: !job || isRunning,
  });
  const ended = !isRunning && data?.node && "warnings" in data.node ? data.node : null;
  if (!job) return null;
  const { error } = job;
  return (
    <section className={`sync ${job.status.toLowerCase()}`} aria-label={text.sync}>
      <p role="status">
        <strong>{text.syncStatus[job.status]}</strong>{" "}
        {job.status !== "QUEUED" &&
          text.syncCounts(job.scannedCount, job.addedCount, job.updatedCount, job.removedCount, job.movedCount)}
        {job.skippedCount > 0 && <> · {text.skipped(job.skippedCount)}</>}
        {job.ignoredCount > 0 && <> · {text.ignored(job.ignoredCount)}</>}
        {error && <> · {text.errors[error.code] ?? error.message}</>}
      </p>
      <span className="end">
        {error?.code === "TOO_MANY_REMOVED" && (
          <Action
            may={dataset.viewerCan.sync}
            className="danger"
            onClick={() => void mutate(SyncDatasetDocument, { input: { datasetId: dataset.id, removeMany: true } })}
          >
            {text.removeMany(error.wouldRemoveCount ?? 0, error.sampleCount ?? 0)}
          </Action>
        )}
        {isRunning && (
          <Action
            may={dataset.viewerCan.sync}
            onClick={() => void mutate(CancelJobDocument, { input: { jobId: job.id } })}
          >
            {text.stop}
          </Action>
        )}
        {!isRunning && ended && (ended.warnings.totalCount > 0 || ended.ignoredFiles.length > 0) && (
          <button type="button" aria-expanded={isDetailed} onClick={() => setDetailed(!isDetailed)}>
            {text.warnings}
          </button>
        )}
        {!isRunning && (
          <button type="button" className="plain" aria-label={text.close} onClick={() => setJob(null)}>
            ✕
          </button>
        )}
      </span>
      {isRunning && <progress aria-label={text.active.SyncJob} {...(job.progress === null ? {} : { value: job.progress })} />}
      {isDetailed && ended && (
        <ul className="details">
          {ended.warnings.nodes.map((warning) => (
            <li key={warning.path + warning.message}>
              <code>{warning.path}</code> {warning.message} {warning.count > 1 && `(${warning.count})`}
            </li>
          ))}
          {ended.ignoredFiles.map((group) => (
            <li key={group.reason + group.suffix}>
              {group.count} × {group.reason.toLowerCase().replaceAll("_", " ")} {group.suffix}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
