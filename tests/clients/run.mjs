/** Runs the client suites: node run.mjs PYTHON [suite …] */
import { suites } from "./packages.mjs";
import { runSuites } from "./runner.mjs";

const [python, ...chosen] = process.argv.slice(2);
await runSuites(suites, python, chosen);
