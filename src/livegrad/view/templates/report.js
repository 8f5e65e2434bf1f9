"use strict";
(() => {
  const { palettes, figures } = JSON.parse(document.getElementById("livegrad-figures").textContent);
  const packed = document.getElementById("livegrad-plotly").textContent.trim();
  const { nonce } = document.currentScript;
  if (!figures.length) return;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const paper = matchMedia("print");

  // Numbers and names never hold a colour, and there may be very many of them.
  const plain = new Set(["x", "y", "z", "text", "customdata", "ticktext", "tickvals", "hovertemplate"]);
  const themed = (value, palette) => {
    if (typeof value === "string") return value.startsWith("\u0001") ? palette[value.slice(1)] : value;
    if (Array.isArray(value)) return value.map((entry) => themed(entry, palette));
    if (value === null || typeof value !== "object") return value;
    const entries = Object.entries(value);
    return Object.fromEntries(entries.map(([key, entry]) => [key, plain.has(key) ? entry : themed(entry, palette)]));
  };

  const draw = (figure) => {
    const palette = dark.matches && !paper.matches ? palettes.dark : palettes.light;
    const config = {
      responsive: true,
      displaylogo: false,
      displayModeBar: "hover",
      // Named one by one: plotly's own choice has a button that uploads the figure.
      modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]],
    };
    return Plotly.react(figure.id, themed(figure.data, palette), themed(figure.layout, palette), config);
  };
  const drawAll = () => figures.forEach(draw);

  const unpack = async () => {
    const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
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

  const start = async () => {
    if (!packed) return say("Figures are left out: plotly was not installed where this report was written.");
    try {
      await unpack();
      // One figure a turn, so that the page can be read and scrolled from the first moment.
      for (const figure of figures) {
        await draw(figure);
        await new Promise((next) => setTimeout(next));
      }
      document.documentElement.dataset.figures = "drawn";
      dark.addEventListener("change", drawAll);
      paper.addEventListener("change", drawAll);
    } catch (error) {
      console.error(error);
      say("Figures could not be drawn: they need a browser of 2023 or later. The tables hold the numbers.");
    }
  };
  start();
})();
