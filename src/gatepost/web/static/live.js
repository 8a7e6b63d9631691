// Live updates: the open sessions on Now, and new rows on Find. Pages work without it.
//
// A page is changed in place: an element that stays the same is not touched, so that the focus, a
// selected text and the place on the page stay. The state is announced to screen readers, rows are
// not. A page that is not visible has no stream.
"use strict";
(() => {
  const line = document.querySelector("[data-live]");
  if (!line) {
    return;
  }
  const MOST_ROWS = 200;
  const RETRY = 10_000; // milliseconds, after an answer that is no stream
  const follows = "follows" in line.dataset;
  const state = line.querySelector(".state");
  const button = line.querySelector("button");
  const missing = line.querySelector(".missing");
  const shown = () => document.getElementById("shown");
  let after = line.dataset.after;
  let isOn = !follows || location.hash === "#follow";
  let isOver = false;
  let source = null;
  let waiting = 0;

  const report = (text) => {
    if (state.textContent !== text) {
      state.textContent = text;
      line.dataset.state = text.toLowerCase();
    }
  };

  const keyOf = (row) => row.querySelector(".c-session, .c-ref")?.textContent;
  const keyed = (rows) => new Map([...rows].map((row) => [keyOf(row), row]));
  const parsed = (html) => {
    const template = document.createElement("template");
    template.innerHTML = html;
    return template.content;
  };

  // Rows stay in their order: one that was there is not moved, which would take its focus.
  const morphRows = (body, next) => {
    const old = keyed(body.rows);
    const fresh = keyed(next.rows);
    for (const [key, row] of old) {
      if (!fresh.has(key)) {
        if (row.contains(document.activeElement)) {
          body.closest(".scroll")?.focus({ preventScroll: true });
        }
        row.remove();
      }
    }
    let before = null;
    for (const [key, row] of fresh) {
      const same = old.get(key);
      if (same) {
        morph(same, row);
      } else if (before) {
        before.after(row);
      } else {
        body.prepend(row);
      }
      before = same || row;
    }
  };

  const morph = (old, next) => {
    if (old.nodeName !== next.nodeName) {
      old.replaceWith(next);
    } else if (old.nodeType === Node.TEXT_NODE) {
      if (old.data !== next.data) {
        old.data = next.data;
      }
    } else if (old.nodeType === Node.ELEMENT_NODE) {
      for (const { name } of [...old.attributes]) {
        if (!next.hasAttribute(name)) {
          old.removeAttribute(name);
        }
      }
      for (const { name, value } of next.attributes) {
        if (old.getAttribute(name) !== value) {
          old.setAttribute(name, value);
        }
      }
      if (old.nodeName === "TBODY") {
        morphRows(old, next);
      } else {
        morphChildren(old, next);
      }
    }
  };

  const morphChildren = (old, next) => {
    const rest = [...old.childNodes];
    for (const child of [...next.childNodes]) {
      const same = rest.shift();
      if (same) {
        morph(same, child);
      } else {
        old.append(child);
      }
    }
    rest.forEach((node) => node.remove());
  };

  const addRows = (html) => {
    const section = parsed(html).querySelector("section");
    const body = shown().querySelector("tbody");
    if (!body) {
      shown().querySelector("section").replaceWith(section);
      return;
    }
    const old = keyed(body.rows);
    const rows = [...section.querySelectorAll("tbody tr")].filter((row) => !old.has(keyOf(row)));
    rows.forEach((row) => row.classList.add("new"));
    body.prepend(...rows);
    [...body.rows].slice(MOST_ROWS).forEach((row) => row.remove());
  };

  const reportMissing = (data) => {
    const { missing: count } = JSON.parse(data);
    const what = count === null ? "Some records" : `${count.toLocaleString("en")} records`;
    missing.textContent = `${what} are not shown. Load the page again.`;
    missing.hidden = false;
  };

  const disconnect = () => {
    clearTimeout(waiting);
    source?.close();
    source = null;
  };

  const end = () => {
    isOver = true;
    disconnect();
    report("Ended");
    button.hidden = true;
    missing.textContent = "Load the page again.";
    missing.hidden = false;
  };

  const connect = () => {
    disconnect();
    const url = new URL(line.dataset.live, location.href);
    if (after) {
      url.searchParams.set("after", after);
    }
    const on = (name, act) =>
      source.addEventListener(name, (event) => {
        after = event.lastEventId || after;
        act(event.data);
      });
    source = new EventSource(url);
    source.addEventListener("open", () => report("Live"));
    source.addEventListener("error", () => {
      report("Reconnecting");
      if (source.readyState === EventSource.CLOSED) {
        waiting = setTimeout(connect, RETRY);
      }
    });
    on("sessions", (data) => {
      const next = document.createElement("div");
      next.append(parsed(data));
      morphChildren(shown(), next);
    });
    on("rows", addRows);
    on("gap", reportMissing);
    on("end", end);
  };

  const update = () => {
    if (isOver) {
      return;
    }
    button.textContent = isOn ? "Pause" : follows ? "Follow" : "Resume";
    if (!isOn || document.hidden) {
      disconnect();
      report(isOn || (follows && !state.textContent) ? state.textContent : "Paused");
    } else if (!source) {
      connect();
    }
  };

  button.addEventListener("click", () => {
    isOn = !isOn;
    if (follows) {
      history.replaceState(null, "", isOn ? "#follow" : location.pathname + location.search);
    }
    update();
  });
  document.addEventListener("visibilitychange", update);
  // Until the stream is open, the page is loaded again as without it.
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.target.id === "shown" && state.textContent !== "Reconnecting") {
      event.preventDefault();
    }
  });
  line.hidden = false;
  update();
})();
