/** graphql-codegen's client preset: typed documents with masked fragments, whose manifest is a server's trusted documents. */
import assert from "node:assert/strict";
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { ApolloClient, ApolloLink, CombinedGraphQLErrors, HttpLink, InMemoryCache } from "@apollo/client/core";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { Client, fetchExchange } from "@urql/core";
import { persistedExchange } from "@urql/exchange-persisted";
import { parse, print } from "graphql";
import { createClient as createSseClient } from "graphql-sse";

import { examples, makeDataset, request } from "./api.mjs";
import { program, run } from "./packages.mjs";
import { startServer } from "./server.mjs";
import { compile, makeFolder } from "./typescript.mjs";

const METHODS = ["POST", "GET"];

let messages;
let page; // what a page's code exports
let manifest;
let server; // which executes only the page's documents
let url;
let headers;
let dataset;

before(async () => {
  const folder = makeFolder("client-preset", ["codegen.js", "use.ts"]);
  await run(program("graphql-codegen"), ["--config", "codegen.js"], { cwd: folder });
  messages = await compile(folder);
  page = await import(join(folder, "compiled", "use.js"));
  manifest = JSON.parse(readFileSync(join(folder, "gql", "persisted-documents.json"), "utf8"));
  const options = ["--trusted-documents", join(folder, "gql"), "--trusted-only"];
  server = await startServer(process.env.LABELGRAPH_CLIENTS_PYTHON, { name: "trusted", options });
  url = `${server.url}/graphql`;
  headers = { authorization: `Bearer ${server.token}` };
  dataset = await makeTrusted();
});

after(() => server?.stop());

/** The answer of the server with trusted documents to a plain POST. */
async function send(body) {
  const sent = { ...headers, "content-type": "application/json" };
  const signal = AbortSignal.timeout(60_000);
  return (await fetch(url, { method: "POST", headers: sent, body: JSON.stringify(body), signal })).json();
}

/** What a page's document has instead of its text, and the server's manifest beside it. */
const idOf = (document) => document.__meta__.hash;

/** A synced dataset, made by trusted documents alone. */
async function makeTrusted() {
  cpSync(join(examples, "digits"), join(server.images, "digits"), { recursive: true });
  const input = { name: "trusted", type: "IMAGE_CLASSIFICATION", inputPath: join(server.images, "digits") };
  const { data } = await send({ documentId: idOf(page.Make), variables: { input } });
  const streams = createSseClient({ url, headers, retryAttempts: 0 });
  const variables = { job: data.createDataset.job.id };
  let status;
  for await (const step of streams.iterate({ documentId: idOf(page.Progress), variables })) {
    ({ status } = step.data.jobProgress);
  }
  streams.dispose();
  assert.equal(status, "SUCCEEDED");
  return data.createDataset.dataset.id;
}

/** fetch, and what it was called with. */
function observed() {
  const requests = [];
  const fetchAndNote = (address, options) => {
    requests.push({ method: options.method, sent: decodeURIComponent(address) + (options.body ?? "") });
    return fetch(address, options);
  };
  return { requests, fetch: fetchAndNote };
}

/** Both clients behind one face: `query` and `mutate` resolve to the data, or reject with the codes of the errors. */
const CLIENTS = {
  "Apollo Client": (method) => {
    const { requests, fetch } = observed();
    const link = ApolloLink.from([
      new PersistedQueryLink({ generateHash: idOf, useGETForHashedQueries: method === "GET" }),
      new HttpLink({ uri: url, headers, fetch }),
    ]);
    const client = new ApolloClient({ link, cache: new InMemoryCache() });
    const codesOf = (error) => Promise.reject(CombinedGraphQLErrors.is(error) ? codes(error.errors) : error);
    const query = (document, variables) => client.query({ query: document, variables }).then(({ data }) => data, codesOf);
    const mutate = (document, variables) =>
      client.mutate({ mutation: document, variables }).then(({ data }) => data, codesOf);
    return { requests, query, mutate };
  },
  urql: (method) => {
    const { requests, fetch } = observed();
    const persisted = persistedExchange({
      generateHash: async (_, document) => idOf(document),
      preferGetForPersistedQueries: method === "GET" && "force",
      enableForMutation: true,
    });
    const client = new Client({ url, exchanges: [persisted, fetchExchange], fetchOptions: { headers }, fetch });
    const dataOf = ({ data, error }) => (error ? Promise.reject(codes(error.graphQLErrors)) : data);
    const query = (document, variables) => client.query(document, variables).then(dataOf);
    const mutate = (document, variables) => client.mutation(document, variables).then(dataOf);
    return { requests, query, mutate };
  },
};

const codes = (errors) => errors.map((error) => error.extensions.code);

test("a page's code compiles, and wrong code does not", () => {
  assert.equal(messages, "");
});

test("the documents run on any server", async () => {
  const own = await makeDataset("client-preset");
  const described = page.describeAll(await request(print(page.Cards), { dataset: own }));
  assert.equal(described.length, 3);
  assert.match(described[0], / digit-0$/);
});

test("the manifest has every operation, and the server takes each by its id", async () => {
  const operations = [page.Cards, page.Make, page.Label, page.Progress];
  assert.deepEqual(Object.keys(manifest).sort(), operations.map(idOf).sort());
  const { data } = await send({ documentId: idOf(page.Cards), variables: { dataset } });
  assert.equal(page.describeAll(data).length, 3);
  const byText = await send({ query: manifest[idOf(page.Cards)], variables: { dataset } });
  assert.deepEqual(byText, { data });
});

test("no other document is executed", async () => {
  for (const body of [{ query: "{ viewer { name } }" }, { documentId: "sha256:unknown" }]) {
    const { data, errors } = await send(body);
    assert.deepEqual([data, codes(errors)], [undefined, ["DOCUMENT_NOT_TRUSTED"]]);
  }
});

for (const [name, connect] of Object.entries(CLIENTS)) {
  for (const method of METHODS) {
    test(`${name} names the documents by their ids, by ${method}`, async () => {
      const { requests, query, mutate } = connect(method);
      const data = await query(page.Cards, { dataset });
      const ids = data.dataset.samples.nodes.map((sample) => sample.id);
      assert.equal(ids.length, 3);
      const label = `by-${name.slice(0, 4)}-${method}`.toLowerCase();
      const input = { datasetId: dataset, select: { ids }, labels: [label], createMissing: true };
      assert.equal((await mutate(page.Label, { input })).labelSamples.changedCount, 3);
      const fresh = await connect(method).query(page.Cards, { dataset });
      assert.ok(page.describeAll(fresh).every((text) => text.includes(label)));
      assert.deepEqual(
        requests.map((sent) => sent.method),
        [method, "POST"],
      );
      assert.ok(requests.every(({ sent }) => !/samples\(/i.test(sent)));
    });
  }

  test(`${name} does not send the text of a document that is not trusted`, async () => {
    const { requests, query } = connect("POST");
    const unknown = Object.assign(parse("query Unknown { viewer { name } }"), { __meta__: { hash: "unknown" } });
    await assert.rejects(query(unknown), (refused) => {
      assert.deepEqual(refused, ["DOCUMENT_NOT_TRUSTED"]);
      return true;
    });
    assert.equal(requests.length, 1);
  });
}
