/** The annotations of an image as a person changes and decides them, and what is shown until the server has answered. */
import { useState } from "react";

import { AnnotateSamplesDocument, type SampleAnnotationsInput, type SuggestionDecision } from "./gql/graphql";
import { type Annotation, inputOf, type Shape } from "./shapes";
import { useWorkspace } from "./workspace";

/** One without an id is made with the first shape that has it. */
export interface DrawnLabel {
  id?: string;
  name: string;
  color: string | null;
}

const named = ({ id, name }: { id?: string; name: string }) => (id ? { labelId: id } : { label: name });

export function useAnnotations(sampleId: string, annotations: readonly Annotation[]) {
  const { dataset, mutate } = useWorkspace();
  const [drafts, setDrafts] = useState<ReadonlyMap<string, Shape>>(new Map()); // moved ones, by their ids
  const [added, setAdded] = useState<readonly { shape: Shape; label: DrawnLabel }[]>([]);

  const annotate = (edits: Omit<SampleAnnotationsInput, "sampleId">) =>
    mutate(AnnotateSamplesDocument, {
      input: { datasetId: dataset.id, samples: [{ sampleId, ...edits }], createMissing: true },
    });

  /** Returns the id of the annotation; nothing, if it was refused. */
  const add = async (shape: Shape, label: DrawnLabel): Promise<string | undefined> => {
    const one = { shape, label };
    setAdded((others) => [...others, one]);
    const known = new Set(annotations.map(({ id }) => id));
    const answer = await annotate({ add: [{ ...named(label), shape: inputOf(shape) }] });
    setAdded((others) => others.filter((other) => other !== one));
    return answer?.annotateSamples?.samples[0]?.annotations.find(({ id }) => !known.has(id))?.id;
  };
  const draft = (annotation: string, shape: Shape | null) =>
    setDrafts((old) => {
      const drafted = new Map(old);
      if (shape) drafted.set(annotation, shape);
      else drafted.delete(annotation);
      return drafted;
    });
  const update = async (id: string, { shape, label }: { shape?: Shape; label?: { id?: string; name: string } }) => {
    await annotate({ update: [{ id, ...(shape && { shape: inputOf(shape) }), ...(label && named(label)) }] });
    if (shape) draft(id, null);
  };
  const remove = (id: string) => annotate({ remove: [id] });
  const decide = (decision: SuggestionDecision, suggestions: readonly Annotation[]) => {
    const ids = suggestions.map(({ id }) => id);
    return annotate(decision === "ACCEPT" ? { update: ids.map((id) => ({ id })) } : { remove: ids });
  };
  return { drafts, added, draft, add, update, remove, decide };
}
