/** What is in focus in the list, and what is selected. */
import { useEffect, useRef, useState } from "react";

import type { Card, SampleList } from "./list";
import type { Target } from "./workspace";

const IDS = 1_000; // most ids of samples in one mutation
const SHOWN = 100; // selected images whose suggestions are summed up

export function useSelection(list: SampleList) {
  const [focus, setFocus] = useState(0);
  const [anchor, setAnchor] = useState(0); // where a selection from one image to another begins
  const [ids, setIds] = useState<ReadonlySet<string>>(new Set());
  const [isAll, setAll] = useState(false); // all that match are selected
  const followed = useRef<string | null>(null); // the image that the focus stays on while others leave the list
  const total = list.total ?? 0;

  useEffect(() => {
    const at = followed.current === null ? -1 : list.indexOf(followed.current);
    const place = at >= 0 ? at : Math.min(focus, Math.max(0, total - 1));
    if (list.total === null || place === focus) return;
    setFocus(place);
    setAnchor(place);
  });

  const moveTo = (index: number, follows: string | null = null) => {
    followed.current = follows;
    setFocus(index);
    setAnchor(index);
  };
  const select = (chosen: Iterable<string>) => {
    setIds(new Set(chosen));
    setAll(false);
  };
  const deselect = () => select([]);
  const restart = () => {
    moveTo(0);
    deselect();
  };
  const selectAll = () => {
    setIds(new Set());
    setAll(true);
  };
  const toggle = (index: number) => {
    const sample = list.sample(index);
    moveTo(index);
    if (!sample) return;
    const next = new Set(isAll ? [] : ids);
    if (!next.delete(sample.id)) next.add(sample.id);
    select(next);
  };
  /** From where the last selection began. Returns whether that is not too far away. */
  const selectTo = async (index: number): Promise<boolean> => {
    followed.current = null;
    setFocus(index);
    const [first, last] = [Math.min(anchor, index), Math.max(anchor, index)];
    if (last - first >= IDS) return false;
    const samples = await list.range(first, last);
    if (samples) select(samples.map((sample) => sample.id));
    return true;
  };
  const selectAlso = (first: number, last: number) =>
    select([...ids, ...list.samples(first, last).map((sample) => sample.id)]);
  /** The focus goes on to the next image, and stays there when those before it leave the list. */
  const goOn = () => {
    const next = list.sample(focus + 1);
    if (next) moveTo(focus + 1, next.id);
  };

  /** What a label goes to: what is selected, or else the image in focus. */
  const findTarget = (): Target | null => {
    if (isAll) return total ? { selects: [{ filter: list.filter }], expectedCount: total, count: total } : null;
    const focused = list.sample(focus);
    const chosen = ids.size > 0 ? [...ids] : focused ? [focused.id] : [];
    if (chosen.length === 0) return null;
    const selects = [];
    for (let start = 0; start < chosen.length; start += IDS) selects.push({ ids: chosen.slice(start, start + IDS) });
    return { selects, count: chosen.length };
  };

  const target = findTarget();
  /** The images that the target names, if all of them are read. */
  const cards = (): Card[] => {
    const [{ ids = [] } = {}, ...others] = target?.selects ?? [];
    const found = ids.length > SHOWN || others.length > 0 ? [] : ids.map((id) => list.sample(list.indexOf(String(id))));
    return found.includes(undefined) ? [] : (found as Card[]);
  };

  return {
    focus,
    count: isAll ? total : ids.size,
    isAll,
    isSelected: (id: string) => isAll || ids.has(id),
    moveTo,
    toggle,
    selectTo,
    selectAll,
    selectAlso,
    deselect,
    restart,
    goOn,
    target,
    cards,
  };
}
