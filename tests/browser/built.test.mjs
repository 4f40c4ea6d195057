/** The files of the page that are shipped, in api/web/built, are what its source in examples/web builds. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { test } from "node:test";

import { installPagePackages, root, run } from "../clients/packages.mjs";

function contentsOf(folder) {
  const files = readdirSync(folder, { recursive: true }).map((name) => join(folder, name));
  const texts = files
    .filter((file) => statSync(file).isFile())
    .map((file) => [relative(folder, file), readFileSync(file, "utf8")]);
  return Object.fromEntries(texts.sort());
}

test("the page's source compiles, and builds the files that are shipped", { timeout: 300_000 }, async () => {
  const page = installPagePackages();
  const folder = mkdtempSync(join(tmpdir(), "labelgraph-page-"));
  await run("npm", ["run", "build", "--", "--outDir", folder, "--emptyOutDir"], { cwd: page });
  const [built, shipped] = [contentsOf(folder), contentsOf(join(root, "api", "web", "built"))];
  rmSync(folder, { recursive: true });
  assert.deepEqual(Object.keys(shipped), Object.keys(built), "run `npm run build` in examples/web");
  for (const [name, text] of Object.entries(built)) assert.ok(shipped[name] === text, `${name} is of another source`);
});
