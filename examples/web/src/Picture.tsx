/** An image of the server. One that failed is tried again: the server may be back. If its address has expired, new ones are read. */
import { type ImgHTMLAttributes, useEffect, useState } from "react";

const ATTEMPTS = 10;
let refreshed = 0;

interface PictureProps extends ImgHTMLAttributes<HTMLImageElement> {
  refresh: () => void; // reads the addresses again
}

export function Picture({ refresh, src, ...attributes }: PictureProps) {
  const [attempt, setAttempt] = useState(0);
  const [hasFailed, setFailed] = useState(false);
  useEffect(() => {
    setFailed(false);
    setAttempt(0);
  }, [src]);
  useEffect(() => {
    if (!hasFailed || attempt >= ATTEMPTS) return undefined;
    const timer = setTimeout(
      () => {
        setFailed(false);
        setAttempt(attempt + 1);
        if (Date.now() - refreshed < 30_000) return;
        refreshed = Date.now();
        refresh();
      },
      1_000 * (attempt + 1),
    );
    return () => clearTimeout(timer);
  }, [hasFailed, attempt]);
  return hasFailed ? null : (
    <img {...attributes} key={attempt} src={src} alt="" draggable={false} onError={() => setFailed(true)} />
  );
}
