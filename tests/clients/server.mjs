/** The server that all suites share: a real one on its embedded Postgres, in a directory that is deleted at the end. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { cache, root } from "./packages.mjs";

const SECONDS = 120; // for a start or an end that takes longer, something hangs

/** Starts `./labelgraph serve` on a free port of the loopback address. */
export async function startServer(python) {
  const folder = mkdtempSync(join(tmpdir(), "labelgraph-clients-"));
  const [data, images] = [join(folder, "data"), join(folder, "images")];
  mkdirSync(images);
  mkdirSync(cache, { recursive: true });
  const log = join(cache, "server.log");
  const options = ["--host", "127.0.0.1", "--port", "0", "--data", data, "--allow-root", images];
  const server = spawn(python, ["-P", "-m", "api", "serve", ...options], {
    cwd: root,
    env: environment(),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = once(server, "exit");
  server.stderr.pipe(createWriteStream(log));
  const stop = async () => {
    const timer = setTimeout(() => server.kill("SIGKILL"), SECONDS * 1000);
    server.kill("SIGTERM");
    await ended;
    clearTimeout(timer);
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  };
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => stop().then(() => process.exit(130)));
  try {
    const url = await announced(server, ended);
    const token = readFileSync(join(data, "token"), "utf8").trim();
    return { url, token, images, log, stop };
  } catch (error) {
    await stop();
    const written = existsSync(log) ? readFileSync(log, "utf8") : "";
    throw new Error(`The server did not start.\n${written}`, { cause: error });
  }
}

/** The environment without the caller's settings: the suites never touch the caller's database. */
function environment() {
  const kept = ([name]) => name === "LABELGRAPH_PG_BIN" || !(name.startsWith("LABELGRAPH_") || name === "DATABASE_URL");
  return { ...Object.fromEntries(Object.entries(process.env).filter(kept)), PYTHONPATH: root };
}

/** The URL that the server prints when it listens. */
async function announced(server, ended) {
  let text = "";
  const printed = new Promise((resolve) => {
    server.stdout.on("data", (chunk) => {
      text += chunk;
      const found = /serves (http:\S+)\/graphql/.exec(text);
      if (found) resolve(found[1]);
    });
  });
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`It printed no URL within ${SECONDS} seconds.`)), SECONDS * 1000);
  });
  const gone = ended.then(([code]) => Promise.reject(new Error(`It ended with status ${code}.`)));
  gone.catch(() => {});
  return Promise.race([printed, gone, late]).finally(() => clearTimeout(timer));
}
