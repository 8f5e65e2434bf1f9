"use strict";
// From a drawing (plotly's data and layout, its colours names of the palette) to a figure that fits its page.
window.livegradDrawing = (() => {
  const NARROW = 560;
  // Numbers and names never hold a colour, and there may be very many of them.
  const plain = new Set(["x", "y", "z", "base", "text", "customdata", "ticktext", "tickvals", "hovertemplate"]);
  const themed = (value, palette) => {
    if (typeof value === "string") return value.startsWith("\u0001") ? palette[value.slice(1)] : value;
    if (Array.isArray(value)) return value.map((entry) => themed(entry, palette));
    if (value === null || typeof value !== "object") return value;
    const entries = Object.entries(value);
    return Object.fromEntries(entries.map(([key, entry]) => [key, plain.has(key) ? entry : themed(entry, palette)]));
  };

  // On a telephone fewer names fit along an axis, and the legend's lines stand one below the other.
  const some = (values, most) => {
    const step = Math.ceil(values.length / most);
    return values.filter((_, i) => i % step === 0 || (i === values.length - 1 && i % step > step / 2));
  };
  // Whether a finding's label ends inside the figure; its letters are about seven pixels wide.
  const hasRoom = (note, [low, high], pixels) => {
    const share = (note.x - low) / (high - low);
    const letters = note.text.replace(/<[^>]*>/g, "").length;
    return letters * 7 < (note.xanchor === "right" ? share : 1 - share) * (pixels - 76) + (note.xanchor === "right" ? 64 : 0);
  };
  const fitNarrow = (data, layout, pixels) => {
    const axis = layout.xaxis;
    const most = pixels < 420 ? 5 : 8;
    if (axis?.ticktext?.length > most) {
      axis.ticktext = some(axis.ticktext, most);
      axis.tickvals = some(axis.tickvals, most);
    }
    for (const trace of data) {
      if (trace.mode === "text" && trace.meta === "thin" && trace.x.length > 5) {
        for (const key of ["x", "y", "text"]) trace[key] = some(trace[key], 5);
      }
    }
    if (layout.meta?.beside) {
      const [low, high] = axis.range;
      axis.range = [low - 0.2 * (high - low), high + 0.2 * (high - low)];
    }
    for (const note of layout.annotations ?? []) {
      if (note.name === "finding" && !hasRoom(note, axis.range, pixels)) note.text = note.text.replace(/<\/b>.*/s, "</b>");
    }
    const told = new Set(data.filter((trace) => trace.name && trace.showlegend !== false).map((trace) => trace.name));
    layout.height += 19 * Math.max(0, told.size - 1);
  };

  // The figure in these colours, for a place of that many pixels (none: as wide as it was drawn for).
  const fit = (drawing, palette, pixels) => {
    const layout = themed(drawing.layout, palette);
    const data = themed(drawing.data, palette);
    if (pixels && pixels < NARROW) fitNarrow(data, layout, pixels);
    return { data, layout };
  };
  // Named one by one: plotly's own choice has a button that uploads the figure.
  const config = {
    responsive: true,
    displaylogo: false,
    displayModeBar: "hover",
    modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]],
  };
  return { fit, config, narrow: (pixels) => pixels < NARROW };
})();
