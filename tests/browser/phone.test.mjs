/** The page on a phone: nothing is wider than its window, and all that matters is reached by touch. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { makeDataset } from "../clients/api.mjs";
import { counts, grid, image, images, labelRow, openBrowser, picture, says, tab, until } from "./browser.mjs";

const { LABELGRAPH_CLIENTS_URL: server } = process.env;
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

const browser = await openBrowser();

before(async () => {
  await makeDataset("phone");
});

after(() => browser.close());

const fits = async (page, width = PHONE.viewport.width) => {
  const widest = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(widest <= width, `${widest} pixels`);
};

test(
  "somebody labels by touch",
  browser.used(async () => {
    const start = await browser.open(server, PHONE);
    await start.getByRole("link", { name: /phone/ }).waitFor();
    await fits(start);
    await picture(start, "phone-datasets");
    await start.getByRole("link", { name: /phone/ }).tap();
    const page = start;
    await until(() => counts(page), [90, 20, 70]);
    await fits(page);
    await tab(page, "Unlabeled").tap();
    await says(page, "20 images");
    await images(page).first().tap();
    await picture(page, "phone");
    await labelRow(page, "digit-1").tap();
    await until(() => counts(page), [90, 19, 71]);
    await page.getByRole("button", { name: "Show the filters" }).tap();
    await page.getByPlaceholder("File name or path").fill("IMG_1119");
    await picture(page, "phone-filters");
    await page.getByRole("button", { name: "Hide the filters" }).tap();
    await tab(page, "All").tap();
    await says(page, "1 image");
    await image(page, "IMG_1119.JPG").tap();
    await page.getByRole("button", { name: "Open" }).tap();
    await page.getByRole("dialog").locator(".stage img").waitFor();
    await fits(page);
    await picture(page, "phone-image");
    await page.getByRole("button", { name: "Close" }).first().tap();
    for (const name of ["Upload", /^Versions/, "Models", "History"]) {
      await page.getByRole("button", { name, exact: true }).tap();
      await page.getByRole("dialog").waitFor();
      await fits(page);
      if (name === "Upload") {
        const file = { name: `${"long-".repeat(20)}.jpg`, mimeType: "image/jpeg", buffer: Buffer.from("none") };
        await page.getByLabel("Drop images here").setInputFiles(file);
        await page.locator(".uploads li").waitFor();
      }
      if (name === "History") {
        const { width } = await page.locator(".history .summary").first().boundingBox();
        assert.ok(width > 200, `${width} pixels for what was done`);
      }
      const content = page.locator("dialog .content");
      assert.ok(await content.evaluate((each) => each.scrollWidth <= each.clientWidth), `${name} fits its window`);
      await picture(page, `phone-window-${String(name).replace(/\W/g, "").toLowerCase()}`);
      await page.getByRole("dialog").getByRole("button", { name: "Close" }).first().tap();
    }
  }),
);

test(
  "on a screen that is zoomed in, rows of images are in sight, and the labels are a scroll away",
  browser.used(async () => {
    const page = await browser.open(server, { dataset: "phone", viewport: { width: 680, height: 410 } });
    await images(page).first().waitFor();
    const { height } = await grid(page).boundingBox();
    assert.ok(height > 250, `${height} pixels`);
    const label = labelRow(page, "digit-1");
    await label.scrollIntoViewIfNeeded();
    const { y } = await label.boundingBox();
    assert.ok(y >= 0 && y < 410, `${y}`);
    await fits(page, 680);
    await picture(page, "zoomed-in");
  }),
);

test(
  "what is above the images takes one line each, at any width and with any counts; what has no room is in a menu",
  browser.used(async () => {
    for (const [width, hasMenu] of [[1360, false], [1024, true], [390, true]]) {
      const page = await browser.open(server, { dataset: "phone", viewport: { width, height: 820 } });
      const [tabs, tools] = [page.locator(".center > .tabs"), page.locator(".tools")];
      const select = tools.getByRole("button", { name: "Select ▾" });
      await images(page).first().waitFor();
      assert.equal(await select.isVisible(), hasMenu);
      if (hasMenu) await select.click();
      await page.getByRole("button", { name: /^Select all/ }).click();
      await says(page, "90 selected");
      assert.equal(await page.getByRole("button", { name: /^Select all/ }).isVisible(), !hasMenu);
      assert.ok(await tools.evaluate((each) => each.scrollWidth <= each.clientWidth), `all tools are in ${width} pixels`);
      await picture(page, `tools-${width}`);
      await page.evaluate(() => {
        for (const each of document.querySelectorAll(".figure, .tools .count")) each.textContent = "1,234,567 selected";
      });
      for (const line of [tabs, tools]) assert.ok((await line.boundingBox()).height < 70, `one line in ${width} pixels`);
      if (hasMenu) {
        await select.click();
        await page.keyboard.press("Escape"); // closes the menu, and nothing else
        await page.getByRole("button", { name: "Deselect" }).waitFor({ state: "hidden" });
        await select.click();
      }
      await page.getByRole("button", { name: "Deselect" }).click();
      await until(() => grid(page).locator(".card.selected").count(), 0);
    }
  }),
);
