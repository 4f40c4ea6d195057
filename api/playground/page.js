"use strict";

// The token comes in the URL's fragment, which no server and no log ever sees, and stays in this tab only.
const KEY = "labelgraph-token";

function takeTokenFromUrl() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!given) return;
  sessionStorage.setItem(KEY, given);
  history.replaceState(null, "", location.pathname + location.search);
}

function authorization() {
  const token = sessionStorage.getItem(KEY);
  return token ? { Authorization: `Bearer ${token}` } : {};
}

function showSignIn() {
  const form = document.getElementById("sign-in");
  form.hidden = Boolean(sessionStorage.getItem(KEY));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem(KEY, document.getElementById("token").value.trim());
    location.reload();
  });
}

async function signedFetch(url, options) {
  const headers = { ...authorization(), ...options.headers };
  const response = await fetch(url, { ...options, headers });
  if (response.status === 401) document.getElementById("sign-in").hidden = false;
  return response;
}

async function start() {
  takeTokenFromUrl();
  showSignIn();
  const examples = await (await fetch("playground/examples.json")).json();
  const url = new URL("graphql", location.href);
  const socket = new URL(url);
  socket.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const fetcher = GraphiQL.createFetcher({
    url: url.href,
    subscriptionUrl: socket.href,
    wsConnectionParams: authorization(),
    fetch: signedFetch,
  });
  ReactDOM.createRoot(document.getElementById("graphiql")).render(
    React.createElement(GraphiQL, { fetcher, defaultTabs: examples, defaultEditorToolsVisibility: "variables" }),
  );
}

start();
