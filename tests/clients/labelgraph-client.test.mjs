/** Our own client of examples/python: what is generated, its types, its wheel, and its tests against the server. */
import assert from "node:assert/strict";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";

import { examples } from "./api.mjs";
import { cache, run } from "./packages.mjs";
import { install } from "./python.mjs";

const folder = join(examples, "python");
const built = join(cache, "labelgraph-client");
let python;

before(() => (python = install("labelgraph")));

/** What a program printed, and an error with it if it failed. */
async function print(program, args, options = {}) {
  const env = { ...process.env, PYTHONPATH: folder, PYTHONDONTWRITEBYTECODE: "1" };
  try {
    const { stdout, stderr } = await run(program, args, { cwd: folder, env, ...options });
    return stdout + stderr;
  } catch ({ stdout, stderr, message }) {
    throw new Error((stdout ?? "") + (stderr ?? "") || message);
  }
}

for (const name of ["generated", "offline", "client", "models", "lost", "lg", "recipes"]) {
  test(`tests/test_${name}.py passes`, () => print(python, ["-W", "error", "-m", "unittest", `tests.test_${name}`]));
}

test("everything is typed", async () => {
  const places = ["labelgraph_client", "tests", "generate.py", "--cache-dir", join(cache, "labelgraph-mypy")];
  assert.match(await print(python, ["-m", "mypy", ...places]), /no issues found/);
});

test("the wheel installs a package with types and the program lg", async () => {
  rmSync(built, { recursive: true, force: true });
  mkdirSync(built, { recursive: true });
  await print(python, ["-m", "hatchling", "build", "-t", "wheel", "-d", built]);
  const pip = [process.env.LABELGRAPH_CLIENTS_PYTHON, ["-I", "-m", "pip", "--python", python]];
  const install = ["install", "-q", "--no-deps", "--no-index", "--force-reinstall", "--find-links", built, "labelgraph-client"];
  const env = { ...process.env, PIP_USER: "0" };
  await print(pip[0], [...pip[1], ...install], { env });
  const help = await print(join(python, "..", "lg"), ["--help"], { cwd: built, env: { ...process.env, PYTHONPATH: "" } });
  for (const command of ["login", "datasets", "sync", "label", "upload", "export", "import", "watch"]) {
    assert.match(help, new RegExp(`\\b${command}\\b`));
  }
  const typed = "import labelgraph_client, pathlib; print((pathlib.Path(labelgraph_client.__file__).parent / 'py.typed').exists())";
  assert.equal(await print(python, ["-P", "-c", typed], { cwd: built, env: { ...process.env, PYTHONPATH: "" } }), "True\n");
});
