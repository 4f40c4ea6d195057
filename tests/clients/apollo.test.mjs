/** Apollo Client: its normalised cache, pagination, uploads, and subscriptions over both transports. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";

import { ApolloClient, ApolloLink, CombinedGraphQLErrors, gql, InMemoryCache, Observable } from "@apollo/client/core";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import UploadHttpLink from "apollo-upload-client/UploadHttpLink.mjs";
import { print } from "graphql";
import { createClient as createSseClient } from "graphql-sse";
import WebSocket from "ws";

import { anImage, headers, makeDataset, request, token, url } from "./api.mjs";
import { documents, texts } from "./operations.mjs";
import { example } from "./typescript.mjs";

globalThis.WebSocket ??= WebSocket; // as in a browser: Apollo Client's link names it; Node has it from version 22

const PAGE = 7;
const { connect: connectTo, evict, openApollo } = await example();
const connection = connectTo({ server: new URL(".", url).href, token: () => token, webSocketImpl: WebSocket });
const streams = createSseClient({ url, headers, retryAttempts: 0 });
const eventStreamLink = new ApolloLink(
  (operation) =>
    new Observable((sink) =>
      streams.subscribe(
        { operationName: operation.operationName, query: print(operation.query), variables: operation.variables },
        sink,
      ),
    ),
);

let dataset;

before(async () => (dataset = await makeDataset("apollo")));

after(async () => {
  await connection.sockets.dispose();
  streams.dispose();
});

/** A client with a cache of its own. */
const connect = ({ subscriptions } = {}) => openApollo(connection, subscriptions);

async function samplesOf(client, variables = {}) {
  const { data } = await client.query({ query: documents.Samples, variables: { dataset, first: PAGE, ...variables } });
  return data.dataset.samples.edges.map((edge) => edge.node);
}

/** The next results of an observable, as many as asked for. */
function take(count, observable) {
  return new Promise((resolve, reject) => {
    const results = [];
    const subscription = observable.subscribe({
      next(result) {
        results.push(result);
        if (results.length < count) return;
        subscription.unsubscribe();
        resolve(results);
      },
      error: reject,
      complete: () => resolve(results),
    });
  });
}

test("pages are merged into one list, and a list that is complete is answered from the cache", async () => {
  const client = connect();
  const list = client.watchQuery({ query: documents.Samples, variables: { dataset, first: PAGE } });
  let { data } = await list.refetch();
  while (data.dataset.samples.pageInfo.hasNextPage) {
    await list.fetchMore({ variables: { after: data.dataset.samples.pageInfo.endCursor } });
    data = list.getCurrentResult().data;
  }
  const { edges, totalCount } = data.dataset.samples;
  const paths = edges.map((edge) => edge.node.path);
  assert.equal(totalCount, 90);
  assert.equal(new Set(paths).size, totalCount);
  assert.deepEqual(paths, [...paths].sort());
  const cached = client.readQuery({ query: documents.Samples, variables: { dataset, first: PAGE } });
  assert.equal(cached.dataset.samples.edges.length, totalCount);
});

test("lists with different filters are kept apart", async () => {
  const client = connect();
  const labeled = await samplesOf(client, { filter: { state: "LABELED" } });
  const unlabeled = await samplesOf(client, { filter: { state: "UNLABELED" } });
  assert.ok(labeled.every((sample) => sample.state === "LABELED"));
  assert.ok(unlabeled.every((sample) => sample.state === "UNLABELED"));
});

test("the facets of a list stay with it when pages are merged, and their labels are entries of the cache", async () => {
  const client = connect();
  const variables = { dataset, first: PAGE, filter: { state: "LABELED" } };
  const list = client.watchQuery({ query: documents.Facets, variables });
  const first = (await list.refetch()).data.dataset.samples;
  await list.fetchMore({ variables: { after: first.pageInfo.endCursor } });
  const merged = list.getCurrentResult().data.dataset.samples;
  assert.equal(merged.edges.length, 2 * PAGE);
  assert.deepEqual(merged.facets, first.facets);
  assert.deepEqual(first.facets.states.map(({ value, count }) => [value, count]), [["LABELED", first.totalCount]]);
  const { data } = await client.query({ query: documents.Facets, variables: { dataset, first: PAGE } });
  const all = data.dataset.samples;
  assert.equal(all.facets.states.reduce((sum, { count }) => sum + count, 0), all.totalCount);
  const [{ label }] = all.facets.labels;
  const rename = (name) =>
    client.mutate({ mutation: documents.RenameLabel, variables: { label: label.id, name } });
  await rename("renamed-in-facets");
  const cached = client.readQuery({ query: documents.Facets, variables }).dataset.samples;
  assert.equal(cached.facets.labels[0].label.name, "renamed-in-facets");
  await rename(label.name);
});

test("what a mutation returns updates every list and count on the page", async () => {
  const client = connect();
  const [sample] = await samplesOf(client);
  await client.query({ query: documents.Labels, variables: { dataset } });
  const variables = { dataset, samples: [sample.id], labels: ["from-apollo"], mode: "SET" };
  const { data } = await client.mutate({ mutation: documents.LabelSamples, variables });
  const listed = client.readQuery({ query: documents.Samples, variables: { dataset, first: PAGE } });
  assert.equal(listed.dataset.revision, data.labelSamples.dataset.revision);
  assert.deepEqual(
    listed.dataset.samples.edges[0].node.labels.map((label) => label.name),
    ["from-apollo"],
  );
  const labels = client.readQuery({ query: documents.Labels, variables: { dataset } }).dataset.labels;
  assert.equal(labels.find((label) => label.name === "from-apollo").sampleCount, 1);
});

test("an object is one entry of the cache, whichever way it was reached", async () => {
  const client = connect();
  const [sample] = await samplesOf(client);
  await client.query({ query: documents.OneNode, variables: { id: sample.id } });
  const [label] = sample.labels;
  const variables = { label: label.id, name: "renamed-by-apollo" };
  await client.mutate({ mutation: documents.RenameLabel, variables });
  const { node } = client.readQuery({ query: documents.OneNode, variables: { id: sample.id } });
  assert.ok(node.labels.some((label) => label.name === "renamed-by-apollo"));
  const [again] = await samplesOf(connect());
  assert.deepEqual(node.labels, again.labels);
});

test("a dataset that a list has shown is found by its id, and one that does not exist is null", async () => {
  const client = connect();
  const list = gql`{ datasets { edges { cursor node { id name } } pageInfo { hasNextPage endCursor } } }`;
  await client.query({ query: list });
  const one = gql`query ($id: ID!) { dataset(by: { id: $id }) { id name } }`;
  assert.equal(client.readQuery({ query: one, variables: { id: dataset } }).dataset.name, "apollo");
  const { data } = await client.query({ query: one, variables: { id: "Dataset:999999" } });
  assert.equal(data.dataset, null);
});

test("a version's samples and labels are not those of the working set", async () => {
  const client = connect();
  await client.mutate({ mutation: documents.PublishVersion, variables: { dataset, name: "V1" } });
  const [{ labels }] = await samplesOf(client);
  const before = labels[0].name;
  await client.mutate({ mutation: documents.RenameLabel, variables: { label: labels[0].id, name: "after-v1" } });
  const { data } = await client.query({ query: documents.Versions, variables: { dataset } });
  const [version] = data.dataset.versions.nodes;
  const [past] = version.samples.nodes;
  assert.equal(past.labels[0].name, before);
  const live = client.readQuery({ query: documents.Samples, variables: { dataset, first: PAGE } });
  const [{ node }] = live.dataset.samples.edges;
  assert.equal(node.labels[0].name, "after-v1");
  assert.deepEqual([past.version.id, past.current.id], [version.id, node.id]);
  const again = await connect().query({ query: documents.OneNode, variables: { id: past.id } });
  assert.deepEqual(again.data.node.labels, past.labels);
});

test("of two mutations in one request the first's answer survives the second's error", async () => {
  const client = connect();
  const { data } = await client.query({ query: documents.Labels, variables: { dataset } });
  const [one, two, three] = data.dataset.labels;
  const variables = { first: one.id, firstName: "renamed-alone", second: two.id, secondName: three.name };
  const answer = await client.mutate({ mutation: documents.RenameTwo, variables, errorPolicy: "all" });
  assert.equal(answer.data.first.label.name, "renamed-alone");
  assert.equal(answer.data.second, null);
  assert.equal(answer.error.errors[0].extensions.code, "LABEL_ALREADY_EXISTS");
});

test("what was deleted is evicted by its id", async () => {
  const client = connect();
  const [sample, next] = await samplesOf(client);
  await client.mutate({ mutation: documents.DeleteSamples, variables: { dataset, samples: [sample.id] } });
  evict(client, [sample.id]);
  const list = client.readQuery({ query: documents.Samples, variables: { dataset, first: PAGE } });
  assert.equal(list.dataset.samples.edges[0].node.id, next.id);
});

test("a fragment on a union or an interface finds its types", async () => {
  const client = connect();
  const cells = await makeDataset("apollo-cells", { example: "cells", type: "OBJECT_DETECTION" });
  const { data } = await client.query({ query: documents.Shapes, variables: { dataset: cells } });
  const cached = client.readQuery({ query: documents.Shapes, variables: { dataset: cells } });
  assert.deepEqual(cached, data);
  const [{ shape }] = data.dataset.samples.nodes[0].annotations;
  assert.equal(shape.__typename, "BoundingBox");
  assert.ok(shape.xMax > shape.xMin);
  const sync = await client.mutate({ mutation: documents.SyncDataset, variables: { dataset: cells } });
  const job = { query: documents.AnyJob, variables: { id: sync.data.syncDataset.job.id } };
  await client.query(job);
  assert.equal(client.readQuery(job).node.dataset.id, cells);
});

for (const useGETForHashedQueries of [false, true]) {
  const method = useGETForHashedQueries ? "GET" : "POST";

  test(`automatic persisted queries send a document once, and its hash by ${method}`, async () => {
    const requests = [];
    const observed = (address, options) => {
      requests.push({ address, ...options });
      return fetch(address, options);
    };
    const sha256 = (text) => createHash("sha256").update(text).digest("hex");
    const link = ApolloLink.from([
      new PersistedQueryLink({ sha256, useGETForHashedQueries }),
      new UploadHttpLink({ uri: url, headers, fetch: observed }),
    ]);
    const client = new ApolloClient({ link, cache: new InMemoryCache() });
    const query = gql(`query By${method}($dataset: ID!) { dataset(by: { id: $dataset }) { id name } }`);
    for (let times = 0; times < 3; times++) {
      const { data } = await client.query({ query, variables: { dataset }, fetchPolicy: "network-only" });
      assert.equal(data.dataset.id, dataset);
    }
    const withText = requests.map(({ address, body }) => /dataset\(by:/.test(decodeURIComponent(address) + (body ?? "")));
    assert.deepEqual(withText, [false, true, false, false]);
    assert.deepEqual([requests[0].method, requests.at(-1).method], [method, method]);
  });
}

test("a mutation that is refused throws its errors with their codes", async () => {
  const variables = { dataset: "Dataset:999999", samples: ["Sample:1"], labels: ["any"] };
  await assert.rejects(connect().mutate({ mutation: documents.LabelSamples, variables }), (error) => {
    assert.ok(CombinedGraphQLErrors.is(error));
    return error.errors[0].extensions.code === "DATASET_NOT_FOUND";
  });
});

test("files are uploaded with the request, each with its own result", async () => {
  const good = new File([anImage("apollo")], "from-apollo.jpg", { type: "image/jpeg" });
  const bad = new File(["no image"], "broken.jpg", { type: "image/jpeg" });
  const variables = { dataset, files: [good, bad] };
  const { data } = await connect().mutate({ mutation: documents.UploadSamples, variables });
  const [first, second] = data.uploadSamples.results;
  assert.equal(first.fileName, "from-apollo.jpg");
  assert.deepEqual(
    first.sample.labels.map((label) => label.name),
    ["uploaded"],
  );
  assert.equal(second.sample, null);
  assert.match(second.error.code, /^(UNSUPPORTED_FORMAT|IMAGE_UNREADABLE)$/);
});

for (const [name, subscriptions] of Object.entries({ WebSocket: undefined, SSE: eventStreamLink })) {
  test(`changes by others arrive over ${name}, and a refetch shows them`, async () => {
    const client = connect({ subscriptions });
    const [sample] = await samplesOf(client);
    const { dataset: now } = client.readQuery({ query: documents.Samples, variables: { dataset, first: PAGE } });
    const variables = { dataset, after: now.revision };
    const changes = take(1, client.subscribe({ query: documents.DatasetChanges, variables }));
    await request(texts.LabelSamples, { dataset, samples: [sample.id], labels: [`over-${name}`], mode: "SET" });
    const [{ data }] = await changes;
    assert.equal(data.datasetChanges.revision, now.revision + 1);
    await client.refetchQueries({ include: "all" });
    const { data: fresh } = await client.query({
      query: documents.Samples,
      variables: { dataset, first: PAGE },
      fetchPolicy: "network-only",
    });
    assert.deepEqual(
      fresh.dataset.samples.edges[0].node.labels.map((label) => label.name),
      [`over-${name}`],
    );
  });

  test(`a job is followed to its end over ${name}, and the cache shows its last state`, async () => {
    const client = connect({ subscriptions });
    const { data } = await client.mutate({ mutation: documents.SyncDataset, variables: { dataset } });
    const { job } = data.syncDataset;
    const steps = await take(Infinity, client.subscribe({ query: documents.JobProgress, variables: { job: job.id } }));
    assert.equal(steps.at(-1).data.jobProgress.status, "SUCCEEDED");
    assert.equal(client.cache.extract()[client.cache.identify(job)].status, "SUCCEEDED");
  });

  test(`a refused subscription ends with its error over ${name}`, async () => {
    const variables = { dataset: "Dataset:999999" };
    const subscription = connect({ subscriptions }).subscribe({ query: documents.DatasetChanges, variables });
    const [{ error }] = await take(1, subscription);
    assert.equal(error.errors[0].extensions.code, "DATASET_NOT_FOUND");
  });
}
