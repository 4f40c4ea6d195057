/** graphql-sse, the reference client of GraphQL over server-sent events, in both of its modes. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { createClient, NetworkError } from "graphql-sse";

import { headers, makeDataset, request, token, url } from "./api.mjs";
import { texts } from "./operations.mjs";
import { cache, root } from "./packages.mjs";

let client;
let dataset;

before(async () => {
  dataset = await makeDataset("graphql-sse");
  client = createClient({ url, headers, retryAttempts: 0 });
});

after(() => client.dispose());

async function take(count, query, variables) {
  const results = [];
  for await (const result of client.iterate({ query, variables })) {
    results.push(result);
    if (results.length === count) break;
  }
  return results;
}

test("a query is one event", async () => {
  assert.deepEqual(await take(2, texts.WhoAmI), [{ data: { viewer: { name: "owner" } } }]);
});

test("a subscription delivers each change, in order, also those made before it began", async () => {
  const { dataset: before } = await request(texts.Samples, { dataset, first: 2 });
  const [one, two] = before.samples.edges.map((edge) => edge.node.id);
  const label = async (sample) => {
    const values = { dataset, samples: [sample], labels: ["seen"] };
    return (await request(texts.LabelSamples, values)).labelSamples.change.revision;
  };
  const first = await label(one);
  const following = take(2, texts.DatasetChanges, { dataset, after: before.revision });
  const second = await label(two);
  assert.deepEqual(
    (await following).map(({ data }) => data.datasetChanges.revision),
    [first, second],
  );
});

test("a job is followed to its end, and the stream ends by itself", async () => {
  const { syncDataset } = await request(texts.SyncDataset, { dataset });
  const steps = await take(Infinity, texts.JobProgress, { job: syncDataset.job.id });
  assert.equal(steps.at(-1).data.jobProgress.status, "SUCCEEDED");
});

test("many streams run at once", async () => {
  const answers = await Promise.all(Array.from({ length: 8 }, () => take(2, texts.Labels, { dataset })));
  assert.deepEqual(new Set(answers.map((answer) => JSON.stringify(answer))).size, 1);
});

test("a subscription that is refused when it runs is one event with its errors", async () => {
  const [{ errors }, ...others] = await take(2, texts.DatasetChanges, { dataset: "Dataset:999999" });
  assert.equal(errors[0].extensions.code, "DATASET_NOT_FOUND");
  assert.deepEqual(others, []);
});

test("a subscription that is refused before it runs is not tried again", async () => {
  const patient = createClient({ url, headers, retryAttempts: 3 });
  const connections = [];
  const results = [];
  const operation = { query: "subscription { nothing }" };
  const on = { connecting: () => connections.push(1) };
  for await (const result of patient.iterate(operation, on)) results.push(result);
  patient.dispose();
  assert.equal(results[0].errors[0].extensions.code, "GRAPHQL_VALIDATION_FAILED");
  assert.deepEqual([results.length, connections.length], [1, 1]);
});

test("the events of a dataset go on behind a cursor, also by Last-Event-ID", async () => {
  const { dataset: start } = await request(texts.EventCursor, { dataset });
  const { syncDataset } = await request(texts.SyncDataset, { dataset });
  const job = syncDataset.job.id;
  const events = (await take(3, texts.DatasetEvents, { dataset, after: start.eventCursor })).map(
    ({ data }) => data.datasetEvents,
  );
  const known = events.filter((event) => event.__typename === "JobEvent" && event.job.id === job);
  assert.deepEqual(
    known.map((event) => event.status),
    ["QUEUED", "RUNNING", "SUCCEEDED"].slice(0, known.length),
  );
  const again = await take(2, texts.DatasetEvents, { dataset, after: events[0].cursor });
  assert.deepEqual(
    again.map(({ data }) => data.datasetEvents.cursor),
    events.slice(1).map((event) => event.cursor),
  );
  const resumed = createClient({ url, headers: { ...headers, "last-event-id": events[1].cursor }, retryAttempts: 0 });
  const variables = { dataset, after: start.eventCursor };
  for await (const { data } of resumed.iterate({ query: texts.DatasetEvents, variables })) {
    assert.equal(data.datasetEvents.cursor, events[2].cursor);
    break;
  }
  resumed.dispose();
});

test("one connection carries many operations", async () => {
  const single = createClient({ url, headers: { ...headers }, singleConnection: true, retryAttempts: 0 }); // it writes into them
  const all = async (query, variables) => {
    const results = [];
    for await (const result of single.iterate({ query, variables })) results.push(result);
    return results;
  };
  const { syncDataset } = await request(texts.SyncDataset, { dataset });
  const [who, steps, refused] = await Promise.all([
    all(texts.WhoAmI),
    all(texts.JobProgress, { job: syncDataset.job.id }),
    all(texts.DatasetChanges, { dataset: "Dataset:999999" }),
  ]);
  assert.deepEqual(who, [{ data: { viewer: { name: "owner" } } }]);
  assert.equal(steps.at(-1).data.jobProgress.status, "SUCCEEDED");
  assert.equal(refused[0].errors[0].extensions.code, "DATASET_NOT_FOUND");
  const { dataset: start } = await request(texts.EventCursor, { dataset });
  const { syncDataset: another } = await request(texts.SyncDataset, { dataset });
  const variables = { dataset, after: start.eventCursor };
  for await (const { data } of single.iterate({ query: texts.DatasetEvents, variables })) {
    assert.equal(data.datasetEvents.job.id, another.job.id);
    break; // which stops the operation, and leaves the connection to others
  }
  assert.deepEqual(await all(texts.WhoAmI), who);
  single.dispose();
});

/** The module that docs/clients.md shows. */
async function importExample() {
  const blocks = readFileSync(join(root, "docs", "clients.md"), "utf8").split("```js\n");
  const block = blocks.find((text) => text.startsWith('import { createClient } from "graphql-sse"'));
  const file = join(cache, "graphql-sse-example.mjs");
  writeFileSync(file, block.split("```")[0]);
  return import(file);
}

for (const singleConnection of [false, true]) {
  const mode = singleConnection ? "single connection mode" : "distinct connections mode";
  const who = { query: texts.WhoAmI };
  const owner = { data: { viewer: { name: "owner" } } };
  const now = async () => {};

  test(`a wrong token is 401, which is tried again as often as the client is told, in the ${mode}`, async () => {
    const connections = [];
    const on = { connecting: (again) => connections.push(again) };
    const wrong = { authorization: "Bearer lg_wrong" };
    const own = createClient({ url, headers: wrong, singleConnection, retryAttempts: 2, retry: now, on });
    await assert.rejects(own.iterate(who).next(), (error) => {
      assert.ok(error instanceof NetworkError);
      return error.response.status === 401;
    });
    assert.deepEqual(connections, [false, true, true]);
    own.dispose();
  });

  test(`a client that has another token when it tries again goes on, in the ${mode}`, async () => {
    const tokens = ["lg_expired", token];
    const own = createClient({
      url,
      headers: () => ({ authorization: `Bearer ${tokens.length > 1 ? tokens.shift() : token}` }),
      singleConnection,
      retry: now,
    });
    assert.deepEqual((await own.iterate(who).next()).value, owner);
    assert.deepEqual(tokens, [token]);
    own.dispose();
  });

  test(`the example of docs/clients.md tries again what is lost, and not what is 401, in the ${mode}`, async () => {
    const { connect } = await importExample();
    let asked = 0;
    const refused = connect(url, () => `lg_wrong${asked++}`, { singleConnection });
    await assert.rejects(refused.iterate(who).next(), /sign in/);
    assert.equal(asked, 1);
    const addresses = ["http://127.0.0.1:1/graphql"];
    const lost = connect(() => addresses.pop() ?? url, () => token, { singleConnection });
    assert.deepEqual((await lost.iterate(who).next()).value, owner);
    assert.deepEqual(addresses, []);
    for (const each of [refused, lost]) each.dispose();
  });
}
