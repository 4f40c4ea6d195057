/** Installs the clients into `.clients` at the top of the checkout: the pinned versions, when the pins have changed. */
import { execFile, execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export const suites = dirname(fileURLToPath(import.meta.url));
export const root = join(suites, "..", "..");
export const cache = join(root, ".clients");

/** An installed program, and how suites run one. */
export const program = (name) => join(cache, "node_modules", ".bin", name);
export const run = promisify(execFile);

/** Node packages, in `.clients/node_modules`; a link in `tests` makes the imports of all suites find them. */
export function installNodePackages() {
  const files = ["package.json", "package-lock.json", ".npmrc"];
  installOnce("node", ["package-lock.json"], () => {
    for (const file of files) fs.copyFileSync(join(suites, file), join(cache, file));
    // The lock file has the version and the hash of every package. Nothing of a package runs when it is installed.
    runNow("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], { cwd: cache });
  });
  const link = join(suites, "..", "node_modules");
  if (fs.existsSync(link) && fs.realpathSync(link) === fs.realpathSync(join(cache, "node_modules"))) return;
  fs.rmSync(link, { recursive: true, force: true });
  fs.symlinkSync(join("..", ".clients", "node_modules"), link);
}

/** The packages of the page, where its build looks for them. Returns its folder. */
export function installPagePackages() {
  const page = join(root, "examples", "web");
  installOnce("web", [join("..", "..", "examples", "web", "package-lock.json")], () => {
    runNow("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], { cwd: page });
  });
  return page;
}

/** A Python client in a virtual environment of its own, `.clients/<name>`. Returns its interpreter. */
export function installPythonPackages(python, name) {
  const environment = join(cache, name);
  const interpreter = join(environment, "bin", "python");
  const requirements = join("python", `${name}.txt`);
  installOnce(name, [requirements], () => {
    runNow(python, ["-I", "-m", "venv", "--clear", "--without-pip", environment]);
    const pip = ["-I", "-m", "pip", "--python", interpreter, "install", "-q", "--no-input"];
    runNow(python, [...pip, "--disable-pip-version-check", "--require-hashes", "-r", join(suites, requirements)], {
      env: { ...process.env, PIP_USER: "0" },
    });
  });
  return interpreter;
}

/** A stamp, written last, is a copy of the pins; while it equals them nothing is installed. */
function installOnce(name, pins, install) {
  const wanted = pins.map((file) => fs.readFileSync(join(suites, file), "utf8")).join("");
  const stamp = join(cache, `${name}.stamp`);
  if (fs.existsSync(stamp) && fs.readFileSync(stamp, "utf8") === wanted) return;
  fs.mkdirSync(cache, { recursive: true });
  console.error(`labelgraph: installing the clients (${name}) in ${cache} (once)`);
  fs.rmSync(stamp, { force: true });
  install();
  fs.writeFileSync(stamp, wanted);
}

function runNow(program, args, options = {}) {
  execFileSync(program, args, { stdio: ["ignore", 2, "inherit"], ...options });
}
