/** Typed documents of src/operations.graphql, and what caches must know of the schema: see cache.js. */
const schema = process.env.LABELGRAPH_SCHEMA ?? "../../schema/schema.graphql"; // or the URL of a server's /schema.graphql

export default {
  schema,
  documents: ["src/operations.graphql"],
  generates: {
    "src/gql/": {
      preset: "client",
      presetConfig: { fragmentMasking: false },
      config: {
        scalars: { DateTime: "string", Upload: "File" },
        strictScalars: true,
        useTypeImports: true,
        importExtension: ".js",
      },
    },
    "src/gql/cache.ts": { plugins: ["./cache.js"] },
  },
};
