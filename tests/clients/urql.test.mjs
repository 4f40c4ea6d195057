/** urql with graphcache: its normalised cache, pagination, uploads, and subscriptions over both transports. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Client, fetchExchange } from "@urql/core";
import { persistedExchange } from "@urql/exchange-persisted";
import WebSocket from "ws";

import { addImage, anImage, headers, makeDataset, request, token, url } from "./api.mjs";
import { documents, texts } from "./operations.mjs";
import { example } from "./typescript.mjs";

const PAGE = 7;
const { connect: connectTo, openUrql } = await example();
const connection = connectTo({ server: new URL(".", url).href, token: () => token, webSocketImpl: WebSocket });

let dataset;

before(async () => (dataset = await makeDataset("urql")));

after(() => connection.sockets.dispose());

/** A client with a cache of its own; `warnings` are what graphcache says of the schema and of answers. */
function connect({ cache, ...options } = {}) {
  const warnings = [];
  const requests = [];
  const fetch = (address, options) => {
    requests.push({ address, ...options });
    return connection.fetch(address, options);
  };
  const logger = (severity, message) => severity === "warn" && warnings.push(message);
  const client = openUrql({ ...connection, fetch }, { ...options, cache: { logger, ...cache } });
  return { client, requests, warnings };
}

/** The data of a result without errors. */
function dataOf({ data, error }) {
  assert.equal(error?.message, undefined);
  return data;
}

async function samplesOf(client, variables = {}) {
  const result = await client.query(documents.Samples, { dataset, first: PAGE, ...variables });
  return dataOf(result).dataset.samples.edges.map((edge) => edge.node);
}

/** The next results of a source, as many as asked for. */
function take(count, source) {
  return new Promise((resolve) => {
    const results = [];
    const subscription = source.subscribe((result) => {
      results.push(result);
      if (results.length < count && result.hasNext !== false) return;
      queueMicrotask(() => subscription.unsubscribe());
      resolve(results);
    });
  });
}

test("pages are merged into one list, and a list that is complete is answered from the cache", async () => {
  const { client, requests, warnings } = connect();
  let after = null;
  let list;
  do {
    list = dataOf(await client.query(documents.Samples, { dataset, first: PAGE, after })).dataset.samples;
    after = list.pageInfo.endCursor;
  } while (list.pageInfo.hasNextPage);
  const sent = requests.length;
  const { edges } = dataOf(await client.query(documents.Samples, { dataset, first: PAGE })).dataset.samples;
  assert.equal(requests.length, sent);
  assert.equal(new Set(edges.map((edge) => edge.node.path)).size, list.totalCount);
  assert.deepEqual(warnings, []);
});

test("the facets of a list stay with it when pages are merged, and their labels are entries of the cache", async () => {
  const { client, warnings } = connect();
  const facetsOf = async (variables) => {
    const { samples } = dataOf(await client.query(documents.Facets, { dataset, first: PAGE, ...variables })).dataset;
    return samples;
  };
  const labeled = { filter: { state: "LABELED" } };
  const first = await facetsOf(labeled);
  const merged = await facetsOf({ ...labeled, after: first.pageInfo.endCursor });
  assert.equal(merged.edges.length, 2 * PAGE);
  assert.deepEqual(merged.facets, first.facets);
  assert.deepEqual(first.facets.states.map(({ value, count }) => [value, count]), [["LABELED", first.totalCount]]);
  const all = await facetsOf({});
  assert.equal(all.facets.states.reduce((sum, { count }) => sum + count, 0), all.totalCount);
  const [{ label }] = all.facets.labels;
  const rename = (name) => client.mutation(documents.RenameLabel, { label: label.id, name });
  dataOf(await rename("renamed-in-facets"));
  assert.equal((await facetsOf(labeled)).facets.labels[0].label.name, "renamed-in-facets");
  dataOf(await rename(label.name));
  assert.deepEqual(warnings, []);
});

test("what a mutation returns updates every list and count on the page", async () => {
  const { client, requests, warnings } = connect();
  const [sample] = await samplesOf(client);
  await client.query(documents.Labels, { dataset });
  const variables = { dataset, samples: [sample.id], labels: ["from-urql"], mode: "SET" };
  const { labelSamples } = dataOf(await client.mutation(documents.LabelSamples, variables));
  const sent = requests.length;
  const { dataset: listed } = dataOf(await client.query(documents.Samples, { dataset, first: PAGE }));
  assert.equal(listed.revision, labelSamples.dataset.revision);
  assert.deepEqual(
    listed.samples.edges[0].node.labels.map((label) => label.name),
    ["from-urql"],
  );
  const { labels } = dataOf(await client.query(documents.Labels, { dataset })).dataset;
  assert.equal(labels.find((label) => label.name === "from-urql").sampleCount, 1);
  assert.equal(requests.length, sent, "both lists are answered from the cache");
  assert.deepEqual(warnings, []);
});

test("an object is one entry of the cache, whichever way it was reached", async () => {
  const { client } = connect();
  const [sample] = await samplesOf(client);
  await client.query(documents.OneNode, { id: sample.id });
  const [label] = sample.labels;
  dataOf(await client.mutation(documents.RenameLabel, { label: label.id, name: "renamed-by-urql" }));
  const { node } = dataOf(await client.query(documents.OneNode, { id: sample.id }));
  assert.ok(node.labels.some((label) => label.name === "renamed-by-urql"));
  const [again] = await samplesOf(connect().client);
  assert.deepEqual(node.labels, again.labels);
});

test("a version's samples and labels are not those of the working set", async () => {
  const { client } = connect();
  dataOf(await client.mutation(documents.PublishVersion, { dataset, name: "V1" }));
  const [{ labels }] = await samplesOf(client);
  const before = labels[0].name;
  dataOf(await client.mutation(documents.RenameLabel, { label: labels[0].id, name: "after-v1" }));
  const { versions } = dataOf(await client.query(documents.Versions, { dataset })).dataset;
  const [past] = versions.nodes[0].samples.nodes;
  assert.equal(past.labels[0].name, before);
  const [live] = await samplesOf(client);
  assert.equal(live.labels[0].name, "after-v1");
  assert.deepEqual([past.version.id, past.current.id], [versions.nodes[0].id, live.id]);
});

test("fragments on unions and interfaces find their types", async () => {
  const { client, warnings } = connect();
  const cells = await makeDataset("urql-cells", { example: "cells", type: "OBJECT_DETECTION" });
  const { annotations } = dataOf(await client.query(documents.Shapes, { dataset: cells })).dataset.samples.nodes[0];
  assert.equal(annotations[0].shape.__typename, "BoundingBox");
  assert.ok(annotations[0].shape.xMax > annotations[0].shape.xMin);
  const { syncDataset } = dataOf(await client.mutation(documents.SyncDataset, { dataset: cells }));
  const { node } = dataOf(await client.query(documents.AnyJob, { id: syncDataset.job.id }));
  assert.equal(node.dataset.id, cells);
  assert.deepEqual(warnings, []);
});

test("graphcache warns of the types of which it has not been told that they have no id", async () => {
  const { client, warnings } = connect({ cache: { keys: {} } });
  await client.query(documents.Labels, { dataset });
  assert.match(warnings.join(), /Statistics/);
});

test("a mutation that is refused is an error with its code", async () => {
  const variables = { dataset: "Dataset:999999", samples: ["Sample:1"], labels: ["any"] };
  const { error } = await connect().client.mutation(documents.LabelSamples, variables);
  assert.equal(error.graphQLErrors[0].extensions.code, "DATASET_NOT_FOUND");
});

test("queries can be sent by GET", async () => {
  const { client, requests } = connect({ preferGetMethod: "force" });
  dataOf(await client.query(documents.Labels, { dataset }));
  assert.equal(requests[0].method, "GET");
  assert.match(requests[0].address, /\?query=/);
});

for (const preferGetForPersistedQueries of [false, "force"]) {
  const method = preferGetForPersistedQueries ? "GET" : "POST";

  test(`automatic persisted queries send a document once, and its hash by ${method}`, async () => {
    const requests = [];
    const client = new Client({
      url,
      exchanges: [persistedExchange({ preferGetForPersistedQueries }), fetchExchange],
      requestPolicy: "network-only",
      fetchOptions: { headers },
      fetch: (address, options) => {
        requests.push({ address, ...options });
        return fetch(address, options);
      },
    });
    const query = `query Urql${method}($dataset: ID!) { dataset(by: { id: $dataset }) { id name } }`;
    for (let times = 0; times < 3; times++) {
      assert.equal(dataOf(await client.query(query, { dataset })).dataset.id, dataset);
    }
    const withText = requests.map(({ address, body }) => /dataset\(by:/.test(decodeURIComponent(address) + (body ?? "")));
    assert.deepEqual(withText, [false, true, false, false]);
    assert.deepEqual([requests[0].method, requests.at(-1).method], [method, method]);
  });
}

test("files are uploaded with the request", async () => {
  const file = new File([anImage("urql")], "from-urql.jpg", { type: "image/jpeg" });
  const { client, warnings } = connect();
  const { results } = dataOf(await client.mutation(documents.UploadSamples, { dataset, files: [file] })).uploadSamples;
  assert.equal(results[0].error, null);
  assert.equal(results[0].fileName, "from-urql.jpg");
  assert.deepEqual(warnings, []);
});

for (const fetchSubscriptions of [false, true]) {
  const transport = fetchSubscriptions ? "SSE" : "WebSocket";

  test(`changes by others arrive over ${transport}, each once and in order`, async () => {
    const { client } = connect({ fetchSubscriptions });
    const { dataset: now } = dataOf(await client.query(documents.Samples, { dataset, first: PAGE }));
    const [one, two] = now.samples.edges.map((edge) => edge.node.id);
    const variables = { dataset, after: now.revision };
    const changes = take(2, client.subscription(documents.DatasetChanges, variables));
    for (const sample of [one, two]) {
      await request(texts.LabelSamples, { dataset, samples: [sample], labels: [`over-${transport}`] });
    }
    assert.deepEqual(
      (await changes).map((result) => dataOf(result).datasetChanges.revision),
      [now.revision + 1, now.revision + 2],
    );
  });

  test(`a job is followed to its end over ${transport}`, async () => {
    const { client } = connect({ fetchSubscriptions });
    addImage("urql", `found-${transport}.jpg`, anImage(transport));
    const { syncDataset } = dataOf(await client.mutation(documents.SyncDataset, { dataset }));
    const steps = await take(Infinity, client.subscription(documents.JobProgress, { job: syncDataset.job.id }));
    const { jobProgress } = dataOf(steps.at(-1));
    assert.deepEqual([jobProgress.status, jobProgress.addedCount], ["SUCCEEDED", 1]);
  });

  test(`a refused subscription is an error with its code over ${transport}`, async () => {
    const { client } = connect({ fetchSubscriptions });
    const [{ error }] = await take(1, client.subscription(documents.DatasetChanges, { dataset: "Dataset:999999" }));
    assert.equal(error.graphQLErrors[0].extensions.code, "DATASET_NOT_FOUND");
  });
}
