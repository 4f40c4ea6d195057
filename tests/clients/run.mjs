/** Runs the client suites: node run.mjs PYTHON [suite …] */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import { run } from "node:test";
import { spec } from "node:test/reporters";

import { installNodePackages, suites } from "./packages.mjs";
import { startServer } from "./server.mjs";

const SUFFIX = ".test.mjs";
const SECONDS = 600; // a suite that takes longer hangs

const [python, ...chosen] = process.argv.slice(2);
const known = readdirSync(suites)
  .filter((file) => file.endsWith(SUFFIX))
  .map((file) => file.slice(0, -SUFFIX.length))
  .sort();
const unknown = chosen.filter((name) => !known.includes(name));
if (unknown.length > 0) {
  console.error(`labelgraph: there is no client suite ${unknown.join(", ")}. There are ${known.join(", ")}.`);
  process.exit(2);
}

/** What is installed or started here fails with a sentence, not with a stack. */
async function prepare() {
  try {
    installNodePackages();
    return await startServer(python);
  } catch (error) {
    console.error(`labelgraph: the client suites did not start. ${error.message}`);
    process.exit(1);
  }
}

const server = await prepare();
try {
  process.env.LABELGRAPH_CLIENTS_URL = server.url;
  process.env.LABELGRAPH_CLIENTS_TOKEN = server.token;
  process.env.LABELGRAPH_CLIENTS_IMAGES = server.images;
  process.env.LABELGRAPH_CLIENTS_PYTHON = python;
  const files = (chosen.length > 0 ? chosen : known).map((name) => join(suites, name + SUFFIX));
  let failed = false;
  const tests = run({ files, concurrency: 1, timeout: SECONDS * 1000 });
  tests.on("test:fail", () => (failed = true));
  const report = tests.compose(new spec());
  report.pipe(process.stdout);
  await finished(report);
  const internal = readFileSync(server.log, "utf8").includes("Traceback (most recent call last)");
  if (internal) console.error(`labelgraph: the server met an internal error: see ${server.log}`);
  process.exitCode = failed || internal ? 1 : 0;
} finally {
  await server.stop();
}
