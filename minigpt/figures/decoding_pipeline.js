// The decoding pipeline. Traits: prompt, tokens, logits, seen (places in tokens), rest ([logit, how many] of the other
// tokens), and the knobs: penalty, temperature, top_k (0: all), top_p, stage (the column that stands out).

const KNOBS = ["penalty", "temperature", "top_k", "top_p"];
const STAGES = ["softmax of the logits", "repetition penalty", "temperature", "top-k", "top-p", "renormalised"];
const SHOWN = 12; // tokens with a row of their own

/**
 * What each stage makes of the tokens, in the order of the libraries: [{mass, kept}] for each of the six STAGES.
 * A group is one token, or all of the rest that share a logit; mass is a group's probability, kept how many of its tokens
 * are still in. The stages top-k and top-p show what they keep before it is made to sum to 1.
 */
function decode({ logits, seen, rest, penalty, temperature, top_k, top_p }) {
  const count = [...logits.map(() => 1), ...rest.map(([, n]) => n)];
  const raw = [...logits, ...rest.map(([logit]) => logit)];
  const soft = (scores) => {
    const most = Math.max(...scores);
    const powers = scores.map((x, g) => count[g] * Math.exp(x - most));
    const sum = powers.reduce((a, b) => a + b);
    return powers.map((x) => x / sum);
  };
  const penalized = raw.map((x, g) => (!seen.includes(g) ? x : x < 0 ? x * penalty : x / penalty));
  const best = penalized.indexOf(Math.max(...penalized));
  const warm = penalized.map((x, g) => (temperature > 0 ? x / temperature : g === best ? 0 : -Infinity));
  const order = warm.map((_, g) => g).sort((a, b) => warm[b] - warm[a]);
  let before = 0;
  let least = -Infinity; // the k-th best score; its equals stay too
  for (const g of order) if (top_k && before < top_k) [before, least] = [before + count[g], warm[g]];
  const inTopK = warm.map((x, g) => (x >= least && x > -Infinity ? count[g] : 0));
  const hot = soft(warm);
  const afterTopK = hot.map((p, g) => (inTopK[g] ? p : 0));
  const total = afterTopK.reduce((a, b) => a + b);
  const inTopP = inTopK.map(() => 0);
  before = 0;
  for (const g of order.filter((g) => inTopK[g])) { // kept: every token whose betters do not reach p
    const each = afterTopK[g] / total / count[g];
    inTopP[g] = top_p < 1 ? Math.max(0, Math.min(inTopK[g], Math.ceil((top_p - before) / each - 1e-12))) : inTopK[g];
    before += each * inTopK[g];
  }
  const afterTopP = afterTopK.map((p, g) => p * inTopP[g] / count[g]);
  const sum = afterTopP.reduce((a, b) => a + b);
  const all = warm.map((x, g) => (x > -Infinity ? count[g] : 0));
  return [
    { mass: soft(raw), kept: count }, { mass: soft(penalized), kept: count }, { mass: hot, kept: all },
    { mass: afterTopK, kept: inTopK }, { mass: afterTopP, kept: inTopP }, { mass: afterTopP.map((p) => p / sum), kept: inTopP },
  ];
}

/** Bits of surprise to expect from a draw: the tokens of a group are equally likely. */
const entropyOf = ({ mass, kept }) => mass.reduce((bits, p, g) => bits - (p > 0 ? p * Math.log2(p / kept[g]) : 0), 0);

/** Numbers between 0 and 1 that look random and are the same in every browser (mulberry32). */
function dice(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function render({ model, el }) {
  const [tokens, rest] = [model.get("tokens"), model.get("rest")];
  const others = rest.reduce((n, [, count]) => n + count, 0);
  const size = tokens.length + others;
  const start = Object.fromEntries(KNOBS.map((name) => [name, model.get(name)]));
  const few = Math.min(SHOWN, tokens.length);
  let drawn = [];
  let throwDie = dice(1);

  const slider = (name, label, min, max, step, say) => {
    const input = h("input", { type: "range", min, max, step, "aria-label": label, oninput: () => put(model, { [name]: Number(input.value) }) });
    const shown = h("output", {});
    const draw = () => {
      input.value = model.get(name);
      shown.textContent = say(model.get(name));
      input.setAttribute("aria-valuetext", shown.textContent);
    };
    return { draw, node: h("label", {}, h("span", {}, label), input, shown) };
  };
  const sliders = [
    slider("penalty", "repetition penalty", 1, 2, 0.05, (x) => (x === 1 ? "1: none" : print(x))),
    slider("temperature", "temperature", 0, 3, 0.05, (x) => (x === 0 ? "0: greedy" : print(x))),
    slider("top_k", "top-k", 0, tokens.length, 1, (x) => (x === 0 ? "all" : String(x))),
    slider("top_p", "top-p", 0.05, 1, 0.05, (x) => (x === 1 ? "1: all" : print(x))),
  ];
  const chips = STAGES.map((stage, i) => {
    const radio = h("input", { type: "radio", name: "stage", onchange: () => put(model, { stage: i }) });
    return { radio, node: h("label", { class: "chip" }, radio, h("span", {}, stage)) };
  });
  const heads = STAGES.map((stage) => h("th", { scope: "col" }, stage));
  const row = (name) => {
    const cells = STAGES.map(() => h("td", { class: "bar" }));
    const count = h("td", { class: "count" });
    const label = h("th", { scope: "row" }, name);
    return { cells, count, label, node: h("tr", {}, label, cells, count) };
  };
  const rows = Array.from({ length: few }, (_, g) => row(tokens[g])).concat(row(`${(size - few).toLocaleString("en")} more`));
  const countHead = h("th", { scope: "col", class: "count" }, "drawn");
  const table = h("table", {}, h("thead", {}, h("tr", {}, h("td"), heads, countHead)), h("tbody", {}, rows.map(({ node }) => node)));
  const words = h("p", { class: "words", "aria-live": "polite" });
  const button = (text, act) => h("button", { type: "button", onclick: act }, text);

  const read = () => Object.fromEntries(["logits", "seen", "rest", ...KNOBS].map((name) => [name, model.get(name)]));

  function throwDice(times) {
    const { mass } = decode(read())[5];
    const named = mass.slice(0, few);
    for (let i = 0; i < times; i++) {
      let left = throwDie();
      const g = named.findIndex((p) => (left -= p) < 0);
      drawn.push(g < 0 ? few : g);
    }
    draw();
  }

  function draw() {
    const state = read();
    const stages = decode(state);
    const stage = model.get("stage");
    sliders.forEach((slider) => slider.draw());
    chips.forEach(({ radio }, i) => (radio.checked = i === stage));
    heads.forEach((head, i) => head.classList.toggle("now", i === stage));
    rows.forEach(({ cells, count, label }, r) => {
      const groups = r < few ? [r] : stages[0].mass.map((_, g) => g).slice(few);
      const sum = (list) => groups.reduce((total, g) => total + list[g], 0);
      stages.forEach(({ mass, kept }, i) => {
        const [p, left] = [sum(mass), sum(kept)];
        const was = i === 3 || i === 4 ? sum(stages[i - 1].mass) : p; // what top-k and top-p drop stays visible, hatched
        cells[i].textContent = left ? print(p, 3, true) : "✕";
        cells[i].classList.toggle("dropped", !left);
        cells[i].classList.toggle("now", i === stage);
        cells[i].style.setProperty("--to", `${100 * p}%`);
        cells[i].style.setProperty("--was", `${100 * was}%`);
      });
      const times = drawn.filter((g) => g === r).length;
      count.textContent = drawn.length ? `${times}` : "–";
      count.title = drawn.length ? `expected ${print(drawn.length * sum(stages[5].mass), 1, true)}` : "";
      label.classList.toggle("seen", r < few && state.seen.includes(r));
      label.classList.toggle("out", !sum(stages[5].kept));
    });
    countHead.textContent = drawn.length ? `drawn of ${drawn.length}` : "drawn";
    const kept = stages[5].kept.reduce((a, b) => a + b);
    const bits = entropyOf(stages[5]);
    const best = stages[5].mass.slice(0, tokens.length).reduce((b, p, g, all) => (p > all[b] ? g : b), 0);
    say(words, `${kept.toLocaleString("en")} of ${size.toLocaleString("en")} tokens can be drawn. “${tokens[best]}” is the likeliest, with ` +
      `${print(stages[5].mass[best], 3, true)}. Entropy: ${print(bits, 2, true)} bits, as much as among ${(2 ** bits).toLocaleString("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 })} equally likely tokens.` +
      (drawn.length ? ` Last drawn: ${drawn.at(-1) < few ? `“${tokens[drawn.at(-1)]}”` : "one of the others"}.` : ""));
  }

  const root = h("div", { class: "decoding", role: "group", "aria-label": "Decoding pipeline" },
    h("p", { class: "prompt" }, model.get("prompt"), h("span", { class: "gap", "aria-label": "next token" }, " ?")),
    h("div", { class: "knobs" }, sliders.map(({ node }) => node)),
    h("div", { class: "chips", role: "radiogroup", "aria-label": "stage" }, chips.map(({ node }) => node)),
    h("div", { class: "scroll" }, table),
    h("div", { class: "buttons" }, button("Draw 1", () => throwDice(1)), button("Draw 200", () => throwDice(200)),
      button("Reset", () => {
        put(model, start);
        [drawn, throwDie] = [[], dice(1)];
        draw();
      })),
    words, h("p", { class: "key" }, "Hatched, with ✕: dropped at this stage or before. Underlined: stands in the prompt. Top-k and top-p cut; renormalised, what is left sums to 1."));
  const forget = () => {
    drawn = []; // another distribution: the old draws say nothing about it
    draw();
  };
  const end = live(model, el, root, ["stage"], draw);
  for (const name of KNOBS) model.on(`change:${name}`, forget);
  return () => {
    for (const name of KNOBS) model.off(`change:${name}`, forget);
    end();
  };
}

export default { render };
