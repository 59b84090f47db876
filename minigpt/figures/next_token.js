// The next token: bars, one draw that is appended, or 200 that are counted. Traits: tokens (names), prompts ([{names,
// tree: {"ids of a continuation": logits}}], logits as base64 of 16-bit thousandths), prompt, path ([[id, p], …]),
// temperature, top_k (0: all), draws (ids).

const TRAITS = ["prompt", "path", "temperature", "top_k", "draws"];
const ROWS = 10;
const LISTED = 50; // tokens in the long table
const DRAWS = 200;
const KEPT = [1, 2, 3, 5, 10, 20, 50, 0];

const unpack = (text) => Float64Array.from(new Int16Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer), (x) => x / 1000);

/** Divide by the temperature, keep the best k (0: all), and share out 1 among what is kept. */
function nextTokenProbs(logits, temperature, k) {
  const least = k ? logits.slice().sort().at(-Math.min(k, logits.length)) : -Infinity;
  const powers = logits.map((x) => (x < least ? 0 : Math.exp(x / temperature))); // the largest logit is 0
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((x) => x / sum);
}

/** Where a random point between 0 and 1 falls, when the probabilities are laid end to end. */
function drawFrom(p) {
  let left = Math.random();
  const i = p.findIndex((x) => (left -= x) < 0);
  return i < 0 ? p.lastIndexOf(Math.max(...p)) : i; // rounding may leave a sliver at the end
}

const several = (n) => (n === 1 ? "1 token" : `${n.toLocaleString("en")} tokens`);

function render({ model, el }) {
  const [tokens, prompts] = [model.get("tokens"), model.get("prompts")];
  const restart = (changes) => put(model, { draws: [], path: [], ...changes });
  const choose = h("select", { onchange: () => restart({ prompt: choose.selectedIndex }) },
    prompts.map(({ names }) => h("option", {}, names.join("").replaceAll("␣", " "))));
  const range = (label, attributes, change) => {
    const [input, shown] = [h("input", { type: "range", ...attributes, oninput: () => change(Number(input.value)) }), h("output", {})];
    return { input, shown, node: h("label", {}, label, input, shown) };
  };
  const temperature = range("temperature ", { min: 0.1, max: 3, step: 0.1 }, (x) => put(model, { temperature: x, draws: [] }));
  const kept = range("keep the best ", { min: 0, max: KEPT.length - 1, step: 1 }, (i) => put(model, { top_k: KEPT[i], draws: [] }));
  const button = (label, onclick) => h("button", { type: "button", onclick }, label);
  const one = button("Draw one", () => append(drawFrom(now.p)));
  const many = button(`Draw ${DRAWS}`, () => put(model, { draws: Array.from({ length: DRAWS }, () => drawFrom(now.p)) }));
  const back = button("Take one back", () => put(model, { draws: [], path: model.get("path").slice(0, -1) }));
  const again = button("Start again", () => restart({}));
  const text = h("p", { class: "text" });
  const rows = Array.from({ length: ROWS }, () => {
    const name = h("button", { type: "button", onclick: () => append(row.token) });
    const [bar, p, expected, drawn] = ["bar", "p", "expected", "drawn"].map((c) => h("td", { class: c }));
    const row = { name, bar, p, expected, drawn, node: h("tr", {}, h("th", { scope: "row" }, name), bar, p, expected, drawn) };
    bar.setAttribute("aria-hidden", "true");
    return row;
  });
  const rest = ["p", "expected", "drawn"].map((c) => h("td", { class: c }));
  const restName = h("th", { scope: "row" });
  const main = h("table", { class: "bars" },
    h("thead", {}, h("tr", {}, ["token", "", "probability", `expected of ${DRAWS}`, "drawn"].map((t, i) => (i === 1 ? h("td") : h("th", { scope: "col" }, t))))),
    h("tbody", {}, rows.map((row) => row.node), h("tr", { class: "rest" }, restName, h("td"), rest)));
  const words = h("p", { class: "words", "aria-live": "polite" });
  const body = h("tbody");
  const list = h("details", { ontoggle: () => drawList() }, h("summary", {}, `The ${LISTED} likeliest tokens as a table`),
    h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "likeliest tokens" }, h("table", {}, h("thead", {}, h("tr", {}, ["rank", "token", "probability", "drawn"].map((t) => h("th", { scope: "col" }, t)))), body)));

  let now = {}; // what is shown: p of every token, their ranking, how often each was drawn; p is null past the tree's edge
  const append = (token) => now.p[token] > 0 && put(model, { draws: [], path: [...model.get("path"), [token, now.p[token]]] });
  const count = (p) => `${print(DRAWS * p, 1, true)} ± ${print(Math.sqrt(DRAWS * p * (1 - p)), 1, true)}`;

  function look() {
    const [path, temperature, k, draws] = TRAITS.slice(1).map((name) => model.get(name));
    const stored = prompts[model.get("prompt")].tree[path.map(([token]) => token).join(" ")];
    if (!stored) return { path, p: null };
    const logits = unpack(stored);
    const p = nextTokenProbs(logits, temperature, k);
    const ranked = [...logits.keys()].sort((a, b) => logits[b] - logits[a] || a - b);
    const drawn = new Map();
    for (const token of draws) drawn.set(token, (drawn.get(token) ?? 0) + 1);
    return { path, p, ranked, drawn, draws: draws.length };
  }

  function sentence({ path, p, ranked, drawn, draws }) {
    const [token, chance] = path.at(-1) ?? [];
    const came = token === undefined ? "" : `${tokens[token]} was appended; it had ${print(chance, 3, true)}. `;
    if (!p) return `${came}What comes after it is not stored with this page, which keeps the ${Object.keys(prompts[model.get("prompt")].tree).length} likeliest places of this tree. Take it back or start again; the cell with the running model goes on from anywhere.`;
    const [best] = ranked;
    if (!draws) return `${came}The likeliest next token, ${tokens[best]}, has ${print(p[best], 3, true)}. ${several(p.filter((x) => x > 0).length)} can be drawn.`;
    const near = ranked.slice(0, ROWS).filter((t) => p[t] > 0);
    const within = near.filter((t) => Math.abs((drawn.get(t) ?? 0) - draws * p[t]) <= Math.sqrt(draws * p[t] * (1 - p[t])) + 1e-9);
    return `${draws} draws from the same bars: ${tokens[best]} came ${drawn.get(best) ?? 0} times, ${count(p[best])} expected. ${within.length} of the ${near.length} counts lie within ± one deviation. Draw again: the bars stay, the counts change.`;
  }

  function drawList() {
    if (!list.open || !now.p) return body.replaceChildren();
    body.replaceChildren(...now.ranked.slice(0, LISTED).map((token, i) => h("tr", {}, h("td", {}, i + 1), h("th", { scope: "row" }, tokens[token]),
      h("td", {}, print(now.p[token], 5, true)), h("td", {}, now.draws ? now.drawn.get(token) ?? 0 : "–"))));
  }

  function draw() {
    now = look();
    const { path, p, ranked, drawn, draws } = now;
    choose.selectedIndex = model.get("prompt");
    temperature.input.value = model.get("temperature");
    temperature.shown.textContent = print(model.get("temperature"), 1, true);
    const k = model.get("top_k");
    kept.input.value = KEPT.includes(k) ? KEPT.indexOf(k) : KEPT.findIndex((x) => x > k);
    kept.shown.textContent = k || "all";
    kept.input.setAttribute("aria-valuetext", k ? `${k} tokens` : `all ${tokens.length} tokens`);
    text.replaceChildren(...prompts[model.get("prompt")].names.map((name) => h("span", { class: "given" }, name)),
      ...path.map(([token]) => h("span", { class: "drawn" }, tokens[token])), h("span", { class: "next", "aria-hidden": "true" }, "?"));
    for (const control of [one, many, main, list]) control.hidden = !p;
    back.disabled = again.disabled = path.length === 0;
    say(words, sentence(now));
    if (!p) return;
    const share = (token) => (drawn.get(token) ?? 0) / DRAWS;
    const shown = ranked.slice(0, ROWS);
    const most = 1.5 * p[ranked[0]]; // room for counts above the expected; the bars must not move when draws are counted
    rows.forEach((row, i) => {
      row.node.hidden = i >= shown.length;
      if (row.node.hidden) return;
      const token = (row.token = shown[i]);
      row.name.textContent = tokens[token];
      row.name.setAttribute("aria-label", `append ${tokens[token]}`);
      row.name.setAttribute("aria-disabled", p[token] === 0);
      row.bar.style.setProperty("--p", `${(100 * p[token]) / most}%`);
      row.bar.style.setProperty("--drawn", `${Math.min(100, (100 * share(token)) / most)}%`);
      row.p.textContent = print(p[token], 3, true);
      row.expected.textContent = count(p[token]);
      row.drawn.textContent = draws ? drawn.get(token) ?? 0 : "–";
    });
    const others = Math.max(0, 1 - shown.reduce((sum, token) => sum + p[token], 0));
    restName.textContent = `the other ${(tokens.length - shown.length).toLocaleString("en")}`;
    rest[0].textContent = print(others, 3, true);
    rest[1].textContent = count(others);
    rest[2].textContent = draws ? draws - shown.reduce((sum, token) => sum + (drawn.get(token) ?? 0), 0) : "–";
    drawList();
  }

  const root = h("div", { class: "next-token", role: "group", "aria-label": "Draw the next token" },
    h("div", { class: "controls" }, h("label", {}, "prompt ", choose), temperature.node, kept.node), text,
    h("div", { class: "buttons" }, one, many, back, again), main, words, list);
  return live(model, el, root, TRAITS, draw);
}

export default { render };
