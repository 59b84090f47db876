// The mask painter. Traits: tokens, x (T, C), w_q and w_k (C, D), w_v (C, E), mask (T rows of T booleans), way (a key of WAYS).

const TRAITS = ["tokens", "x", "w_q", "w_k", "w_v", "mask", "way"];
const WAYS = { before: "before the softmax, as −∞", after: "after the softmax, times 0", renormalised: "after it, and renormalised" };
const MASKS = { // may token t look at token s, of T?
  causal: (t, s) => s <= t,
  "strictly lower": (t, s) => s < t,
  padding: (t, s, T) => s <= t && s < T - 2,
  prefix: (t, s, T) => s <= t || s < T / 2,
  window: (t, s) => s <= t && s > t - 3,
  full: () => true,
};
const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
const columns = (matrix) => matrix[0].map((_, c) => matrix.map((row) => row[c]));
const times = (a, b) => a.map((row) => columns(b).map((column) => dot(row, column)));
const divided = (row) => {
  const sum = row.reduce((a, b) => a + b);
  return row.map((x) => (sum ? x / sum : 0)); // a query that may look at nothing gets weights 0
};
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/** weights (T, T), output (T, E), and slopes (T, T): max |∂ output_t / ∂ x_s| over the numbers of both, exactly. */
function attend({ x, w_q, w_k, w_v, mask }, way) {
  const [q, k, v] = [times(x, w_q), times(x, w_k), times(x, w_v)], root = Math.sqrt(w_q[0].length);
  const masked = (row, t) => row.map((a, s) => (mask[t][s] ? a : 0));
  const powers = q.map((query, t) => {
    const scores = k.map((key) => dot(query, key) / root);
    const most = Math.max(...scores.filter((_, s) => way !== "before" || mask[t][s]));
    return scores.map((score, s) => (way === "before" && !mask[t][s] ? 0 : Math.exp(score - most)));
  });
  const p = powers.map(divided), cut = p.map(masked);
  const weights = way === "renormalised" ? cut.map(divided) : cut;
  // A weight follows its score, less the mean change of all scores in its denominator. After the softmax that is all of
  // them; before it, or when the rows are divided once more so that the first denominator cancels, only the visible ones.
  const mean = way === "after" ? p : weights;
  const slope = (t, s) => Math.max(...x[0].flatMap((_, c) => {
    const change = k.map((key, j) => ((s === t ? dot(w_q[c], key) : 0) + (s === j ? dot(q[t], w_k[c]) : 0)) / root);
    const shift = dot(mean[t], change);
    const moved = weights[t].map((w, j) => w * (change[j] - shift));
    return v[0].map((_, e) => Math.abs(weights[t][s] * w_v[c][e] + dot(moved, v.map((value) => value[e]))));
  }));
  return { weights, output: times(weights, v), slopes: x.map((_, t) => x.map((_, s) => slope(t, s))) };
}

/** What the meter shows, in words: how large the leak is, where, and by which way. */
function explain({ tokens, mask, way }, { slopes, weights }, error) {
  const pairs = tokens.flatMap((_, t) => tokens.map((_, s) => [t, s])).filter(([t, s]) => s > t);
  const leaking = pairs.filter(([t, s]) => slopes[t][s] > 0).sort(([a, b], [c, d]) => slopes[c][d] - slopes[a][b]);
  const hidden = leaking.filter(([t, s]) => !mask[t][s]);
  const empty = tokens.filter((_, t) => !mask[t].includes(true)), quote = (list) => list.map((one) => `“${one}”`).join(", ");
  const said = [];
  if (!leaking.length) said.push("No leak: no output moves with a later token.");
  else {
    const [t, s] = leaking[0];
    said.push(`Leak ${print(slopes[t][s], 2, true)}: the output of token “${tokens[t]}” moves with the later token “${tokens[s]}”, ` +
      (mask[t][s] ? "which the mask lets it see." : "whose weight is 0: it stands in the denominator."));
    said.push(`${leaking.length} of ${pairs.length} later pairs leak` + (hidden.length ? `, ${hidden.length} of them with weight 0.` : "."));
  }
  if (empty.length) said.push(`${quote(empty)} may look at nothing and ${empty.length > 1 ? "get outputs" : "gets an output"} of 0.`);
  if (way !== "before") said.push(error < 1e-12 ? "The output equals that of the mask before the softmax."
    : `The output is up to ${print(error, 2, true)} away from that of the mask before the softmax.`);
  return said.join(" ");
}

/** A table with a row per output and a column per token; `cells[t][s]` are its cells. */
function square(tokens, caption, cell, attributes = {}) {
  const cells = tokens.map((_, t) => tokens.map((_, s) => cell(t, s)));
  const head = h("tr", {}, h("th", { scope: "col" }, "output"), tokens.map((token) => h("th", { scope: "col" }, token)));
  const node = h("table", attributes, h("caption", {}, caption), h("thead", {}, head),
    h("tbody", {}, cells.map((row, t) => h("tr", {}, h("th", { scope: "row" }, tokens[t]), row.map((one) => h("td", {}, one))))));
  return { node, cells };
}

function render({ model, el }) {
  const root = h("form", { class: "mask-painter" });
  const now = () => Object.fromEntries(TRAITS.map((name) => [name, model.get(name)]));
  const { tokens } = now(), T = tokens.length;
  const made = (rule) => tokens.map((_, t) => tokens.map((_, s) => rule(t, s, T)));
  const paint = (t, s, value) => put(model, { mask: model.get("mask").map((row, i) => row.map((old, j) => (i === t && j === s ? value : old))) });
  let brush = null; // what a drag paints: true or false

  const board = square(tokens, "The mask: click, drag, or arrow keys and space", (t, s) => {
    const button = h("button", {
      type: "button", class: "cell", tabindex: t || s ? -1 : 0,
      onpointerdown(event) {
        button.releasePointerCapture(event.pointerId); // a finger would hold on to its first cell
        brush = !model.get("mask")[t][s];
        paint(t, s, brush);
      },
      onclick: (event) => event.detail === 0 && paint(t, s, !model.get("mask")[t][s]), // space, Enter, a screen reader
      onfocus: () => board.cells.flat().forEach((one) => (one.tabIndex = one === button ? 0 : -1)),
      onkeydown(event) {
        const [down, right] = ARROWS[event.key] ?? [];
        if (down === undefined) return;
        event.preventDefault();
        board.cells[t + down]?.[s + right]?.focus();
      },
    });
    return button;
  }, { class: "board", onpointermove: drag });
  function drag(event) {
    const cell = brush === null ? null : root.getRootNode().elementFromPoint(event.clientX, event.clientY)?.closest(".cell");
    const at = board.cells.flat().indexOf(cell);
    if (at >= 0 && model.get("mask")[Math.floor(at / T)][at % T] !== brush) paint(Math.floor(at / T), at % T, brush);
  }
  const lift = () => (brush = null);
  for (const name of ["pointerup", "pointercancel"]) document.addEventListener(name, lift);

  const presets = Object.entries(MASKS).map(([name, rule]) => ({ mask: made(rule),
    button: h("button", { type: "button", onclick: () => put(model, { mask: made(rule) }) }, name) }));
  const radios = Object.keys(WAYS).map((way) => h("input", { type: "radio", name: "way", value: way, onchange: () => put(model, { way }) }));
  const meter = square(tokens, "Leak meter: how far each output moves with each token", () => h("span", {}), { class: "meter" });
  const exact = square(tokens, "max |∂ output / ∂ token|", () => h("span", {}));
  const leak = h("output", { class: "leak" });
  const words = h("p", { class: "words", "aria-live": "polite" });
  root.append(
    h("div", { class: "choice", role: "group", "aria-label": "Masks to begin with" }, h("span", { class: "note" }, "begin with"), presets.map(({ button }) => button)),
    h("fieldset", { class: "choice" }, h("legend", { class: "note" }, "the mask works"),
      Object.values(WAYS).map((name, i) => h("label", { class: "option" }, radios[i], h("span", {}, name)))),
    h("div", { class: "sides" }, h("div", {}, board.node, h("p", { class: "note" }, "Filled: may look. The number is the weight.")),
      h("div", {}, meter.node, h("p", { class: "note" }, "Framed: a later token moves an output."))),
    h("p", {}, "leak, the largest slope to a later token: ", leak), words,
    h("details", {}, h("summary", {}, "Every slope, with more digits"), h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "Every slope" }, exact.node)));

  function draw() {
    const state = now(), result = attend(state, state.way), reference = attend(state, "before");
    const error = Math.max(...result.output.flatMap((row, t) => row.map((y, e) => Math.abs(y - reference.output[t][e]))));
    const each = (cells, show) => cells.forEach((row, t) => row.forEach((cell, s) => show(cell, t, s)));
    each(board.cells, (cell, t, s) => {
      const open = state.mask[t][s];
      cell.setAttribute("aria-pressed", open);
      cell.setAttribute("aria-label", `output ${tokens[t]} may look at token ${tokens[s]}; weight ${print(result.weights[t][s], 2, true)}`);
      say(cell, open ? print(result.weights[t][s], 2, true) : "0");
    });
    each(meter.cells, (cell, t, s) => {
      const slope = result.slopes[t][s];
      say(cell, slope === 0 ? "0" : slope < 0.005 ? "< .01" : print(slope, 2, true));
      cell.parentNode.className = slope === 0 ? "none" : s > t ? "leaks" : "";
    });
    each(exact.cells, (cell, t, s) => say(cell, print(result.slopes[t][s], 5, true)));
    presets.forEach(({ button, mask }) => button.setAttribute("aria-pressed", same(mask, state.mask)));
    radios.forEach((radio) => (radio.checked = radio.value === state.way));
    say(leak, print(Math.max(0, ...result.slopes.flatMap((row, t) => row.slice(t + 1))), 2, true));
    say(words, explain(state, result, error));
  }

  const end = live(model, el, root, TRAITS, draw);
  return () => {
    for (const name of ["pointerup", "pointercancel"]) document.removeEventListener(name, lift);
    end();
  };
}

export default { render };
