// Beam search. Traits: source, searches ([{beams, steps: [[[parent, token, log p, fate], …], …]}]), search, step (from 1), penalty.

const TRAITS = ["source", "searches", "search", "step", "penalty"];
const FATES = ["dropped", "goes on", "finished"];
const END = "■";
const [WIDE, HIGH] = [104, 26]; // a candidate in the tree, in pixels

/** The places of a candidate and of all its ancestors, from the first step on. */
function line(steps, t, place) {
  const places = [];
  for (; t >= 0; place = steps[t][place][0], t--) places.unshift(place);
  return places;
}

const text = (steps, t, place) =>
  line(steps, t, place).map((at, i) => steps[i][at][1]).filter((token) => token !== END).join("").replaceAll("␣", " ").trim();

/** Every text finished in the first `step` steps, best first. */
function finished(steps, step, penalty) {
  const found = steps.slice(0, step).flatMap((candidates, t) => candidates.flatMap(([, , logp, fate], place) =>
    fate === 2 ? [{ t, place, logp, tokens: t + 1, score: logp / (t + 1) ** penalty, text: text(steps, t, place) }] : []));
  return found.sort((a, b) => b.score - a.score);
}

function explain(steps, step, beams, found) {
  const now = steps[step - 1], count = (fate) => now.filter((candidate) => candidate[3] === fate).length;
  const best = now.findIndex((candidate) => candidate[3] === 1);
  const going = best < 0 ? "" : ` The best that goes on is “${text(steps, step - 1, best)}${now[best][1] === "␣" ? "␣" : ""}”, log p ${print(now[best][2], 2, true)}.`;
  const ended = count(2) ? `${count(2)} finished, ` : "";
  const first = found.length ? ` Best finished text: “${found[0].text}”, score ${print(found[0].score, 2, true)}.` : " No text is finished yet.";
  return `Step ${step} of ${steps.length}, width ${beams}: of ${now.length} candidates ${count(1)} ${count(1) === 1 ? "goes" : "go"} on, ${ended}${count(0)} dropped.${going}${first}`;
}

function render({ model, el }) {
  const root = h("form", { class: "beam-tree" });
  const now = () => ({ ...model.get("searches")[model.get("search")], penalty: model.get("penalty") });
  const stepNow = () => Math.min(model.get("step"), now().steps.length);
  const go = (step) => put(model, { step: Math.max(1, Math.min(now().steps.length, step)) });
  const searches = model.get("searches");
  const widths = searches.map(({ beams }, i) => {
    const radio = h("input", { type: "radio", name: "width", onchange: () => put(model, { search: i }) });
    return { radio, node: h("label", { class: "option" }, radio, h("span", {}, beams)) };
  });
  const slider = h("input", { type: "range", min: 0, max: 2, step: 0.1, "aria-label": "length penalty", oninput: () => put(model, { penalty: Number(slider.value) }) });
  const shown = h("output");
  const back = h("button", { type: "button", onclick: () => go(stepNow() - 1) }, "‹ Back");
  const next = h("button", { type: "button", onclick: () => go(stepNow() === now().steps.length ? 1 : stepNow() + 1) });
  const all = h("button", { type: "button", onclick: () => go(Infinity) }, "All steps");
  const words = h("p", { class: "words", "aria-live": "polite" });
  const [tree, candidates, results] = [h("div", { class: "tree" }), h("tbody"), h("tbody")];
  const scroll = h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "Tree of candidates, a column per step" }, tree);
  const table = (caption, heads, body) => h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": caption },
    h("table", {}, h("caption", {}, caption), h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))), body));
  root.append(
    h("p", { class: "source" }, "to translate: ", h("strong", {}, model.get("source"))),
    h("div", { class: "controls" },
      h("fieldset", { class: "choice" }, h("legend", {}, "beam width"), widths.map(({ node }) => node)),
      h("label", { class: "penalty" }, h("span", {}, "length penalty α "), slider, shown)),
    scroll, h("div", { class: "stepper" }, back, next, all), words,
    table("finished texts, by score = log p ÷ tokensᵅ", ["rank", "text", "tokens", "log p", "score"], results),
    h("details", {}, h("summary", {}, "The candidates of this step as a table"),
      table("candidates, best first", ["text so far", "new token", "log p", "fate"], candidates)));
  let built, nodes, paths;

  function build({ steps }) {
    const rows = Math.max(...steps.map((step) => step.length));
    const size = `width: ${WIDE * steps.length}px; height: ${HIGH * rows}px`;
    const curves = h("svg", { viewBox: `0 0 ${WIDE * steps.length} ${HIGH * rows}`, style: size, "aria-hidden": "true" });
    paths = steps.map((step, t) => step.map(([parent], place) => {
      const [x, y, y0] = [WIDE * t + 14, HIGH * (place + 0.5), HIGH * (Math.max(0, parent) + 0.5)];
      return curves.appendChild(h("path", { d: `M${t ? x - 14 : 0} ${y0} C${x - 4} ${y0} ${x - 10} ${y} ${x} ${y}` }));
    }));
    nodes = steps.map((step, t) => step.map(([, token, logp, fate], place) => h("span", {
      class: `node ${["dropped", "kept", "finished"][fate]}`, style: `left: ${WIDE * t + 14}px; top: ${HIGH * place + 2}px`,
      onclick: () => go(t + 1), title: `${text(steps, t, place) || END}: log p ${print(logp, 2, true)}, ${FATES[fate]}`,
    }, h("b", {}, fate ? "" : "✕ ", token), h("small", {}, print(logp, 1, true)))));
    tree.setAttribute("style", size);
    tree.replaceChildren(curves, ...nodes.flat());
  }

  function draw() {
    const { steps, beams, penalty } = now(), step = stepNow();
    if (built !== steps) build({ steps });
    built = steps;
    const found = finished(steps, step, penalty);
    const best = found.length ? line(steps, found[0].t, found[0].place) : [];
    widths.forEach(({ radio }, i) => (radio.checked = i === model.get("search")));
    slider.value = penalty;
    shown.textContent = print(penalty, 1, true);
    steps.forEach((candidates, t) => candidates.forEach(([, , , fate], place) => {
      for (const node of [nodes[t][place], paths[t][place]]) {
        node.classList.toggle("later", t >= step);
        node.classList.toggle("now", t === step - 1);
        node.classList.toggle("best", best[t] === place);
      }
      paths[t][place].classList.toggle("dropped", fate === 0);
    }));
    candidates.replaceChildren(...steps[step - 1].map(([, token, logp, fate], place) =>
      h("tr", { class: ["dropped", "kept", "finished"][fate] }, h("th", { scope: "row" }, text(steps, step - 1, place) || "(nothing)"),
        h("td", {}, token), h("td", {}, print(logp, 2, true)), h("td", {}, FATES[fate]))));
    results.replaceChildren(...(found.length ? found.map((one, i) =>
      h("tr", { class: i ? "" : "first" }, h("td", {}, i + 1), h("th", { scope: "row" }, one.text || "(nothing)"), h("td", {}, one.tokens),
        h("td", {}, print(one.logp, 2, true)), h("td", {}, print(one.score, 2, true))))
      : [h("tr", {}, h("td", { colspan: 5 }, "none yet: no candidate has chosen the end token"))]));
    back.disabled = step === 1;
    say(next, step < steps.length ? "Next ›" : "From the start");
    say(words, explain(steps, step, beams, found));
    const column = WIDE * step - scroll.clientWidth; // keep the newest column in sight on a narrow page
    if (scroll.clientWidth && (column > scroll.scrollLeft || WIDE * (step - 1) < scroll.scrollLeft)) scroll.scrollLeft = Math.max(0, column);
  }

  return live(model, el, root, TRAITS, draw);
}

export default { render };
