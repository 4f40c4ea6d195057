/** What suites use to prepare their datasets and to look at the server past the client that they test. */
import assert from "node:assert/strict";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { root } from "./packages.mjs";
import { texts } from "./operations.mjs";

const SECONDS = 60; // for an answer, or a sync of a few images; what takes longer hangs
const { LABELGRAPH_CLIENTS_URL: server } = process.env; // from run.mjs, as what follows
export const { LABELGRAPH_CLIENTS_TOKEN: token, LABELGRAPH_CLIENTS_IMAGES: images } = process.env;

export const url = `${server}/graphql`;
export const socketUrl = url.replace("http", "ws");
export const headers = { authorization: `Bearer ${token}` };
export const schemaFile = join(root, "schema", "schema.graphql");
export const examples = join(root, "examples");

/** A plain POST. Returns the whole answer. */
export async function send(query, variables = {}, to = { url, token }) {
  try {
    const response = await fetch(to.url, {
      method: "POST",
      headers: { authorization: `Bearer ${to.token}`, "content-type": "application/json" },
      body: JSON.stringify({ query, variables }),
      signal: AbortSignal.timeout(SECONDS * 1000),
    });
    return await response.json();
  } catch (cause) {
    throw new Error(`There is no answer to ${query}`, { cause });
  }
}

/** The data of a request that must succeed. */
export async function request(query, variables = {}, to = undefined) {
  const { data, errors } = await send(query, variables, to);
  assert.equal(errors, undefined, JSON.stringify(errors));
  return data;
}

/** A dataset of its own for a suite, with copies of the images of `examples/<example>`, synced. Returns its id. */
export async function makeDataset(name, { example = "digits", type = "IMAGE_CLASSIFICATION" } = {}) {
  const folder = join(images, name);
  cpSync(join(examples, example), folder, { recursive: true });
  const { createDataset } = await request(texts.CreateDataset, { input: { name, type, inputPath: folder } });
  await untilSucceeded(createDataset.job.id);
  return createDataset.dataset.id;
}

/** Puts one more image into the folder of a dataset that `makeDataset` made; a sync then finds it. */
export function addImage(name, fileName, bytes) {
  writeFileSync(join(images, name, fileName), bytes);
}

/** The bytes of a JPEG. A distinct `mark` makes the content distinct. */
export function anImage(mark = "") {
  return Buffer.concat([readFileSync(join(examples, "cells", "BloodImage_00000.jpg")), Buffer.from(mark)]);
}

async function untilSucceeded(job) {
  const deadline = Date.now() + SECONDS * 1000;
  for (;;) {
    const { node } = await request(texts.OneNode, { id: job });
    if (node.status === "SUCCEEDED") return;
    assert.ok(["QUEUED", "RUNNING"].includes(node.status), JSON.stringify(node));
    assert.ok(Date.now() < deadline, `The job hangs: ${JSON.stringify(node)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
