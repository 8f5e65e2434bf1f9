"use strict";
// The search box: names first, then what pages say; a slip of the finger is forgiven.
(() => {
  const pages = window.livegradPages;
  const box = document.getElementById("search");
  const list = document.getElementById("hits");
  const MOST = 12;
  let chosen = -1;

  const plain = (text) => text.toLowerCase().normalize("NFKD").replace(/[\u0300-\u036f]/g, "").replace(/[\s_\-–—.’']+/g, " ").trim();
  for (const page of pages) {
    page.keys = page.names.map(plain);
    page.vocabulary = new Set(plain(page.names.join(" ") + " " + page.summary).split(" "));
    page.said = new Set(page.words);
  }

  // Edits (insertion, deletion, change, swap of neighbours) between two words, up to `most`.
  const edits = (one, other, most) => {
    if (Math.abs(one.length - other.length) > most) return most + 1;
    let before = [], last = Array.from({ length: other.length + 1 }, (_, i) => i);
    for (let i = 1; i <= one.length; i++) {
      const row = [i];
      for (let j = 1; j <= other.length; j++) {
        const same = one[i - 1] === other[j - 1] ? 0 : 1;
        row[j] = Math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + same);
        if (i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1]) row[j] = Math.min(row[j], before[j - 2] + 1);
      }
      [before, last] = [last, row];
    }
    return last[other.length];
  };
  const slips = (word) => (word.length < 4 ? 0 : word.length < 8 ? 1 : 2);

  const weight = (page, word) => {
    if (page.keys.some((key) => key.split(" ").includes(word))) return 60;
    if (page.keys.some((key) => key.split(" ").some((part) => part.startsWith(word)))) return 45;
    if (page.vocabulary.has(word)) return 20;
    if (page.said.has(word)) return 8;
    if (word.length > 2 && [...page.said].some((part) => part.startsWith(word))) return 5;
    const most = slips(word);
    if (!most) return 0;
    let best = 0;
    for (const key of page.keys) for (const part of key.split(" ")) {
      // A word that is not finished yet is held against the beginning of the other.
      const off = Math.min(edits(word, part, most), edits(word, part.slice(0, word.length), most) + 0.5);
      if (off <= most) best = Math.max(best, 30 - 8 * off);
    }
    if (!best) for (const part of page.said) if (edits(word, part, 1) <= 1) { best = 2; break; }
    return best;
  };

  const find = (text) => {
    const asked = plain(text), words = asked.split(" ").filter(Boolean);
    if (!words.length) return [];
    const scored = [];
    for (const page of pages) {
      const weights = words.map((word) => weight(page, word));
      if (weights.some((one) => !one)) continue;
      let score = weights.reduce((sum, one) => sum + one, 0) / words.length;
      if (page.keys.includes(asked)) score += 200;
      else if (page.keys.some((key) => key.startsWith(asked))) score += 40;
      // In plain words a name is the term's; as livegrad writes it (vanishing-gradient) the finding's.
      if (page.kind === (text.includes("-") ? "finding" : "term")) score += 0.5;
      scored.push([score, page]);
    }
    scored.sort((a, b) => b[0] - a[0] || a[1].title.localeCompare(b[1].title));
    return scored.slice(0, MOST).map((pair) => pair[1]);
  };
  window.livegradFind = find;

  const choose = (number) => {
    const entries = [...list.children].filter((entry) => entry.role === "option");
    chosen = entries.length ? (number + entries.length) % entries.length : -1;
    entries.forEach((entry, i) => entry.setAttribute("aria-selected", String(i === chosen)));
    if (chosen >= 0) { box.setAttribute("aria-activedescendant", entries[chosen].id); entries[chosen].scrollIntoView({ block: "nearest" }); }
    else box.removeAttribute("aria-activedescendant");
  };
  const close = () => { list.hidden = true; box.setAttribute("aria-expanded", "false"); chosen = -1; };

  const show = () => {
    const found = find(box.value);
    list.replaceChildren(...found.map((page, number) => {
      const entry = document.createElement("li"), link = document.createElement("a"), said = document.createElement("span");
      entry.id = `hit-${number}`; entry.role = "option"; entry.className = page.kind;
      link.href = `${page.id}.html`; link.tabIndex = -1; link.textContent = page.title;
      said.textContent = page.summary;
      link.append(said); entry.append(link);
      return entry;
    }));
    if (!found.length && box.value.trim()) {
      const none = document.createElement("li");
      none.className = "none"; none.textContent = "No page says this. Fewer letters find more.";
      list.append(none);
    }
    const open = Boolean(box.value.trim());
    list.hidden = !open;
    box.setAttribute("aria-expanded", String(open));
    choose(0);
  };
  box.addEventListener("input", show);
  box.addEventListener("focus", () => { if (box.value.trim()) show(); });
  box.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") { choose(chosen + 1); event.preventDefault(); }
    else if (event.key === "ArrowUp") { choose(chosen - 1); event.preventDefault(); }
    else if (event.key === "Enter" && chosen >= 0) { location.href = list.children[chosen].querySelector("a").href; }
    else if (event.key === "Escape") { box.value = ""; close(); box.blur(); }
  });
  document.addEventListener("click", (event) => { if (!event.target.closest(".search")) close(); });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) { box.focus(); box.select(); event.preventDefault(); }
  });
})();
