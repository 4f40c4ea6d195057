/** Types for src/operations.graphql, from the schema that the server prints with `./labelgraph sdl`. */
export default {
  schema: "../../schema/schema.graphql",
  documents: ["src/operations.graphql"],
  generates: {
    "src/gql/": {
      preset: "client",
      presetConfig: { fragmentMasking: false },
      config: { scalars: { DateTime: "string", Upload: "File" }, strictScalars: true, useTypeImports: true },
    },
  },
};
