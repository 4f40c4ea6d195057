/** Filters, tab and order are in the address: the page is loaded again as it was, links show the same, and Back goes back. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { makeDataset } from "../clients/api.mjs";
import { openBrowser, says, tab, until } from "./browser.mjs";
import { suggestDigits } from "./suggest.mjs";

const { LABELGRAPH_CLIENTS_URL: server, LABELGRAPH_CLIENTS_TOKEN: token } = process.env;

const browser = await openBrowser();

before(async () => {
  await suggestDigits(await makeDataset("address"));
});

after(() => browser.close());

const LEFT = "8 images"; // that match all filters of the first test
const filters = (page) => page.getByRole("complementary", { name: "Filters" });
const choose = (page, name) => filters(page).getByRole("button", { name, exact: true }).click();
const query = (page) => new URL(page.url()).searchParams;

test(
  "what is filtered is the same after loading the page again, and in another browser",
  browser.used(async () => {
    const page = await browser.open(server, { dataset: "address" });
    await says(page, "90 images");
    await tab(page, "Labeled").click();
    await choose(page, "digit-1 7");
    await choose(page, "digit-2 7");
    await filters(page).getByLabel("Images with … of the labels").selectOption("NONE");
    await says(page, "56 images");
    await page.getByLabel("Sort").selectOption("path");
    await filters(page).getByLabel("Created").selectOption("CUSTOM");
    await filters(page).getByLabel("To").fill("2100-01-31");
    await page.getByPlaceholder("File name or path").fill("IMG_112");
    await says(page, LEFT);
    await page.reload();
    const other = await browser.open(server, { token: "" });
    await other.goto(`${page.url()}#token=${token}`);
    for (const each of [page, other]) {
      await says(each, LEFT);
      assert.equal(await tab(each, "Labeled").getAttribute("aria-pressed"), "true");
      assert.equal(await each.getByPlaceholder("File name or path").inputValue(), "IMG_112");
      assert.equal(await each.getByLabel("Sort").inputValue(), "path");
      assert.equal(await filters(each).getByLabel("Images with … of the labels").inputValue(), "NONE");
      assert.equal(await filters(each).getByLabel("To").inputValue(), "2100-01-31");
      await until(() => filters(each).locator("[aria-pressed=true]").count(), 2);
    }
  }),
);

test(
  "which suggestions are shown is in the address, too",
  browser.used(async () => {
    const page = await browser.open(server, { dataset: "address" });
    await tab(page, "Suggested").click();
    await choose(page, "digit-1 10");
    await choose(page, "hands 1 20");
    await filters(page).getByLabel("Confidence").selectOption("0.5");
    await says(page, "6 images");
    await page.reload();
    await says(page, "6 images");
    await until(() => filters(page).locator("[aria-pressed=true]").count(), 2);
    await filters(page).getByRole("button", { name: "Clear filters" }).click();
    await says(page, "20 images");
  }),
);

test(
  "Back and Forward go from one view to the next, and typing is one step",
  browser.used(async () => {
    const page = await browser.open(server, { dataset: "address" });
    await says(page, "90 images");
    await tab(page, "Labeled").click();
    await says(page, "70 images");
    const field = page.getByPlaceholder("File name or path");
    for (const text of ["IMG_1", "IMG_11", "IMG_1119"]) {
      await field.fill(text);
      await until(() => query(page).get("name"), text);
    }
    await tab(page, "All").click();
    await says(page, "1 image");
    await page.goBack();
    await until(() => tab(page, "Labeled").getAttribute("aria-pressed"), "true");
    assert.equal(await field.inputValue(), "IMG_1119");
    await page.goBack();
    await says(page, "70 images");
    assert.equal(await field.inputValue(), "");
    await page.goBack();
    await says(page, "90 images");
    await page.goForward();
    await says(page, "70 images");
    await page.goBack();
    await page.goBack();
    assert.equal(page.url(), "about:blank");
  }),
);

test(
  "what cannot be in an address is left out, and what the server refuses is said",
  browser.used(async () => {
    const wrong = "tab=NONE&label=Label:0&match=SOME&created=NOW&from=then&confidence=2&sort=best";
    const page = await browser.open(server, { token: "" });
    await page.goto(`${server}/ui/?dataset=address&${wrong}#token=${token}`);
    await says(page, "90 images");
    await page.goto(`${server}/ui/?dataset=address&name=${"n".repeat(10_000)}`);
    await page.getByRole("alert").first().waitFor();
    await page.getByPlaceholder("File name or path").fill("");
    await says(page, "90 images");
    await until(() => page.getByRole("alert").count(), 0);
  }),
);
