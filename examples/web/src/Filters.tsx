/** The conditions of the list, each with how many images it would leave. */
import { useEffect, useRef, useState } from "react";
import { useQuery } from "urql";

import { type Conditions, filterOf, isNarrowed, NO_CONDITIONS, type Tab, toggled } from "./conditions";
import { FacetsDocument } from "./gql/graphql";
import { Chip, Choice, Group, useLast, useSettled } from "./parts";
import { SuggestionFilters } from "./SuggestionFilters";
import { useText } from "./text";
import { useWorkspace } from "./workspace";

export interface Facets {
  states: Record<Tab, number | undefined>;
  labels: readonly { label: { id: string; name: string; color: string | null }; count: number }[];
  labelers: readonly { value: string; count: number }[];
  directories: readonly { value: string; count: number }[];
  hardCount: number;
}

/** Counts the images that match, by their values. `changes` says when to count again. */
export function useFacets(
  id: string,
  conditions: Conditions,
  statistics: { totalCount: number; labeledCount: number; unlabeledCount: number },
  changes: number,
): Facets {
  const [{ data: answer, fetching, stale }, count] = useQuery({
    query: FacetsDocument,
    variables: {
      id,
      filter: filterOf(conditions),
      suggested: filterOf({ ...conditions, tab: "SUGGESTED" }),
      exceptState: filterOf(conditions, "tab"),
      exceptLabels: filterOf(conditions, "labels"),
      exceptLabelers: filterOf(conditions, "labelers"),
      exceptPath: filterOf(conditions, "directory"),
      under: conditions.directory ?? "",
      hasState: conditions.tab !== "ALL",
      hasLabels: conditions.labels.length > 0,
      hasLabelers: conditions.labelers.length > 0,
      hasPath: conditions.directory !== null,
    },
    requestPolicy: "cache-and-network",
  });
  const data = useLast(answer);
  const counted = useRef(changes);
  useEffect(() => {
    if (fetching || stale || counted.current === changes) return; // what changed meanwhile is counted after the answer
    counted.current = changes;
    count({ requestPolicy: "network-only" });
  }, [changes, fetching, stale]);
  const dataset = data?.dataset;
  const facets = dataset?.samples.facets;
  const byState = Object.fromEntries(
    (dataset?.ofStates?.facets ?? facets)?.states?.map(({ value, count }) => [value, count]) ?? [],
  );
  const sum = Object.values(byState).reduce((total, each) => total + each, 0);
  return {
    states: {
      ...(isNarrowed(conditions)
        ? { ALL: sum, UNLABELED: byState["UNLABELED"] ?? 0, LABELED: byState["LABELED"] ?? 0 }
        : { ALL: statistics.totalCount, UNLABELED: statistics.unlabeledCount, LABELED: statistics.labeledCount }),
      SUGGESTED: dataset?.suggested.totalCount,
    },
    labels: (dataset?.ofLabels?.facets ?? facets)?.labels ?? [],
    labelers: (dataset?.ofLabelers?.facets ?? facets)?.labelers ?? [],
    directories: (dataset?.ofPath?.facets ?? facets)?.directories ?? [],
    hardCount: facets?.hardCount ?? 0,
  };
}

interface FiltersProps {
  conditions: Conditions;
  setConditions: (conditions: Conditions) => void;
  facets: Facets;
  changes: number;
}

export function Filters({ conditions, setConditions, facets, changes }: FiltersProps) {
  const text = useText();
  const { dataset } = useWorkspace();
  const change = (part: Partial<Conditions>) => setConditions({ ...conditions, ...part });
  const [typed, setTyped] = useState(conditions.text);
  const [isOpen, setOpen] = useState(false); // in narrow windows
  const settled = useSettled(typed.trim(), 300);
  useEffect(() => {
    if (settled !== conditions.text) change({ text: settled });
  }, [settled]);
  useEffect(() => {
    if (conditions.text !== typed.trim()) setTyped(conditions.text); // the browser went back
  }, [conditions.text]);

  // A label that is chosen stays in sight, though no image has it.
  const missing = dataset.labels.filter(
    ({ id }) => conditions.labels.includes(id) && !facets.labels.some(({ label }) => label.id === id),
  );
  const labels = [...facets.labels, ...missing.map((label) => ({ label, count: 0 }))];
  return (
    <aside className={`filters ${isOpen ? "open" : ""}`} aria-label={text.filters}>
      <div className="head">
        <h2>{text.filters}</h2>
        <button
          type="button"
          className="narrow-only"
          aria-label={isOpen ? text.hideFilters : text.showFilters}
          aria-expanded={isOpen}
          onClick={() => setOpen(!isOpen)}
        >
          {isOpen ? "▴" : "▾"}
        </button>
        {isNarrowed(conditions) && (
          <button
            type="button"
            onClick={() => {
              setTyped("");
              setConditions({ ...NO_CONDITIONS, tab: conditions.tab });
            }}
          >
            {text.clearFilters}
          </button>
        )}
      </div>
      <input
        type="search"
        aria-label={text.fileName}
        placeholder={text.fileName}
        value={typed}
        onChange={(event) => setTyped(event.target.value)}
      />
      {conditions.tab === "SUGGESTED" && (
        <SuggestionFilters
          chosen={conditions.suggestions}
          setChosen={(suggestions) => change({ suggestions })}
          changes={changes}
        />
      )}
      {labels.length > 0 && (
        <Group title={text.label}>
          {labels.map(({ label, count }) => (
            <Choice
              key={label.id}
              count={count}
              isChosen={conditions.labels.includes(label.id)}
              choose={() => change({ labels: toggled(conditions.labels, label.id) })}
            >
              <Chip label={label} />
            </Choice>
          ))}
          {conditions.labels.length > 0 && (
            <select
              aria-label={text.match}
              value={conditions.match}
              onChange={(event) => change({ match: event.target.value as Conditions["match"] })}
            >
              <option value="ANY">{text.any}</option>
              <option value="ALL">{text.all}</option>
              <option value="NONE">{text.none}</option>
            </select>
          )}
        </Group>
      )}
      {(facets.directories.length > 0 || conditions.directory !== null) && (
        <Group title={text.folder}>
          {conditions.directory !== null && (
            <p className="path">
              <button type="button" className="link" onClick={() => change({ directory: null })}>
                {text.top}
              </button>
              {ancestors(conditions.directory).map((directory) => (
                <button
                  key={directory}
                  type="button"
                  className="link"
                  aria-current={directory === conditions.directory}
                  onClick={() => change({ directory })}
                >
                  / {directory.split("/").at(-1)}
                </button>
              ))}
            </p>
          )}
          {facets.directories.map(({ value, count }) => (
            <Choice key={value} count={count} isChosen={false} choose={() => change({ directory: value })}>
              {value.split("/").at(-1)}
            </Choice>
          ))}
        </Group>
      )}
      {facets.labelers.length > 0 && (
        <Group title={text.labelledBy}>
          {facets.labelers.map(({ value, count }) => (
            <Choice
              key={value}
              count={count}
              isChosen={conditions.labelers.includes(value)}
              choose={() => change({ labelers: toggled(conditions.labelers, value) })}
            >
              {value}
            </Choice>
          ))}
        </Group>
      )}
      <Group title={text.created}>
        <Times conditions={conditions} change={change} />
      </Group>
      {(facets.hardCount > 0 || conditions.isHard) && (
        <Group title={text.hard}>
          <Choice
            count={facets.hardCount}
            isChosen={conditions.isHard}
            choose={() => change({ isHard: !conditions.isHard })}
          >
            {text.hard}
          </Choice>
        </Group>
      )}
    </aside>
  );
}

function Times({ conditions, change }: { conditions: Conditions; change: (part: Partial<Conditions>) => void }) {
  const text = useText();
  const { created } = conditions;
  const [isAsked, setAsked] = useState(false); // for days
  const chosen = created?.preset ?? (created || isAsked ? "CUSTOM" : "ANY");
  const period = (part: "from" | "to", day: string) => {
    const moment = new Date(`${day}T${part === "from" ? "00:00:00" : "23:59:59.999"}`);
    const { [part]: _, ...other } = created ?? {};
    const next = Number.isNaN(moment.getTime()) ? other : { ...other, [part]: moment.toISOString() };
    change({ created: Object.keys(next).length > 0 ? next : null });
  };
  return (
    <>
      <select
        aria-label={text.created}
        value={chosen}
        onChange={({ target: { value } }) => {
          setAsked(value === "CUSTOM");
          if (value === "ANY" || value === "CUSTOM") change({ created: null });
          else change({ created: { preset: value as "WITHIN_1_DAY" | "WITHIN_1_MONTH" } });
        }}
      >
        {Object.entries(text.times).map(([value, name]) => (
          <option key={value} value={value}>
            {name}
          </option>
        ))}
      </select>
      {chosen === "CUSTOM" && (
        <div className="dates">
          {(["from", "to"] as const).map((part) => (
            <label key={part}>
              {text[part]}{" "}
              <input type="date" value={dayOf(created?.[part])} onChange={({ target }) => period(part, target.value)} />
            </label>
          ))}
        </div>
      )}
    </>
  );
}

/** The day of a moment here, as a field for dates has it. */
function dayOf(moment: string | null | undefined): string {
  if (!moment) return "";
  const time = new Date(moment);
  const parts = [String(time.getFullYear()).padStart(4, "0"), time.getMonth() + 1, time.getDate()];
  return parts.map((part) => String(part).padStart(2, "0")).join("-");
}

const ancestors = (directory: string) =>
  directory.split("/").map((_, index, parts) => parts.slice(0, index + 1).join("/"));
