/** Runs the TypeScript compiler over a folder of generated and copied files below `.clients`. */
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { cache, program, run, suites } from "./packages.mjs";

const OPTIONS = {
  strict: true,
  target: "es2022",
  module: "nodenext",
  lib: ["es2023", "dom"],
  types: [],
  skipLibCheck: true,
  noUncheckedIndexedAccess: true,
  outDir: "compiled",
};

/** An empty folder `.clients/<name>` with the given files of the suite's folder and a tsconfig.json. */
export function makeFolder(name, files, options = {}) {
  const folder = join(cache, name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const file of files) copyFileSync(join(suites, name, file), join(folder, file));
  const configuration = { compilerOptions: { ...OPTIONS, ...options }, include: ["*.ts"] };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(configuration));
  writeFileSync(join(folder, "package.json"), '{"type": "module"}');
  return folder;
}

/** Compiles into `compiled`. Returns the compiler's messages, one a line; none when all is right. */
export async function compile(folder) {
  try {
    return (await run(program("tsc"), ["-p", folder])).stdout;
  } catch (error) {
    return error.stdout || String(error);
  }
}
