"use strict";
// Before the page is painted: the theme chosen last, else the system's.
(() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => {
    try { return localStorage.getItem("livegrad-theme"); } catch { return null; }
  };
  const apply = () => {
    document.documentElement.dataset.theme = chosen() || (system.matches ? "dark" : "light");
    document.dispatchEvent(new Event("livegrad-theme"));
  };
  apply();
  system.addEventListener("change", apply);
  addEventListener("beforeprint", () => { document.documentElement.dataset.theme = "light"; document.dispatchEvent(new Event("livegrad-theme")); });
  addEventListener("afterprint", apply);
  document.addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme").addEventListener("click", () => {
      const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
      try { localStorage.setItem("livegrad-theme", next); } catch { /* kept for this page only */ }
      document.documentElement.dataset.theme = next;
      document.dispatchEvent(new Event("livegrad-theme"));
    });
  });
})();
