/** What every part of a dataset's page shares. */
import type { AnyVariables, Client, TypedDocumentNode } from "@urql/core";
import { createContext, useContext } from "react";

import type { SampleSelectionInput, WorkspaceQuery } from "./gql/graphql";
import type { Text } from "./text";

export type Dataset = NonNullable<WorkspaceQuery["dataset"]>;
export type Label = Pick<Dataset["labels"][number], "id" | "name" | "color">;

/** The samples that a button or key is about. */
export interface Target {
  selects: SampleSelectionInput[]; // each in a mutation of its own: ids come by the thousand
  expectedCount?: number;
  count: number;
}

export interface Workspace {
  client: Client;
  text: Text;
  dataset: Dataset;
  limits: WorkspaceQuery["serverInfo"]["uploadLimits"];
  features: WorkspaceQuery["serverInfo"]["features"];
  /** Sends a mutation until it is answered. A refusal is shown, and the data are undefined then. */
  mutate: <Data, Variables extends AnyVariables>(
    document: TypedDocumentNode<Data, Variables>,
    variables: Variables,
  ) => Promise<Data | undefined>;
  say: (message: string, kind?: "good" | "bad", offers?: "undo" | "redo") => void;
  undo: (direction?: "undo" | "redo") => Promise<void>;
  /** Reads everything in view again. */
  refresh: () => void;
}

export const WorkspaceContext = createContext<Workspace | null>(null);

export function useWorkspace(): Workspace {
  const workspace = useContext(WorkspaceContext);
  if (!workspace) throw new Error("This belongs into a dataset's page.");
  return workspace;
}

/** What the dataset is busy with: a sync or an import. */
export const activeKind = ({ activeJob }: Pick<Dataset, "activeJob">): "SyncJob" | "ImportJob" | null =>
  activeJob && (activeJob.__typename === "ImportJob" ? "ImportJob" : "SyncJob");

/** Whether a label can have the name by the dataset's usual rule; where that is wider, the server says. */
export const isLabelName = ({ labelNames }: Pick<Dataset, "labelNames">, name: string): boolean =>
  labelNames !== "STANDARD" || /^[0-9A-Za-z_\-\p{Script=Han}]{1,32}$/u.test(name);

const COLORS = [
  "#4f46e5",
  "#0f766e",
  "#b45309",
  "#be185d",
  "#15803d",
  "#7c3aed",
  "#0369a1",
  "#b91c1c",
  "#4d7c0f",
  "#a21caf",
];

/** A label's colour, or one that its name always gets. */
export function colorOf({ name, color }: Pick<Label, "name" | "color">): string {
  let sum = 0;
  for (const character of name) sum = (sum * 31 + character.codePointAt(0)!) % 1_000_003;
  return color ?? COLORS[sum % COLORS.length]!;
}
