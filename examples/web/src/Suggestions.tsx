/** Deciding about suggestions: those of what is selected, and all that match with a confidence of at least so much. */
import { useEffect, useState } from "react";

import { DecideImpactDocument, type SuggestionDecision } from "./gql/graphql";
import { Action, Dialog, SuggestedChip, useSettled } from "./parts";
import type { Annotation } from "./shapes";
import { byLabel, decide, keyOf, type Which } from "./decisions";
import { type Label, type Target, useWorkspace } from "./workspace";

interface SuggestionsProps {
  suggestions: readonly Annotation[]; // of the images that are selected, or of that in focus
  target: Target | null;
  decideAll: (decision: SuggestionDecision) => void;
  decideLabel: (decision: SuggestionDecision, label: Label) => void;
  choose: () => void;
}

export function Suggestions({ suggestions, target, decideAll, decideLabel, choose }: SuggestionsProps) {
  const { dataset, text } = useWorkspace();
  const may = dataset.viewerCan.label;
  return (
    <section className="suggestions">
      <h2>{text.suggestions}</h2>
      {target === null && <p className="quiet">{text.selectFirst}</p>}
      <ul className="rows">
        {byLabel(suggestions).map((each) => (
          <li key={each.label.id}>
            <SuggestedChip {...each} />
            <Decisions name={each.label.name} decide={(decision) => decideLabel(decision, each.label)} />
          </li>
        ))}
      </ul>
      <div className="buttons">
        <Action may={may && target !== null} reason={may ? text.selectFirst : text.mayNotLabel} onClick={() => decideAll("ACCEPT")}>
          {text.decisions.ACCEPT} <kbd>{keyOf("ACCEPT", dataset.labels)}</kbd>
        </Action>
        <Action may={may && target !== null} reason={may ? text.selectFirst : text.mayNotLabel} onClick={() => decideAll("REJECT")}>
          {text.decisions.REJECT} <kbd>{keyOf("REJECT", dataset.labels)}</kbd>
        </Action>
        <Action may={may} reason={text.mayNotLabel} onClick={choose}>
          {text.byConfidence} …
        </Action>
      </div>
    </section>
  );
}

/** The two small buttons beside a suggestion. */
export function Decisions({ name, decide }: { name: string; decide: (decision: SuggestionDecision) => void }) {
  const { dataset, text } = useWorkspace();
  return (
    <span className="end">
      {(["ACCEPT", "REJECT"] as const).map((decision) => (
        <Action
          key={decision}
          may={dataset.viewerCan.label}
          reason={text.mayNotLabel}
          className={`small ${decision.toLowerCase()}`}
          label={`${text.decisions[decision]}: ${name}`}
          onClick={() => decide(decision)}
        >
          {decision === "ACCEPT" ? "✓" : "✕"}
        </Action>
      ))}
    </span>
  );
}

interface Counts {
  minConfidence: number | null; // with which it was counted
  suggestions: number[]; // for each selection
  images: number;
}

interface DecideManyProps {
  target: Target;
  isSelection: boolean; // or else all that match
  which: Which;
  changes: number;
  close: (done: boolean) => void;
}

/** Decides by confidence, after the server has counted what that is about. */
export function DecideMany({ target, isSelection, which, changes, close }: DecideManyProps) {
  const workspace = useWorkspace();
  const { client, dataset, text } = workspace;
  const [{ selects }] = useState(target); // what was selected when this was opened
  const least = which.minConfidence ?? 0; // what is less sure is not in the list
  const [percent, setPercent] = useState(String(Math.round(least * 100)));
  const [counts, setCounts] = useState<Counts | null>(null);
  const isInRange = percent.trim() !== "" && Number(percent) >= 0 && Number(percent) <= 100;
  const wanted = isInRange ? Math.max(least, Number(percent) / 100) || null : null;
  const minConfidence = useSettled(wanted, 250);
  const chosen = { ...which, minConfidence };

  useEffect(() => {
    let isLatest = true;
    const count = async () => {
      const counted: Counts = { minConfidence, suggestions: [], images: 0 };
      for (const select of selects) {
        const input = { datasetId: dataset.id, select, decision: "ACCEPT" as const, ...chosen, dryRun: true };
        const { data } = await client.mutation(DecideImpactDocument, { input }).toPromise();
        if (!isLatest || !data?.decideSuggestions) return;
        counted.suggestions.push(data.decideSuggestions.suggestionCount);
        counted.images += data.decideSuggestions.sampleCount;
      }
      setCounts(counted);
    };
    void count();
    return () => {
      isLatest = false;
    };
  }, [minConfidence, changes]);

  const total = counts?.suggestions.reduce((sum, each) => sum + each, 0) ?? 0;
  const isCounted = isInRange && counts?.minConfidence === wanted;
  const carryOut = async (decision: SuggestionDecision) => {
    if (await decide(workspace, decision, { selects }, chosen, counts?.suggestions)) close(true);
  };
  return (
    <Dialog title={text.suggestions} close={() => close(false)}>
      <p>{isSelection ? text.ofTheSelected(target.count) : text.ofAllThatMatch}</p>
      <label>
        {text.leastConfidence}
        <input
          data-first
          type="number"
          min={Math.round(least * 100)}
          max="100"
          aria-invalid={!isInRange}
          value={percent}
          onChange={(event) => setPercent(event.target.value)}
        />
      </label>
      <p className="warning" role="status">
        {!isInRange ? text.outOfRange : counts && isCounted ? text.suggestionsOn(total, counts.images) : text.loading}
      </p>
      <div className="buttons">
        {(["ACCEPT", "REJECT"] as const).map((decision) => (
          <button
            key={decision}
            type="button"
            className={decision === "ACCEPT" ? "primary" : "danger"}
            disabled={!isCounted || total === 0}
            onClick={() => void carryOut(decision)}
          >
            {text.decideCount[decision](total)}
          </button>
        ))}
        <button type="button" onClick={() => close(false)}>
          {text.cancel}
        </button>
      </div>
    </Dialog>
  );
}
