/** Follows what happens to a dataset, here or elsewhere; after a lost connection, from the last event on. */
import type { Client } from "@urql/core";

import { EventsDocument } from "./gql/graphql";
import { codeOf, connection, pause, token } from "./session";

/** Calls `happened` after each event, and when the server is back. Returns what ends it. */
export function follow(client: Client, id: string, cursor: string, happened: () => void): () => void {
  let after: string | null = cursor;
  let isEnded = false;
  let unsubscribe = () => {};

  const once = () =>
    new Promise<void>((resolve) => {
      const opened = client.subscription(EventsDocument, { id, after }).subscribe(({ data, error, hasNext }) => {
        if (data) {
          after = data.datasetEvents.cursor;
          if (connection.get() === "lost") connection.set("open");
          happened();
        }
        if (error && codeOf(error) === "INVALID_CURSOR") after = null; // the server was restored from a backup
        if (error || !hasNext) resolve();
      });
      unsubscribe = () => {
        opened.unsubscribe();
        resolve();
      };
    });

  void (async () => {
    for (let attempt = 0; !isEnded && token.get() !== null; attempt++) {
      const begun = Date.now();
      await once();
      if (isEnded) break;
      if (Date.now() - begun > 10_000) attempt = 0;
      await pause(Math.min(500 * 2 ** attempt, 5_000));
      if (!isEnded) happened(); // reading says whether the server is there
    }
  })();
  return () => {
    isEnded = true;
    unsubscribe();
  };
}
