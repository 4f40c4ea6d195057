/** Python's gql. */
import { test } from "node:test";

import { runSuite } from "./python.mjs";

test("python/gql_client.py passes", () => runSuite("gql"));
