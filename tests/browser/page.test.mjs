/** The page at /ui/ in Chromium: the walk of somebody who labels, by mouse, and by keyboard alone. */
import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { addImage, anImage, examples, images as folder, makeDataset, request } from "../clients/api.mjs";
import { counts, grid, images, labelRow, makeToken, openBrowser, picture, says, tab, until } from "./browser.mjs";

const { LABELGRAPH_CLIENTS_URL: server } = process.env; // from run.mjs

const browser = await openBrowser();

before(async () => {
  await makeDataset("walk");
});

after(() => browser.close());

test(
  "somebody signs in with a token, and opens a dataset",
  browser.used(async () => {
    const page = await browser.open(server, { token: "" });
    await page.getByLabel("Token").fill("lg_wrong");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").getByText("not valid").waitFor();
    await page.getByLabel("Token").fill(process.env.LABELGRAPH_CLIENTS_TOKEN);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("link", { name: /walk/ }).waitFor();
    await picture(page, "datasets");
    await page.getByRole("link", { name: /walk/ }).click();
    await until(() => counts(page), [90, 20, 70]);
    await page.goBack();
    await page.getByRole("heading", { name: "Datasets" }).waitFor();
    const linked = await browser.open(server, { token: "lg_wrong", dataset: "walk" });
    await linked.getByRole("alert").getByText("not valid").waitFor();
  }),
);

test(
  "a dataset is made of a folder, and what is refused says why",
  browser.used(async () => {
    cpSync(join(examples, "digits"), join(folder, "made"), { recursive: true });
    const page = await browser.open(server, {});
    await page.getByRole("button", { name: "New dataset" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name").fill("walk");
    await dialog.getByLabel("Folder or bucket").fill(join(folder, "made"));
    await dialog.getByRole("textbox", { name: "Labels" }).fill("left, right");
    await picture(page, "new-dataset");
    await dialog.getByRole("button", { name: "Create" }).click();
    await dialog.getByRole("alert").getByText("exists").waitFor();
    await dialog.getByLabel("Name").fill("made");
    await dialog.getByLabel("Folder or bucket").fill("/");
    await dialog.getByRole("button", { name: "Create" }).click();
    await dialog.getByRole("alert").getByText("allowed").waitFor();
    await dialog.getByLabel("Folder or bucket").fill(join(folder, "made"));
    await dialog.getByRole("button", { name: "Create" }).click();
    await until(() => counts(page), [90, 20, 70]);
    await labelRow(page, "left").waitFor();
  }),
);

test(
  "the fragment with the token leaves the address",
  browser.used(async () => {
    const page = await browser.open(server, { dataset: "walk" });
    await until(() => counts(page), [90, 20, 70]);
    assert.equal(page.url(), `${server}/ui/?dataset=walk`);
  }),
);

test(
  "the walk by mouse",
  browser.used(async (walk) => {
    const page = await browser.open(server, { dataset: "walk" });
    const step = (name, run) => walk.test(name, run);
    const box = page.getByRole("combobox", { name: /^Label the/ });

    await step("tabs show how many there are, and lead to them", async () => {
      await until(() => counts(page), [90, 20, 70]);
      await tab(page, "Unlabeled").click();
      await says(page, "20 images");
      await picture(page, "unlabeled");
      await tab(page, "All").click();
      await says(page, "90 images");
      await picture(page, "grid");
    });

    await step("a filter shows what it would leave, and several narrow the list", async () => {
      const filters = page.getByRole("complementary", { name: "Filters" });
      await filters.getByRole("button", { name: "digit-1 7" }).click();
      await says(page, "7 images");
      await filters.getByRole("button", { name: "digit-2 7" }).click();
      await says(page, "14 images");
      await until(() => counts(page), [14, 0, 14]);
      await filters.getByRole("button", { name: "1 7", exact: true }).click(); // the folder
      await says(page, "7 images");
      await filters.getByPlaceholder("File name or path").fill("nothing-like-it");
      await page.getByText("No image matches.").waitFor();
      await filters.getByRole("button", { name: "Clear filters" }).click();
      await says(page, "90 images");
      await filters.getByLabel("Created").selectOption("WITHIN_1_MONTH");
      await says(page, "90 images");
      await filters.getByLabel("Created").selectOption("ANY");
    });

    await step("selected images are labelled by typing, and leave the list of those without", async () => {
      await tab(page, "Unlabeled").click();
      await says(page, "20 images");
      await images(page).nth(0).click();
      await images(page)
        .nth(3)
        .click({ modifiers: ["Shift"] });
      await says(page, "4 selected");
      await box.fill("hand");
      await picture(page, "typing");
      await page.getByRole("option", { name: "Create “hand”" }).click();
      await until(() => counts(page), [90, 16, 74]);
      await says(page, "16 images");
      await labelRow(page, "hand").getByText("4").waitFor();
    });

    await step("Undo takes it back, and Redo does it again", async () => {
      await page.keyboard.press("Escape");
      await grid(page).focus();
      await page.keyboard.press("Control+z");
      await until(() => counts(page), [90, 20, 70]);
      await page.keyboard.press("Control+Shift+z");
      await until(() => counts(page), [90, 16, 74]);
    });

    await step("a label gets a colour and a shortcut, which labels the image in focus", async () => {
      await page.getByRole("button", { name: "Edit hand" }).click();
      await page.getByLabel("Shortcut", { exact: false }).fill("h");
      await page.getByLabel("Colour").fill("#0f766e");
      await picture(page, "edit-label");
      await page.getByRole("button", { name: "Save" }).click();
      await page.getByRole("dialog").waitFor({ state: "detached" });
      await grid(page).focus();
      await page.keyboard.press("h");
      await until(() => counts(page), [90, 15, 75]);
    });

    await step("all that match are selected and labelled at once", async () => {
      await page.getByRole("button", { name: "Select all 15" }).click();
      await says(page, "15 selected");
      await labelRow(page, "hand").click();
      await until(() => counts(page), [90, 0, 90]);
      await page.keyboard.press("Control+z");
      await until(() => counts(page), [90, 15, 75]);
    });

    await step("those in view are selected, and their labels are shown, changed and removed", async () => {
      await tab(page, "Labeled").click();
      await says(page, "75 images");
      await page.getByRole("button", { name: "Clear filters" }).waitFor({ state: "detached" });
      await page.getByRole("button", { name: "hand 5", exact: true }).click();
      await says(page, "5 images");
      await page.getByRole("button", { name: "Select in view" }).click();
      await says(page, "5 selected");
      const panel = page.locator(".file-labels");
      await panel.getByText("5 of 5").waitFor();
      await picture(page, "file-labels");
      await panel.getByRole("button", { name: "Change “hand” of the selected images to" }).click();
      await panel.getByRole("combobox", { name: "Change “hand” of the selected images to" }).fill("palm");
      await page.keyboard.press("Enter");
      await labelRow(page, "palm").getByText("5").waitFor();
      await page.keyboard.press("Escape");
      await page.getByRole("button", { name: "Clear filters" }).click();
      await page.getByRole("button", { name: "palm 5", exact: true }).click();
      await says(page, "5 images");
      await images(page).first().click();
      await panel.getByText("1 of 1").waitFor();
      await panel.getByRole("button", { name: "Remove “palm” from the selected images" }).click();
      await until(() => counts(page), [4, 0, 4]);
      await page.getByRole("button", { name: "Clear filters" }).click();
      await until(() => counts(page), [90, 16, 74]);
    });

    await step("a label is renamed, merged and deleted, after its effect was shown", async () => {
      const dialog = page.getByRole("dialog");
      await page.getByRole("button", { name: "Edit palm" }).click();
      await dialog.getByLabel("Name").fill("open-hand");
      await dialog.getByRole("button", { name: "Save" }).click();
      await labelRow(page, "open-hand").waitFor();
      await page.getByRole("button", { name: "Edit open-hand" }).click();
      await dialog.getByLabel("Name").fill("hand");
      await dialog.getByRole("button", { name: "Save" }).click();
      await dialog.getByText("“hand” exists. Merge “open-hand” into it? 4 images will have “hand” instead.").waitFor();
      await picture(page, "merge");
      await dialog.getByRole("button", { name: "Merge" }).click();
      await labelRow(page, "hand").getByText("4").waitFor();
      await page.getByRole("button", { name: "Edit hand" }).click();
      await dialog.getByRole("button", { name: /^Delete “hand”/ }).click();
      await dialog.getByText("4 images lose the label.").waitFor();
      await dialog.getByLabel("The same, and their image files").check();
      await dialog.getByText("4 images lose the label, 4 images are deleted, 4 files are deleted for good.").waitFor();
      await picture(page, "delete-label");
      await dialog.getByLabel("The label, and the images that have no other").check();
      await dialog.getByText("4 images lose the label, 4 images are deleted.").waitFor();
      await dialog.getByRole("button", { name: "Delete “hand”", exact: true }).click();
      await until(() => counts(page), [86, 16, 70]);
    });

    await step("the history shows it, and undoes it", async () => {
      await page.getByRole("button", { name: "History" }).click();
      await page
        .getByRole("button", { name: /^Undo: Deleted/ })
        .first()
        .waitFor();
      await picture(page, "history");
      await page
        .getByRole("button", { name: /^Undo: Deleted/ })
        .first()
        .click();
      await page.getByText("(undone)").first().waitFor();
      await page.keyboard.press("Escape");
      await until(() => counts(page), [90, 16, 74]);
    });

    await step("a version is published, compared with what came after, and restored", async () => {
      const dialog = page.getByRole("dialog");
      await page.getByRole("button", { name: /^Versions/ }).click();
      await dialog.getByRole("button", { name: "Publish" }).click();
      await dialog.getByText("V001", { exact: true }).waitFor();
      await page.keyboard.press("Escape");
      await dialog.waitFor({ state: "detached" });
      await tab(page, "Unlabeled").click();
      await says(page, "16 images");
      await images(page).first().click();
      await box.fill("late");
      await page.keyboard.press("Enter");
      await until(() => counts(page), [90, 15, 75]);
      await page.getByRole("button", { name: /^Versions/ }).click();
      await dialog.getByRole("button", { name: "Compare: V001" }).click();
      await dialog.getByText("Relabelled: ").waitFor();
      await dialog.locator(".differences:not(.labels)").getByText("late").waitFor();
      await picture(page, "versions");
      await dialog.getByRole("button", { name: "Switch to it: V001" }).click();
      await dialog.getByRole("alert").getByRole("button", { name: "Switch to it" }).click();
      await page.keyboard.press("Escape");
      await until(() => counts(page), [90, 16, 74]);
    });

    await step("a sync that somebody starts brings what is new, and says how far it is", async () => {
      addImage("walk", "new.jpg", anImage("new"));
      await page.getByRole("button", { name: "Sync", exact: true }).click();
      await page.getByText("1 added").waitFor();
      await page.getByText("Synced").waitFor();
      await until(() => counts(page), [91, 17, 74]);
      await picture(page, "sync");
    });

    await step("files are uploaded, each with its result; one that is too large is not sent", async () => {
      const given = mkdtempSync(join(tmpdir(), "labelgraph-upload-"));
      const files = [];
      for (const [name, bytes] of [
        ["one.jpg", anImage("one")],
        ["two.jpg", anImage("two")],
        ["text.jpg", Buffer.from("no image")],
        ["huge.jpg", Buffer.alloc(6 * 1024 * 1024)],
      ]) {
        files.push(join(given, name));
        writeFileSync(files.at(-1), bytes);
      }
      await page.getByRole("button", { name: "Upload", exact: true }).click();
      const dialog = page.getByRole("dialog");
      await dialog.locator("input[type=file]").setInputFiles(files);
      await dialog.getByText("Larger than 5 MiB: not sent").waitFor();
      await dialog.getByLabel("Labels for all of them").fill("uploaded");
      await dialog.getByRole("button", { name: "Upload 3 images" }).click();
      await until(() => dialog.locator(".uploads li.done").count(), 2);
      await until(() => dialog.locator(".uploads li.failed").count(), 2);
      await picture(page, "upload");
      await page.keyboard.press("Escape");
      await until(() => counts(page), [93, 17, 76]);
    });

    await step("more files than a request may have go directly to storage", async () => {
      const files = Array.from({ length: 101 }, (_, index) => ({
        name: `many-${index}.jpg`,
        mimeType: "image/jpeg",
        buffer: anImage(`many-${index}`),
      }));
      await page.getByRole("button", { name: "Upload", exact: true }).click();
      const dialog = page.getByRole("dialog");
      await dialog.locator("input[type=file]").setInputFiles(files);
      await dialog.getByRole("button", { name: "Upload 101 images" }).click();
      await until(() => dialog.locator(".uploads li.done").count(), 101);
      await page.keyboard.press("Escape");
      await until(() => counts(page), [194, 118, 76]);
    });

    await step("images are deleted, with their files if that is asked for", async () => {
      await tab(page, "All").click();
      await page.getByPlaceholder("File name or path").fill("many-");
      await says(page, "101 images");
      await page.getByRole("button", { name: "Select all 101" }).click();
      await page.getByRole("button", { name: "Delete images" }).click();
      const dialog = page.getByRole("dialog");
      await dialog.getByText("Delete 101 images from the dataset?").waitFor();
      await dialog.getByLabel("Also delete the image files").check();
      await dialog.getByRole("button", { name: "Delete", exact: true }).click();
      await page.getByText("No image matches.").waitFor();
      await page.getByRole("button", { name: "Clear filters" }).click();
      await until(() => counts(page), [93, 17, 76]);
      await until(() => existsSync(join(folder, "walk", "many-0.jpg")), false); // files go after the commit
    });
  }),
);

test(
  "files and folders that are dropped anywhere on the page are uploaded; one that is gone is not sent",
  browser.used(async () => {
    const dataset = await makeDataset("dropped");
    const formats = "mutation ($input: UpdateDatasetInput!) { updateDataset(input: $input) { dataset { id } } }";
    await request(formats, { input: { datasetId: dataset, imageFormats: ["JPEG", "WEBP"] } });
    const given = mkdtempSync(join(tmpdir(), "labelgraph-drop-"));
    mkdirSync(join(given, "folder", "deeper"), { recursive: true });
    const names = ["one.jpg", "folder/two.jpg", "folder/deeper/three.jpg", "gone.jpg", "late.jpg"];
    for (const name of names) writeFileSync(join(given, name), anImage(`dropped ${name}`));
    writeFileSync(join(given, "folder", "notes.txt"), "no image");
    const page = await browser.open(server, { dataset: "dropped" });
    await until(() => counts(page), [90, 20, 70]);
    // Only what was chosen by a field, or is dragged by a hand, may be sent.
    await page.evaluate(() => document.body.append(Object.assign(document.createElement("input"), { type: "file", multiple: true })));
    await page.locator("body > input").setInputFiles(names.map((name) => join(given, name)));
    const drop = async (place, dropped) => {
      const devtools = await place.page().context().newCDPSession(place.page());
      const { x, y, width, height } = await place.boundingBox();
      const data = { items: [], files: dropped.map((name) => join(given, name)), dragOperationsMask: 1 };
      for (const type of ["dragEnter", "dragOver", "drop"])
        await devtools.send("Input.dispatchDragEvent", { type, x: x + width / 2, y: y + height / 2, data });
    };
    await drop(page.locator(".bar"), ["one.jpg", "folder", "gone.jpg"]);
    const dialog = page.getByRole("dialog");
    await until(() => dialog.locator(".uploads li").count(), 4);
    await dialog.getByText("JPEG, WEBP, at most 5 MiB each").waitFor();
    assert.equal(await dialog.locator("input[type=file]").getAttribute("accept"), "image/jpeg,image/webp");
    await drop(dialog.locator(".uploads"), ["late.jpg"]);
    await until(() => dialog.locator(".uploads li").count(), 5);
    rmSync(join(given, "gone.jpg"));
    await dialog.getByRole("button", { name: "Upload 5 images" }).click();
    await until(() => dialog.locator(".uploads li.done").count(), 4);
    await dialog.locator(".uploads li.failed").getByText("The file is gone or was changed").waitFor();
    await picture(page, "dropped");
    await page.keyboard.press("Escape");
    await until(() => counts(page), [94, 24, 70]);
    const reader = await browser.open(server, { dataset: "dropped", token: makeToken("drops-nothing", "read") });
    await images(reader).first().waitFor();
    await drop(grid(reader), ["one.jpg"]);
    await reader.getByRole("paragraph").getByText("Your token may not do this: it needs the scope MANAGE.").first().waitFor();
  }),
);

test(
  "the walk by keyboard alone",
  browser.used(async () => {
    await makeDataset("keys");
    const page = await browser.open(server, {});
    const press = async (...keys) => {
      for (const key of keys) await page.keyboard.press(key);
    };
    const tabTo = async (locator) => {
      for (let presses = 0; presses < 120; presses++) {
        if (await locator.evaluate((element) => element === document.activeElement).catch(() => false)) return;
        await page.keyboard.press("Tab");
      }
      assert.fail(`Tab does not lead to ${locator}`);
    };
    await page.getByRole("link", { name: /keys/ }).waitFor();
    await tabTo(page.getByRole("link", { name: /keys/ }));
    await press("Enter");
    await until(() => counts(page), [90, 20, 70]);
    await press("Alt+2");
    await says(page, "20 images");
    await press("Tab"); // "Skip to the images"
    await press("Enter");
    await tabTo(grid(page));
    await press("ArrowRight", "Space", "Shift+ArrowRight", "Shift+ArrowRight");
    await says(page, "3 selected");
    await press("l");
    await page.keyboard.type("fist");
    await press("Enter");
    await until(() => counts(page), [90, 17, 73]);
    await press("Control+z");
    await until(() => counts(page), [90, 20, 70]);
    await press("Escape"); // out of the field
    await press("Control+a");
    const selected = parseInt(await page.locator(".tools .count").textContent());
    assert.ok(selected >= 10, String(selected));
    await press("l");
    await page.keyboard.type("all-in-view");
    await press("Enter");
    await until(() => counts(page), [90, 20 - selected, 70 + selected]);
    await press("Alt+1");
    await says(page, "90 images");
    await tabTo(page.getByRole("button", { name: "Edit all-in-view" }));
    await press("Enter");
    await tabTo(page.getByLabel("Shortcut"));
    await page.keyboard.type("a");
    await press("Enter");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await tabTo(grid(page));
    await press("Home", "Enter");
    await page.getByRole("dialog").getByText("1 / 90").waitFor();
    await press("ArrowRight");
    await page.getByRole("dialog").getByText("2 / 90").waitFor();
    await press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await press("?");
    await page.getByRole("heading", { name: "Keys", exact: true }).waitFor();
    await picture(page, "keys");
    await press("Escape");
  }),
);

test(
  "what a token may not do is greyed out, and says so",
  browser.used(async () => {
    const page = await browser.open(server, { dataset: "walk", token: makeToken("reader", "read") });
    const upload = page.getByRole("button", { name: "Upload", exact: true });
    await upload.waitFor();
    assert.equal(await upload.getAttribute("aria-disabled"), "true");
    assert.equal(await upload.getAttribute("title"), "Your token may not do this: it needs the scope MANAGE.");
    await images(page).first().click();
    await says(page, "1 selected");
    assert.equal(await page.getByRole("combobox", { name: /^Label the/ }).isDisabled(), true);
    const labeller = await browser.open(server, { dataset: "walk", token: makeToken("labeller", "label") });
    await until(() => labeller.getByRole("combobox", { name: /^Label the/ }).isEnabled(), true);
    assert.equal(await labeller.getByRole("button", { name: "Delete images" }).getAttribute("aria-disabled"), "true");
    await labeller.getByRole("button", { name: "Models" }).click();
    const start = labeller.getByRole("button", { name: "Start auto labelling" });
    assert.equal(await start.getAttribute("title"), "Your token may not do this: it needs the scope MANAGE.");
    await labeller.keyboard.press("Escape");
    await labeller.getByRole("link", { name: "Labelgraph" }).click();
    assert.equal(await labeller.getByRole("button", { name: "New dataset" }).getAttribute("aria-disabled"), "true");
  }),
);

test(
  "what somebody else does is seen at once",
  browser.used(async () => {
    await makeDataset("two");
    const [one, other] = [
      await browser.open(server, { dataset: "two" }),
      await browser.open(server, { dataset: "two" }),
    ];
    await until(() => counts(other), [90, 20, 70]);
    await tab(one, "Unlabeled").click();
    await says(one, "20 images");
    await images(one).first().click();
    await one.getByRole("combobox", { name: /^Label the/ }).fill("seen");
    await one.keyboard.press("Enter");
    await until(() => counts(other), [90, 19, 71]);
    await labelRow(other, "seen").getByText("1").waitFor();
  }),
);

test(
  "the page is in Chinese, and dark",
  browser.used(async () => {
    const page = await browser.open(server, { dataset: "walk", locale: "zh-CN", colorScheme: "dark" });
    await page.getByRole("button", { name: /^未标注/ }).waitFor();
    assert.equal(await page.locator("html").getAttribute("lang"), "zh");
    await images(page).first().click();
    await picture(page, "chinese-dark");
    await page.getByRole("button", { name: "English" }).click();
    await tab(page, "Unlabeled").waitFor();
  }),
);
