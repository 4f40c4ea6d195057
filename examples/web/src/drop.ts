/** Files that are dropped on the page: anywhere, as a browser would open them instead of the page. */
import { useEffect, useRef, useState } from "react";

/** Passes on what is dropped. Returns whether files are dragged over the page. */
export function useDrop(take: (files: File[]) => void): boolean {
  const [isOver, setOver] = useState(false);
  const latest = useRef(take);
  latest.current = take;
  useEffect(() => {
    const hears = new AbortController();
    const hear = (type: "dragover" | "dragleave" | "drop", does: (event: DragEvent) => void) =>
      addEventListener(type, does, { signal: hears.signal });
    const accept = (event: DragEvent, isOver: boolean) => {
      const hasFiles = event.dataTransfer!.types.includes("Files");
      if (hasFiles) event.preventDefault();
      setOver(hasFiles && isOver);
      return hasFiles;
    };
    hear("dragover", (event) => accept(event, true));
    hear("dragleave", (event) => event.relatedTarget === null && setOver(false)); // it left the window
    hear("drop", (event) => {
      if (accept(event, false)) void filesOf(event.dataTransfer!).then((files) => latest.current(files));
    });
    return () => hears.abort();
  }, []);
  return isOver;
}

/** The files, and the images in folders. */
async function filesOf({ items, files }: DataTransfer): Promise<File[]> {
  const entries = [...items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  const folders = entries.filter((entry) => entry.isDirectory);
  if (folders.length === 0) return [...files];
  const found = (await Promise.all(entries.map(filesIn))).flat();
  return found.filter((file) => file.type.startsWith("image/"));
}

async function filesIn(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isFile) return [await new Promise<File>((...settle) => (entry as FileSystemFileEntry).file(...settle))];
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const entries: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((...settle) => reader.readEntries(...settle)); // at most 100
    if (some.length === 0) return (await Promise.all(entries.map(filesIn))).flat();
    entries.push(...some);
  }
}
