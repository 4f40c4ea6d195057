/** What the person filters by, and the filter that it makes. */
import type { SampleFilter, SampleOrderInput, TimeFilter } from "./gql/graphql";
import type { Text } from "./text";

export type Tab = keyof Text["tabs"];
export const TABS: readonly Tab[] = ["ALL", "UNLABELED", "LABELED"];

export interface Conditions {
  tab: Tab;
  labels: readonly string[]; // their ids
  match: "ANY" | "ALL" | "NONE";
  labelers: readonly string[];
  directory: string | null;
  text: string;
  created: TimeFilter | null;
  isHard: boolean;
}

export const NO_CONDITIONS: Conditions = {
  tab: "ALL",
  labels: [],
  match: "ANY",
  labelers: [],
  directory: null,
  text: "",
  created: null,
  isHard: false,
};

/** Only conditions that are set: a mutation refuses empty ones, so that a forgotten value never selects everything. */
export function filterOf(given: Conditions, except?: keyof Conditions): SampleFilter {
  const filter: SampleFilter = {};
  const conditions: Conditions = except ? { ...given, [except]: NO_CONDITIONS[except] } : given;
  const { tab, labels, match, labelers, directory, text, created, isHard } = conditions;
  if (tab !== "ALL") filter.state = tab;
  if (labels.length > 0) filter.labels = { ids: [...labels], match };
  if (labelers.length > 0) filter.labeledBy = [...labelers];
  if (directory !== null || text) {
    filter.path = { ...(directory !== null && { directory, recursive: true }), ...(text && { contains: text }) };
  }
  if (created) filter.createdAt = created;
  if (isHard) filter.isHard = true;
  return filter;
}

/** Whether anything but the tab narrows the list. */
export const isNarrowed = (conditions: Conditions): boolean => Object.keys(filterOf(conditions, "tab")).length > 0;

export type Order = keyof Text["orders"];
export const ORDERS: Record<Order, SampleOrderInput> = {
  newest: { field: "CREATED_AT", direction: "DESC" },
  oldest: { field: "CREATED_AT", direction: "ASC" },
  added: { field: "ADDED_AT", direction: "DESC" },
  labelled: { field: "LABELED_AT", direction: "DESC" },
  path: { field: "PATH", direction: "ASC" },
  size: { field: "SIZE", direction: "DESC" },
  random: { field: "RANDOM", direction: "ASC", seed: "page" },
};
