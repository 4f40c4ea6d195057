/** Who is signed in, the client of the API, and whether the server can be reached. */
import { type CombinedError, Client, fetchExchange, subscriptionExchange } from "@urql/core";
import { cacheExchange } from "@urql/exchange-graphcache";
import { createClient as createSockets } from "graphql-ws";

import { Store } from "./store";

const KEY = "labelgraph-token"; // GraphiQL at /graphql reads the same: it stays in this tab
const url = new URL("../graphql", document.baseURI); // this page is at /ui/
const socketUrl = new URL(url);
socketUrl.protocol = url.protocol === "https:" ? "wss:" : "ws:";

/** The token, or null while nobody is signed in. The demo's link has it in the fragment, which no server sees. */
export const token = new Store(takeToken());
/** Whether the server refused the last token. */
export const refused = new Store(false);
export const connection = new Store<"open" | "lost">("open");

function takeToken(): string | null {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem(KEY, given);
    history.replaceState(null, "", location.pathname + location.search);
  }
  return sessionStorage.getItem(KEY);
}

addEventListener("hashchange", () => {
  const held = takeToken(); // another link may have been pasted into the open page
  if (held) signIn(held);
});

export function signIn(given: string): void {
  sessionStorage.setItem(KEY, given);
  refused.set(false);
  token.set(given);
}

export function signOut(): void {
  sessionStorage.clear();
  token.set(null);
}

function refuse(): void {
  refused.set(true);
  signOut();
}

const authorization = (): Record<string, string> => ({ authorization: `Bearer ${token.get()}` });

/** Types without an id are part of the object that has them. */
const PARTS = [
  "Statistics", "DatasetPermissions", "SampleFacets", "StateFacet", "LabelFacet", "LabelerFacet", "DirectoryFacet",
  "BoundingBox", "Polygon", "Polyline", "Circle", "Point", "Position", "Comparison", "LabelChange", "SampleChange",
  "JobError", "ItemError", "JobWarning", "IgnoredFiles", "UploadLimits", "ServerInfo", "Viewer", "UploadResult",
  "CompletedUpload", "RequestedUpload", "HttpHeader", "DeleteImpact", "AutoLabelEvaluation", "ThresholdEvaluation",
  "ConfusionCount", "LeftOutLabel",
]; // prettier-ignore

/** A client with a normalised cache: what a mutation returns is at once right wherever it is shown. */
export function openClient(): Client {
  let silent: ReturnType<typeof setTimeout>;
  const sockets = createSockets({
    url: socketUrl.href,
    connectionParams: () => ({ token: token.get() }),
    retryAttempts: 0, // `follow` connects again, and continues after the last event
    keepAlive: 10_000,
    on: {
      ping: (received) => {
        if (!received) silent = setTimeout(() => sockets.terminate(), 5_000);
      },
      pong: () => clearTimeout(silent),
      closed: (event) => {
        clearTimeout(silent);
        if ((event as CloseEvent).code === 4403) refuse();
      },
    },
  });
  return new Client({
    url: url.href,
    preferGetMethod: false,
    fetchOptions: () => ({ headers: authorization() }),
    exchanges: [
      cacheExchange({ keys: Object.fromEntries(PARTS.map((name) => [name, () => null])) }),
      subscriptionExchange({
        forwardSubscription: ({ query, variables }) => ({
          subscribe: (sink) => ({ unsubscribe: sockets.subscribe({ query: query!, variables }, sink) }),
        }),
      }),
      fetchExchange,
    ],
  });
}

export const codeOf = (error: CombinedError | undefined): unknown => error?.graphQLErrors[0]?.extensions["code"];

/** Whether the same request may succeed later. */
export function isPassing(error: CombinedError): boolean {
  return error.networkError !== undefined || ["UNAVAILABLE", "RATE_LIMITED"].includes(String(codeOf(error)));
}

/** What an answer says about the session. */
export function note(error: CombinedError | undefined): void {
  if (codeOf(error) === "UNAUTHENTICATED") refuse();
  else connection.set(error?.networkError || codeOf(error) === "UNAVAILABLE" ? "lost" : "open");
}

export const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));
