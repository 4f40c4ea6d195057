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
  installOnce("node", ["package-lock.json"], () => installFrom(suites, cache));
  const link = join(suites, "..", "node_modules");
  if (fs.existsSync(link) && fs.realpathSync(link) === fs.realpathSync(join(cache, "node_modules"))) return;
  fs.rmSync(link, { recursive: true, force: true });
  fs.symlinkSync(join("..", ".clients", "node_modules"), link);
}

/** The packages of the page, where its build looks for them. Returns its folder. */
export function installPagePackages() {
  const page = join(root, "examples", "web");
  installOnce("web", [join("..", "..", "examples", "web", "package-lock.json")], () => npmInstall(page));
  return page;
}

/** Lighthouse, which only its suite installs. Returns the folder of its packages. */
export function installLighthouse() {
  const source = join(suites, "..", "browser", "lighthouse");
  const folder = join(cache, "lighthouse");
  installOnce("lighthouse", [join("..", "browser", "lighthouse", "package-lock.json")], () => installFrom(source, folder));
  return join(folder, "node_modules");
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

function installFrom(source, folder) {
  fs.mkdirSync(folder, { recursive: true });
  for (const file of ["package.json", "package-lock.json", ".npmrc"]) fs.copyFileSync(join(source, file), join(folder, file));
  npmInstall(folder);
}

/** The lock file has the version and the hash of every package. Nothing of a package runs when it is installed. */
function npmInstall(folder) {
  runNow("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], { cwd: folder });
}

function runNow(program, args, options = {}) {
  execFileSync(program, args, { stdio: ["ignore", 2, "inherit"], ...options });
}
