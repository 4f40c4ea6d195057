/**
 * The page by Lighthouse, of a dataset with 210 images, on a phone with a slow network and on a desktop, as Lighthouse
 * simulates both.
 */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";

import { addImage, anImage, images, makeDataset, token } from "../clients/api.mjs";
import { cache, installLighthouse } from "../clients/packages.mjs";

const { LABELGRAPH_BROWSER, LABELGRAPH_CLIENTS_URL: server } = process.env;
const packages = installLighthouse();
const { default: lighthouse, desktopConfig } = await import(join(packages, "lighthouse", "core", "index.js"));
const { launch } = await import(join(packages, "chrome-launcher", "dist", "index.js"));

const MORE = 120; // images beside those of the example
const ACCESSIBILITY = 95; // at least; performance depends on what else the machine does, so it is printed: 90 is the goal
const METRICS = ["first-contentful-paint", "largest-contentful-paint", "total-blocking-time", "cumulative-layout-shift"];
const LIMITED = { timeout: 240_000 }; // a measurement that takes longer hangs
const FLAGS = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage"];

before(async () => {
  mkdirSync(join(images, "lighthouse"));
  for (let number = 0; number < MORE; number++) addImage("lighthouse", `${number}.jpg`, anImage(String(number)));
  await makeDataset("lighthouse");
});

/** The scores from 0 to 100, the metrics as a text, and the rules of accessibility that do not hold. */
async function measure(device, configuration) {
  const chrome = await launch({ chromePath: LABELGRAPH_BROWSER, chromeFlags: FLAGS, logLevel: "silent" });
  try {
    const url = `${server}/ui/?dataset=lighthouse#token=${token}`;
    const options = { port: chrome.port, logLevel: "silent", onlyCategories: ["performance", "accessibility"], output: "html" };
    const { lhr, report } = await lighthouse(url, options, configuration);
    writeFileSync(join(cache, `lighthouse-${device}.html`), report.replaceAll(token, "…"));
    assert.equal(lhr.runtimeError, undefined);
    const { performance, accessibility } = lhr.categories;
    return {
      performance: Math.round(performance.score * 100),
      accessibility: Math.round(accessibility.score * 100),
      processor: lhr.environment.benchmarkIndex,
      metrics: METRICS.map((id) => `${id} ${lhr.audits[id].displayValue}`).join(", "),
      broken: accessibility.auditRefs.filter(({ id, weight }) => weight > 0 && lhr.audits[id].score === 0).map(({ id }) => id),
    };
  } finally {
    chrome.kill();
  }
}

for (const [device, configuration] of Object.entries({ phone: undefined, desktop: desktopConfig })) {
  test(`on a ${device}`, LIMITED, async (context) => {
    const { performance, accessibility, processor, metrics, broken } = await measure(device, configuration);
    context.diagnostic(`performance ${performance}, accessibility ${accessibility}, processor ${processor}: ${metrics}`);
    assert.ok(accessibility >= ACCESSIBILITY, `${broken}`);
  });
}
