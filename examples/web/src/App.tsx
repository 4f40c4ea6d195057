/** Signing in, the list of datasets, and the way into one. */
import { type FormEvent, type ReactNode, useEffect, useMemo, useState } from "react";
import { Provider, useClient, useQuery } from "urql";

import { datasetOf, go, place, queryOf } from "./address";
import { DatasetsDocument } from "./gql/graphql";
import { Connection } from "./Messages";
import { NewDataset } from "./NewDataset";
import { discardKept, keptCount, resume, waiting } from "./outbox";
import { Action, useSettled } from "./parts";
import { note, openClient, refused, signIn, signOut, token } from "./session";
import { remembered, useStore } from "./store";
import { language, sentence, useText } from "./text";
import { DatasetPage } from "./DatasetPage";

const themes = ["light dark", "light", "dark"];
const theme = remembered("labelgraph-theme", themes[0]!);

export function App() {
  const held = useStore(token);
  const scheme = useStore(theme);
  const spoken = useStore(language);
  const dataset = datasetOf(useStore(place));
  const client = useMemo(openClient, [held]);
  useEffect(() => {
    document.documentElement.style.colorScheme = scheme;
    document.documentElement.lang = spoken;
    document.title = held && dataset ? `${dataset} · Labelgraph` : "Labelgraph";
  }, [scheme, spoken, dataset, held]);
  if (held === null) return <SignIn />;
  return (
    <Provider value={client}>{dataset === null ? <Datasets /> : <DatasetPage key={dataset} name={dataset} />}</Provider>
  );
}

/** What is at the top of each view. */
export function Bar({ children, who }: { children?: ReactNode; who?: { name: string; scope: string } | undefined }) {
  const text = useText();
  return (
    <header className="bar">
      <a
        className="home"
        href="./"
        aria-label="Labelgraph"
        onClick={(event) => {
          event.preventDefault();
          go("");
        }}
      >
        <Mark />
        <span>Labelgraph</span>
      </a>
      {children}
      <span className="end">
        <a href="../graphql">GraphiQL</a>
        <button type="button" className="plain" onClick={() => language.set(language.get() === "zh" ? "en" : "zh")}>
          {text.language}
        </button>
        <button
          type="button"
          className="plain"
          aria-label={text.theme}
          title={text.theme}
          onClick={() => theme.set(themes[(themes.indexOf(theme.get()) + 1) % themes.length]!)}
        >
          ◐
        </button>
        {who && (
          <button
            type="button"
            className="plain"
            title={text.signedInAs(who.name, who.scope)}
            onClick={() => {
              const { length } = waiting.get();
              if (length === 0 || confirm(text.signOutAsk(length))) signOut();
            }}
          >
            {text.signOut}
          </button>
        )}
      </span>
    </header>
  );
}

const Mark = () => (
  <svg viewBox="0 0 32 32" width="24" height="24" aria-hidden="true">
    <rect width="32" height="32" rx="7" fill="#4f46e5" />
    <path
      d="M8 9.5A2.5 2.5 0 0 1 10.5 7h6.2a2.5 2.5 0 0 1 1.77.73l6.3 6.3a2.5 2.5 0 0 1 0 3.54l-6.2 6.2a2.5 2.5 0 0 1-3.54 0l-6.3-6.3A2.5 2.5 0 0 1 8 15.7z"
      fill="#fff"
    />
    <circle cx="13" cy="12" r="2" fill="#4f46e5" />
  </svg>
);

function SignIn() {
  const text = useText();
  const isRefused = useStore(refused);
  const [problem, setProblem] = useState(isRefused ? text.tokenWrong : "");
  const [kept, setKept] = useState(keptCount);
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const given = String(new FormData(event.currentTarget).get("token")).trim();
    if (!/^[!-~]+$/.test(given)) return setProblem(text.tokenWrong);
    const headers = { authorization: `Bearer ${given}`, "content-type": "application/json" };
    const request = { method: "POST", headers, body: '{"query": "{ viewer { name } }"}' };
    const response = await fetch("../graphql", request).catch(() => null);
    if (response?.ok) signIn(given);
    else setProblem(response?.status === 401 ? text.tokenWrong : text.noAnswer);
  };
  return (
    <>
      <Bar />
      <main className="narrow">
        <form className="sign-in" onSubmit={(event) => void submit(event)}>
          <h1>{text.signIn}</h1>
          <label>
            {text.token}
            <input
              name="token"
              type="password"
              autoComplete="off"
              placeholder="lg_…"
              required
              autoFocus
              aria-invalid={problem === text.tokenWrong}
            />
          </label>
          {problem && <p role="alert">{problem}</p>}
          {kept > 0 && (
            <p className="warning" role="status">
              {text.keptForToken(kept)}{" "}
              <button
                type="button"
                className="link"
                onClick={() => {
                  discardKept();
                  setKept(0);
                }}
              >
                {text.discard}
              </button>
            </p>
          )}
          <button className="primary">{text.signIn}</button>
          <p className="quiet">
            {text.tokenHelp} <code>./labelgraph token create --name me --scope label</code>
          </p>
        </form>
      </main>
    </>
  );
}

function Datasets() {
  const text = useText();
  const [typed, setTyped] = useState("");
  const name = useSettled(typed, 200);
  const [after, setAfter] = useState<string[]>([]);
  const [isCreating, setCreating] = useState(false);
  useEffect(() => setAfter([]), [name]);
  const pages = [null, ...after];
  const [{ data, error }] = useQuery({
    query: DatasetsDocument,
    variables: { name, after: null },
    requestPolicy: "cache-and-network",
  });
  useEffect(() => note(error), [error]);
  const client = useClient();
  const [problem, setProblem] = useState("");
  useEffect(() => void resume(client, (refusal) => setProblem(sentence(text, refusal))), [client]);
  return (
    <>
      <Bar who={data?.viewer} />
      <Connection />
      <main className="narrow">
        <div className="head">
          <h1>{text.datasets}</h1>
          <span className="end">
            <input
              type="search"
              aria-label={text.find}
              placeholder={text.find}
              value={typed}
              onChange={(event) => setTyped(event.target.value)}
            />
            <Action
              may={data?.viewer.canCreateDatasets ?? false}
              className="primary"
              onClick={() => setCreating(true)}
            >
              {text.newDataset}
            </Action>
          </span>
        </div>
        {problem && (
          <p className="warning" role="alert">
            {problem}
          </p>
        )}
        {data?.datasets.totalCount === 0 && <p className="empty">{name ? text.nothingFound : text.noDatasets}</p>}
        <ul className="datasets">
          {pages.map((cursor, index) => (
            <DatasetRows
              key={cursor ?? ""}
              name={name}
              after={cursor}
              more={index === pages.length - 1 ? (next) => setAfter([...after, next]) : undefined}
            />
          ))}
        </ul>
      </main>
      {isCreating && <NewDataset close={() => setCreating(false)} created={(created) => go(queryOf(created))} />}
    </>
  );
}

function DatasetRows({
  name,
  after,
  more,
}: {
  name: string;
  after: string | null;
  more: ((after: string) => void) | undefined;
}) {
  const text = useText();
  const [{ data }] = useQuery({ query: DatasetsDocument, variables: { name, after } });
  const page = data?.datasets.pageInfo;
  return (
    <>
      {data?.datasets.nodes.map((dataset) => (
        <li key={dataset.id}>
          <a
            href={queryOf(dataset.name)}
            onClick={(event) => {
              event.preventDefault();
              go(queryOf(dataset.name));
            }}
          >
            <span className="thumbnails" aria-hidden="true">
              {dataset.samples.nodes.map((sample) => (
                <img key={sample.id} src={sample.thumbnailUrl} alt="" />
              ))}
            </span>
            <strong>{dataset.name}</strong>
            <span className="quiet">{dataset.description}</span>
            <span className="figures">
              <span>{text.type[dataset.type]}</span>
              <span>{text.labelledOf(dataset.statistics.labeledCount, dataset.statistics.totalCount)}</span>
              {dataset.currentVersion && <span>{dataset.currentVersion.name}</span>}
            </span>
            <progress
              aria-hidden="true"
              max={Math.max(1, dataset.statistics.totalCount)}
              value={dataset.statistics.labeledCount}
            />
          </a>
        </li>
      ))}
      {more && page?.hasNextPage && (
        <li>
          <button type="button" onClick={() => more(page.endCursor!)}>
            {text.more}
          </button>
        </li>
      )}
    </>
  );
}
