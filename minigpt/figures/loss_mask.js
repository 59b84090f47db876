// The loss mask: a column per token with the input, its label (hatched where it is −100) and the loss as heat.
// Traits: examples ([{title, ids, tokens, labels, scored, losses: a row per model}]), models (names), example, model,
// masked, position.

const TRAITS = ["example", "model", "masked", "position"];
const HOTTEST = 8; // nats: above it, the heat stays the same

function render({ model, el }) {
  const [examples, names] = [model.get("examples"), model.get("models")];
  const pick = (label, options, change) => {
    const select = h("select", { onchange: () => change(select.selectedIndex) }, options.map((text) => h("option", {}, text)));
    return { select, node: h("label", {}, label, select) };
  };
  const example = pick("example ", examples.map((one) => one.title), (i) => put(model, { example: i, position: firstScored(i) }));
  const network = pick("model ", names, (i) => put(model, { model: i }));
  const mask = toggle("loss mask", (on) => put(model, { masked: on }));
  const position = h("input", { type: "range", min: 0, step: 1, oninput: () => put(model, { position: Number(position.value) }) });
  const strip = h("div", { class: "strip", "aria-hidden": "true" });
  const words = h("p", { class: "words", "aria-live": "polite" });
  const body = h("tbody");
  const list = h("details", { ontoggle: drawTable }, h("summary", {}, "The strip as a table"),
    h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "every token, its label and its loss" },
      h("table", {}, h("thead", {}, h("tr", {}, ["place", "input", "id", "label", "loss"].map((t) => h("th", { scope: "col" }, t)))), body)));
  const firstScored = (i) => examples[i].scored.indexOf(true);
  const nats = (x) => print(x, 2, true);
  let [drawn, columns] = [-1, []];

  function build(one) {
    columns = one.tokens.map((token, t) => {
      const [label, loss] = [h("span", { class: "label" }), h("span", { class: "loss" })];
      const node = h("div", { class: "column", onclick: () => put(model, { position: t }) },
        h("span", { class: "input" }, token, h("small", {}, one.ids[t])), label, loss);
      return { node, label, loss };
    });
    strip.replaceChildren(...columns.map(({ node }) => node));
    position.max = columns.length - 1;
  }

  function now() {
    const one = examples[model.get("example")];
    const masked = model.get("masked");
    return { one, masked, losses: one.losses[model.get("model")], scored: one.scored.map((s) => s || !masked) };
  }

  function drawTable() {
    if (!list.open) return body.replaceChildren();
    const { one, losses, scored } = now();
    body.replaceChildren(...one.tokens.map((token, t) => h("tr", {}, h("td", {}, t), h("th", { scope: "row" }, token), h("td", {}, one.ids[t]),
      h("td", {}, scored[t] ? one.labels[t] : "−100"), h("td", {}, scored[t] ? nats(losses[t]) : "–"))));
  }

  function sentence({ one, masked, losses, scored }, t) {
    const mean = (keep) => losses.reduce((sum, x, i) => sum + (keep[i] ? x : 0), 0) / keep.filter(Boolean).length;
    const answer = one.scored.filter(Boolean).length;
    const share = losses.reduce((sum, x, i) => sum + (one.scored[i] ? x : 0), 0) / losses.reduce((a, b) => a + b);
    const all = masked
      ? `${answer} of ${losses.length} labels are scored, mean loss ${nats(mean(scored))} nats. All of it is the answer's.`
      : `All ${losses.length} labels are scored, mean loss ${nats(mean(scored))} nats. The answer's ${answer} bring ${Math.round(100 * share)} % of the sum.`;
    const here = scored[t]
      ? `its label is ${one.labels[t]}, which cost ${nats(losses[t])} nats.`
      : `its label is −100: what follows, ${one.labels[t]}, is read but not scored.`;
    return `${all} Place ${t}: the input is ${one.tokens[t]}, ${here}`;
  }

  function draw() {
    const shown = now();
    const { one, losses, scored } = shown;
    if (drawn !== model.get("example")) build(one);
    drawn = model.get("example");
    const t = Math.min(model.get("position"), columns.length - 1);
    example.select.selectedIndex = drawn;
    network.select.selectedIndex = model.get("model");
    mask.box.checked = model.get("masked");
    position.value = t;
    position.setAttribute("aria-valuetext", `place ${t} of ${columns.length - 1}, input ${one.tokens[t]}`);
    columns.forEach(({ node, label, loss }, i) => {
      node.classList.toggle("ignored", !scored[i]);
      node.classList.toggle("here", i === t);
      label.textContent = scored[i] ? one.labels[i] : "−100";
      loss.textContent = scored[i] ? nats(losses[i]) : "";
      node.style.setProperty("--heat", `${scored[i] ? Math.round(70 * Math.min(1, losses[i] / HOTTEST)) : 0}%`);
    });
    const { offsetTop, offsetHeight } = columns[t].node;
    const hidden = offsetTop < strip.scrollTop || offsetTop + offsetHeight > strip.scrollTop + strip.clientHeight;
    if (hidden) strip.scrollTop = offsetTop - strip.clientHeight / 2;
    say(words, sentence(shown, t));
    drawTable();
  }

  const lanes = h("p", { class: "lanes" }, "each column, from above: ", h("b", {}, "input"), " and its id, ", h("b", {}, "label"), ", ", h("b", {}, "loss"), " in nats");
  const root = h("div", { class: "loss-mask", role: "group", "aria-label": "The loss mask" },
    h("div", { class: "controls" }, example.node, network.node, mask), lanes, strip,
    h("label", { class: "position" }, "place ", position), words, list);
  return live(model, el, root, TRAITS, draw);
}

export default { render };
