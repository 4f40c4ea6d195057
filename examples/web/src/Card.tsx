/** An image of the list: its thumbnail, its labels, and what is suggested for it. */
import type { MouseEvent } from "react";

import { Drawing } from "./Drawing";
import type { SuggestionDecision } from "./gql/graphql";
import type { Card as Sample } from "./list";
import { Chip, SuggestedChip } from "./parts";
import { Picture } from "./Picture";
import { type Pending, stateOf, withPending } from "./pending";
import { type Annotation, isTurned, transformOf } from "./shapes";
import { byLabel } from "./decisions";
import { percent } from "./text";
import { useWorkspace } from "./workspace";

interface CardProps {
  sample: Sample;
  index: number;
  total: number;
  tile: number;
  style: { width: number; transform: string };
  isSelected: boolean;
  isFocused: boolean;
  pending: Pending | undefined;
  suggestions: readonly Annotation[];
  onClick: (index: number, event: MouseEvent) => void;
  open: (index: number) => void;
  decide: (decision: SuggestionDecision, sample: Sample) => void;
  refresh: () => void;
}

export function Card({
  sample,
  index,
  total,
  tile,
  style,
  isSelected,
  isFocused,
  pending,
  suggestions,
  onClick,
  open,
  decide,
  refresh,
}: CardProps) {
  const { dataset, text } = useWorkspace();
  const labels = withPending(sample.labels, pending);
  const suggestedLabels = byLabel(suggestions);
  const words = [
    sample.fileName,
    labels.map(({ name, state }) => (state ? `${name} (${text.saving})` : name)).join(", ") ||
      (sample.state === "PENDING" ? "" : text.unlabelled),
    sample.state === "PENDING" && suggestions.length === 0 && text.suggested,
    ...suggestedLabels.map(({ label, confidence }) => text.suggestedWith(label.name, percent(confidence ?? 0))),
    sample.isHard && text.hard,
    sample.isDamaged && text.damaged,
    !sample.isSourceAvailable && text.gone,
  ];
  return (
    <div
      id={`image-${index}`}
      className={`card${isSelected ? " selected" : ""}${isFocused ? " focused" : ""}`}
      style={style}
      role="option"
      aria-selected={isSelected}
      aria-setsize={total}
      aria-posinset={index + 1}
      aria-label={words.filter(Boolean).join("; ")}
      title={sample.path}
      onClick={(event) => onClick(index, event)}
      onDoubleClick={() => open(index)}
    >
      <div className="image" style={{ height: tile }}>
        {sample.isSourceAvailable ? (
          <Picture src={sample.thumbnailUrl} decoding="async" refresh={refresh} />
        ) : (
          <span className="gone">{text.gone}</span>
        )}
        <SuggestedShapes sample={sample} suggestions={suggestions} tile={tile} />
        <span className="check" aria-hidden="true" />
        {sample.isHard && <span className="hard" title={text.hard} aria-hidden="true" />}
        {suggestions.length > 0 && dataset.viewerCan.label && (
          <span className="decisions" aria-hidden="true">
            {(["ACCEPT", "REJECT"] as const).map((each) => (
              <span
                key={each}
                className={each.toLowerCase()}
                title={text.decisions[each]}
                onClick={(event) => {
                  event.stopPropagation();
                  decide(each, sample);
                }}
                onDoubleClick={(event) => event.stopPropagation()}
              >
                {each === "ACCEPT" ? "✓" : "✕"}
              </span>
            ))}
          </span>
        )}
      </div>
      <div className="chips">
        {suggestedLabels.map((each) => (
          <SuggestedChip key={each.label.id} {...each} state={stateOf(each.label.id, pending)} />
        ))}
        {labels.map((label) => (
          <Chip key={label.name} label={label} state={label.state} />
        ))}
      </div>
      <div className="file">{sample.fileName}</div>
    </div>
  );
}

/** The shapes that are suggested, where they are on the thumbnail. */
function SuggestedShapes({ sample, suggestions, tile }: Pick<CardProps, "sample" | "suggestions" | "tile">) {
  const { width, height, orientation = null } = sample;
  const shapes = suggestions.filter(({ shape }) => shape);
  if (!width || !height || shapes.length === 0) return null;
  const [shownWidth, shownHeight] = isTurned(orientation) ? [height, width] : [width, height];
  return (
    <svg viewBox={`0 0 ${shownWidth} ${shownHeight}`} aria-hidden="true">
      <g transform={transformOf(orientation, width, height)}>
        {shapes.map(({ id, label, shape }) => (
          <Drawing key={id} label={label} shape={shape!} scale={tile / Math.max(width, height)} isSuggested />
        ))}
      </g>
    </svg>
  );
}
