/** The page of a dataset: it holds what the person filters, selects and does, and shows the parts. */
import { lazy, Suspense, useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { useClient, useQuery } from "urql";

import { go, place, type View, viewOf, withView } from "./address";
import { Bar } from "./App";
import {
  ANY_SUGGESTION,
  type Conditions,
  filterOf,
  isNarrowed,
  NO_CONDITIONS,
  ORDERS,
  TABS,
} from "./conditions";
import { byLabel, decide, decisionOf, suggestionsOf, toAccept, whichOf } from "./decisions";
import { DeleteImages } from "./Deletion";
import { useDrop } from "./drop";
import { Filters, useFacets } from "./Filters";
import { follow } from "./follow";
import {
  LabelSamplesDocument,
  UpdateSamplesDocument,
  type SuggestionDecision,
  WorkspaceDocument,
  type WorkspaceQuery,
} from "./gql/graphql";
import { FileLabels } from "./FileLabels";
import { Grid, type GridHandle } from "./Grid";
import { LabelPanel } from "./LabelPanel";
import { type Card, SampleList } from "./list";
import { Connection, type Message, Messages } from "./Messages";
import { useMutations } from "./mutations";
import { resume } from "./outbox";
import { Action, useLast } from "./parts";
import { DecideMany, Suggestions } from "./Suggestions";
import { SyncButton, SyncProgress } from "./Sync";
import { useSelection } from "./selection";
import { note } from "./session";
import { useStore } from "./store";
import { sentence, useText } from "./text";
import { Keys, Tabs, TILES, Tools } from "./Tools";
import { type Dataset, type Workspace, WorkspaceContext } from "./workspace";

// What is not seen at first is loaded when it is opened.
const History = lazy(() => import("./History"));
const Versions = lazy(() => import("./Versions"));
const Upload = lazy(() => import("./Upload"));
const ImageView = lazy(() => import("./ImageView"));
const Models = lazy(() => import("./Models"));

const OFTEN = 300; // milliseconds from one reading to the next
const TOGETHER = 50; // milliseconds from an answer to the event of the same change

type Window = "history" | "versions" | "models" | "upload" | "delete" | "decide" | "keys";

export function DatasetPage({ name }: { name: string }) {
  const text = useText();
  const [{ data: answer, error }, read] = useQuery({
    query: WorkspaceDocument,
    variables: { name },
    requestPolicy: "cache-and-network",
  });
  const data = useLast(answer);
  useEffect(() => note(error), [error]);
  useEffect(() => {
    if (!error?.networkError) return undefined;
    const timer = setTimeout(() => read({ requestPolicy: "network-only" }), 2_000);
    return () => clearTimeout(timer);
  }, [error]);
  const reread = useCallback(() => read({ requestPolicy: "network-only" }), [read]);
  if (data?.dataset) return <Page data={data} dataset={data.dataset} reread={reread} />;
  return (
    <>
      <Bar who={data?.viewer} />
      <main className="narrow">
        <p className="empty">{data ? text.noDataset(name) : error ? sentence(text, error) : text.loading}</p>
      </main>
    </>
  );
}

type Loaded = Pick<WorkspaceQuery, "viewer" | "serverInfo">;

function Page({ data, dataset, reread }: { data: Loaded; dataset: Dataset; reread: () => void }) {
  const text = useText();
  const client = useClient();
  const query = useStore(place);
  const { conditions, order } = useMemo(() => viewOf(query, dataset.labels), [query]);
  const [tile, setTile] = useState(TILES[1]!);
  const [shown, setShown] = useState<Window | null>(null);
  const [opened, setOpened] = useState<number | null>(null); // the position of the image that is viewed
  const [dropped, setDropped] = useState<File[]>([]);
  const [message, setMessage] = useState<Message | null>(null);
  const [changes, setChanges] = useState(0); // counts what happened, for the parts that read again then
  const grid = useRef<GridHandle>(null);

  const list = useMemo(
    () => new SampleList(client, dataset.id, filterOf(conditions), ORDERS[order]),
    [client, dataset.id, conditions, order],
  );
  useSyncExternalStore(list.subscribe, list.snapshot);
  useEffect(() => () => list.close(), [list]);
  const facets = useFacets(dataset.id, conditions, dataset.statistics, changes);
  const selection = useSelection(list);
  const { focus, target: aim } = selection;

  const listed = useRef(query);
  const show = (view: View, replaces = false) => {
    go(withView(query, view), replaces);
    listed.current = place.get();
  };
  const filterBy = (next: Conditions) => {
    const isTyping = conditions.text !== "" && next.text !== "" && conditions.text !== next.text;
    show({ conditions: next, order }, isTyping);
    selection.restart();
  };
  useEffect(() => {
    if (listed.current !== query) selection.restart(); // the browser went back, and other images are listed
    listed.current = query;
  }, [query]);

  const say: Workspace["say"] = (said, kind = "good", offers) =>
    setMessage({ text: said, kind, offers, at: Date.now() });

  // Others change the dataset, too. However often they do, what is in view is read once in a while: less often where
  // counting takes long. After a while without changes it is read at once, with what happens at the same time.
  const timer = useRef(0);
  const readAt = useRef(0);
  const now = useRef({ list, reread });
  now.current = { list, reread };
  const refresh = useCallback(() => {
    if (timer.current) return;
    const next = readAt.current + Math.max(OFTEN, 3 * now.current.list.countingTook);
    timer.current = window.setTimeout(
      () => {
        timer.current = 0;
        readAt.current = Date.now();
        now.current.reread();
        now.current.list.refresh();
        setChanges((count) => count + 1);
      },
      Math.max(TOGETHER, next - Date.now()),
    );
  }, []);
  useEffect(() => follow(client, dataset.id, dataset.eventCursor, refresh), [client, dataset.id]);
  useEffect(() => void resume(client, (error) => say(sentence(text, error), "bad")), [client]);

  const { mutate, undo } = useMutations(client, text, say, refresh);
  const workspace: Workspace = {
    client,
    text,
    dataset,
    limits: data.serverInfo.uploadLimits,
    features: data.serverInfo.features,
    mutate,
    say,
    undo,
    refresh,
  };
  const total = list.total;

  /** Adds a label to what is selected, or takes it from there. */
  const label = async (given: { id?: string; name: string }, mode: "ADD" | "REMOVE" = "ADD") => {
    if (!aim || !dataset.viewerCan.label) return;
    const named = given.id ? { labelIds: [given.id] } : { labels: [given.name], createMissing: true };
    const more = aim.expectedCount === undefined ? {} : { expectedCount: aim.expectedCount };
    let changed = 0;
    if (conditions.tab === "UNLABELED" && mode === "ADD") selection.deselect(); // they leave this list
    for (const select of aim.selects) {
      const input = { datasetId: dataset.id, select, mode, ...named, ...more };
      const answer = await mutate(LabelSamplesDocument, { input });
      if (!answer?.labelSamples) return;
      changed += answer.labelSamples.changedCount;
    }
    if (changed === 0) say(text.unchanged);
    else say(mode === "ADD" ? text.labelled(changed, given.name) : text.removed(changed, given.name), "good", "undo");
  };

  const [onlyId] = aim?.count === 1 ? (aim.selects[0]?.ids ?? []) : [];
  const only = onlyId === undefined ? undefined : list.sample(list.indexOf(String(onlyId)));

  /** A label's key adds it; on an image that has it already, it takes it away. */
  const labelByKey = (given: Dataset["labels"][number]) => {
    const has = only?.labels.some((own) => own.id === given.id);
    void label(given, has ? "REMOVE" : "ADD");
  };

  // What is suggested is decided where it is seen. One image after another: the focus goes on.
  const which = whichOf(conditions.suggestions);
  const cards = conditions.tab === "SUGGESTED" ? selection.cards() : [];
  const suggestionsOn = (card: Card) => suggestionsOf(card, conditions.suggestions);
  const decideCard = (decision: SuggestionDecision, card: Card) => {
    const labels = decision === "ACCEPT" ? byLabel(toAccept(suggestionsOn(card))) : [];
    const only = labels.length === 1 ? { labelIds: [labels[0]!.label.id] } : {};
    void decide(workspace, decision, { selects: [{ ids: [card.id] }] }, { ...which, ...only });
  };
  const decideAll = (decision: SuggestionDecision) => {
    if (!aim || !dataset.viewerCan.label) return;
    const isUnclear = (card: Card) => toAccept(suggestionsOn(card)).length < suggestionsOn(card).length;
    if (selection.isAll || (aim.count > 1 && decision === "ACCEPT" && cards.some(isUnclear))) return setShown("decide");
    if (cards[0] && aim.count === 1) decideCard(decision, cards[0]);
    else void decide(workspace, decision, aim, which);
    if (selection.count === 0) selection.goOn();
    else selection.deselect();
  };

  const setHard = async (isHard: boolean) => {
    for (const select of aim?.selects ?? []) {
      const { expectedCount = null } = aim!;
      await mutate(UpdateSamplesDocument, { input: { datasetId: dataset.id, select, isHard, expectedCount } });
    }
  };

  const selectTo = async (index: number) => {
    if (!(await selection.selectTo(index))) say(text.rangeTooLong, "bad");
  };
  const selectInView = () => selection.selectAlso(...grid.current!.inView());

  // Keys for the whole page, unless somebody types or a window is open.
  const onKey = (event: KeyboardEvent) => {
    const typing = event.target instanceof HTMLElement && event.target.matches("input, select, textarea");
    const control = event.ctrlKey || event.metaKey;
    if (control && event.key.toLowerCase() === "z" && !(typing && (event.target as HTMLInputElement).value)) {
      event.preventDefault();
      void undo(event.shiftKey ? "redo" : "undo");
      return;
    }
    if (document.querySelector("dialog[open], #selecting:popover-open") || event.isComposing) return;
    const decision = conditions.tab === "SUGGESTED" && decisionOf(event, dataset.labels);
    const tab = event.altKey && TABS[Number(event.code.replace("Digit", "")) - 1];
    const labelOfKey = !control && !event.altKey && dataset.labels.find((each) => each.shortcut === event.key);
    if (tab) filterBy({ ...conditions, tab });
    else if (typing && event.key === "Escape") grid.current!.focus();
    else if (typing) return;
    else if (labelOfKey) labelByKey(labelOfKey);
    else if (decision) decideAll(decision);
    else if (control && event.key === "a") selectInView();
    else if (control || event.altKey) return;
    else if (event.key === "Escape") selection.deselect();
    else if (event.key === "Delete" && aim && dataset.viewerCan.manage) setShown("delete");
    else if (event.key === "l" || event.key === "L") document.getElementById("label-box")?.focus();
    else if (event.key === "?") setShown("keys");
    else if (document.activeElement === document.body && /^(Arrow\w+|Enter| )$/.test(event.key))
      grid.current!.focus(); // the button that had the focus went with what it did
    else return;
    event.preventDefault();
  };
  const key = useRef(onKey);
  key.current = onKey;
  useEffect(() => {
    const listener = (event: KeyboardEvent) => key.current(event);
    addEventListener("keydown", listener);
    return () => removeEventListener("keydown", listener);
  }, []);

  const close = () => {
    setShown(null);
    setDropped([]);
  };
  const can = dataset.viewerCan;
  const isDragging = useDrop((files) => {
    if (!can.upload) return say(text.mayNot, "bad");
    setDropped(files);
    setShown("upload");
  });
  return (
    <WorkspaceContext value={workspace}>
      <a className="skip" href="#grid">
        {text.skip}
      </a>
      <Bar who={data.viewer}>
        <h1 title={dataset.description}>{dataset.name}</h1>
        <SyncButton />
        <Action may={can.upload} onClick={() => setShown("upload")}>
          {text.upload}
        </Action>
        <Action
          onClick={() => setShown("versions")}
          label={dataset.hasUnpublishedChanges ? `${text.versions}: ${text.unpublished}` : text.versions}
        >
          {text.versions}
          {dataset.hasUnpublishedChanges && <span className="mark" />}
        </Action>
        <Action onClick={() => setShown("models")}>{text.models}</Action>
        <Action onClick={() => setShown("history")}>{text.history}</Action>
      </Bar>
      <Connection />
      <main className="workspace">
        <Filters conditions={conditions} setConditions={filterBy} facets={facets} changes={changes} />
        <section className="center" aria-label={text.imageList(total ?? 0)}>
          <SyncProgress />
          <Tabs conditions={conditions} counts={facets.states} setTab={(tab) => filterBy({ ...conditions, tab })} />
          <Tools
            total={total}
            selected={selection.count}
            order={order}
            tile={tile}
            selectInView={selectInView}
            selectAll={selection.selectAll}
            deselect={selection.deselect}
            open={() => setOpened(focus)}
            setOrder={(next) => {
              show({ conditions, order: next });
              selection.moveTo(0);
            }}
            setTile={setTile}
            help={() => setShown("keys")}
            helpKey={dataset.labels.some((each) => each.shortcut === "?") ? undefined : "?"}
          />
          {list.problem && (
            <p className="warning" role="alert">
              {sentence(text, list.problem)}
            </p>
          )}
          {total === 0 && (
            <p className="empty">
              {isNarrowed(conditions) || conditions.tab !== "ALL"
                ? text.nothing
                : dataset.activeJob
                  ? text.arriving
                  : `${text.nothingYet} ${text.nothingYetHelp}`}
            </p>
          )}
          <Grid
            handle={grid}
            list={list}
            least={tile}
            focus={focus}
            isSelected={selection.isSelected}
            moveTo={(index, extend) => (extend ? void selectTo(index) : selection.moveTo(index))}
            toggle={selection.toggle}
            selectTo={(index) => void selectTo(index)}
            open={setOpened}
            suggestions={conditions.suggestions}
            decide={decideCard}
          />
        </section>
        <aside className="side" aria-label={text.labels}>
          {conditions.tab === "SUGGESTED" && (
            <Suggestions
              suggestions={cards.flatMap(suggestionsOn)}
              target={aim}
              decideAll={(decision) => {
                decideAll(decision);
                grid.current!.focus(); // what was decided goes, and the button with it
              }}
              decideLabel={(decision, { id }) => {
                if (aim) void decide(workspace, decision, aim, { ...which, labelIds: [id] });
                grid.current!.focus();
              }}
              choose={() => setShown("decide")}
            />
          )}
          <FileLabels
            target={aim}
            name={only?.fileName}
            isFocus={selection.count === 0}
            label={(given, mode) => void label(given, mode)}
            setHard={(isHard) => void setHard(isHard)}
            remove={() => setShown("delete")}
            changes={changes}
          />
          <LabelPanel apply={(given) => void label(given)} mayApply={aim !== null} />
        </aside>
        {isDragging && can.upload && <div className="drop">{text.dropHere}</div>}
      </main>
      <Messages message={message} close={() => setMessage(null)} undo={(direction) => void undo(direction)} />
      <Suspense fallback={null}>
        {shown === "history" && <History close={close} changes={changes} />}
        {shown === "versions" && <Versions close={close} changes={changes} />}
        {shown === "models" && (
          <Models
            close={close}
            changes={changes}
            show={(suggestions) => {
              close();
              filterBy({ ...NO_CONDITIONS, tab: "SUGGESTED", suggestions: { ...ANY_SUGGESTION, ...suggestions } });
            }}
          />
        )}
        {shown === "upload" && <Upload close={close} files={dropped} />}
        {opened !== null && (
          <ImageView
            list={list}
            index={opened}
            changes={changes}
            go={(index) => {
              setOpened(index);
              selection.moveTo(index);
            }}
            close={() => setOpened(null)}
          />
        )}
      </Suspense>
      {shown === "delete" && aim && (
        <DeleteImages
          target={aim}
          name={only?.fileName}
          close={(done) => {
            close();
            if (done) selection.deselect();
          }}
        />
      )}
      {shown === "decide" && (
        <DecideMany
          target={selection.count > 0 && aim ? aim : { selects: [{ filter: list.filter }], count: total ?? 0 }}
          isSelection={selection.count > 0 && !selection.isAll}
          which={which}
          changes={changes}
          close={(done) => {
            close();
            if (done) selection.deselect();
          }}
        />
      )}
      {shown === "keys" && <Keys close={close} />}
    </WorkspaceContext>
  );
}
