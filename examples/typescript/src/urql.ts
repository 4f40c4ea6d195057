/** urql with graphcache: a normalised cache that knows this schema's lists and parts, and subscriptions. */
import { Client, type ClientOptions, fetchExchange, subscriptionExchange } from "@urql/core";
import { type Cache, cacheExchange, type CacheExchangeOpts } from "@urql/exchange-graphcache";
import { relayPagination } from "@urql/exchange-graphcache/extras";

import type { Connection } from "./connection.js";
import { introspection, withoutId } from "./gql/cache.js";

interface Deletion {
  deletedSampleIds?: string[];
}

/** Lists do not show what the cache does not have. `deletedSampleIds` must be selected. */
function evict(cache: Cache, change: Deletion | null | undefined): void {
  for (const id of change?.deletedSampleIds ?? []) cache.invalidate({ __typename: "Sample", id });
}

export const cacheOptions: CacheExchangeOpts = {
  schema: introspection as NonNullable<CacheExchangeOpts["schema"]>,
  keys: Object.fromEntries(withoutId.map((name) => [name, () => null])),
  resolvers: {
    Query: { datasets: relayPagination() },
    Dataset: {
      samples: relayPagination(),
      changes: relayPagination(),
      jobs: relayPagination(),
      versions: relayPagination(),
      models: relayPagination(),
    },
    Version: { samples: relayPagination() },
  },
  updates: {
    Mutation: {
      deleteSamples: ({ deleteSamples }, _, cache) => evict(cache, (deleteSamples as { change?: Deletion })?.change),
    },
    Subscription: {
      datasetChanges: ({ datasetChanges }, _, cache) => evict(cache, datasetChanges as Deletion),
    },
  },
};

interface Options {
  /** Subscriptions come over server-sent events, one connection each, and not over WebSocket. */
  fetchSubscriptions?: boolean;
  preferGetMethod?: ClientOptions["preferGetMethod"];
  /** More of graphcache, such as `optimistic`. */
  cache?: CacheExchangeOpts;
}

export function openUrql({ url, fetch, sockets }: Connection, options: Options = {}): Client {
  const { fetchSubscriptions = false, preferGetMethod = false, cache } = options;
  const overWebSocket = subscriptionExchange({
    forwardSubscription: ({ query, variables }) => ({
      subscribe: (sink) => ({ unsubscribe: sockets.subscribe({ query: query ?? "", variables }, sink) }),
    }),
  });
  return new Client({
    url,
    fetch,
    fetchSubscriptions,
    preferGetMethod,
    exchanges: [cacheExchange({ ...cacheOptions, ...cache }), ...(fetchSubscriptions ? [] : [overWebSocket]), fetchExchange],
  });
}
