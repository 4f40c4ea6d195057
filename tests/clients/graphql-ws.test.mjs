/** graphql-ws, the reference client of graphql-transport-ws. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { createClient } from "graphql-ws";
import WebSocket from "ws";

import { headers, makeDataset, request, socketUrl, token } from "./api.mjs";
import { texts } from "./operations.mjs";

let client;
let dataset;

before(async () => {
  dataset = await makeDataset("graphql-ws");
  client = connect({ token });
});

after(() => client.dispose());

function connect(connectionParams) {
  return createClient({ url: socketUrl, webSocketImpl: WebSocket, connectionParams, retryAttempts: 0 });
}

/** The first `count` results of an operation, which is then ended from here. */
async function take(count, query, variables) {
  const results = [];
  for await (const result of client.iterate({ query, variables })) {
    assert.equal(result.errors, undefined);
    results.push(result.data);
    if (results.length === count) break;
  }
  return results;
}

async function labelOne(label) {
  const { dataset: found } = await request(texts.Samples, { dataset, first: 1 });
  const samples = [found.samples.edges[0].node.id];
  return (await request(texts.LabelSamples, { dataset, samples, labels: [label] })).labelSamples.change.revision;
}

test("queries and mutations are answered once and completed", async () => {
  const [answer, ...others] = await take(2, texts.WhoAmI);
  assert.deepEqual(others, []);
  assert.equal(typeof answer.viewer.name, "string");
  const [{ syncDataset }] = await take(2, texts.SyncDataset, { dataset });
  const steps = await take(Infinity, texts.JobProgress, { job: syncDataset.job.id }); // until then no other can start
  assert.equal(steps.at(-1).jobProgress.id, syncDataset.job.id);
});

for (const params of [{ token }, { Authorization: headers.authorization }]) {
  test(`a connection is authenticated by ${Object.keys(params)} of its parameters`, async () => {
    const own = connect(params);
    const { value } = await own.iterate({ query: texts.WhoAmI }).next();
    assert.equal(value.errors, undefined);
    await own.dispose();
  });
}

test("a subscription delivers each change, in order, and ends when the client ends it", async () => {
  const { dataset: before } = await request(texts.Samples, { dataset, first: 1 });
  const following = take(2, texts.DatasetChanges, { dataset, after: before.revision });
  const revisions = [await labelOne("first"), await labelOne("second")];
  const changes = (await following).map((data) => data.datasetChanges);
  assert.deepEqual(
    changes.map((change) => change.revision),
    revisions,
  );
  assert.deepEqual(await take(1, texts.WhoAmI), [{ viewer: { name: "owner" } }]);
});

test("a job is followed to its end, and the subscription completes by itself", async () => {
  const { syncDataset } = await request(texts.SyncDataset, { dataset });
  const steps = await take(Infinity, texts.JobProgress, { job: syncDataset.job.id });
  assert.equal(steps.at(-1).jobProgress.status, "SUCCEEDED");
});

test("many operations run at once on one connection", async () => {
  const answers = await Promise.all(Array.from({ length: 20 }, () => take(2, texts.Labels, { dataset })));
  assert.deepEqual(new Set(answers.map((answer) => JSON.stringify(answer))).size, 1);
});

test("an operation that is refused before it runs leaves the connection as it is", async () => {
  const refused = client.iterate({ query: "{ nothing }" });
  await assert.rejects(refused.next(), ([error]) => error.extensions.code === "GRAPHQL_VALIDATION_FAILED");
  const unknown = client.iterate({ query: texts.DatasetChanges, variables: { dataset: "Dataset:999999" } });
  await assert.rejects(unknown.next(), ([error]) => error.extensions.code === "DATASET_NOT_FOUND");
  assert.equal((await take(1, texts.WhoAmI)).length, 1);
});

test("a wrong token closes the connection with 4403", async () => {
  const own = connect({ token: "lg_wrong" });
  await assert.rejects(own.iterate({ query: texts.WhoAmI }).next(), (event) => event.code === 4403);
});

test("a client that has another token when it tries again goes on, unless it is told not to", async () => {
  const retrying = { url: socketUrl, webSocketImpl: WebSocket, retryWait: async () => {} };
  const tokens = ["lg_expired", token];
  const patient = createClient({ ...retrying, connectionParams: () => ({ token: tokens.shift() }) });
  const { value } = await patient.iterate({ query: texts.WhoAmI }).next();
  assert.deepEqual([value.data.viewer.name, tokens], ["owner", []]);
  await patient.dispose();
  let asked = 0;
  const connectionParams = () => ({ token: `lg_wrong${asked++}` });
  const shouldRetry = ({ code }) => code !== undefined && code !== 4403; // as docs/clients.md says
  const strict = createClient({ ...retrying, connectionParams, shouldRetry });
  await assert.rejects(strict.iterate({ query: texts.WhoAmI }).next(), (event) => event.code === 4403);
  assert.equal(asked, 1);
});
