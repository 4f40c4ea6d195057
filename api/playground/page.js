"use strict";

// The token comes in the URL's fragment, which no server and no log ever sees, and stays in this tab only.
const KEY = "labelgraph-token";
const TABS = "graphiql:tabState"; // where GraphiQL keeps its tabs
const OPENING = "labelgraph-examples"; // set while the page is loaded again to open the examples
const REFUSED = "The server refuses this token: it is wrong, has expired or was revoked.";
const UNREACHABLE = "The server does not answer.";
const url = new URL("graphql", location.href);
const find = (id) => document.getElementById(id);

function takeTokenFromUrl() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!given) return;
  sessionStorage.setItem(KEY, given);
  history.replaceState(null, "", location.pathname + location.search);
}

function authorization(token = sessionStorage.getItem(KEY)) {
  return token ? { Authorization: `Bearer ${token}` } : {};
}

/** Says why nobody is signed in, and asks for a token. */
function askForToken(problem) {
  find("problem").textContent = problem;
  find("sign-in").hidden = false;
  find("signed-in").hidden = true;
}

/** Who has a token, or a sentence that says why it cannot be used. */
async function viewerOf(token) {
  if (!/^[!-~]+$/.test(token)) return REFUSED; // no header can have it
  const headers = { ...authorization(token), "Content-Type": "application/json" };
  const body = JSON.stringify({ query: "{ viewer { name scope } }" });
  const response = await fetch(url, { method: "POST", headers, body }).catch(() => null);
  if (response?.status === 401) return REFUSED;
  const answer = await response?.json().catch(() => null);
  return answer?.data?.viewer ?? answer?.errors?.[0].message ?? UNREACHABLE;
}

/** Signs in, or says why not. */
async function signIn(token) {
  const viewer = await viewerOf(token);
  if (typeof viewer === "string") return askForToken(viewer);
  find("problem").textContent = "";
  find("name").textContent = viewer.name;
  find("scope").textContent = viewer.scope.toLowerCase();
  find("sign-in").hidden = true;
  find("signed-in").hidden = false;
  return viewer;
}

function showSession() {
  find("sign-in").addEventListener("submit", async (event) => {
    event.preventDefault();
    const token = find("token").value.trim();
    if (!(await signIn(token))) return;
    sessionStorage.setItem(KEY, token);
    location.reload(); // the schema is read anew
  });
  find("sign-out").addEventListener("click", () => {
    sessionStorage.removeItem(KEY);
    location.reload();
  });
  addEventListener("hashchange", () => {
    takeTokenFromUrl(); // another link may have been pasted into the open page
    location.reload();
  });
  const token = sessionStorage.getItem(KEY);
  if (token) void signIn(token);
  else askForToken("");
}

async function signedFetch(address, options) {
  const response = await fetch(address, { ...options, headers: { ...authorization(), ...options.headers } });
  if (response.status === 401 && sessionStorage.getItem(KEY)) askForToken(REFUSED);
  return response;
}

const nameOf = (document) => /^\s*(?:query|mutation|subscription)\s+(\w+)/m.exec(document)?.[1];

/** What prints a document anew, as Prettify and the explorer do, leaves its comments out: the first lines stay. */
function keepFirstLines(editor) {
  const setValue = editor.setValue.bind(editor);
  editor.setValue = (text) => {
    const before = editor.getValue();
    const [comment] = /^(?:#.*\n)*/.exec(before);
    const isSame = nameOf(before) && nameOf(text) === nameOf(before);
    const isReprinted = isSame || (text && document.activeElement?.closest(".graphiql-explorer-root"));
    setValue(isReprinted && !text.startsWith("#") ? comment + text : text);
  };
}

/**
 * GraphiQL reads which operations a document has 100 ms after it changed, or later where the browser is busy. Until then
 * whoever opens a tab and runs it would name an operation of the tab before: here they are read at once.
 */
function readOperations(editor) {
  let document = null;
  try {
    document = GraphiQL.GraphQL.parse(editor.getValue());
  } catch {
    // somebody is typing
  }
  const operations = document?.definitions.filter(({ kind }) => kind === "OperationDefinition") ?? null;
  const names = operations?.map(({ name }) => name?.value) ?? [];
  Object.assign(editor, { documentAST: document, operations });
  if (!names.includes(editor.operationName ?? undefined)) editor.operationName = names[0] ?? null;
}

function App({ fetcher, examples }) {
  const children = React.createElement(GraphiQL.Logo, null, React.createElement(Editor));
  const explorer = React.useMemo(() => GraphiQLPluginExplorer.explorerPlugin({ showAttribution: false }), []);
  const given = { fetcher, defaultTabs: examples, defaultEditorToolsVisibility: "variables", plugins: [explorer] };
  return React.createElement(GraphiQL, given, children);
}

/** Shows nothing: only a part of GraphiQL has its editors. */
function Editor() {
  const { queryEditor, variableEditor, headerEditor, updateActiveTabValues } = GraphiQL.React.useEditorContext();
  React.useEffect(() => {
    if (!queryEditor) return;
    keepFirstLines(queryEditor);
    queryEditor.on("change", readOperations);
  }, [queryEditor]);
  React.useEffect(() => {
    // GraphiQL adds what is typed to its tab 100 ms later: whoever leaves the tab before would lose it.
    const keep = ({ target }) => {
      if (!queryEditor || !target.closest(".graphiql-tabs")) return;
      const editors = { query: queryEditor, variables: variableEditor, headers: headerEditor };
      const present = Object.entries(editors).filter(([, editor]) => editor);
      const typed = Object.fromEntries(present.map(([name, editor]) => [name, editor.getValue()]));
      updateActiveTabValues({ ...typed, operationName: queryEditor.operationName });
    };
    addEventListener("click", keep, true);
    return () => removeEventListener("click", keep, true);
  }, [queryEditor, variableEditor, headerEditor, updateActiveTabValues]);
  return null;
}

/** Adds a tab for each example that no tab shows as it is, and shows the first of them: before GraphiQL reads its tabs. */
function openExamples(examples) {
  const stored = JSON.parse(localStorage.getItem(TABS) ?? "null") ?? { tabs: [], activeTabIndex: 0 };
  const missing = examples.filter(({ query }) => !stored.tabs.some((tab) => tab.query === query));
  const nothing = { headers: null, operationName: null, response: null };
  const idOf = (index) => `example-${Date.now()}-${index}`;
  const tabOf = (example, index) => ({ ...nothing, ...example, id: idOf(index), title: nameOf(example.query) });
  const tabs = [...stored.tabs, ...missing.map(tabOf)];
  const shown = missing[0]?.query ?? examples[0].query;
  const { query, variables } = tabs.find((tab) => tab.query === shown);
  localStorage.setItem(TABS, JSON.stringify({ ...stored, tabs }));
  localStorage.setItem("graphiql:query", query);
  localStorage.setItem("graphiql:variables", variables ?? "");
  localStorage.removeItem("graphiql:headers");
}

async function start() {
  takeTokenFromUrl();
  showSession();
  const examples = await (await fetch("playground/examples.json")).json();
  if (sessionStorage.getItem(OPENING)) openExamples(examples);
  sessionStorage.removeItem(OPENING);
  find("examples").addEventListener("click", () => {
    sessionStorage.setItem(OPENING, "yes");
    location.reload();
  });
  const socket = new URL(url);
  socket.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const fetcher = GraphiQL.createFetcher({
    url: url.href,
    subscriptionUrl: socket.href,
    wsConnectionParams: authorization(),
    fetch: signedFetch,
  });
  ReactDOM.createRoot(find("graphiql")).render(React.createElement(App, { fetcher, examples }));
}

void start();
