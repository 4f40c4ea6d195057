/** Runs the browser suites: node run.mjs PYTHON BROWSER [suite …] */
import { fileURLToPath } from "node:url";

import { runSuites } from "../clients/runner.mjs";
import { servePages } from "./pages.mjs";

const folder = fileURLToPath(new URL(".", import.meta.url));
const [python, browser, ...chosen] = process.argv.slice(2);
const pages = await servePages();
Object.assign(process.env, {
  LABELGRAPH_BROWSER: browser,
  LABELGRAPH_BROWSER_ALLOWED: pages.allowed,
  LABELGRAPH_BROWSER_FOREIGN: pages.foreign,
});
// A browser has six connections to one server: with fewer streams one is left for the request that is refused.
const settings = { LABELGRAPH_ALLOWED_ORIGINS: pages.allowed, LABELGRAPH_LIMIT_SOCKETS: "4" };
await runSuites(folder, python, chosen, settings);
pages.close();
