// The switch of colours, and the charts. Pages work without it.
"use strict";
(() => {
  const root = document.documentElement;
  const isDark = () =>
    root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;

  const themeSwitch = document.querySelector("[data-theme-switch]");
  const label = () => {
    themeSwitch.textContent = isDark() ? "Light" : "Dark";
    themeSwitch.setAttribute("aria-label", `Use ${isDark() ? "light" : "dark"} colours`);
  };
  if (themeSwitch) {
    themeSwitch.hidden = false;
    label();
    themeSwitch.addEventListener("click", () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      try {
        localStorage.setItem("theme", root.dataset.theme);
      } catch {
        // The choice lasts until the next page.
      }
      label();
      drawAll();
    });
  }

  // A property of the style sheet has a colour for light and one for dark pages.
  const colour = (name) => {
    root.style.outlineColor = `var(${name})`;
    const found = getComputedStyle(root).outlineColor;
    root.style.outlineColor = "";
    return found;
  };

  // Each series of a stack is drawn on top of the sum of those before it.
  const stacked = (series) => {
    const sums = [];
    return series.map(([, , values]) =>
      values.map((value, at) => {
        sums[at] = (sums[at] || 0) + value;
        return sums[at];
      }),
    );
  };

  const marks = (list) => ({
    hooks: {
      draw: (plot) => {
        const { ctx, bbox } = plot;
        ctx.save();
        ctx.strokeStyle = colour("--accent");
        ctx.setLineDash([4, 4]);
        for (const [time] of list) {
          const x = plot.valToPos(time, "x", true);
          if (x >= bbox.left && x <= bbox.left + bbox.width) {
            ctx.beginPath();
            ctx.moveTo(x, bbox.top);
            ctx.lineTo(x, bbox.top + bbox.height);
            ctx.stroke();
          }
        }
        ctx.restore();
      },
    },
  });

  // Forms of times: the distance of two ticks, its usual form, and those after a new year and day.
  const TIMES = [
    [86400, "{D} {MMM}", "\n{YYYY}", null, null, null, null, null, 1],
    [3600, "{HH}:{mm}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1],
    [60, "{HH}:{mm}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1],
  ];
  const SHOWN = { hour: "{D} {MMM} {HH}:{mm}", day: "{D} {MMM}" };

  const height = () => (innerWidth < 640 ? 200 : 260);

  const draw = (element) => {
    const facts = JSON.parse(element.dataset.chart);
    const axis = {
      stroke: colour("--muted"),
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { stroke: colour("--line"), width: 1 },
      font: "12px system-ui, sans-serif",
    };
    const stack = stacked(facts.series);
    // A bar stands between the start of its hour or day and that of the next.
    const length = facts.unit === "hour" ? 3600 : 86400;
    const bars = uPlot.paths.bars({ size: [0.8, 150], align: 1 });
    // The highest sum is drawn first, so that the lower ones stay visible.
    const series = facts.series.map(([name, title, values], at) => ({
      label: title,
      fill: colour(`--fill-${name}`),
      stroke: colour(`--fill-${name}`),
      width: 0,
      paths: bars,
      points: { show: false },
      value: (_plot, _sum, _series, index) => (index === null ? "–" : values[index].toLocaleString("en")),
      data: stack[at],
    }));
    series.reverse();
    const lines = facts.lines.map(([title, values], at) => ({
      label: title,
      stroke: colour("--muted"),
      width: 1.5,
      dash: at ? [2, 3] : [6, 3],
      points: { show: false },
      data: values,
    }));
    const all = [...series, ...lines];
    const options = {
      width: element.clientWidth,
      height: height(),
      plugins: [marks(facts.marks)],
      cursor: { drag: { x: false, y: false } },
      scales: {
        x: { range: (_plot, first, last) => [first, last + length] },
        y: { range: (_plot, _least, most) => [0, Math.max(1, most * 1.05)] },
      },
      axes: [{ ...axis, values: TIMES }, { ...axis, size: 56, values: (_plot, ticks) => ticks.map((one) => one.toLocaleString("en")) }],
      series: [{ label: facts.unit === "hour" ? "Hour" : "Day", value: SHOWN[facts.unit] }, ...all.map(({ data, ...rest }) => rest)],
    };
    if (facts.zone !== "local") {
      options.tzDate = (seconds) => uPlot.tzDate(new Date(seconds * 1000), facts.zone);
    }
    element.replaceChildren();
    new uPlot(options, [facts.times, ...all.map((one) => one.data)], element);
  };

  const drawAll = () => {
    if (typeof uPlot === "undefined") {
      return;
    }
    document.querySelectorAll("[data-chart]").forEach(draw);
  };
  drawAll();
  let waiting = 0;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(drawAll, 150);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);

  // A table with a selection is not loaded again, which would remove the selection.
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.target.querySelector("input:checked")) {
      event.preventDefault();
    }
  });
})();
