/** The server and the token, and requests that are sent again. Each set-up begins with one. */
import type { TypedDocumentNode } from "@graphql-typed-document-node/core";
import { print } from "graphql";
import { createClient as createSockets, type Client as Sockets } from "graphql-ws";

export interface Connection {
  url: string;
  /** fetch with the token. A request that failed for a while is sent again; a mutation has a key, so it takes effect once. */
  fetch: typeof fetch;
  sockets: Sockets;
  /** The data of an operation, past any cache. Throws LabelgraphError. */
  request<Data, Variables>(document: TypedDocumentNode<Data, Variables>, variables: Variables): Promise<Data>;
}

export interface Options {
  server: string;
  /** Called for each request: it may have been renewed. */
  token: () => string;
  attempts?: number;
  /** Needed where there is no global WebSocket, as in Node before version 22: that of the package `ws`. */
  webSocketImpl?: unknown;
}

export class LabelgraphError extends Error {
  constructor(
    message: string,
    readonly code: string,
    readonly details: Record<string, unknown> = {},
  ) {
    super(message);
  }
}

const ATTEMPTS = 8;
const NO_WEB_SOCKET =
  "There is no WebSocket here: use Node 22 or newer, or pass one, such as that of the package `ws`: connect({ …, webSocketImpl: WebSocket }).";
const TEMPORARY = [429, 502, 503, 504]; // too many requests, not available, still in progress
const LONGEST_PAUSE = 5_000; // milliseconds, unless the server asks for a longer one

/** Sends until there is an answer that is not temporary. */
export async function again(
  send: () => Promise<Response>,
  attempts = ATTEMPTS,
  signal?: AbortSignal | null,
): Promise<Response> {
  for (let attempt = 1; ; attempt++) {
    let wait = Math.min(250 * 2 ** attempt, LONGEST_PAUSE);
    try {
      const response = await send();
      if (attempt === attempts || !TEMPORARY.includes(response.status)) return response;
      wait = Math.max(wait, 1000 * Number(response.headers.get("retry-after") ?? 0) || 0);
    } catch (error) {
      if (attempt === attempts || signal?.aborted) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

export function connect({ server, token, attempts = ATTEMPTS, webSocketImpl }: Options): Connection {
  if (!webSocketImpl && typeof WebSocket === "undefined") throw new Error(NO_WEB_SOCKET);
  const url = new URL("graphql", server.endsWith("/") ? server : `${server}/`);
  const socketUrl = new URL(url);
  socketUrl.protocol = url.protocol.replace("http", "ws");

  const patientFetch: typeof fetch = async (address, options) => {
    const headers = new Headers(options?.headers);
    headers.set("authorization", `Bearer ${token()}`);
    headers.set("graphql-require-preflight", "true"); // for files
    if (!headers.has("idempotency-key")) headers.set("idempotency-key", crypto.randomUUID()); // queries do not need it
    return again(() => fetch(address, { ...options, headers }), attempts, options?.signal);
  };

  return {
    url: url.href,
    fetch: patientFetch,
    sockets: createSockets({
      url: socketUrl.href,
      connectionParams: () => ({ token: token() }),
      webSocketImpl,
      keepAlive: 10_000,
      shouldRetry: (event) => (event as CloseEvent).code !== 4403, // the token is not valid any more
    }),
    async request<Data, Variables>(document: TypedDocumentNode<Data, Variables>, variables: Variables) {
      const response = await patientFetch(url, { method: "POST", ...bodyOf(print(document), variables) });
      const { data, errors } = (await response.json()) as Answer<Data>;
      if (!errors) return data;
      const [{ message, extensions }] = errors;
      throw new LabelgraphError(message, extensions.code, extensions.details);
    },
  };
}

interface Answer<Data> {
  data: Data;
  errors?: [{ message: string; extensions: { code: string; details?: Record<string, unknown> } }];
}

/** JSON, or with files a form, as the GraphQL multipart request specification says. */
function bodyOf(query: string, variables: unknown): RequestInit {
  const files: [string, Blob][] = [];
  const withoutFiles = (value: unknown, path: string): unknown => {
    if (value instanceof Blob) files.push([path, value]);
    if (value instanceof Blob) return null;
    if (Array.isArray(value)) return value.map((item, index) => withoutFiles(item, `${path}.${index}`));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, withoutFiles(item, `${path}.${name}`)]));
  };
  const operations = JSON.stringify({ query, variables: withoutFiles(variables, "variables") });
  if (files.length === 0) return { body: operations, headers: { "content-type": "application/json" } };
  const form = new FormData();
  form.set("operations", operations);
  form.set("map", JSON.stringify(Object.fromEntries(files.map(([path], index) => [index, [path]]))));
  files.forEach(([, file], index) => form.set(String(index), file));
  return { body: form };
}
