// The head gallery. Traits: see head_gallery.py; weights hold a triangle for each head, all layers one after the other.

const TRAITS = ["tokens", "per_layer", "weights", "scores", "even", "names", "loss", "measured", "bar", "head", "off", "tried", "order", "only"];
const KINDS = ["previous", "first", "induction"];
const ORDERS = { place: "layer", entropy: "entropy", brightest: "brightest cell", change: "cost when off" };
const LEVELS = 10; // shades of a small map
const [WIDTH, HEIGHT, LEFT, BOTTOM] = [300, 190, 44, 34]; // of the plot

const percent = (share) => `${(100 * share).toFixed(1)} %`;
const signed = (bits) => `${bits < 0 ? "−" : "+"}${Math.abs(bits).toFixed(3)}`;
const place = ({ per_layer }, i) => `layer ${Math.floor(i / per_layer)}, head ${i % per_layer}`;
const rank = (values, i) => 1 + values.filter((x) => x > values[i]).length;

/** What the chosen head does, by measurement. */
function explain(state) {
  const { scores, even, names, loss, measured, bar, head: i, off } = state, many = state.weights.length;
  const again = scores.induction[i], [change, error] = [scores.change[i], scores.error[i]];
  const said = `L${place(state, i).slice(1)}, on ${measured.toLocaleString("en-US")} tokens: ` +
    `${percent(scores.previous[i])} of its weight goes to the previous token, ${percent(scores.first[i])} to the first` +
    (again == null ? "" : `, ${percent(again)} to what followed the same token before`) + ". " +
    `Bar: ${percent(bar)}. Name: ${names[i].map((name) => `“${name}”`).join(" and ") || "none"}. ` +
    `Entropy ${scores.entropy[i].toFixed(2)} bits (spread evenly: ${even.entropy.toFixed(2)}). ` +
    `Its brightest cell in a row holds ${scores.brightest[i].toFixed(2)} on average: rank ${rank(scores.brightest, i)} of ${many}.`;
  if (!off) return `${said} It is on. Switch it off to see what it costs.`;
  return `${said} Switched off: the loss goes from ${loss.toFixed(3)} to ${(loss + change).toFixed(3)} bits, ${signed(change)} ` +
    `(standard error ${error.toFixed(3)}), rank ${rank(scores.change, i)} of ${many}.${Math.abs(change) > 2 * error ? "" : " No clear change."}`;
}

/** A triangle of weights, one path for each shade. */
function smallMap(rows) {
  const cells = {};
  rows.forEach((row, t) => row.forEach((weight, s) => ((cells[Math.ceil(LEVELS * weight)] ??= []).push(`M${s} ${t}h1v1h-1z`))));
  const paths = Object.entries(cells).filter(([level]) => level > 0)
    .map(([level, at]) => h("path", { d: at.join(""), opacity: level / LEVELS }));
  return h("svg", { viewBox: `0 0 ${rows.length} ${rows.length}`, "aria-hidden": "true" }, paths);
}

/** A row of buttons of which one is chosen: [[value, text], …]. */
function choice(legend, values, choose) {
  const options = values.map(([value, text]) => {
    const radio = h("input", { type: "radio", name: legend, onchange: () => choose(value) });
    return { value, radio, node: h("label", { class: "option" }, radio, h("span", {}, text)) };
  });
  const show = (chosen) => options.forEach(({ value, radio }) => (radio.checked = value === chosen));
  return { show, node: h("fieldset", { class: "choice" }, h("legend", {}, legend), options.map(({ node }) => node)) };
}

/** Every head that has been off as a point: brightness across, cost up. */
function plot({ scores, tried, head, off }, choose) {
  const [top, low] = [Math.max(0, ...scores.change), Math.min(0, ...scores.change)];
  const right = Math.max(...scores.brightest);
  const x = (value) => LEFT + ((WIDTH - LEFT - 12) * value) / right;
  const y = (value) => 12 + ((HEIGHT - BOTTOM - 24) * (top - value)) / (top - low || 1);
  const text = (at, words, more = {}) => h("text", { x: at[0], y: at[1], ...more }, words);
  const points = tried.map((i) => h("circle", {
    cx: x(scores.brightest[i]), cy: y(scores.change[i]), r: i === head && off ? 8 : 5, class: i === head && off ? "now" : "", onclick: () => choose(i),
  }));
  return [
    h("line", { x1: LEFT, x2: WIDTH, y1: y(0), y2: y(0) }), h("line", { x1: LEFT, x2: LEFT, y1: 4, y2: HEIGHT - BOTTOM }),
    text([LEFT - 5, y(0) + 4], "0", { "text-anchor": "end" }), text([LEFT - 5, y(top) + 4], signed(top), { "text-anchor": "end" }),
    text([LEFT, HEIGHT - 18], "0"), text([x(right), HEIGHT - 18], right.toFixed(2), { "text-anchor": "end" }),
    text([(LEFT + WIDTH) / 2, HEIGHT - 4], "weight of the brightest cell, on average", { "text-anchor": "middle" }), points,
  ];
}

function render({ model, el }) {
  const root = h("form", { class: "head-gallery" });
  const read = () => Object.fromEntries(TRAITS.map((name) => [name, model.get(name)]));
  const all = () => [...model.get("weights").keys()];
  const known = (...heads) => [...new Set([...model.get("tried"), ...heads])];
  const choose = (head) => put(model, model.get("off") ? { head, tried: known(head) } : { head });
  const power = toggle("switch this head off", (off) => put(model, off ? { off, tried: known(model.get("head")) } : { off }));
  const every = h("button", { type: "button", onclick: () => put(model, { tried: all() }) }, "Switch off each in turn");
  const orders = choice("sort by", Object.entries(ORDERS), (order) => put(model, order === "change" ? { order, tried: all() } : { order }));
  const words = h("p", { class: "words", "aria-live": "polite" });
  const graph = h("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" });
  const left = h("p", { class: "note" });
  const scrolled = (label, table) => h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": label }, table);
  let built, filters, tiles, gallery, cells, title, costs;

  const has = (name, i) => name === "all" || (name === "none" ? !model.get("names")[i].length : model.get("names")[i].includes(name));
  const filter = (only) => {
    const first = all().find((i) => has(only, i));
    put(model, has(only, model.get("head")) ? { only } : { only, head: first, off: false });
  };

  function build(state) {
    const { tokens, weights, scores, names, per_layer, even } = state;
    const counts = ["all", ...KINDS, "none"].map((name) => [name, all().filter((i) => has(name, i)).length]);
    filters = choice("show", counts.filter(([, n]) => n).map(([name, n]) => [name, `${name} (${n})`]), filter);
    tiles = weights.map((rows, i) => {
      const radio = h("input", { type: "radio", name: "head", onchange: () => choose(i) });
      const cost = h("span", { class: "cost" });
      const score = (kind) => h("span", { class: names[i].includes(kind) ? "named" : "" }, `${kind} ${percent(scores[kind][i])}`);
      return { radio, cost, node: h("label", { class: "tile" }, radio, h("strong", {}, place(state, i)), smallMap(rows),
        h("span", { class: names[i].length ? "name" : "name none" }, names[i].join(" + ") || "none"),
        score("previous"), score("first"), h("span", {}, `entropy ${scores.entropy[i].toFixed(2)}`), cost) };
    });
    gallery = h("fieldset", { class: "gallery", style: `--heads: ${per_layer}` });
    cells = tokens.map((_, t) => Array.from({ length: t + 1 }, () => h("td")));
    title = h("caption");
    const row = (token, t) => h("tr", {}, h("th", { scope: "row" }, token), cells[t], tokens.length - t > 1 ? h("td", { class: "ahead", colspan: tokens.length - t - 1 }) : []);
    const map = h("table", { class: "map" }, title,
      h("thead", {}, h("tr", {}, h("td"), tokens.map((token) => h("th", { scope: "col" }, h("span", {}, token))))), h("tbody", {}, tokens.map(row)));
    const value = (kind, i) => (scores[kind][i] == null ? "–" : percent(scores[kind][i]));
    costs = weights.map(() => h("td"));
    const line = (i) => h("tr", {}, h("th", { scope: "row" }, place(state, i)), h("td", {}, names[i].join(" + ") || "none"),
      KINDS.map((kind) => h("td", {}, value(kind, i))), h("td", {}, scores.entropy[i].toFixed(2)), h("td", {}, scores.brightest[i].toFixed(2)), costs[i]);
    const evenly = h("tr", {}, h("th", { scope: "row" }, "spread evenly"), h("td", {}, "–"), KINDS.map((kind) => h("td", {}, even[kind] == null ? "–" : percent(even[kind]))),
      h("td", {}, even.entropy.toFixed(2)), h("td", {}, even.brightest.toFixed(2)), h("td", {}, "–"));
    const columns = ["head", "name", ...KINDS, "entropy (bits)", "brightest cell", "cost when off (bits)"];
    root.replaceChildren(
      h("div", { class: "top" }, orders.node, filters.node), gallery,
      h("div", { class: "switches" }, power, every), words,
      h("div", { class: "both" }, scrolled("The map of the chosen head", map),
        h("div", { class: "side" }, h("p", { class: "note" }, "cost when off, in bits per token, against brightness: a point for each head that has been off"), graph, left)),
      h("details", {}, h("summary", {}, "All heads as a table"), scrolled("All heads", h("table", { class: "numbers" },
        h("thead", {}, h("tr", {}, columns.map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, all().map(line), evenly)))));
  }

  function arrange({ scores, order, only, tokens }) {
    const shown = all().filter((i) => has(only, i));
    if (order !== "place") shown.sort((a, b) => scores[order][b] - scores[order][a]);
    if (gallery.dataset.shown === String(shown)) return;
    gallery.dataset.shown = shown;
    const focused = document.activeElement;
    gallery.replaceChildren(h("legend", {}, `heads on “${tokens.join(" ")}”; scores on other text, entropy and cost in bits`), ...shown.map((i) => tiles[i].node));
    if (root.contains(focused)) focused.focus();
  }

  function draw() {
    const state = read(), { weights, scores, head, off, tried, order, only } = state;
    const shape = JSON.stringify([state.tokens, state.names, scores]);
    if (shape !== built) build(state);
    built = shape;
    orders.show(order);
    filters.show(only);
    arrange(state);
    tiles.forEach(({ radio, cost, node }, i) => {
      radio.checked = i === head;
      node.classList.toggle("off", i === head && off);
      say(cost, tried.includes(i) ? `off: ${signed(scores.change[i])}` : "off: ?");
      say(costs[i], tried.includes(i) ? `${signed(scores.change[i])} ± ${scores.error[i].toFixed(3)}` : "?");
    });
    cells.forEach((row, t) => row.forEach((cell, s) => {
      say(cell, Math.round(100 * weights[head][t][s]));
      cell.style.setProperty("--mix", `${70 * weights[head][t][s]}%`);
    }));
    say(title, `${place(state, head)}: each row looks at the columns; weights in %`);
    power.box.checked = off;
    every.disabled = tried.length === weights.length;
    graph.replaceChildren(...plot(state, choose).flat());
    say(left, tried.length < weights.length ? `${weights.length - tried.length} heads have not been off yet.` : "Each was off alone; costs of several do not simply add up.");
    say(words, explain(state));
  }

  return live(model, el, root, TRAITS, draw);
}

export default { render };
