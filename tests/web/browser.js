// Loads pages in Chromium, and prints what it found as one line of JSON.
//
//   node browser.js MODULES CHROMIUM '{"base": URL, "token": SESSION, "paths": [...], ...}'
"use strict";
const [, , modules, executablePath, input] = process.argv;
const { chromium } = require(`${modules}/playwright-core`);
const axe = require.resolve(`${modules}/axe-core/axe.min.js`);
const { base, cookie, paths, sizes, themes, folder } = JSON.parse(input);

const run = async () => {
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  const found = [];
  for (const theme of themes) {
    for (const [width, height] of sizes) {
      const context = await browser.newContext({
        viewport: { width, height },
        colorScheme: theme,
        bypassCSP: false,
      });
      if (cookie) {
        await context.addCookies([{ ...cookie, url: base }]);
      }
      const page = await context.newPage();
      const messages = [];
      const requests = [];
      page.on("console", (one) => messages.push(one.text()));
      page.on("pageerror", (one) => messages.push(String(one)));
      page.on("request", (one) => requests.push(one.url()));
      for (const path of paths) {
        messages.length = 0;
        requests.length = 0;
        const response = await page.goto(base + path, { waitUntil: "load" });
        const wide = await page.evaluate(
          () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
        );
        const canvas = await page.locator("canvas").count();
        const name = `${path.replace(/[^a-z0-9]+/gi, "-")}-${width}-${theme}.png`;
        if (folder) {
          await page.screenshot({ path: `${folder}/${name}`, fullPage: true });
        }
        const errors = [...messages];
        const others = requests.filter((one) => !one.startsWith(base) && !one.startsWith("data:"));
        // axe is evaluated through the debugger, which the policy of the page does not concern.
        await page.evaluate(require("fs").readFileSync(axe, "utf8"));
        const result = await page.evaluate(() => window.axe.run());
        const serious = result.violations
          .filter((one) => ["serious", "critical"].includes(one.impact))
          .map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => node.html).join(" ")}`);
        found.push({
          path, width, theme, status: response.status(), wide, canvas, errors, others, serious,
        });
      }
      await context.close();
    }
  }
  await browser.close();
  console.log(JSON.stringify(found));
};

run().catch((error) => {
  console.error(error);
  process.exit(1);
});
