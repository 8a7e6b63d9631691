// Uses the dashboard in Chromium, and prints its findings as one line of JSON.
//
//   node browser.js MODULES CHROMIUM '{"base": URL, "act": NAME, "cookie": {…}, …}'
//
// ACTS has what it can do. The act "visit" loads each of `paths` with `sizes` and `themes`; `folder`
// is where it stores pictures. With `axe` it reports what breaks rules for accessibility.
"use strict";
const { readFileSync } = require("fs");

const [, , modules, executablePath, input] = process.argv;
const { chromium } = require(`${modules}/playwright-core`);
const axe = readFileSync(require.resolve(`${modules}/axe-core/axe.min.js`), "utf8");
const given = JSON.parse(input);
// A page has fewer elements that the Tab key reaches.
const MOST_TABS = 500;
const ROWS = "#content table.stacked tbody tr";

const open = async (browser, options) => {
  const context = await browser.newContext({ ...options, extraHTTPHeaders: given.headers });
  if (given.cookie) {
    await context.addCookies([{ ...given.cookie, url: given.base }]);
  }
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
    await tabTo(page, page.getByLabel("Name"));
    await page.keyboard.type(given.user);
    await page.keyboard.press("Tab");
    await page.keyboard.type(password);
    await page.keyboard.press("Enter");
  };
  await logIn("another long password");
  found.wrong = await page.getByRole("alert").textContent();
  found.serious = await seriousOf(page);
  await logIn(given.password);
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

// Goes with the Tab key to an element, which must be in the order of the page.
const tabTo = async (page, target) => {
  for (let presses = 0; presses < MOST_TABS; presses += 1) {
    if (await target.evaluate((element) => element === document.activeElement)) {
      return;
    }
    await page.keyboard.press("Tab");
  }
  throw new Error(`not reached by the Tab key: ${target}`);
};

// Selects two messages and holds them.
const changeQueue = async (browser) => {
  const context = await open(browser, {});
  const page = await context.newPage();
  const found = {};
  await page.goto(`${given.base}/queue`);
  for (const name of given.names) {
    await tabTo(page, page.getByRole("checkbox", { name: `Select ${name}`, exact: true }));
    await page.keyboard.press("Space");
  }
  await tabTo(page, page.getByRole("button", { name: "Hold", exact: true }));
  await page.keyboard.press("Enter");
  const sure = page.getByRole("button", { name: /Hold \d recipient/ });
  found.asked = await sure.textContent();
  found.serious = await seriousOf(page);
  found.broken = (await page.evaluate(layout)).broken;
  await tabTo(page, sure);
  await page.keyboard.press("Enter");
  found.done = await page.getByRole("status").textContent();
  return found;
};

// Ends the only session.
const endSession = async (browser) => {
  const context = await open(browser, {});
  const page = await context.newPage();
  const found = {};
  await page.goto(`${given.base}/now`);
  await tabTo(page, page.getByRole("link", { name: /^End / }));
  await page.keyboard.press("Enter");
  const sure = page.getByRole("button", { name: "End", exact: true });
  await sure.waitFor();
  found.serious = await seriousOf(page);
  await tabTo(page, sure);
  await page.keyboard.press("Enter");
  found.done = await page.getByRole("status").textContent();
  return found;
};

// Goes through each page with the Tab key: what has no visible focus, and what is not reached.
const walkPages = async (browser) => {
  const context = await open(browser, {});
  const page = await context.newPage();
  const found = [];
  for (const path of given.paths) {
    await page.goto(given.base + path);
    await page.evaluate(() => {
      document.activeElement.blur();
      window.reached = new Set();
    });
    const faint = [];
    for (let presses = 0; presses < MOST_TABS; presses += 1) {
      await page.keyboard.press("Tab");
      const look = await page.evaluate(() => {
        const one = document.activeElement;
        if (one === document.body) {
          return { seen: true, html: "" }; // the end of the page: its start follows
        }
        if (window.reached.has(one)) {
          // A field for a date has several places for the focus.
          return one === window.last ? { seen: true, html: "" } : null;
        }
        window.reached.add(window.last = one);
        const style = getComputedStyle(one);
        const box = one.getBoundingClientRect();
        const seen = style.outlineStyle !== "none" && style.outlineWidth !== "0px" && box.width > 0;
        const inside = box.bottom > 0 && box.top < innerHeight;
        return { seen: seen && inside, html: one.outerHTML.slice(0, 120) };
      });
      if (look === null) {
        break;
      }
      if (!look.seen) {
        faint.push(look.html);
      }
    }
    const missed = await page.evaluate(() =>
      [...document.querySelectorAll("a[href], button, input, select, summary")]
        .filter((one) => one.checkVisibility() && one.type !== "hidden")
        .filter((one) => !(one.type === "radio" ? [...document.getElementsByName(one.name)] : [one])
          .some((each) => window.reached.has(each)))
        .map((one) => one.outerHTML.slice(0, 120)),
    );
    found.push({ path, faint, missed });
  }
  return found;
};

// Steps by the keyboard alone: Tab goes to what has the name, `keys` are pressed there.
const actByKeyboard = async (browser) => {
  const context = await open(browser, { viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  const found = [];
  const named = (name) => page.evaluate((text) => {
    const one = document.activeElement;
    const label = one.getAttribute("aria-label") || one.labels?.[0]?.textContent || one.textContent;
    return label.trim().startsWith(text);
  }, name);
  for (const step of given.steps) {
    if (step.open) {
      await page.goto(given.base + step.open);
    }
    if (step.to) {
      for (let presses = 0; !(await named(step.to)); presses += 1) {
        if (presses > 200) {
          throw new Error(`no focus on ${step.to} at ${page.url()}`);
        }
        await page.keyboard.press("Tab");
      }
    }
    if (step.text) {
      await page.keyboard.type(step.text);
    }
    for (const key of step.keys || []) {
      await page.keyboard.press(key);
    }
    if (step.wait) {
      await page.locator(step.wait).first().waitFor();
    }
    if (step.read) {
      found.push((await page.locator(step.read).first().innerText()).trim());
    }
  }
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

// Loads pages with hostile text: elements that it has made, dialogs, and whether it is shown as text.
const findMarkup = async (browser) => {
  const context = await open(browser, {});
  const page = await context.newPage();
  const dialogs = [];
  page.on("dialog", (one) => {
    dialogs.push(one.message());
    one.dismiss();
  });
  const found = [];
  for (const path of given.paths) {
    await page.goto(given.base + path, { waitUntil: "load" });
    found.push(
      await page.evaluate(
        ([where, text]) => ({
          path: where,
          made: [...document.querySelectorAll("*")]
            .filter((one) => one.matches("img:not([src^='/static/']), script:not([src])") ||
              one.getAttributeNames().some((name) => name.startsWith("on")))
            .map((one) => one.outerHTML),
          shown: document.body.textContent.includes(text),
        }),
        [path, given.text],
      ),
    );
  }
  return { found, dialogs };
};

const stateOf = (page, text) =>
  page.waitForFunction((expected) => document.querySelector(".state").textContent === expected, text);

// Marks the first row, focuses its link, selects a text in it, and waits until the page changes.
const watchNow = async (browser) => {
  const context = await open(browser, { viewport: { width: 500, height: 300 } });
  const page = await context.newPage();
  const found = {};
  await page.goto(`${given.base}/now`);
  await stateOf(page, "Live");
  const first = await page.evaluate(() => {
    const row = document.querySelector("tbody tr");
    row.mark = true;
    row.querySelector(".actions a").focus();
    getSelection().selectAllChildren(row.querySelector(".c-client"));
    scrollTo(0, 200);
    return { age: row.querySelector(".c-age").textContent, scroll: scrollY };
  });
  await page.waitForFunction(
    (age) => document.querySelector("tbody .c-age").textContent !== age,
    first.age,
  );
  Object.assign(
    found,
    await page.evaluate(
      (scroll) => ({
        kept: document.querySelector("tbody tr").mark === true,
        focus: document.activeElement.textContent,
        selected: getSelection().toString().trim(),
        scrolled: scrollY === scroll && scroll > 0,
      }),
      first.scroll,
    ),
  );
  await page.waitForFunction(() => document.querySelector("svg.trend polyline"));
  found.serious = await seriousOf(page);
  await page.getByRole("button", { name: "Pause" }).focus();
  await page.keyboard.press("Enter");
  await stateOf(page, "Paused");
  await page.route("**/live/sessions*", (route) => route.abort());
  await page.getByRole("button", { name: "Resume" }).click();
  await stateOf(page, "Reconnecting");
  await page.unroute("**/live/sessions*");
  await stateOf(page, "Live");
  found.announced = await page.locator(".live [role=status]").textContent();
  return found;
};

// Follows new rows, while the test writes some again and again.
const follow = async (browser) => {
  const context = await open(browser, { reducedMotion: "reduce" });
  const page = await context.newPage();
  const found = {};
  await page.goto(`${given.base}/find?${given.live}`);
  found.before = await page.locator(ROWS).count();
  await page.getByRole("button", { name: "Follow" }).click();
  await stateOf(page, "Live");
  found.place = placeOf(page);
  await page.waitForFunction((count) => document.querySelectorAll("tbody tr").length > count, found.before);
  await page.locator(`${ROWS} a`).first().focus();
  const focused = await page.evaluate(() => document.activeElement.href);
  await page.waitForFunction(
    (href) => document.querySelector("tbody a").href !== href && document.querySelectorAll("tbody tr").length === 200,
    focused,
  );
  const rows = await page.evaluate(() =>
    [...document.querySelectorAll("tbody .c-ref")].map((cell) => cell.textContent),
  );
  found.repeated = rows.length - new Set(rows).size;
  found.animation = await page.evaluate(() => getComputedStyle(document.querySelector("tr.new")).animationName);
  found.serious = await seriousOf(page);
  await page.getByRole("button", { name: "Pause" }).click();
  await stateOf(page, "Paused");
  found.paused = await page.getByRole("button", { name: "Follow" }).count();
  const body = 'event: gap\ndata: {"missing":1200}\n\n';
  const stream = { contentType: "text/event-stream" };
  await page.route("**/live/events*", (route) => route.fulfill({ ...stream, body }));
  await page.getByRole("button", { name: "Follow" }).click();
  found.missing = await page.locator("a.missing:visible").textContent();
  const end = "event: end\ndata: \n\n";
  await page.unroute("**/live/events*");
  await page.route("**/live/events*", (route) => route.fulfill({ ...stream, body: end }));
  await stateOf(page, "Ended");
  return found;
};

const ACTS = {
  now: watchNow,
  follow,
  keyboard: actByKeyboard,
  markup: findMarkup,
  visit: visitAll,
  walk: walkPages,
  login: useKeyboard,
  review: reviewTraps,
  queue: changeQueue,
  end: endSession,
  plain: withoutScripts,
};

const run = async () => {
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  console.log(JSON.stringify(await ACTS[given.act](browser)));
  await browser.close();
};

run().catch((error) => {
  console.error(error);
  process.exit(1);
});
