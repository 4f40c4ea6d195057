/** Relay: its store, which finds objects by their ids, and its network. The compiler's settings are in README.md. */
import {
  Environment,
  type FetchFunction,
  type GraphQLResponse,
  Network,
  Observable,
  RecordSource,
  Store,
  type SubscribeFunction,
} from "relay-runtime";

import type { Connection } from "./connection.js";

export function openRelay({ url, fetch, sockets }: Connection): Environment {
  const query: FetchFunction = async ({ text, name, id }, variables) => {
    const body = JSON.stringify({ query: text ?? undefined, documentId: id ?? undefined, operationName: name, variables });
    const response = await fetch(url, { method: "POST", body, headers: { "content-type": "application/json" } });
    return (await response.json()) as GraphQLResponse;
  };
  const subscribe: SubscribeFunction = ({ text, name }, variables) =>
    Observable.create((sink) =>
      sockets.subscribe<GraphQLResponse>(
        { query: text ?? "", operationName: name, variables },
        { ...sink, next: (result) => sink.next(result as GraphQLResponse) },
      ),
    );
  return new Environment({
    network: Network.create(query, subscribe),
    store: new Store(new RecordSource()),
    missingFieldHandlers: [
      {
        kind: "linked", // an object that is known is not asked for again
        handle: ({ name }, record, { id, by }) => {
          if (record?.getType() !== "__Root") return undefined;
          if (name === "node") return id;
          return name === "dataset" ? by?.id : undefined;
        },
      },
    ],
  });
}
