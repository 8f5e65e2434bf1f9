"use strict";
(() => {
  const stops = [...document.querySelectorAll("[data-stop]")];
  // From what has the focus on, else from what stands at the top of the window.
  const goal = (step) => {
    const focus = document.activeElement;
    const here = stops.indexOf(focus.closest("[data-stop]"));
    if (here >= 0) return stops[here + step];
    const isAfter = (stop) =>
      focus === document.body
        ? stop.getBoundingClientRect().top > 40
        : focus.compareDocumentPosition(stop) & Node.DOCUMENT_POSITION_FOLLOWING;
    return step > 0 ? stops.find(isAfter) : stops.findLast((stop) => !isAfter(stop));
  };
  const go = (step) => {
    const next = goal(step);
    if (!next) return;
    if (next.tagName === "DETAILS") next.open = true;
    next.scrollIntoView({ block: "start" });
    (next.querySelector("summary") ?? next).focus({ preventScroll: true });
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
    if (event.key === "j" || event.key === "k") go(event.key === "j" ? 1 : -1);
  });
  // A link to a finding that is folded unfolds it.
  const unfold = () => {
    const target = document.getElementById(location.hash.slice(1));
    if (target?.tagName === "DETAILS") target.open = true;
  };
  addEventListener("hashchange", unfold);
  unfold();

  const { palettes, figures } = JSON.parse(document.getElementById("livegrad-figures").textContent);
  const packed = document.getElementById("livegrad-plotly").textContent.trim();
  const { nonce } = document.currentScript;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const PRINTED = 700;
  let printing = false;

  const draw = (figure) => {
    const palette = dark.matches && !printing ? palettes.dark : palettes.light;
    const pixels = printing ? null : document.getElementById(figure.id).clientWidth;
    const { data, layout } = livegradDrawing.fit(figure, palette, pixels);
    if (printing) Object.assign(layout, { width: PRINTED, autosize: false });
    figure.drawn = true;
    return Plotly.react(figure.id, data, layout, livegradDrawing.config);
  };
  const drawAll = () => figures.forEach(draw);

  // Print: everything unfolded, light, and as wide as the paper; afterwards as it was.
  let folded = [];
  const beforePrint = () => {
    if (printing) return;
    printing = true;
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const part of folded) part.open = true;
    if (window.Plotly) drawAll();
  };
  const afterPrint = () => {
    if (!printing) return;
    printing = false;
    for (const part of folded) part.open = false;
    if (window.Plotly) drawAll();
  };
  addEventListener("beforeprint", beforePrint);
  addEventListener("afterprint", afterPrint);
  matchMedia("print").addEventListener("change", (event) => (event.matches ? beforePrint() : afterPrint()));
  if (!figures.length) return;

  const unpack = async () => {
    const letters = atob(packed);
    const bytes = new Uint8Array(letters.length);
    for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const library = document.createElement("script");
    library.nonce = nonce;
    library.textContent = await new Response(stream).text();
    document.head.append(library);
  };

  const say = (words) => {
    for (const figure of figures) {
      const plot = document.getElementById(figure.id);
      plot.style.minHeight = "0";
      plot.textContent = words;
      plot.className = "plot notice";
    }
  };

  // What is looked at is drawn at once; the rest when nothing else is to be done, one figure a turn.
  const inView = (figure) => {
    const { top, bottom } = document.getElementById(figure.id).getBoundingClientRect();
    return bottom > -200 && top < innerHeight + 200;
  };
  const idle = () => new Promise((next) => (window.requestIdleCallback ? requestIdleCallback(next, { timeout: 300 }) : setTimeout(next)));
  const next = () => figures.find((figure) => !figure.drawn && inView(figure)) ?? figures.find((figure) => !figure.drawn);

  const start = async () => {
    if (!packed) return say("Figures are left out: plotly was not installed where this report was written.");
    try {
      await unpack();
      for (let figure = next(); figure; figure = next()) {
        await draw(figure);
        if (!document.documentElement.dataset.figures) performance.mark("livegrad-first");
        document.documentElement.dataset.figures = "drawing";
        await idle();
      }
      document.documentElement.dataset.figures = "drawn";
      performance.mark("livegrad-drawn");
      dark.addEventListener("change", drawAll);
    } catch (error) {
      console.error(error);
      say("Figures could not be drawn: they need a browser of 2023 or later. The tables hold the numbers.");
    }
  };
  start();
})();
