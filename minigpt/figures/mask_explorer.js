// Who may look at whom. Traits: examples ([{title, before, tokens, clm, mlm, plm}]), example, hidden, order, position, mean.

const TRAITS = ["examples", "example", "hidden", "order", "position", "mean"];
const NAMES = { clm: "CLM, as GPT", mlm: "MLM, as BERT", plm: "PLM, as XLNet" };
const RULES = { clm: "sees what stands before it", mlm: "sees what is not hidden", plm: "sees what comes before it in the order" };
const FIRST = ["1st", "2nd", "3rd", "4th", "5th"];

function permutations(items) {
  return items.length < 2 ? [items] : items.flatMap((one) => permutations(items.filter((x) => x !== one)).map((rest) => [one, ...rest]));
}

/** Row i: which share of token j may be seen when token i is guessed. */
function sees(objective, { tokens, hidden, order, mean }) {
  const all = tokens.map((_, i) => i), earlier = (o, i, j) => Number(o.indexOf(j) < o.indexOf(i));
  const orders = objective === "plm" && mean ? permutations(all) : [order];
  return all.map((i) => all.map((j) => {
    if (objective === "clm") return Number(j < i);
    if (objective === "mlm") return Number(!hidden[j]);
    return orders.reduce((sum, o) => sum + earlier(o, i, j), 0) / orders.length;
  }));
}

/** The probability of each true token; null where it is not asked for. */
function guesses(objective, { clm, mlm, plm, tokens, hidden, order, mean }) {
  if (objective === "clm") return clm;
  if (objective === "mlm") return mlm[hidden.map(Number).join("")] ?? tokens.map(() => null);
  if (!mean) return plm[order.join("")];
  return tokens.map((_, i) => Object.values(plm).reduce((sum, ps) => sum + ps[i], 0) / Object.keys(plm).length);
}

const probability = (p) => (p === null ? "not asked" : p < 0.0005 ? "< 0.001" : print(p, p < 0.0995 ? 3 : 2, true));
const share = (x) => (x === 0 || x === 1 ? String(x) : print(x, 2));

/** A grid as a table: a row per guess, a column per token. paint(rows, now) fills it. */
function grid(caption, T, last) {
  const heads = Array.from({ length: T }, () => h("th", { scope: "col" }, h("span")));
  const rows = Array.from({ length: T }, () => ({
    name: h("th", { scope: "row" }), cells: Array.from({ length: T }, () => h("td", { class: "cell" })), p: last && h("td", { class: "p" }),
  }));
  const table = h("table", {}, h("caption", {}, caption),
    h("thead", {}, h("tr", {}, h("th", { scope: "col", class: "corner" }, "guess"), heads, last ? h("th", { scope: "col" }, "p") : [])),
    h("tbody", {}, rows.map(({ name, cells, p }) => h("tr", {}, name, cells, p || []))));
  const paint = (tokens, matrix, ps, position, hidden) => rows.forEach(({ name, cells, p }, i) => {
    heads[i].firstChild.textContent = hidden?.[i] ? "▒▒" : tokens[i];
    name.textContent = tokens[i];
    name.parentNode.classList.toggle("chosen", i === position);
    name.parentNode.classList.toggle("idle", ps?.[i] === null);
    cells.forEach((cell, j) => {
      cell.textContent = share(matrix[i][j]);
      cell.style.setProperty("--share", `${100 * matrix[i][j]}%`);
      cell.classList.toggle("sees", matrix[i][j] > 0);
    });
    if (p) {
      p.textContent = probability(ps[i]);
      p.style.setProperty("--p", `${100 * (ps[i] ?? 0)}%`);
    }
  });
  return { table, paint };
}

function render({ model, el }) {
  const root = h("form", { class: "mask-explorer" });
  const T = model.get("order").length;
  const now = () => ({ ...model.get("examples")[model.get("example")], ...Object.fromEntries(TRAITS.slice(2).map((name) => [name, model.get(name)])) });
  const choice = (legend, name, labels, trait) => {
    const radios = labels.map((_, i) => h("input", { type: "radio", name, onchange: () => put(model, { [trait]: i }) }));
    const texts = labels.map((label) => h("span", {}, label));
    return { radios, texts, node: h("fieldset", { class: "choice" }, h("legend", {}, legend), radios.map((radio, i) => h("label", { class: "option" }, radio, texts[i]))) };
  };
  const examples = choice("sentence", "example", model.get("examples").map(({ title }) => title), "example");
  const positions = choice("look at the guess of", "position", Array(T).fill(""), "position");
  const before = h("p", { class: "before" });
  const words = h("p", { class: "words", "aria-live": "polite" });

  const hide = Array.from({ length: T }, (_, i) => h("button", {
    type: "button", onclick: () => put(model, { hidden: model.get("hidden").map((x, j) => (j === i ? !x : x)) }),
  }));

  function move(token, by) {
    const order = [...model.get("order")], from = order.indexOf(token), to = Math.max(0, Math.min(T - 1, from + by));
    order.splice(from, 1);
    order.splice(to, 0, token);
    put(model, { order, mean: false });
  }
  let dragged = null;
  const chips = Array.from({ length: T }, (_, token) => {
    const step = (by, sign) => h("button", { type: "button", onclick: () => move(token, by) }, sign);
    const [earlier, later, when, name] = [step(-1, "‹"), step(1, "›"), h("small"), h("b")];
    const handle = h("span", {
      class: "handle",
      onpointerdown(event) {
        dragged = token;
        handle.setPointerCapture(event.pointerId);
        event.preventDefault();
      },
      onpointermove(event) {
        if (dragged !== token) return;
        const box = node.getBoundingClientRect();
        if (event.clientX < box.left - 8) move(token, -1);
        if (event.clientX > box.right + 8) move(token, 1);
      },
      onpointerup: drop,
      onpointercancel: drop,
    }, when, name);
    function drop() {
      dragged = null;
      draw();
    }
    const node = h("li", { class: "chip" }, earlier, handle, later);
    return { node, earlier, later, when, name };
  });
  const strip = h("ol", { class: "strip", "aria-label": "the order in which the tokens are guessed" });
  const mean = toggle(`mean over all ${permutations([...Array(T).keys()]).length} orders`, (on) => put(model, { mean: on }));
  const grids = Object.fromEntries(Object.keys(NAMES).map((one) => [one, grid(RULES[one], T, true)]));
  const tools = { clm: h("p", { class: "none" }, "nothing to choose: the order is that of the text"), mlm: h("div", { class: "hide" }, "hide: ", hide), plm: [strip, mean] };
  const panels = Object.keys(NAMES).map((one) => h("section", { class: `panel ${one}`, "aria-label": NAMES[one] },
    h("p", { class: "title" }, NAMES[one]), h("div", { class: "tools" }, tools[one]), grids[one].table));
  const [content, query] = [grid("content stream: reads a token that it knows", T), grid("query stream: guesses a token that it must not know", T)];
  root.append(h("div", { class: "controls" }, model.get("examples").length > 1 ? examples.node : [], positions.node), before,
    h("div", { class: "panels" }, panels, words),
    h("details", {}, h("summary", {}, "Deeper, after 4.1: XLNet's two streams for this order"), h("div", { class: "panels" }, content.table, query.table)));

  function draw() {
    const state = now(), { tokens, hidden, order, position } = state;
    examples.radios.forEach((radio, i) => (radio.checked = i === model.get("example")));
    positions.radios.forEach((radio, i) => (radio.checked = i === position));
    positions.texts.forEach((text, i) => say(text, tokens[i]));
    before.hidden = !state.before;
    say(before, state.before ? `All three know what stands before: “${state.before}”` : "");
    hide.forEach((button, i) => {
      say(button, tokens[i]);
      button.setAttribute("aria-pressed", hidden[i]);
    });
    chips.forEach(({ node, earlier, later, when, name }, token) => {
      const place = order.indexOf(token);
      node.style.order = place;
      say(when, FIRST[place]);
      say(name, tokens[token]);
      earlier.setAttribute("aria-disabled", place === 0);
      later.setAttribute("aria-disabled", place === T - 1);
      earlier.setAttribute("aria-label", `guess ${tokens[token]} earlier`);
      later.setAttribute("aria-label", `guess ${tokens[token]} later`);
    });
    const wanted = order.map((token) => chips[token].node);
    if (dragged === null && wanted.some((node, i) => strip.children[i] !== node)) { // a moved node loses the focus
      const focused = strip.getRootNode().activeElement;
      strip.replaceChildren(...wanted);
      if (strip.contains(focused)) focused.focus();
    }
    mean.box.checked = state.mean;
    const said = Object.keys(NAMES).map((one) => {
      const matrix = sees(one, state), ps = guesses(one, state), p = ps[position];
      grids[one].paint(tokens, matrix, ps, position, one === "mlm" ? hidden : null);
      const name = one.toUpperCase();
      if (p === null) return `${name} does not ask for it`;
      if (one === "plm" && state.mean) return `${name} gives it ${probability(p)} on average over all orders`;
      return `${name} sees ${tokens.filter((_, j) => matrix[position][j]).join(" ") || "nothing of it"} and gives it ${probability(p)}`;
    });
    const places = order.map((token) => token + 1).join(" → ");
    say(words, `The guess of “${tokens[position]}”: ${said.join("; ")}. PLM's order is ${places}; every token keeps its place in the text.`);
    const seen = sees("plm", { ...state, mean: false });
    query.paint(tokens, seen, null, position);
    content.paint(tokens, seen.map((row, i) => row.map((x, j) => (i === j ? 1 : x))), null, position);
  }

  return live(model, el, root, TRAITS, draw);
}

export default { render };
