/** What the page says before something is done: which image it is about, which key works, what may be typed. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { makeDataset, request } from "../clients/api.mjs";
import { startServer } from "../clients/server.mjs";
import { grid, images, makeToken, openBrowser, picture, says, tab } from "./browser.mjs";
import { suggestDigits } from "./suggest.mjs";

const { LABELGRAPH_CLIENTS_URL: server } = process.env; // from run.mjs

const browser = await openBrowser();

before(async () => suggestDigits(await makeDataset("hints")));
after(() => browser.close());

const start = async (options = {}) => {
  const page = await browser.open(server, { dataset: "hints", ...options });
  await images(page).nth(5).waitFor();
  return page;
};

test(
  "the image that the panel is about is marked and named, also where it is to be deleted",
  browser.used(async () => {
    const page = await start();
    const name = (await images(page).first().getAttribute("aria-label")).split(";")[0];
    await page.locator(".file-labels").getByText(name).waitFor();
    const mark = await grid(page).locator(".card.focused .image").evaluate((each) => getComputedStyle(each).outlineStyle);
    assert.notEqual(mark, "none");
    await picture(page, "nothing-selected");
    await page.getByRole("button", { name: "Delete images" }).click();
    await page.getByRole("dialog").getByText(`Delete ${name} from the dataset?`).waitFor();
  }),
);

test(
  "the buttons show the keys that work, and a label's key that is also the page's says so",
  browser.used(async () => {
    const page = await start();
    await tab(page, "Suggested").click();
    await says(page, "20 images");
    const accept = page.locator(".suggestions .buttons button").first();
    assert.equal(await accept.locator("kbd").textContent(), "A");
    await page.getByRole("button", { name: "Edit digit-3" }).click();
    await page.getByLabel("Shortcut").fill("a");
    await page.getByText("The page uses this key, too").waitFor();
    await page.getByRole("button", { name: "Save" }).click();
    await accept.getByText("Ctrl+Enter").waitFor();
    await picture(page, "keys-that-work");
  }),
);

test(
  "a confidence out of range is refused with the range, and nothing can be decided by it",
  browser.used(async () => {
    const page = await start();
    await page.getByRole("button", { name: /^Suggested \d+$/ }).click();
    await says(page, "20 images");
    await page.getByRole("button", { name: /^By confidence/ }).click();
    const dialog = page.getByRole("dialog");
    const accept = dialog.getByRole("button", { name: /^Accept/ });
    await dialog.getByText("20 suggestions on 20 images").waitFor();
    for (const wrong of ["150", "-5"]) {
      await dialog.getByLabel("Confidence").fill(wrong);
      await dialog.getByText("0 to 100", { exact: true }).waitFor();
      assert.ok(await accept.isDisabled());
    }
    await dialog.getByLabel("Confidence").fill("95");
    await dialog.getByRole("button", { name: "Accept 2" }).waitFor();
  }),
);

test(
  "a label's name that cannot be stays in its field, and the page says the rule",
  browser.used(async () => {
    const page = await start();
    const box = page.getByRole("combobox", { name: /^Label the/ });
    await box.fill("new hand");
    await page.keyboard.press("Enter");
    await page.getByText("no spaces").last().waitFor();
    assert.equal(await box.inputValue(), "new hand");
  }),
);

test(
  "a button that a token may not use says which scope may, and that of an undone change says so",
  browser.used(async () => {
    const page = await start({ token: makeToken("onlooker", "read") });
    const title = (name) => page.getByRole("button", { name, exact: true }).getAttribute("title");
    assert.match(await title("Upload"), /scope MANAGE/);
    assert.match(await title("Hard example"), /scope LABEL/);
    const owner = await start();
    await owner.getByRole("button", { name: "Hard example" }).click();
    await owner.getByRole("button", { name: "History" }).click();
    const first = owner.locator(".history li").first();
    await first.getByText("hard").first().waitFor();
    await first.getByRole("button").click();
    await owner.locator(".history li.undone").getByRole("button").getByText("undone").waitFor();
  }),
);

test(
  "keys lead back to the images where the button that was pressed is gone",
  browser.used(async () => {
    const page = await start();
    await grid(page).focus();
    await page.keyboard.press("Space");
    await says(page, "1 selected");
    await page.getByRole("button", { name: "Deselect" }).focus();
    await page.keyboard.press("Enter");
    await says(page, "90 images");
    await page.keyboard.press("ArrowRight"); // to the list
    await page.keyboard.press("ArrowRight"); // in it
    await page.keyboard.press("Space");
    await says(page, "1 selected");
    assert.equal(await images(page).nth(1).getAttribute("aria-selected"), "true");
  }),
);

test(
  "the page says why the server refuses a filter, until it is another one",
  browser.used(async () => {
    const page = await start();
    await page.getByPlaceholder("File name or path").fill("x".repeat(1_025));
    await page.locator(".center").getByRole("alert").getByText("A text in a filter has at most 1,024 bytes.").waitFor();
    await page.waitForResponse((response) => response.url().endsWith("/graphql")); // it is asked for again
    await page.locator(".center").getByRole("alert").waitFor();
    await page.getByRole("button", { name: "Clear filters" }).click();
    await says(page, "90 images");
    assert.equal(await page.locator(".center").getByRole("alert").count(), 0);
  }),
);

test(
  "an empty dataset says that images are being added and by what, and offers a sync only where nothing runs",
  browser.used(async () => {
    const own = await startServer(process.env.LABELGRAPH_CLIENTS_PYTHON, { name: "waiting", options: ["--no-worker"] });
    try {
      const to = { url: `${own.url}/graphql`, token: own.token };
      const create = "mutation ($input: CreateDatasetInput!) { createDataset(input: $input) { dataset { id } job { id } } }";
      const { createDataset } = await request(create, { input: { name: "empty", inputPath: own.images } }, to);
      const page = await browser.open(own.url, { dataset: "empty", token: own.token });
      await page.getByText("Images are being added. They appear here.").waitFor();
      await page.getByRole("status").getByText("Waiting").waitFor();
      await picture(page, "empty-waiting");
      await page.getByRole("button", { name: "Syncing", exact: true }).waitFor();
      const cancel = "mutation ($id: ID!) { cancelJob(input: { jobId: $id }) { job { status } } }";
      await request(cancel, { id: createDataset.job.id }, to);
      await page.getByText("There are no images yet. Drop some here, or sync the folder.").waitFor();
      const load = "mutation ($input: ImportManifestInput!) { importManifest(input: $input) { job { id } } }";
      const input = { datasetId: createDataset.dataset.id, path: join(own.images, "V001.manifest") };
      writeFileSync(input.path, "");
      await request(load, { input }, to);
      const importing = page.getByRole("button", { name: "Importing", exact: true });
      assert.match(await importing.getAttribute("title"), /^An import is running/);
      const chinese = await browser.open(own.url, { dataset: "empty", token: own.token, locale: "zh-CN" });
      await chinese.getByRole("button", { name: "导入中", exact: true }).waitFor();
    } finally {
      await own.stop();
    }
  }),
);
