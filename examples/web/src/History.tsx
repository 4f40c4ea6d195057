/** What was done to the dataset, newest first, and undoing it. */
import { useEffect, useState } from "react";
import { useQuery } from "urql";

import { HistoryDocument, UndoChangeDocument } from "./gql/graphql";
import { Action, Dialog } from "./parts";
import { useWorkspace } from "./workspace";

export default function History({ close, changes }: { close: () => void; changes: number }) {
  const { text } = useWorkspace();
  const [pages, setPages] = useState<(string | null)[]>([null]);
  return (
    <Dialog title={text.history} close={close} className="wide">
      <p className="quiet">{text.undoHelp}</p>
      <ol className="history">
        {pages.map((after, index) => (
          <Changes
            key={after ?? ""}
            after={after}
            changes={changes}
            more={index === pages.length - 1 ? (next) => setPages([...pages, next]) : undefined}
          />
        ))}
      </ol>
    </Dialog>
  );
}

function Changes({
  after,
  changes,
  more,
}: {
  after: string | null;
  changes: number;
  more: ((after: string) => void) | undefined;
}) {
  const { dataset, mutate, text } = useWorkspace();
  const [{ data }, read] = useQuery({
    query: HistoryDocument,
    variables: { id: dataset.id, after },
    requestPolicy: "cache-and-network",
  });
  useEffect(() => {
    if (changes > 0) read({ requestPolicy: "network-only" });
  }, [changes]);
  const page = data?.dataset?.changes;
  return (
    <>
      {page?.nodes.map((change) => (
        <li key={change.id} className={change.undoneBy ? "undone" : ""}>
          <span className="figure">{change.revision}</span>
          <span className="summary">
            {text.summary(change.summary)} {change.undoneBy && <em>({text.wasUndone})</em>}
          </span>
          <span className="quiet">{change.actor}</span>
          <time className="quiet" dateTime={change.createdAt}>
            {new Date(change.createdAt).toLocaleString()}
          </time>
          <Action
            may={change.isUndoableByViewer && !change.undoneBy}
            reason={change.undoneBy ? text.wasUndone : dataset.viewerCan.undo ? text.cannotUndo : undefined}
            className="small once"
            label={`${change.undoneBy ? text.wasUndone : text.undo}: ${text.summary(change.summary)}`}
            onClick={() => void mutate(UndoChangeDocument, { input: { changeId: change.id } })}
          >
            {change.undoneBy ? text.wasUndone : text.undo}
          </Action>
        </li>
      ))}
      {more && page?.pageInfo.hasNextPage && (
        <li>
          <button type="button" onClick={() => more(page.pageInfo.endCursor!)}>
            {text.more}
          </button>
        </li>
      )}
    </>
  );
}
