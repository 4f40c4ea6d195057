declare module "apollo-upload-client/UploadHttpLink.mjs" {
  import type { HttpLink } from "@apollo/client";
  import { ApolloLink } from "@apollo/client";

  /** HttpLink, which sends a form where variables have files. */
  export default class UploadHttpLink extends ApolloLink {
    constructor(options?: HttpLink.Options);
  }
}
