// The loss in the text: a passage as heat, −log₂ p behind each token, and what its reader expected at one place.
// Traits: tokens, readers [[name, [[bits, rank, entropy, best tokens, their p], …]], …], before, size [V, bytes],
// reader, against (−1: nobody), position.

const TRAITS = ["reader", "against", "position"];
const HOTTEST = 12; // bits: above it, the heat stays the same
const CLEAR = 8; // bits saved or lost against another reader: above it, the colour stays the same

const two = (x) => print(x, 2, true);
const one = (x) => print(x, 1, true);
const total = (numbers) => numbers.reduce((a, b) => a + b, 0);
const capital = (name) => name[0].toUpperCase() + name.slice(1);
const choices = (bits) => (bits < 16 ? one(2 ** bits) : Math.round(2 ** bits).toLocaleString("en-US"));

/** The least number of tokens that bring half of all bits. */
function half(bits) {
  let spent = 0;
  return [...bits].sort((a, b) => b - a).findIndex((cost) => (spent += cost) >= total(bits) / 2) + 1;
}

function render({ model, el }) {
  const [tokens, readers, before, [vocabulary, bytes]] = ["tokens", "readers", "before", "size"].map((name) => model.get(name));
  const guesses = (reader) => readers[reader][1];
  const costs = (reader) => guesses(reader).map((guess) => guess[0]);
  const go = (position) => put(model, { position });
  const pick = (label, options, change) => {
    const select = h("select", { onchange: () => change(select.selectedIndex) }, options.map((text) => h("option", {}, text)));
    return { select, node: h("label", {}, label, select) };
  };
  const reader = pick("read by ", readers.map(([name]) => name), (i) => put(model, { reader: i }));
  const against = pick("compared with ", ["nobody", ...readers.map(([name]) => name)], (i) => put(model, { against: i - 1 }));
  const position = h("input", { type: "range", min: 0, max: tokens.length - 1, step: 1, oninput: () => go(Number(position.value)) });
  const dearest = h("button", { type: "button", onclick: () => { go(next()); sought = true; } }, "next dearest ›");
  const words = h("p", { class: "words", "aria-live": "polite" });
  const whole = h("p", { class: "whole", "aria-live": "polite" });
  const legend = h("p", { class: "legend" });
  const cells = tokens.map((token, t) => h("span", {
    class: "token", onclick: () => go(t), onpointerenter: (event) => event.pointerType === "mouse" && go(t),
  }, h("span", {}, token), h("small", {})));
  const passage = h("div", { class: tokens.every((token) => token.length === 1) ? "passage characters" : "passage", "aria-hidden": "true" }, before && h("span", { class: "before" }, before),
    cells.map((cell, t) => (tokens[t].includes("⏎") ? [cell, h("br")] : cell)));
  const rows = Array.from({ length: guesses(0)[0][3].length + 1 }, () => {
    const [token, bar, share] = [h("th", { scope: "row" }), h("td", { class: "bar", "aria-hidden": "true" }), h("td", { class: "share" })];
    return { token, bar, share, node: h("tr", {}, token, bar, share) };
  });
  const title = h("caption");
  const body = h("tbody");
  const table = h("details", { ontoggle: drawTable }, h("summary", {}, "Every token as a table"),
    h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "every token and what it cost each reader" }, h("table", {},
      h("thead", {}, h("tr", {}, ["token", ...readers.flatMap(([name]) => [`${name}: bits`, "rank"])].map((name) => h("th", { scope: "col" }, name)))), body)));

  let sought = false;

  /** First the dearest token of all; then the one after the present token in the order of cost. */
  function next() {
    const cost = costs(model.get("reader"));
    const order = cost.map((_, t) => t).sort((a, b) => cost[b] - cost[a] || a - b);
    const here = order.indexOf(model.get("position"));
    return order[sought ? (here + 1) % order.length : 0];
  }

  function drawTable() {
    if (!table.open || body.childElementCount) return;
    body.replaceChildren(...tokens.map((token, t) => h("tr", {}, h("th", { scope: "row" }, token),
      readers.map((_, r) => [h("td", {}, two(guesses(r)[t][0])), h("td", {}, guesses(r)[t][1].toLocaleString("en-US"))]))));
  }

  function drawGuess(t) {
    const [bits, rank, , best, shares] = guesses(model.get("reader"))[t];
    title.textContent = `what ${readers[model.get("reader")][0]} expected here, and what came ✓`;
    rows.forEach((row, i) => {
      const extra = i === best.length; // a last row for what came, if it is not among the best
      row.node.hidden = extra && rank <= best.length;
      const [name, share] = extra ? [tokens[t], 2 ** -bits] : [best[i], shares[i]];
      const came = extra || i === rank - 1;
      row.token.textContent = name + (came ? " ✓" : "");
      row.token.setAttribute("aria-label", name + (came ? ", which came" : ""));
      row.node.classList.toggle("came", came);
      row.bar.style.setProperty("--to", `${100 * share}%`);
      row.share.textContent = share < 0.0005 ? "< 0.001" : print(share, 3, true);
    });
  }

  function draw() {
    const [r, other, t] = TRAITS.map((name) => model.get(name));
    const cost = costs(r), mean = total(cost) / cost.length, rival = other < 0 ? null : costs(other);
    reader.select.selectedIndex = r;
    against.select.selectedIndex = other + 1;
    position.value = t;
    position.setAttribute("aria-valuetext", `${tokens[t]}, ${two(cost[t])} bits`);
    cells.forEach((cell, i) => {
      const gain = rival ? rival[i] - cost[i] : 0;
      cell.style.setProperty("--heat", `${Math.round(75 * Math.min(1, rival ? Math.abs(gain) / CLEAR : cost[i] / HOTTEST))}%`);
      cell.classList.toggle("saved", gain > 0);
      cell.classList.toggle("now", i === t);
      const number = one(rival ? Math.abs(gain) : cost[i]);
      cell.lastChild.textContent = rival && number !== "0.0" ? (gain > 0 ? "−" : "+") + number : number;
    });
    legend.textContent = rival
      ? `under each token, bits more (+, orange) or fewer (−, green) than ${readers[other][0]}`
      : "under each token, the bits it cost; the darker, the more";
    drawGuess(t);
    const [bits, rank, entropy] = guesses(r)[t];
    say(words, `“${tokens[t]}” cost ${two(bits)} bits, rank ${rank.toLocaleString("en-US")} of ${vocabulary.toLocaleString("en-US")}. ` +
      `${capital(readers[r][0])} was as unsure here as among ${choices(entropy)} equal choices` +
      (rival ? `; ${readers[other][0]} paid ${two(rival[t])} bits.` : "."));
    say(whole, `${capital(readers[r][0])}, ${tokens.length} tokens: ${two(mean)} bits per token, ${two(total(cost) / bytes)} bits per byte, as unsure ` +
      `as among ${one(2 ** mean)} equal choices. Half of all bits fall on ${half(cost)} of the tokens.`);
  }

  const root = h("div", { class: "loss-text", role: "group", "aria-label": "The loss in the text" },
    h("div", { class: "controls" }, reader.node, readers.length > 1 && against.node, dearest), legend, passage,
    h("label", { class: "position" }, "token ", position), words,
    h("table", { class: "guess" }, title, h("tbody", {}, rows.map((row) => row.node))), whole, table);
  return live(model, el, root, TRAITS, draw);
}

export default { render };
