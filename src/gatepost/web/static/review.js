// Keys of the review of traps: j and k choose a row, the others follow one of its links.
"use strict";
(() => {
  const rows = [...document.querySelectorAll("tr")].filter((row) => row.querySelector("[data-key]"));
  let chosen = -1;

  const choose = (at) => {
    if (!rows.length) {
      return;
    }
    rows[chosen]?.classList.remove("chosen-row");
    chosen = Math.min(Math.max(at, 0), rows.length - 1);
    rows[chosen].classList.add("chosen-row");
    rows[chosen].scrollIntoView({ block: "nearest" });
    rows[chosen].querySelector("[data-key]").focus({ preventScroll: true });
  };

  addEventListener("keydown", (event) => {
    const isTyping = event.target.matches?.("input, select, textarea");
    if (isTyping || event.ctrlKey || event.altKey || event.metaKey) {
      return;
    }
    if (event.key === "j" || event.key === "k") {
      choose(chosen + (event.key === "j" ? 1 : -1));
      return;
    }
    const place = rows.length ? rows[chosen] : document;
    if (/^[a-z]$/.test(event.key)) {
      place?.querySelector(`a[data-key="${event.key}"]`)?.click();
    }
  });
})();
