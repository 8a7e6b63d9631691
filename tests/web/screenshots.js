// Takes pictures of pages in Chromium, light and dark: see screenshots.py.
//
//   node screenshots.js MODULES CHROMIUM '{"base": URL, "cookie": {…}, "folder": …, "pages": {…}}'
"use strict";
const [, , modules, executablePath, input] = process.argv;
const { chromium } = require(`${modules}/playwright-core`);
const given = JSON.parse(input);

const take = async () => {
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  for (const colorScheme of ["light", "dark"]) {
    const viewport = { width: 1200, height: 680 };
    const context = await browser.newContext({ viewport, colorScheme });
    await context.addCookies([{ ...given.cookie, url: given.base }]);
    const page = await context.newPage();
    for (const [name, path] of Object.entries(given.pages)) {
      const response = await page.goto(given.base + path, { waitUntil: "load" });
      if (!response.ok()) {
        throw new Error(`${path}: ${response.status()}, expected a page`);
      }
      await page.screenshot({ path: `${given.folder}/${name}-${colorScheme}.png` });
    }
  }
  await browser.close();
};

take().catch((error) => {
  console.error(String(error));
  process.exitCode = 1;
});
