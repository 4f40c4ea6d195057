/**
 * Mutations on their way. They are sent one after another, each with an idempotency key, and again until the server
 * answers: it carries each out once. They are kept in this tab, so they survive a reload of the page.
 */
import type { AnyVariables, Client, CombinedError, OperationResult, TypedDocumentNode } from "@urql/core";

import * as documents from "./gql/graphql";
import { authorization, isPassing, note, pause } from "./session";
import { Store } from "./store";

const KEY = "labelgraph-outbox";
const LONGEST_PAUSE = 5_000; // milliseconds
// Long ones with files, for which nothing else waits; a page that was closed has no files to send again.
const APART = ["UploadSamples", "RequestUploads", "CompleteUploads"];

export interface Waiting {
  key: string;
  name: string; // of the operation
  variables: AnyVariables;
}

export const waiting = new Store<readonly Waiting[]>([]);
waiting.subscribe(() => {
  const kept = waiting.get().filter(({ name }) => !APART.includes(name));
  sessionStorage.setItem(KEY, JSON.stringify(kept));
});

let last: Promise<unknown> = Promise.resolve();

export function send<Data, Variables extends AnyVariables>(
  client: Client,
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
): Promise<OperationResult<Data, Variables>> {
  const definition = document.definitions[0];
  const name = (definition?.kind === "OperationDefinition" && definition.name?.value) || "";
  return enqueue(client, document, { key: crypto.randomUUID(), name, variables });
}

/** Sends what was on its way when the page was closed. `failed` is told what is refused. */
export function resume(client: Client, failed: (error: CombinedError) => void): void {
  const kept = JSON.parse(sessionStorage.getItem(KEY) ?? "[]") as Waiting[];
  for (const one of kept) {
    if (waiting.get().some(({ key }) => key === one.key)) continue; // the page was not closed
    const document = documents[`${one.name}Document` as keyof typeof documents] as TypedDocumentNode;
    void enqueue(client, document, one).then(({ error }) => error && failed(error));
  }
}

function enqueue<Data, Variables extends AnyVariables>(
  client: Client,
  document: TypedDocumentNode<Data, Variables>,
  one: Waiting,
): Promise<OperationResult<Data, Variables>> {
  waiting.set([...waiting.get(), one]);
  if (APART.includes(one.name)) return deliver(client, document, one);
  const answer = last.then(() => deliver(client, document, one));
  last = answer;
  return answer;
}

async function deliver<Data, Variables extends AnyVariables>(
  client: Client,
  document: TypedDocumentNode<Data, Variables>,
  { key, variables }: Waiting,
): Promise<OperationResult<Data, Variables>> {
  for (let attempt = 0; ; attempt++) {
    const fetchOptions = {
      headers: { ...authorization(), "idempotency-key": key, "graphql-require-preflight": "true" },
    };
    const result = await client.mutation(document, variables as Variables, { fetchOptions }).toPromise();
    note(result.error);
    if (!result.error || !isPassing(result.error)) {
      waiting.set(waiting.get().filter((one) => one.key !== key));
      return result;
    }
    await pause(Math.min(250 * 2 ** attempt, LONGEST_PAUSE));
  }
}
