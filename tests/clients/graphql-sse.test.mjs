/** graphql-sse, the reference client of GraphQL over server-sent events, in distinct connections mode. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { createClient } from "graphql-sse";

import { headers, makeDataset, request, url } from "./api.mjs";
import { texts } from "./operations.mjs";

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
