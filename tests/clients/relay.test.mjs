/** relay-compiler over the schema, and relay-runtime with what it made, against the server. */
import assert from "node:assert/strict";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";

import relay from "relay-runtime";
import WebSocket from "ws";

import { images, makeDataset, request, schemaFile, token, url } from "./api.mjs";
import { texts } from "./operations.mjs";
import { cache, program, root, run, suites } from "./packages.mjs";
import { example } from "./typescript.mjs";

const { commitMutation, createOperationDescriptor, fetchQuery, getRequest, requestSubscription } = relay;

const PAGE = 7;
const folder = join(cache, "relay");
const require = createRequire(join(folder, "artifacts") + "/");
const { connect, openRelay } = await example();
const connection = connect({ server: new URL(".", url).href, token: () => token, webSocketImpl: WebSocket });
let dataset;

before(async () => {
  await compileOperations();
  dataset = await makeDataset("relay");
});

after(() => connection.sockets.dispose());

/** With the configuration that examples/typescript/README.md shows, but for JavaScript. */
async function compileOperations() {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, "artifacts"), { recursive: true });
  cpSync(join(suites, "relay"), join(folder, "src"), { recursive: true });
  cpSync(schemaFile, join(folder, "schema.graphql"));
  const readme = readFileSync(join(root, "examples", "typescript", "README.md"), "utf8");
  const config = {
    ...JSON.parse(/```json\n(.*?)```/s.exec(readme)[1]),
    language: "javascript",
    artifactDirectory: "artifacts",
    eagerEsModules: false, // ES modules of the compiler import each other without their suffix, which Node refuses
  };
  writeFileSync(join(folder, "relay.config.json"), JSON.stringify(config));
  await run(program("relay-compiler"), ["relay.config.json"], { cwd: folder });
}

/** What the compiler made of an operation or a fragment of relay/operations.js. */
const artifact = (name) => require(`./operations${name}.graphql.js`);

const environment = () => openRelay(connection);

/** What the store has for an operation. */
function lookup(environment, name, variables) {
  const operation = createOperationDescriptor(getRequest(artifact(name)), variables);
  environment.retain(operation);
  return environment.lookup(operation.fragment).data;
}

function readFragment(environment, name, reference) {
  const selector = relay.getSingularSelector(artifact(name), reference);
  return environment.lookup(selector).data;
}

function mutate(environment, name, input) {
  return new Promise((resolve, reject) => {
    commitMutation(environment, {
      mutation: artifact(name),
      variables: { input },
      onCompleted: (data, errors) => (errors ? reject(errors) : resolve(data)),
      onError: reject,
    });
  });
}

test("pages are appended to the connection until it ends", async () => {
  const store = environment();
  const query = artifact("SamplesQuery");
  let after = null;
  let data;
  for (let pages = 0; pages < 20; pages++) {
    await fetchQuery(store, query, { dataset, first: PAGE, after }).toPromise();
    data = lookup(store, "SamplesQuery", { dataset, first: PAGE });
    const { pageInfo } = data.dataset.samples;
    if (!pageInfo.hasNextPage) break;
    after = pageInfo.endCursor;
  }
  const { edges, totalCount } = data.dataset.samples;
  assert.equal(edges.length, totalCount);
  assert.equal(new Set(edges.map((edge) => edge.node.id)).size, totalCount);
});

test("a fragment that is refetched through `node` updates the same record", async () => {
  const store = environment();
  await fetchQuery(store, artifact("SamplesQuery"), { dataset, first: PAGE, after: null }).toPromise();
  const { edges } = lookup(store, "SamplesQuery", { dataset, first: PAGE }).dataset.samples;
  const [{ node }] = edges;
  const values = { dataset, samples: [node.id], labels: ["by-another"], mode: "SET" };
  await request(texts.LabelSamples, values);
  await fetchQuery(store, artifact("RefetchSampleQuery"), { id: node.id }).toPromise();
  const { labels } = readFragment(store, "_sample", node);
  assert.deepEqual(labels, [{ name: "by-another" }]);
});

test("an object that a list has shown is known to `node`", async () => {
  const store = environment();
  const { dataset: found } = await fetchQuery(store, artifact("SamplesQuery"), { dataset, first: 1, after: null }).toPromise();
  const check = (id) => store.check(createOperationDescriptor(getRequest(artifact("RefetchSampleQuery")), { id })).status;
  assert.equal(check(found.samples.edges[0].node.id), "available");
  assert.equal(check("Sample:999999"), "missing");
});

test("a connection in a refetchable fragment is fetched through `node`", async () => {
  const store = environment();
  const query = artifact("MoreSamplesQuery");
  const { node } = await fetchQuery(store, query, { id: dataset, first: PAGE, after: null }).toPromise();
  const { samples } = readFragment(store, "_list", node);
  assert.equal(samples.edges.length, PAGE);
});

test("what a mutation returns updates the records of the list", async () => {
  const store = environment();
  await fetchQuery(store, artifact("SamplesQuery"), { dataset, first: PAGE, after: null }).toPromise();
  const { edges } = lookup(store, "SamplesQuery", { dataset, first: PAGE }).dataset.samples;
  const input = { datasetId: dataset, select: { ids: [edges[0].node.id] }, labels: ["by-relay"], mode: "SET" };
  const { labelSamples } = await mutate(store, "LabelSamplesMutation", { ...input, createMissing: true });
  assert.deepEqual(readFragment(store, "_sample", edges[0].node).labels, [{ name: "by-relay" }]);
  const shown = lookup(store, "SamplesQuery", { dataset, first: PAGE });
  assert.equal(shown.dataset.revision, labelSamples.dataset.revision);
});

test("a version's samples have records of their own", async () => {
  const store = environment();
  await request(texts.PublishVersion, { dataset, name: "V1" });
  await fetchQuery(store, artifact("SamplesQuery"), { dataset, first: PAGE, after: null }).toPromise();
  const [{ node }] = lookup(store, "SamplesQuery", { dataset, first: PAGE }).dataset.samples.edges;
  const shown = () => readFragment(store, "_sample", node).labels;
  const before = shown();
  const input = { datasetId: dataset, select: { ids: [node.id] }, labels: ["after-v1"], mode: "SET" };
  await mutate(store, "LabelSamplesMutation", { ...input, createMissing: true });
  const versions = await fetchQuery(store, artifact("VersionsQuery"), { dataset }).toPromise();
  const [past] = versions.dataset.versions.nodes[0].samples.nodes;
  assert.deepEqual(past.labels, before);
  assert.equal(past.current.id, node.id);
  assert.deepEqual(shown(), [{ name: "after-v1" }]);
});

test("annotations and jobs are refetched through `node`", async () => {
  const store = environment();
  const { syncDataset } = await request(texts.SyncDataset, { dataset });
  const { node } = await fetchQuery(store, artifact("RefetchJobQuery"), { id: syncDataset.job.id }).toPromise();
  assert.match(readFragment(store, "_job", node).status, /^(QUEUED|RUNNING|SUCCEEDED)$/);
  const [annotation] = (await request(texts.Shapes, { dataset })).dataset.samples.nodes[0].annotations;
  const found = await fetchQuery(store, artifact("RefetchAnnotationQuery"), { id: annotation.id }).toPromise();
  assert.equal(readFragment(store, "_annotation", found.node).label.name, annotation.label.name);
});

test("an error of a mutation reaches onError or onCompleted with its code", async () => {
  const input = { datasetId: "Dataset:999999", select: { ids: ["Sample:1"] }, labels: ["any"] };
  await assert.rejects(mutate(environment(), "LabelSamplesMutation", input), (error) => {
    const errors = error.source?.errors ?? error;
    return errors[0].extensions.code === "DATASET_NOT_FOUND";
  });
});

test("@deleteRecord removes what a mutation deleted", async () => {
  const store = environment();
  const input = { name: "relay-deleted", inputPath: images, syncNow: false };
  const { createDataset } = await mutate(store, "CreateDatasetMutation", input);
  assert.equal(store.getStore().getSource().getStatus(createDataset.dataset.id), "EXISTENT");
  await mutate(store, "DeleteDatasetMutation", { datasetId: createDataset.dataset.id });
  assert.equal(store.getStore().getSource().getStatus(createDataset.dataset.id), "NONEXISTENT");
});

test("a union is read by its types", async () => {
  const cells = await makeDataset("relay-cells", { example: "cells", type: "OBJECT_DETECTION" });
  const store = environment();
  const data = await fetchQuery(store, artifact("ShapesQuery"), { dataset: cells }).toPromise();
  const [{ shape }] = data.dataset.samples.nodes[0].annotations;
  assert.ok(shape.xMax > shape.xMin);
});

test("a subscription writes into the store", async () => {
  const store = environment();
  const { dataset: now } = await request(texts.Samples, { dataset, first: 1 });
  const subscription = artifact("ChangesSubscription");
  const first = new Promise((resolve, reject) => {
    const variables = { dataset, after: now.revision };
    const { dispose } = requestSubscription(store, {
      subscription,
      variables,
      onNext: (data) => {
        dispose();
        resolve(data.datasetChanges);
      },
      onError: reject,
    });
  });
  const samples = [now.samples.edges[0].node.id];
  await request(texts.LabelSamples, { dataset, samples, labels: ["subscribed"] });
  const change = await first;
  assert.equal(change.revision, now.revision + 1);
  assert.equal(store.getStore().getSource().get(change.id).revision, change.revision);
});
