/** Every view of the page by the rules of axe: names for screen readers, contrast in light and dark, roles. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { anImage, images as folder, makeDataset, request } from "../clients/api.mjs";
import { counts, images, openBrowser, picture, tab, until } from "./browser.mjs";
import { suggestDigits } from "./suggest.mjs";

const { LABELGRAPH_CLIENTS_URL: server } = process.env;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const VIEWS = {
  Upload: "Upload",
  Versions: /^Versions/,
  Models: "Models",
  History: "History",
  Keys: "Keys",
  "Edit digit-0": "Edit digit-0",
};

const browser = await openBrowser();

before(async () => {
  await suggestDigits(await makeDataset("names"));
  await makeDataset("named-shapes", { example: "cells", type: "OBJECT_DETECTION" });
});

after(() => browser.close());

test(
  "names of files and labels are shown as they are, whatever is in them",
  browser.used(async () => {
    const markup = "<img src=x onerror=alert(1)>";
    const files = [`${markup}.jpg`, "\u202egnp.exe.jpg", `${"long-".repeat(45)}.jpg`, "تصویر.jpg"];
    mkdirSync(join(folder, "hostile"));
    for (const name of files) writeFileSync(join(folder, "hostile", name), anImage(name));
    const labels = [markup, "שלום", "very long ".repeat(6).trim(), "‹script›"];
    await request("mutation ($input: CreateDatasetInput!) { createDataset(input: $input) { job { id } } }", {
      input: {
        name: "hostile",
        inputPath: join(folder, "hostile"),
        labelNames: "ANY",
        labels: labels.map((name) => ({ name })),
      },
    });
    const page = await browser.open(server, { dataset: "hostile" });
    await until(() => counts(page), [4, 4, 0]);
    for (const name of files) await images(page).locator(".file").getByText(name, { exact: true }).waitFor();
    await page.getByRole("button", { name: "Select all 4" }).click();
    for (const name of labels) {
      await page.locator(".apply").filter({ hasText: name }).click();
      await page.locator(".file-labels").getByText(name, { exact: true }).waitFor();
    }
    await picture(page, "hostile");
    await page.getByRole("button", { name: "History" }).click();
    await page.getByText(`Added “${markup}” to 4 samples`).waitFor();
    await picture(page, "hostile-history");
    assert.equal(await page.locator("img[src=x]").count(), 0);
    const [width, shown] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(width <= shown, `${width} of ${shown} pixels`);
  }),
);

/** What axe finds, as its rule and where. */
async function violations(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() =>
    window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "best-practice"] }),
  );
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => [id, target.join(" "), failureSummary]),
  );
}

test(
  "axe sees what has no name",
  browser.used(async () => {
    const page = await browser.open(server, { token: "" });
    await page.getByLabel("Token").waitFor();
    await page.evaluate(() => document.body.append(document.createElement("button")));
    assert.deepEqual(
      (await violations(page)).map(([rule]) => rule),
      ["button-name"],
    );
  }),
);

for (const colorScheme of ["light", "dark"]) {
  test(
    `every view has names and contrast, in ${colorScheme}`,
    browser.used(async () => {
      const signedOut = await browser.open(server, { token: "", colorScheme });
      await signedOut.getByLabel("Token").waitFor();
      assert.deepEqual(await violations(signedOut), []);
      const datasets = await browser.open(server, { colorScheme });
      await datasets.getByRole("link", { name: /names/ }).waitFor();
      assert.deepEqual(await violations(datasets), []);
      await datasets.getByRole("button", { name: "New dataset" }).click();
      await datasets.getByRole("dialog").waitFor();
      assert.deepEqual(await violations(datasets), [], "New dataset");
      const page = await browser.open(server, { dataset: "names", colorScheme });
      await until(() => counts(page), [90, 0, 70]);
      await tab(page, "Suggested").click();
      await page.getByText("digit-0 99 %").waitFor();
      await images(page).first().click();
      assert.deepEqual(await violations(page), [], "Suggested");
      await page.getByRole("button", { name: "By confidence" }).click();
      await page.getByRole("dialog").getByText("1 suggestion on 1 image.").waitFor();
      assert.deepEqual(await violations(page), [], "By confidence");
      await page.keyboard.press("Escape");
      await tab(page, "All").click();
      await images(page).first().click();
      await page.getByText("1 of 1").waitFor();
      assert.deepEqual(await violations(page), []);
      for (const [name, button] of Object.entries(VIEWS)) {
        await page.getByRole("button", { name: button, exact: true }).first().click();
        await page.getByRole("dialog").waitFor();
        assert.deepEqual(await violations(page), [], name);
        await page.keyboard.press("Escape");
        await page.getByRole("dialog").waitFor({ state: "detached" });
      }
      const shapes = await browser.open(server, { dataset: "named-shapes", colorScheme });
      await images(shapes).first().dblclick();
      await shapes.locator("rect.shape").first().waitFor();
      assert.deepEqual(await violations(shapes), []);
    }),
  );
}
