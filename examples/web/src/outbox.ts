/**
 * Mutations on their way. They are sent one after another, each with an idempotency key, and again until the server
 * answers: it carries each out once, as long as it knows the key. After that somebody says whether they are sent again.
 * The browser keeps them for the token that made them, so they survive the end of the page, and go out with no other
 * token.
 */
import type { AnyVariables, Client, CombinedError, OperationResult, TypedDocumentNode } from "@urql/core";
import type { DocumentNode } from "graphql";

import * as documents from "./gql/graphql";
import { newKey } from "./key";
import { codeOf, isPassing, note, pause, token } from "./session";
import { Store } from "./store";

const PREFIX = "labelgraph-waiting/"; // in the browser's store: one entry for each, as several tabs write there
const LONGEST_PAUSE = 5_000; // milliseconds
const KEYS_LAST = 23 * 3_600_000; // milliseconds; an hour less than the server knows an idempotency key
// Long ones with files, for which nothing else waits; a page that was closed has no files to send again.
const APART = ["UploadSamples", "RequestUploads", "CompleteUploads"];

export interface Waiting {
  key: string;
  name: string; // of the operation
  variables: AnyVariables;
  owner: string; // the fingerprint of the token that made it
  at: number;
  isSent: boolean; // the server may have got it
  isTakenBack: boolean; // it is undone once it is answered
}

type Kept = Waiting & { tab: string };

/** Those of this tab and of who is signed in. */
export const waiting = new Store<readonly Waiting[]>([]);

/** Those that the server may have carried out under keys that it has forgotten. Nothing is sent until somebody decides. */
export const doubtful = new Store<readonly Waiting[]>([]);

const isDoubtful = (one: Waiting): boolean => one.isSent && Date.now() - one.at > KEYS_LAST;

/** Sends what is doubtful again, or forgets it. */
export function decideDoubtful(sendsAgain: boolean): void {
  for (const one of doubtful.get()) {
    one.at = Date.now();
    if (sendsAgain) keep(one);
    else forget(one);
  }
  doubtful.set([]);
}

const tab = newKey();
// Other tabs see by this lock that this one is open, and leave its changes to it.
void navigator.locks?.request(PREFIX + tab, () => new Promise<void>(() => {}));

addEventListener("beforeunload", (event) => {
  if (waiting.get().length > 0) event.preventDefault(); // the browser asks
});

let last: Promise<unknown> = Promise.resolve();
let lastAt = 0;

token.subscribe(() => {
  const owner = fingerprint(token.get());
  waiting.set(waiting.get().filter((one) => one.owner === owner));
  doubtful.set([]);
  last = Promise.resolve();
});

/** Tells tokens apart, and does not tell what they are: 53 bits of a hash. */
function fingerprint(of: string | null): string {
  let [one, other] = [0xdeadbeef, 0x41c6ce57];
  for (const character of of ?? "") {
    const code = character.charCodeAt(0);
    one = Math.imul(one ^ code, 2654435761);
    other = Math.imul(other ^ code, 1597334677);
  }
  one = Math.imul(one ^ (one >>> 16), 2246822507) ^ Math.imul(other ^ (other >>> 13), 3266489909);
  other = Math.imul(other ^ (other >>> 16), 2246822507) ^ Math.imul(one ^ (one >>> 13), 3266489909);
  return (4294967296 * (2097151 & other) + (one >>> 0)).toString(36);
}

/** All that the browser keeps, of whoever it is, the oldest first. */
function kept(): Kept[] {
  const keys = Object.keys(localStorage).filter((key) => key.startsWith(PREFIX));
  return keys.map((key) => JSON.parse(localStorage.getItem(key)!) as Kept).sort((one, other) => one.at - other.at);
}

function keep(one: Waiting): void {
  if (APART.includes(one.name)) return;
  try {
    localStorage.setItem(PREFIX + one.key, JSON.stringify({ ...one, tab } satisfies Kept));
  } catch {
    // the browser's store is full: this one lives as long as the page, which asks before it is closed
  }
}

function forget({ key }: Pick<Waiting, "key">): void {
  localStorage.removeItem(PREFIX + key);
  waiting.set(waiting.get().filter((one) => one.key !== key));
}

/** How many changes wait for somebody to sign in, and forgetting them. */
export const keptCount = (): number => kept().length;
export const discardKept = (): void => kept().forEach(forget);

export const isApart = (document: DocumentNode): boolean => APART.includes(nameOf(document));

function nameOf(document: DocumentNode): string {
  const [definition] = document.definitions;
  return (definition?.kind === "OperationDefinition" && definition.name?.value) || "";
}

/** Nothing is returned of what was taken back before it was sent, or waits for its owner to sign in again. */
export function send<Data, Variables extends AnyVariables>(
  client: Client,
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
  key: string = newKey(),
): Promise<OperationResult<Data, Variables> | undefined> {
  lastAt = Math.max(Date.now(), lastAt + 1);
  const owner = fingerprint(token.get());
  const name = nameOf(document);
  return enqueue(client, document, { key, name, variables, owner, at: lastAt, isSent: false, isTakenBack: false });
}

/** Takes a mutation back. Returns whether that is all: it was not sent. Or else it has to be undone when it is answered. */
export function takeBack(key: string): boolean {
  const one = waiting.get().find((each) => each.key === key);
  if (one && !one.isSent) {
    forget(one);
    return true;
  }
  if (one) {
    one.isTakenBack = true;
    keep(one);
    waiting.set([...waiting.get()]); // it is not shown any more
  }
  return false;
}

/** Sends what was on its way when a page was closed, once, however many tabs are open. `failed` is told of refusals. */
export async function resume(client: Client, failed: (error: CombinedError) => void): Promise<void> {
  const owner = fingerprint(token.get());
  const adopt = async () => {
    const locks = (await navigator.locks?.query())?.held ?? [];
    const open = locks.map(({ name }) => name).filter((name) => name !== PREFIX + tab);
    for (const { tab: of, ...one } of kept()) {
      if (one.owner !== owner || open.includes(PREFIX + of)) continue;
      if (waiting.get().some(({ key }) => key === one.key)) continue; // the page was not closed
      const document = documents[`${one.name}Document` as keyof typeof documents] as TypedDocumentNode | undefined;
      if (!document) continue; // of another version of the page
      void enqueue(client, document, one).then((result) => {
        if (result?.error) failed(result.error);
        else if (one.isTakenBack) undo(result?.data as unknown);
      });
    }
  };
  const undo = (data: unknown) => {
    const [payload] = Object.values(data ?? {}) as ({ change?: { id: string } | null } | null)[];
    if (payload?.change) void send(client, documents.UndoChangeDocument, { input: { changeId: payload.change.id } });
  };
  await (navigator.locks ? navigator.locks.request(PREFIX, adopt) : adopt());
}

function enqueue<Data, Variables extends AnyVariables>(
  client: Client,
  document: TypedDocumentNode<Data, Variables>,
  one: Waiting,
): Promise<OperationResult<Data, Variables> | undefined> {
  waiting.set([...waiting.get(), one]);
  keep(one);
  if (APART.includes(one.name)) return deliver(client, document, one);
  const answer = last.then(() => deliver(client, document, one));
  last = answer;
  return answer;
}

async function deliver<Data, Variables extends AnyVariables>(
  client: Client,
  document: TypedDocumentNode<Data, Variables>,
  one: Waiting,
): Promise<OperationResult<Data, Variables> | undefined> {
  for (let attempt = 0; ; attempt++) {
    const held = token.get();
    if (!waiting.get().includes(one) || one.owner !== fingerprint(held)) return undefined;
    if (isDoubtful(one)) {
      doubtful.set(waiting.get().filter(isDoubtful));
      await pause(250);
      continue;
    }
    if (!one.isSent) {
      one.isSent = true;
      keep(one);
    }
    const headers = {
      authorization: `Bearer ${held}`,
      "idempotency-key": one.key,
      "graphql-require-preflight": "true",
    };
    const result = await client.mutation(document, one.variables as Variables, { fetchOptions: { headers } }).toPromise();
    if (token.get() === held) note(result.error);
    if (codeOf(result.error) === "UNAUTHENTICATED") return undefined; // it is kept for who made it
    if (!result.error || !isPassing(result.error)) {
      forget(one);
      return result;
    }
    await pause(Math.min(250 * 2 ** attempt, LONGEST_PAUSE));
  }
}
