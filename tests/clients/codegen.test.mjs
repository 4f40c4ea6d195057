/** graphql-codegen: types and typed documents of every operation, which TypeScript checks and which then run. */
import assert from "node:assert/strict";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";

import { print } from "graphql";

import { makeDataset, request, schemaFile, url } from "./api.mjs";
import { documents, file } from "./operations.mjs";
import { program, run } from "./packages.mjs";
import { compile, makeFolder } from "./typescript.mjs";

const SCALARS = { DateTime: "string", Upload: "File" };
let folder;
let messages;

before(async () => {
  folder = makeFolder("codegen", ["use.ts"]);
  await generateFrom(schemaFile, "generated");
  messages = await compile(folder);
});

/** The types of the whole schema into `schema-<name>.ts`, those of the operations into `<name>.ts`. */
async function generateFrom(schema, name) {
  const config = { scalars: SCALARS, strictScalars: true, useTypeImports: true, enumsAsTypes: true };
  const generates = {
    [`schema-${name}.ts`]: { plugins: ["typescript"], config },
    [`${name}.ts`]: { plugins: ["typescript-operations", "typed-document-node"], config },
  };
  writeFileSync(join(folder, "codegen.json"), JSON.stringify({ schema, documents: file, generates }));
  await run(program("graphql-codegen"), ["--config", "codegen.json"], { cwd: folder });
}

test("a page's code compiles against the generated types, and wrong code does not", () => {
  assert.equal(messages, "");
});

test("/schema.graphql of the running server gives the same types", async () => {
  await generateFrom(url.replace(/graphql$/, "schema.graphql"), "served");
  for (const name of ["schema-", ""]) {
    const [expected, actual] = ["generated", "served"].map((each) => readFileSync(join(folder, `${name}${each}.ts`)));
    assert.ok(expected.equals(actual), `${name}generated.ts and ${name}served.ts differ`);
  }
});

test("the generated documents run", async () => {
  const generated = await import(join(folder, "compiled", "generated.js"));
  const dataset = await makeDataset("codegen");
  const data = await request(print(generated.SamplesDocument), { dataset, first: 3 });
  assert.equal(data.dataset.samples.edges.length, 3);
  const missing = Object.keys(documents).filter((name) => !(`${name}Document` in generated));
  assert.deepEqual(missing, []);
});

test("the compiler notices a field that the schema does not have", async () => {
  appendFileSync(join(folder, "use.ts"), "export const no = (job: generated.JobPartsFragment) => job.nothing;\n");
  assert.match(await compile(folder), /'nothing' does not exist/);
});
