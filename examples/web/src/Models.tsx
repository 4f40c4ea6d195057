/** The models that suggest, with their record, and the built-in one: it is started, followed, and says how good it is. */
import { type FormEvent, useEffect } from "react";
import { useQuery, useSubscription } from "urql";

import type { SuggestionConditions } from "./conditions";
import {
  type AutoLabelingFragment,
  AutoLabelProgressDocument,
  CancelJobDocument,
  LastAutoLabelingDocument,
  StartAutoLabelingDocument,
} from "./gql/graphql";
import { Action, Dialog } from "./parts";
import { connection } from "./session";
import { useStore } from "./store";
import { type Model, useModels } from "./SuggestionFilters";
import { percent } from "./text";
import { useWorkspace } from "./workspace";

const MISTAKES = 5; // most that are shown

type Show = (suggestions: Partial<SuggestionConditions>) => void;

interface ModelsProps {
  close: () => void;
  changes: number;
  /** Leads to the images with such suggestions. */
  show: Show;
}

export default function Models({ close, changes, show }: ModelsProps) {
  const { text } = useWorkspace();
  const models = useModels(changes);
  return (
    <Dialog title={text.models} close={close} className="wide">
      <AutoLabeling changes={changes} show={show} />
      {models?.length === 0 && <p className="empty">{text.noModels}</p>}
      {models && models.length > 0 && <Records models={models} show={show} />}
    </Dialog>
  );
}

/** What became of the suggestions of each model. */
function Records({ models, show }: { models: readonly Model[]; show: Show }) {
  const { text } = useWorkspace();
  return (
    <div className="table">
      <table>
        <caption>{text.record}</caption>
        <thead>
          <tr>
            {Object.values(text.recordOf).map((title) => (
              <th key={title} scope="col">
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {models.map(({ id, name, modelVersion, ...model }) => (
            <tr key={id}>
              <th scope="row">
                <span className="name">{name}</span> <span className="quiet">{modelVersion}</span>
              </th>
              <td>{model.suggestedCount.toLocaleString()}</td>
              <td>
                {model.pendingCount > 0 ? (
                  <Action
                    className="link"
                    label={text.showOf(name, model.pendingCount)}
                    onClick={() => show({ models: [{ name, modelVersion }] })}
                  >
                    {model.pendingCount.toLocaleString()}
                  </Action>
                ) : (
                  0
                )}
              </td>
              <td>{model.acceptedCount.toLocaleString()}</td>
              <td>{model.rejectedCount.toLocaleString()}</td>
              <td>{model.correctedCount.toLocaleString()}</td>
              <td>{model.precision === null ? "–" : percent(model.precision)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The last auto labelling, also one that somebody else has started, as it is now. */
function useLastAutoLabeling(changes: number): AutoLabelingFragment | undefined {
  const { dataset } = useWorkspace();
  const [{ data }, read] = useQuery({
    query: LastAutoLabelingDocument,
    variables: { id: dataset.id },
    requestPolicy: "cache-and-network",
  });
  useEffect(() => {
    if (changes > 0) read({ requestPolicy: "network-only" });
  }, [changes]);
  const [job] = data?.dataset?.jobs.nodes ?? [];
  const isFollowed = useStore(connection) === "open" && job !== undefined && isActive(job as AutoLabelingFragment);
  // What it sends goes to the cache, and from there to the query.
  useSubscription({ query: AutoLabelProgressDocument, variables: { id: job?.id ?? "" }, pause: !isFollowed });
  return job as AutoLabelingFragment | undefined;
}

const isActive = ({ status }: AutoLabelingFragment) => status === "QUEUED" || status === "RUNNING";

function AutoLabeling({ changes, show }: { changes: number; show: Show }) {
  const { dataset, features, mutate, text } = useWorkspace();
  const job = useLastAutoLabeling(changes);
  const mayManage = dataset.viewerCan.manage;
  const isRunning = job !== undefined && isActive(job);
  const reasons = [
    !mayManage && text.mayNot,
    dataset.type !== "IMAGE_CLASSIFICATION" && text.notForType,
    !features.includes("VISION") && text.noVision,
    isRunning && text.autoLabelingRuns,
  ];
  const reason = reasons.find((each) => each !== false) || undefined; // why it cannot be started

  const start = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    await mutate(StartAutoLabelingDocument, {
      input: {
        datasetId: dataset.id,
        model: { builtIn: true },
        minConfidence: Number(form.get("confidence")) / 100,
        select: form.has("labelled") ? { all: true } : null,
      },
    });
  };
  return (
    <section className="auto-labeling" aria-label={text.autoLabeling}>
      <form className="line" onSubmit={(event) => void start(event)}>
        <p className="quiet">{text.autoLabelingHelp}</p>
        <label>
          {text.leastConfidence}
          <input name="confidence" type="number" min="0" max="100" defaultValue="50" required />
        </label>
        <label className="line">
          <input name="labelled" type="checkbox" />
          {text.alsoLabelled}
        </label>
        <Action may={reason === undefined} reason={reason} className="primary" submit>
          {text.startAutoLabeling}
        </Action>
        {reason !== undefined && <p className="quiet">{reason}</p>}
      </form>
      {job && (
        <div className={`job ${job.status.toLowerCase()}`}>
          <p role="status">
            <strong>{text.jobStatus[job.status]}</strong> · {text.modelKinds[job.modelKind]} ·{" "}
            {job.waitsFor === "VISION_WORKER"
              ? text.waitsForVision
              : text.autoLabelingCounts(job.suggestedCount, job.sampleCount)}
            {job.skippedCount > 0 && <> · {text.skipped(job.skippedCount)}</>}
            {job.error && <> · {text.errors[job.error.code] ?? job.error.message}</>}
          </p>
          {isRunning && (
            <>
              <progress aria-label={text.autoLabeling} {...(job.progress === null ? {} : { value: job.progress })} />
              <Action may={mayManage} onClick={() => void mutate(CancelJobDocument, { input: { jobId: job.id } })}>
                {text.stop}
              </Action>
            </>
          )}
        </div>
      )}
      {job?.evaluation && <Evaluation evaluation={job.evaluation} least={job.minConfidence} show={show} />}
      {job && job.leftOutLabels.length > 0 && (
        <p className="quiet">{text.leftOut(job.leftOutLabels.map(({ name }) => name).join(", "))}</p>
      )}
    </section>
  );
}

interface EvaluationProps {
  evaluation: NonNullable<AutoLabelingFragment["evaluation"]>;
  least: number; // what is less sure was not suggested
  show: Show;
}

/** How good the model is on images that people labelled, and what may be accepted without a look. */
function Evaluation({ evaluation: { accuracy, sampleCount, thresholds, confusion }, least, show }: EvaluationProps) {
  const { text } = useWorkspace();
  const mistakes = confusion.filter(({ actual, predicted }) => actual !== predicted).slice(0, MISTAKES);
  return (
    <>
      <p>{text.accuracy(percent(accuracy), sampleCount)}</p>
      <div className="table">
        <table>
          <caption>{text.thresholds}</caption>
          <thead>
            <tr>
              {Object.values(text.thresholdsOf).map((title) => (
                <th key={title} scope="col">
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {thresholds
              .filter(({ minConfidence }) => minConfidence >= least)
              .map(({ minConfidence, share, precision }) => (
                <tr key={minConfidence}>
                  <th scope="row">
                    <Action
                      className="link"
                      label={text.showSure(percent(minConfidence))}
                      onClick={() => show({ minConfidence })}
                    >
                      {percent(minConfidence)}
                    </Action>
                  </th>
                  <td>{percent(share)}</td>
                  <td>{precision === null ? "–" : percent(precision)}</td>
                </tr>
              ))}
          </tbody>
        </table>
      </div>
      {mistakes.length > 0 && (
        <p className="quiet">
          {text.mistakes}{" "}
          {mistakes.map(({ actual, predicted, count }) => text.mistake(actual, predicted, count)).join(", ")}
        </p>
      )}
    </>
  );
}
