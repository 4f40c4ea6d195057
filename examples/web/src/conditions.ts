/** What the person filters by, and the filter that it makes. */
import type { ModelInput, SampleFilter, SampleOrderInput, SuggestionFilter, TimeFilter } from "./gql/graphql";
import type { Text } from "./text";

export type Tab = keyof Text["tabs"];
export const TABS: readonly Tab[] = ["ALL", "UNLABELED", "LABELED", "SUGGESTED"];

/** Which suggestions the tab of suggestions is about: those that its images show, and that are decided there. */
export interface SuggestionConditions {
  labels: readonly string[]; // their ids
  models: readonly ModelInput[];
  minConfidence: number;
  disagrees: boolean; // with the labels that people gave
}

export interface Conditions {
  tab: Tab;
  labels: readonly string[]; // their ids
  match: "ANY" | "ALL" | "NONE";
  labelers: readonly string[];
  directory: string | null;
  text: string;
  created: TimeFilter | null;
  isHard: boolean;
  suggestions: SuggestionConditions;
}

export const ANY_SUGGESTION: SuggestionConditions = { labels: [], models: [], minConfidence: 0, disagrees: false };

export const NO_CONDITIONS: Conditions = {
  tab: "ALL",
  labels: [],
  match: "ANY",
  labelers: [],
  directory: null,
  text: "",
  created: null,
  isHard: false,
  suggestions: ANY_SUGGESTION,
};

/** The values with one more, or without it if it is one of them. */
export function toggled<Value>(
  values: readonly Value[],
  value: Value,
  isSame: (one: Value, other: Value) => boolean = Object.is,
): Value[] {
  const others = values.filter((each) => !isSame(each, value));
  return others.length < values.length ? others : [...values, value];
}

export const isSameModel = (one: ModelInput, other: ModelInput): boolean =>
  one.name === other.name && one.modelVersion === other.modelVersion;

/** Only conditions that are set: a mutation refuses empty ones, so that a forgotten value never selects everything. */
export function filterOf(given: Conditions, except?: keyof Conditions): SampleFilter {
  const filter: SampleFilter = {};
  const conditions: Conditions = except ? { ...given, [except]: NO_CONDITIONS[except] } : given;
  const { tab, labels, match, labelers, directory, text, created, isHard, suggestions } = conditions;
  if (tab === "SUGGESTED") filter.suggestions = suggestionFilterOf(suggestions);
  else if (tab !== "ALL") filter.state = tab;
  if (labels.length > 0) filter.labels = { ids: [...labels], match };
  if (labelers.length > 0) filter.labeledBy = [...labelers];
  if (directory !== null || text) {
    filter.path = { ...(directory !== null && { directory, recursive: true }), ...(text && { contains: text }) };
  }
  if (created) filter.createdAt = created;
  if (isHard) filter.isHard = true;
  return filter;
}

function suggestionFilterOf({ labels, models, minConfidence, disagrees }: SuggestionConditions): SuggestionFilter {
  return {
    ...(labels.length > 0 && { labelIds: [...labels] }),
    ...(models.length > 0 && { models: [...models] }),
    ...(minConfidence > 0 && { confidence: { min: minConfidence } }),
    ...(disagrees && { disagreesWithLabels: true }),
  };
}

/** Whether anything but the tab narrows the list. */
export const isNarrowed = (conditions: Conditions): boolean =>
  Object.keys({ ...filterOf(conditions, "tab"), ...filterOf(conditions).suggestions }).length > 0;

export type Order = keyof Text["orders"];
export const ORDERS: Record<Order, SampleOrderInput> = {
  newest: { field: "CREATED_AT", direction: "DESC" },
  oldest: { field: "CREATED_AT", direction: "ASC" },
  added: { field: "ADDED_AT", direction: "DESC" },
  labelled: { field: "LABELED_AT", direction: "DESC" },
  path: { field: "PATH", direction: "ASC" },
  size: { field: "SIZE", direction: "DESC" },
  unsure: { field: "SUGGESTION_MARGIN", direction: "ASC" },
  sure: { field: "SUGGESTION_CONFIDENCE", direction: "DESC" },
  random: { field: "RANDOM", direction: "ASC", seed: "page" },
};
