/** The second click of a double click does nothing: the button may mean something else by then. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { makeDataset, request } from "../clients/api.mjs";
import { counts, images, labelRow, openBrowser, until } from "./browser.mjs";

const { LABELGRAPH_CLIENTS_URL: server } = process.env; // from run.mjs

const browser = await openBrowser();

before(() => makeDataset("twice"));
after(() => browser.close());

const start = async () => {
  const page = await browser.open(server, { dataset: "twice" });
  await images(page).first().waitFor();
  return page;
};

/** What was done to the dataset, oldest first. */
const kinds = async () => {
  const query = "{ dataset(by: { name: \"twice\" }) { changes(first: 50) { nodes { kind } } versions { nodes { name } } } }";
  const { changes, versions } = (await request(query)).dataset;
  return [...changes.nodes.map(({ kind }) => kind).reverse(), ...versions.nodes.map(({ name }) => name)];
};

/** Mutations are sent one after another: what was clicked before is done. */
const untilAllIsDone = async (page, label) => {
  await page.getByLabel("New label").fill(label);
  await page.keyboard.press("Enter");
  await labelRow(page, label).waitFor();
};

test(
  "Save with a name that is taken asks before it merges, Merge merges once, and Undo undoes",
  browser.used(async () => {
    const page = await start();
    const begun = (await kinds()).length;
    const dialog = page.getByRole("dialog");
    await page.getByRole("button", { name: "Edit digit-1" }).click();
    await dialog.getByLabel("Name").fill("digit-2");
    await dialog.getByRole("button", { name: "Save" }).dblclick();
    await dialog.getByText("“digit-2” exists.").waitFor();
    assert.equal(await dialog.getByRole("button", { name: "Merge" }).count(), 1);
    await dialog.getByRole("button", { name: "Merge" }).dblclick();
    await page.locator(".messages").getByText("“digit-1” merged into “digit-2”").waitFor();
    await page.locator(".messages").getByRole("button", { name: "Undo" }).dblclick();
    await labelRow(page, "digit-1").waitFor();
    await untilAllIsDone(page, "merged");
    assert.deepEqual((await kinds()).slice(begun), ["MERGE_LABELS", "UNDO", "CREATE_LABELS"]);
  }),
);

test(
  "a version is published once, and images and labels are deleted once",
  browser.used(async () => {
    const page = await start();
    const begun = (await kinds()).length;
    const dialog = page.getByRole("dialog");
    await page.getByRole("button", { name: /^Versions/ }).click();
    await dialog.getByRole("button", { name: "Publish", exact: true }).dblclick();
    await dialog.getByText("V001").first().waitFor();
    await page.keyboard.press("Escape");
    const [total] = await counts(page);
    await images(page).first().click();
    await page.keyboard.press("Delete");
    await dialog.getByRole("button", { name: "Delete" }).dblclick();
    await page.locator(".messages").getByText("1 image deleted").waitFor();
    await until(async () => (await counts(page))[0], total - 1);
    await page.reload(); // an image may have been opened by the double click
    await page.getByRole("button", { name: "Edit digit-3" }).click();
    await dialog.getByRole("button", { name: /^Delete/ }).click();
    await dialog.getByRole("button", { name: /^Delete/, disabled: false }).dblclick();
    await page.locator(".messages").getByText("“digit-3” deleted").waitFor();
    await untilAllIsDone(page, "deleted");
    assert.deepEqual((await kinds()).slice(begun), ["DELETE_SAMPLES", "DELETE_LABELS", "CREATE_LABELS", "V001"]);
  }),
);
