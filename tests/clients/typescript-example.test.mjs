/** What the set-ups of examples/typescript share: requests that are sent again, errors, and the upload helper. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import WebSocket from "ws";

import { anImage, examples, images, makeDataset, request, token, url } from "./api.mjs";
import { documents, texts } from "./operations.mjs";
import { cache, suites } from "./packages.mjs";
import { example } from "./typescript.mjs";

const {
  connect,
  DecideSuggestionsDocument,
  DeleteSamplesDocument,
  openApollo,
  openUrql,
  PutEmbeddingsDocument,
  SamplesDocument,
  ServerFeaturesDocument,
  SimilarSamplesDocument,
  SuggestAnnotationsDocument,
  SuggestionsDocument,
  upload,
} = await example();
const server = new URL(".", url).href;
const connection = connect({ server, token: () => token, webSocketImpl: WebSocket });

const model = { name: "guesser", modelVersion: "1" };
let dataset;

before(async () => (dataset = await makeDataset("typescript-example")));

after(() => connection.sockets.dispose());

const uploadsOf = (names) =>
  names.map((name) => ({ key: name, file: new File([anImage(name)], name, { type: "image/jpeg" }) }));

async function samplesWith(label) {
  const { dataset: found } = await request(texts.Samples, { dataset, filter: { labels: { names: [label] } } });
  return found.samples.totalCount;
}

test("the packages are those that are tested here", () => {
  const packagesOf = (folder) => JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const { dependencies: tested } = packagesOf(suites);
  const { dependencies, devDependencies } = packagesOf(join(examples, "typescript"));
  const others = Object.entries({ ...dependencies, ...devDependencies }).filter(([name, version]) => tested[name] !== version);
  assert.deepEqual(others, [["@graphql-typed-document-node/core", "3.2.0"]]); // which codegen's packages bring
});

test("every package runs on Node 20", () => {
  const excludes = (range) => range.split("||").every((each) => Number(/\d+/.exec(each)) > 20);
  for (const folder of [suites, join(examples, "typescript"), join(examples, "web")]) {
    const { packages } = JSON.parse(readFileSync(join(folder, "package-lock.json"), "utf8"));
    const newer = Object.entries(packages).filter(([, { engines }]) => excludes(engines?.node ?? "*"));
    assert.deepEqual(newer, [], "see `overrides` in package.json");
  }
});

test("where there is no WebSocket, connecting says what to do", { skip: "WebSocket" in globalThis }, () => {
  assert.throws(() => connect({ server, token: () => token }), /Node 22 or newer.*webSocketImpl/);
});

test("a mutation whose answer is lost is sent again, and takes effect once", async (context) => {
  const { fetch } = globalThis;
  const keys = [];
  context.mock.method(globalThis, "fetch", async (address, options) => {
    const response = await fetch(address, options);
    keys.push(options.headers.get("idempotency-key"));
    if (keys.length === 1) throw new TypeError("The connection was lost.");
    return response;
  });
  const name = `once-${randomUUID().slice(0, 8)}`;
  const input = { name, inputPath: join(images, "typescript-example"), syncNow: false };
  const { createDataset } = await connection.request(documents.CreateDataset, { input });
  assert.equal(createDataset.dataset.name, name);
  assert.equal(keys.length, 2);
  assert.equal(keys[0], keys[1]);
});

test("a refusal is an error with its code and details", async () => {
  const variables = { dataset, samples: [], labels: ["any"], mode: "ADD" };
  await assert.rejects(connection.request(documents.LabelSamples, { ...variables, dataset: "Dataset:999999" }), {
    code: "DATASET_NOT_FOUND",
  });
  const wrong = connect({ server, token: () => "lg_wrong", webSocketImpl: WebSocket });
  await assert.rejects(wrong.request(documents.WhoAmI, {}), { code: "UNAUTHENTICATED" });
});

test("urql does not show a sample that was deleted", async () => {
  const client = openUrql(connection);
  const list = async () => (await client.query(SamplesDocument, { dataset, first: 3 })).data.dataset.samples.edges;
  const [{ node: first }, { node: second }] = await list();
  const input = { datasetId: dataset, select: { ids: [first.id] } };
  const { error } = await client.mutation(DeleteSamplesDocument, { input });
  assert.equal(error, undefined);
  assert.equal((await list())[0].node.id, second.id);
});

test("urql lists what a model suggests, and knows at once what a person has decided", async () => {
  const client = openUrql(connection);
  const ask = async (document, variables, requestPolicy = "cache-first") => {
    const { data, error } = await client.query(document, { dataset, ...variables }, { requestPolicy });
    assert.equal(error, undefined);
    return data.dataset.samples.edges.map(({ node }) => node);
  };
  const decide = async (document, input) => {
    const { data, error } = await client.mutation(document, { input: { datasetId: dataset, ...input } });
    assert.equal(error, undefined);
    return Object.values(data)[0];
  };
  assert.deepEqual(await ask(SuggestionsDocument), []);
  const unlabeled = await ask(SamplesDocument, { filter: { state: "UNLABELED" }, first: 3 });
  const paths = unlabeled.map(({ path }) => path);
  const samples = paths.map((path, index) => ({ path, annotations: [{ label: "guess", confidence: 0.5 + index / 10 }] }));
  const suggested = await decide(SuggestAnnotationsDocument, { model, samples, createMissing: true });
  assert.equal(suggested.suggestedCount, 3);
  const leastSure = await ask(SuggestionsDocument, {}, "network-only");
  assert.deepEqual(leastSure.map(({ path, state }) => [path, state]), paths.map((path) => [path, "PENDING"]));
  const { suggestionCount } = await decide(DecideSuggestionsDocument, { select: { all: true }, minConfidence: 0.65, decision: "ACCEPT" });
  assert.equal(suggestionCount, 1);
  const accepted = (await ask(SuggestionsDocument)).find(({ path }) => path === paths[2]); // from the cache
  assert.deepEqual([accepted.state, accepted.annotations[0].isConfirmed], ["LABELED", true]);
  await decide(DecideSuggestionsDocument, { select: { paths: [paths[0]] }, decision: "REJECT" });
  assert.deepEqual((await ask(SuggestionsDocument, {}, "network-only")).map(({ path }) => path), [paths[1]]);
  assert.equal((await decide(SuggestAnnotationsDocument, { model, samples })).rejectedBeforeCount, 1);
});

test("Apollo keeps lists of what is near to different images apart", async () => {
  const client = openApollo(connection);
  const first = await client.query({ query: SamplesDocument, variables: { dataset, first: 3 } });
  const paths = first.data.dataset.samples.edges.map(({ node }) => node.path);
  const vectors = [[1, 0], [0.9, 0.1], [0, 1]];
  const input = { datasetId: dataset, model, samples: paths.map((path, index) => ({ path, vector: vectors[index] })) };
  const { data } = await client.query({ query: ServerFeaturesDocument });
  if (!data.serverInfo.features.includes("EMBEDDINGS")) {
    await assert.rejects(connection.request(PutEmbeddingsDocument, { input }), { code: "FEATURE_UNAVAILABLE" });
    return;
  }
  assert.equal((await connection.request(PutEmbeddingsDocument, { input })).putEmbeddings.storedCount, 3);
  const near = async (vector) => {
    const variables = { dataset, near: { vector, model } };
    const found = await client.query({ query: SimilarSamplesDocument, variables });
    return found.data.dataset.samples.edges.map(({ node }) => node.path);
  };
  assert.deepEqual(await near([1, 0]), paths);
  assert.deepEqual(await near([0, 1]), paths.toReversed());
});

test("the programs of examples/typescript/README.md and docs/recipes.md list samples", async (context) => {
  const { fetch } = globalThis;
  context.mock.method(globalThis, "fetch", (address, { body, ...options }) =>
    fetch(String(address).replace("http://127.0.0.1:8000/", server), { ...options, body: body.replace("Dataset:1", dataset) }),
  );
  globalThis.sessionStorage = { getItem: () => token };
  globalThis.WebSocket ??= WebSocket; // which Node 20 does not have
  const log = context.mock.method(console, "log", () => {});
  for (const name of ["readme", "recipes"]) await import(join(cache, "typescript", "built", `${name}.js`));
  const [[paths], counts] = log.mock.calls.map((call) => call.arguments);
  assert.ok(paths.length > 0);
  assert.deepEqual(counts, [paths.length, paths.length]);
});

test("a few files are uploaded with the request, each with its outcome", async () => {
  const uploads = uploadsOf(["few-1.jpg", "few-2.jpg"]);
  uploads.push({ key: "broken", file: new File(["no image"], "broken.jpg") });
  const settled = [];
  const outcomes = await upload(connection, uploads, { dataset, labels: ["few"], settle: (one) => settled.push(one) });
  assert.deepEqual(settled, outcomes);
  assert.deepEqual(outcomes.map(({ key, sampleId }) => [key, sampleId !== undefined]), [
    ["few-1.jpg", true],
    ["few-2.jpg", true],
    ["broken", false],
  ]);
  assert.match(outcomes[2].error.code, /^(UNSUPPORTED_FORMAT|IMAGE_UNREADABLE)$/);
  assert.equal(await samplesWith("few"), 2);
});

test("many files go to storage, and once more changes nothing; one that is too large is not sent", async () => {
  const uploads = uploadsOf(Array.from({ length: 101 }, (_, index) => `many-${index}.jpg`));
  const large = { key: "large", file: new File([new Uint8Array(30 * 1024 * 1024)], "large.jpg") };
  const first = await upload(connection, [large, ...uploads], { dataset, labels: ["many"] });
  assert.equal(first[0].error.code, "FILE_TOO_LARGE");
  assert.equal(await samplesWith("many"), 101);
  const again = await upload(connection, uploads, { dataset, labels: ["many"] });
  const idsOf = (outcomes) => outcomes.map(({ sampleId }) => sampleId).sort();
  assert.deepEqual(idsOf(again), idsOf(first.slice(1)));
});
