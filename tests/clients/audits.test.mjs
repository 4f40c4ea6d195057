/** graphql-http's audits of GraphQL over HTTP, and what the server says of its own schema. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { buildClientSchema, buildSchema, getIntrospectionQuery, lexicographicSortSchema, printSchema } from "graphql";
import { serverAudits } from "graphql-http";

import { headers, request, schemaFile, url } from "./api.mjs";

const inTime = () => ({ signal: AbortSignal.timeout(60_000) });
const audits = serverAudits({
  url,
  fetchFn: (address, options = {}) =>
    fetch(address, { ...inTime(), ...options, headers: { ...options.headers, ...headers } }),
});

test("there are 61 audits", () => {
  assert.equal(audits.length, 61);
});

for (const audit of audits) {
  test(`${audit.id} ${audit.name}`, async () => {
    const result = await audit.fn();
    assert.equal(result.status, "ok", result.reason);
  });
}

test("introspection and /schema.graphql show the schema of schema/schema.graphql", async () => {
  const text = readFileSync(schemaFile, "utf8").trimEnd(); // the file ends with a line break
  const served = await fetch(url.replace(/graphql$/, "schema.graphql"), { headers, ...inTime() });
  assert.equal((await served.text()) === text, true, "/schema.graphql differs from schema/schema.graphql");
  const everything = { schemaDescription: true, oneOf: true, specifiedByUrl: true, inputValueDeprecation: true };
  const introspected = buildClientSchema(await request(getIntrospectionQuery(everything)));
  const lines = (schema) => printSchema(lexicographicSortSchema(schema)).split("\n");
  const expected = lines(buildSchema(text));
  assert.deepEqual(
    lines(introspected).filter((line, index) => line !== expected[index]),
    [],
  );
});
