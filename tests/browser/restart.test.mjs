/** The page while its server is killed and started again: nothing that was clicked is lost, and the page says so. */
import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { examples, request } from "../clients/api.mjs";
import { startServer } from "../clients/server.mjs";
import { counts, grid, images, labelRow, openBrowser, picture, says, tab, until } from "./browser.mjs";

let server;

const browser = await openBrowser();

before(async () => {
  server = await startServer(process.env.LABELGRAPH_CLIENTS_PYTHON, { name: "restarted" });
  cpSync(join(examples, "digits"), join(server.images, "digits"), { recursive: true });
  await ask("mutation ($input: CreateDatasetInput!) { createDataset(input: $input) { job { id } } }", {
    input: { name: "digits", inputPath: join(server.images, "digits"), labels: [{ name: "kept", shortcut: "k" }] },
  });
});

after(async () => {
  await browser.close();
  await server.stop();
});

const ask = (query, variables) => request(query, variables, { url: `${server.url}/graphql`, token: server.token });

const CHANGES = '{ dataset(by: { name: "digits" }) { changes(filter: { kinds: [LABEL_SAMPLES] }) { totalCount } } }';

test(
  "what is clicked while the server is gone is kept, shown, and saved once when it is back",
  browser.used(async () => {
    const page = await browser.open(server.url, { dataset: "digits", token: server.token });
    await until(() => counts(page), [90, 20, 70]);
    await tab(page, "Unlabeled").click();
    await says(page, "20 images");
    server = await server.restart(async () => {
      for (const index of [0, 1, 2]) {
        await images(page).nth(index).click();
        await page.keyboard.press("k");
        await grid(page).locator(".chip.pending").nth(index).waitFor();
      }
      await page.getByText("The server cannot be reached. 3 changes are kept").waitFor();
      await picture(page, "lost");
      await page.reload().catch(() => {}); // the page itself cannot be read now
      await page.close(); // Chromium loads a page that it could not read again by itself, at any moment
    });
    const later = await page.context().newPage();
    await later.goto(`${server.url}/ui/?dataset=digits#token=${server.token}`);
    await until(() => counts(later), [90, 17, 73]);
    await labelRow(later, "kept").getByText("3").waitFor();
    assert.equal(await later.getByText("cannot be reached").count(), 0);
    assert.equal((await ask(CHANGES)).dataset.changes.totalCount, 3);
  }),
);

test(
  "a page that stays open goes on by itself, and hears of what happens then",
  browser.used(async () => {
    const page = await browser.open(server.url, { dataset: "digits", token: server.token });
    await tab(page, "Unlabeled").click();
    await says(page, "17 images");
    server = await server.restart(async () => {
      await images(page).first().click();
      await page.keyboard.press("k");
      await page.getByText("1 change is kept").waitFor();
    });
    await until(() => counts(page), [90, 16, 74]);
    await page.getByText("cannot be reached").waitFor({ state: "detached" });
    const other = await browser.open(server.url, { dataset: "digits", token: server.token });
    await tab(other, "Unlabeled").click();
    await says(other, "16 images");
    await images(other).first().click();
    await other.keyboard.press("k");
    await until(() => counts(page), [90, 15, 75]);
  }),
);

test(
  "an answer that is lost does not label twice",
  browser.used(async () => {
    const page = await browser.open(server.url, { dataset: "digits", token: server.token });
    await tab(page, "Unlabeled").click();
    await says(page, "15 images");
    const before = (await ask(CHANGES)).dataset.changes.totalCount;
    let lost = 0;
    await page.route("**/graphql", async (route) => {
      if (lost > 0 || !route.request().postData()?.includes("labelSamples")) return route.continue();
      lost++;
      await route.fetch(); // the server does it
      await route.abort(); // the page does not hear of it
    });
    await images(page).first().click();
    await page.keyboard.press("k");
    await until(() => counts(page), [90, 14, 76]);
    await until(() => grid(page).locator(".chip.pending").count(), 0);
    assert.equal(lost, 1);
    assert.equal((await ask(CHANGES)).dataset.changes.totalCount, before + 1);
  }),
);
