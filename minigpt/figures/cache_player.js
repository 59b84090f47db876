// The KV cache player. Traits: tokens, prompt (how many of them were given), without and cached (multiplications of each step),
// per_token (bytes kept for a token), step (from 1).

const TRAITS = ["tokens", "prompt", "without", "cached", "per_token", "step"];
const CELL = 14; // a query and a key, in the drawing's units
const TICK = 600; // milliseconds a step while playing
const LANES = ["k", "v"];

const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
const whole = (n) => n.toLocaleString("en-US");
const count = (n) => `${n} token${n === 1 ? "" : "s"}`;

/** What the two ways do at step t: tokens read, multiplications now and so far, bytes kept. */
function counts({ prompt, without, cached, per_token }, t) {
  const length = prompt + t - 1;
  return {
    length,
    plain: { read: length, now: without[t - 1], total: sum(without.slice(0, t)), kept: 0 },
    kept: { read: t === 1 ? length : 1, now: cached[t - 1], total: sum(cached.slice(0, t)), kept: per_token * length },
  };
}

function explain(state, t) {
  const { length, plain, kept } = counts(state, t);
  return `Step ${t} of ${state.without.length} writes “${state.tokens[length]}”. Without a cache the model reads ${count(length)}: ` +
    `${whole(plain.now)} multiplications. With it, ${count(kept.read)}: ${whole(kept.now)}. So far ` +
    `${print(plain.total / kept.total, 1, true)} times as many without it; the cache keeps ${whole(kept.kept)} bytes.`;
}

/** One side: the square of attention, a row per query, and under it the keys and values, a column per token. */
function board(title, size) {
  const side = CELL * size;
  const at = (row, column, part) => h("rect", { x: CELL * column, y: row, width: CELL - 1, height: CELL - 1, class: part });
  const rows = Array.from({ length: size }, (_, r) => Array.from({ length: size }, (_, c) => at(CELL * r, c, "cell")));
  const lanes = LANES.map((lane, i) => Array.from({ length: size }, (_, c) => at(side + 10 + (CELL + 4) * i, c, `lane ${lane}`)));
  const svg = h("svg", { viewBox: `0 0 ${side} ${side + 10 + 2 * (CELL + 4)}`, "aria-hidden": "true" }, rows, lanes);
  const node = h("div", { class: "side" }, h("strong", {}, title), svg);
  return {
    node,
    /** The rows from `first` to the last are computed now; those before `again` were computed before, too. */
    show(length, first, again) {
      const mark = (r) => (r >= length ? "ahead" : r < first ? "stored" : r < again ? "again" : "new");
      rows.forEach((row, r) => row.forEach((cell, c) =>
        cell.setAttribute("class", `cell ${mark(r) === "ahead" || c >= length ? "ahead" : c > r ? `masked ${mark(r)}` : mark(r)}`)));
      lanes.forEach((lane, i) => lane.forEach((cell, c) => cell.setAttribute("class", `lane ${LANES[i]} ${mark(c)}`)));
    },
  };
}

function render({ model, el }) {
  const root = h("form", { class: "cache-player" });
  const state = () => Object.fromEntries(TRAITS.map((name) => [name, model.get(name)]));
  const steps = model.get("without").length;
  const go = (step) => put(model, { step: Math.max(1, Math.min(steps, step)) });
  const size = model.get("tokens").length - 1; // the last token is written and not read any more
  const [plain, kept] = [board("without a cache", size), board("with a cache", size)];
  const text = h("p", { class: "text" });
  const slider = h("input", { type: "range", min: 1, max: steps, "aria-label": "step", oninput: () => (stop(), go(Number(slider.value))) });
  const shown = h("output");
  const back = h("button", { type: "button", onclick: () => (stop(), go(model.get("step") - 1)) }, "‹ Back");
  const next = h("button", { type: "button", onclick: () => (stop(), go(model.get("step") + 1)) }, "Next ›");
  const play = h("button", { type: "button", onclick: () => (timer ? stop() : start()) }, "Play");
  const words = h("p", { class: "words", "aria-live": "polite" });
  const NOW = [["tokens read in this step", "read"], ["multiplications in this step", "now"], ["multiplications so far", "total"],
    ["bytes kept for the next step", "kept"]];
  const numbers = NOW.map(() => [h("td"), h("td")]);
  const every = h("tbody");
  const scrolled = (label, table) => h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": label }, table);
  const head = (...names) => h("thead", {}, h("tr", {}, names.map((name) => h("th", { scope: "col" }, name))));
  let timer = 0;

  function start() {
    if (model.get("step") === steps) go(1);
    words.setAttribute("aria-live", "off"); // nobody wants a sentence read out at every tick
    timer = setInterval(() => (model.get("step") < steps ? go(model.get("step") + 1) : stop()), TICK);
    say(play, "Pause");
  }

  function stop() {
    clearInterval(timer);
    timer = 0;
    words.setAttribute("aria-live", "polite");
    say(play, "Play");
  }

  root.append(
    h("p", { class: "note" }, "the text, the same on both sides"), text,
    h("div", { class: "stepper" }, back, next, play, h("label", { class: "slide" }, h("span", {}, "step "), slider, shown)),
    h("p", { class: "note" }, "a row for each token that looks, a column for each that is looked at; below, each token’s key and value"),
    h("div", { class: "sides" }, plain.node, kept.node),
    h("p", { class: "legend" }, h("i", { class: "key new" }), "computed now, for the first time ", h("i", { class: "key again" }), "computed again ",
      h("i", { class: "key stored k" }), h("i", { class: "key stored v" }), "key and value, kept"),
    scrolled("Counters of this step", h("table", {}, head("counted", "without", "with"),
      h("tbody", {}, NOW.map(([label], i) => h("tr", {}, h("th", { scope: "row" }, label), numbers[i]))))),
    words,
    h("details", {}, h("summary", {}, "Every step as a table"), scrolled("Every step",
      h("table", {}, head("step", "token", "without", "with", "bytes kept"), every))));

  function draw() {
    const now = state(), t = now.step, { length, ...both } = counts(now, t);
    plain.show(length, 0, t === 1 ? 0 : length - 1);
    kept.show(length, t === 1 ? 0 : length - 1, 0);
    text.replaceChildren(...now.tokens.slice(0, length + 1).map((token, i) =>
      h("span", { class: `token ${i < now.prompt ? "given" : i === length ? "newest" : "written"}` }, token)));
    NOW.forEach(([, name], i) => ["plain", "kept"].forEach((side, j) => say(numbers[i][j], whole(both[side][name]))));
    every.replaceChildren(...now.without.map((n, i) => h("tr", { class: i === t - 1 ? "now" : "" }, h("td", {}, i + 1),
      h("th", { scope: "row" }, now.tokens[now.prompt + i]), h("td", {}, whole(n)), h("td", {}, whole(now.cached[i])),
      h("td", {}, whole(now.per_token * (now.prompt + i))))));
    slider.value = t;
    say(shown, `${t} of ${steps}`);
    back.disabled = t === 1;
    next.disabled = t === steps;
    say(words, explain(now, t));
  }

  const end = live(model, el, root, TRAITS, draw);
  return () => {
    stop();
    end();
  };
}

export default { render };
