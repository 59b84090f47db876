// What a head start is worth: two learning curves with the seeds' range, the gap, and what both say to one article.
// Traits: labels (how many, n), steps (k), curves ({measure: [start][label][seed][step]}), long ({steps, measure: […]}, one
// run from nothing with the most labels), rules ([{name, measure: [label]}]), cost ([tokens of pre-training, of a step]),
// topics, articles ([{title, text, topic, chances: [start][label][step][topic]}]), size, step, measure, counted, article.

const TRAITS = ["size", "step", "measure", "counted", "article"];
const STARTS = ["pre-trained", "from nothing"];
const KINDS = ["trained", "nothing"]; // their classes in the style sheet
const share = (x) => `${Math.round(100 * x)}\u00a0%`;

function render({ model, el }) {
  const [labels, steps, curves, long, rules, topics, articles] =
    ["labels", "steps", "curves", "long", "rules", "topics", "articles"].map((name) => model.get(name));
  const [past, perStep] = model.get("cost");
  const count = (x) => x.toLocaleString("en-US");
  const range = (label, last, change) => {
    const input = h("input", { type: "range", min: 0, max: last, step: 1, "aria-label": label.trim(), oninput: () => change(Number(input.value)) });
    const output = h("output", {});
    return { input, output, node: h("label", {}, label, input, output) };
  };
  const pick = (label, options, change) => {
    const select = h("select", { onchange: () => change(select.selectedIndex) }, options.map((text) => h("option", {}, text)));
    return { select, node: h("label", {}, label, select) };
  };
  const size = range("labels ", labels.length - 1, (i) => put(model, { size: i }));
  const step = range("step ", steps.length - 1, (i) => put(model, { step: i }));
  const measure = pick("measure ", Object.keys(curves), (i) => put(model, { measure: Object.keys(curves)[i] }));
  const counted = toggle("count pre-training's compute", (on) => put(model, { counted: on }));
  const article = pick("article ", articles.map((one) => one.title), (i) => put(model, { article: i }));
  const [plot, marks] = [h("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none" }), h("div", { class: "marks" })];
  const gaps = labels.map((n) => {
    const value = h("span", { class: "value" });
    return { value, node: h("div", { class: "gap" }, h("span", {}, `${count(n)} labels`), value) };
  });
  const words = h("p", { class: "words", "aria-live": "polite" });
  const [text, asked] = [h("blockquote", {}), h("caption", {})];
  const bars = topics.map((topic) => {
    const cells = KINDS.map((kind) => h("td", { class: `bar ${kind}` }));
    return { cells, node: h("tr", {}, h("th", { scope: "row" }, topic), cells) };
  });
  const body = h("tbody");

  /** Mean, lowest and highest of the seeds. */
  function seeds(start, i, k) {
    const all = curves[model.get("measure")][start][i].map((run) => run[k]);
    return [all.reduce((a, b) => a + b) / all.length, Math.min(...all), Math.max(...all)];
  }

  /** The scales of the picture: how a number of steps, or of tokens, becomes a place from 0 to 100. */
  function scales() {
    const m = model.get("measure");
    const most = Math.max(...curves[m].flat(3), ...long[m], ...rules.flatMap((rule) => rule[m]));
    const top = Math.ceil(10 * most + 0.1) / 10;
    const [least, last] = [Math.log10(perStep * steps[1]), Math.log10(past * 1.6)];
    const x = model.get("counted")
      ? (k, start) => (100 * (Math.log10(Math.max(1, k * perStep + (start ? 0 : past))) - least)) / (last - least)
      : (k) => (100 * k) / steps.at(-1);
    return { x, y: (value) => 100 - (100 * value) / top, top, least, last };
  }

  function drawPlot() {
    const [m, i, k, on] = ["measure", "size", "step", "counted"].map((name) => model.get(name));
    const { x, y, top, least, last } = scales();
    const line = (points, kind) => h("path", { class: kind, d: "M" + points.map(([a, b]) => `${a.toFixed(2)} ${b.toFixed(2)}`).join("L") });
    const drawn = STARTS.flatMap((_, s) => {
      const seen = steps.map((_, j) => j).filter((j) => !(on && s && !j)); // no place for 0 tokens on a scale of powers
      const at = (which) => seen.map((j) => [x(steps[j], s), y(seeds(s, i, j)[which])]);
      const band = h("path", { class: `band ${KINDS[s]}`, d: line([...at(1), ...at(2).reverse()]).getAttribute("d") + "Z" });
      return [band, line(at(0), `curve ${KINDS[s]}`)];
    });
    const goesOn = on && i === labels.length - 1;
    if (goesOn) drawn.push(line(long.steps.map((n, j) => [n, j]).filter(([n]) => n).map(([n, j]) => [x(n, 1), y(long[m][j])]), "curve nothing long"));
    const level = rules.map((rule, r) => line([[0, y(rule[m][i])], [100, y(rule[m][i])]], `rule rule${r}`));
    const ticks = Array.from({ length: Math.floor(5 * top + 1e-9) + 1 }, (_, j) => j / 5);
    const places = on
      ? [5, 6, 7].map((p) => [(100 * (p - least)) / (last - least), { 5: "100,000", 6: "1 million", 7: "10 million tokens" }[p]])
      : steps.map((n, j) => [x(n), j ? n : "step 0"]);
    const put_ = (kind, a, b, ...inner) => h("span", { class: kind, style: `left:${a}%;top:${b}%` }, ...inner);
    const dots = STARTS.map((_, s) => (on && s && !k ? [] : put_(`dot ${KINDS[s]}`, x(steps[k], s), y(seeds(s, i, k)[0]))));
    plot.replaceChildren(...ticks.map((t) => line([[0, y(t)], [100, y(t)]], "grid")), ...level, ...drawn);
    marks.replaceChildren(...[...dots, ticks.map((t) => put_("tick y", 0, y(t), share(t))), places.filter(([a]) => a <= 100).map(([a, name]) => put_("tick x", a, 100, name))].flat());
  }

  function drawTable() {
    body.replaceChildren(...(list.open ? labels.flatMap((n, i) => steps.map((at, k) => {
      const cells = STARTS.map((_, s) => seeds(s, i, k)).map(([mean, low, high]) => h("td", {}, `${share(mean)} (${share(low)} to ${share(high)})`));
      return h("tr", {}, h("th", { scope: "row" }, count(n)), h("td", {}, at), cells);
    })) : []));
  }

  function sentence() {
    const [m, i, k, on] = ["measure", "size", "step", "counted"].map((name) => model.get(name));
    const [a, b] = STARTS.map((_, s) => seeds(s, i, k)[0]);
    const now = `${count(labels[i])} labels, step ${steps[k]}: ${m} ${share(a)} pre-trained, ${share(b)} from nothing, a gap of ${print(Math.round(100 * (a - b)), 0)} points.`;
    const cheap = ` ${rules.map((rule) => `${rule.name}: ${share(rule[m][i])}`).join("; ")}.`;
    const spent = on ? ` Tokens of training so far: ${count(past + steps[k] * perStep)} against ${count(steps[k] * perStep)}.` : "";
    return now + cheap + spent;
  }

  function draw() {
    const [m, i, k, n] = ["measure", "size", "step", "article"].map((name) => model.get(name));
    [size.input.value, step.input.value] = [i, k];
    [size.output.value, step.output.value] = [count(labels[i]), steps[k]];
    size.input.setAttribute("aria-valuetext", `${count(labels[i])} labels`);
    step.input.setAttribute("aria-valuetext", `step ${steps[k]}`);
    measure.select.selectedIndex = Object.keys(curves).indexOf(m);
    counted.box.checked = model.get("counted");
    article.select.selectedIndex = n;
    gaps.forEach(({ value, node }, j) => {
      const gap = 100 * (seeds(0, j, k)[0] - seeds(1, j, k)[0]);
      say(value, `${print(gap, 0)} points`);
      value.style.setProperty("--to", `${Math.max(0, Math.min(100, 2 * gap))}%`);
      node.classList.toggle("here", j === i);
    });
    const one = articles[n];
    say(text, one.text);
    say(asked, `Which topic? It is filed under “${one.topic}” (✓)`);
    bars.forEach(({ cells, node }, t) => {
      node.classList.toggle("true", topics[t] === one.topic);
      cells.forEach((cell, s) => {
        const p = one.chances[s][i][k][t];
        say(cell, share(p));
        cell.style.setProperty("--to", `${100 * p}%`);
      });
    });
    say(words, sentence());
    drawPlot();
    drawTable();
  }

  const list = h("details", { ontoggle: drawTable }, h("summary", {}, "All curves as a table"),
    h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "all curves" },
      h("table", {}, h("caption", {}, "mean of the seeds, and their range"),
        h("thead", {}, h("tr", {}, ["labels", "step", ...STARTS].map((name) => h("th", { scope: "col" }, name)))), body)));
  const legend = h("p", { class: "legend", "aria-hidden": "true" }, STARTS.map((name, s) => h("span", { class: KINDS[s] }, name)),
    rules.map((rule, r) => h("span", { class: `rule${r}` }, rule.name)));
  const root = h("div", { class: "head-start", role: "group", "aria-label": "Pre-trained against from nothing" },
    h("div", { class: "controls" }, size.node, step.node, measure.node, counted), legend,
    h("div", { class: "plot", "aria-hidden": "true" }, plot, marks), words,
    h("p", { class: "legend" }, "the gap between the two at this step:"),
    h("div", { class: "gaps", role: "group", "aria-label": "the gap at this step" }, gaps.map(({ node }) => node)),
    h("div", { class: "controls" }, article.node), text,
    h("table", { class: "answers" }, asked, h("thead", {}, h("tr", {}, ["topic", ...STARTS].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, bars.map(({ node }) => node))), list);
  return live(model, el, root, TRAITS, draw);
}

export default { render };
