/** Runs the client suites: node run.mjs PYTHON [suite …] */
import { suites } from "./packages.mjs";
import { freePort, runSuites } from "./runner.mjs";

const [python, ...chosen] = process.argv.slice(2);
process.env.LABELGRAPH_CLIENTS_MODEL_PORT = await freePort(); // where a suite may run a model that the server asks
const settings = { LABELGRAPH_MODEL_HOSTS: `127.0.0.1:${process.env.LABELGRAPH_CLIENTS_MODEL_PORT}` };
await runSuites(suites, python, chosen, settings);
