/** Runs a suite in Python, `python/<name>_client.py`, with the packages of `python/<name>.txt`. */
import assert from "node:assert/strict";

import { makeDataset } from "./api.mjs";
import { installPythonPackages, root, run } from "./packages.mjs";

export const install = (name) => installPythonPackages(process.env.LABELGRAPH_CLIENTS_PYTHON, name);

/** Fails with what the suite printed. The suite gets a dataset of its own. */
export async function runSuite(name, environment = {}) {
  const env = { ...process.env, PYTHONPATH: "", LABELGRAPH_CLIENTS_DATASET: await makeDataset(name), ...environment };
  const args = ["-B", "-m", `tests.clients.python.${name}_client`];
  const failed = await run(install(name), args, { cwd: root, env }).then(
    () => "",
    ({ stdout, stderr }) => stdout + stderr,
  );
  assert.ok(failed === "", failed);
}
