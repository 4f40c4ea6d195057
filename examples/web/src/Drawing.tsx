/** Shapes: drawn on an image, and as a list beside it. */
import type { SuggestionDecision } from "./gql/graphql";
import { Action, labelStyle } from "./parts";
import { type Annotation, cornersOf, type Shape, type Spot } from "./shapes";
import { Decisions } from "./Suggestions";
import { percent } from "./text";
import { type Label, useWorkspace } from "./workspace";

interface DrawingProps {
  annotation?: string;
  label: Pick<Label, "name" | "color">;
  shape: Shape;
  scale: number;
  isChosen?: boolean;
  isPending?: boolean;
  isSuggested?: boolean;
}

export function Drawing({ annotation, label, shape, scale, isChosen, isPending, isSuggested }: DrawingProps) {
  const common = {
    "data-annotation": annotation,
    className: ["shape", isChosen && "chosen", isPending && "pending", isSuggested && "suggested"]
      .filter(Boolean)
      .join(" "),
    style: labelStyle(label),
  };
  const listed = (points: readonly Spot[]) => points.map(({ x, y }) => `${x},${y}`).join(" ");
  return (
    <>
      {shape.__typename === "BoundingBox" && (
        <rect
          {...common}
          x={shape.xMin}
          y={shape.yMin}
          width={shape.xMax - shape.xMin}
          height={shape.yMax - shape.yMin}
        />
      )}
      {shape.__typename === "Polygon" && <polygon {...common} points={listed(shape.points)} />}
      {shape.__typename === "Polyline" && <polyline {...common} points={listed(shape.points)} />}
      {shape.__typename === "Circle" && <circle {...common} cx={shape.center.x} cy={shape.center.y} r={shape.radius} />}
      {shape.__typename === "Point" && <circle {...common} cx={shape.position.x} cy={shape.position.y} r={6 / scale} />}
      {isChosen &&
        cornersOf(shape).map(({ x, y }, corner) => (
          <circle
            key={corner}
            className="corner"
            data-annotation={annotation}
            data-corner={corner}
            cx={x}
            cy={y}
            r={6 / scale}
            style={labelStyle(label)}
          />
        ))}
    </>
  );
}

interface ConfidenceProps {
  suggestion: Annotation;
  shape: Shape;
  shown: (spot: Spot) => Spot; // where a place of the stored image is seen
  scale: number;
}

/** What is suggested and how surely, above its shape. It is upright on images that are stored rotated. */
export function Confidence({ suggestion: { label, confidence }, shape, shown, scale }: ConfidenceProps) {
  const corners = cornersOf(shape).map(shown);
  const [x, y] = [Math.min(...corners.map((corner) => corner.x)), Math.min(...corners.map((corner) => corner.y))];
  return (
    <text className="confidence" x={x} y={y - 5 / scale} fontSize={13 / scale} strokeWidth={3 / scale}>
      {label.name} {confidence !== null && percent(confidence)}
    </text>
  );
}

/** Where the keys draw. */
export function Cross({ at: { x, y }, reach }: { at: Spot; reach: number }) {
  return <path className="cross" d={`M${x - reach} ${y}H${x + reach}M${x} ${y - reach}V${y + reach}`} />;
}

interface ShapeListProps {
  annotations: readonly Annotation[];
  chosen: string | null;
  choose: (annotation: string) => void;
  remove: (annotation: string) => void;
  decide: (decision: SuggestionDecision, suggestions: readonly Annotation[]) => void;
}

export function ShapeList({ annotations, chosen, choose, remove, decide }: ShapeListProps) {
  const { dataset, text } = useWorkspace();
  return (
    <section>
      <h2>
        {text.shapes} <span className="figure">{annotations.length}</span>
      </h2>
      {annotations.length === 0 && <p className="quiet">{text.noShapes}</p>}
      <ul className="rows">
        {annotations.map((annotation) => {
          const { id, label, shape, isConfirmed, confidence } = annotation;
          return (
            <li key={id}>
              <button type="button" className="apply" aria-pressed={id === chosen} onClick={() => choose(id)}>
                <span className="dot" style={labelStyle(label)} />
                <span className="name">{label.name}</span>
                <span className="quiet">{text.shape[shape?.__typename ?? "whole"]}</span>
                {!isConfirmed && (
                  <span className="badge">
                    {text.suggested} {confidence !== null && percent(confidence)}
                  </span>
                )}
              </button>
              {isConfirmed ? (
                <Action
                  may={dataset.viewerCan.label}
                  reason={text.mayNotLabel}
                  className="small"
                  label={`${text.remove}: ${label.name}`}
                  onClick={() => remove(id)}
                >
                  ✕
                </Action>
              ) : (
                <Decisions name={label.name} decide={(decision) => decide(decision, [annotation])} />
              )}
            </li>
          );
        })}
      </ul>
    </section>
  );
}
