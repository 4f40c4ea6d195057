/** Operations for relay-compiler, which reads them from here; the suite imports what it makes of them. */
import { graphql } from "relay-runtime";

export const sample = graphql`
  fragment operations_sample on Sample @refetchable(queryName: "operationsRefetchSampleQuery") {
    path
    state
    labels {
      name
    }
  }
`;

export const samples = graphql`
  query operationsSamplesQuery($dataset: ID!, $first: Int!, $after: String) {
    dataset(by: { id: $dataset }) {
      id
      revision
      samples(first: $first, after: $after, orderBy: {field: PATH}) @connection(key: "Dataset_samples") {
        totalCount
        edges {
          node {
            id
            ...operations_sample
          }
        }
      }
    }
  }
`;

export const list = graphql`
  fragment operations_list on Dataset
  @argumentDefinitions(first: { type: "Int", defaultValue: 7 }, after: { type: "String" })
  @refetchable(queryName: "operationsMoreSamplesQuery") {
    samples(first: $first, after: $after, orderBy: {field: PATH}) @connection(key: "List_samples") {
      edges {
        node {
          ...operations_sample
        }
      }
    }
  }
`;

export const shapes = graphql`
  query operationsShapesQuery($dataset: ID!) {
    dataset(by: { id: $dataset }) {
      samples(first: 1, orderBy: {field: PATH}) {
        nodes {
          annotations {
            id
            shape {
              __typename
              ... on BoundingBox {
                xMin
                xMax
              }
            }
          }
        }
      }
    }
  }
`;

export const versions = graphql`
  query operationsVersionsQuery($dataset: ID!) {
    dataset(by: { id: $dataset }) {
      versions(first: 1) {
        nodes {
          samples(first: 1, orderBy: {field: PATH}) {
            nodes {
              id
              labels {
                name
              }
              current {
                id
              }
            }
          }
        }
      }
    }
  }
`;

export const annotation = graphql`
  fragment operations_annotation on Annotation @refetchable(queryName: "operationsRefetchAnnotationQuery") {
    label {
      name
    }
  }
`;

export const job = graphql`
  fragment operations_job on Job @refetchable(queryName: "operationsRefetchJobQuery") {
    status
    progress
  }
`;

export const labelSamples = graphql`
  mutation operationsLabelSamplesMutation($input: LabelSamplesInput!) {
    labelSamples(input: $input) {
      samples {
        ...operations_sample
      }
      dataset {
        revision
      }
    }
  }
`;

export const createDataset = graphql`
  mutation operationsCreateDatasetMutation($input: CreateDatasetInput!) {
    createDataset(input: $input) {
      dataset {
        id
        name
      }
    }
  }
`;

export const deleteDataset = graphql`
  mutation operationsDeleteDatasetMutation($input: DeleteDatasetInput!) {
    deleteDataset(input: $input) {
      deletedDatasetId @deleteRecord
    }
  }
`;

export const changes = graphql`
  subscription operationsChangesSubscription($dataset: ID!, $after: Int) {
    datasetChanges(datasetId: $dataset, afterRevision: $after) {
      id
      revision
      kind
    }
  }
`;
