/** Chromium with the page of the server, for the suites that use it as a person does. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";

import { chromium } from "playwright-core";

import { within } from "../clients/limits.mjs";
import { cache, root } from "../clients/packages.mjs";

const {
  LABELGRAPH_BROWSER,
  LABELGRAPH_CLIENTS_TOKEN: owner,
  LABELGRAPH_CLIENTS_DATA: data,
  LABELGRAPH_CLIENTS_PYTHON: python,
} = process.env; // from run.mjs
const pictures = join(cache, "screenshots");
const SECONDS = 20; // for what a person waits for; a busy machine takes its time
const TEST_SECONDS = 180; // for a test; a longer one hangs

let awaited = "nothing"; // what the running test waited for last, or waits for

export async function openBrowser() {
  const browser = await chromium.launch({ executablePath: LABELGRAPH_BROWSER });
  const problems = [];

  /** A page of its own, as in another browser, signed in by the link that the demo prints. */
  const open = async (server, { path = "/ui/", dataset, token = owner, ...options } = {}) => {
    const context = await browser.newContext({
      viewport: { width: 1360, height: 820 },
      locale: "en",
      colorScheme: "light",
      ...options,
    });
    context.setDefaultTimeout(SECONDS * 1000);
    const page = await context.newPage();
    page.on("pageerror", (error) => problems.push(String(error)));
    page.on("console", (message) => {
      if (message.type() === "error" && !/Failed to load resource|WebSocket connection/.test(message.text()))
        problems.push(message.text());
    });
    const fragment = token ? `#token=${token}` : "";
    await page.goto(`${server}${path}${dataset ? `?dataset=${dataset}` : ""}${fragment}`);
    return page;
  };
  const closePages = () =>
    within(SECONDS, () => "Closing the pages", Promise.all(browser.contexts().map((context) => context.close())));
  const close = async () => {
    await within(SECONDS, () => "Closing the browser", browser.close());
    assert.deepEqual(problems, [], "what the browser complained about, such as the policy of the page");
  };
  /**
   * A test that ends in time, and leaves no page open: each has a connection for events, of which a token may have only
   * some.
   */
  const used =
    (run, seconds = TEST_SECONDS) =>
    async (context) => {
      awaited = "nothing";
      try {
        await within(seconds, () => `The test hangs; last it waited for ${awaited}`, run(context));
      } catch (error) {
        await closePages().catch(() => {}); // the first error says more
        throw error;
      }
      await closePages();
    };
  return { open, used, close };
}

/** A token for somebody else, made as the server's owner makes one. */
export function makeToken(name, scope) {
  const options = ["--name", name, "--scope", scope, "--data", data];
  return execFileSync(python, ["-P", "-m", "api", "token", "create", ...options], {
    cwd: root,
    env: { ...process.env, PYTHONPATH: root },
    encoding: "utf8",
  }).trim();
}

/** A picture of a view, in `.clients/screenshots`, for people to look at. */
export async function picture(page, name) {
  mkdirSync(pictures, { recursive: true });
  await page.waitForFunction(() => [...document.images].every((image) => image.complete));
  await page.screenshot({ path: join(pictures, `${name}.png`), animations: "disabled" });
}

export const grid = (page) => page.locator("#grid");
export const images = (page) => grid(page).getByRole("option");
export const image = (page, name) => grid(page).getByRole("option", { name: new RegExp(`^${name};`) });
export const tab = (page, name) => page.getByRole("button", { name: new RegExp(`^${name} [\\d,]+$`) });
export const labelRow = (page, name) => page.getByRole("button", { name: new RegExp(`^${name}, on `) });

/** Waits until a condition of the page holds. */
export async function until(condition, wanted) {
  const deadline = Date.now() + SECONDS * 1000;
  awaited = `${condition} to be ${JSON.stringify(wanted)}`;
  let last;
  while (Date.now() < deadline) {
    last = await condition();
    if (JSON.stringify(last) === JSON.stringify(wanted)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.deepEqual(last, wanted);
}

/** Waits until it says how many images are listed or selected, such as "20 images". */
export const says = (page, text) => until(() => page.locator(".tools .count").textContent(), text);

/** The figures of the tabs. */
async function figures(page) {
  const texts = await page.locator(".center > .tabs .figure").allTextContents();
  return texts.map((text) => Number(text.replaceAll(",", "")));
}

/** The figures of the tabs All, Unlabeled and Labeled. */
export const counts = async (page) => (await figures(page)).slice(0, 3);

/** The figure of the tab Suggested. */
export const suggestedCount = async (page) => (await figures(page))[3];
