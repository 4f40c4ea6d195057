/** One image, large: zoom and pan, its labels, and the shapes on it, which are drawn, moved and relabelled. */
import {
  type KeyboardEvent,
  type PointerEvent,
  useEffect,
  useLayoutEffect,
  useRef,
  useState,
  useSyncExternalStore,
  type WheelEvent,
} from "react";
import { useQuery } from "urql";

import {
  AnnotateSamplesDocument,
  ImageDocument,
  LabelSamplesDocument,
  type SampleAnnotationsInput,
} from "./gql/graphql";
import type { SampleList } from "./list";
import { Action, Chip, Dialog, LabelBox, labelStyle } from "./parts";
import {
  type Annotation,
  boxOf,
  cornersOf,
  inputOf,
  isTurned,
  matrixOf,
  movedBy,
  reshaped,
  type Shape,
  type Spot,
  within,
} from "./shapes";
import { type Text, bytes } from "./text";
import { type Label, useWorkspace } from "./workspace";

type Tool = keyof Text["tools"];
const LEAST = 3; // shown pixels: what is smaller was a click, not a box
const ZOOM = 1.25;

interface ImageViewProps {
  list: SampleList;
  index: number;
  go: (index: number) => void;
  close: () => void;
}

export default function ImageView({ list, index, go, close }: ImageViewProps) {
  const { text } = useWorkspace();
  useSyncExternalStore(list.subscribe, list.snapshot);
  useEffect(() => list.want(Math.max(0, index - 1), index + 1), [list, index]);
  const [shown, setShown] = useState(list.sample(index)); // the same image, also when it leaves the list meanwhile
  useEffect(() => setShown(list.sample(index) ?? shown), [index]);
  const sample = shown ?? list.sample(index);
  const total = list.total ?? 0;
  // An image that got its label leaves the list of those without: the next one is at its place then.
  const isHere = list.sample(index)?.id === sample?.id;
  const next = () => (isHere ? go(index + 1) : setShown(list.sample(index)));
  return (
    <Dialog title={sample?.path ?? text.loading} close={close} className="image-view">
      {sample && (
        <Editor
          key={sample.id}
          id={sample.id}
          position={`${(index + 1).toLocaleString()} / ${total.toLocaleString()}`}
          previous={index > 0 ? () => go(index - 1) : undefined}
          next={index < total - (isHere ? 1 : 0) ? next : undefined}
        />
      )}
    </Dialog>
  );
}

interface EditorProps {
  id: string;
  position: string;
  previous: (() => void) | undefined;
  next: (() => void) | undefined;
}

/** What is being drawn or dragged. */
type Gesture =
  | { kind: "pan"; from: Spot }
  | { kind: "box"; from: Spot; to: Spot }
  | { kind: "move"; annotation: string; shape: Shape; from: Spot }
  | { kind: "corner"; annotation: string; shape: Shape; corner: number };

let lastLabel: Label | null = null; // that of the last shape, also on the next image

function Editor({ id, position, previous, next }: EditorProps) {
  const { dataset, mutate, text } = useWorkspace();
  const [{ data }] = useQuery({ query: ImageDocument, variables: { id }, requestPolicy: "cache-and-network" });
  const image = data?.node && "annotations" in data.node ? data.node : null;
  const takesShapes = dataset.type !== "IMAGE_CLASSIFICATION";
  const may = dataset.viewerCan.label;
  const tools: Tool[] = dataset.type === "IMAGE_SEGMENTATION" ? ["select", "polygon"] : ["select", "box", "polygon"];

  const [tool, setTool] = useState<Tool>("select");
  const [label, setLabel] = useState<Label | null>(
    () => dataset.labels.find(({ id }) => id === lastLabel?.id) ?? dataset.labels[0] ?? null,
  );
  const [chosen, setChosen] = useState<string | null>(null); // the id of an annotation
  const [gesture, setGesture] = useState<Gesture | null>(null);
  const [points, setPoints] = useState<Spot[]>([]); // of a polygon that is not complete
  const [drafts, setDrafts] = useState<ReadonlyMap<string, Shape>>(new Map()); // moved, and not answered yet
  const [added, setAdded] = useState<readonly { shape: Shape; label: Pick<Label, "name" | "color"> }[]>([]);
  const [view, setView] = useState({ scale: 0, x: 0, y: 0 });
  const stage = useRef<HTMLDivElement>(null);
  const group = useRef<SVGGElement>(null);
  const [loadedSize, setLoadedSize] = useState<[number, number] | null>(null);

  const isRotated = isTurned(image?.orientation ?? null);
  const [width, height] = [image?.width ?? 0, image?.height ?? 0];
  const [shownWidth, shownHeight] = width ? (isRotated ? [height, width] : [width, height]) : (loadedSize ?? [0, 0]);

  const fit = () => {
    const { clientWidth, clientHeight } = stage.current!;
    if (!shownWidth) return;
    const scale = Math.min((clientWidth - 24) / shownWidth, (clientHeight - 24) / shownHeight, 8);
    setView({ scale, x: (clientWidth - shownWidth * scale) / 2, y: (clientHeight - shownHeight * scale) / 2 });
  };
  useLayoutEffect(fit, [shownWidth, shownHeight]);

  /** Zooms, and keeps a place of the window where it is: its middle, if none is given. */
  const zoom = (factor: number, at?: Spot) => {
    const { clientWidth, clientHeight } = stage.current!;
    const { x, y } = at ?? { x: clientWidth / 2, y: clientHeight / 2 };
    setView((old) => {
      const scale = Math.max(0.02, Math.min(64, old.scale * factor));
      return { scale, x: x - ((x - old.x) * scale) / old.scale, y: y - ((y - old.y) * scale) / old.scale };
    });
  };
  const onWheel = (event: WheelEvent) => {
    const { left, top } = stage.current!.getBoundingClientRect();
    zoom(1.0015 ** -event.deltaY, { x: event.clientX - left, y: event.clientY - top });
  };

  /** Where a pointer is, in pixels of the stored image: the browser knows zoom, place and rotation. */
  const spotOf = (event: { clientX: number; clientY: number }): Spot => {
    const inverse = group.current!.getScreenCTM()!.inverse();
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(inverse);
    return within({ x, y }, width, height);
  };

  const annotate = async (edits: Omit<SampleAnnotationsInput, "sampleId">) => {
    const input = { datasetId: dataset.id, samples: [{ sampleId: id, ...edits }], createMissing: true };
    return mutate(AnnotateSamplesDocument, { input });
  };
  const add = async (shape: Shape) => {
    if (!label || !may) return;
    lastLabel = label;
    const one = { shape, label };
    setAdded((others) => [...others, one]);
    const known = new Set(image?.annotations.map((annotation) => annotation.id));
    const answer = await annotate({ add: [{ labelId: label.id, shape: inputOf(shape) }] });
    setAdded((others) => others.filter((other) => other !== one));
    const made = answer?.annotateSamples?.samples[0]?.annotations.find((annotation) => !known.has(annotation.id));
    if (made) setChosen(made.id);
  };
  const draft = (annotation: string, shape: Shape | null) =>
    setDrafts((old) => {
      const drafted = new Map(old);
      if (shape) drafted.set(annotation, shape);
      else drafted.delete(annotation);
      return drafted;
    });
  const saveShape = async (annotation: string, shape: Shape) => {
    await annotate({ update: [{ id: annotation, shape: inputOf(shape) }] });
    draft(annotation, null);
  };
  const remove = async (annotation: string) => {
    setChosen(null);
    await annotate({ remove: [annotation] });
  };

  /** A label is for the chosen shape, for the whole image, or for what is drawn next. */
  const takeLabel = async (given: { id?: string; name: string }) => {
    const named = given.id ? { labelId: given.id } : { label: given.name };
    if (!takesShapes) {
      const isOn = image?.labels.some((own) => own.id === given.id);
      const names = given.id ? { labelIds: [given.id] } : { labels: [given.name], createMissing: true };
      await mutate(LabelSamplesDocument, {
        input: { datasetId: dataset.id, select: { ids: [id] }, mode: isOn ? "REMOVE" : "ADD", ...names },
      });
    } else if (chosen) await annotate({ update: [{ id: chosen, ...named }] });
    else setLabel(dataset.labels.find((each) => each.id === given.id) ?? label);
  };

  const endPolygon = () => {
    if (points.length >= 3) void add({ __typename: "Polygon", points });
    setPoints([]);
  };

  const onPointerDown = (event: PointerEvent) => {
    if (event.button > 1) return;
    const target = event.target as Element;
    const [annotation, corner] = [target.getAttribute("data-annotation"), target.getAttribute("data-corner")];
    const shape = image?.annotations.find((each) => each.id === annotation)?.shape;
    const from = spotOf(event);
    event.currentTarget.setPointerCapture(event.pointerId);
    if (event.button === 1 || (tool === "select" && !shape)) {
      setChosen(null);
      setGesture({ kind: "pan", from: { x: event.clientX - view.x, y: event.clientY - view.y } });
    } else if (tool === "box" && may) setGesture({ kind: "box", from, to: from });
    else if (tool === "polygon" && may) {
      const [first] = points;
      const isClosing = first && points.length >= 3 && Math.hypot(from.x - first.x, from.y - first.y) * view.scale < 10;
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
    if (!gesture) return;
    if (gesture.kind === "pan") {
      setView({ ...view, x: event.clientX - gesture.from.x, y: event.clientY - gesture.from.y });
      return;
    }
    const to = spotOf(event);
    if (gesture.kind === "box") setGesture({ ...gesture, to });
    else if (gesture.kind === "corner") draft(gesture.annotation, reshaped(gesture.shape, gesture.corner, to));
    else {
      const by = { x: to.x - gesture.from.x, y: to.y - gesture.from.y };
      if (drafts.has(gesture.annotation) || Math.hypot(by.x, by.y) * view.scale > LEAST)
        draft(gesture.annotation, movedBy(gesture.shape, by, width, height));
    }
  };
  const onPointerUp = () => {
    setGesture(null);
    if (gesture?.kind === "box") {
      const box = boxOf(gesture.from, gesture.to);
      const isBox = Math.min(box.xMax - box.xMin, box.yMax - box.yMin) * view.scale >= LEAST;
      if (isBox) void add({ __typename: "BoundingBox", ...box });
    } else if (gesture && gesture.kind !== "pan") {
      const shape = drafts.get(gesture.annotation);
      if (shape) void saveShape(gesture.annotation, shape);
    }
  };

  const chosenShape = chosen
    ? (drafts.get(chosen) ?? image?.annotations.find((each) => each.id === chosen)?.shape)
    : null;
  const onKeyDown = (event: KeyboardEvent) => {
    if ((event.target as Element).matches("input, select")) return;
    const arrows: Record<string, Spot> = {
      ArrowLeft: { x: -1, y: 0 },
      ArrowRight: { x: 1, y: 0 },
      ArrowUp: { x: 0, y: -1 },
      ArrowDown: { x: 0, y: 1 },
    };
    const arrow = arrows[event.key];
    const step = event.ctrlKey ? 10 : 1;
    const shortcut =
      !event.ctrlKey && !event.metaKey && !event.altKey && dataset.labels.find((each) => each.shortcut === event.key);
    if (arrow && chosen && chosenShape && may) {
      const by = { x: arrow.x * step, y: arrow.y * step };
      if (event.shiftKey && chosenShape.__typename === "BoundingBox") {
        const to = within({ x: chosenShape.xMax + by.x, y: chosenShape.yMax + by.y }, width, height);
        draft(
          chosen,
          reshaped(chosenShape, 2, {
            x: Math.max(to.x, chosenShape.xMin + 1),
            y: Math.max(to.y, chosenShape.yMin + 1),
          }),
        );
      } else draft(chosen, movedBy(chosenShape, by, width, height));
    } else if (event.key === "ArrowLeft" && previous) previous();
    else if (event.key === "ArrowRight" && next) next();
    else if (shortcut && may) void takeLabel(shortcut);
    else if (event.key === "+" || event.key === "=") zoom(ZOOM);
    else if (event.key === "-") zoom(1 / ZOOM);
    else if (event.key === "0") fit();
    else if (event.key === "Delete" && chosen && may) void remove(chosen);
    else if (event.key === "Enter" && event.target === stage.current) {
      if (tool === "polygon") endPolygon();
      else if (tool === "box" && takesShapes && width) {
        // A box in the middle, for those who do not draw: arrows move it, Shift and arrows resize it.
        const middle = { x: width / 2, y: height / 2 };
        void add({
          __typename: "BoundingBox",
          ...boxOf(
            { x: middle.x - width / 10, y: middle.y - height / 10 },
            { x: middle.x + width / 10, y: middle.y + height / 10 },
          ),
        });
      } else return;
    } else if (event.key === "Escape" && (chosen || points.length > 0)) {
      setChosen(null);
      setPoints([]);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const onKeyUp = (event: KeyboardEvent) => {
    if (event.key.startsWith("Arrow") && chosen && drafts.has(chosen)) void saveShape(chosen, drafts.get(chosen)!);
  };

  const drawn =
    gesture?.kind === "box" ? ({ __typename: "BoundingBox", ...boxOf(gesture.from, gesture.to) } as const) : null;
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
            : text.loading
        }
        aria-description={takesShapes ? text.toolHelp[tool] : undefined}
        data-first
        autoFocus
        onWheel={onWheel}
        onPointerDown={onPointerDown}
        onPointerMove={onPointerMove}
        onPointerUp={onPointerUp}
        onDoubleClick={() => tool === "select" && fit()}
      >
        {image && (
          <div
            className="plane"
            style={{
              width: shownWidth,
              height: shownHeight,
              transform: `translate(${view.x}px, ${view.y}px) scale(${view.scale})`,
            }}
          >
            <img
              src={image.imageUrl}
              alt=""
              draggable={false}
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
              <g ref={group} transform={matrixOf(image.orientation, width, height)}>
                {shapes.map((annotation) => (
                  <Drawing
                    key={annotation.id}
                    annotation={annotation.id}
                    label={annotation.label}
                    shape={drafts.get(annotation.id) ?? annotation.shape!}
                    scale={view.scale}
                    isChosen={annotation.id === chosen}
                    isPending={drafts.has(annotation.id)}
                  />
                ))}
                {added.map(({ shape, label: own }, order) => (
                  <Drawing key={order} label={own} shape={shape} scale={view.scale} isPending />
                ))}
                {drawn && label && <Drawing label={label} shape={drawn} scale={view.scale} isPending />}
                {points.length > 0 && label && (
                  <Drawing
                    label={label}
                    shape={{ __typename: "Polyline", points }}
                    scale={view.scale}
                    isChosen
                    isPending
                  />
                )}
              </g>
            </svg>
          </div>
        )}
      </div>
      <aside className="side">
        <div className="buttons">
          <button
            type="button"
            aria-label={text.previous}
            title={text.previous}
            disabled={!previous}
            onClick={previous}
          >
            ←
          </button>
          <span>{position}</span>
          <button type="button" aria-label={text.next} title={text.next} disabled={!next} onClick={next}>
            →
          </button>
          <span className="end">
            <button type="button" aria-label={text.zoomOut} title={text.zoomOut} onClick={() => zoom(1 / ZOOM)}>
              −
            </button>
            <button type="button" aria-label={text.zoomIn} title={text.zoomIn} onClick={() => zoom(ZOOM)}>
              +
            </button>
            <button type="button" onClick={fit}>
              {text.fit}
            </button>
          </span>
        </div>
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
                    stage.current?.focus();
                  }}
                >
                  {text.tools[each]}
                </Action>
              ))}
            </div>
            <p className="quiet">{text.toolHelp[tool]}</p>
            <p>
              {text.labelForShapes}: {label ? <Chip label={label} /> : "–"}
            </p>
          </>
        )}
        <LabelBox
          name={takesShapes ? text.labelForShapes : text.typeLabel}
          may={may}
          mayCreate={!takesShapes || chosen !== null}
          choose={(given) => void takeLabel(given)}
        />
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
                    onClick={() => void takeLabel(own)}
                  >
                    ✕
                  </Action>
                </span>
              </li>
            ))}
          </ul>
        )}
        {takesShapes && (
          <ShapeList
            annotations={image?.annotations ?? []}
            chosen={chosen}
            choose={(annotation) => {
              setChosen(annotation);
              setTool("select");
            }}
            remove={(annotation) => void remove(annotation)}
          />
        )}
        {image && (
          <p className="quiet">
            {image.width && image.height && text.pixels(shownWidth, shownHeight)} {image.format} · {bytes(image.size)} ·{" "}
            {new Date(image.createdAt).toLocaleString()}
            {image.labeledBy && ` · ${text.labelledBy}: ${image.labeledBy}`}
            {image.isDamaged && ` · ${text.damaged}`}
          </p>
        )}
      </aside>
    </div>
  );
}

interface ShapeListProps {
  annotations: readonly Annotation[];
  chosen: string | null;
  choose: (annotation: string) => void;
  remove: (annotation: string) => void;
}

function ShapeList({ annotations, chosen, choose, remove }: ShapeListProps) {
  const { dataset, text } = useWorkspace();
  return (
    <section>
      <h2>
        {text.shapes} <span className="figure">{annotations.length}</span>
      </h2>
      {annotations.length === 0 && <p className="quiet">{text.noShapes}</p>}
      <ul className="rows">
        {annotations.map(({ id, label, shape, isConfirmed, confidence }) => (
          <li key={id}>
            <button type="button" className="apply" aria-pressed={id === chosen} onClick={() => choose(id)}>
              <span className="dot" style={labelStyle(label)} />
              <span className="name">{label.name}</span>
              <span className="quiet">{text.shape[shape?.__typename ?? "whole"]}</span>
              {!isConfirmed && (
                <span className="badge">
                  {text.suggestion} {confidence !== null && `${Math.round(confidence * 100)} %`}
                </span>
              )}
            </button>
            <Action
              may={dataset.viewerCan.label}
              className="small"
              label={`${text.remove}: ${label.name}`}
              onClick={() => remove(id)}
            >
              ✕
            </Action>
          </li>
        ))}
      </ul>
    </section>
  );
}

interface DrawingProps {
  annotation?: string;
  label: Pick<Label, "name" | "color">;
  shape: Shape;
  scale: number;
  isChosen?: boolean;
  isPending?: boolean;
}

function Drawing({ annotation, label, shape, scale, isChosen = false, isPending = false }: DrawingProps) {
  const common = {
    "data-annotation": annotation,
    className: `shape${isChosen ? " chosen" : ""}${isPending ? " pending" : ""}`,
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
