/** What models suggest for an image, and deciding about it: one, those of many images, all that match. */
import { isSameModel, type SuggestionConditions } from "./conditions";
import { type DecideSuggestionsInput, DecideSuggestionsDocument, type SuggestionDecision } from "./gql/graphql";
import type { Card } from "./list";
import type { Annotation } from "./shapes";
import type { Label, Target, Workspace } from "./workspace";

const FEW = 100; // images of which the answer says all annotations

/** Which suggestions of the target are decided. */
export type Which = Pick<DecideSuggestionsInput, "labelIds" | "models" | "minConfidence">;

/** Without conditions that are not set: an empty list would be about nothing, and is refused. */
export const whichOf = ({ labels, models, minConfidence }: SuggestionConditions): Which => ({
  ...(labels.length > 0 && { labelIds: [...labels] }),
  ...(models.length > 0 && { models: [...models] }),
  ...(minConfidence > 0 && { minConfidence }),
});

/** The suggestions among annotations, the surest first. */
export const suggested = (annotations: readonly Annotation[] = []): Annotation[] =>
  annotations.filter((each) => !each.isConfirmed).toSorted(bySureness);

/** Those that the list shows of an image; none outside of the tab of suggestions, where they are not read. */
export function suggestionsOf(card: Card, { labels, models, minConfidence }: SuggestionConditions): Annotation[] {
  const isOfModel = ({ model }: Annotation) => model !== null && models.some((each) => isSameModel(each, model));
  return suggested(card.annotations).filter(
    (each) =>
      (labels.length === 0 || labels.includes(each.label.id)) &&
      (models.length === 0 || isOfModel(each)) &&
      sureness(each) >= minConfidence,
  );
}

const sureness = ({ confidence }: Annotation): number => confidence ?? 0;
const bySureness = (one: Annotation, other: Annotation): number => sureness(other) - sureness(one);

export interface SuggestedLabel {
  label: Label;
  count: number; // boxes and other shapes, models that agree, or images
  confidence: number | null; // the highest
}

/** Suggestions by their labels, the surest first. */
export function byLabel(suggestions: readonly Annotation[]): SuggestedLabel[] {
  const labels = new Map<string, SuggestedLabel>();
  for (const { label, confidence } of suggestions.toSorted(bySureness)) {
    const known = labels.get(label.id);
    if (known) known.count++;
    else labels.set(label.id, { label, count: 1, confidence });
  }
  return [...labels.values()];
}

/** What one key accepts of an image's suggestions: all, but of several labels of the whole image only the surest. */
export function toAccept(suggestions: readonly Annotation[]): readonly Annotation[] {
  const labels = byLabel(suggestions);
  if (labels.length < 2 || suggestions.some(({ shape }) => shape)) return suggestions;
  return suggestions.filter(({ label }) => label.id === labels[0]!.label.id);
}

/** A and R, unless they are keys of labels; Ctrl+Enter and Ctrl+Delete in any case. */
export function decisionOf(
  { key, ctrlKey, metaKey, altKey }: Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "altKey">,
  labels: readonly { shortcut: string | null }[],
): SuggestionDecision | undefined {
  const keys: Record<string, SuggestionDecision> =
    ctrlKey || metaKey ? { Enter: "ACCEPT", Delete: "REJECT", Backspace: "REJECT" } : { a: "ACCEPT", r: "REJECT" };
  return altKey || labels.some(({ shortcut }) => shortcut === key) ? undefined : keys[key];
}

/** The key that decides now. */
export function keyOf(decision: SuggestionDecision, labels: readonly { shortcut: string | null }[]): string {
  const [key, always] = decision === "ACCEPT" ? ["a", "Ctrl+Enter"] : ["r", "Ctrl+Delete"];
  return labels.some(({ shortcut }) => shortcut === key) ? always : key.toUpperCase();
}

/** Returns whether something was decided. `expected`: how many suggestions of each selection. */
export async function decide(
  { dataset, mutate, say, text }: Workspace,
  decision: SuggestionDecision,
  { selects }: Pick<Target, "selects">,
  which: Which,
  expected: readonly number[] = [],
): Promise<boolean> {
  let count = 0;
  for (const [index, select] of selects.entries()) {
    const expectedCount = expected[index] ?? null;
    if (expectedCount === 0) continue;
    const input = { datasetId: dataset.id, select, decision, ...which, expectedCount };
    const areFew = (select.ids?.length ?? Infinity) <= FEW;
    const answer = await mutate(DecideSuggestionsDocument, { input, areFew });
    if (!answer?.decideSuggestions) return false;
    count += answer.decideSuggestions.suggestionCount;
  }
  if (count === 0) say(text.nothingSuggested);
  else say(text.decided[decision](count), "good", "undo");
  return count > 0;
}
