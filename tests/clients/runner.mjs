/** Runs the suites of a folder with a server for all of them: `./labelgraph test --clients` and `--browser`. */
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import { run } from "node:test";
import { spec } from "node:test/reporters";

import { installNodePackages } from "./packages.mjs";
import { startServer } from "./server.mjs";

const SUFFIX = ".test.mjs";
const SECONDS = 600; // a suite that takes longer hangs

/** A port of the loopback address that nobody listens at. */
export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  return port;
}

/** Runs the chosen suites, or all, and sets the status of the process. `settings` are those of the server. */
export async function runSuites(folder, python, chosen, settings = {}) {
  const known = readdirSync(folder)
    .filter((file) => file.endsWith(SUFFIX))
    .map((file) => file.slice(0, -SUFFIX.length))
    .sort();
  const unknown = chosen.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    console.error(`labelgraph: there is no suite ${unknown.join(", ")}. There are ${known.join(", ")}.`);
    process.exit(2);
  }
  const server = await prepare(python, settings);
  try {
    process.env.LABELGRAPH_CLIENTS_URL = server.url;
    process.env.LABELGRAPH_CLIENTS_TOKEN = server.token;
    process.env.LABELGRAPH_CLIENTS_IMAGES = server.images;
    process.env.LABELGRAPH_CLIENTS_DATA = server.data;
    process.env.LABELGRAPH_CLIENTS_PYTHON = python;
    const files = (chosen.length > 0 ? chosen : known).map((name) => join(folder, name + SUFFIX));
    const tests = run({ files, concurrency: 1, timeout: SECONDS * 1000 });
    tests.on("test:fail", () => (process.exitCode = 1));
    const report = tests.compose(new spec());
    report.pipe(process.stdout);
    await finished(report);
  } finally {
    await server.stop().catch(({ message }) => {
      console.error(`labelgraph: ${message}`);
      process.exitCode = 1;
    });
  }
}

/** What is installed or started here fails with a sentence, not with a stack. */
async function prepare(python, settings) {
  try {
    installNodePackages();
    return await startServer(python, { settings });
  } catch (error) {
    console.error(`labelgraph: the suites did not start. ${error.message}`);
    process.exit(1);
  }
}
