"use strict";
// The search box: the rules of livegrad/guide/ranking.py in the browser, from the same table of words.
(() => {
  const pages = window.livegradPages;
  const rules = window.livegradRules;
  const box = document.getElementById("search");
  const list = document.getElementById("hits");
  const MOST = 12;
  let chosen = -1;

  const small = new Set(rules.small);
  const wordsOf = (text) => (text.toLowerCase().replace(/['’]/g, "").match(/[\p{L}\p{N}]+/gu) || [])
    .map((word) => (word.length > 7 ? word.replace(/is(ations?|e[ds]?|ing)$/u, "iz$1") : word));
  const stem = (word) => {
    if (word.endsWith("ss")) return word;
    for (const ending of rules.endings) {
      if (!word.endsWith(ending) || word.length - ending.length < 4) continue;
      const cut = word.slice(0, -ending.length), last = cut.at(-1);
      return last === cut.at(-2) && !"sl".includes(last) && cut.length > 4 ? cut.slice(0, -1) : cut;
    }
    return word;
  };
  // Insertions, deletions, changes and swaps of neighbours between two words; most + 1 for more.
  const edits = (one, other, most) => {
    if (Math.abs(one.length - other.length) > most) return most + 1;
    let before = [], last = Array.from({ length: other.length + 1 }, (_, i) => i);
    for (let i = 1; i <= one.length; i++) {
      const row = [i];
      for (let j = 1; j <= other.length; j++) {
        row[j] = Math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (one[i - 1] === other[j - 1] ? 0 : 1));
        if (i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1]) row[j] = Math.min(row[j], before[j - 2] + 1);
      }
      [before, last] = [last, row];
    }
    return Math.min(last[other.length], most + 1);
  };
  const slips = (word) => (word.length < 4 ? 0 : word.length < 8 ? 1 : 2);

  const held = new Map(), spelt = new Map(), called = new Map();
  for (const page of pages) {
    page.stems = new Map();
    for (const [word, count] of Object.entries(page.words)) {
      const root = stem(word);
      spelt.set(word, root);
      page.stems.set(root, (page.stems.get(root) || 0) + count);
    }
    for (const root of page.stems.keys()) held.set(root, (held.get(root) || 0) + 1);
    page.phrases = [];
    for (const name of [...page.names, ...page.asked]) {
      const words = wordsOf(name);
      for (const word of words) called.set(word, stem(word));
      const roots = new Set(words.filter((word) => !small.has(word)).map(stem));
      if (roots.size) page.phrases.push(roots);
    }
  }
  const idf = new Map([...held].map(([root, count]) => [root, Math.log(1 + pages.length / count)]));
  const unknown = Math.log(1 + 20);
  const most = (map, root, fit) => map.set(root, Math.max(map.get(root) || 0, fit));

  const meanings = (word) => {
    const found = new Map(), own = stem(word);
    if (idf.has(own)) found.set(own, 1);
    if (Object.hasOwn(rules.meant, word)) {
      for (const other of wordsOf(rules.meant[word]).map(stem)) if (idf.has(other) && other !== own) found.set(other, 0.9);
    }
    if (word.length > 2 && !found.size) for (const [known, root] of spelt) if (known.startsWith(word)) most(found, root, rules.beginning);
    const allowed = slips(word);
    for (const vocabulary of [called, spelt]) {
      if (found.size) break;
      for (const [known, root] of vocabulary) {
        const off = edits(word, known, allowed);
        if (off > 0 && off <= allowed) most(found, root, 1 - 0.2 * off);
      }
    }
    return found;
  };

  const ranked = (query) => {
    const typed = wordsOf(query);
    const spoken = typed.filter((word) => !small.has(word)), words = spoken.length ? spoken : typed;
    if (!words.length) return [];
    const asked = words.map(meanings);
    words.slice(1).forEach((word, i) => {
      const joined = called.get(words[i] + word);
      if (joined !== undefined) { asked[i].set(joined, 1); asked[i + 1].set(joined, 1); }
    });
    const worth = asked.map((means) => (means.size ? Math.max(...[...means].map(([root, fit]) => idf.get(root) * fit)) : unknown));
    const whole = worth.reduce((sum, value) => sum + value, 0);
    const stems = new Set(asked.flatMap((means) => [...means.keys()]));
    const scored = [];
    for (const page of pages) {
      let gained = 0, known = 0;
      asked.forEach((means, i) => {
        let best = -1;
        for (const [root, fit] of means) {
          const count = page.stems.get(root);
          if (count !== undefined) best = Math.max(best, (idf.get(root) * fit * count) / (count + rules.half));
        }
        if (best >= 0) { gained += best; known += worth[i]; }
      });
      const share = known / whole;
      if (share < rules.leastKnown) continue;
      let named = 0, own = 0;
      for (const phrase of page.phrases) {
        if (![...phrase].every((root) => stems.has(root))) continue;
        named = Math.max(named, [...phrase].reduce((sum, root) => sum + (idf.get(root) ?? unknown), 0));
        if (phrase.size === stems.size) own = 3;
      }
      // In plain words a name is the term's; as livegrad writes it (vanishing-gradient) the finding's.
      const first = page.kind === (query.includes("-") ? "finding" : "term") ? 0.1 : 0;
      const score = gained * share * share + 0.5 * named + own + first;
      scored.push([Math.round(score * 1e6) / 1e6, page]);
    }
    scored.sort((a, b) => b[0] - a[0] || (a[1].title < b[1].title ? -1 : 1));
    return scored.filter(([score]) => score >= rules.leastOfBest * scored[0][0]);
  };
  const find = (text) => ranked(text).slice(0, MOST).map((pair) => pair[1]);
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
