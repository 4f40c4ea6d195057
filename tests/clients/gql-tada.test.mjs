/** gql.tada: TypeScript infers types from documents in code and from the schema; the documents then run. */
import assert from "node:assert/strict";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";

import { print } from "graphql";

import { makeDataset, request, schemaFile } from "./api.mjs";
import { program, run } from "./packages.mjs";
import { compile, makeFolder } from "./typescript.mjs";

let folder;
let messages;

before(async () => {
  const plugin = { name: "gql.tada/ts-plugin", schema: "schema.graphql", tadaOutputLocation: "introspection.d.ts" };
  folder = makeFolder("gql-tada", ["use.ts"], { plugins: [plugin] });
  copyFileSync(schemaFile, join(folder, "schema.graphql"));
  await run(program("gql.tada"), ["generate-output"], { cwd: folder });
  messages = await compile(folder);
});

test("a page's code compiles with the inferred types, and wrong code does not", () => {
  assert.equal(messages, "");
});

test("gql.tada's own check finds every document valid", async () => {
  await run(program("gql.tada"), ["check", "--fail-on-warn"], { cwd: folder });
});

test("the documents run", async () => {
  const { LabelSamples, Samples } = await import(join(folder, "compiled", "use.js"));
  const dataset = await makeDataset("gql-tada");
  const found = await request(print(Samples), { dataset, first: 2 });
  assert.equal(found.dataset.samples.nodes.length, 2);
  const select = { ids: found.dataset.samples.nodes.map((sample) => sample.id) };
  const input = { datasetId: dataset, select, labels: ["typed"], createMissing: true };
  assert.deepEqual(await request(print(LabelSamples), { input }), { labelSamples: { changedCount: 2 } });
});
