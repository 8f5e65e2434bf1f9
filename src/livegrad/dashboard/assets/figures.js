"use strict";
// Figures: which of them are in view, and how a drawing from the server is shown in this theme and width.
(() => {
  const tell = (id, data) => window.dash_clientside.set_props?.(id, { data });
  const same = () => window.dash_clientside.no_update;
  const MARGIN = 150;

  const inView = (name) => {
    const place = document.getElementById(`${name}-figure`);
    if (!place || document.hidden) return false;
    const { top, bottom } = place.getBoundingClientRect();
    return bottom > -MARGIN && top < innerHeight + MARGIN;
  };

  // What the place of a figure shows, and what there is to show: when they differ and it is in view, ask.
  const due = (looked, drawing, ...rest) => {
    const name = rest.pop();
    const known = rest.pop();
    if (!inView(name)) return same();
    const wanted = JSON.stringify([...rest, drawing?.unread || 0]);
    return wanted === known ? same() : wanted;
  };

  const swatch = ([colour, words]) => [
    { type: "Span", namespace: "dash_html_components",
      props: { className: "swatch", style: { background: `var(--${colour})` } } },
    { type: "Span", namespace: "dash_html_components", props: { children: `${words} ` } },
  ];

  const clicked = (name, { points }) => {
    const { x, y } = points?.[0] ?? {};
    if (name === "loss" && Number.isFinite(x)) window.dash_clientside.set_props("note-step", { value: Math.round(x) });
    else if (name === "depth" || name === "heatmap") open({ figure: name, x, y });
  };
  const open = (what) => {
    // The same one again is to be opened again: the server hears of changes only.
    tell("clicked", null);
    tell("clicked", what);
  };

  // The library is large: it is asked for when the words stand, and there is a figure to draw.
  let library = null;
  const pause = (milliseconds) => new Promise((next) => setTimeout(next, milliseconds));
  const isJudged = () => !document.getElementById("verdict") || document.querySelector("#verdict .facts");
  const plotly = async () => {
    for (let waited = 0; !library && !isJudged() && waited < 3000; waited += 50) await pause(50);
    library ??= new Promise((ready) => {
      const { src } = document.querySelector('script[src*="drawing.js"]');
      document.head.append(Object.assign(document.createElement("script"), { src: src.replace("drawing.js", "plotly.js"), onload: ready }));
    });
    await library;
  };
  // Once its place has the size it will have, and only the latest of several.
  const latest = {};
  const draw = (name, data, layout) => setTimeout(async () => {
    latest[name] = data;
    await plotly();
    const place = document.getElementById(name);
    if (!place || latest[name] !== data) return;
    const isNew = !place.classList.contains("js-plotly-plot");
    Plotly.react(place, data, layout, window.livegradDrawing.config);
    if (isNew) place.on("plotly_click", (event) => clicked(name, event));
  }, 20);

  const figure = (drawing, theme, width, name) => {
    if (!drawing) return Array(5).fill(same());
    const heading = drawing.title || same();
    // Nothing to say: most models have no time to look through.
    const place = drawing.words === "" ? { display: "none" } : {};
    if (drawing.words !== undefined) return [heading, drawing.words, [], { display: "none" }, place];
    const pixels = document.getElementById(`${name}-figure`)?.clientWidth;
    const { data, layout } = window.livegradDrawing.fit(drawing, window.livegradPalettes[theme || "light"], pixels);
    // Zoom and hidden lines stay as they were left while the same thing is shown.
    layout.uirevision = location.pathname + name + drawing.view;
    draw(name, data, layout);
    const left = drawing.unread ? ` Of this long run ${drawing.unread.toLocaleString("en")} steps are still being read.` : "";
    return [heading, drawing.caption + left, drawing.key.flatMap(swatch), { height: `${layout.height}px`, minHeight: 0 }, place];
  };

  const frames = (act) => {
    let waiting = false;
    return () => {
      if (waiting) return;
      waiting = true;
      setTimeout(() => { waiting = false; act(); }, 100);
    };
  };
  let [known, told] = ["", 0];
  const look = frames(() => {
    const names = [...document.querySelectorAll(".figure")].map((place) => place.id.replace(/-figure$/, ""));
    const seen = names.filter(inView).join();
    if (!seen || (seen === known && Date.now() - told < 3000)) return;
    [known, told] = [seen, Date.now()];
    tell("looked", told);
  });
  addEventListener("scroll", look, { passive: true, capture: true });
  document.addEventListener("visibilitychange", look);
  // Figures above may have shrunk, and new ones may have appeared, without any scrolling.
  setInterval(look, 700);
  // A tab of the browser is told apart by what its page shows.
  setInterval(() => {
    const heading = document.querySelector("#page h1")?.textContent;
    const title = heading ? `${heading} · livegrad` : "livegrad";
    if (document.title !== title) document.title = title;
  }, 500);
  addEventListener("resize", frames(() => {
    if (!document.querySelector(".figure")) return;
    tell("looked", Date.now());
    tell("width", window.livegradDrawing.narrow(document.documentElement.clientWidth));
  }));

  // A layer is opened in a drawer: Escape closes it, and the keyboard goes back to where it came from.
  let from = null;
  const drawer = (content) => {
    const place = document.getElementById("layer-panel");
    if (content && place && !place.contains(document.activeElement)) from = document.activeElement;
    // It takes room from the figures, or gives it back.
    setTimeout(() => dispatchEvent(new Event("resize")), 50);
    return content ? "drawer open" : "drawer";
  };
  const close = () => {
    window.dash_clientside.set_props("layer", { value: null });
    from?.isConnected && from.focus?.();
  };
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && document.querySelector(".drawer.open")) close();
  });
  addEventListener("click", (event) => {
    if (event.target.closest?.("#layer-close")) close();
    const layer = event.target.closest?.("button[data-layer]");
    if (layer) open(Number(layer.dataset.layer));
  });

  // Long tables and the strip of layers. Text enters as text, whatever it holds.
  const make = (tag, props, ...children) => {
    const element = Object.assign(document.createElement(tag), props);
    element.append(...children);
    return element;
  };
  const button = (opens, props, ...children) => {
    const made = make("button", { type: "button", ...props }, ...children);
    made.dataset.layer = opens;
    return made;
  };
  const strip = (cells) => {
    const made = cells.map(({ opens, wide, style, title }) => {
      const cell = button(opens, { className: `cell ${style}`, title, tabIndex: -1, ariaLabel: title });
      cell.style.flexGrow = wide;
      return cell;
    });
    const end = (words) => make("span", { className: "end" }, words);
    return make("div", { className: "spine-row", role: "group", ariaLabel: "Layers from input to output" },
      end("input"), make("div", { className: "cells" }, ...made), end("output"));
  };
  const row = ({ opens, style, cells }) => {
    const [first, ...rest] = cells;
    const name = opens === undefined ? first : button(opens, { className: "plain" }, first);
    const made = rest.map((cell) => make("td", { className: cell.length <= 24 ? "short" : "" }, cell));
    if (style) made.at(-1).className = `short sign ${style}`;
    return make("tr", {}, make("th", { scope: "row" }, name), ...made);
  };
  const table = (told, id) => {
    const head = make("tr", {}, ...told.heads.map((words) => make("th", { scope: "col" }, words)));
    const whole = make("table", {}, make("thead", {}, head), make("tbody", {}, ...told.rows.map(row)));
    const made = make("div", { className: `scroll ${id === "layer-rows" ? "layers" : "bill"}`, tabIndex: 0 }, whole);
    return told.foot ? [made, make("p", { className: "calm" }, told.foot)] : [made];
  };
  const fill = (tables) => {
    for (const id of ["strip", "layer-rows", "ledger-lines"]) {
      const place = document.getElementById(id);
      const told = tables?.[id];
      if (!place) continue;
      const parts = [];
      if (Array.isArray(told) && told.length) parts.push(strip(told));
      if (told?.caption) parts.push(make("p", { className: "caption" }, told.caption));
      if (told?.rows) {
        const made = table(told, id);
        const isOpen = place.querySelector("details")?.open ?? false;
        parts.push(...(told.summary ? [make("details", { open: isOpen }, make("summary", {}, told.summary), ...made)] : made));
      }
      place.replaceChildren(...parts);
    }
    return 0;
  };

  // Back and forward: an address reproduces what it showed.
  let shown = location.pathname + location.search;
  addEventListener("_dashprivate_pushstate", () => { shown = location.pathname + location.search; });
  addEventListener("popstate", () => {
    const [was, now] = [shown, location.pathname + location.search];
    shown = now;
    if (now !== was && now.split("?")[0] === was.split("?")[0]) location.reload();
  });
  // A link to a finding that is folded unfolds it.
  addEventListener("hashchange", () => {
    const target = document.getElementById(location.hash.slice(1));
    if (target?.tagName === "DETAILS") target.open = true;
  });

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    livegrad: { due, figure, drawer, fill, theme: (clicks) => window.livegradTheme(clicks) },
  });
})();
