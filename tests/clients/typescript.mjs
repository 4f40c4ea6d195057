/** Runs the TypeScript compiler over a folder of generated and copied files below `.clients`. */
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { cache, program, root, run, suites } from "./packages.mjs";

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

/**
 * The modules of examples/typescript, generated and compiled as its README says, and the code in that and in the recipes with
 * them: once, until something of it changes.
 */
export async function example() {
  const source = join(root, "examples", "typescript");
  const schema = join(root, "schema", "schema.graphql");
  const recipes = join(root, "docs", "recipes.md");
  const folder = join(cache, "typescript");
  const files = ["codegen.js", "cache.js", "tsconfig.json", "package.json", "README.md"];
  const sources = readdirSync(join(source, "src"), { recursive: true }).filter((name) => /^[^/]*\.(ts|graphql)$/.test(name));
  const read = [...files, ...sources.map((name) => join("src", name))].map((name) => join(source, name));
  const wanted = [schema, recipes, ...read].map((file) => readFileSync(file, "utf8")).join("");
  const stamp = join(folder, "stamp");
  if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== wanted) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(join(folder, "src"), { recursive: true });
    for (const file of read) cpSync(file, join(folder, file.slice(source.length)));
    for (const [name, page] of Object.entries({ readme: join(folder, "README.md"), recipes })) {
      const [, shown] = /```ts\n(.*?)```/s.exec(readFileSync(page, "utf8"));
      writeFileSync(join(folder, "src", `${name}.ts`), shown);
    }
    const env = { ...process.env, LABELGRAPH_SCHEMA: schema };
    await run(program("graphql-codegen"), ["--config", "codegen.js"], { cwd: folder, env });
    const messages = await compile(folder);
    if (messages) throw new Error(messages);
    writeFileSync(stamp, wanted);
  }
  const names = ["connection", "apollo", "urql", "relay", "upload", "gql/graphql"];
  const modules = await Promise.all(names.map((name) => import(join(folder, "built", `${name}.js`))));
  return Object.assign({}, ...modules);
}
