/** The labels of what is selected: how many of the images have each, and what can be done with them. */
import { useEffect, useMemo, useState } from "react";
import { useQuery } from "urql";

import { ReplaceSampleLabelDocument, type SampleFilter, SelectionLabelsDocument } from "./gql/graphql";
import { Action, Chip, LabelBox, useSettled } from "./parts";
import { type Label, type Target, useWorkspace } from "./workspace";

const IDS = 1_000; // most ids in a filter

interface FileLabelsProps {
  target: Target | null;
  name: string | undefined; // where it is one image
  isFocus: boolean; // nothing is selected: it is the image in focus
  label: (label: { id?: string; name: string }, mode: "ADD" | "REMOVE") => void;
  setHard: (isHard: boolean) => void;
  remove: () => void;
  changes: number;
}

export function FileLabels({ target, name, isFocus, label, setHard, remove, changes }: FileLabelsProps) {
  const { dataset, mutate, text } = useWorkspace();
  const [changing, setChanging] = useState<Label | null>(null);
  const [select] = target?.selects ?? [];
  const settled = useSettled(select ? JSON.stringify(select.filter ?? { ids: select.ids?.slice(0, IDS) }) : null, 120);
  const filter = useMemo(() => (settled === null ? null : (JSON.parse(settled) as SampleFilter)), [settled]);
  const [{ data }, count] = useQuery({
    query: SelectionLabelsDocument,
    variables: { id: dataset.id, filter: filter ?? {} },
    pause: filter === null,
    requestPolicy: "cache-and-network",
  });
  useEffect(() => {
    if (changes > 0 && filter) count({ requestPolicy: "network-only" });
  }, [changes]);
  const facets = filter && data?.dataset?.samples.facets.labels;
  const total = data?.dataset?.samples.totalCount ?? 0;
  const may = dataset.viewerCan.label;

  const replace = async (from: Label, to: { id?: string; name: string }) => {
    setChanging(null);
    const named = to.id ? { toId: to.id } : { to: to.name, createMissing: true };
    for (const each of target?.selects ?? []) {
      const input = {
        datasetId: dataset.id,
        select: each,
        fromId: from.id,
        expectedCount: target?.expectedCount ?? null,
        ...named,
      };
      await mutate(ReplaceSampleLabelDocument, { input });
    }
  };
  return (
    <section className="file-labels">
      <h2>{text.fileLabels}</h2>
      {name && <p className="quiet file">{name}</p>}
      <LabelBox
        id="label-box"
        name={isFocus ? text.labelFocused : text.labelSelected}
        may={may && target !== null}
        shortcut={dataset.labels.some((each) => each.shortcut === "l") ? undefined : "L"}
        choose={(chosen) => label(chosen, "ADD")}
      />
      {target === null && <p className="quiet">{text.selectFirst}</p>}
      {target && facets?.length === 0 && <p className="quiet">{text.fileLabelsNone(name !== undefined)}</p>}
      {target && (
        <ul className="rows">
          {facets?.map(({ label: own, count: having }) => (
            <li key={own.id}>
              <Chip label={own} />
              <span className="figure">{text.ofSelected(having, total)}</span>
              <span className="end">
                {having < total && (
                  <Action
                    may={may}
                    reason={text.mayNotLabel}
                    className="small"
                    label={text.addTo(own.name)}
                    onClick={() => label(own, "ADD")}
                  >
                    {text.add}
                  </Action>
                )}
                <Action
                  may={may}
                  reason={text.mayNotLabel}
                  className="small"
                  label={text.changeTo(own.name)}
                  pressed={changing?.id === own.id}
                  onClick={() => setChanging(changing?.id === own.id ? null : own)}
                >
                  {text.change}
                </Action>
                <Action
                  may={may}
                  reason={text.mayNotLabel}
                  className="small"
                  label={text.removeFrom(own.name)}
                  onClick={() => label(own, "REMOVE")}
                >
                  {text.remove}
                </Action>
              </span>
              {changing?.id === own.id && (
                <LabelBox autoFocus name={text.changeTo(own.name)} choose={(to) => void replace(own, to)} />
              )}
            </li>
          ))}
        </ul>
      )}
      <div className="buttons">
        <Action may={may && target !== null} reason={may ? text.selectFirst : text.mayNotLabel} onClick={() => setHard(true)}>
          {text.markHard}
        </Action>
        <Action may={may && target !== null} reason={may ? text.selectFirst : text.mayNotLabel} onClick={() => setHard(false)}>
          {text.unmarkHard}
        </Action>
        <Action
          may={dataset.viewerCan.manage && target !== null}
          reason={dataset.viewerCan.manage ? text.selectFirst : text.mayNot}
          className="danger"
          onClick={remove}
        >
          {text.deleteImages}
        </Action>
      </div>
    </section>
  );
}
