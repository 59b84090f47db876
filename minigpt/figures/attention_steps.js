// Attention, step by step. Traits: tokens, q, k, v (rows of numbers), query, causal, scaled, step (1–6), matrix.

const TRAITS = ["tokens", "q", "k", "v", "query", "causal", "scaled", "step", "matrix"];
const STEP_OF = { q: 1, k: 2, scale: 3, mask: 4, softmax: 5, v: 6, output: 6 };
const PARTS = ["", "q", "k", "scale", "mask", "softmax", "v"]; // the part of the equation that each step is about
const NAMES = ["", "Query", "Compare", "Scale", "Mask", "Softmax", "Mix"];

/** Everything the formula makes of Q, K and V: scores, scaled, masked, weights (T, T) and output (T, E). */
function attend({ q, k, v, causal, scaled }) {
  const dot = (a, b) => a.reduce((sum, x, d) => sum + x * b[d], 0);
  const scores = q.map((query) => k.map((key) => dot(query, key)));
  const divided = scores.map((row) => row.map((x) => x / (scaled ? Math.sqrt(q[0].length) : 1)));
  const masked = divided.map((row, t) => row.map((x, s) => (causal && s > t ? -Infinity : x)));
  const weights = masked.map((row) => {
    const powers = row.map((x) => Math.exp(x - Math.max(...row)));
    const sum = powers.reduce((a, b) => a + b);
    return powers.map((x) => x / sum);
  });
  const output = weights.map((row) => v[0].map((_, e) => dot(row, v.map((value) => value[e]))));
  return { scores, scaled: divided, masked, weights, output };
}

const list = (words) => words.slice(0, -1).join(", ") + (words.length > 1 ? " and " : "") + words.at(-1);
const vector = (row) => `(${row.map((x) => print(x)).join(", ")})`;

/** What the current step says about token `t`, in words. `s` is the key that the reader points at. */
function explain({ tokens, q, k, causal, scaled, step }, { scores, weights, output }, t, s) {
  const quote = (i) => `“${tokens[i]}”`;
  const ranked = tokens.map((_, i) => i).sort((a, b) => weights[t][b] - weights[t][a]);
  const share = (i) => `${quote(i)} (${print(weights[t][i], 2, true)})`;
  const root = `√${q[0].length}${Number.isInteger(Math.sqrt(q[0].length)) ? ` = ${Math.sqrt(q[0].length)}` : ""}`;
  const products = q[t].map((x, d) => `${print(x)} × ${print(k[s][d])}`).join("  +  ");
  const later = tokens.map((_, i) => i).slice(t + 1);
  return [
    `${quote(t)} asks with its query ${vector(q[t])}. Every token, ${quote(t)} too, offers a key.`,
    `${quote(t)} with ${quote(s)}: ${products} = ${print(scores[t][s])}. Where both numbers have the same sign, the score grows.`,
    scaled
      ? `Every dot product is divided by ${root}, so that longer vectors do not make the softmax sharper.`
      : "Scaling is switched off: the scores go on as they are, and the softmax gets sharper.",
    !causal ? `No mask: ${quote(t)} may look at every token.`
      : later.length ? `${quote(t)} may look at itself and at what came before. ${list(later.map(quote))} ${later.length > 1 ? "get" : "gets"} −∞.`
      : `${quote(t)} comes last, so the causal mask hides nothing from it.`,
    `The scores become weights that sum to 1. ${quote(t)} looks mostly at ${share(ranked[0])}` +
      (ranked.length > 1 ? `, then at ${list(ranked.slice(1, 3).map(share))}.` : "."),
    `The output of ${quote(t)} is ${ranked.slice(0, 3).map((i) => `${print(weights[t][i], 2, true)} × v(${tokens[i]})`).join(" + ")}` +
      `${ranked.length > 3 ? " + …" : ""} = ${vector(output[t].map((x) => +x.toFixed(2)))}.`,
  ][step - 1];
}

/** The line of Python of each step, for one query or for all of them. */
const code = ({ query, matrix, tokens, q }) => [
  matrix ? `q, k, v = Q, K, V  # (${tokens.length}, ${q[0].length}) each` : `q, k, v = Q[${query}], K, V`,
  "scores = q @ k.T",
  "scores = scores / math.sqrt(d_k)",
  `scores = scores.masked_fill(~mask${matrix ? "" : `[${query}]`}, -inf)`,
  "weights = softmax(scores, dim=-1)",
  "output = weights @ v",
];

/** Attention(Q, K, V) = softmax(QKᵀ / √d_k + M) V, each symbol a button that leads to its step. */
function equation(go) {
  const symbol = (part, ...text) =>
    h("button", { type: "button", "data-part": part, title: `Step ${STEP_OF[part]}: ${NAMES[STEP_OF[part]]}`, onclick: () => go(STEP_OF[part]) }, text);
  const i = (text) => h("i", {}, text);
  return h("div", { class: "equation", role: "group", "aria-label": "Equation" },
    symbol("output", "Attention"), "(", i("Q"), ", ", i("K"), ", ", i("V"), ") = ", symbol("softmax", "softmax"), h("span", { class: "paren" }, "("),
    h("span", { class: "fraction" }, h("span", {}, symbol("q", i("Q")), symbol("k", i("K"), h("sup", {}, "⊤"))),
      symbol("scale", "√", h("span", { class: "radicand" }, i("d"), h("sub", {}, i("k"))))),
    h("span", { class: "plus-mask" }, " + ", symbol("mask", i("M"))), h("span", { class: "paren" }, ")"), " ", symbol("v", i("V")));
}

/** The sentence as chips, the query to be chosen among them, and an arc to every token it looks at. */
function sentence(tokens, choose) {
  const arcs = h("svg", { class: "arcs", viewBox: `0 0 ${tokens.length * 100} 60`, preserveAspectRatio: "none", "aria-hidden": "true" });
  const chips = tokens.map((token, t) => {
    const radio = h("input", { type: "radio", name: "query", onchange: () => choose(t) });
    const share = h("small", { "aria-hidden": "true" });
    return { radio, share, label: h("label", { class: "chip" }, radio, h("span", {}, token), share) };
  });
  const paths = tokens.map(() => arcs.appendChild(h("path", { "vector-effect": "non-scaling-stroke" })));
  const draw = (query, weights) => tokens.forEach((_, s) => {
    const [from, to, weight] = [query * 100 + 50, s * 100 + 50, weights[query][s]];
    const lift = 58 - 10 - 46 * Math.abs(s - query) / Math.max(1, tokens.length - 1);
    paths[s].setAttribute("d", s === query ? `M${from - 12} 60 C${from - 40} 30 ${from + 40} 30 ${from + 12} 60` : `M${from} 60 C${from} ${lift} ${to} ${lift} ${to} 60`);
    paths[s].setAttribute("stroke-width", 0.5 + 9 * weight);
    paths[s].setAttribute("stroke-opacity", weight ? 0.25 + 0.75 * weight : 0);
    chips[s].radio.checked = s === query;
    chips[s].share.textContent = print(weight, 2, true);
    chips[s].label.style.setProperty("--mix", `${50 * weight}%`);
  });
  return { draw, node: h("fieldset", { class: "sentence", style: `--tokens: ${tokens.length}` }, h("legend", {}, "Which token asks?"), arcs,
    h("div", { class: "chips" }, chips.map((chip) => chip.label))) };
}

/** One query: a row per key, read from left to right; the query above the keys, the output under the values. */
function oneQuery({ tokens, q, v }, edit, point) {
  const [T, D, E] = [tokens.length, q[0].length, v[0].length];
  const queries = tokens.map((token, t) => numberGrid(1, D, (_, d) => `query of ${token}, number ${d + 1}`, (_, d, x) => edit("q", t, d, x)));
  const keys = numberGrid(T, D, (s, d) => `key of ${tokens[s]}, number ${d + 1}`, (s, d, x) => edit("k", s, d, x));
  const values = numberGrid(T, E, (s, e) => `value of ${tokens[s]}, number ${e + 1}`, (s, e, x) => edit("v", s, e, x));
  const columns = [ // part, the steps that show it on a narrow screen, the step from which it is known, heading, width
    ["k", "1 2", 0, "keys", D], ["k", "2", 2, "products", 1], ["k", "2 3", 2, "score", 1], ["scale", "3 4", 3, "÷ √d", 1],
    ["mask", "4 5", 4, "mask", 1], ["softmax", "5 6", 5, "weight", 1], ["v", "6", 0, "values", E],
  ];
  const cell = (column, ...content) => h("td", { "data-part": columns[column][0], "data-steps": columns[column][1], "data-from": columns[column][2] }, content);
  const blank = (column) => Array.from({ length: columns[column][4] }, () => h("td", { "data-steps": columns[column][1] }));
  const head = h("tr", {}, h("td"), columns.map(([part, steps, , heading, width]) =>
    h("th", { scope: "col", colspan: width, "data-part": part, "data-steps": steps }, heading)));

  const asker = h("th", { scope: "row", "data-part": "q" }, "query");
  const queryCells = Array.from({ length: D }, () => h("td", { "data-part": "q", "data-steps": "1 2" }));
  const rows = tokens.map((token, s) => {
    const lanes = Array.from({ length: D }, (_, d) => h("rect", { y: d * 5, height: 4 }));
    const sum = h("line", { y1: 0, y2: D * 5 - 1, class: "sum", "vector-effect": "non-scaling-stroke" });
    const zero = h("line", { y1: 0, y2: D * 5 - 1, class: "zero", "vector-effect": "non-scaling-stroke" });
    const chart = h("svg", { class: "products", viewBox: `0 0 100 ${D * 5 - 1}`, preserveAspectRatio: "none", "aria-hidden": "true" }, zero, lanes, sum);
    const [score, scaled, masked, weight] = ["scores", "scaled", "masked", "weights"].map((name) => h("span", { class: name }));
    const name = h("th", { scope: "row" }, token);
    const enter = (event) => {
      if (!keys.inputs[s].includes(event.target)) keys.stop(s, 0); // Tab goes on in the same row
      if (!values.inputs[s].includes(event.target)) values.stop(s, 0);
      point(s);
    };
    const node = h("tr", { onpointerenter: () => point(s), onfocusin: enter }, name,
      keys.inputs[s].map((input) => cell(0, input)), cell(1, chart), cell(2, score), cell(3, scaled), cell(4, masked), cell(5, weight),
      values.inputs[s].map((input) => cell(6, input)));
    return { node, lanes, sum, zero, score, scaled, masked, weight };
  });
  const results = Array.from({ length: E }, () => h("span", { class: "number" }));
  const outputLabel = h("td", { class: "label", "data-steps": "5 6", "data-part": "output", "data-from": 6 }, h("span", {}, "output"));
  const node = h("table", { class: "one-query" }, h("caption", {}, "One query"), h("thead", {}, head), h("tbody", {},
    h("tr", { class: "asks" }, asker, queryCells, [1, 2, 3, 4, 5, 6].flatMap(blank)), rows.map((row) => row.node),
    h("tr", { class: "result" }, h("td"), [0, 1, 2, 3, 4].flatMap(blank), outputLabel,
      results.map((result) => h("td", { "data-part": "output", "data-steps": "6", "data-from": 6 }, result)))));

  function draw(state, a, pointed) {
    const { q, k, v, query, step } = state;
    const size = (...matrices) => Math.max(0.1, ...matrices.flat(2).map(Math.abs));
    const [keyScale, valueScale] = [size(q, k), size(v)];
    queries[query].inputs[0].forEach((input, d) => {
      if (queryCells[d].firstChild !== input) queryCells[d].replaceChildren(input);
      queries[query].show(0, d, q[query][d], keyScale);
    });
    const sums = k.map((key) => key.reduce((row, x, d) => [...row, row[d] + x * q[query][d]], [0]));
    const [low, high] = [Math.min(...sums.flat()), Math.max(...sums.flat(), 0.1)];
    const at = (x) => 3 + (94 * (x - low)) / (high - low);
    rows.forEach((row, s) => {
      row.node.classList.toggle("pointed", s === pointed);
      row.lanes.forEach((lane, d) => {
        const ends = [at(sums[s][d]), at(sums[s][d + 1])];
        lane.setAttribute("x", Math.min(...ends));
        lane.setAttribute("width", Math.abs(ends[1] - ends[0]));
        lane.setAttribute("class", ends[1] < ends[0] ? "minus" : "plus");
      });
      for (const [line, x] of [[row.zero, at(0)], [row.sum, at(sums[s].at(-1))]]) ["x1", "x2"].forEach((end) => line.setAttribute(end, x));
      for (const [name, span] of [["scores", row.score], ["scaled", row.scaled], ["masked", row.masked], ["weights", row.weight]]) {
        say(span, print(a[name][query][s], 2, true));
        span.dataset.key = `${name}.${query}.${s}`;
      }
      row.weight.style.setProperty("--weight", `${100 * a.weights[query][s]}%`);
      k[s].forEach((x, d) => keys.show(s, d, x, keyScale));
      v[s].forEach((x, e) => values.show(s, e, x, valueScale, step < 6 ? 45 : 3 + 97 * a.weights[query][s]));
    });
    results.forEach((result, e) => {
      say(result, print(a.output[query][e], 2, true));
      result.dataset.key = `output.${query}.${e}`;
      signedBar(result, a.output[query][e], valueScale);
    });
  }
  name(queries.map((grid) => grid.inputs[0]), "q");
  name(keys.inputs, "k");
  name(values.inputs, "v");
  return { node, draw };
}

/** The names by which morph() finds the same number in both forms. */
function name(cells, matrix) {
  cells.forEach((row, r) => row.forEach((cell, c) => (cell.dataset.key = `${matrix}.${r}.${c}`)));
}

/** All queries at once: the same numbers as matrices, a row per query. */
function allQueries({ tokens, q, v }, edit, choose) {
  const [T, D, E] = [tokens.length, q[0].length, v[0].length];
  const grids = {
    q: numberGrid(T, D, (t, d) => `Q, ${tokens[t]}, number ${d + 1}`, (t, d, x) => edit("q", t, d, x), 1),
    k: numberGrid(D, T, (d, s) => `K, ${tokens[s]}, number ${d + 1}`, (d, s, x) => edit("k", s, d, x), 1),
    v: numberGrid(T, E, (s, e) => `V, ${tokens[s]}, number ${e + 1}`, (s, e, x) => edit("v", s, e, x), 1),
  };
  const spans = (columns) => tokens.map(() => Array.from({ length: columns }, () => h("span", { class: "number" })));
  const made = { scores: spans(T), masked: spans(T), weights: spans(T), output: spans(E) };
  for (const [matrix, cells] of Object.entries(made)) name(cells, matrix);
  name(grids.q.inputs, "q");
  name(grids.k.inputs[0].map((_, s) => grids.k.inputs.map((row) => row[s])), "k");
  name(grids.v.inputs, "v");

  const table = (caption, part, from, cells, rowNames, columnNames, kind) =>
    h("table", { class: `matrix ${kind}`, "data-part": part, "data-from": from }, h("caption", {}, caption),
      columnNames.length ? h("thead", {}, h("tr", {}, h("td"), columnNames.map((name) => h("th", { scope: "col" }, h("span", {}, name))))) : [],
      h("tbody", {}, cells.map((row, r) =>
        h("tr", { onclick: () => kind.includes("per-query") && choose(r) }, h("th", { scope: "row" }, rowNames[r]), row.map((cell) => h("td", {}, cell))))));
  const numbers = (count) => Array.from({ length: count }, (_, i) => i + 1);
  const sign = (text) => h("span", { class: "sign", "aria-hidden": "true" }, text);
  const masked = table("scaled", "scale", 3, made.masked, tokens, tokens, "first per-query");
  const tables = [
    table("Q", "q", 0, grids.q.inputs, tokens, [], "first per-query"), sign("·"), table("Kᵀ", "k", 0, grids.k.inputs, numbers(D), tokens, "plain"), sign("="),
    table("scores", "k", 2, made.scores, tokens, tokens, "next per-query"), h("span", { class: "break" }),
    masked, sign("→"), table("weights", "softmax", 5, made.weights, tokens, tokens, "next per-query"), sign("·"),
    table("V", "v", 0, grids.v.inputs, tokens, [], "next"), sign("="), table("output", "output", 6, made.output, tokens, [], "next per-query"),
  ];
  const node = h("div", { class: "all-queries" }, tables);

  function draw(state, a) {
    const { q, k, v, query, step, scaled, causal } = state;
    const size = (...matrices) => Math.max(0.1, ...matrices.flat(2).filter(Number.isFinite).map(Math.abs));
    const [keyScale, valueScale] = [size(q, k), size(v)];
    q.forEach((row, t) => row.forEach((x, d) => grids.q.show(t, d, x, keyScale)));
    k.forEach((row, s) => row.forEach((x, d) => grids.k.show(d, s, x, keyScale)));
    v.forEach((row, s) => row.forEach((x, e) => grids.v.show(s, e, x, valueScale, step < 6 ? 45 : 3 + 97 * a.weights[query][s])));
    const shown = { scores: a.scores, masked: step < 4 ? a.scaled : a.masked, weights: a.weights, output: a.output };
    for (const matrix of ["scores", "masked", "weights"]) {
      const scale = matrix === "weights" ? 1 : size(shown[matrix]);
      shown[matrix].forEach((row, t) => row.forEach((x, s) => {
        const cell = made[matrix][t][s];
        say(cell, matrix === "weights" ? print(x, 2, true).replace(/^0/, "") : print(x, 1, true));
        cell.classList.toggle("hidden-key", x === -Infinity);
        cell.style.setProperty("--mix", `${Math.max(0, (50 * x) / scale)}%`);
      }));
    }
    a.output.forEach((row, t) => row.forEach((x, e) => {
      say(made.output[t][e], print(x, 1, true));
      signedBar(made.output[t][e], x, valueScale);
    }));
    say(masked.caption, [scaled && "÷ √d", causal && step > 3 && "masked"].filter(Boolean).join(", ") || "unscaled");
    masked.dataset.part = step === 4 ? "mask" : "scale";
    for (const row of node.querySelectorAll(".per-query tbody tr")) row.classList.toggle("asks", row.sectionRowIndex === query);
  }
  return { node, draw };
}

function render({ model, el }) {
  const root = h("form", { class: "attention-steps" });
  const read = () => Object.fromEntries(TRAITS.map((name) => [name, model.get(name)]));
  const edit = (matrix, r, c, x) =>
    put(model, { [matrix]: model.get(matrix).map((row, i) => (i === r ? row.map((old, j) => (j === c ? x : old)) : row)) });
  const choose = (query) => put(model, { query });
  const go = (step) => put(model, { step });
  let built, asked, pointed, shape, views;

  const causal = toggle("causal mask", (on) => put(model, { causal: on }));
  const scaled = toggle("scale by √d", (on) => put(model, { scaled: on }));
  const matrix = toggle("all queries at once", (on) => put(model, { matrix: on }));
  const lines = PARTS.slice(1).map((part, i) => {
    const text = h("code");
    const button = h("button", { type: "button", "data-part": part, onclick: () => go(i + 1) }, h("span", { class: "count" }, i + 1), text);
    return { text, button };
  });
  const back = h("button", { type: "button", onclick: () => go(model.get("step") - 1) }, "‹ Back");
  const next = h("button", { type: "button", onclick: () => go((model.get("step") % 6) + 1) });
  const title = h("strong");
  const words = h("p", { class: "words", "aria-live": "polite" });

  const light = (event) => (root.dataset.lit = event.target.closest("[data-part]")?.dataset.part ?? "");
  for (const kind of ["pointerover", "focusin"]) root.addEventListener(kind, light);
  for (const kind of ["pointerleave", "focusout"]) root.addEventListener(kind, () => (root.dataset.lit = ""));

  function build(state) {
    const point = (s) => {
      pointed = s;
      draw();
    };
    views = { sentence: sentence(state.tokens, choose), one: oneQuery(state, edit, point), all: allQueries(state, edit, choose) };
    root.replaceChildren(
      h("div", { class: "top" }, equation(go), h("div", { class: "switches" }, causal, scaled, matrix)), views.sentence.node, views.one.node, views.all.node,
      h("div", { class: "walk" }, h("ol", { class: "code" }, lines.map(({ button }) => h("li", {}, button))),
        h("div", { class: "told" }, h("div", { class: "stepper" }, back, title, next), words)));
  }

  function draw() {
    const state = read();
    const a = attend(state);
    const size = JSON.stringify([state.tokens, state.q[0].length, state.v[0].length]);
    if (size !== built) build(state);
    const { query, step } = state;
    if (size !== built || query !== asked) pointed = null;
    [built, asked] = [size, query];
    const key = pointed ?? a.weights[query].indexOf(Math.max(...a.weights[query]));
    const show = () => {
      views.one.node.hidden = state.matrix;
      views.all.node.hidden = !state.matrix;
      views.sentence.draw(query, a.weights);
      (state.matrix ? views.all : views.one).draw(state, a, key);
    };
    if (shape !== undefined && shape !== state.matrix) morph(root, show);
    else show();
    shape = state.matrix;
    Object.assign(root.dataset, { step, causal: state.causal, scaled: state.scaled });
    [causal.box.checked, scaled.box.checked, matrix.box.checked] = [state.causal, state.scaled, state.matrix];
    code(state).forEach((line, i) => say(lines[i].text, line));
    lines.forEach(({ button }, i) => (i + 1 === step ? button.setAttribute("aria-current", "step") : button.removeAttribute("aria-current")));
    back.disabled = step === 1;
    say(next, step < 6 ? "Next ›" : "From the start");
    say(title, `${step}. ${NAMES[step]}`);
    say(words, explain(state, a, query, key));
  }

  const watch = new ResizeObserver(() => root.classList.toggle("compact", root.clientWidth < 330 + 38 * (model.get("q")[0].length + model.get("v")[0].length)));
  watch.observe(root);
  const end = live(model, el, root, TRAITS, draw);
  return () => {
    watch.disconnect();
    end();
  };
}

export default { render };
