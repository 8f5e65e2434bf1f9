"use strict";
(() => {
  const kept = () => {
    try { return JSON.parse(localStorage.getItem("livegrad-bookmarks")) || []; } catch { return []; }
  };
  const keep = (ids) => { try { localStorage.setItem("livegrad-bookmarks", JSON.stringify(ids)); } catch { /* a browser that keeps nothing */ } };

  const mark = document.getElementById("bookmark");
  if (mark) {
    const { id } = mark.dataset;
    const show = () => {
      const on = kept().includes(id);
      mark.setAttribute("aria-pressed", String(on));
      mark.firstElementChild.textContent = on ? "★" : "☆";
    };
    mark.addEventListener("click", () => {
      const ids = kept();
      keep(ids.includes(id) ? ids.filter((one) => one !== id) : [...ids, id]);
      show();
    });
    show();
  }

  const section = document.getElementById("bookmarks");
  if (section) {
    const known = new Map(window.livegradPages.map((page) => [page.id, page]));
    const pages = kept().map((id) => known.get(id)).filter(Boolean);
    section.hidden = !pages.length;
    section.querySelector("ul").replaceChildren(...pages.map((page) => {
      const entry = document.createElement("li"), link = document.createElement("a");
      link.href = `${page.id}.html`; link.textContent = page.title; entry.append(link);
      return entry;
    }));
  }

  const filters = document.querySelector(".filters");
  if (filters) {
    const boxes = [...filters.querySelectorAll("input")];
    const asked = new URLSearchParams(location.search);
    boxes.forEach((box) => { box.checked = asked.getAll(box.name).includes(box.value); });
    const sift = () => {
      const wanted = new Map();
      for (const box of boxes) if (box.checked) wanted.set(box.name, [...(wanted.get(box.name) || []), box.value]);
      let count = 0;
      for (const entry of document.querySelectorAll(".letter li")) {
        const shown = [...wanted].every(([name, values]) => values.includes(entry.dataset[name]));
        entry.hidden = !shown;
        count += shown;
      }
      for (const letter of document.querySelectorAll(".letter")) letter.hidden = !letter.querySelector("li:not([hidden])");
      document.getElementById("count").textContent = `${count} ${count === 1 ? "page" : "pages"}`;
      const query = new URLSearchParams([...wanted].flatMap(([name, values]) => values.map((value) => [name, value])));
      try { history.replaceState(null, "", `${location.pathname}${query.size ? `?${query}` : ""}${location.hash}`); } catch { /* file: pages of some browsers */ }
    };
    filters.addEventListener("change", sift);
    sift();
  }

  const plot = document.getElementById("plot");
  if (!plot) return;
  const palettes = JSON.parse(document.getElementById("palettes").textContent);
  const figure = JSON.parse(document.getElementById("figure-data").textContent);
  // On a narrow screen causes and remedies lie outside, unless it is seen from farther away.
  if (figure.layout.scene && plot.clientWidth < 600) {
    for (const axis of ["x", "y", "z"]) figure.layout.scene.camera.eye[axis] *= 1.8;
  }
  const themed = (value, palette) => {
    if (typeof value === "string") return value.startsWith("\u0001") ? palette[value.slice(1)] : value;
    if (Array.isArray(value)) return value.map((entry) => themed(entry, palette));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, themed(entry, palette)]));
  };
  const config = { responsive: true, displaylogo: false, displayModeBar: "hover", scrollZoom: Boolean(figure.layout.scene),
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "sendDataToCloud"] };
  const draw = () => {
    const palette = palettes[document.documentElement.dataset.theme];
    const fresh = themed(figure, palette);
    if (plot.data) {  // the slider and the camera stay where the reader put them
      fresh.data.forEach((trace, i) => { trace.visible = plot.data[i].visible; });
      if (plot.layout.sliders) fresh.layout.sliders[0].active = plot.layout.sliders[0].active;
      if (plot.layout.scene) fresh.layout.scene.camera = plot.layout.scene.camera;
    }
    return Plotly.react(plot, fresh.data, fresh.layout, config);
  };

  const flight = () => {
    const pick = document.getElementById("fly"), open = document.getElementById("open");
    if (!pick) return;
    const whole = figure.layout.scene.camera;
    const spots = new Map();
    const range = [Infinity, -Infinity].flatMap((v) => [[v, v, v]]);
    for (const trace of figure.data) for (const [i, axis] of ["x", "y", "z"].entries()) for (const value of trace[axis]) {
      if (value === null) continue;
      range[0][i] = Math.min(range[0][i], value); range[1][i] = Math.max(range[1][i], value);
    }
    for (const trace of figure.data) (trace.customdata || []).forEach((id, n) => spots.set(id, ["x", "y", "z"].map((axis, i) =>
      (trace[axis][n] - (range[0][i] + range[1][i]) / 2) / (range[1][i] - range[0][i]))));
    const still = matchMedia("(prefers-reduced-motion: reduce)");
    pick.addEventListener("change", () => {
      const at = spots.get(pick.value);
      open.hidden = !at;
      if (at) open.href = `${pick.value}.html`;
      const from = plot.layout.scene.camera, centre = at || [0, 0, 0];
      const eye = at ? [at[0] * 1.0 + 0.05, at[1] - 0.55, at[2] + 0.15] : ["x", "y", "z"].map((k) => whole.eye[k]);
      const was = { eye: ["x", "y", "z"].map((k) => from.eye[k]), centre: ["x", "y", "z"].map((k) => from.center?.[k] ?? 0) };
      const begun = performance.now(), lasting = still.matches ? 0 : 900;
      const move = (now) => {
        const t = lasting ? Math.min(1, (now - begun) / lasting) : 1, eased = t * t * (3 - 2 * t);
        const between = (a, b) => Object.fromEntries(["x", "y", "z"].map((k, i) => [k, a[i] + (b[i] - a[i]) * eased]));
        Plotly.relayout(plot, { "scene.camera": { eye: between(was.eye, eye), center: between(was.centre, centre), up: { x: 0, y: 0, z: 1 } } });
        if (t < 1) requestAnimationFrame(move);
      };
      requestAnimationFrame(move);
    });
  };

  addEventListener("DOMContentLoaded", async () => {
    if (!window.Plotly) { plot.textContent = "The figure needs plotly.js beside this page."; plot.className = "plot notice"; return; }
    try { await draw(); } catch (error) {
      plot.textContent = "This browser cannot draw the figure (it may lack WebGL).";
      plot.className = "plot notice"; plot.style.minHeight = "0";
      return;
    }
    plot.on("plotly_click", (event) => { const id = event.points[0].customdata; if (typeof id === "string") location.href = `${id}.html`; });
    flight();
    document.addEventListener("livegrad-theme", draw);
    document.documentElement.dataset.figure = "drawn";
  });
})();
