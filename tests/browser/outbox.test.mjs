/** Changes that are not saved yet: Ctrl+Z is about the last one, and none is lost, or sent by somebody else. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { makeDataset, request } from "../clients/api.mjs";
import { grid, image, images, labelRow, makeToken, openBrowser, picture, until } from "./browser.mjs";

const { LABELGRAPH_CLIENTS_URL: server } = process.env; // from run.mjs
const LAST = `{ dataset(by: { name: "outbox" }) { changes(first: 3) { nodes { summary actor } } } }`;

const browser = await openBrowser();

before(() => makeDataset("outbox"));
after(() => browser.close());

const changes = async () => (await request(LAST)).dataset.changes.nodes;
const summaries = async () => (await changes()).map(({ summary }) => summary);

async function start(options = {}) {
  const page = await browser.open(server, { dataset: "outbox", ...options });
  await images(page).nth(5).waitFor();
  return page;
}

/** Waits until an image has these of the labels that are typed here, saved. */
const labels = (page, index, wanted) =>
  until(async () => {
    const names = await images(page).nth(index).locator(".chip:not(.pending, .removed)").allTextContents();
    return names.filter((name) => ["older", "newer"].includes(name)).sort();
  }, wanted);

/** Types a label for an image, and goes back to the list. */
async function label(page, index, name) {
  await images(page).nth(index).click();
  await page.getByRole("combobox", { name: /^Label the/ }).fill(name);
  await page.keyboard.press("Enter");
  await page.keyboard.press("Escape");
  await grid(page).focus();
}

/** Mutations of the page do not reach the server until the function that this returns is called. */
async function cut(page) {
  const isMutation = (route) => route.request().postData()?.includes("mutation");
  await page.context().route("**/graphql", (route) => (isMutation(route) ? route.abort() : route.fallback()));
  return () => page.context().unroute("**/graphql");
}

test(
  "Ctrl+Z right after a change waits for its answer, and undoes no older one",
  browser.used(async () => {
    const page = await start();
    await label(page, 0, "older");
    await labels(page, 0, ["older"]);
    await page.route("**/graphql", async (route) => {
      if (route.request().postData()?.includes("labelSamples")) await new Promise((resolve) => setTimeout(resolve, 700));
      await route.continue();
    });
    await label(page, 0, "newer");
    await page.keyboard.press("Control+z");
    await labels(page, 0, ["older"]);
    await page.keyboard.press("Control+Shift+z");
    await labels(page, 0, ["newer", "older"]);
    await page.keyboard.press("Control+z");
    await page.keyboard.press("Control+z");
    await labels(page, 0, []);
  }),
);

test(
  "Ctrl+Z while the server is away drops what was not sent, and undoes later what may have been",
  browser.used(async () => {
    const page = await start();
    const before = await summaries();
    const connect = await cut(page);
    await label(page, 1, "tried");
    await page.getByText("1 change is kept").waitFor();
    await label(page, 2, "queued");
    await images(page).nth(2).locator(".chip.pending").waitFor();
    await page.keyboard.press("Control+z");
    await page.getByText("Taken back before it was sent.").last().waitFor();
    await images(page).nth(2).locator(".chip.pending").waitFor({ state: "detached" });
    await page.keyboard.press("Control+z");
    await page.getByText("It is undone as soon as the server answers.").last().waitFor();
    await images(page).nth(1).locator(".chip.pending").waitFor({ state: "detached" });
    await connect();
    await until(async () => /^Undid.*tried/.test((await summaries())[0]), true);
    const [undone, done, ...older] = await summaries();
    assert.match(undone, /^Undid/);
    assert.match(done, /tried/);
    assert.equal(older[0], before[0]);
    assert.equal(await labelRow(page, "queued").count(), 0);
  }),
);

test(
  "whoever signs out is asked, and what waits is sent with no other token",
  browser.used(async () => {
    const [alice, owner] = [makeToken("alice", "label"), process.env.LABELGRAPH_CLIENTS_TOKEN];
    const page = await start({ token: alice });
    const questions = [];
    page.on("dialog", (dialog) => {
      questions.push(dialog.message());
      void (questions.length === 1 ? dialog.dismiss() : dialog.accept());
    });
    const connect = await cut(page);
    await label(page, 3, "by-alice");
    await page.getByText("1 change is kept").waitFor();
    await page.getByRole("link", { name: "Labelgraph" }).click();
    await page.getByRole("heading", { name: "Datasets" }).waitFor();
    await page.getByText("1 change is kept").waitFor(); // here, too
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByText("1 change was not saved.").waitFor();
    await picture(page, "signed-out-with-changes");
    assert.equal(questions.length, 2);
    assert.match(questions[0], /1 change is not saved yet/);
    await connect();
    const signIn = async (token) => {
      await page.getByLabel("Token").fill(token);
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByRole("link", { name: /outbox/ }).click();
      await images(page).first().waitFor();
    };
    await signIn(owner);
    await label(page, 4, "by-owner");
    await labelRow(page, "by-owner").getByText("1").waitFor();
    assert.equal(await labelRow(page, "by-alice").count(), 0);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("link", { name: "Labelgraph" }).click();
    await signIn(alice);
    await labelRow(page, "by-alice").getByText("1").waitFor();
    const [last] = await changes();
    assert.match(last.summary, /by-alice/);
    assert.equal(last.actor, "alice");
    assert.equal(questions.length, 2);
  }),
);

test(
  "a change that is refused with its token is kept for it, and the page says so",
  browser.used(async () => {
    const page = await start();
    await page.route("**/graphql", (route) => {
      if (!route.request().postData()?.includes("labelSamples")) return route.continue();
      const errors = [{ message: "Sign in.", extensions: { code: "UNAUTHENTICATED" } }];
      return route.fulfill({ status: 401, contentType: "application/json", body: JSON.stringify({ errors }) });
    });
    await images(page).nth(5).click();
    await page.getByRole("combobox", { name: /^Label the/ }).fill("refused");
    await page.keyboard.press("Enter");
    await page.getByText("1 change was not saved.").waitFor();
    await page.unroute("**/graphql");
    await page.getByLabel("Token").fill(process.env.LABELGRAPH_CLIENTS_TOKEN);
    await page.getByRole("button", { name: "Sign in" }).click();
    await labelRow(page, "refused").getByText("1").waitFor();
  }),
);

test(
  "who closes a tab is asked, and what waited is sent once by the tabs that are opened later",
  browser.used(async () => {
    const page = await start();
    const context = page.context();
    const connect = await cut(page);
    await label(page, 6, "closed");
    await page.getByText("1 change is kept").waitFor();
    const name = (await images(page).nth(6).getAttribute("aria-label")).split(";")[0];
    const asked = page.waitForEvent("dialog");
    const closing = page.close({ runBeforeUnload: true });
    const question = await asked;
    assert.equal(question.type(), "beforeunload");
    await question.accept();
    await closing;
    await until(() => context.pages().length, 0);
    await connect();
    const before = (await changes()).filter(({ summary }) => /closed/.test(summary)).length;
    assert.equal(before, 0);
    const address = `${server}/ui/?dataset=outbox#token=${process.env.LABELGRAPH_CLIENTS_TOKEN}`;
    const tabs = await Promise.all([context.newPage(), context.newPage()]);
    await Promise.all(tabs.map((each) => each.goto(address)));
    for (const each of tabs) await labelRow(each, "closed").getByText("1").waitFor();
    await until(() => image(tabs[0], name).locator(".chip.pending").count(), 0);
    assert.equal((await summaries()).filter((summary) => /closed/.test(summary)).length, 1);
    const left = await tabs[0].evaluate(() => Object.keys(localStorage).filter((key) => key.includes("waiting")));
    assert.deepEqual(left, []);
  }),
);

test(
  "what had no answer for longer than the server knows its key is sent again only if somebody says so",
  browser.used(async () => {
    for (const [index, name, button] of [
      [7, "late-dropped", "Discard them"],
      [8, "late-saved", "Save again"],
    ]) {
      const page = await start();
      const connect = await cut(page);
      await label(page, index, name);
      await page.getByText("1 change is kept").waitFor();
      await page.goto(`${server}/healthz`);
      await page.evaluate(() => {
        for (const key of Object.keys(localStorage).filter((key) => key.includes("waiting"))) {
          const kept = JSON.parse(localStorage[key]);
          localStorage[key] = JSON.stringify({ ...kept, at: kept.at - 86_400_000 });
        }
      });
      await connect();
      await page.goto(`${server}/ui/?dataset=outbox`);
      const question = page.getByRole("status").getByText("1 change of");
      await question.waitFor();
      await picture(page, "doubtful");
      const colors = await page.getByRole("button", { name: button }).evaluate((element) => {
        const { color, backgroundColor } = getComputedStyle(element);
        return [color, backgroundColor];
      });
      assert.notEqual(colors[0], colors[1]);
      await label(page, index + 2, `after-${name}`); // it waits, too
      await images(page).nth(index + 2).locator(".chip.pending").waitFor();
      assert.ok(!(await summaries()).some((summary) => summary.includes(name)));
      await page.getByRole("button", { name: button }).click();
      await labelRow(page, `after-${name}`).getByText("1").waitFor();
      await question.waitFor({ state: "detached" });
      assert.equal(await labelRow(page, name).count(), name === "late-saved" ? 1 : 0);
      await page.close();
    }
  }),
);
