/** The labels of samples as they will be when the mutations that are on their way are answered. */
import { useMemo } from "react";

import type { DecideSuggestionsInput, LabelSamplesInput } from "./gql/graphql";
import { waiting } from "./outbox";
import { useStore } from "./store";
import { type Label, useWorkspace } from "./workspace";

export interface Pending {
  added: Label[];
  removed: Set<string>; // ids
  isSet: boolean;
  decided?: Pick<DecideSuggestionsInput, "decision" | "labelIds">; // of the suggestions
}

/** What samples get or lose by mutations that are on their way. */
export function usePending(): ReadonlyMap<string, Pending> {
  const { dataset } = useWorkspace();
  const queue = useStore(waiting);
  return useMemo(() => {
    const byId = new Map(dataset.labels.map((label) => [label.id, label]));
    const pending = new Map<string, Pending>();
    const of = (id: string | number): Pending => {
      const one = pending.get(String(id)) ?? { added: [], removed: new Set(), isSet: false };
      pending.set(String(id), one);
      return one;
    };
    for (const { name, variables, isTakenBack } of queue) {
      if (isTakenBack) continue;
      if (name === "DecideSuggestions") {
        const { select, ...decided } = (variables as { input: DecideSuggestionsInput }).input;
        for (const id of select.ids ?? []) of(id).decided = decided;
      }
      if (name !== "LabelSamples") continue;
      const { select, labels, labelIds, mode } = (variables as { input: LabelSamplesInput }).input;
      const named: Label[] = (labels ?? []).map((each) => ({ id: each, name: each, color: null }));
      for (const id of labelIds ?? []) {
        const label = byId.get(String(id));
        if (label) named.push(label);
      }
      for (const id of select.ids ?? []) {
        const one = of(id);
        if (mode === "REMOVE") for (const label of named) one.removed.add(label.id);
        else one.added.push(...named);
        if (mode === "SET") one.isSet = true;
      }
    }
    return pending;
  }, [queue, dataset.labels]);
}

/** How a suggested label is shown meanwhile. */
export function stateOf(label: string, pending: Pending | undefined): "pending" | "removed" | undefined {
  const { decision, labelIds } = pending?.decided ?? {};
  if (!decision || (labelIds && labelIds.length > 0 && !labelIds.includes(label))) return undefined;
  return decision === "ACCEPT" ? "pending" : "removed";
}

type Shown = Pick<Label, "id" | "name" | "color"> & { state?: "pending" | "removed" };

export function withPending(labels: readonly Label[], pending: Pending | undefined): Shown[] {
  if (!pending) return [...labels];
  const added = pending.added.filter((label) => !labels.some((own) => own.name === label.name));
  return [
    ...labels.map((label) =>
      pending.removed.has(label.id) || pending.isSet ? { ...label, state: "removed" as const } : label,
    ),
    ...added.map((label) => ({ ...label, state: "pending" as const })),
  ];
}
