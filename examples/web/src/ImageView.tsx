/** One image of the list in a window, and the way to the one before and after it. */
import { useEffect, useState, useSyncExternalStore } from "react";

import { Editor } from "./Editor";
import type { SampleList } from "./list";
import { Dialog } from "./parts";
import { useWorkspace } from "./workspace";

interface ImageViewProps {
  list: SampleList;
  index: number;
  changes: number; // of the dataset, here or elsewhere: the image is read again
  go: (index: number) => void;
  close: () => void;
}

export default function ImageView({ list, index, changes, go, close }: ImageViewProps) {
  const { text } = useWorkspace();
  useSyncExternalStore(list.subscribe, list.snapshot);
  useEffect(() => list.want(Math.max(0, index - 1), index + 1), [list, index]);
  const [shown, setShown] = useState(list.sample(index)); // the same image, also when it leaves the list meanwhile
  const [shownIndex, setShownIndex] = useState(index);
  const there = list.sample(index);
  if (index !== shownIndex && there) {
    setShownIndex(index); // in the same drawing: the next key is about the new image
    setShown(there);
  }
  const sample = shown ?? there;
  const total = list.total ?? 0;
  // An image that got its label leaves the list of those without: the next one is at its place then.
  const isHere = there?.id === sample?.id;
  const next = () => (isHere ? go(index + 1) : there && setShown(there));
  return (
    <Dialog title={sample?.path ?? text.loading} close={close} className="image-view">
      {sample && (
        <Editor
          key={sample.id}
          id={sample.id}
          changes={changes}
          position={`${Math.min(index + 1, Math.max(1, total)).toLocaleString()} / ${total.toLocaleString()}`}
          previous={index > 0 ? () => go(index - 1) : undefined}
          next={index < total - (isHere ? 1 : 0) ? next : undefined}
        />
      )}
    </Dialog>
  );
}
