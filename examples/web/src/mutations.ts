/** Mutations of the page: sent until they are answered, undone and redone. */
import type { AnyVariables, Client, TypedDocumentNode } from "@urql/core";
import { useRef } from "react";

import { type ChangedFragment, UndoChangeDocument } from "./gql/graphql";
import { newKey } from "./key";
import { isApart, send, takeBack, waiting } from "./outbox";
import { sentence, type Text } from "./text";
import type { Workspace } from "./workspace";

/** A change of this page that Ctrl+Z takes back, or an undo that is redone, from the moment that it is made. */
interface Step {
  key: string; // in the outbox
  changeId: Promise<string | undefined>; // none, if nothing is to be undone
  undoes?: Step;
}

/** The change of a mutation's answer, if it can be undone. */
function changeOf(data: unknown): ChangedFragment | undefined {
  const [payload] = Object.values(data ?? {}) as ({ change?: ChangedFragment | null } | null)[];
  return payload?.change?.isUndoableByViewer ? payload.change : undefined;
}

/** Undo takes back the last step of this page: before it is sent, or by a mutation of its own. */
export function useMutations(
  client: Client,
  text: Text,
  say: Workspace["say"],
  refresh: Workspace["refresh"],
): Pick<Workspace, "mutate" | "undo"> {
  const steps = useRef<{ undo: Step[]; redo: Step[] }>({ undo: [], redo: [] });

  const mutate = async <Data, Variables extends AnyVariables>(
    document: TypedDocumentNode<Data, Variables>,
    variables: Variables,
  ) => {
    const [isUndo, waits] = [(document as unknown) === UndoChangeDocument, !isApart(document)];
    const key = newKey();
    const answered = send(client, document, variables, key);
    const step: Step = { key, changeId: answered.then((result) => changeOf(result?.data)?.id) };
    const before = [...steps.current.redo];
    if (!isUndo && waits) steps.current.undo.push(step);
    const { data, error } = (await answered) ?? {};
    const isDone = changeOf(data) !== undefined;
    if (!isUndo && isDone) {
      steps.current.redo = steps.current.redo.filter((each) => !before.includes(each));
      if (!waits) steps.current.undo.push(step);
    } else steps.current.undo = steps.current.undo.filter((each) => each !== step);
    if (error) say(sentence(text, error), "bad");
    if (!data) return undefined;
    refresh();
    return Object.values(data)[0] === null ? undefined : data;
  };

  const undo: Workspace["undo"] = async (direction = "undo") => {
    const opposite = direction === "undo" ? "redo" : "undo";
    const step = steps.current[direction].pop();
    if (!step) return say(text.nothingToUndo);
    if (takeBack(step.key)) {
      if (step.undoes) steps.current[opposite].push(step.undoes);
      return say(text.takenBack);
    }
    if (waiting.get().some(({ key }) => key === step.key)) say(text.undoneLater);
    const key = newKey();
    const answered = step.changeId.then((changeId) =>
      changeId === undefined ? undefined : send(client, UndoChangeDocument, { input: { changeId } }, key),
    );
    const change = answered.then((result) => result?.data?.undoChange?.change);
    steps.current[opposite].push({ key, changeId: change.then((made) => made?.id), undoes: step });
    const error = (await answered)?.error;
    if (error) say(sentence(text, error), "bad");
    const made = await change;
    if (!made) steps.current[opposite] = steps.current[opposite].filter((each) => each.key !== key);
    refresh();
    if (!made) return;
    say(text.summary(made.summary), "good", opposite);
  };

  return { mutate, undo };
}
