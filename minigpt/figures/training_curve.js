// The training-curve scrubber. Traits: training [[step, loss], …], validation [[step, loss], …], landmarks [[name, height], …] with
// the highest first, samples [[step, text, loss, what was measured], …], prompt, at (which sample).

const ON_THE_LINE = 0.05; // nats: as near as this, a loss stands on a landmark
const STRETCH = 10; // steps: so many at the start take as much room as later a doubling of the step
const [HIGH, LEFT, RIGHT, TOP, BOTTOM] = [280, 34, 10, 12, 38]; // the picture's height and margins, in pixels
const MARKS = [0, 10, 30, 100, 300, 1000, 3000, 10000, 30000, 100000];

const two = (x) => print(x, 2, true);
const whole = (n) => n.toLocaleString("en-US");
const curve = (points) => `M${points.map(([a, b]) => `${a.toFixed(1)} ${b.toFixed(1)}`).join("L")}`;

/** Where on the staircase a loss stands. */
function place(loss, landmarks) {
  const on = landmarks.find(([, height]) => Math.abs(loss - height) <= ON_THE_LINE);
  if (on) return `on the line of ${on[0]} (${two(on[1])})`;
  const above = landmarks.filter(([, height]) => height > loss).at(-1), below = landmarks.find(([, height]) => height <= loss);
  if (above && below) return `between ${above[0]} (${two(above[1])}) and ${below[0]} (${two(below[1])})`;
  const [name, height] = above ?? below;
  return `${two(Math.abs(height - loss))} ${above ? "below" : "above"} ${name} (${two(height)})`;
}

const explain = ([step, , loss, measured], landmarks) =>
  `Step ${whole(step)}: ${measured} ${two(loss)} nats per token, ${place(loss, landmarks)}.`;

function render({ model, el }) {
  const root = h("form", { class: "training-curve" });
  const [training, validation, landmarks, samples, prompt] =
    ["training", "validation", "landmarks", "samples", "prompt"].map((name) => model.get(name));
  const go = (at) => put(model, { at: Math.max(0, Math.min(samples.length - 1, at)) });
  const slider = h("input", { type: "range", min: 0, max: samples.length - 1, step: 1, "aria-label": "step of training", oninput: () => go(Number(slider.value)) });
  const shown = h("output");
  const back = h("button", { type: "button", "aria-label": "sample before", onclick: () => go(model.get("at") - 1) }, "‹");
  const next = h("button", { type: "button", "aria-label": "next sample", onclick: () => go(model.get("at") + 1) }, "›");
  const plot = h("svg", { role: "img", "aria-label": "The loss against the step, with horizontal landmarks", onpointerdown: drag, onpointermove: drag });
  const words = h("p", { class: "words", "aria-live": "polite" });
  const text = h("div", { class: "text" });
  const rows = samples.map((sample) => h("tr", {}, h("th", { scope: "row" }, whole(sample[0])), h("td", {}, two(sample[2])),
    h("td", {}, sample[3]), h("td", {}, place(sample[2], landmarks)), h("td", { class: "written" }, sample[1])));
  root.append(
    h("div", { class: "stepper" }, back, next, h("label", {}, h("span", {}, "step "), slider, shown)),
    h("p", { class: "note" }, "loss in nats per token"),
    plot,
    h("p", { class: "legend" }, h("i", { class: "key batch" }), "loss of each training batch ", h("i", { class: "key unseen" }), "validation loss ",
      h("i", { class: "key shown" }), "the sample below"),
    words,
    h("p", { class: "note" }, "what the model wrote at this step, after the bold prompt"),
    text,
    h("details", {}, h("summary", {}, "Every sample as a table"), h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "Every sample" },
      h("table", {}, h("thead", {}, h("tr", {}, ["step", "loss", "measured", "where", "text"].map((name) => h("th", { scope: "col" }, name)))),
        h("tbody", {}, rows)))));

  const last = training.at(-1)[0], losses = [...training, ...validation, ...landmarks].map(([, loss]) => loss);
  const [low, top] = [Math.min(...losses) - 0.1, Math.max(...losses) + 0.15];
  let wide = 0; // follows the page: the writing keeps its size on a phone
  const x = (step) => LEFT + ((wide - LEFT - RIGHT) * Math.log1p(step / STRETCH)) / Math.log1p(last / STRETCH);
  const y = (loss) => TOP + ((HIGH - TOP - BOTTOM) * (top - loss)) / (top - low);

  /** The pointer on the picture is a slider, too: the nearest sample is shown. */
  function drag(event) {
    if (!event.buttons) return;
    const at = event.clientX - plot.getBoundingClientRect().left, away = samples.map(([step]) => Math.abs(x(step) - at));
    go(away.indexOf(Math.min(...away)));
  }

  function drawPlot() {
    const [step, , loss] = samples[model.get("at")], ticks = [...MARKS.filter((n) => n < 0.6 * last), last];
    const heights = Array.from({ length: Math.floor(top) + 1 }, (_, i) => i).filter((n) => n > low);
    plot.setAttribute("viewBox", `0 0 ${wide} ${HIGH}`);
    plot.replaceChildren(
      ...ticks.flatMap((n) => [h("line", { class: "grid", x1: x(n), x2: x(n), y1: TOP, y2: HIGH - BOTTOM }),
        h("text", { x: x(n), y: HIGH - BOTTOM + 15, "text-anchor": n === last ? "end" : "middle" }, whole(n))]),
      ...heights.map((n) => h("text", { x: LEFT - 6, y: y(n) + 4, "text-anchor": "end" }, n)),
      h("text", { x: (LEFT + wide) / 2, y: HIGH - 4, "text-anchor": "middle" }, "step (the first are stretched)"),
      h("path", { class: "batches", d: curve(training.map(([n, value]) => [x(n), y(value)])) }),
      ...landmarks.flatMap(([name, height]) => [h("line", { class: "landmark", x1: LEFT, x2: wide - RIGHT, y1: y(height), y2: y(height) }),
        h("text", { class: "name", x: wide - RIGHT, y: y(height) - 4, "text-anchor": "end" }, `${name} ${two(height)}`)]),
      ...validation.map(([n, value]) => h("circle", { class: "unseen", cx: x(n), cy: y(value), r: 3.5 })),
      h("line", { class: "now", x1: x(step), x2: x(step), y1: TOP, y2: HIGH - BOTTOM }),
      h("circle", { class: "shown", cx: x(step), cy: y(loss), r: 7 }));
  }

  function draw() {
    const at = model.get("at"), sample = samples[at];
    slider.value = at;
    slider.setAttribute("aria-valuetext", `step ${whole(sample[0])}`);
    say(shown, whole(sample[0]));
    back.disabled = at === 0;
    next.disabled = at === samples.length - 1;
    if (wide) drawPlot();
    say(words, explain(sample, landmarks));
    text.replaceChildren(h("b", {}, prompt), sample[1]);
    rows.forEach((row, i) => row.classList.toggle("now", i === at));
  }

  const watch = new ResizeObserver(() => {
    const now = Math.round(plot.getBoundingClientRect().width);
    if (!now || now === wide) return;
    wide = now;
    drawPlot();
  });
  watch.observe(plot);
  const end = live(model, el, root, ["at"], draw);
  return () => {
    watch.disconnect();
    end();
  };
}

export default { render };
