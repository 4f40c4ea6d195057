/** Servers for the suites: real ones, each on its embedded Postgres, in a directory that is deleted at the end. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { within } from "./limits.mjs";
import { cache, root } from "./packages.mjs";

const SECONDS = 120; // for a start or an end that takes longer, something hangs

/**
 * Starts `./labelgraph serve` on a free port of the loopback address, with more `options` and `settings` (environment
 * variables). Its log is `.clients/<name>.log`. `stop` fails if it met an internal error. `restart` kills it, calls
 * `meanwhile`, and starts it again at the same URL with the same data.
 */
export async function startServer(python, { name = "server", options = [], settings = {}, folder, port = 0 } = {}) {
  const log = join(cache, `${name}.log`);
  mkdirSync(cache, { recursive: true });
  // A file, no pipe: nothing waits for what the server started, and a kill left behind.
  const lines = openSync(log, folder === undefined ? "w" : "a");
  folder ??= mkdtempSync(join(tmpdir(), "labelgraph-clients-"));
  const [data, images] = [join(folder, "data"), join(folder, "images")];
  mkdirSync(images, { recursive: true });
  const own = ["--host", "127.0.0.1", "--port", String(port), "--data", data, "--allow-root", images];
  const server = spawn(python, ["-P", "-m", "api", "serve", ...own, ...options], {
    cwd: root,
    env: { ...environment(), ...settings },
    stdio: ["ignore", "pipe", lines],
  });
  closeSync(lines);
  const ended = once(server, "exit");
  const end = async () => {
    const timer = setTimeout(() => server.kill("SIGKILL"), SECONDS * 1000);
    server.kill("SIGTERM");
    await ended;
    clearTimeout(timer);
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  };
  const stop = async () => {
    await end();
    const internal = readFileSync(log, "utf8").includes("Traceback (most recent call last)");
    if (internal) throw new Error(`The server met an internal error: see ${log}`);
  };
  const restart = async (meanwhile) => {
    server.kill("SIGKILL");
    await ended;
    await meanwhile();
    return startServer(python, { name, options, settings, folder, port: new URL(url).port });
  };
  let url;
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => end().then(() => process.exit(130)));
  try {
    url = await announced(server, ended);
    const token = readFileSync(join(data, "token"), "utf8").trim();
    return { url, token, data, images, stop, restart };
  } catch (error) {
    await end();
    throw new Error(`The server did not start.\n${readFileSync(log, "utf8")}`, { cause: error });
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
  const gone = ended.then(([code]) => Promise.reject(new Error(`It ended with status ${code}.`)));
  gone.catch(() => {});
  return within(SECONDS, () => "It prints no URL", Promise.race([printed, gone]));
}
