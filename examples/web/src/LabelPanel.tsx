/** All labels of the dataset: how many images have each, their colours, shortcuts and names; merge and delete. */
import { type FormEvent, useEffect, useState } from "react";

import { ImpactElsewhere } from "./Deletion";
import {
  CreateLabelsDocument,
  type DeleteLabelMode,
  DeleteLabelsDocument,
  DeleteLabelsImpactDocument,
  type DeleteLabelsImpactMutation,
  RenameImpactDocument,
  RenameLabelDocument,
  UpdateLabelDocument,
} from "./gql/graphql";
import { Action, Dialog, labelStyle } from "./parts";
import { colorOf, type Dataset, isLabelName, useWorkspace } from "./workspace";

const MANY = 20; // labels, from which on there is a field to find one
const MOST = 200; // labels shown at once

type FullLabel = Dataset["labels"][number];

export function LabelPanel({ apply, mayApply }: { apply: (label: FullLabel) => void; mayApply: boolean }) {
  const { dataset, mutate, say, text } = useWorkspace();
  const [edited, setEdited] = useState<string | null>(null); // the id of a label
  const [typed, setTyped] = useState("");
  const listed = dataset.labels.filter((each) => each.name.toLowerCase().includes(typed.trim().toLowerCase()));
  const may = dataset.viewerCan.label;
  const add = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = event.currentTarget;
    const name = String(new FormData(form).get("name")).trim();
    if (!name) return;
    if (!isLabelName(dataset, name)) return say(text.labelRule, "bad");
    const answer = await mutate(CreateLabelsDocument, { input: { datasetId: dataset.id, labels: [{ name }] } });
    if (answer) form.reset();
  };
  const label = dataset.labels.find(({ id }) => id === edited);
  return (
    <section className="label-panel">
      <h2>
        {text.labels} <span className="figure">{dataset.labels.length}</span>
      </h2>
      {dataset.labels.length === 0 && <p className="quiet">{text.noLabels}</p>}
      {dataset.labels.length > MANY && (
        <input
          type="search"
          aria-label={text.find}
          placeholder={text.find}
          value={typed}
          onChange={(event) => setTyped(event.target.value)}
        />
      )}
      <ul className="rows">
        {listed.slice(0, MOST).map((each) => (
          <li key={each.id}>
            <Action
              may={may && mayApply}
              reason={may ? text.selectFirst : text.mayNotLabel}
              className="apply"
              label={text.labelOf(each.name, each.sampleCount)}
              onClick={() => apply(each)}
            >
              <span className="dot" style={labelStyle(each)} />
              <span className="name">{each.name}</span>
              {each.shortcut && <kbd>{each.shortcut}</kbd>}
              <span className="figure">{each.sampleCount.toLocaleString()}</span>
            </Action>
            <Action
              may={may}
              reason={text.mayNotLabel}
              className="small"
              label={text.editLabel(each.name)}
              onClick={() => setEdited(each.id)}
            >
              ✎
            </Action>
          </li>
        ))}
      </ul>
      {listed.length > MOST && <p className="quiet">…</p>}
      <form className="line" onSubmit={(event) => void add(event)}>
        <input name="name" aria-label={text.newLabel} placeholder={text.newLabel} disabled={!may} autoComplete="off" />
        <Action may={may} reason={text.mayNotLabel} submit>
          {text.add}
        </Action>
      </form>
      {label && <EditLabel label={label} close={() => setEdited(null)} />}
    </section>
  );
}

function EditLabel({ label, close }: { label: FullLabel; close: () => void }) {
  const { client, dataset, mutate, say, text } = useWorkspace();
  const [name, setName] = useState(label.name);
  const [color, setColor] = useState(colorOf(label));
  const [shortcut, setShortcut] = useState(label.shortcut ?? "");
  const [merging, setMerging] = useState<{ into: string; count: number } | null>(null);
  const { label: may, manage } = dataset.viewerCan;

  const save = async (event: FormEvent) => {
    event.preventDefault();
    const wanted = name.trim();
    if (wanted !== label.name) {
      const isTaken = dataset.labels.some((other) => other.id !== label.id && other.name === wanted);
      if (isTaken && !merging) {
        const input = { labelId: label.id, name: wanted, onConflict: "MERGE" as const, dryRun: true };
        const { data } = await client.mutation(RenameImpactDocument, { input }).toPromise();
        setMerging({ into: wanted, count: data?.renameLabel?.affectedSampleCount ?? 0 });
        return;
      }
    }
    const update = {
      ...(color !== colorOf(label) && { color }),
      ...(shortcut !== (label.shortcut ?? "") && { shortcut: shortcut || null }),
    };
    if (Object.keys(update).length > 0) {
      if (!(await mutate(UpdateLabelDocument, { input: { labelId: label.id, ...update } }))) return;
    }
    if (wanted !== label.name) {
      const input = { labelId: label.id, name: wanted, onConflict: merging ? ("MERGE" as const) : ("ERROR" as const) };
      if (!(await mutate(RenameLabelDocument, { input }))) return;
      if (merging) say(text.merged(label.name, wanted), "good", "undo");
    }
    close();
  };
  return (
    <Dialog title={text.editLabel(label.name)} close={close}>
      <form onSubmit={(event) => void save(event)}>
        <label>
          {text.name}
          <input
            data-first
            value={name}
            disabled={!manage}
            title={manage ? undefined : text.mayNot}
            onChange={(event) => {
              setName(event.target.value);
              setMerging(null);
            }}
          />
        </label>
        <label>
          {text.color}
          <input type="color" value={color} disabled={!may} onChange={(event) => setColor(event.target.value)} />
        </label>
        <label>
          {text.shortcut}
          <input
            value={shortcut}
            maxLength={1}
            size={2}
            disabled={!may}
            aria-description={text.shortcutHelp}
            onChange={(event) => setShortcut(event.target.value)}
          />
          <small className="quiet">{text.shortcutHelp}</small>
          {/^[arlL?]$/.test(shortcut) && <small role="status">{text.shortcutOfPage}</small>}
        </label>
        {merging && (
          <p className="warning" role="alert">
            {text.mergeAsk(label.name, merging.into, merging.count)}
          </p>
        )}
        <div className="buttons">
          <Action may={may} className="primary" submit>
            {merging ? text.merge : text.save}
          </Action>
          <button type="button" onClick={close}>
            {text.cancel}
          </button>
        </div>
      </form>
      <DeleteLabel label={label} close={close} />
    </Dialog>
  );
}

type Impact = NonNullable<DeleteLabelsImpactMutation["deleteLabels"]>;

/** The three ways to delete a label, each with what it would do, counted by the server. */
function DeleteLabel({ label, close }: { label: FullLabel; close: () => void }) {
  const { client, dataset, mutate, say, text } = useWorkspace();
  const [isOpen, setOpen] = useState(false);
  const [mode, setMode] = useState<DeleteLabelMode>("LABEL_ONLY");
  const [impact, setImpact] = useState<Impact | null>(null);
  useEffect(() => {
    if (!isOpen) return;
    setImpact(null);
    const input = { labelIds: [label.id], mode, dryRun: true };
    void client
      .mutation(DeleteLabelsImpactDocument, { input })
      .toPromise()
      .then(({ data }) => setImpact(data?.deleteLabels ?? null));
  }, [isOpen, mode, label.sampleCount]);
  if (!isOpen) {
    return (
      <Action may={dataset.viewerCan.manage} className="danger" onClick={() => setOpen(true)}>
        {text.deleteLabel(label.name)} …
      </Action>
    );
  }
  const remove = async () => {
    if (!(await mutate(DeleteLabelsDocument, { input: { labelIds: [label.id], mode } }))) return;
    say(text.labelDeleted(label.name), "good", mode === "LABEL_SAMPLES_AND_SOURCES" ? undefined : "undo");
    close();
  };
  return (
    <fieldset>
      <legend>{text.deleteLabel(label.name)}</legend>
      {Object.entries(text.modes).map(([value, name]) => (
        <label key={value} className="line">
          <input
            type="radio"
            name="mode"
            value={value}
            checked={mode === value}
            onChange={() => setMode(value as DeleteLabelMode)}
          />
          {name}
        </label>
      ))}
      <p className="warning" role="status">
        {impact
          ? text.impact(impact.affectedSampleCount, impact.deletedSampleCount, impact.deletedSourceCount)
          : text.loading}
      </p>
      {impact && <ImpactElsewhere impacts={impact.impacts} />}
      <button type="button" className="danger" disabled={impact === null} onClick={() => void remove()}>
        {text.deleteLabel(label.name)}
      </button>
    </fieldset>
  );
}
