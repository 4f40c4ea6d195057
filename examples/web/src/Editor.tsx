/** Zoom and pan of one image, its labels, and the shapes on it, which are drawn, moved and relabelled. */
import {
  type CSSProperties,
  type KeyboardEvent,
  type PointerEvent,
  useEffect,
  useLayoutEffect,
  useRef,
  useState,
} from "react";
import { useQuery } from "urql";

import { type DrawnLabel, useAnnotations } from "./annotations";
import { Confidence, Cross, Drawing, ShapeList } from "./Drawing";
import { ImageDocument, LabelSamplesDocument, type SuggestionDecision } from "./gql/graphql";
import { Facts, Steps } from "./ImageParts";
import { Action, Chip, LabelBox, SuggestedChip, useLast } from "./parts";
import { Picture } from "./Picture";
import {
  type Annotation,
  asShown,
  asStored,
  boxOf,
  isTurned,
  movedBy,
  reshaped,
  resized,
  type Shape,
  type Spot,
  transformOf,
  within,
} from "./shapes";
import { decisionOf, suggested, toAccept } from "./decisions";
import { Decisions } from "./Suggestions";
import type { Text } from "./text";
import { useView } from "./view";
import { useWorkspace } from "./workspace";

type Tool = keyof Text["tools"];
const LEAST = 3; // shown pixels: what is smaller was a click, not a box
const CLOSE = 10; // shown pixels from the first corner of a polygon, to end it
const STEP = 5; // shown pixels by which an arrow moves the cross; ten times as many with Ctrl
const ZOOM = 1.25;
const ARROWS: Record<string, Spot> = {
  ArrowLeft: { x: -1, y: 0 },
  ArrowRight: { x: 1, y: 0 },
  ArrowUp: { x: 0, y: -1 },
  ArrowDown: { x: 0, y: 1 },
};

interface EditorProps {
  id: string;
  changes: number;
  position: string;
  previous: (() => void) | undefined;
  next: (() => void) | undefined;
}

/** What is being drawn or dragged. */
type Gesture =
  | { kind: "pan" }
  | { kind: "pinch" }
  | { kind: "box"; from: Spot; to: Spot }
  | { kind: "move"; annotation: string; shape: Shape; from: Spot }
  | { kind: "corner"; annotation: string; shape: Shape; corner: number };

let lastLabel: DrawnLabel | null = null; // that of the last shape, also on the next image

export function Editor({ id, changes, position, previous, next }: EditorProps) {
  const { dataset, mutate, say, text } = useWorkspace();
  const [{ data: answer, error }, execute] = useQuery({
    query: ImageDocument,
    variables: { id },
    requestPolicy: "cache-and-network",
  });
  const data = useLast(error ? undefined : answer);
  const read = () => execute({ requestPolicy: "network-only" });
  const seen = useRef(changes);
  useEffect(() => {
    if (changes > seen.current) read();
    seen.current = changes;
  }, [changes]);
  const image = data?.node && "annotations" in data.node ? data.node : null;
  const takesShapes = dataset.type !== "IMAGE_CLASSIFICATION";
  const may = dataset.viewerCan.label;
  const tools: Tool[] = dataset.type === "IMAGE_SEGMENTATION" ? ["select", "polygon"] : ["select", "box", "polygon"];

  const [tool, setTool] = useState<Tool>("select");
  const [label, setLabel] = useState<DrawnLabel | null>(
    () => dataset.labels.find(({ name }) => name === lastLabel?.name) ?? dataset.labels[0] ?? null,
  );
  const [chosen, setChosen] = useState<string | null>(null); // the id of an annotation
  const [gesture, setGesture] = useState<Gesture | null>(null);
  const [points, setPoints] = useState<Spot[]>([]); // of a shape that is not complete
  const [cross, setCross] = useState<Spot | null>(null); // where the keys are
  const { drafts, added, draft, add, update, remove, decide } = useAnnotations(id, image?.annotations ?? []);
  const stage = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => stage.current?.focus(), []); // keys go on with the next image
  const group = useRef<SVGGElement>(null);
  const touching = useRef(new Map<number, Spot>()); // pointers, where they are in the window
  const [loadedSize, setLoadedSize] = useState<[number, number] | null>(null);

  const orientation = image?.orientation ?? null;
  const [width, height] = [image?.width ?? 0, image?.height ?? 0];
  const [shownWidth, shownHeight] = width
    ? isTurned(orientation)
      ? [height, width]
      : [width, height]
    : (loadedSize ?? [0, 0]);
  const { view, fit, zoom, pan, onWheel } = useView(stage, shownWidth, shownHeight);

  /** Where a place of the window is, in pixels of the stored image: the browser knows zoom, place and rotation. */
  const spotAt = (x: number, y: number): Spot => {
    const spot = new DOMPoint(x, y).matrixTransform(group.current!.getScreenCTM()!.inverse());
    return within({ x: spot.x, y: spot.y }, width, height);
  };
  const middle = () => {
    const { left, top, width, height } = stage.current!.getBoundingClientRect();
    return spotAt(left + width / 2, top + height / 2);
  };

  const draw = async (shape: Shape) => {
    if (!may || !width) return;
    if (!label) return say(text.labelFirst, "bad");
    lastLabel = label;
    const made = await add(shape, label);
    if (made) setChosen(made);
  };
  const drawBox = (from: Spot, to: Spot) => {
    const box = boxOf(from, to);
    const isBox = Math.min(box.xMax - box.xMin, box.yMax - box.yMin) * view.scale >= LEAST;
    if (isBox) void draw({ __typename: "BoundingBox", ...box });
  };
  const endPolygon = () => {
    if (points.length >= 3) void draw({ __typename: "Polygon", points });
    setPoints([]);
  };
  const save = (annotation: string) => {
    const shape = drafts.get(annotation);
    if (shape) void update(annotation, { shape });
  };
  const erase = (annotation: string) => {
    setChosen(null);
    void remove(annotation);
  };
  const suggestions = suggested(image?.annotations);
  const decideOne = (decision: SuggestionDecision, decided: readonly Annotation[]) => {
    void decide(decision, decided);
    stage.current?.focus(); // the button goes with its suggestion
  };
  /** About the chosen suggestion, or all of the image. */
  const decideByKey = (decision: SuggestionDecision) => {
    const meant = chosen ? suggestions.filter((suggestion) => suggestion.id === chosen) : suggestions;
    if (meant.length > 0) void decide(decision, decision === "ACCEPT" ? toAccept(meant) : meant);
    else say(text.nothingSuggested);
    if (decision === "REJECT") setChosen(null);
  };

  /** A label is for the chosen shape, for the whole image, or for what is drawn next. */
  const takeLabel = (given: { id?: string; name: string }) => {
    if (!takesShapes) {
      const isOn = image?.labels.some((own) => own.id === given.id);
      const named = given.id ? { labelIds: [given.id] } : { labels: [given.name], createMissing: true };
      void mutate(LabelSamplesDocument, {
        input: { datasetId: dataset.id, select: { ids: [id] }, mode: isOn ? "REMOVE" : "ADD", ...named },
      });
    } else if (chosen) void update(chosen, { label: given });
    else setLabel(dataset.labels.find((each) => each.id === given.id) ?? { name: given.name, color: null });
  };

  const onPointerDown = (event: PointerEvent) => {
    if (event.button > 1 || !group.current) return;
    const target = event.target as Element;
    const [annotation, corner] = [target.getAttribute("data-annotation"), target.getAttribute("data-corner")];
    const shape = image?.annotations.find((each) => each.id === annotation)?.shape;
    const from = spotAt(event.clientX, event.clientY);
    event.currentTarget.setPointerCapture(event.pointerId);
    touching.current.set(event.pointerId, { x: event.clientX, y: event.clientY });
    setCross(null);
    if (touching.current.size > 1) {
      setGesture({ kind: "pinch" });
      if (tool === "polygon") setPoints(points.slice(0, -1)); // that of the first finger
    } else if (event.button === 1 || (tool === "select" && !shape)) {
      setChosen(null);
      setGesture({ kind: "pan" });
    } else if (tool === "box" && may) setGesture({ kind: "box", from, to: from });
    else if (tool === "polygon" && may) {
      const [first] = points;
      const isClosing =
        first && points.length >= 3 && Math.hypot(from.x - first.x, from.y - first.y) * view.scale < CLOSE;
      if (isClosing) endPolygon();
      else setPoints([...points, from]);
    } else if (annotation && shape) {
      setChosen(annotation);
      if (!may) return;
      const now = drafts.get(annotation) ?? shape;
      setGesture(
        corner === null
          ? { kind: "move", annotation, shape: now, from }
          : { kind: "corner", annotation, shape: now, corner: Number(corner) },
      );
    }
  };
  const onPointerMove = (event: PointerEvent) => {
    const before = touching.current.get(event.pointerId);
    if (!gesture || !before) return;
    const now = { x: event.clientX, y: event.clientY };
    const other = [...touching.current].find(([pointer]) => pointer !== event.pointerId)?.[1];
    touching.current.set(event.pointerId, now);
    if (gesture.kind === "pan") return pan({ x: now.x - before.x, y: now.y - before.y });
    if (gesture.kind === "pinch") {
      if (!other) return;
      const { left, top } = stage.current!.getBoundingClientRect();
      const distance = (one: Spot) => Math.max(1, Math.hypot(one.x - other.x, one.y - other.y));
      pan({ x: (now.x - before.x) / 2, y: (now.y - before.y) / 2 });
      zoom(distance(now) / distance(before), { x: (now.x + other.x) / 2 - left, y: (now.y + other.y) / 2 - top });
      return;
    }
    const to = spotAt(now.x, now.y);
    if (gesture.kind === "box") setGesture({ ...gesture, to });
    else if (gesture.kind === "corner") draft(gesture.annotation, reshaped(gesture.shape, gesture.corner, to));
    else {
      const by = { x: to.x - gesture.from.x, y: to.y - gesture.from.y };
      if (drafts.has(gesture.annotation) || Math.hypot(by.x, by.y) * view.scale > LEAST)
        draft(gesture.annotation, movedBy(gesture.shape, by, width, height));
    }
  };
  const onPointerUp = (event: PointerEvent) => {
    touching.current.delete(event.pointerId);
    setGesture(null);
    if (gesture?.kind === "box") drawBox(gesture.from, gesture.to);
    else if (gesture?.kind === "move" || gesture?.kind === "corner") save(gesture.annotation);
  };

  const chosenShape = chosen
    ? (drafts.get(chosen) ?? image?.annotations.find((each) => each.id === chosen)?.shape)
    : null;

  /** Drawing without a mouse: arrows move a cross, Space sets a corner there. Returns whether the key was for that. */
  const drawByKey = (event: KeyboardEvent): boolean => {
    if (tool === "select" || chosen || !may || !width || event.target !== stage.current) return false;
    const arrow = ARROWS[event.key];
    const at = cross ?? middle();
    if (arrow) {
      const step = (STEP * (event.ctrlKey ? 10 : 1)) / view.scale;
      const by = asStored({ x: arrow.x * step, y: arrow.y * step }, orientation);
      setCross(within({ x: at.x + by.x, y: at.y + by.y }, width, height));
    } else if (event.key === "Enter" && tool === "polygon") endPolygon();
    else if (event.key === " " || event.key === "Enter") {
      setCross(at);
      if (tool === "polygon" || points.length === 0) setPoints([...points, at]);
      else {
        drawBox(points[0]!, at);
        setPoints([]);
      }
    } else return false;
    return true;
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if ((event.target as Element).matches("input, select")) return;
    const arrow = ARROWS[event.key];
    const step = event.ctrlKey ? 10 : 1;
    const decision = decisionOf(event, dataset.labels);
    const shortcut =
      !event.ctrlKey && !event.metaKey && !event.altKey && dataset.labels.find((each) => each.shortcut === event.key);
    if (arrow && chosen && chosenShape && may) {
      const seen = { x: arrow.x * step, y: arrow.y * step };
      draft(
        chosen,
        event.shiftKey && chosenShape.__typename === "BoundingBox"
          ? resized(chosenShape, seen, orientation, width, height)
          : movedBy(chosenShape, asStored(seen, orientation), width, height),
      );
    } else if (drawByKey(event)) {
      // drawn
    } else if (event.key === "ArrowLeft" && previous) previous();
    else if (event.key === "ArrowRight" && next) next();
    else if (shortcut && may) takeLabel(shortcut);
    else if (decision && may) decideByKey(decision);
    else if (event.key === "+" || event.key === "=") zoom(ZOOM);
    else if (event.key === "-") zoom(1 / ZOOM);
    else if (event.key === "0") fit();
    else if (event.key === "Delete" && chosen && may) erase(chosen);
    else if (event.key === "Escape" && (chosen || points.length > 0 || cross)) {
      setChosen(null);
      setPoints([]);
      setCross(null);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const onKeyUp = (event: KeyboardEvent) => {
    if (ARROWS[event.key] && chosen) save(chosen);
  };

  const drawn: Shape | null =
    gesture?.kind === "box"
      ? { __typename: "BoundingBox", ...boxOf(gesture.from, gesture.to) }
      : tool === "box" && points[0] && cross
        ? { __typename: "BoundingBox", ...boxOf(points[0], cross) }
        : points.length > 0
          ? { __typename: "Polyline", points: cross ? [...points, cross] : points }
          : null;
  const shapes = image?.annotations.filter((annotation) => annotation.shape) ?? [];
  return (
    <div className="editor" onKeyDown={onKeyDown} onKeyUp={onKeyUp}>
      <div
        ref={stage}
        className={`stage ${takesShapes ? tool : "select"}`}
        tabIndex={0}
        role="application"
        aria-label={
          image
            ? `${image.fileName}: ${image.labels.map(({ name }) => name).join(", ") || text.unlabelled}`
            : data?.node === null
              ? text.deletedMeanwhile
              : text.loading
        }
        aria-description={takesShapes ? text.toolHelp[tool] : undefined}
        data-first
        onWheel={onWheel}
        onPointerDown={onPointerDown}
        onPointerMove={onPointerMove}
        onPointerUp={onPointerUp}
        onPointerCancel={onPointerUp}
        onDoubleClick={() => tool === "select" && fit()}
      >
        {data?.node === null && <p className="empty">{text.deletedMeanwhile}</p>}
        {image && !image.isSourceAvailable && <p className="empty">{text.gone}</p>}
        {image && (
          <div
            className="plane"
            style={
              {
              width: shownWidth,
              height: shownHeight,
              transform: `translate(${view.x}px, ${view.y}px) scale(${view.scale})`,
              "--scale": view.scale,
            } as CSSProperties
            }
          >
            <Picture
              src={image.imageUrl}
              refresh={read}
              style={{
                width: shownWidth || undefined,
                height: shownHeight || undefined,
                imageRendering: view.scale > 3 ? "pixelated" : "auto",
              }}
              onLoad={({ currentTarget }) => setLoadedSize([currentTarget.naturalWidth, currentTarget.naturalHeight])}
            />
            <svg
              viewBox={`0 0 ${shownWidth} ${shownHeight}`}
              width={shownWidth}
              height={shownHeight}
              aria-hidden="true"
            >
              <g ref={group} transform={transformOf(orientation, width, height)}>
                {shapes.map((annotation) => (
                  <Drawing
                    key={annotation.id}
                    annotation={annotation.id}
                    label={annotation.label}
                    shape={drafts.get(annotation.id) ?? annotation.shape!}
                    scale={view.scale}
                    isChosen={annotation.id === chosen}
                    isPending={drafts.has(annotation.id)}
                    isSuggested={!annotation.isConfirmed}
                  />
                ))}
                {added.map(({ shape, label: own }, order) => (
                  <Drawing key={order} label={own} shape={shape} scale={view.scale} isPending />
                ))}
                {drawn && (
                  <Drawing
                    label={label ?? { name: "", color: null }}
                    shape={drawn}
                    scale={view.scale}
                    isChosen={points.length > 0}
                    isPending
                  />
                )}
                {cross && <Cross at={cross} reach={12 / view.scale} />}
              </g>
              {suggestions.map((suggestion) => {
                if (!view.scale) return null; // the window has no size yet
                const shape = drafts.get(suggestion.id) ?? suggestion.shape;
                const shown = (spot: Spot) => asShown(spot, orientation, width, height);
                return shape && <Confidence key={suggestion.id} {...{ suggestion, shape, shown }} scale={view.scale} />;
              })}
            </svg>
          </div>
        )}
      </div>
      <aside className="side">
        <Steps {...{ position, previous, next, fit }} zoom={(steps) => zoom(ZOOM ** steps)} />
        {takesShapes && (
          <>
            <div className="tabs" role="group" aria-label={text.shapes}>
              {tools.map((each) => (
                <Action
                  key={each}
                  may={may || each === "select"}
                  pressed={tool === each}
                  onClick={() => {
                    setTool(each);
                    setPoints([]);
                    setCross(null);
                    if (each !== "select") setChosen(null);
                    stage.current?.focus();
                  }}
                >
                  {text.tools[each]}
                </Action>
              ))}
            </div>
            <p className="quiet">{text.toolHelp[tool]}</p>
            <p className="unseen" role="status">
              {cross && text.pixels(Math.round(cross.x), Math.round(cross.y))}
            </p>
            <p>
              {text.labelForShapes}: {label ? <Chip label={label} /> : "–"}
            </p>
          </>
        )}
        <LabelBox name={takesShapes ? text.labelForShapes : text.typeLabel} may={may} choose={takeLabel} />
        {!takesShapes && (
          <ul className="rows">
            {image?.labels.map((own) => (
              <li key={own.id}>
                <Chip label={own} />
                <span className="end">
                  <Action
                    may={may}
                    className="small"
                    label={`${text.remove}: ${own.name}`}
                    onClick={() => takeLabel(own)}
                  >
                    ✕
                  </Action>
                </span>
              </li>
            ))}
            {suggestions.map((suggestion) => (
              <li key={suggestion.id}>
                <SuggestedChip {...suggestion} />
                <Decisions name={suggestion.label.name} decide={(decision) => decideOne(decision, [suggestion])} />
              </li>
            ))}
          </ul>
        )}
        {takesShapes && (
          <ShapeList
            annotations={[...suggestions, ...(image?.annotations.filter(({ isConfirmed }) => isConfirmed) ?? [])]}
            chosen={chosen}
            choose={(annotation) => {
              setChosen(annotation);
              setTool("select");
            }}
            remove={erase}
            decide={decideOne}
          />
        )}
        {image && <Facts image={image} size={[shownWidth, shownHeight]} />}
      </aside>
    </div>
  );
}
