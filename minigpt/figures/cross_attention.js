// Cross-attention. Traits: source (S), target (T), weights (L, H, T, S), alignment (T or none), layer, head (H: their mean), step.

const TRAITS = ["source", "target", "weights", "alignment", "layer", "head", "step"];
const ROW = 30; // pixels from one token to the next

/** The weights (T, S) of the chosen layer and head, or the mean of all its heads. */
function shown({ weights, layer, head }) {
  const heads = weights[layer];
  if (head < heads.length) return heads[head];
  return heads[0].map((row, t) => row.map((_, s) => heads.reduce((sum, map) => sum + map[t][s], 0) / heads.length));
}

function explain({ source, target, weights, alignment, layer, head, step }, map) {
  const row = map[step], most = row.indexOf(Math.max(...row)), right = alignment[step] ?? -1;
  return `To write “${target[step]}” (${step + 1} of ${target.length}), in layer ${layer + 1} ` +
    `${head === weights[0].length ? "all heads together look" : `head ${head + 1} looks`} mostly at “${source[most]}” ` +
    `(${print(row[most], 2, true)}), source token ${most + 1}.` +
    (right < 0 ? "" : right === most ? " That is the right place." : ` The right place would be ${right + 1}.`);
}

/** A row of buttons of which one is chosen. */
function choice(legend, names, choose) {
  const options = names.map((name, i) => {
    const radio = h("input", { type: "radio", name: legend, onchange: () => choose(i) });
    return { radio, node: h("label", { class: "option" }, radio, h("span", {}, name)) };
  });
  const show = (chosen) => options.forEach(({ radio }, i) => (radio.checked = i === chosen));
  return { show, node: h("fieldset", { class: "choice" }, h("legend", {}, legend), options.map(({ node }) => node)) };
}

function render({ model, el }) {
  const root = h("form", { class: "cross-attention" });
  const read = () => Object.fromEntries(TRAITS.map((name) => [name, model.get(name)]));
  const go = (step) => put(model, { step });
  const back = h("button", { type: "button", onclick: () => go(model.get("step") - 1) }, "‹ Back");
  const next = h("button", { type: "button", onclick: () => go((model.get("step") + 1) % model.get("target").length) });
  const words = h("p", { class: "words", "aria-live": "polite" });
  let built, layers, heads, targets, sources, bands, cells;

  function build({ source, target, weights, alignment }) {
    const [S, T, H] = [source.length, target.length, weights[0].length];
    layers = choice("layer", weights.map((_, l) => l + 1), (layer) => put(model, { layer }));
    heads = choice("head", [...weights[0].keys()].map((i) => i + 1).concat("mean"), (head) => put(model, { head }));
    targets = target.map((token, t) => {
      const radio = h("input", { type: "radio", name: "target", onchange: () => go(t) });
      return { radio, node: h("label", { class: "token" }, radio, h("span", {}, token)) };
    });
    sources = source.map((token) => {
      const share = h("small");
      return { share, node: h("div", { class: "token" }, h("span", {}, token), share) };
    });
    bands = source.map(() => h("path", { "vector-effect": "non-scaling-stroke" }));
    const height = ROW * Math.max(S, T);
    const arcs = h("svg", { viewBox: `0 0 100 ${height}`, preserveAspectRatio: "none", style: `height: ${height}px`, "aria-hidden": "true" }, bands);
    cells = target.map((_, t) => source.map((_, s) => h("td", { class: alignment[t] === s ? "right" : "" })));
    const turned = (token) => h("th", { scope: "col" }, h("span", {}, token));
    const rows = target.map((token, t) => h("tr", { onclick: () => go(t) }, h("th", { scope: "row" }, token), cells[t]));
    root.replaceChildren(
      h("div", { class: "top" }, layers.node, H > 1 ? heads.node : []),
      h("div", { class: "both" },
        h("div", { class: "bands" },
          h("fieldset", { class: "targets" }, h("legend", {}, "target: written"), targets.map(({ node }) => node)), arcs,
          h("div", { class: "sources" }, h("span", { class: "legend" }, "source: looked at"), sources.map(({ node }) => node))),
        h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "All weights" },
          h("table", {}, h("caption", {}, alignment.length ? "weights in %; ringed: the right place" : "weights in %"),
            h("thead", {}, h("tr", {}, h("td"), source.map(turned))), h("tbody", {}, rows)))),
      h("div", { class: "stepper" }, back, next), words);
  }

  function draw() {
    const state = read();
    const { source, target, weights, alignment, layer, head, step } = state;
    const shape = JSON.stringify([source, target, alignment, weights.length, weights[0].length]);
    if (shape !== built) build(state);
    built = shape;
    const map = shown(state);
    layers.show(layer);
    heads.show(head);
    targets.forEach(({ radio, node }, t) => {
      radio.checked = t === step;
      node.classList.toggle("later", t > step); // not written yet
    });
    sources.forEach(({ share, node }, s) => {
      const weight = map[step][s], [y0, y1] = [ROW * (step + 0.5), ROW * (s + 0.5)];
      say(share, print(weight, 2, true));
      node.style.setProperty("--mix", `${60 * weight}%`);
      node.classList.toggle("right", alignment[step] === s);
      bands[s].setAttribute("d", `M0 ${y0} C50 ${y0} 50 ${y1} 100 ${y1}`);
      bands[s].setAttribute("stroke-width", 0.5 + 13 * weight);
      bands[s].setAttribute("stroke-opacity", 0.15 + 0.75 * weight);
    });
    cells.forEach((row, t) => row.forEach((cell, s) => {
      say(cell, Math.round(100 * map[t][s]));
      cell.style.setProperty("--mix", `${70 * map[t][s]}%`);
      cell.parentNode.classList.toggle("now", t === step);
    }));
    back.disabled = step === 0;
    say(next, step + 1 < target.length ? "Next ›" : "From the start");
    say(words, explain(state, map));
  }

  return live(model, el, root, TRAITS, draw);
}

export default { render };
