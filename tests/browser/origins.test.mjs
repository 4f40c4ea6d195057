/** Pages of other origins in Chromium: what one of an allowed origin may do, and that all others are refused. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";

import { chromium } from "playwright-core";

import { anImage, headers, makeDataset, request, socketUrl, token, url } from "../clients/api.mjs";
import { texts } from "../clients/operations.mjs";

const { LABELGRAPH_BROWSER, LABELGRAPH_BROWSER_ALLOWED, LABELGRAPH_BROWSER_FOREIGN } = process.env; // from run.mjs
const STREAMS = 4; // most of one token, as run.mjs sets it
const LIMITED = { timeout: 180_000 }; // a test that takes longer hangs
const JSON_BODY = { "content-type": "application/json" };

let browser;
let page;
let foreign;
let dataset;

before(async () => {
  browser = await chromium.launch({ executablePath: LABELGRAPH_BROWSER });
  page = await open(LABELGRAPH_BROWSER_ALLOWED);
  foreign = await open(LABELGRAPH_BROWSER_FOREIGN);
  dataset = await makeDataset("browser");
});

after(() => browser.close());

async function open(address) {
  const opened = await browser.newPage();
  await opened.goto(address);
  await opened.waitForFunction(() => window.sse && window.ws);
  return opened;
}

/** fetch in a page: the status and the text, as far as the page may read them, or else the error. */
function fetchIn(where, address, { base64, ...options } = {}) {
  return where.evaluate(
    async ([address, options, base64]) => {
      const body = base64 ? Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)) : options.body;
      try {
        const response = await fetch(address, { ...options, body });
        return { status: response.status, text: await response.text() };
      } catch (error) {
        return { error: error.name };
      }
    },
    [address, options, base64],
  );
}

/** A GraphQL request from a page, as `fetchIn`, with the answer instead of the text. */
async function ask(where, query, variables = {}, more = {}) {
  const sent = { ...headers, ...JSON_BODY, ...more };
  const body = JSON.stringify({ query, variables });
  const { text, ...rest } = await fetchIn(where, url, { method: "POST", headers: sent, body });
  return text === undefined ? rest : { ...rest, answer: JSON.parse(text) };
}

/** The data of a request from the page of the allowed origin, which must succeed. */
async function dataOf(query, variables) {
  const { status, answer } = await ask(page, query, variables);
  assert.deepEqual([status, answer.errors], [200, undefined]);
  return answer.data;
}

/** Requests an upload for an image from a page's bytes. Returns the request that puts it. */
async function requestUpload(key, bytes) {
  const files = [{ key, fileName: `${key}.jpg`, size: bytes.length }];
  const { results } = (await dataOf(texts.RequestUploads, { dataset, files })).requestUploads;
  const [{ url: address, method, headers: pairs }] = results;
  const sent = pairs.filter(({ name }) => name.toLowerCase() !== "content-length"); // which browsers send themselves
  const fields = Object.fromEntries(sent.map(({ name, value }) => [name, value]));
  return [address, { method, headers: fields, base64: bytes.toString("base64") }];
}

/** A sample that is uploaded from the page of the allowed origin. */
async function upload(key) {
  const bytes = anImage(key);
  const { status } = await fetchIn(page, ...(await requestUpload(key, bytes)));
  assert.ok(status >= 200 && status < 300, String(status));
  const [{ sample, error }] = (await dataOf(texts.CompleteUploads, { dataset, keys: [key] })).completeUploads.results;
  assert.equal(error, null);
  return sample;
}

test("a page sends the headers of its libraries, and reads the answer", LIMITED, async () => {
  const trace = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";
  const more = {
    "apollographql-client-name": "page",
    "apollographql-client-version": "1",
    "idempotency-key": randomUUID(),
    "graphql-require-preflight": "true",
    traceparent: `00-${trace}-01`,
    "sentry-trace": `${trace}-1`,
    baggage: "sentry-environment=test",
  };
  const { status, answer } = await ask(page, texts.WhoAmI, {}, more);
  assert.deepEqual([status, answer], [200, { data: { viewer: { name: "owner" } } }]);
  const read = await fetchIn(page, `${url}?query=${encodeURIComponent(texts.WhoAmI)}`, { headers });
  assert.deepEqual(JSON.parse(read.text), answer);
});

test("a page reads why it is refused", LIMITED, async () => {
  const { status, answer } = await ask(page, texts.WhoAmI, {}, { authorization: "Bearer lg_wrong" });
  assert.deepEqual([status, answer.errors[0].extensions.code], [401, "UNAUTHENTICATED"]);
});

test("a page reads when to try again", LIMITED, async () => {
  const body = JSON.stringify({ query: texts.DatasetChanges, variables: { dataset, after: 0 } });
  const options = { method: "POST", headers: { ...headers, ...JSON_BODY, accept: "text/event-stream" }, body };
  const refused = await page.evaluate(
    async ([url, options, streams]) => {
      const control = new AbortController();
      for (let opened = 0; opened < streams; opened++) await fetch(url, { ...options, signal: control.signal });
      const { status, headers } = await fetch(url, options);
      control.abort();
      return [status, headers.get("retry-after")];
    },
    [url, options, STREAMS],
  );
  assert.deepEqual(refused, [429, "1"]);
});

test("a page puts an image to its signed URL, shows it, and reads its pixels", LIMITED, async () => {
  const sample = await upload("put");
  const shown = await page.evaluate(
    async ([imageUrl, thumbnailUrl]) => {
      const load = async (address, crossOrigin) => {
        const image = Object.assign(new Image(), { crossOrigin, src: address });
        await image.decode();
        return image;
      };
      const [plain, thumbnail] = await Promise.all([load(imageUrl, null), load(thumbnailUrl, null)]);
      document.body.append(plain, thumbnail);
      const canvas = new OffscreenCanvas(1, 1).getContext("2d");
      canvas.drawImage(await load(imageUrl, "anonymous"), 0, 0); // after the plain one is in the browser's cache
      const opaque = canvas.getImageData(0, 0, 1, 1).data[3];
      const { size } = await (await fetch(imageUrl)).blob();
      return { size, opaque, image: [plain.naturalWidth, plain.naturalHeight], longest: thumbnail.naturalWidth };
    },
    [sample.imageUrl, sample.thumbnailUrl],
  );
  const image = [sample.width, sample.height];
  assert.deepEqual(shown, { size: anImage("put").length, opaque: 255, image, longest: 128 });
});

test("a page uploads files in a form", LIMITED, async () => {
  const operations = JSON.stringify({ query: texts.UploadSamples, variables: { dataset, files: [null] } });
  const answer = await page.evaluate(
    async ([url, headers, operations, base64]) => {
      const form = new FormData();
      form.append("operations", operations);
      form.append("map", '{"0": ["variables.files.0"]}');
      form.append("0", await (await fetch(`data:image/jpeg;base64,${base64}`)).blob(), "form.jpg");
      const response = await fetch(url, { method: "POST", headers, body: form });
      return response.json();
    },
    [url, { ...headers, "graphql-require-preflight": "true" }, operations, anImage("form").toString("base64")],
  );
  assert.equal(answer.data.uploadSamples.results[0].sample.path, "form.jpg");
});

const CLIENTS = {
  "graphql-sse, distinct connections": { library: "sse", options: { url, headers } },
  "graphql-sse, single connection": { library: "sse", options: { url, headers, singleConnection: true } },
  "graphql-ws": { library: "ws", options: { url: socketUrl, connectionParams: { token } } },
};

/** The data of the first result of a subscription in a page; undefined where the client cannot connect. */
function first(where, client, operation) {
  return where.evaluate(
    async ([{ library, options }, operation]) => {
      const client = window[library].createClient({ ...options, retryAttempts: 0 });
      const { value } = await client.iterate(operation).next().catch(() => ({}));
      await client.dispose();
      return value?.data;
    },
    [client, operation],
  );
}

for (const [name, client] of Object.entries(CLIENTS)) {
  test(`changes arrive in a page by ${name}; not in a foreign one`, async () => {
    const { dataset: now } = await request(texts.Samples, { dataset, first: 1 });
    const operation = { query: texts.DatasetChanges, variables: { dataset, after: now.revision } };
    const arriving = first(page, client, operation);
    const samples = [now.samples.edges[0].node.id];
    await request(texts.LabelSamples, { dataset, samples, labels: [`at-${now.revision}`] });
    assert.equal((await arriving).datasetChanges.revision, now.revision + 1);
    assert.equal(await first(foreign, client, operation), undefined);
  });
}

test("an EventSource opens a reserved stream", LIMITED, async () => {
  const operation = { query: texts.WhoAmI, extensions: { operationId: "who" } };
  const event = await page.evaluate(
    async ([url, headers, operation]) => {
      const stream = await (await fetch(url, { method: "PUT", headers })).text();
      const source = new EventSource(`${url}?token=${stream}`);
      const next = new Promise((resolve) => source.addEventListener("next", resolve, { once: true }));
      const sent = { ...headers, "content-type": "application/json", "x-graphql-event-stream-token": stream };
      await fetch(url, { method: "POST", headers: sent, body: JSON.stringify(operation) });
      const { data } = await next;
      source.close();
      return JSON.parse(data);
    },
    [url, headers, operation],
  );
  assert.deepEqual(event, { id: "who", payload: { data: { viewer: { name: "owner" } } } });
});

test("an EventSource without a valid token is closed, and not opened again", LIMITED, async () => {
  const state = await page.evaluate(async (address) => {
    const source = new EventSource(address);
    await new Promise((resolve) => source.addEventListener("error", resolve, { once: true }));
    return source.readyState === EventSource.CLOSED;
  }, `${url}?query=${encodeURIComponent("subscription { syncProgress(datasetId: 1) { id } }")}`);
  assert.equal(state, true);
});

test("a foreign page can send nothing and read nothing", LIMITED, async () => {
  const { dataset: before } = await request(texts.Samples, { dataset, first: 1 });
  const variables = { dataset, samples: [before.samples.edges[0].node.id], labels: ["foreign"] };
  const query = `${url}?query=${encodeURIComponent(texts.WhoAmI)}`;
  const [address, put] = await requestUpload("foreign", anImage("foreign"));
  const answers = [
    await ask(foreign, texts.LabelSamples, variables),
    await fetchIn(foreign, query, { headers }),
    await fetchIn(foreign, query), // which no preflight precedes
    await fetchIn(foreign, address, put),
  ];
  assert.deepEqual(answers, answers.map(() => ({ error: "TypeError" })));
  const { dataset: now } = await request(texts.Samples, { dataset, first: 1 });
  assert.equal(now.revision, before.revision);
  const [{ sample }] = (await dataOf(texts.CompleteUploads, { dataset, keys: ["foreign"] })).completeUploads.results;
  assert.equal(sample, null);
});

test("a foreign page can show an image whose URL it has, and not read its pixels", LIMITED, async () => {
  const { imageUrl } = await upload("shown");
  const results = await foreign.evaluate(async (address) => {
    const load = (crossOrigin) =>
      Object.assign(new Image(), { crossOrigin, src: address }).decode().then(
        () => true,
        () => false,
      );
    return [await load(null), await load("anonymous"), await fetch(address).catch(({ name }) => name)];
  }, imageUrl);
  assert.deepEqual(results, [true, false, "TypeError"]);
});
