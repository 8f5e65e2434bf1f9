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

  const figure = (drawing, theme, width, name) => {
    if (!drawing) return Array(6).fill(same());
    const heading = drawing.title || same();
    // Nothing to say: most models have no time to look through.
    const place = drawing.words === "" ? { display: "none" } : {};
    if (drawing.words !== undefined) return [same(), heading, drawing.words, [], { display: "none" }, place];
    const pixels = document.getElementById(`${name}-figure`)?.clientWidth;
    const { data, layout } = window.livegradDrawing.fit(drawing, window.livegradPalettes[theme || "light"], pixels);
    // Zoom and hidden lines stay as they were left while the same thing is shown.
    layout.uirevision = location.pathname + name + drawing.view;
    const left = drawing.unread ? ` Of this long run ${drawing.unread.toLocaleString("en")} steps are still being read.` : "";
    return [{ data, layout }, heading, drawing.caption + left, drawing.key.flatMap(swatch), { height: `${layout.height}px` }, place];
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
  addEventListener("resize", frames(() => {
    tell("looked", Date.now());
    tell("width", window.livegradDrawing.narrow(document.documentElement.clientWidth));
  }));

  // A layer is opened in a drawer: Escape closes it, and the keyboard goes back to where it came from.
  let from = null;
  const drawer = (content) => {
    const place = document.getElementById("layer-panel");
    if (content && place && !place.contains(document.activeElement)) from = document.activeElement;
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
  });

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
    livegrad: { due, figure, drawer, theme: (clicks) => window.livegradTheme(clicks) },
  });
})();
