/** What suites have a model suggest, through the API as any program does. */
import { request } from "../clients/api.mjs";

export const MODEL = { name: "hands", modelVersion: "1" };

const UNLABELED = `query ($dataset: ID!) { dataset(by: { id: $dataset }) {
  samples(filter: { state: UNLABELED }, orderBy: { field: PATH }, first: 100) { nodes { path fileName } }
} }`;
const SUGGEST = `mutation ($input: SuggestAnnotationsInput!) {
  suggestAnnotations(input: $input) { suggestedCount }
}`;
const DECIDE = `mutation ($input: DecideSuggestionsInput!) {
  decideSuggestions(input: $input) { suggestionCount }
}`;

/** Samples are given as their path and annotations. */
export async function suggest(datasetId, samples, model = MODEL) {
  const { suggestAnnotations } = await request(SUGGEST, { input: { datasetId, model, samples } });
  return suggestAnnotations.suggestedCount;
}

/**
 * Suggests `digit-0` and `digit-1` in turn for the unlabelled images of a dataset of digits: the first one by path with
 * 99 %, each next one with 4 % less. Returns the names of their files.
 */
export async function suggestDigits(datasetId, model = MODEL) {
  const { dataset } = await request(UNLABELED, { dataset: datasetId });
  const annotations = (index) => [{ label: `digit-${index % 2}`, confidence: (99 - 4 * index) / 100 }];
  await suggest(
    datasetId,
    dataset.samples.nodes.map(({ path }, index) => ({ path, annotations: annotations(index) })),
    model,
  );
  return dataset.samples.nodes.map(({ fileName }) => fileName);
}

/** Decides as another client. Returns how many suggestions that was. */
export async function decide(datasetId, decision, conditions) {
  const input = { datasetId, select: { all: true }, decision, ...conditions };
  return (await request(DECIDE, { input })).decideSuggestions.suggestionCount;
}
