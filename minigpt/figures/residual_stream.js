// The residual stream of one token. Traits: tokens, stream (T, 2L + 1), writes and cosines (T, 2L), lens (T, L + 1, k), position.

const TRAITS = ["tokens", "stream", "writes", "cosines", "lens", "position"];
const HEIGHT = 210, MIDDLE = 62, FIRST = 1.6; // of the river's picture; the embedding's column is 1.6 times as wide as a write's
const PARTS = ["attention", "feed-forward"];
const percent = (p) => `${(100 * p).toFixed(p < 0.095 ? 1 : 0)} %`;

/** The sentence that a reader who cannot see the river gets. */
function explain({ tokens, stream, lens, position: t }) {
  const layers = lens[t], [guess, p] = layers.at(-1)[0];
  const first = layers.findIndex((_, l) => layers.slice(l).every((row) => row[0][0] === guess));
  return `After “${tokens[t]}” the stream grows from ${print(stream[t][0], 1, true)} to ${print(stream[t].at(-1), 1, true)}. ` +
    `Its best guess ${first ? `from layer ${first} on` : "from the embedding on"} is “${guess}”, at the end with ${(100 * p).toFixed(0)} %.` +
    (t + 1 < tokens.length ? ` The text goes on with “${tokens[t + 1]}”.` : "");
}

/** The river at one width in pixels: the bed, and under it one tributary per write; lengths share one scale. */
function drawRiver(svg, width, { stream, writes, position: t }) {
  const unit = width / (writes[t].length + FIRST);
  const scale = Math.min(112 / Math.max(...stream.flat()), (0.8 * unit) / Math.max(...writes.flat()));
  const x = (stage) => unit * (FIRST + stage); // where write number `stage` has just joined
  const tributaries = writes[t].map((length, i) => {
    const [to, from] = [x(i + 0.62), x(i + 0.12)];
    return [
      h("path", { class: "reads", d: `M${from} ${MIDDLE} V${HEIGHT}` }),
      h("path", { class: PARTS[i % 2], d: `M${to} ${HEIGHT} V${MIDDLE}`, "stroke-width": Math.max(1, scale * length) }),
    ];
  });
  const half = stream[t].map((length) => Math.max(0.75, (scale * length) / 2));
  const bank = (sign) => half.slice(1).map((y, i) => {
    const [x0, x1, x2] = [x(i + 0.3), x(i + 0.62), x(i + 1)];
    const [y0, y1] = [MIDDLE + sign * half[i], MIDDLE + sign * y];
    return { there: `L${x0} ${y0} C${x1} ${y0} ${x1} ${y1} ${x2} ${y1}`, back: `L${x2} ${y1} C${x1} ${y1} ${x1} ${y0} ${x0} ${y0}` };
  });
  const upper = bank(-1).map((piece) => piece.there).join(" ");
  const lower = bank(1).reverse().map((piece) => piece.back).join(" ");
  const bed = h("path", { class: "bed", d: `M0 ${MIDDLE - half[0]} ${upper} ${lower} L0 ${MIDDLE + half[0]} Z` });
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  svg.replaceChildren(...tributaries.flat(), bed);
}

function render({ model, el }) {
  const root = h("form", { class: "residual-stream" });
  const read = () => Object.fromEntries(TRAITS.map((name) => [name, model.get(name)]));
  const river = h("svg", { class: "river", "aria-hidden": "true" });
  const words = h("p", { class: "words", "aria-live": "polite" });
  let built, chips, lens, labels, rows;

  function build({ tokens, writes, lens: said }) {
    const layers = said[0].length - 1;
    chips = tokens.map((token, t) => {
      const radio = h("input", { type: "radio", name: "position", onchange: () => put(model, { position: t }) });
      return { radio, node: h("label", { class: "chip" }, radio, h("span", {}, token)) };
    });
    lens = said[0].map((guesses, l) => {
      const lines = guesses.map(() => ({ token: h("span", { class: "guess" }), share: h("small") }));
      const title = h("strong", {}, l ? `layer ${l}` : "start");
      return { lines, node: h("div", { class: "layer" }, title, lines.map(({ token, share }) => h("div", {}, token, share))) };
    });
    labels = writes[0].map((_, i) => {
      const length = h("span", { class: "length" });
      return { length, node: h("div", { class: PARTS[i % 2] }, h("span", { class: "name" }, PARTS[i % 2]), length) };
    });
    rows = [-1, ...writes[0].keys()].map((i) => {
      const cells = Array.from({ length: 4 }, () => h("td"));
      const name = i < 0 ? "start (embedding)" : `layer ${Math.floor(i / 2) + 1}, ${PARTS[i % 2]}`;
      return { cells, node: h("tr", {}, h("th", { scope: "row" }, name), cells) };
    });
    const head = ["", "length of the write", "its cosine with the stream", "length of the stream", "best guess"];
    root.replaceChildren(
      h("fieldset", {}, h("legend", {}, "After which token?"), h("div", { class: "chips" }, chips.map(({ node }) => node))),
      h("div", { class: "flow", style: `--writes: ${2 * layers}; --layers: ${layers}` },
        h("p", { class: "caption" }, "what the head would say after each layer; underlined: what the text goes on with"),
        h("div", { class: "lens" }, lens.map(({ node }) => node)), river,
        h("div", { class: "labels" }, h("div", { class: "from" }, "the token and its place"), labels.map(({ node }) => node))),
      words,
      h("details", {}, h("summary", {}, "The numbers"), h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "The numbers" },
        h("table", {}, h("thead", {}, h("tr", {}, head.map((text) => h("th", { scope: "col" }, text)))), h("tbody", {}, rows.map(({ node }) => node))))));
  }

  function draw() {
    const state = read();
    const shape = JSON.stringify([state.tokens, state.lens[0].length, state.lens[0][0].length]);
    if (shape !== built) build(state);
    built = shape;
    const { tokens, stream, writes, cosines, lens: said, position: t } = state;
    chips.forEach(({ radio }, i) => (radio.checked = i === t));
    lens.forEach(({ lines }, l) => lines.forEach(({ token, share }, i) => {
      const [guess, p] = said[t][l][i];
      say(token, guess);
      say(share, percent(p));
      token.classList.toggle("true", guess === tokens[t + 1]);
      token.parentNode.style.setProperty("--share", `${100 * p}%`);
    }));
    labels.forEach(({ length }, i) => say(length, print(writes[t][i], 1, true)));
    rows.forEach(({ cells }, i) => {
      const write = i ? [print(writes[t][i - 1], 1, true), print(cosines[t][i - 1], 2, true)] : ["", ""];
      const guess = i % 2 ? "" : `${said[t][i / 2][0][0]} ${percent(said[t][i / 2][0][1])}`;
      [...write, print(stream[t][i], 1, true), guess].forEach((text, c) => say(cells[c], text));
    });
    say(words, explain(state));
    flow();
  }

  const flow = () => river.clientWidth && drawRiver(river, river.clientWidth, read());
  const watch = new ResizeObserver(flow);
  watch.observe(river);
  const end = live(model, el, root, TRAITS, draw);
  return () => {
    watch.disconnect();
    end();
  };
}

export default { render };
