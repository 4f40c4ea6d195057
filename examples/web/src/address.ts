/** Where the page is, in its address: the dataset, its filters and its order. So it can be linked to and loaded again, and the browser goes back. */
import { ANY_SUGGESTION, type Conditions, NO_CONDITIONS, type Order, ORDERS, TABS } from "./conditions";
import { Store } from "./store";

/** The query of the address, such as `?dataset=digits&tab=UNLABELED`. */
export const place = new Store(location.search);
addEventListener("popstate", () => place.set(location.search));

/** Goes to a query. `replaces`: the browser does not go back to where the page is now. */
export function go(query: string, replaces = false): void {
  history[replaces ? "replaceState" : "pushState"](null, "", query || location.pathname);
  place.set(location.search);
}

export const queryOf = (dataset: string): string => `?${new URLSearchParams({ dataset })}`;
export const datasetOf = (query: string): string | null => new URLSearchParams(query).get("dataset");

export interface View {
  conditions: Conditions;
  order: Order;
}

const FIRST: Order = "newest";

/** The query that shows a view; what is as in a new page is left out. */
export function withView(query: string, { conditions, order }: View): string {
  const { tab, labels, match, labelers, directory, text, created, isHard, suggestions } = conditions;
  const given: [string, string | null | undefined | false][] = [
    ["dataset", datasetOf(query)],
    ["tab", tab !== "ALL" && tab],
    ...labels.map((id): [string, string] => ["label", id]),
    ["match", match !== "ANY" && match],
    ...labelers.map((name): [string, string] => ["by", name]),
    ["folder", directory],
    ["name", text],
    ["created", created?.preset],
    ["from", created?.from],
    ["to", created?.to],
    ["hard", isHard && "yes"],
    ...suggestions.labels.map((id): [string, string] => ["suggested", id]),
    ...suggestions.models.flatMap(({ name, modelVersion }): [string, string][] => [
      ["model", name],
      ["version", modelVersion],
    ]),
    ["confidence", suggestions.minConfidence > 0 && String(suggestions.minConfidence)],
    ["disagrees", suggestions.disagrees && "yes"],
    ["sort", order !== FIRST && order],
  ];
  return `?${new URLSearchParams(given.filter((pair): pair is [string, string] => Boolean(pair[1])))}`;
}

/** The view of a query. People change addresses by hand: what cannot be is left out, and so are labels that are not `known`. */
export function viewOf(query: string, known: readonly { id: string }[]): View {
  const given = new URLSearchParams(query);
  const one = <Value extends string>(name: string, values: readonly Value[], otherwise: Value): Value =>
    values.find((value) => value === given.get(name)) ?? otherwise;
  const labels = (name: string) => given.getAll(name).filter((each) => known.some(({ id }) => id === each));
  const [preset, from, to] = [one("created", ["", "WITHIN_1_DAY", "WITHIN_1_MONTH"], ""), time("from"), time("to")];
  const confidence = Number(given.get("confidence"));
  const versions = given.getAll("version"); // of the models, in the same order

  function time(name: string): string | null {
    const value = new Date(given.get(name) ?? NaN);
    return Number.isNaN(value.getTime()) ? null : value.toISOString();
  }

  return {
    conditions: {
      ...NO_CONDITIONS,
      tab: one("tab", TABS, "ALL"),
      labels: labels("label"),
      match: one("match", ["ANY", "ALL", "NONE"], "ANY"),
      labelers: given.getAll("by"),
      directory: given.get("folder"),
      text: given.get("name") ?? "",
      created: preset ? { preset } : from || to ? { ...(from && { from }), ...(to && { to }) } : null,
      isHard: given.has("hard"),
      suggestions: {
        ...ANY_SUGGESTION,
        labels: labels("suggested"),
        models: given.getAll("model").map((name, index) => ({ name, modelVersion: versions[index] ?? "" })),
        minConfidence: confidence > 0 && confidence <= 1 ? confidence : 0,
        disagrees: given.has("disagrees"),
      },
    },
    order: one("sort", Object.keys(ORDERS) as Order[], FIRST),
  };
}
