/** The operations of operations.graphql: by name, each with its fragments, as a document or as text. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { parse, print, separateOperations } from "graphql";

export const file = fileURLToPath(new URL("operations.graphql", import.meta.url));

export const documents = separateOperations(parse(readFileSync(file, "utf8")));

export const texts = Object.fromEntries(Object.entries(documents).map(([name, document]) => [name, print(document)]));
