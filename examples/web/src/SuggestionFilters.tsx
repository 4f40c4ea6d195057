/** Which suggestions are shown: those of some models and labels, those that are sure, those that people contradict. */
import { useEffect } from "react";
import { useQuery } from "urql";

import { isSameModel, type SuggestionConditions, toggled } from "./conditions";
import { ModelsDocument, type ModelsQuery } from "./gql/graphql";
import { Choice, Group, SuggestedChip } from "./parts";
import { percent } from "./text";
import { useWorkspace } from "./workspace";

export type Model = NonNullable<ModelsQuery["dataset"]>["models"]["nodes"][number];

/** The models that have suggested something, with their record. */
export function useModels(changes: number): readonly Model[] | undefined {
  const { dataset } = useWorkspace();
  const [{ data }, read] = useQuery({
    query: ModelsDocument,
    variables: { id: dataset.id },
    requestPolicy: "cache-and-network",
  });
  useEffect(() => {
    if (changes > 0) read({ requestPolicy: "network-only" });
  }, [changes]);
  return data?.dataset?.models.nodes;
}

const LEAST = [0, 0.5, 0.8, 0.9, 0.95, 0.99]; // confidences

interface SuggestionFiltersProps {
  chosen: SuggestionConditions;
  setChosen: (chosen: SuggestionConditions) => void;
  changes: number;
}

export function SuggestionFilters({ chosen, setChosen, changes }: SuggestionFiltersProps) {
  const { dataset, text } = useWorkspace();
  const isChosen = (model: Model) => chosen.models.some((each) => isSameModel(each, model));
  const models = useModels(changes)?.filter((each) => each.pendingCount > 0 || isChosen(each)) ?? [];
  const change = (part: Partial<SuggestionConditions>) => setChosen({ ...chosen, ...part });
  const labels = dataset.labels.filter(({ id, suggestionCount }) => suggestionCount > 0 || chosen.labels.includes(id));
  return (
    <>
      {labels.length > 0 && (
        <Group title={text.suggestedLabel}>
          {labels.map((label) => (
            <Choice
              key={label.id}
              count={label.suggestionCount}
              isChosen={chosen.labels.includes(label.id)}
              choose={() => change({ labels: toggled(chosen.labels, label.id) })}
            >
              <SuggestedChip label={label} confidence={null} />
            </Choice>
          ))}
        </Group>
      )}
      {models.length > 0 && (
        <Group title={text.suggestedBy}>
          {models.map((model) => {
            const { name, modelVersion } = model;
            return (
              <Choice
                key={model.id}
                count={model.pendingCount}
                isChosen={isChosen(model)}
                choose={() => change({ models: toggled(chosen.models, { name, modelVersion }, isSameModel) })}
              >
                {name} <span className="quiet">{modelVersion}</span>
              </Choice>
            );
          })}
        </Group>
      )}
      <Group title={text.confidence}>
        <select
          aria-label={text.confidence}
          value={chosen.minConfidence}
          onChange={(event) => change({ minConfidence: Number(event.target.value) })}
        >
          {[...new Set([...LEAST, chosen.minConfidence])]
            .sort((one, other) => one - other)
            .map((least) => (
              <option key={least} value={least}>
                {least === 0 ? text.any : text.atLeast(percent(least))}
              </option>
            ))}
        </select>
        <label className="line">
          <input
            type="checkbox"
            checked={chosen.disagrees}
            onChange={(event) => change({ disagrees: event.target.checked })}
          />
          {text.disagrees}
        </label>
      </Group>
    </>
  );
}
