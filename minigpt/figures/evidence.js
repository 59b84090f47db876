// The evidence view. Traits: questions ([{question, truth, note, memory, views: [{name, edited, tokens, start, end, span,
// pointed, sure, written}]}]), question, view. An answer is {text, probability, pieces: [[token, probability], …]}.

const TRAITS = ["questions", "question", "view"];
const SHOWN = 0.05; // smaller probabilities are drawn, but their number is not printed

const percent = (p) => `${Math.round(100 * p)}%`;
const number = (p) => print(p, 2, true);
const plain = (token) => token.replaceAll("␣", " ");

function sentence(one, view) {
  const head = view.tokens.length
    ? `The head points at “${view.pointed}” with probability ${number(view.sure)}.` : "The head has nothing to point at.";
  const reading = view.written ? ` GPT, reading, writes “${view.written.text}”, probability ${number(view.written.probability)}.` : "";
  return `“${one.question}”, ${view.name}. ${head}${reading} GPT from memory writes “${one.memory.text}”, probability ` +
    `${number(one.memory.probability)}. ${one.truth}`;
}

function render({ model, el }) {
  const name = `view-${Math.random().toString(36).slice(2)}`;
  const questions = model.get("questions");
  const select = h("select", { onchange: () => put(model, { question: select.selectedIndex }) },
    questions.map((one) => h("option", {}, `${one.question} (${one.note})`)));
  const views = questions[0].views.map((view, i) => {
    const radio = h("input", { type: "radio", name, onchange: () => put(model, { view: i }) });
    return { radio, node: h("label", { class: "option" }, radio, h("span", {}, view.name)) };
  });
  const passage = h("div", { class: "passage", tabindex: 0, role: "group", "aria-label": "The passage, with start and end probabilities" });
  const [pointed, reading, memory] = ["points", "reads and writes", "writes from memory"].map(() => h("div", { class: "answer" }));
  const words = h("p", { class: "words", "aria-live": "polite" });
  const [places, pieces] = [h("tbody"), h("tbody")];
  const table = (caption, heads, body) => h("table", {}, h("caption", {}, caption),
    h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))), body);
  const row = (title, explained, answer) => h("div", { class: "way" }, h("div", { class: "who" }, h("strong", {}, title), " ", explained), answer);

  function chips(answer) {
    return [h("span", { class: "chips" }, answer.pieces.map(([token, p]) =>
      h("span", { class: "chip", style: `--p: ${percent(p)}` }, h("b", {}, token), h("small", {}, number(p))))),
    h("span", { class: "whole" }, "together ", h("strong", {}, number(answer.probability)))];
  }

  function drawPassage({ tokens, start, end, span, edited }) {
    const text = tokens.map(plain).join("");
    const at = edited ? text.indexOf(edited) : -1;
    const groups = []; // the tokens of a word stay on one line
    let place = 0;
    tokens.forEach((token, i) => {
      const inside = i >= span[0] && i <= span[1];
      const changed = at >= 0 && place < at + edited.length && place + plain(token).length > at;
      place += plain(token).length;
      const lane = (kind, p) => h("span", { class: kind, style: `--p: ${percent(p)}` }, p >= SHOWN ? `${kind === "start" ? "▸" : "◂"}${number(p)}` : "");
      const classes = ["token", inside && "inside", i === span[0] && "first", i === span[1] && "last", changed && "changed"];
      if (!i || token.startsWith("␣")) groups.push(h("span", { class: "word" }));
      groups.at(-1).append(h("span", { class: classes.filter(Boolean).join(" ") }, h("span", { class: "text" }, plain(token)), lane("start", start[i]), lane("end", end[i])));
    });
    passage.replaceChildren(...(groups.length ? groups : [h("em", {}, "(no passage)")]));
  }

  function draw() {
    const one = model.get("questions")[model.get("question")], view = one.views[model.get("view")];
    select.selectedIndex = model.get("question");
    views.forEach(({ radio }, i) => (radio.checked = i === model.get("view")));
    drawPassage(view);
    pointed.replaceChildren(...(view.tokens.length
      ? [h("span", { class: "chips" }, h("span", { class: "chip", style: `--p: ${percent(view.sure)}` }, h("b", {}, view.pointed), h("small", {}, number(view.sure))))]
      : [h("em", {}, "nothing to point at")]));
    reading.replaceChildren(...(view.written ? chips(view.written) : [h("em", {}, "nothing to read")]));
    memory.replaceChildren(...chips(one.memory));
    const likely = view.tokens.map((_, i) => i).filter((i) => Math.max(view.start[i], view.end[i]) >= 0.005);
    places.replaceChildren(...(likely.length ? likely.map((i) => h("tr", {}, h("td", {}, i), h("th", { scope: "row" }, view.tokens[i] || "(a part)"),
      h("td", {}, number(view.start[i])), h("td", {}, number(view.end[i])))) : [h("tr", {}, h("td", { colspan: 4 }, "no passage"))]));
    const written = [["reading", view.written], ["from memory", one.memory]].filter(([, answer]) => answer);
    pieces.replaceChildren(...written.flatMap(([who, answer]) => answer.pieces.map(([token, p]) =>
      h("tr", {}, h("td", {}, who), h("th", { scope: "row" }, token || "(a part)"), h("td", {}, number(p))))));
    say(words, sentence(one, view));
  }

  const root = h("div", { class: "evidence", role: "group", "aria-label": "The evidence view" },
    h("div", { class: "controls" }, h("label", { class: "ask" }, "question ", select),
      h("fieldset", { class: "choice" }, h("legend", {}, "passage"), views.map(({ node }) => node))),
    h("p", { class: "key" }, "under each word: ", h("span", { class: "start" }, "▸ start"), " ", h("span", { class: "end" }, "◂ end"), " probability; the span is framed"),
    passage,
    row("Encoder with a head", "points", pointed), row("GPT", "reads and writes", reading), row("GPT", "from memory", memory),
    words,
    h("details", {}, h("summary", {}, "The probabilities as tables"),
      h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "The probabilities as tables" },
        table("tokens of the passage with at least 0.005", ["place", "token", "start", "end"], places),
        table("tokens written", ["by GPT", "token", "probability"], pieces))));
  return live(model, el, root, TRAITS, draw);
}

export default { render };
