/** Deleting images, after what it affects was shown. */
import { useEffect, useState } from "react";

import { type DeleteSamplesImpactMutation, DeleteSamplesDocument, DeleteSamplesImpactDocument } from "./gql/graphql";
import { Dialog } from "./parts";
import { type Target, useWorkspace } from "./workspace";

type Impacts = NonNullable<DeleteSamplesImpactMutation["deleteSamples"]>["impacts"];

interface DeleteImagesProps {
  target: Target;
  name: string | undefined; // where it is one image
  close: (done: boolean) => void;
}

export function DeleteImages({ target, name, close }: DeleteImagesProps) {
  const { client, dataset, mutate, say, text } = useWorkspace();
  const [{ selects, count, expectedCount = null }] = useState(target); // what was selected when this was opened
  const [asked] = useState(name);
  const [deleteSources, setDeleteSources] = useState(false);
  const [impacts, setImpacts] = useState<Impacts>([]);
  const inputs = selects.map((select) => ({ datasetId: dataset.id, select, deleteSources, expectedCount }));

  useEffect(() => {
    setImpacts([]);
    if (!deleteSources) return;
    for (const input of inputs) {
      const asked = client.mutation(DeleteSamplesImpactDocument, { input: { ...input, dryRun: true } }).toPromise();
      void asked.then(({ data }) => setImpacts((known) => [...known, ...(data?.deleteSamples?.impacts ?? [])]));
    }
  }, [deleteSources]);

  const remove = async () => {
    close(true);
    let deleted = 0;
    for (const input of inputs) {
      const answer = await mutate(DeleteSamplesDocument, { input });
      if (!answer?.deleteSamples) return;
      deleted += answer.deleteSamples.deletedSampleCount;
    }
    say(text.imagesDeleted(deleted), "good", deleteSources ? undefined : "undo");
  };
  return (
    <Dialog title={text.deleteImages} close={() => close(false)}>
      <p>{text.deleteImagesAsk(count, asked)}</p>
      <label className="line">
        <input type="checkbox" checked={deleteSources} onChange={(event) => setDeleteSources(event.target.checked)} />
        {text.deleteSources}
      </label>
      <ImpactElsewhere impacts={impacts} />
      <div className="buttons">
        <button type="button" className="danger" onClick={() => void remove()}>
          {text.delete}
        </button>
        <button type="button" onClick={() => close(false)}>
          {text.cancel}
        </button>
      </div>
    </Dialog>
  );
}

/** What deleting image files does to versions and other datasets. */
export function ImpactElsewhere({ impacts }: { impacts: Impacts }) {
  const { text } = useWorkspace();
  const names = (items: readonly { name: string }[]) => [...new Set(items.map((item) => item.name))].join(", ");
  const versions = names(impacts.flatMap((impact) => impact.versions));
  const datasets = names(impacts.flatMap((impact) => impact.datasets));
  const shared = impacts.reduce((sum, impact) => sum + impact.sharedSourceCount, 0);
  return (
    <div className="warning" role="status">
      {versions && <p>{text.impactVersions(versions)}</p>}
      {shared > 0 && <p>{text.impactShared(shared)}</p>}
      {datasets && <p>{text.impactDatasets(datasets)}</p>}
    </div>
  );
}
