/** Versions: publish one, compare two side by side, go back to one, delete one. */
import { type FormEvent, useEffect, useState } from "react";
import { useQuery } from "urql";

import {
  CompareDocument,
  type CompareQuery,
  DeleteVersionDocument,
  PublishVersionDocument,
  type SampleChangeKind,
  SetCurrentVersionDocument,
  VersionsDocument,
  type VersionsQuery,
} from "./gql/graphql";
import { Action, Chip, Dialog } from "./parts";
import { activeKind, type Label, useWorkspace } from "./workspace";

type Version = NonNullable<VersionsQuery["dataset"]>["versions"]["nodes"][number];
const NOW = ""; // the working set, where a version may be chosen

export default function Versions({ close, changes }: { close: () => void; changes: number }) {
  const { dataset, mutate, say, text } = useWorkspace();
  const [{ data }, read] = useQuery({
    query: VersionsDocument,
    variables: { id: dataset.id },
    requestPolicy: "cache-and-network",
  });
  const [asked, setAsked] = useState<{ about: "switch" | "delete"; version: Version } | null>(null);
  const [base, setBase] = useState<string | null>(null);
  useEffect(() => {
    if (changes > 0) read({ requestPolicy: "network-only" });
  }, [changes]);
  const versions = data?.dataset?.versions.nodes ?? [];
  const active = activeKind(dataset);
  const may = dataset.viewerCan.publish && !active;
  const reason = active ? text.busy[active] : undefined;

  const publish = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = event.currentTarget;
    const [name, description, share] = ["name", "description", "share"].map((field) =>
      String(new FormData(form).get(field)).trim(),
    );
    const split = share ? { split: { trainRatio: Number(share) } } : {};
    const input = { datasetId: dataset.id, name: name || null, description: description ?? "", ...split };
    const answer = await mutate(PublishVersionDocument, { input });
    if (!answer?.publishVersion) return;
    say(text.published(answer.publishVersion.version.name));
    form.reset();
  };
  const confirm = async () => {
    if (!asked) return;
    const { about, version } = asked;
    setAsked(null);
    if (about === "delete") await mutate(DeleteVersionDocument, { input: { versionId: version.id } });
    else {
      const answer = await mutate(SetCurrentVersionDocument, {
        input: { versionId: version.id, onUnpublished: "DISCARD" },
      });
      if (answer) say(text.switched(version.name));
    }
  };
  return (
    <Dialog title={text.versions} close={close} className="wide">
      <form className="publish" onSubmit={(event) => void publish(event)}>
        <label>
          {text.versionName}
          <input name="name" placeholder={text.nextName} maxLength={32} />
        </label>
        <label>
          {text.description}
          <input name="description" maxLength={256} />
        </label>
        <label>
          {text.split}
          <input name="share" type="number" min="0" max="1" step="any" placeholder="1" />
        </label>
        <Action may={may} reason={reason} className="primary" submit>
          {text.publish}
        </Action>
      </form>
      <p className="quiet">{dataset.hasUnpublishedChanges ? text.unpublished : text.allPublished}</p>
      {data && versions.length === 0 && <p className="empty">{text.noVersions}</p>}
      {asked && (
        <div className="warning" role="alert">
          <p>
            {asked.about === "switch" ? text.switchAsk(asked.version.name) : text.deleteVersionAsk(asked.version.name)}
          </p>
          <div className="buttons">
            <button type="button" className="danger" autoFocus onClick={() => void confirm()}>
              {asked.about === "switch" ? text.switchTo : text.delete}
            </button>
            <button type="button" onClick={() => setAsked(null)}>
              {text.cancel}
            </button>
          </div>
        </div>
      )}
      <ul className="versions">
        {versions.map((version) => (
          <li key={version.id}>
            <strong>{version.name}</strong> {version.isCurrent && <span className="badge">{text.current}</span>}
            <span>{text.labelledOf(version.statistics.labeledCount, version.statistics.totalCount)}</span>
            <span className="quiet">
              {version.description} {version.parent && text.since(version.parent.name)} · {version.createdBy} ·{" "}
              {new Date(version.createdAt).toLocaleString()}
            </span>
            <span className="end">
              <Action
                className="small"
                pressed={base === version.id}
                label={`${text.compare}: ${version.name}`}
                onClick={() => setBase(base === version.id ? null : version.id)}
              >
                {text.compare}
              </Action>
              <Action
                may={may}
                reason={reason}
                className="small"
                label={`${text.switchTo}: ${version.name}`}
                onClick={() => setAsked({ about: "switch", version })}
              >
                {text.switchTo}
              </Action>
              <Action
                may={may}
                reason={reason}
                className="small"
                label={`${text.delete}: ${version.name}`}
                onClick={() => setAsked({ about: "delete", version })}
              >
                {text.delete}
              </Action>
            </span>
          </li>
        ))}
      </ul>
      {base && versions.some(({ id }) => id === base) && (
        <Comparison key={base} base={base} versions={versions} setBase={setBase} changes={changes} />
      )}
    </Dialog>
  );
}

type Difference = NonNullable<CompareQuery["dataset"]>["comparison"];

interface ComparisonProps {
  base: string;
  versions: readonly Version[];
  setBase: (id: string) => void;
  changes: number;
}

/** Two states side by side: each differing image with its labels before and after. */
function Comparison({ base, versions, setBase, changes }: ComparisonProps) {
  const { dataset, text } = useWorkspace();
  const [head, setHead] = useState(NOW);
  const [kind, setKind] = useState<SampleChangeKind | "ALL">("ALL");
  const [after, setAfter] = useState<string[]>([]);
  useEffect(() => setAfter([]), [head, kind]);
  const variables = { id: dataset.id, base, head: head || null, kind: kind === "ALL" ? null : kind };
  const [{ data }, read] = useQuery({
    query: CompareDocument,
    variables: { ...variables, after: null },
    requestPolicy: "cache-and-network",
  });
  useEffect(() => {
    if (changes > 0) read({ requestPolicy: "network-only" });
  }, [changes]);
  const found = data?.dataset?.comparison;
  const counts = found && {
    ALL: found.addedCount + found.removedCount + found.relabeledCount,
    ADDED: found.addedCount,
    REMOVED: found.removedCount,
    RELABELED: found.relabeledCount,
  };
  return (
    <section className="comparison" aria-label={text.compare}>
      <div className="sides">
        <label>
          {text.base}{" "}
          <select value={base} onChange={(event) => setBase(event.target.value)}>
            {versions.map(({ id, name }) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <span aria-hidden="true">→</span>
        <label>
          {text.head}{" "}
          <select value={head} onChange={(event) => setHead(event.target.value)}>
            <option value={NOW}>{text.workingSet}</option>
            {versions.map(({ id, name }) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
          </select>
        </label>
      </div>
      {found && counts && (
        <>
          <div className="tabs" role="group" aria-label={text.compare}>
            {Object.entries(text.kinds).map(([value, name]) => (
              <button
                key={value}
                type="button"
                aria-pressed={kind === value}
                onClick={() => setKind(value as typeof kind)}
              >
                {name} <span className="figure">{counts[value as keyof typeof counts].toLocaleString()}</span>
              </button>
            ))}
          </div>
          <LabelDifferences found={found} />
          {counts.ALL === 0 && <p className="empty">{text.noDifference}</p>}
          {found.editedCount > 0 && <p className="quiet">{text.edited(found.editedCount)}</p>}
          <ul className="differences">
            {[null, ...after].map((cursor, index, all) => (
              <Differences
                key={cursor ?? ""}
                variables={{ ...variables, after: cursor }}
                more={index === all.length - 1 ? (next) => setAfter([...after, next]) : undefined}
              />
            ))}
          </ul>
        </>
      )}
    </section>
  );
}

function LabelDifferences({ found }: { found: Difference }) {
  const { text } = useWorkspace();
  return (
    <ul className="differences labels" aria-label={text.labels}>
      {found.labels.map(({ before, after }) => (
        <li key={(before ?? after)!.id}>
          <span className="side">{before ? <Chip label={before} /> : "–"}</span>
          <span className="file">{text.label}</span>
          <span className="side">{after ? <Chip label={after} /> : "–"}</span>
        </li>
      ))}
    </ul>
  );
}

/** The labels of an image in one of the states; null where it is not in that state. */
function Labels({ labels }: { labels: readonly Pick<Label, "name" | "color">[] | null }) {
  const { text } = useWorkspace();
  return (
    <span className="side">
      {labels === null ? "–" : labels.map((label) => <Chip key={label.name} label={label} />)}
      {labels?.length === 0 && <span className="quiet">{text.unlabelled}</span>}
    </span>
  );
}

type CompareVariables = {
  id: string;
  base: string;
  head: string | null;
  kind: SampleChangeKind | null;
  after: string | null;
};

function Differences({
  variables,
  more,
}: {
  variables: CompareVariables;
  more: ((after: string) => void) | undefined;
}) {
  const { text } = useWorkspace();
  const [{ data }] = useQuery({ query: CompareDocument, variables });
  const page = data?.dataset?.comparison.changes;
  return (
    <>
      {page?.nodes.map(({ kind, sample, addedLabelNames: added, removedLabelNames: removed }) => {
        const kept = sample.labels.filter(({ name }) => !added.includes(name) && !removed.includes(name));
        const gone = removed.map((name) => ({ name, color: null }));
        const before = kind === "ADDED" ? null : kind === "REMOVED" ? sample.labels : [...kept, ...gone];
        const after = kind === "REMOVED" ? null : sample.labels;
        return (
          <li key={sample.id}>
            <Labels labels={before} />
            <img src={sample.thumbnailUrl} alt="" width="96" height="96" />
            <Labels labels={after} />
            <span className="file">
              {text.kinds[kind]}: <bdi>{sample.fileName}</bdi>
            </span>
          </li>
        );
      })}
      {more && page?.pageInfo.hasNextPage && (
        <li>
          <button type="button" onClick={() => more(page.pageInfo.endCursor!)}>
            {text.more}
          </button>
        </li>
      )}
    </>
  );
}
