/** As in an app: documents in code, masked fragments, and a manifest for `serve --trusted-documents gql`. */
import { addTypenameSelectionDocumentTransform } from "@graphql-codegen/client-preset";

export default {
  schema: "../../schema/schema.graphql",
  documents: ["use.ts"],
  generates: {
    "gql/": {
      preset: "client",
      presetConfig: { persistedDocuments: true, fragmentMasking: { unmaskFunctionName: "unmask" } },
      documentTransforms: [addTypenameSelectionDocumentTransform], // as caches do: what is sent is what is listed
      config: {
        scalars: { DateTime: "string", Upload: "File" },
        strictScalars: true,
        useTypeImports: true,
        importExtension: ".js",
      },
    },
  },
};
