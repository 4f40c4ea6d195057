/** Uploading: a few files in one request, more of them directly to storage; each file has its own result. */
import { useEffect, useRef, useState } from "react";

import { CompleteUploadsDocument, RequestUploadsDocument, UploadSamplesDocument } from "./gql/graphql";
import { newKey } from "./key";
import { Dialog } from "./parts";
import { pause } from "./session";
import { bytes, namesOf, useText } from "./text";
import { useWorkspace } from "./workspace";

const FILES = 100; // most files of one request
const KEYS = 200; // most uploads that are completed at once
const AT_ONCE = 6; // files on their way to storage
const ATTEMPTS = 6;

type Status = keyof ReturnType<typeof useText>["uploadStatus"];

interface Item {
  file: File;
  key: string; // the same when it is tried again: it becomes one sample
  picture: string;
  status: Status;
  message: string;
}

export default function Upload({ files, close }: { files: File[]; close: () => void }) {
  const { dataset, limits, mutate, text } = useWorkspace();
  const [items, setItems] = useState<Item[]>([]);
  const [labels, setLabels] = useState("");
  const [rename, setRename] = useState(false);
  const [isBusy, setBusy] = useState(false);

  const add = (given: Iterable<File>) => {
    const added = [...given].map((file): Item => {
      const isTooLarge = file.size > limits.maxFileBytes;
      const message = isTooLarge ? text.tooLarge(bytes(limits.maxFileBytes)) : "";
      const picture = URL.createObjectURL(file);
      pictures.current.push(picture);
      return { file, key: newKey(), picture, status: isTooLarge ? "failed" : "ready", message };
    });
    setItems((known) => [...known, ...added]);
  };
  useEffect(() => add(files), [files]);
  const pictures = useRef<string[]>([]);
  useEffect(() => () => pictures.current.forEach((picture) => URL.revokeObjectURL(picture)), []);

  const mark = (keys: readonly string[], status: Status, message = "") =>
    setItems((known) => known.map((item) => (keys.includes(item.key) ? { ...item, status, message } : item)));
  const settle = (
    key: string,
    { sample, error }: { sample: unknown; error: { code: string; message: string } | null },
  ) => mark([key], sample ? "done" : "failed", error ? (text.errors[error.code] ?? error.message) : "");

  const options = {
    datasetId: dataset.id,
    labels: namesOf(labels),
    createMissing: true,
    onConflict: rename ? ("RENAME" as const) : ("ERROR" as const),
  };

  const isOpen = ({ status, file }: Item) => status !== "done" && file.size <= limits.maxFileBytes;

  const start = async () => {
    setBusy(true);
    const ready: Item[] = [];
    for (const item of items.filter(isOpen)) {
      if (await isReadable(item.file)) ready.push(item);
      else mark([item.key], "failed", text.unreadable);
    }
    const size = ready.reduce((sum, { file }) => sum + file.size, 0);
    mark(
      ready.map(({ key }) => key),
      "sending",
    );
    if (ready.length > 0 && size <= limits.maxRequestBytes && ready.length <= FILES) await inOneRequest(ready);
    else for (let first = 0; first < ready.length; first += KEYS) await toStorage(ready.slice(first, first + KEYS));
    setBusy(false);
  };

  const inOneRequest = async (ready: Item[]) => {
    const answer = await mutate(UploadSamplesDocument, { input: { ...options, files: ready.map(({ file }) => file) } });
    if (!answer?.uploadSamples)
      return mark(
        ready.map(({ key }) => key),
        "failed",
      );
    answer.uploadSamples.results.forEach((result, index) => settle(ready[index]!.key, result));
  };

  const toStorage = async (ready: Item[]) => {
    const wanted = ready.map(({ key, file }) => ({ key, fileName: file.name, size: file.size }));
    const answer = await mutate(RequestUploadsDocument, { input: { ...options, files: wanted } });
    if (!answer?.requestUploads)
      return mark(
        ready.map(({ key }) => key),
        "failed",
      );
    const keys: string[] = [];
    const queue = answer.requestUploads.results.filter((result) => {
      if (!result.url) settle(result.key, result);
      return result.url;
    });
    const carry = async () => {
      for (let next = queue.shift(); next; next = queue.shift()) {
        const { key, url, method, headers } = next;
        const { file } = ready.find((item) => item.key === key)!;
        if (await put(url!, method, headers, file)) keys.push(key);
        else mark([key], "failed", text.lost);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, carry));
    if (keys.length === 0) return;
    const completed = await mutate(CompleteUploadsDocument, { input: { datasetId: dataset.id, keys } });
    if (!completed?.completeUploads) return mark(keys, "failed");
    for (const result of completed.completeUploads.results) settle(result.key, result);
  };

  const open = items.filter(isOpen).length;
  const hasFailed = items.some((item) => item.status === "failed" && isOpen(item));
  return (
    <Dialog title={text.upload} close={close} className="wide">
      <label className="dropzone">
        <input
          type="file"
          multiple
          accept={dataset.imageFormats.map((format) => `image/${format.toLowerCase()}`).join()}
          onChange={(event) => add(event.target.files ?? [])}
        />
        <strong>{text.dropHere}</strong>
        <span className="quiet">{text.uploadLimits(bytes(limits.maxFileBytes), dataset.imageFormats.join(", "))}</span>
      </label>
      {items.length > 0 && (
        <>
          <label>
            {text.uploadLabels}
            <input value={labels} disabled={isBusy} onChange={(event) => setLabels(event.target.value)} />
          </label>
          <label className="line">
            <input
              type="checkbox"
              checked={rename}
              disabled={isBusy}
              onChange={(event) => setRename(event.target.checked)}
            />
            {text.rename}
          </label>
          <ul className="uploads" aria-live="polite">
            {items.map(({ key, file, picture, status, message }) => (
              <li key={key} className={status}>
                <img
                  src={picture}
                  alt=""
                  width="48"
                  height="48"
                  onError={({ currentTarget }) => (currentTarget.style.visibility = "hidden")}
                />
                <span className="file">{file.name}</span>
                <span className="quiet">{bytes(file.size)}</span>
                <span>{message || text.uploadStatus[status]}</span>
              </li>
            ))}
          </ul>
          <div className="buttons">
            <button type="button" className="primary" disabled={open === 0 || isBusy} onClick={() => void start()}>
              {hasFailed ? text.tryAgain : text.uploadNow(open)}
            </button>
            <button type="button" onClick={close}>
              {text.close}
            </button>
          </div>
        </>
      )}
    </Dialog>
  );
}

/** Whether a file is still there, unchanged. Sending it would fail as if the server could not be reached. */
const isReadable = (file: File): Promise<boolean> =>
  file.slice(0, 1).arrayBuffer().then(() => true, () => false); // prettier-ignore

/** Puts a file to its address, again after a failure. This server's addresses are signed, as a bucket's are. */
async function put(
  url: string,
  method: string,
  headers: readonly { name: string; value: string }[],
  file: File,
): Promise<boolean> {
  const sent = headers.filter(({ name }) => name.toLowerCase() !== "content-length"); // which the browser sends itself
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    try {
      const response = await fetch(url, {
        method,
        headers: Object.fromEntries(sent.map(({ name, value }) => [name, value])),
        body: file,
      });
      if (response.ok) return true;
    } catch {
      // the connection was lost
    }
    await pause(500 * 2 ** attempt);
  }
  return false;
}
