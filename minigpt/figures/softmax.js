// Softmax and temperature. Traits: tokens (names), logits (a number each), temperature.

const LOGIT_RANGE = [-6, 6];
const TEMPERATURE_RANGE = [0.1, 5];

/** exp(logit / temperature), divided by their sum. */
function softmax(logits, temperature) {
  const most = Math.max(...logits);
  const powers = logits.map((x) => Math.exp((x - most) / temperature));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((x) => x / sum);
}

/** A number as 4.5·10⁻⁵. */
const science = (x) => {
  const [digits, e] = x.toExponential(1).split("e");
  return `${digits}·10${e[0] === "-" ? "⁻" : ""}${[...e.slice(1)].map((d) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[d]).join("")}`;
};

function render({ model, el }) {
  const tokens = model.get("tokens");
  const start = { logits: model.get("logits"), temperature: model.get("temperature") };
  const slider = (label, [min, max], step, change) => {
    const input = h("input", { type: "range", min, max, step, "aria-label": label, oninput: () => change(Number(input.value)) });
    return input;
  };
  const temperature = slider("temperature", TEMPERATURE_RANGE, 0.05, (x) => put(model, { temperature: x }));
  const shownTemperature = h("output", {});
  const rows = tokens.map((token, i) => {
    const input = slider(`logit of ${token}`, LOGIT_RANGE, 0.1, (x) =>
      put(model, { logits: model.get("logits").map((old, j) => (j === i ? x : old)) }));
    const [logit, power, share, bits] = ["logit", "power", "share", "bits"].map((name) => h("td", { class: name }));
    const bar = h("td", { class: "bar", "aria-hidden": "true" });
    return { input, logit, power, share, bits, bar, node: h("tr", {}, h("th", { scope: "row" }, token), h("td", { class: "slide" }, input), logit, power, bar, share, bits) };
  });
  const reset = h("button", { type: "button", onclick: () => put(model, start) }, "Reset");
  const words = h("p", { class: "words", "aria-live": "polite" });
  const head = ["token", ["logit", 2], "eˣ, x = logit ÷ T", ["probability p", 2], "−log₂ p"].map((column) => {
    const [text, span] = [column].flat();
    return h("th", { scope: "col", colspan: span }, text);
  });

  function draw() {
    const [logits, T] = [model.get("logits"), model.get("temperature")];
    const p = softmax(logits, T);
    temperature.value = T;
    temperature.setAttribute("aria-valuetext", `temperature ${print(T)}`);
    shownTemperature.textContent = print(T, 2, true);
    rows.forEach((row, i) => {
      row.input.value = logits[i];
      row.logit.textContent = print(logits[i], 1, true);
      const power = Math.exp(logits[i] / T);
      row.power.textContent = power >= 1e5 || power < 0.005 ? science(power) : print(power, power < 10 ? 2 : power < 100 ? 1 : 0, true);
      row.bar.style.setProperty("--to", `${100 * p[i]}%`);
      row.share.textContent = print(p[i], 3, true);
      row.bits.textContent = print(-Math.log2(p[i]), 2, true);
    });
    const entropy = p.reduce((sum, x) => sum - (x > 0 ? x * Math.log2(x) : 0), 0);
    const best = p.indexOf(Math.max(...p));
    say(words, `“${tokens[best]}” gets ${print(p[best], 2, true)}. Average surprise of a draw, the entropy: ${print(entropy, 2, true)} bits, ` +
      `as much as among ${print(2 ** entropy, 1, true)} equally likely tokens.`);
  }

  const root = h("div", { class: "softmax", role: "group", "aria-label": "Softmax and temperature" },
    h("div", { class: "controls" }, h("label", {}, "temperature T ", temperature), shownTemperature, reset),
    h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows.map((row) => row.node))), words);
  return live(model, el, root, ["logits", "temperature"], draw);
}

export default { render };
