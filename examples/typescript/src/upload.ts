/** Uploads files: a few with the request, more of them directly to storage. Each file has its own outcome. */
import { again, type Connection } from "./connection.js";
import {
  CompleteUploadsDocument,
  RequestUploadsDocument,
  UploadLimitsDocument,
  UploadSamplesDocument,
} from "./gql/graphql.js";

const FILES = 100; // of one request
const BATCH = 200; // uploads that are completed at once

export interface Upload {
  file: File;
  /** The same when it is tried again, so that it becomes one sample: a path, a hash, or a UUID that is kept. */
  key: string;
}

export interface Outcome {
  key: string;
  sampleId?: string;
  error?: { code: string; message: string };
}

export interface UploadOptions {
  dataset: string;
  labels?: string[];
  onConflict?: "ERROR" | "RENAME";
  atOnce?: number;
  /** Called as soon as it is known what became of a file. */
  settle?: (outcome: Outcome) => void;
}

export async function upload(
  { request }: Pick<Connection, "request">,
  uploads: readonly Upload[],
  { dataset, labels = [], onConflict = "ERROR", atOnce = 6, settle = () => {} }: UploadOptions,
): Promise<Outcome[]> {
  const { maxFileBytes, maxRequestBytes } = (await request(UploadLimitsDocument, {})).serverInfo.uploadLimits;
  const options = { datasetId: dataset, labels, createMissing: true, onConflict };
  const outcomes: Outcome[] = [];
  const add = (key: string, { sample, error }: Result) => {
    const outcome: Outcome = { key, ...(sample && { sampleId: sample.id }), ...(error && { error }) };
    outcomes.push(outcome);
    settle(outcome);
  };

  const fitting = uploads.filter(({ key, file }) => {
    if (file.size <= maxFileBytes) return true;
    add(key, { error: { code: "FILE_TOO_LARGE", message: `A file has at most ${maxFileBytes} bytes.` } });
    return false;
  });
  const size = fitting.reduce((sum, { file }) => sum + file.size, 0);
  if (fitting.length === 0) return outcomes;

  if (fitting.length <= FILES && size <= maxRequestBytes) {
    const input = { ...options, files: fitting.map(({ file }) => file) };
    const answer = await request(UploadSamplesDocument, { input });
    answer.uploadSamples?.results.forEach((result, index) => add(fitting[index]!.key, result));
    return outcomes;
  }

  for (let first = 0; first < fitting.length; first += BATCH) {
    const batch = new Map(fitting.slice(first, first + BATCH).map(({ key, file }) => [key, file]));
    const files = [...batch].map(([key, file]) => ({ key, fileName: file.name, size: file.size }));
    const answer = await request(RequestUploadsDocument, { input: { ...options, files } });
    const open = (answer.requestUploads?.results ?? []).filter((result) => {
      if (!result.url) add(result.key, result);
      return result.url;
    });
    const keys: string[] = [];
    const carry = async () => {
      for (let next = open.pop(); next; next = open.pop()) {
        const { key, url, method } = next;
        const sent = next.headers.filter(({ name }) => name.toLowerCase() !== "content-length"); // fetch sends it itself
        const headers = Object.fromEntries(sent.map(({ name, value }) => [name, value]));
        const put = again(() => fetch(url!, { method, headers, body: batch.get(key) })); // signed: without the token
        if (await put.then(({ ok }) => ok, () => false)) keys.push(key);
        else add(key, { error: { code: "UNREACHABLE", message: "The storage did not take the file." } });
      }
    };
    await Promise.all(Array.from({ length: atOnce }, carry));
    if (keys.length === 0) continue;
    const completed = await request(CompleteUploadsDocument, { input: { datasetId: dataset, keys } });
    for (const result of completed.completeUploads?.results ?? []) add(result.key, result);
  }
  return outcomes;
}

type Result = { sample?: { id: string } | null; error?: { code: string; message: string } | null };
