/** What models suggest, on the page: seen, filtered, accepted and rejected by key and by mouse, and taken back. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { makeDataset, request } from "../clients/api.mjs";
import { counts, grid, image, images, openBrowser, picture, says, suggestedCount, tab, until } from "./browser.mjs";
import { decide, MODEL, suggest, suggestDigits } from "./suggest.mjs";

const { LABELGRAPH_CLIENTS_URL: server } = process.env;

const browser = await openBrowser();

let dataset;
let files;

before(async () => {
  dataset = await makeDataset("suggested");
  files = await suggestDigits(dataset);
});

after(() => browser.close());

/** The page at its tab of suggestions, the surest first. */
async function open(options = {}) {
  const page = await browser.open(server, { dataset: "suggested", ...options });
  await tab(page, "Suggested").click();
  await page.getByLabel("Sort").selectOption("sure");
  await images(page).first().getByText("%").first().waitFor();
  return page;
}

const undo = async (page, wanted) => {
  await page.keyboard.press("Control+z");
  await until(() => suggestedCount(page), wanted);
};

test(
  "suggestions are counted, drawn with their confidence, ordered and filtered",
  browser.used(async () => {
    const page = await open();
    await until(() => suggestedCount(page), 20);
    await says(page, "20 images");
    await grid(page)
      .getByRole("option", { name: `${files[0]}; digit-0, suggested with 99 %` })
      .waitFor();
    await images(page).first().locator(".chip.suggested", { hasText: "digit-0 99 %" }).waitFor();
    await picture(page, "suggested");
    await page.getByLabel("Sort").selectOption("unsure");
    const least = async () => parseInt((await images(page).first().locator(".suggested").textContent()).split(" ")[1]);
    await until(async () => (await least()) <= 50, true); // with a single label there, these are all as unsure
    const filters = page.getByRole("complementary", { name: "Filters" });
    await filters.getByRole("button", { name: "digit-1 10", exact: true }).click();
    await says(page, "10 images");
    await filters.getByLabel("Confidence").selectOption("0.9");
    await says(page, "1 image"); // 95 %
    await until(() => counts(page), [90, 0, 70]);
    await filters.getByRole("button", { name: "Clear filters" }).click();
    await says(page, "20 images");
    await suggest(dataset, [{ path: "1/IMG_1119.JPG", annotations: [{ label: "digit-5", confidence: 0.8 }] }], {
      name: "others",
      modelVersion: "2",
    });
    await until(() => suggestedCount(page), 21); // heard of what another client did
    await filters.getByRole("button", { name: "others 2 1", exact: true }).click();
    await says(page, "1 image");
    await filters.getByRole("button", { name: "Clear filters" }).click();
    await filters.getByLabel("Where people said otherwise").check();
    await says(page, "1 image");
    assert.equal(await decide(dataset, "REJECT", { models: [{ name: "others", modelVersion: "2" }] }), 1);
    await until(() => suggestedCount(page), 0);
    await page.getByText("No image matches.").waitFor();
  }),
);

test(
  "by keys, one image after another, and back",
  browser.used(async () => {
    const page = await open();
    await page.keyboard.press("Alt+1");
    await page.keyboard.press("Alt+4");
    await says(page, "20 images");
    await grid(page).focus();
    await page.keyboard.press("Home");
    for (const key of ["a", "a", "r", "Control+Enter", "Control+Delete"]) await page.keyboard.press(key);
    await until(() => suggestedCount(page), 15);
    await until(() => counts(page), [90, 2, 73]);
    await until(
      () => grid(page).locator(".focused").getAttribute("aria-label"),
      `${files[5]}; digit-1, suggested with 79 %`,
    );
    for (const left of [16, 17, 18, 19, 20]) await undo(page, left);
    await until(() => counts(page), [90, 0, 70]);
  }),
);

test(
  "what changes while the figures are counted is counted after that",
  browser.used(async () => {
    const page = await open();
    await until(() => suggestedCount(page), 20);
    const held = [];
    let isHolding = true;
    await page.route("**/graphql", (route) => {
      if (!isHolding || !route.request().postData()?.includes("query Facets")) return route.continue();
      held.push(route.fetch().then((response) => () => route.fulfill({ response })));
    });
    await grid(page).focus();
    await page.keyboard.press("r");
    await until(() => held.length, 1);
    const answer = await held[0]; // it is counted, and the page does not know yet
    await page.keyboard.press("r");
    await says(page, "18 images");
    isHolding = false;
    await answer();
    await until(() => suggestedCount(page), 18);
    for (const left of [19, 20]) await undo(page, left);
  }),
);

test(
  "by mouse: one image, one label, and a selection",
  browser.used(async () => {
    const page = await open();
    const panel = page.locator(".suggestions");
    await images(page).nth(1).hover();
    await images(page).nth(1).getByTitle("Accept").click();
    await until(() => suggestedCount(page), 19);
    await images(page).nth(1).getByTitle("Reject").click();
    await until(() => suggestedCount(page), 18);
    assert.equal(await page.locator(".tools .count").textContent(), "18 images"); // nothing was selected by it
    await images(page).nth(0).click();
    await images(page)
      .nth(3)
      .click({ modifiers: ["Shift"] });
    await panel.getByText("digit-0 × 2").waitFor();
    await picture(page, "suggested-selection");
    await panel.getByRole("button", { name: "Reject: digit-0" }).click();
    await until(() => suggestedCount(page), 16);
    await undo(page, 18);
    await panel.getByRole("button", { name: /^Accept A/ }).click();
    await until(() => suggestedCount(page), 14);
    for (const left of [18, 19, 20]) await undo(page, left);
  }),
);

test(
  "all that match, above a confidence, after their number was shown",
  browser.used(async () => {
    const page = await open();
    await page.getByRole("button", { name: "By confidence" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText("20 suggestions on 20 images.").waitFor();
    await dialog.getByLabel("Confidence of at least").fill("80");
    await dialog.getByText("5 suggestions on 5 images.").waitFor();
    await picture(page, "suggested-many");
    await dialog.getByRole("button", { name: "Accept 5" }).click();
    await dialog.waitFor({ state: "detached" });
    await until(() => suggestedCount(page), 15);
    await until(() => counts(page), [90, 0, 75]);
    await undo(page, 20);
    await page.getByRole("button", { name: "Select all 20" }).click();
    await grid(page).focus();
    await page.keyboard.press("r");
    await dialog.getByText("20 suggestions on 20 images.").waitFor();
    await decide(dataset, "REJECT", { minConfidence: 0.98 }); // by somebody else meanwhile
    await dialog.getByText("19 suggestions on 19 images.").waitFor();
    await dialog.getByRole("button", { name: "Reject 19" }).click();
    await until(() => suggestedCount(page), 0);
    await undo(page, 19);
  }),
);

test(
  "of several labels of an image, a key accepts the surest, and another rejects the rest",
  browser.used(async () => {
    const annotations = ["digit-3", "digit-4", "digit-6"].map((label, index) => ({
      label,
      confidence: 0.5 - index / 5,
    }));
    const several = await makeDataset("several");
    const [file] = await suggestDigits(several);
    await decide(several, "REJECT");
    await suggest(several, [{ path: `0/${file}`, annotations }], { name: "three", modelVersion: "1" });
    const page = await browser.open(server, { dataset: "several" });
    await tab(page, "Suggested").click();
    await image(page, file).waitFor();
    await grid(page).focus();
    await page.keyboard.press("a");
    await grid(page)
      .getByRole("option", { name: `${file}; digit-3; digit-4, suggested` })
      .waitFor();
    await image(page, file).dblclick();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("button", { name: "Reject: digit-6" }).click();
    await dialog.getByText("digit-6").waitFor({ state: "detached" });
    await page.keyboard.press("r");
    await until(() => suggestedCount(page), 0);
    await page.keyboard.press("Escape");
    await undo(page, 1);
  }),
);

test(
  "shapes are dashed on thumbnails and on the image, and decided there one by one",
  browser.used(async () => {
    const cells = await makeDataset("suggested-cells", { example: "cells", type: "OBJECT_DETECTION" });
    const box = (x, confidence) => ({
      label: "Platelets",
      confidence,
      shape: { boundingBox: { xMin: x, yMin: 40, xMax: x + 120, yMax: 140 } },
    });
    const file = "BloodImage_00009.jpg";
    assert.equal(await suggest(cells, [{ path: file, annotations: [box(30, 0.9), box(200, 0.7), box(400, 0.6)] }]), 3);
    const page = await browser.open(server, { dataset: "suggested-cells" });
    await tab(page, "Suggested").click();
    await until(() => image(page, file).locator("rect.suggested").count(), 3);
    await image(page, file).getByText("Platelets × 3 90 %").waitFor();
    await picture(page, "suggested-cells");
    await image(page, file).dblclick();
    const dialog = page.getByRole("dialog");
    const waiting = dialog.locator(".stage rect.suggested");
    await until(() => waiting.count(), 3);
    await dialog.locator(".stage text").getByText("Platelets 70 %").waitFor();
    await picture(page, "suggested-boxes");
    await waiting.first().click();
    await page.keyboard.press("r"); // the chosen one
    await until(() => waiting.count(), 2);
    await dialog.getByRole("button", { name: "Accept: Platelets" }).first().click();
    await until(() => waiting.count(), 1);
    await dialog.locator(".stage").focus();
    await page.keyboard.press("Escape"); // nothing is chosen
    await page.keyboard.press("a");
    await until(() => waiting.count(), 0);
    await until(() => suggestedCount(page), 0);
    await undo(page, 1);
  }),
);

/** The page where workers have these abilities, or had them a moment ago: which they have here depends on the environment. */
async function openWith(features) {
  const page = await browser.open(server, { token: "" });
  await page.route("**/graphql", async (route) => {
    if (!route.request().postData()?.includes("query Workspace")) return route.continue();
    const response = await route.fetch();
    const answer = await response.json();
    answer.data.serverInfo.features = features;
    await route.fulfill({ response, json: answer });
  });
  await page.goto(`${server}/ui/?dataset=suggested#token=${process.env.LABELGRAPH_CLIENTS_TOKEN}`);
  await page.getByRole("button", { name: "Models" }).click();
  return page;
}

test(
  "models have a record, and auto labelling says why it cannot start",
  browser.used(async () => {
    await decide(dataset, "ACCEPT", { minConfidence: 0.9 });
    const page = await openWith([]);
    const dialog = page.getByRole("dialog");
    const row = dialog.getByRole("row", { name: MODEL.name });
    await row.getByRole("button", { name: "17" }).or(row.getByText("17")).first().waitFor();
    const start = dialog.getByRole("button", { name: "Start auto labelling" });
    assert.equal(await start.getAttribute("aria-disabled"), "true");
    assert.match(await start.getAttribute("title"), /^No worker can look at images now/);
    await picture(page, "models");
    await row.getByRole("button", { name: /^Show the/ }).click();
    await says(page, "17 images");
  }),
);

/** The last auto labelling, as the API has it. */
async function lastJob() {
  const query = `query ($id: ID!) { dataset(by: { id: $id }) { jobs(first: 1) {
    nodes { ... on AutoLabelJob { minConfidence suggestedCount } }
  } } }`;
  return (await request(query, { id: dataset })).dataset.jobs.nodes[0];
}

test(
  "an auto labelling is started and followed; without a worker that can do it, it waits until it is stopped",
  browser.used(async () => {
    const { serverInfo } = await request("{ serverInfo { features } }");
    const page = await openWith(["VISION"]);
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Confidence of at least").fill("30");
    await dialog.getByRole("button", { name: "Start auto labelling" }).click();
    if (serverInfo.features.includes("VISION")) {
      await dialog.getByText("It was right for").waitFor({ timeout: 80_000 }); // it looks at 90 images
      const { minConfidence, suggestedCount } = await lastJob();
      assert.equal(minConfidence, 0.3);
      assert.ok(suggestedCount > 0);
      await dialog.getByText(`Done · Built-in model · ${suggestedCount} suggestion`).waitFor();
      await dialog.getByRole("row", { name: "builtin" }).getByText(String(suggestedCount)).first().waitFor();
    } else {
      await dialog.getByText("Waiting · Built-in model · a worker that can look at images is missing").waitFor();
      assert.deepEqual(await lastJob(), { minConfidence: 0.3, suggestedCount: 0 });
      await dialog.getByRole("button", { name: "Stop" }).click();
      await dialog.getByText("Stopped").waitFor();
    }
    await picture(page, "auto-labelling");
    await until(() => dialog.getByRole("button", { name: "Stop" }).count(), 0);
  }),
);
