/** A page's code whose documents gql.tada types: it must compile, and each line marked as an error must not. */
import { type FragmentOf, initGraphQLTada, readFragment, type ResultOf, type VariablesOf } from "gql.tada";

import type { introspection } from "./introspection.d.ts";

const graphql = initGraphQLTada<{ introspection: introspection; scalars: { DateTime: string; Upload: File } }>();

const SampleParts = graphql(`
  fragment SampleParts on Sample {
    id
    path
    state
    addedAt
  }
`);

export const Samples = graphql(
  `
    query Samples($dataset: ID!, $filter: SampleFilter, $first: Int = 20) {
      dataset(by: { id: $dataset }) {
        samples(filter: $filter, first: $first) {
          totalCount
          nodes {
            ...SampleParts
            annotations {
              shape {
                __typename
                ... on BoundingBox {
                  xMin
                }
              }
            }
          }
        }
      }
    }
  `,
  [SampleParts],
);

export const LabelSamples = graphql(`
  mutation LabelSamples($input: LabelSamplesInput!) {
    labelSamples(input: $input) {
      changedCount
    }
  }
`);

type Sample = NonNullable<ResultOf<typeof Samples>["dataset"]>["samples"]["nodes"][number];

export function describe(sample: Sample): string {
  const { path, addedAt, state } = readFragment(SampleParts, sample);
  const day: string = addedAt.slice(0, 10);
  switch (state) {
    case "LABELED":
    case "UNLABELED":
    case "PENDING":
      return `${path} ${day}`;
    default:
      return state satisfies never;
  }
}

export function left(sample: Sample): number | undefined {
  const shape = sample.annotations[0]?.shape;
  return shape?.__typename === "BoundingBox" ? shape.xMin : undefined;
}

export const variables: VariablesOf<typeof Samples> = { dataset: "Dataset:1", filter: { state: "LABELED" } };
export const input: VariablesOf<typeof LabelSamples> = {
  input: { datasetId: "Dataset:1", select: { ids: ["Sample:1"] }, labels: ["cat"] },
};

// @ts-expect-error a required variable is missing
export const missing: VariablesOf<typeof Samples> = {};
// @ts-expect-error no such state
export const unknown: VariablesOf<typeof Samples> = { dataset: "Dataset:1", filter: { state: "NO_STATE" } };
// @ts-expect-error a fragment is opaque until it is read
export const masked = (sample: FragmentOf<typeof SampleParts>) => sample.path;
// @ts-expect-error a dataset may be missing
export const unguarded = (result: ResultOf<typeof Samples>) => result.dataset.samples;
