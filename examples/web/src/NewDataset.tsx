/** Creating a dataset of a folder or bucket of images. */
import { type FormEvent, useState } from "react";
import { useClient } from "urql";

import { CreateDatasetDocument, type DatasetType } from "./gql/graphql";
import { send } from "./outbox";
import { Dialog } from "./parts";
import { namesOf, sentence, useText } from "./text";

export function NewDataset({ close, created }: { close: () => void; created: (name: string) => void }) {
  const text = useText();
  const client = useClient();
  const [type, setType] = useState<DatasetType>("IMAGE_CLASSIFICATION");
  const [problem, setProblem] = useState("");
  const [isBusy, setBusy] = useState(false);

  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const given = (field: string) => String(form.get(field)).trim();
    const input = {
      name: given("name"),
      type,
      inputPath: given("inputPath"),
      outputPath: given("outputPath") || null,
      description: given("description"),
      labels: namesOf(given("labels")).map((name) => ({ name })),
    };
    setBusy(true);
    const { data, error } = (await send(client, CreateDatasetDocument, { input })) ?? {};
    setBusy(false);
    if (data?.createDataset) created(data.createDataset.dataset.name);
    else if (error) setProblem(sentence(text, error));
  };
  return (
    <Dialog title={text.newDataset} close={close}>
      <form onSubmit={(event) => void submit(event)}>
        <label>
          {text.name}
          <input
            name="name"
            data-first required maxLength={100} pattern="[0-9A-Za-z_\-]+" title={text.datasetName}
            onInvalid={({ currentTarget: field }) => field.validity.patternMismatch && field.setCustomValidity(text.datasetName)}
            onInput={({ currentTarget: field }) => field.setCustomValidity("")}
          />
          <small className="quiet">{text.datasetName}</small>
        </label>
        <label>
          {text.datasetType}
          <select value={type} onChange={(event) => setType(event.target.value as DatasetType)}>
            {Object.entries(text.type).map(([value, name]) => (
              <option key={value} value={value}>
                {name}: {text.typeHelp[value as DatasetType]}
              </option>
            ))}
          </select>
        </label>
        <label>
          {text.inputPath}
          <input name="inputPath" required spellCheck={false} aria-description={text.inputPathHelp} />
          <small className="quiet">{text.inputPathHelp}</small>
        </label>
        <label>
          {text.outputPath}
          <input name="outputPath" spellCheck={false} />
        </label>
        <label>
          {text.description}
          <input name="description" maxLength={256} />
        </label>
        <label>
          {text.firstLabels}
          <input name="labels" />
        </label>
        {problem && (
          <p className="warning" role="alert">
            {problem}
          </p>
        )}
        <div className="buttons">
          <button className="primary" disabled={isBusy}>
            {text.createIt}
          </button>
          <button type="button" onClick={close}>
            {text.cancel}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
