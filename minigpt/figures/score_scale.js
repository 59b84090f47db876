// √d_k. Traits: sizes, plain and scaled (for each size {std, bins, weights, slope}), index (into sizes), divide.

const TRAITS = ["sizes", "plain", "scaled", "index", "divide"];
const EDGE = 64; // the histogram reaches from −64 to 64
const [WIDE, HIGH] = [240, 110]; // a panel, in the drawing's units
const WAYS = { plain: "not divided", scaled: "divided by √d" };

/** A panel: a heading, a drawing and what stands under it. */
function panel(title, marks, ...under) {
  const svg = h("svg", { viewBox: `0 -4 ${WIDE} ${HIGH + 8}`, "aria-hidden": "true" }, marks, h("line", { class: "axis", x1: 0, x2: WIDE, y1: HIGH, y2: HIGH }));
  return h("div", { class: "panel" }, h("strong", {}, title), svg, h("p", { class: "note under" }, under.map((text) => h("span", {}, text))));
}

const bars = (count) => Array.from({ length: count }, (_, i) => h("rect", { class: "bar", x: (WIDE / count) * i + 0.5, width: WIDE / count - 1 }));
const raise = (nodes, shares, most) => nodes.forEach((bar, i) => {
  bar.setAttribute("y", HIGH * (1 - shares[i] / most));
  bar.setAttribute("height", (HIGH * shares[i]) / most);
});

function explain(d, divide, now, other) {
  const gain = divide ? now.slope - other.slope : other.slope - now.slope;
  const said = `d = ${d}, ${divide ? WAYS.scaled : WAYS.plain}: the scores have standard deviation ${print(now.std, 2, true)}. Of ${now.weights.length} keys ` +
    `the first gets ${print(now.weights[0], 2, true)} of the weight on average; the slope of the softmax is ${print(now.slope, 2, true)}. `;
  if (d === 1) return `${said}√1 = 1: the division changes nothing.`;
  if (Math.abs(gain) < 0.05) return `${said}At this width the division gains little: ${print(other.slope, 2, true)} ${divide ? "without" : "with"} it.`;
  return `${said}${divide ? "Not divided, it would be" : "Divided, it would be"} ${print(other.slope, 2, true)}.`;
}

function render({ model, el }) {
  const root = h("form", { class: "score-scale" });
  const now = () => Object.fromEntries(TRAITS.map((name) => [name, model.get(name)]));
  const { sizes, plain, scaled } = now(), last = sizes.length - 1;
  const slider = h("input", { type: "range", min: 0, max: last, "aria-label": "width d of queries and keys", oninput: () => put(model, { index: Number(slider.value) }) });
  const shown = h("output", {});
  const divide = toggle("divide by √d", (on) => put(model, { divide: on }));

  const histogram = bars(plain[0].bins.length), weights = bars(plain[0].weights.length);
  const beyond = h("p", { class: "note" });
  const most = Math.max(...plain.concat(scaled).map((one) => one.slope)) * 1.1;
  const at = (i) => 8 + ((WIDE - 16) * i) / Math.max(1, last), up = (slope) => HIGH * (1 - slope / most);
  const curve = (way, name) => h("path", { class: `curve ${name}`, d: `M${way.map((one, i) => `${at(i)} ${up(one.slope)}`).join(" L")}` });
  const dot = h("circle", { r: 5 });
  const words = h("p", { class: "words", "aria-live": "polite" });
  const number = (x) => h("td", {}, print(x, 2, true));
  const rows = sizes.map((d, i) => h("tr", {}, h("th", { scope: "row" }, d), [plain[i], scaled[i]].map((one) => [number(one.std), number(one.weights[0]), number(one.slope)])));
  const head = ["d", "std", "largest weight", "slope", "std, divided", "largest weight, divided", "slope, divided"].map((name) => h("th", { scope: "col" }, name));

  root.append(
    h("div", { class: "controls" }, h("label", { class: "slide" }, h("span", {}, "d "), slider), shown, divide),
    h("div", { class: "panels" },
      panel("Scores q · k", histogram, `−${EDGE}`, "0", `${EDGE}`),
      panel(`Softmax over ${weights.length} keys`, weights, "largest", "", "smallest"),
      panel("Slope of the softmax", [curve(plain, "plain"), curve(scaled, "scaled"), dot], `d = ${sizes[0]}`, "", sizes[last])),
    h("p", { class: "note" }, "The tallest bar of the histogram always fills its panel: compare widths. Full height is 1 for the weights and ",
      `${print(most, 2)} for the slope. Dashed: not divided; solid: divided. `, beyond),
    words,
    h("p", { class: "note" }, "Assumed throughout: all numbers in queries and keys are independent, with mean 0 and variance 1."),
    h("details", {}, h("summary", {}, "Every width as a table"),
      h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "Every width" }, h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows)))));

  function draw() {
    const { index, divide: on } = now(), [one, other] = on ? [scaled[index], plain[index]] : [plain[index], scaled[index]];
    slider.value = index;
    slider.setAttribute("aria-valuetext", `d = ${sizes[index]}`);
    say(shown, `= ${sizes[index]}`);
    divide.box.checked = on;
    root.dataset.way = on ? "scaled" : "plain";
    raise(histogram, one.bins, Math.max(...one.bins));
    raise(weights, one.weights, 1);
    dot.setAttribute("cx", at(index));
    dot.setAttribute("cy", up(one.slope));
    const outside = 1 - one.bins.reduce((a, b) => a + b);
    say(beyond, outside > 1e-3 ? `${print(100 * outside, 1)}% of the scores lie outside the picture.` : "Fewer than 1 score in 1,000 lies outside the picture.");
    rows.forEach((row, i) => row.classList.toggle("now", i === index));
    say(words, explain(sizes[index], on, one, other));
  }

  return live(model, el, root, TRAITS, draw);
}

export default { render };
