// Applies the chosen colours before the page is painted.
"use strict";
(() => {
  let stored = null;
  try {
    stored = localStorage.getItem("theme");
  } catch {
    // Storage can be turned off; the colours are those of the system then.
  }
  if (stored === "dark" || stored === "light") {
    document.documentElement.dataset.theme = stored;
  }
})();
