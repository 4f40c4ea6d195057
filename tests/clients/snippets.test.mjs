/** What the manual shows: programs in Python and lines for a shell, and the set-ups in docs/clients.md and docs/recipes.md. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { ApolloClient, HttpLink, InMemoryCache } from "@apollo/client/core";
import { relayStylePagination } from "@apollo/client/utilities";
import { Client, fetchExchange } from "@urql/core";
import { cacheExchange } from "@urql/exchange-graphcache";
import { relayPagination } from "@urql/exchange-graphcache/extras";
import { parse } from "graphql";

import { headers, makeDataset, request, url } from "./api.mjs";
import { texts } from "./operations.mjs";
import { cache, root, run } from "./packages.mjs";
import { install } from "./python.mjs";
import { example } from "./typescript.mjs";

function snippet(page, beginning) {
  const blocks = readFileSync(join(root, "docs", page), "utf8").split("```js\n");
  return blocks.find((text) => text.startsWith(beginning)).split("```")[0];
}

test("programs in Python and lines for a shell do what the manual says", async () => {
  const python = install("labelgraph");
  const env = { ...process.env, PYTHONPATH: join(root, "examples", "python"), PYTHONDONTWRITEBYTECODE: "1" };
  const args = ["-W", "error", "-m", "unittest", "tests.clients.python.snippets"];
  await run(python, args, { cwd: root, env }).catch(({ stdout, stderr }) => assert.fail(stdout + stderr));
});

test("the caches that are set up as docs/clients.md shows merge pages into one list", async (context) => {
  await example();
  const { introspection: schema, possibleTypes } = await import(join(cache, "typescript", "built", "gql", "cache.js"));
  const warn = context.mock.method(console, "warn", () => {}); // graphcache, about what the schema does not have
  const code = snippet("clients.md", "// Apollo Client.");
  let apolloCache;
  let graphcache;
  const names = {
    InMemoryCache: function (options) {
      return (apolloCache = new InMemoryCache(options));
    },
    cacheExchange: (options) => (graphcache = cacheExchange(options)),
    ...{ possibleTypes, relayPagination, relayStylePagination, schema },
  };
  new Function(...Object.keys(names), code)(...Object.values(names));
  const apollo = new ApolloClient({ cache: apolloCache, link: new HttpLink({ uri: url, headers }) });
  const urql = new Client({ url, exchanges: [graphcache, fetchExchange], fetchOptions: { headers }, preferGetMethod: false });
  const dataset = await makeDataset("snippets");
  const variables = { dataset, first: 5 };

  const list = apollo.watchQuery({ query: parse(texts.Samples), variables });
  const { data } = await list.refetch();
  await list.fetchMore({ variables: { after: data.dataset.samples.pageInfo.endCursor } });
  assert.equal(list.getCurrentResult().data.dataset.samples.edges.length, 10);

  const { data: first } = await urql.query(texts.Samples, variables);
  const after = first.dataset.samples.pageInfo.endCursor;
  const { data: both } = await urql.query(texts.Samples, { ...variables, after });
  assert.equal(both.dataset.samples.edges.length, 10);
  assert.deepEqual(warn.mock.calls, []);
});

test("the paths that docs/recipes.md names to Next.js are those of images", async () => {
  const { default: config } = await import(`data:text/javascript,${encodeURIComponent(snippet("recipes.md", "// next"))}`);
  const folders = config.images.remotePatterns.map(({ pathname }) => pathname.replace(/\*\*$/, ""));
  const query = "query ($id: ID!) { dataset(by: {id: $id}) { samples(first: 1) { nodes { thumbnailUrl imageUrl } } } }";
  const { dataset } = await request(query, { id: await makeDataset("snippets-next") });
  const paths = Object.values(dataset.samples.nodes[0]).map((address) => new URL(address).pathname);
  assert.deepEqual(paths.map((path) => path.startsWith(folders.shift())), [true, true]);
});
