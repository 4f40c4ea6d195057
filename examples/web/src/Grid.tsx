/** The thumbnails of a list of any length: only those in view are in the document. */
import {
  type KeyboardEvent,
  type MouseEvent,
  type Ref,
  useEffect,
  useImperativeHandle,
  useLayoutEffect,
  useRef,
  useState,
  useSyncExternalStore,
} from "react";

import { Card } from "./Card";
import type { SuggestionConditions } from "./conditions";
import type { SuggestionDecision } from "./gql/graphql";
import type { Card as Sample, SampleList } from "./list";
import { usePending } from "./pending";
import { suggestionsOf } from "./decisions";
import { useWorkspace } from "./workspace";

const GAP = 10; // pixels, as in style/dataset.css
const CAPTION = 46; // pixels below an image
const TALLEST = 8_000_000; // pixels that every browser can scroll
const OVERSCAN = 2; // rows

export interface GridHandle {
  focus: () => void;
  /** The positions in view. */
  inView: () => [first: number, last: number];
}

interface GridProps {
  list: SampleList;
  least: number; // pixels: the width of an image, which grows to fill the row
  focus: number;
  isSelected: (id: string) => boolean;
  moveTo: (index: number, extend: boolean) => void;
  toggle: (index: number) => void;
  selectTo: (index: number) => void;
  open: (index: number) => void;
  suggestions: SuggestionConditions; // those that the images show
  decide: (decision: SuggestionDecision, sample: Sample) => void;
  handle: Ref<GridHandle>;
}

export function Grid({
  list,
  least,
  focus,
  isSelected,
  moveTo,
  toggle,
  selectTo,
  open,
  suggestions,
  decide,
  handle,
}: GridProps) {
  const { text } = useWorkspace();
  useSyncExternalStore(list.subscribe, list.snapshot);
  const pending = usePending();
  const element = useRef<HTMLDivElement>(null);
  const [size, setSize] = useState({ width: 0, height: 0 });
  // `top` is where the view is in the whole list, `scrolled` in the element that the browser scrolls.
  const [view, setView] = useState({ top: 0, scrolled: 0 });
  const settling = useRef(0);

  const total = list.total ?? 0;
  const columns = Math.max(1, Math.floor((size.width - GAP) / (least + GAP)));
  const tile = Math.max(least, Math.floor((size.width - GAP) / columns) - GAP);
  const rowHeight = tile + CAPTION + GAP;
  const height = Math.ceil(total / columns) * rowHeight + GAP;
  const scrollHeight = Math.min(height, TALLEST);
  const [lowest, lowestScrolled] = [Math.max(0, height - size.height), Math.max(0, scrollHeight - size.height)];
  const rowsInView = Math.ceil(size.height / rowHeight);
  const firstRow = Math.floor(view.top / rowHeight);
  const first = Math.max(0, (firstRow - OVERSCAN) * columns);
  const last = Math.min(total, (firstRow + rowsInView + OVERSCAN) * columns) - 1;

  useLayoutEffect(() => {
    const observer = new ResizeObserver(
      ([entry]) => entry && setSize({ width: entry.contentRect.width, height: entry.contentRect.height }),
    );
    observer.observe(element.current!);
    return () => observer.disconnect();
  }, []);

  useEffect(() => {
    if (size.height > 0) list.want(first, Math.max(first, last));
  }, [list, first, last, size.height]);

  useEffect(() => goTo(0), [list]);

  /** Moves the view, wherever it was. */
  const goTo = (top: number) => {
    const bounded = Math.max(0, Math.min(lowest, top));
    element.current!.scrollTop = lowest === lowestScrolled ? bounded : (bounded / lowest) * lowestScrolled;
    setView({ top: bounded, scrolled: element.current!.scrollTop });
  };

  /** A list that is taller than what can be scrolled: short ways are exact, long ones in proportion. */
  const onScroll = () => {
    const scrolled = element.current!.scrollTop;
    if (lowest === lowestScrolled) {
      setView({ top: scrolled, scrolled });
      return;
    }
    const moved = scrolled - view.scrolled;
    let top = Math.abs(moved) < size.height ? view.top + moved : (scrolled / lowestScrolled) * lowest;
    if (scrolled <= 0) top = 0;
    if (scrolled >= lowestScrolled - 1) top = lowest;
    top = Math.max(0, Math.min(lowest, top));
    setView({ top, scrolled });
    clearTimeout(settling.current);
    settling.current = window.setTimeout(() => goTo(top), 200); // the scroll bar shows the place again
  };

  // The image in focus is brought into view when the focus moves, not when the person scrolls away from it.
  useEffect(() => {
    const top = Math.floor(focus / columns) * rowHeight;
    if (size.height === 0 || focus >= total) return;
    if (top < view.top) goTo(top);
    else if (top + rowHeight > view.top + size.height) goTo(top + rowHeight + GAP - size.height);
  }, [focus, columns]);

  useImperativeHandle(handle, () => ({
    focus: () => element.current?.focus({ preventScroll: true }),
    inView: () => {
      const begin = Math.ceil(Math.max(0, view.top - tile / 2) / rowHeight) * columns;
      const rows = Math.max(1, Math.floor((size.height + tile / 2) / rowHeight));
      return [begin, Math.min(total, begin + rows * columns) - 1];
    },
  }));

  const onKeyDown = (event: KeyboardEvent) => {
    const steps: Record<string, number> = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -columns,
      ArrowDown: columns,
      PageUp: -columns * Math.max(1, rowsInView - 1),
      PageDown: columns * Math.max(1, rowsInView - 1),
      Home: -total,
      End: total,
    };
    const step = steps[event.key];
    if (event.altKey || (event.ctrlKey && step === undefined) || event.metaKey) return;
    if (step !== undefined) {
      const next = focus + step;
      if (Math.abs(step) === columns && (next < 0 || next >= total)) return event.preventDefault();
      moveTo(Math.max(0, Math.min(total - 1, next)), event.shiftKey);
    } else if (event.key === " ") toggle(focus);
    else if (event.key === "Enter") open(focus);
    else return;
    event.preventDefault();
  };

  const onClick = (index: number, event: MouseEvent) => (event.shiftKey ? selectTo(index) : toggle(index));

  const cells = [];
  const keys = new Set<string>(); // an image is at two places for a moment when others come before it
  for (let index = first; index <= last; index++) {
    const y = Math.floor(index / columns) * rowHeight + GAP + view.scrolled - view.top;
    const style = { width: tile, transform: `translate(${GAP + (index % columns) * (tile + GAP)}px, ${y}px)` };
    const sample = list.sample(index);
    cells.push(
      sample ? (
        <Card
          key={keys.has(sample.id) ? index : (keys.add(sample.id), sample.id)}
          {...{ sample, index, total, tile, style, onClick, open, decide, pending: pending.get(sample.id) }}
          suggestions={suggestionsOf(sample, suggestions)}
          isSelected={isSelected(sample.id)}
          isFocused={index === focus}
          refresh={() => list.refresh()}
        />
      ) : (
        <div key={index} className="card placeholder" style={style} aria-hidden="true">
          <div className="image" style={{ height: tile }} />
        </div>
      ),
    );
  }
  return (
    <div
      ref={element}
      id="grid"
      className="grid"
      role="listbox"
      aria-label={text.imageList(total)}
      aria-multiselectable="true"
      aria-activedescendant={list.sample(focus) && focus >= first && focus <= last ? `image-${focus}` : undefined}
      aria-busy={list.total === null}
      tabIndex={0}
      onScroll={onScroll}
      onKeyDown={onKeyDown}
    >
      <div className="space" style={{ height: scrollHeight }} role="presentation">
        {cells}
      </div>
    </div>
  );
}
