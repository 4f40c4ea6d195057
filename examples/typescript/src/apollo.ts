/** Apollo Client 4: a normalised cache that knows this schema's lists and parts, uploads, and subscriptions. */
import { ApolloClient, ApolloLink, InMemoryCache, type Reference, type TypePolicies } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { relayStylePagination } from "@apollo/client/utilities";
import UploadHttpLink from "apollo-upload-client/UploadHttpLink.mjs";
import { OperationTypeNode } from "graphql";

import type { Connection } from "./connection.js";
import { possibleTypes, withoutId } from "./gql/cache.js";

/** Objects without an id are merged into those that have them; of lists, each filter and order has pages of its own. */
export const typePolicies: TypePolicies = {
  ...Object.fromEntries(withoutId.map((name) => [name, { merge: true }])),
  Viewer: { keyFields: [] },
  ServerInfo: { keyFields: [] },
  Query: {
    fields: {
      datasets: relayStylePagination(["filter", "orderBy"]),
      dataset: {
        read: (known: Reference | undefined, { args, toReference }) =>
          known === undefined && args?.["by"].id ? toReference({ __typename: "Dataset", id: args["by"].id }) : known,
      },
    },
  },
  Dataset: {
    fields: {
      samples: relayStylePagination(["filter", "orderBy", "near"]),
      changes: relayStylePagination(["filter"]),
      jobs: relayStylePagination(["filter"]),
      versions: relayStylePagination(),
      models: relayStylePagination(),
    },
  },
  Version: { fields: { samples: relayStylePagination(["filter", "orderBy", "near"]) } },
  Change: { fields: { samples: relayStylePagination() } },
  Comparison: { merge: true, fields: { changes: relayStylePagination(["kind"]) } },
};

export function openApollo(
  { url, fetch, sockets }: Connection,
  subscriptions: ApolloLink = new GraphQLWsLink(sockets),
): ApolloClient {
  return new ApolloClient({
    link: ApolloLink.split(
      ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
      subscriptions,
      new UploadHttpLink({ uri: url, fetch }),
    ),
    cache: new InMemoryCache({ possibleTypes, typePolicies }),
  });
}

/** After a deletion: lists do not show what the cache does not have. */
export function evict({ cache }: ApolloClient, sampleIds: readonly string[]): void {
  for (const id of sampleIds) cache.evict({ id: cache.identify({ __typename: "Sample", id }) });
  cache.gc();
}
