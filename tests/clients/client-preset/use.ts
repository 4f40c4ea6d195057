/** A page's code over what the client preset made: it must compile, and each line marked as an error must not. */
import type { ResultOf, VariablesOf } from "@graphql-typed-document-node/core";

import { type FragmentType, graphql, unmask } from "./gql/index.js";

export const Card = graphql(`
  fragment Card on Sample {
    path
    labels {
      id
      name
    }
  }
`);

export const Cards = graphql(`
  query Cards($dataset: ID!) {
    dataset(by: { id: $dataset }) {
      id
      samples(orderBy: { field: PATH }, first: 3) {
        nodes {
          id
          ...Card
        }
      }
    }
  }
`);

export const Make = graphql(`
  mutation Make($input: CreateDatasetInput!) {
    createDataset(input: $input) {
      dataset {
        id
      }
      job {
        id
      }
    }
  }
`);

export const Label = graphql(`
  mutation Label($input: LabelSamplesInput!) {
    labelSamples(input: $input) {
      changedCount
    }
  }
`);

export const Progress = graphql(`
  subscription Progress($job: ID!) {
    jobProgress(jobId: $job) {
      id
      status
    }
  }
`);

function describe(sample: FragmentType<typeof Card>): string {
  const { path, labels } = unmask(Card, sample);
  return [path, ...labels.map((label) => label.name)].join(" ");
}

export function describeAll(data: ResultOf<typeof Cards>): string[] {
  return data.dataset?.samples.nodes.map(describe) ?? [];
}

// @ts-expect-error the fields of a fragment are for the component that has it
export const masked = (data: ResultOf<typeof Cards>) => data.dataset?.samples.nodes[0]?.path;
// @ts-expect-error a required variable is missing
export const missing: VariablesOf<typeof Cards> = {};
// @ts-expect-error no such mode
export const mode: VariablesOf<typeof Label>["input"]["mode"] = "NO_MODE";
