// The BPE player. Traits: steps (for each merge the most frequent pairs, [left, right, count], the merge first; tokens in GPT-2's
// spelling of bytes), text, at (how many merges have been applied).

const MANY = 300; // characters
// GPT-2's cut into words, which no token crosses; \p{White_Space} is what Python's regex means by \s
const PRETOKEN = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** GPT-2's visible character for each byte: printable ones stand for themselves, the others borrow U+0100 and on. */
const CHARS = (() => {
  let others = 0;
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCharCode((byte > 32 && byte < 127) || (byte > 160 && byte < 173) || byte > 173 ? byte : 256 + others++));
})();
const BYTES = new Map(CHARS.map((char, byte) => [char, byte]));
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const whole = (n) => n.toLocaleString("en-US");
const count = (n) => `${whole(n)} token${n === 1 ? "" : "s"}`;

const spell = (text) => [...new TextEncoder().encode(text)].map((byte) => CHARS[byte]);

/** A token as it is shown: ␣ for a space, ⏎ for a line break, ⟨E4⟩ for a byte that is no character by itself. */
function show(token) {
  const bytes = Uint8Array.from(token, (char) => BYTES.get(char)), shown = [];
  for (let i = 0; i < bytes.length; ) {
    let char = null, length = 1;
    for (; char === null && length <= 4; length++) {
      try {
        char = UTF8.decode(bytes.slice(i, i + length));
      } catch {
        continue; // not a whole character yet
      }
    }
    if (char === null) shown.push(`⟨${bytes[i++].toString(16).toUpperCase().padStart(2, "0")}⟩`);
    else {
      i += length - 1;
      const code = char.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
      shown.push({ " ": "␣", "\n": "⏎", "\t": "⇥" }[char] ?? (/[\p{C}\p{Z}]/u.test(char) ? `⟨U+${code}⟩` : char));
    }
  }
  return shown.join("");
}

const key = (a, b) => `${a} ${b}`; // a space is never part of a spelling

/** Every state of a word on its way, [{parts, rank, fresh}, …]: of all pairs present, always the one learned first is joined. */
function path(word, ranks) {
  const states = [{ parts: spell(word), rank: -1, fresh: new Set() }];
  for (;;) {
    const { parts, rank: highest } = states.at(-1);
    const found = parts.slice(1).map((b, i) => ranks.get(key(parts[i], b)) ?? Infinity), best = Math.min(...found);
    if (best === Infinity) return states;
    const merged = [], fresh = new Set();
    for (let i = 0; i < parts.length; i++) {
      if (found[i] === best) {
        fresh.add(merged.length);
        merged.push(parts[i] + parts[++i]);
      } else merged.push(parts[i]);
    }
    states.push({ parts: merged, rank: Math.max(best, highest), fresh });
  }
}

function explain(steps, at, tokens) {
  const said = `After ${at} of ${steps.length} merges the text has ${count(tokens)}.`;
  if (at === steps.length) return `${said} The list of merges ends here.`;
  const [[a, b, times], ...others] = steps[at], pair = ([c, d]) => `${show(c)} + ${show(d)}`;
  const tied = others.filter(([, , n]) => n === times).map(pair);
  return `${said} The next joins ${pair([a, b])}, ${whole(times)} times in the training text.` +
    (tied.length ? ` A tie with ${tied.join(" and ")}: the smaller ids win.` : "");
}

function render({ model, el }) {
  const root = h("form", { class: "bpe-player" });
  const steps = model.get("steps"), ranks = new Map(steps.map(([[a, b]], rank) => [key(a, b), rank]));
  const known = new Map(); // the paths of words
  const walk = (word) => known.get(word) ?? known.set(word, path(word, ranks)).get(word);
  const cut = () => model.get("text").match(PRETOKEN) ?? [];
  const go = (at) => put(model, { at: Math.max(0, Math.min(steps.length, at)) });
  const button = (text, label, act) => h("button", { type: "button", "aria-label": label, onclick: act }, text);
  /** How many merges must have been applied for the text to change, in order. */
  const turns = () => [...new Set(cut().flatMap((word) => walk(word).slice(1).map(({ rank }) => rank + 1)))].sort((a, b) => a - b);
  const field = h("textarea", { rows: 2, maxlength: MANY, spellcheck: "false", "aria-label": "the text", oninput: () => put(model, { text: field.value }) });
  const slider = h("input", { type: "range", min: 0, max: steps.length, step: 1, "aria-label": "merges applied", oninput: () => go(Number(slider.value)) });
  const shown = h("output");
  const back = button("◂", "one merge back", () => go(model.get("at") - 1));
  const next = button("▸", "one merge on", () => go(model.get("at") + 1));
  const earlier = button("◂◂", "back to the last change of the text", () => go((turns().filter((k) => k <= model.get("at")).at(-1) ?? 1) - 1));
  const later = button("▸▸", "on to the next change of the text", () => go(turns().find((k) => k > model.get("at"))));
  const chips = h("p", { class: "chips" });
  const words = h("p", { class: "words", "aria-live": "polite" });
  const [top, every] = [h("tbody"), h("tbody")];
  const scrolled = (label, table) => h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": label }, table);
  const head = (...names) => h("thead", {}, h("tr", {}, names.map((name) => h("th", { scope: "col" }, name))));
  const list = h("details", { ontoggle: drawList }, h("summary", {}, "Every merge as a table"),
    scrolled("Every merge", h("table", {}, head("merge", "left", "right", "times"), every)));
  root.append(
    h("label", { class: "edit" }, h("span", {}, "text"), field),
    h("div", { class: "stepper" }, earlier, back, next, later, h("label", {}, h("span", {}, "merges "), slider, shown)),
    chips,
    h("p", { class: "legend" }, h("i", { class: "key fresh" }), "just joined ", h("i", { class: "key next" }), "joined next"),
    words,
    h("table", { class: "counts" }, h("caption", {}, "the most frequent pairs in the training text now"), head("left", "right", "times"), top),
    list);

  function drawList() {
    if (list.open && !every.children.length)
      every.append(...steps.map(([[a, b, times]], i) => h("tr", {}, h("th", { scope: "row" }, i + 1), h("td", {}, show(a)), h("td", {}, show(b)), h("td", {}, whole(times)))));
    [...every.children].forEach((row, i) => row.classList.toggle("now", i + 1 === model.get("at")));
  }

  function draw() {
    const at = model.get("at");
    let tokens = 0;
    if (field.value !== model.get("text")) field.value = model.get("text");
    chips.replaceChildren(...cut().map((word) => {
      const { parts, rank, fresh } = walk(word).findLast((state) => state.rank < at);
      const second = (i) => i > 0 && ranks.get(key(parts[i - 1], parts[i])) === at;
      tokens += parts.length;
      let taken = -1; // in "aaa", the pair (a, a) is joined once
      const ends = new Set(parts.flatMap((_, i) => (second(i) && taken < i - 1 ? [(taken = i)] : [])));
      return h("span", { class: "word" }, parts.map((part, i) =>
        h("span", { class: `chip${rank === at - 1 && fresh.has(i) ? " fresh" : ""}${ends.has(i + 1) ? " left" : ""}${ends.has(i) ? " right" : ""}` }, show(part))));
    }));
    slider.value = at;
    say(shown, `${at} of ${steps.length}`);
    const changes = turns();
    Object.assign(back, { disabled: at === 0 });
    Object.assign(next, { disabled: at === steps.length });
    earlier.disabled = !changes.some((k) => k <= at);
    later.disabled = !changes.some((k) => k > at);
    top.replaceChildren(...(steps[at] ?? []).map(([a, b, times], i) =>
      h("tr", { class: i ? "" : "best" }, h("td", {}, show(a)), h("td", {}, show(b)), h("td", {}, whole(times)))));
    say(words, explain(steps, at, tokens));
    drawList();
  }

  return live(model, el, root, ["text", "at"], draw);
}

export default { render };
