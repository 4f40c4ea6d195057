/** Shapes on an image of the page: drawn by mouse and by keys, moved and relabelled, also where the image is stored rotated. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { anImage, images as folder, makeDataset, request } from "../clients/api.mjs";
import { image, labelRow, openBrowser, picture, until } from "./browser.mjs";

const { LABELGRAPH_CLIENTS_URL: server } = process.env;
const [WIDTH, HEIGHT] = [640, 480]; // of the example's images

const browser = await openBrowser();

before(async () => {
  mkdirSync(join(folder, "shapes"));
  writeFileSync(join(folder, "shapes", "turned.jpg"), turned(anImage()));
  await makeDataset("shapes", { example: "cells", type: "OBJECT_DETECTION" });
});

after(() => browser.close());

/** The JPEG with EXIF data that say: turn it right by 90 degrees. */
function turned(bytes) {
  const tiff = [0x4d, 0x4d, 0, 0x2a, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0];
  const body = Buffer.concat([Buffer.from("Exif\0\0"), Buffer.from(tiff)]);
  return Buffer.concat([bytes.subarray(0, 2), Buffer.from([0xff, 0xe1, 0, body.length + 2]), body, bytes.subarray(2)]);
}

/** The last shape of an image, as the server has it. */
async function stored(name) {
  const { dataset } = await request(
    `query ($name: String) { dataset(by: { name: "shapes" }) { samples(filter: { path: { contains: $name } }) { nodes {
      annotations { label { name } shape { ... on BoundingBox { xMin yMin xMax yMax } ... on Polygon { points { x y } } } }
    } } } }`,
    { name },
  );
  return dataset.samples.nodes[0].annotations.at(-1);
}

/** Opens an image, and returns what tests do with it. */
async function open(name = "BloodImage_00009.jpg") {
  const page = await browser.open(server, { dataset: "shapes" });
  await image(page, name).dblclick();
  const dialog = page.getByRole("dialog");
  const stage = dialog.locator(".stage");
  await stage.locator("img").evaluate((element) => element.decode());
  const area = await stage.locator("img").boundingBox();
  const at = (x, y) => [area.x + area.width * x, area.y + area.height * y];
  const drag = async (from, to) => {
    await page.mouse.move(...from);
    await page.mouse.down();
    await page.mouse.move((from[0] + to[0]) / 2, (from[1] + to[1]) / 2);
    await page.mouse.move(...to);
    await page.mouse.up();
  };
  const press = async (...keys) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  const tool = (title) => dialog.getByRole("button", { name: title, exact: true });
  const saved = (kind) => stage.locator(`${kind}.shape:not(.pending)`);
  return { page, dialog, stage, area, at, drag, press, tool, saved };
}

const near = (one, other) => Math.abs(one - other) <= 2;

test(
  "boxes are drawn, moved, relabelled and deleted",
  browser.used(async () => {
    const { page, dialog, stage, at, drag, press, tool, saved } = await open();
    await stage.locator("rect.shape").first().waitFor();
    await picture(page, "boxes");
    const before = await saved("rect").count();
    await tool("Box").click();
    await drag(at(0.3, 0.3), at(0.4, 0.45));
    await until(() => saved("rect").count(), before + 1);
    const drawn = stage.locator("rect.shape.chosen");
    const place = () => drawn.evaluate((rect) => ({ x: rect.x.baseVal.value, width: rect.width.baseVal.value }));
    const first = await place();
    await tool("Select and move").click();
    await drag(at(0.35, 0.38), at(0.45, 0.38));
    await until(() => stage.locator(".pending").count(), 0);
    const moved = await place();
    assert.ok(near(moved.x, first.x + WIDTH / 10) && near(moved.width, first.width), JSON.stringify([first, moved]));
    await dialog.getByRole("combobox").fill("Platelets");
    await press("Enter");
    await dialog.locator("button[aria-pressed=true]").getByText("Platelets").waitFor();
    await stage.focus();
    await press("Delete");
    await until(() => saved("rect").count(), before);
  }),
);

test(
  "a polygon is drawn corner by corner, with a new label, and a corner is moved",
  browser.used(async () => {
    const { page, dialog, stage, at, drag, press, tool, saved } = await open();
    await dialog.getByRole("combobox").fill("vessel");
    await press("Enter");
    await tool("Polygon").click();
    for (const corner of [at(0.2, 0.2), at(0.4, 0.2), at(0.4, 0.4)]) await page.mouse.click(...corner);
    await press("Escape"); // starts over
    for (const corner of [at(0.6, 0.6), at(0.8, 0.6), at(0.8, 0.8), at(0.6, 0.6)]) await page.mouse.click(...corner);
    await until(() => saved("polygon").count(), 1);
    await until(() => stage.locator(".corner").count(), 3);
    await tool("Select and move").click();
    await stage.locator("polygon.shape").click();
    await drag(at(0.8, 0.8), at(0.7, 0.9));
    await until(() => stage.locator(".pending").count(), 0);
    await picture(page, "polygon");
    const points = await stage
      .locator("polygon.shape")
      .evaluate((polygon) => [...polygon.points].map(({ x, y }) => [x, y]));
    assert.ok(near(points[2][0], 0.7 * WIDTH) && near(points[2][1], 0.9 * HEIGHT), JSON.stringify(points));
    await press("Escape", "Escape");
    await labelRow(page, "vessel").getByText("1").waitFor();
  }),
);

test(
  "boxes and polygons are drawn by keys",
  browser.used(async () => {
    const { stage, press, tool, saved } = await open();
    await stage.locator("rect.shape").first().waitFor();
    const [boxes, polygons] = [await saved("rect").count(), await saved("polygon").count()];
    await tool("Box").focus();
    await press("Enter", "Space", "Control+ArrowRight", "ArrowRight", "Control+ArrowDown", "Space");
    await until(() => saved("rect").count(), boxes + 1);
    await until(() => saved("rect.chosen").count(), 1);
    await press("Control+ArrowLeft", "Shift+ArrowDown");
    await until(() => stage.locator(".pending").count(), 0);
    await tool("Polygon").focus();
    await press("Enter", "Space", "Control+ArrowRight", "Space", "Control+ArrowDown", "Space", "Enter");
    await until(() => saved("polygon.chosen").count(), 1);
    await press("Delete");
    await until(() => saved("polygon").count(), polygons);
  }),
);

test(
  "on an image that is stored rotated, shapes are where they are seen, and keys move them as it is seen",
  browser.used(async () => {
    const { page, stage, area, at, drag, press, tool, saved } = await open("turned.jpg");
    assert.ok(near(area.width / area.height, HEIGHT / WIDTH), JSON.stringify(area));
    await tool("Box").click();
    await drag(at(0.1, 0.2), at(0.3, 0.6));
    await until(() => saved("rect").count(), 1);
    await picture(page, "rotated");
    const { shape: box } = await stored("turned");
    const wanted = { xMin: 0.2 * WIDTH, yMin: 0.7 * HEIGHT, xMax: 0.6 * WIDTH, yMax: 0.9 * HEIGHT };
    for (const [side, value] of Object.entries(wanted)) assert.ok(near(box[side], value), JSON.stringify(box));
    await stage.locator(".chosen").waitFor();
    await press("Control+ArrowRight", "Control+Shift+ArrowDown");
    await until(async () => {
      const { shape } = await stored("turned");
      return Object.keys(wanted).map((side) => Math.round(shape[side] - box[side]));
    }, [0, -10, 10, -10]);
  }),
);

test(
  "what is undone, and what others do to the open image, is seen in it: shapes, its deletion, its return",
  browser.used(async () => {
    const { page, dialog, stage, at, drag, press, tool, saved } = await open("BloodImage_00010.jpg");
    await stage.locator("rect.shape").first().waitFor();
    const before = await saved("rect").count();
    await tool("Box").click();
    await drag(at(0.3, 0.3), at(0.4, 0.45));
    await until(() => saved("rect").count(), before + 1);
    await press("Control+z");
    await until(() => saved("rect").count(), before);
    const { dataset } = await request(
      `{ dataset(by: { name: "shapes" }) { id samples(filter: { path: { contains: "00010" } }) { nodes { id } } } }`,
    );
    const [{ id }] = dataset.samples.nodes;
    const shape = { boundingBox: { xMin: 10, yMin: 10, xMax: 50, yMax: 50 } };
    await request("mutation ($input: AnnotateSamplesInput!) { annotateSamples(input: $input) { changedCount } }", {
      input: { datasetId: dataset.id, samples: [{ sampleId: id, add: [{ label: "RBC", shape }] }] },
    });
    await until(() => saved("rect").count(), before + 1);
    const { deleteSamples } = await request(
      "mutation ($input: DeleteSamplesInput!) { deleteSamples(input: $input) { change { id } } }",
      { input: { datasetId: dataset.id, select: { ids: [id] } } },
    );
    await dialog.getByText("This image was deleted from the dataset.").waitFor();
    await request("mutation ($input: UndoChangeInput!) { undoChange(input: $input) { change { id } } }", {
      input: { changeId: deleteSamples.change.id },
    });
    await until(() => saved("rect").count(), before + 1);
    await page.keyboard.press("Escape");
  }),
);

test(
  "lines are as wide at any zoom",
  browser.used(async () => {
    const { stage, press } = await open();
    const rect = stage.locator("rect.shape").first();
    await rect.waitFor();
    const width = () =>
      rect.evaluate((each) => Math.round(parseFloat(getComputedStyle(each).strokeWidth) * each.getScreenCTM().a * 10) / 10);
    assert.equal(await width(), 2);
    await press("+", "+", "+", "+");
    assert.equal(await width(), 2);
    await press("0", "-", "-", "-", "-", "-", "-");
    assert.equal(await width(), 2);
  }),
);

test(
  "keys work on the next image, too",
  browser.used(async () => {
    const { page, dialog, press } = await open();
    const [first, number] = [await dialog.getByRole("heading").first().textContent(), dialog.locator(".buttons > span").first()];
    const [at, total] = (await number.textContent()).split(" / ").map(Number);
    const key = at + 2 <= total ? "ArrowRight" : "ArrowLeft";
    const step = key === "ArrowRight" ? 1 : -1;
    for (const to of [at + step, at + 2 * step]) {
      await press(key);
      await until(() => number.textContent(), `${to} / ${total}`);
    }
    assert.notEqual(await dialog.getByRole("heading").first().textContent(), first);
    const { width } = await dialog.locator(".stage img").boundingBox();
    await press("+");
    await until(async () => (await dialog.locator(".stage img").boundingBox()).width > width, true);
    await page.keyboard.press("Escape");
  }),
);
