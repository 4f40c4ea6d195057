/** ariadne-codegen: a Python client with a method for each operation, generated from the schema. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { before, test } from "node:test";

import { schemaFile } from "./api.mjs";
import { file } from "./operations.mjs";
import { cache, run } from "./packages.mjs";
import { install, runSuite } from "./python.mjs";

const folder = join(cache, "ariadne-codegen");

before(async () => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const configuration = `
    [tool.ariadne-codegen]
    schema_path = "${schemaFile}"
    queries_path = "${file}"
    target_package_path = "${folder}"
    target_package_name = "labelgraph_client"
    [tool.ariadne-codegen.scalars.DateTime]
    type = "datetime.datetime"
  `;
  writeFileSync(join(folder, "ariadne-codegen.toml"), configuration);
  const program = join(dirname(install("ariadne")), "ariadne-codegen");
  await run(program, ["--config", "ariadne-codegen.toml"], { cwd: folder });
});

test("python/ariadne_client.py passes", () => runSuite("ariadne", { PYTHONPATH: folder }));
