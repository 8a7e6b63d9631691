// Tries messages in Chromium on the view Try, and prints what the pages show as one line of JSON.
//
//   node try.js MODULES CHROMIUM '{"base": URL, "cookie": {…}, "file": PATH, "compare": NAME}'
// With `scripts` it also reports what breaks rules for accessibility, and whether the page is too wide.
"use strict";
const { readFileSync } = require("fs");
const [, , modules, executablePath, input] = process.argv;
const { chromium } = require(`${modules}/playwright-core`);
const given = JSON.parse(input);
const axe = readFileSync(require.resolve(`${modules}/axe-core/axe.min.js`), "utf8");

const tables = (page, name) =>
  page
    .locator(`section:has(#table-${name}) tbody tr`)
    .evaluateAll((rows) =>
      rows.map((row) => [...row.cells].map((cell) => cell.innerText.trim())),
    );

const fill = async (page) => {
  await page.goto(`${given.base}/message/a1-1.1`);
  await page.getByRole("link", { name: "Try this envelope" }).click();
  await page.getByLabel("Client", { exact: true }).fill("192.0.2.77");
  await page.getByLabel("The connection is encrypted").check();
};

const send = async (page) => {
  await page.getByRole("button", { name: "Try", exact: true }).click();
  await page.waitForLoadState("load");
};

const seriousOf = async (page) => {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run());
  return violations
    .filter((one) => ["serious", "critical"].includes(one.impact))
    .map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join(" ")}`);
};

const wideOf = (page) =>
  page.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
  );

const run = async () => {
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  const context = await browser.newContext({ javaScriptEnabled: given.scripts });
  await context.addCookies([{ ...given.cookie, url: given.base }]);
  const page = await context.newPage();
  const errors = [];
  page.on("console", (one) => errors.push(one.text()));
  page.on("pageerror", (one) => errors.push(String(one)));
  const found = {};

  await fill(page);
  found.sender = await page.getByLabel("From").inputValue();
  await page.getByLabel("or a file").setInputFiles(given.file);
  await send(page);
  found.refused = await page.locator(".headline").innerText();
  found.why = await page.locator(".why dd").first().innerText();
  found.last = (await tables(page, "steps")).at(-1);

  await page.getByLabel("Message", { exact: true }).fill(given.text);
  await page.getByLabel("Compare with").selectOption(given.compare);
  await send(page);
  found.differing = await page.getByRole("status").innerText();
  found.compared = (await tables(page, "comparison"))[0];
  if (given.scripts) {
    found.serious = await seriousOf(page);
    await page.setViewportSize({ width: 375, height: 900 });
    found.wide = await wideOf(page);
  }
  found.errors = errors;
  console.log(JSON.stringify(found));
  await browser.close();
};

run().catch((error) => {
  console.error(error);
  process.exit(1);
});
