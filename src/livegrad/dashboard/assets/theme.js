"use strict";
// The theme chosen last, else the system's; figures are drawn for it by the server.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const kept = () => { try { return localStorage.getItem("livegrad-theme"); } catch { return null; } };
  const now = () => kept() || (dark.matches ? "dark" : "light");
  document.documentElement.dataset.theme = now();
  window.livegradTheme = (clicks) => {
    let theme = now();
    if (clicks) {
      theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
      try { localStorage.setItem("livegrad-theme", theme); } catch { /* for this page only */ }
    }
    document.documentElement.dataset.theme = theme;
    return theme;
  };
})();
