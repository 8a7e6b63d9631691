// Uses the dashboard in Chromium, and prints its findings as one line of JSON.
//
//   node browser.js MODULES CHROMIUM '{"base": URL, "cookie": {…}, …}'
//
// With `paths`, `sizes` and `themes` it loads each page; `folder` is where it stores pictures. With
// `steps`, which has a name and a password, it uses the keyboard. With `review` it arms a trap by
// keys. With `scripts` of false it loads pages without scripts. With `axe` it reports what breaks
// rules for accessibility.
"use strict";
const { readFileSync } = require("fs");

const [, , modules, executablePath, input] = process.argv;
const { chromium } = require(`${modules}/playwright-core`);
const axe = readFileSync(require.resolve(`${modules}/axe-core/axe.min.js`), "utf8");
const given = JSON.parse(input);
const ROWS = "#content table.stacked tbody tr";

const open = async (browser, options) => {
  const context = await browser.newContext(options);
  await context.addCookies([{ ...given.cookie, url: given.base }]);
  return context;
};

const seriousOf = async (page) => {
  // axe is run by the debugger, to which the policy of the page does not apply.
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run());
  return violations
    .filter((one) => ["serious", "critical"].includes(one.impact))
    .map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join(" ")}`);
};

// Words that are broken inside, and tables that are wider than their place. A word may be broken
// where the page allows it: each text node of a table is such a part.
const layout = () => {
  const broken = [];
  const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    for (const found of node.data.matchAll(/[^\s\-/?]+/g)) {
      const range = document.createRange();
      range.setStart(node, found.index);
      range.setEnd(node, found.index + found[0].length);
      const lines = new Set([...range.getClientRects()].map((one) => Math.round(one.top)));
      if (lines.size > 1) {
        broken.push(found[0]);
      }
    }
  }
  const wide = [...document.querySelectorAll(".scroll")].filter(
    (one) => one.scrollWidth > one.clientWidth && !one.querySelector(".figures, .heat"),
  );
  return { broken, scrolled: wide.map((one) => one.getAttribute("aria-labelledby")) };
};

const visit = async (page, path, width, theme) => {
  const errors = [];
  const requests = [];
  const onConsole = (one) => errors.push(one.text());
  const onError = (one) => errors.push(String(one));
  const onRequest = (one) => requests.push(one.url());
  page.on("console", onConsole).on("pageerror", onError).on("request", onRequest);
  const response = await page.goto(given.base + path, { waitUntil: "load" });
  const found = {
    path,
    width,
    theme,
    status: response.status(),
    wide: await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    ),
    ...(await page.evaluate(layout)),
    canvas: (await page.locator("canvas").count()) > 0,
    errors: [...errors],
    others: requests.filter((one) => !one.startsWith(given.base) && !one.startsWith("data:")),
  };
  if (given.folder) {
    const name = `${path.replace(/[^a-z0-9]+/gi, "-")}-${width}-${theme}.png`;
    await page.screenshot({ path: `${given.folder}/${name}`, fullPage: true });
  }
  page.off("console", onConsole).off("pageerror", onError).off("request", onRequest);
  return { ...found, serious: given.axe ? await seriousOf(page) : [] };
};

const visitAll = async (browser) => {
  const found = [];
  for (const theme of given.themes) {
    for (const [width, height] of given.sizes) {
      const context = await open(browser, { viewport: { width, height }, colorScheme: theme });
      const page = await context.newPage();
      for (const path of given.paths) {
        found.push(await visit(page, path, width, theme));
      }
      await context.close();
    }
  }
  return found;
};

const placeOf = (page) => page.url().slice(given.base.length);

const useKeyboard = async (browser) => {
  const context = await open(browser, { colorScheme: "light" });
  const page = await context.newPage();
  const found = {};
  await page.goto(`${given.base}/find`);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  found.skip = await page.evaluate(() => document.activeElement.id);

  await page.getByRole("searchbox").focus();
  await page.keyboard.type("bob@example.com");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/find?q=**");
  found.searched = placeOf(page);
  found.rows = await page.locator(ROWS).count();

  await page.getByRole("button", { name: "Use dark colours" }).focus();
  await page.keyboard.press("Space");
  const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
  found.theme = await theme();
  await page.reload();
  found.kept = await theme();

  await page.locator(`${ROWS} a`).first().focus();
  await page.keyboard.press("Enter");
  await page.waitForURL("**/message/**");
  found.opened = placeOf(page);

  await page.getByRole("button", { name: "Log out" }).focus();
  await page.keyboard.press("Enter");
  await page.waitForURL("**/login");
  found.out = placeOf(page);

  const logIn = async (password) => {
    await page.getByLabel("Name").fill(given.steps.name);
    await page.getByLabel("Password").fill(password);
    await page.keyboard.press("Enter");
  };
  await logIn("another long password");
  found.wrong = await page.getByRole("alert").textContent();
  await logIn(given.steps.password);
  await page.waitForURL("**/find");
  found.in = placeOf(page);
  return found;
};

const reviewTraps = async (browser) => {
  const context = await open(browser, {});
  const page = await context.newPage();
  const found = {};
  await page.goto(`${given.base}/review`);
  found.second = await page.locator("tr:has([data-key]) td:first-child a").nth(1).textContent();
  for (const key of ["j", "j", "j", "k", "a"]) {
    await page.keyboard.press(key);
  }
  await page.waitForURL("**/review/trap**");
  found.asked = placeOf(page);
  await page.getByRole("button", { name: "Arm", exact: true }).focus();
  await page.keyboard.press("Enter");
  await page.waitForURL((url) => !url.search.includes("action"));
  found.done = placeOf(page);
  await page.keyboard.press("u");
  await page.waitForURL("**action=**");
  found.undo = placeOf(page);
  return found;
};

const withoutScripts = async (browser) => {
  const context = await open(browser, { javaScriptEnabled: false });
  const page = await context.newPage();
  const found = {};
  for (const path of ["/find?q=bob%40example.com", "/queue", "/health"]) {
    await page.goto(given.base + path);
    found[path] = await page.locator(ROWS).count();
  }
  return found;
};

const run = async () => {
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  const others = given.scripts === false ? withoutScripts : visitAll;
  const act = given.steps ? useKeyboard : given.review ? reviewTraps : others;
  console.log(JSON.stringify(await act(browser)));
  await browser.close();
};

run().catch((error) => {
  console.error(error);
  process.exit(1);
});
