/** The page in Chinese: the history says what was done without a word of English. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { makeDataset, request } from "../clients/api.mjs";
import { openBrowser, picture, until } from "./browser.mjs";
import { decide, suggest } from "./suggest.mjs";

const { LABELGRAPH_CLIENTS_URL: server } = process.env;
const FILE = "BloodImage_00009.jpg";
const SHAPE = { boundingBox: { xMin: 10, yMin: 10, xMax: 60, yMax: 50 } };

const browser = await openBrowser();
let id;

/** The payload of a mutation, and the change that it made. */
async function mutate(name, input, fields = "change { id }") {
  const type = `${name[0].toUpperCase()}${name.slice(1)}Input`;
  return (await request(`mutation ($input: ${type}!) { ${name}(input: $input) { ${fields} } }`, { input }))[name];
}

/** Changes of every kind; each summary is another one. */
async function change() {
  const [datasetId, select, all] = [id, { paths: [FILE] }, { all: true }];
  const labels = ["one", "two", "three", "four", "five"].map((name) => ({ name }));
  const created = (await mutate("createLabels", { datasetId, labels }, "labels { id }")).labels;
  const [one, two, ...others] = created.map((label) => label.id);
  await mutate("updateLabel", { labelId: one, color: "#0f766e" });
  await mutate("renameLabel", { labelId: one, name: "first" });
  for (const mode of ["ADD", "SET", "REMOVE"]) await mutate("labelSamples", { datasetId, select, labels: ["first", "two"], mode });
  await mutate("labelSamples", { datasetId, select, labels: ["first"] });
  await mutate("replaceSampleLabel", { datasetId, select, from: "first", to: "two" });
  await mutate("labelSamples", { datasetId, select, labels: [], mode: "SET" });
  await mutate("renameLabel", { labelId: one, name: "two", onConflict: "MERGE" });
  const add = [{ label: "two", shape: SHAPE }];
  const annotated = await mutate(
    "annotateSamples",
    { datasetId, samples: [{ path: FILE, add, update: [], remove: [] }] },
    "samples { annotations { id label { name } } }",
  );
  const { id: remove } = annotated.samples[0].annotations.find(({ label }) => label.name === "two");
  await mutate("annotateSamples", { datasetId, samples: [{ path: FILE, add: [], update: [], remove: [remove] }] });
  for (const [version, decision] of ["ACCEPT", "REJECT"].entries()) {
    const annotations = [{ label: labels[3 + version].name, shape: SHAPE, confidence: 0.5 }];
    await suggest(id, [{ path: FILE, annotations }], { name: "model", modelVersion: String(version) });
    await decide(id, decision);
  }
  for (const usage of ["TRAIN", "EVAL", "TEST", "INFERENCE", null]) await mutate("updateSamples", { datasetId, select, isHard: true, usage });
  await mutate("updateSamples", { datasetId, select: all, isHard: false });
  const { version } = await mutate("publishVersion", { datasetId }, "version { id }");
  const deleted = await mutate("deleteSamples", { datasetId, select });
  const undone = await mutate("undoChange", { changeId: deleted.change.id });
  await mutate("undoChange", { changeId: undone.change.id });
  await mutate("setCurrentVersion", { versionId: version.id, onUnpublished: "DISCARD" });
  await mutate("deleteLabels", { labelIds: others, mode: "LABEL_ONLY" });
  await mutate("deleteLabels", { labelIds: [two], mode: "LABEL_AND_SAMPLES" });
}

before(async () => {
  id = await makeDataset("chinese", { example: "cells", type: "OBJECT_DETECTION" });
  await change();
});

after(() => browser.close());

test(
  "every line of the history is in Chinese, but for names",
  browser.used(async () => {
    const page = await browser.open(server, { dataset: "chinese", locale: "zh-CN" });
    await page.getByRole("button", { name: "历史" }).click();
    const { dataset } = await request(
      "query ($id: ID!) { dataset(by: { id: $id }) { changes(first: 100) { totalCount nodes { kind } } } }",
      { id },
    );
    const lines = page.locator(".history .summary");
    await until(() => lines.count(), dataset.changes.totalCount);
    await picture(page, "chinese-history");
    const texts = await lines.allTextContents();
    assert.deepEqual(texts.filter((text) => /[A-Za-z]/.test(text.replace(/“[^”]*”/g, ""))), []);
  }),
);
