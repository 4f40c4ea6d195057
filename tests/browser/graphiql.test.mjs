/** GraphiQL as the server sends it: its examples, images over their URLs, the explorer, wrong tokens, on a phone. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { parse } from "graphql";

import { makeDataset, request, token } from "../clients/api.mjs";
import { root } from "../clients/packages.mjs";
import { openBrowser, picture, until } from "./browser.mjs";

const { LABELGRAPH_CLIENTS_URL: server } = process.env;
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
const folder = join(root, "api", "playground", "examples");
const examples = readdirSync(folder)
  .sort()
  .map((name) => readFileSync(join(folder, name), "utf8"));
const operationsOf = (text) => parse(text).definitions.map(({ name }) => name.value);
const titles = examples.map((text) => operationsOf(text)[0]);
const REFUSED = "The server refuses this token: it is wrong, has expired or was revoked.";
const EDITORS = { query: ".graphiql-query-editor", variables: ".graphiql-editor-tool", answer: ".result-window" };

const browser = await openBrowser();
let digits;
let cells;

before(async () => {
  digits = await makeDataset("graphiql");
  cells = await makeDataset("graphiql-cells", { example: "cells", type: "OBJECT_DETECTION" });
});

after(() => browser.close());

const open = async (options) => {
  const page = await browser.open(server, { path: "/graphql", ...options });
  await tab(page, titles[0]).waitFor();
  return page;
};
const tab = (page, title) => page.locator(".graphiql-tab-button").filter({ hasText: new RegExp(`^${title}$`) });
const textOf = (page, editor) =>
  page.evaluate((selector) => document.querySelector(`${selector} .CodeMirror`).CodeMirror.getValue(), EDITORS[editor]);
const write = (page, editor, text) =>
  page.evaluate(
    ([selector, text]) => document.querySelector(`${selector} .CodeMirror`).CodeMirror.setValue(text),
    [EDITORS[editor], text],
  );
/** Into the middle of an editor, as its own scrolling does it: what the browser scrolls, the editor scrolls back. */
const scrollTo = (page, editor, text) =>
  page.evaluate(
    ([selector, text]) => {
      const { CodeMirror } = document.querySelector(`${selector} .CodeMirror`);
      const line = CodeMirror.getValue().split("\n").findIndex((each) => each.includes(text));
      CodeMirror.scrollIntoView({ line, ch: 0 }, CodeMirror.getScrollInfo().clientHeight / 3);
    },
    [EDITORS[editor], text],
  );
const executeButton = (page) => page.getByRole("button", { name: /^Execute query/ });
const choose = async (page, title) => {
  await tab(page, title).click();
  await until(() => textOf(page, "query"), examples[titles.indexOf(title)]);
};

/** The data of an operation of the tab that is open, which must succeed. */
async function run(page, name, variables) {
  if (variables) await write(page, "variables", JSON.stringify(variables));
  await write(page, "answer", "");
  const execute = executeButton(page);
  const names = operationsOf(await textOf(page, "query"));
  const isMenu = names.length > 1;
  await until(() => execute.getAttribute("aria-haspopup"), isMenu ? "menu" : null); // GraphiQL has read this text
  await execute.click();
  if (isMenu) {
    await until(() => page.getByRole("menuitem").allTextContents(), names);
    await page.getByRole("menuitem", { name, exact: true }).click();
  }
  const isAnswered = async () => (await textOf(page, "answer")).endsWith("}") && (await execute.isVisible());
  await until(async () => [name, await isAnswered()], [name, true]); // a subscription has ended then
  const { data, errors } = JSON.parse(await textOf(page, "answer"));
  assert.equal(errors, undefined, `${name}: ${JSON.stringify(errors)}`);
  return data;
}

test(
  "every operation of every example answers",
  browser.used(async () => {
    const page = await open();
    const variables = { datasetId: digits, cells };
    for (const text of examples) {
      await choose(page, operationsOf(text)[0]);
      for (const name of operationsOf(text)) {
        const used = Object.entries(variables).filter(([variable]) => text.includes(`$${variable}:`));
        const data = await run(page, name, Object.fromEntries(used));
        if (name === "SignIn") assert.deepEqual([data.viewer.name, data.viewer.scope], ["owner", "MANAGE"]);
        if (name === "Label") assert.equal(data.labelSamples.changedCount, 20);
        if (name === "Label") variables.changeId = data.labelSamples.change.id;
        if (name === "Undo") assert.equal(data.undoChange.dataset.statistics.unlabeledCount, 20);
        if (name === "Annotate") assert.equal(data.annotateSamples.changedCount, 1);
        if (name === "Publish") variables.versionId = data.publishVersion.version.id;
        if (name === "Complete") assert.equal(data.completeUploads.results[0].error.code, "NOT_FOUND");
        if (name === "Progress") assert.equal(data.syncProgress.status, "SUCCEEDED");
        if (name === "AutoLabel") variables.job = data.startAutoLabeling.job.id;
      }
    }
    await request("mutation ($id: ID!) { cancelJob(input: { jobId: $id }) { job { status } } }", { id: variables.job });
  }),
);

test(
  "what is run at once after its tab was opened is an operation of this tab",
  browser.used(async () => {
    const page = await open();
    await choose(page, "Datasets");
    await run(page, "Datasets");
    const posted = page.waitForRequest((request) => request.postData()?.includes("query SignIn"));
    const openAndExecute = (button, execute) => {
      button.click();
      return Promise.resolve().then(() => execute.click()); // React has drawn the tab, and no timer has run
    };
    await tab(page, "SignIn").evaluate(openAndExecute, await executeButton(page).elementHandle());
    const { query, operationName } = (await posted).postDataJSON();
    assert.deepEqual([query, operationName], [examples[titles.indexOf("SignIn")], "SignIn"]);
  }),
);

test(
  "what was typed just before another tab was opened stays in its tab",
  browser.used(async () => {
    const page = await open();
    await choose(page, "Samples");
    const typed = { query: "{ viewer { name } }", variables: '{"typed": 1}' };
    await tab(page, "Datasets").evaluate(
      (button, [selectors, typed]) => {
        for (const [editor, text] of Object.entries(typed))
          document.querySelector(`${selectors[editor]} .CodeMirror`).CodeMirror.setValue(text);
        button.click(); // no timer has run
      },
      [EDITORS, typed],
    );
    await until(() => textOf(page, "query"), examples[titles.indexOf("Datasets")]);
    await tab(page, "<untitled>").click();
    await until(() => textOf(page, "query"), typed.query);
    assert.equal(await textOf(page, "variables"), typed.variables);
  }),
);

test(
  "the pointer over the URL of an image shows it",
  browser.used(async () => {
    const page = await open();
    await choose(page, "Samples");
    await run(page, "Samples");
    for (const part of ["/thumbnails/", "/images/"]) {
      const url = page.locator(".result-window .cm-string").filter({ hasText: part }).first();
      const shown = page.locator(`.CodeMirror-info img[src*="${part}"]`);
      const point = async () => {
        await page.mouse.move(0, 0); // lines that scroll are drawn anew, under a pointer that stays
        await scrollTo(page, "answer", part);
        await url.hover();
        return shown.waitFor({ timeout: 3_000 }).then(() => true, () => false); // prettier-ignore
      };
      await until(point, true);
      await until(() => shown.evaluate((image) => image.naturalWidth > 0), true);
      if (part === "/images/") await picture(page, "graphiql-image");
      await page.mouse.move(0, 0);
      await shown.waitFor({ state: "detached" });
    }
  }),
);

test(
  "what prints a document anew keeps its first lines, and other tabs have their own",
  browser.used(async () => {
    const page = await open();
    await choose(page, "Datasets");
    const [comment] = /^(#.*\n)+/.exec(examples[titles.indexOf("Datasets")]);
    await page.getByRole("button", { name: /^Prettify query/ }).click();
    await until(async () => (await textOf(page, "query")).includes("viewer {\n"), true);
    assert.ok((await textOf(page, "query")).startsWith(`${comment}query Datasets {`));
    await page.getByRole("button", { name: /GraphiQL Explorer$/ }).click();
    const field = page.locator(".graphiql-explorer-root").getByText("serverInfo", { exact: true });
    await field.click();
    await until(async () => (await textOf(page, "query")).includes("serverInfo"), true);
    assert.ok((await textOf(page, "query")).startsWith(`${comment}query Datasets {`));
    await picture(page, "graphiql-explorer");
    for (const title of ["SignIn", "Progress", "Samples"]) await choose(page, title);
    await page.getByRole("button", { name: "Add tab" }).click();
    await write(page, "query", "{ hello }");
    await choose(page, "SignIn");
    const stored = () => page.evaluate(() => JSON.parse(localStorage["graphiql:tabState"] ?? '{"tabs": []}').tabs.length);
    await until(stored, titles.length + 1);
    await page.reload();
    await until(() => page.getByRole("tab").count(), titles.length + 1);
    await choose(page, "Samples");
  }),
);

test(
  "who has tabs of an earlier time opens the examples that are new",
  browser.used(async () => {
    const page = await open();
    const nothing = { variables: null, headers: null, operationName: null, response: null };
    const own = { ...nothing, id: "own", title: "own", query: "{ own }" };
    const old = { ...own, id: "old", title: titles[0], query: examples[0] };
    const count = () => page.getByRole("tab").count();
    await page.goto(`${server}/healthz`); // where no GraphiQL stores its own
    await page.evaluate(
      (tabs) => {
        localStorage.clear();
        localStorage["graphiql:tabState"] = JSON.stringify({ tabs, activeTabIndex: 0 });
        localStorage["graphiql:query"] = tabs[0].query;
      },
      [own, old],
    );
    await page.goto(`${server}/graphql`);
    await until(count, 2);
    for (const shown of [titles[1], titles[0]]) {
      await page.getByRole("button", { name: "Open the examples" }).click();
      await until(count, titles.length + 1);
      await until(() => textOf(page, "query"), examples[titles.indexOf(shown)]);
    }
  }),
);

test(
  "a wrong token is said to be wrong, and another one signs in",
  browser.used(async () => {
    const page = await open({ token: "lg_wrong" });
    const refused = page.getByRole("alert").getByText(REFUSED);
    await refused.waitFor();
    await picture(page, "graphiql-wrong-token");
    for (const wrong of ["lg_other", "lg_ж"]) {
      await page.getByLabel("Token").fill(wrong);
      await page.getByRole("button", { name: "Sign in" }).click();
      await refused.waitFor();
    }
    await page.getByLabel("Token").fill(token);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("Signed in as owner, manage").waitFor();
    assert.equal(await refused.count(), 0);
    await choose(page, "SignIn");
    assert.equal((await run(page, "SignIn")).viewer.name, "owner");
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Token").waitFor();
    assert.equal(await refused.count(), 0);
  }),
);

test(
  "it is usable on a phone",
  browser.used(async () => {
    const page = await open(PHONE);
    const fits = async () => {
      const size = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.scrollHeight]);
      assert.deepEqual(size, [PHONE.viewport.width, PHONE.viewport.height]);
    };
    await tab(page, "Datasets").tap();
    await executeButton(page).tap();
    const answer = page.locator(".result-window .CodeMirror");
    await answer.getByText('"totalCount"').first().waitFor();
    const { width, height } = await answer.boundingBox();
    assert.ok(width > 300 && height > 200, `${width} x ${height}`);
    await fits();
    await picture(page, "graphiql-phone");
    await page.getByRole("button", { name: "Show Documentation Explorer" }).tap();
    await page.getByRole("link", { name: "Query", exact: true }).waitFor();
    await fits();
    await picture(page, "graphiql-phone-docs");
    await page.getByRole("button", { name: "Hide Documentation Explorer" }).tap();
    await tab(page, "SignIn").tap();
  }),
);
