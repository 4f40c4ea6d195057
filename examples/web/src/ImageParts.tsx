/** What is beside an image, whatever is done to it: the way to the next one, zoom, and what is known of it. */
import type { ImageQuery } from "./gql/graphql";
import { bytes } from "./text";
import { useWorkspace } from "./workspace";

interface StepsProps {
  position: string;
  previous: (() => void) | undefined;
  next: (() => void) | undefined;
  zoom: (steps: number) => void;
  fit: () => void;
}

export function Steps({ position, previous, next, zoom, fit }: StepsProps) {
  const { text } = useWorkspace();
  return (
    <div className="buttons">
      <button type="button" aria-label={text.previous} title={text.previous} disabled={!previous} onClick={previous}>
        ←
      </button>
      <span>{position}</span>
      <button type="button" aria-label={text.next} title={text.next} disabled={!next} onClick={next}>
        →
      </button>
      <span className="end">
        <button type="button" aria-label={text.zoomOut} title={text.zoomOut} onClick={() => zoom(-1)}>
          −
        </button>
        <button type="button" aria-label={text.zoomIn} title={text.zoomIn} onClick={() => zoom(1)}>
          +
        </button>
        <button type="button" onClick={fit}>
          {text.fit}
        </button>
      </span>
    </div>
  );
}

interface FactsProps {
  image: NonNullable<ImageQuery["node"]>;
  size: readonly [width: number, height: number]; // as it is seen
}

export function Facts({ image, size: [width, height] }: FactsProps) {
  const { text } = useWorkspace();
  return (
    <p className="quiet">
      {image.width && image.height && text.pixels(width, height)} {image.format} · {bytes(image.size)} ·{" "}
      {new Date(image.createdAt).toLocaleString()}
      {image.labeledBy && ` · ${text.labelledBy}: ${image.labeledBy}`}
      {image.isDamaged && ` · ${text.damaged}`}
    </p>
  );
}
