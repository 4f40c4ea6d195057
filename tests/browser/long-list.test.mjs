/** The page with thousands of images: any part of the list is read when it comes into view, and stays right. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { crc32, deflateSync } from "node:zlib";

import { images as folder, request } from "../clients/api.mjs";
import { texts } from "../clients/operations.mjs";
import { counts, grid, image, openBrowser, says, until } from "./browser.mjs";

const { LABELGRAPH_CLIENTS_URL: server } = process.env;
const IMAGES = 3_000;

let inOrder; // names, as the server lists them

const browser = await openBrowser();

before(async () => {
  mkdirSync(join(folder, "long"));
  for (let number = 0; number < IMAGES; number++) writeFileSync(join(folder, "long", `${number}.png`), png(number));
  const { createDataset } = await request(texts.CreateDataset, {
    input: { name: "long", inputPath: join(folder, "long") },
  });
  for (let status; status !== "SUCCEEDED";)
    ({ status } = (await request(texts.OneNode, { id: createDataset.job.id })).node);
  inOrder = [];
  const list =
    'query ($after: String) { dataset(by: { name: "long" }) { samples(first: 100, after: $after) { nodes { fileName } pageInfo { endCursor } } } }';
  for (let after = null; inOrder.length < IMAGES;) {
    const { samples } = (await request(list, { after })).dataset;
    inOrder.push(...samples.nodes.map(({ fileName }) => fileName));
    after = samples.pageInfo.endCursor;
  }
});

after(() => browser.close());

/** A PNG of one pixel, each of another colour. */
function png(number) {
  const chunk = (name, data) => {
    const body = Buffer.concat([Buffer.from(name), data]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, sum]);
  };
  const header = Buffer.from([0, 0, 0, 1, 0, 0, 0, 1, 8, 2, 0, 0, 0]);
  const pixel = Buffer.from([0, number % 256, number >> 8, 90]);
  return Buffer.concat([
    Buffer.from("\x89PNG\r\n\x1a\n", "latin1"),
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(pixel)),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

/** The images in view, by their positions, as [position, name]. */
const shown = (page) =>
  grid(page)
    .getByRole("option")
    .evaluateAll((cards) =>
      cards.map((card) => [
        Number(card.getAttribute("aria-posinset")) - 1,
        card.getAttribute("aria-label").split(";")[0],
      ]),
    );

async function isRight(page, from, order = inOrder) {
  const cards = await shown(page);
  return cards.some(([position]) => position === from) && cards.every(([position, name]) => order[position] === name);
}

const scrollTo = (page, share) =>
  grid(page).evaluate(
    (element, share) => (element.scrollTop = (element.scrollHeight - element.clientHeight) * share),
    share,
  );
const firstInView = (page) =>
  grid(page).evaluate((element) => {
    const columns = Math.floor((element.clientWidth - 10) / 150);
    const row = element.querySelector(".image").clientHeight + 46 + 10; // as in Grid.tsx
    return Math.ceil(element.scrollTop / row) * columns;
  });

test(
  "few images are in the document, and the middle is read without what comes before it",
  browser.used(async () => {
    const page = await browser.open(server, { dataset: "long" });
    await until(() => counts(page), [IMAGES, IMAGES, 0]);
    await until(() => isRight(page, 0), true);
    let asked = 0;
    page.on("request", (request) => (asked += request.postData()?.includes("thumbnailUrl") ? 1 : 0));
    for (const share of [0.5, 0.9, 0.25, 1, 0]) {
      await scrollTo(page, share);
      const first = await firstInView(page);
      await until(() => isRight(page, first), true);
      assert.ok((await grid(page).locator(".card").count()) < 120);
    }
    assert.ok(asked < IMAGES / 60 / 2, `${asked} pages`);
  }),
);

test(
  "other orders are right in the middle, too",
  browser.used(async () => {
    const page = await browser.open(server, { dataset: "long" });
    for (const [order, names] of [
      ["oldest", [...inOrder].reverse()],
      ["path", [...inOrder].sort((one, other) => parseInt(one) - parseInt(other))],
    ]) {
      await page.getByLabel("Sort").selectOption(order);
      await until(() => isRight(page, 0, names), true);
      await scrollTo(page, 0.6);
      const first = await firstInView(page);
      await until(() => isRight(page, first, names), true);
    }
  }),
);

test(
  "what is deleted above does not move what is in view away, and the list closes up",
  browser.used(async () => {
    const page = await browser.open(server, { dataset: "long" });
    await until(() => isRight(page, 0), true);
    await scrollTo(page, 0.5);
    const first = await firstInView(page);
    await until(() => isRight(page, first), true);
    const gone = inOrder.splice(10, 5);
    const { dataset } = await request(
      'query ($names: [String!]) { dataset(by: { name: "long" }) { id samples(filter: { path: { in: $names } }) { nodes { id } } } }',
      { names: gone },
    );
    const ids = dataset.samples.nodes.map(({ id }) => id);
    await request("mutation ($input: DeleteSamplesInput!) { deleteSamples(input: $input) { deletedSampleCount } }", {
      input: { datasetId: dataset.id, select: { ids } },
    });
    await until(() => counts(page), [IMAGES - 5, IMAGES - 5, 0]);
    await scrollTo(page, 0);
    await until(() => isRight(page, 0), true);
    await image(page, inOrder[10]).waitFor();
  }),
);

test(
  "the last image is reached by a key, and a selection from one to another reads what lies between",
  browser.used(async () => {
    const page = await browser.open(server, { dataset: "long" });
    await until(() => isRight(page, 0), true);
    const total = inOrder.length;
    await grid(page).focus();
    await page.keyboard.press("End");
    await until(() => isRight(page, total - 1), true);
    await page.keyboard.press("Home");
    await page.keyboard.press("Space");
    await page.keyboard.press("Escape");
    for (let presses = 0; presses < 12; presses++) await page.keyboard.press("Shift+PageDown");
    const focused = grid(page).locator(".card.focused");
    await until(async () => Number(await focused.getAttribute("aria-posinset")) > 100, true);
    await says(page, `${await focused.getAttribute("aria-posinset")} selected`);
  }),
);
