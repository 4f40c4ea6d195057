/** A page's code over what graphql-codegen made: it must compile, and each line marked as an error must not. */
import type { TypedDocumentNode } from "@graphql-typed-document-node/core";

import * as generated from "./generated.js";
import type * as schema from "./schema-generated.js";

declare function query<Data, Variables>(document: TypedDocumentNode<Data, Variables>, variables: Variables): Data;

export function paths(dataset: string): string[] {
  const { dataset: found } = query(generated.SamplesDocument, { dataset, filter: { state: "LABELED" } });
  return found?.samples.edges.map((edge) => edge.node.path) ?? [];
}

export function width(shapes: generated.ShapesQuery): number {
  const shape = shapes.dataset?.samples.nodes[0]?.annotations[0]?.shape;
  switch (shape?.__typename) {
    case undefined:
      return 0;
    case "BoundingBox":
      return shape.xMax - shape.xMin;
    case "Polygon":
      return Math.max(...shape.points.map((point) => point.x));
    default:
      return 1;
  }
}

export function isOver(job: generated.JobPartsFragment): boolean {
  switch (job.status) {
    case "QUEUED":
    case "RUNNING":
      return false;
    case "SUCCEEDED":
    case "FAILED":
    case "CANCELED":
      return true;
    default:
      return job.status satisfies never;
  }
}

export function describe(code: schema.ErrorCode): string {
  return code === "DATASET_BUSY" ? "Try again." : code;
}

export function addedAt(shapes: generated.ShapesQuery): string | undefined {
  return shapes.dataset?.samples.nodes[0]?.addedAt;
}

export function upload(dataset: string, files: File[]): string[] {
  const { uploadSamples } = query(generated.UploadSamplesDocument, { dataset, files });
  return uploadSamples?.results.map((result) => result.sample?.path ?? result.error?.message ?? "") ?? [];
}

export function name(node: generated.OneNodeQuery["node"]): string {
  return node?.__typename === "Sample" ? node.path : "";
}

// @ts-expect-error a required variable is missing
query(generated.SamplesDocument, {});
// @ts-expect-error no such state
query(generated.SamplesDocument, { dataset: "Dataset:1", filter: { state: "NO_STATE" } });
// @ts-expect-error a dataset may be missing
export const unguarded = (samples: generated.SamplesQuery) => samples.dataset.samples;
// @ts-expect-error the operation does not select it
export const unselected = (samples: generated.SamplesQuery) => samples.dataset?.description;
// @ts-expect-error one of `ids`, `filter` and `all`, not two
export const selection: schema.SampleSelection = { ids: ["Sample:1"], all: true };
