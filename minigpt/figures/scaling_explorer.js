// The isoFLOP wall. Traits: stops (FLOPs), runs [[stop, N, tokens, bits, mine], …], valleys [[best N, low, high, bits, parabola in log₁₀ N, its ends], …],
// laws {"1101": {size, bits: {exponent: [fitted, low, high], line: [[fitted, low, high], …]}}}, stop, kept (0 or 1 a budget), axis.

const TRAITS = ["stops", "runs", "valleys", "laws", "stop", "kept", "axis"];
const [WIDE, HIGH, LEFT, TOP, BOTTOM] = [380, 270, 46, 12, 38]; // a picture and its margins
const SUPERSCRIPT = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** 950, 9.7 k, 430 k, 1.5 M: three digits. */
function count(x) {
  for (const [unit, size] of [["G", 1e9], ["M", 1e6], ["k", 1e3]])
    if (x >= 0.9995 * size) return `${Number((x / size).toPrecision(3))} ${unit}`;
  return `${Number(x.toPrecision(3))}`;
}

/** 10¹⁰, 3·10¹⁰. */
function powerOfTen(x) {
  const exponent = Math.floor(Math.log10(x * 1.0001)), digits = Math.round(x / 10 ** exponent);
  return `${digits === 1 ? "" : `${digits}·`}10${[...String(exponent)].map((digit) => SUPERSCRIPT[digit]).join("")}`;
}

/** A scale: numbers from low … high to pixels from … to, on log paper if `log`. */
function scale(low, high, from, to, log) {
  const f = log ? Math.log10 : (x) => x;
  return (x) => from + ((to - from) * (f(x) - f(low))) / (f(high) - f(low));
}

/** 1, 2 and 5 times the powers of ten between low and high; only the powers if they are many. */
function ticks(low, high) {
  const all = [];
  for (let k = Math.floor(Math.log10(low)); 10 ** k <= high; k++) all.push(...[1, 2, 5].map((m) => m * 10 ** k));
  const inside = all.filter((x) => x >= low && x <= high);
  return inside.length > 5 ? inside.filter((x) => Number.isInteger(Math.round(Math.log10(x) * 1e6) / 1e6)) : inside;
}

/** Axes with labelled ticks. */
function frame(x, y, xs, ys, xLabel, yLabel, xText, yText) {
  const [right, bottom] = [WIDE - 8, HIGH - BOTTOM];
  return [
    ys.map((v) => [h("line", { class: "grid", x1: LEFT, x2: right, y1: y(v), y2: y(v) }), h("text", { x: LEFT - 5, y: y(v) + 4, "text-anchor": "end" }, yText(v))]),
    xs.map((v) => [h("line", { class: "grid", x1: x(v), x2: x(v), y1: TOP + 12, y2: bottom }), h("text", { x: x(v), y: bottom + 15, "text-anchor": "middle" }, xText(v))]),
    h("text", { x: (LEFT + right) / 2, y: HIGH - 5, "text-anchor": "middle" }, xLabel),
    h("text", { x: LEFT + 5, y: TOP + 4 }, yLabel),
  ];
}

const curve = (points) => `M${points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}`;
const within = ([, low, high], show) => `90 %: ${show(low)} to ${show(high)}`;

function render({ model, el }) {
  const root = h("form", { class: "scaling-explorer" });
  const { stops, valleys, runs } = Object.fromEntries(["stops", "valleys", "runs"].map((name) => [name, model.get(name)]));
  const slider = h("input", { type: "range", min: 0, max: stops.length - 1, step: 1, "aria-label": "budget of compute", oninput: () => put(model, { stop: Number(slider.value) }) });
  const shown = h("output");
  const axes = [["size", "best size"], ["bits", "its bits"]].map(([axis, name]) => {
    const radio = h("input", { type: "radio", name: "axis", onchange: () => put(model, { axis }) });
    return { axis, radio, node: h("label", { class: "option" }, radio, h("span", {}, name)) };
  });
  const boxes = valleys.map((_, i) => toggle(powerOfTen(stops[i]), (on) => put(model, { kept: model.get("kept").map((k, j) => (j === i ? Number(on) : k)) })));
  const [wall, frontier] = ["Bits per byte against size, all budgets", "The law through the lowest points"].map((words) =>
    h("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": words }));
  const words = h("p", { class: "words", "aria-live": "polite" });
  const [cells, laws] = [h("tbody"), h("tbody")];
  const table = (caption, heads, body) => h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": caption },
    h("table", {}, h("caption", {}, caption), h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))), body));
  root.append(
    h("label", { class: "budget" }, h("span", {}, "compute "), slider, shown),
    h("div", { class: "pictures" },
      h("div", {}, h("p", { class: "title" }, "A valley for every budget"), wall),
      h("div", {}, h("fieldset", { class: "choice" }, h("legend", {}, "the law of the"), axes.map(({ node }) => node)), frontier)),
    h("fieldset", { class: "choice" }, h("legend", {}, "the law is fitted to the budgets"), boxes),
    words,
    h("details", {}, h("summary", {}, "The numbers as tables"),
      table("the runs of this budget", ["weights N", "bytes read D", "bits per byte", "whose"], cells),
      table("the law at every budget", ["FLOPs", "best size", "90 %", "its bits", "90 %"], laws)));

  const bits = runs.map((run) => run[3]), sizes = runs.map((run) => run[1]);
  const x = scale(Math.min(...sizes) / 1.2, Math.max(...sizes) * 1.2, LEFT, WIDE - 8, true);
  const y = scale(Math.min(...bits) - 0.08, Math.max(...bits) + 0.08, HIGH - BOTTOM, TOP + 12, false);
  const halves = [];
  for (let b = Math.ceil(2 * Math.min(...bits)) / 2; b <= Math.max(...bits); b += 0.5) halves.push(b);

  function drawWall(stop) {
    const lines = valleys.map(([, , , , [a, b, c], ends], i) => {
      const [low, high] = ends.map(Math.log10);
      const points = Array.from({ length: 25 }, (_, k) => low + ((high - low) * k) / 24);
      return h("path", { class: i === stop ? "curve now" : "curve", d: curve(points.map((s) => [x(10 ** s), y(a * s * s + b * s + c)])) });
    });
    const dots = runs.map(([at, size, tokens, loss, mine]) => h("circle", {
      class: `${at === stop ? "run now" : "run"}${mine ? " mine" : ""}`, cx: x(size), cy: y(loss), r: mine ? 6 : at === stop ? 4 : 2.5,
    }));
    const best = valleys[stop] ? [h("circle", { class: "best", cx: x(valleys[stop][0]), cy: y(valleys[stop][3]), r: 9 })] : [];
    wall.replaceChildren(...[frame(x, y, ticks(Math.min(...sizes), Math.max(...sizes)), halves, "weights N (log paper)", "bits per byte", count, (v) => print(v, 1, true)), lines, dots, best].flat(Infinity));
  }

  function drawFrontier(stop, axis, kept, law) {
    const measured = valleys.map((valley) => (axis === "size" ? valley[0] : valley[3]));
    const all = [...law.line.flat(), ...measured];
    const [low, high] = axis === "size" ? [Math.min(...all) / 1.5, Math.max(...all) * 2] : [Math.min(...all) * 0.95, Math.max(...all) * 1.1];
    const u = scale(stops[0] / 1.5, stops.at(-1) * 1.5, LEFT, WIDE - 8, true), v = scale(low, high, HIGH - BOTTOM, TOP + 12, true);
    const side = (k) => law.line.map((at, i) => [u(stops[i]), v(at[k])]);
    const text = axis === "size" ? count : (b) => print(b, 1, true);
    const steps = axis === "size" ? ticks(low, high) : [1, 1.5, 2, 2.5, 3, 3.5, 4].filter((b) => b > low && b < high);
    const marks = measured.map((value, i) => {
      const [px, py] = [u(stops[i]), v(value)];
      const bar = axis === "size" ? [h("line", { class: "bar", x1: px, x2: px, y1: v(valleys[i][1]), y2: v(valleys[i][2]) })] : [];
      return [...bar, kept[i] ? h("circle", { class: "point", cx: px, cy: py, r: 5 }) : h("path", { class: "left-out", d: `M${px - 5} ${py - 5}L${px + 5} ${py + 5}M${px - 5} ${py + 5}L${px + 5} ${py - 5}` })];
    });
    const tens = stops.filter((stop) => Math.abs(Math.log10(stop) % 1) < 1e-6);
    frontier.replaceChildren(...[
      frame(u, v, tens, steps, "compute in FLOPs (log paper)", axis === "size" ? "best N (log paper)" : "bits per byte (log paper)", powerOfTen, text),
      h("path", { class: "band", d: `${curve([...side(1), ...side(2).reverse()])}Z` }), h("path", { class: "law", d: curve(side(0)) }), marks,
      h("line", { class: "here", x1: u(stops[stop]), x2: u(stops[stop]), y1: TOP + 12, y2: HIGH - BOTTOM }),
    ].flat(Infinity));
  }

  function explain(stop, kept, law) {
    const budget = `With ${powerOfTen(stops[stop])} FLOPs`, own = runs.filter((run) => run[0] === stop);
    const exponent = law.size.exponent, slope = (e) => print(e, 2, true);
    const tail = ` Through ${kept.reduce((a, b) => a + b)} budgets, the best size grows like compute to the power ${slope(exponent[0])} (${within(exponent, slope)}).`;
    if (!valleys[stop]) {
      const [size, loss] = [law.size.line[stop], law.bits.line[stop]];
      return `${budget} nothing was run. If the lines went on: ${count(size[0])} weights (${within(size, count)}), ${print(loss[0], 2, true)} bits per byte.${tail}`;
    }
    const largest = Math.max(...own.map((run) => run[1])), needs = own.filter((run) => run[1] === largest).map((run) => run[3]);
    return `${budget}, ${own.length} runs: the valley is lowest at ${count(valleys[stop][0])} weights (${within(valleys[stop], count)}) with ` +
      `${print(valleys[stop][3], 2, true)} bits per byte; the largest model, ${count(largest)}, needs ${print(needs.reduce((a, b) => a + b) / needs.length, 2, true)}.${tail}`;
  }

  function draw() {
    const [stop, kept, axis] = ["stop", "kept", "axis"].map((name) => model.get(name)), law = model.get("laws")[kept.join("")];
    slider.value = stop;
    slider.setAttribute("aria-valuetext", `${powerOfTen(stops[stop])} FLOPs`);
    say(shown, `${powerOfTen(stops[stop])} FLOPs${valleys[stop] ? "" : ", not measured"}`);
    axes.forEach((one) => (one.radio.checked = one.axis === axis));
    const few = kept.reduce((a, b) => a + b) <= 2; // two points are the fewest that fix a line
    boxes.forEach(({ box }, i) => Object.assign(box, { checked: kept[i] === 1, disabled: few && kept[i] === 1 }));
    drawWall(stop);
    drawFrontier(stop, axis, kept, law[axis]);
    say(words, explain(stop, kept, law));
    const own = runs.filter((run) => run[0] === stop).sort((a, b) => a[1] - b[1]);
    cells.replaceChildren(...(own.length ? own.map(([, size, tokens, loss, mine]) => h("tr", {}, h("th", { scope: "row" }, count(size)),
      h("td", {}, count(tokens)), h("td", {}, print(loss, 2, true)), h("td", {}, mine ? "yours" : "the book's")))
      : [h("tr", {}, h("td", { colspan: 4 }, "no run with this budget"))]));
    const range = ([, low, high], show) => `${show(low)} to ${show(high)}`, two = (b) => print(b, 2, true);
    laws.replaceChildren(...stops.map((flops, i) => h("tr", {}, h("th", { scope: "row" }, powerOfTen(flops)),
      h("td", {}, count(law.size.line[i][0])), h("td", {}, range(law.size.line[i], count)),
      h("td", {}, two(law.bits.line[i][0])), h("td", {}, range(law.bits.line[i], two)))));
  }

  return live(model, el, root, TRAITS, draw);
}

export default { render };
