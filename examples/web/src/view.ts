/** Zoom and pan: where an image is in its window. */
import { type RefObject, useLayoutEffect, useState, type WheelEvent } from "react";

import type { Spot } from "./shapes";

const MARGIN = 24; // pixels around an image that fits
const [SMALLEST, LARGEST] = [0.02, 64]; // shown pixels for one of the image

export function useView(stage: RefObject<HTMLElement | null>, width: number, height: number) {
  const [view, setView] = useState({ scale: 0, x: 0, y: 0 });

  const fit = () => {
    const { clientWidth, clientHeight } = stage.current!;
    if (!width) return;
    const scale = Math.min((clientWidth - MARGIN) / width, (clientHeight - MARGIN) / height, 8);
    setView({ scale, x: (clientWidth - width * scale) / 2, y: (clientHeight - height * scale) / 2 });
  };
  useLayoutEffect(fit, [width, height]);

  /** Keeps a place of the window where it is: its middle, if none is given. */
  const zoom = (factor: number, at?: Spot) => {
    const { clientWidth, clientHeight } = stage.current!;
    const { x, y } = at ?? { x: clientWidth / 2, y: clientHeight / 2 };
    setView((old) => {
      const scale = Math.max(SMALLEST, Math.min(LARGEST, old.scale * factor));
      return { scale, x: x - ((x - old.x) * scale) / old.scale, y: y - ((y - old.y) * scale) / old.scale };
    });
  };
  const pan = ({ x, y }: Spot) => setView((old) => ({ ...old, x: old.x + x, y: old.y + y }));
  const onWheel = (event: WheelEvent) => {
    const { left, top } = stage.current!.getBoundingClientRect();
    zoom(1.0015 ** -event.deltaY, { x: event.clientX - left, y: event.clientY - top });
  };
  return { view, fit, zoom, pan, onWheel };
}
