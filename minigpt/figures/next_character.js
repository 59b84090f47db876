// What comes next? A table of counts beside a GPT, on one passage; or the reader guesses first.
// Traits: text, start (the first character asked for), vocabulary (its size), counted {smoothing: [context][position]},
// gpt [position], position, context, smoothing, game, outcomes. A guess is [bits, rank, best characters, their probabilities].

const TRAITS = ["position", "context", "smoothing", "game", "outcomes"];
const NAMES = { "kneser-ney": "Kneser–Ney", "witten-bell": "Witten–Bell" };
const visible = (char) => ({ " ": "␣", "\n": "⏎" })[char] ?? char;
const spoken = (char) => ({ " ": "space", "\n": "line break" })[char] ?? `“${char}”`;
const mean = (numbers) => numbers.reduce((a, b) => a + b, 0) / Math.max(1, numbers.length);

/** Bits per character of a guesser whose outcomes are ranks (0: given up): Shannon's upper bound, the entropy of the
 *  ranks, and log₂ of the alphabet for each character given up. */
function rankBits(ranks, vocabulary) {
  const shares = [...new Set(ranks)].map((one) => ranks.filter((rank) => rank === one).length / ranks.length);
  const lost = ranks.filter((rank) => rank === 0).length / Math.max(1, ranks.length);
  return shares.reduce((sum, share) => sum - share * Math.log2(share), 0) + lost * Math.log2(vocabulary);
}

/** The five likeliest characters of one model as bars, the one that came marked. */
function panel() {
  const title = h("caption");
  const rows = Array.from({ length: 5 }, () => {
    const [char, bar, share] = [h("th", { scope: "row" }), h("td", { class: "bar", "aria-hidden": "true" }), h("td", { class: "share" })];
    return { char, bar, share, node: h("tr", {}, char, bar, share) };
  });
  const bits = h("p", { class: "bits" });
  return {
    node: h("div", { class: "panel" }, h("table", {}, title, h("tbody", {}, rows.map((row) => row.node))), bits),
    draw(name, [surprise, rank, best, shares], char, average) {
      title.textContent = name;
      rows.forEach((row, i) => {
        const came = best[i] === char;
        row.char.textContent = visible(best[i]) + (came ? " ✓" : "");
        row.char.setAttribute("aria-label", spoken(best[i]) + (came ? ", which came" : ""));
        row.node.classList.toggle("came", came);
        row.bar.style.setProperty("--to", `${100 * shares[i]}%`);
        row.share.textContent = print(shares[i], 3, true);
      });
      bits.textContent = `${visible(char)}: ${print(surprise, 2, true)} bits, rank ${rank}. So far ${print(average, 2, true)} bits per character.`;
    },
  };
}

/** Two lines: the average surprise so far, of counting and of the GPT. */
function curves(length) {
  const [width, height, most] = [600, 110, 6];
  const lines = ["counted", "gpt"].map((name) => h("path", { class: name, fill: "none", "vector-effect": "non-scaling-stroke" }));
  const here = h("line", { class: "here", y1: 0, y2: height, "vector-effect": "non-scaling-stroke" });
  const x = (i) => (width * i) / Math.max(1, length - 1);
  const node = h("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", class: "curves", "aria-hidden": "true" }, here, lines);
  return {
    node,
    draw(position, columns) {
      columns.forEach((bits, k) => {
        let sum = 0;
        const points = bits.map((b, i) => `${x(i).toFixed(1)} ${(height * (1 - Math.min(most, (sum += b) / (i + 1)) / most)).toFixed(1)}`);
        lines[k].setAttribute("d", `M${points.join("L")}`);
      });
      here.setAttribute("x1", x(position));
      here.setAttribute("x2", x(position));
    },
  };
}

function render({ model, el }) {
  const { text, start, vocabulary, counted, gpt } = Object.fromEntries(["text", "start", "vocabulary", "counted", "gpt"].map((name) => [name, model.get(name)]));
  const asked = [...text].slice(start);
  const column = () => counted[model.get("smoothing")][model.get("context")];
  const go = (position) => put(model, { position: Math.max(0, Math.min(asked.length - 1, position)) });
  const range = (label, max, change) => {
    const input = h("input", { type: "range", min: 0, max, step: 1, oninput: () => change(Number(input.value)) });
    const shown = h("output", {});
    return { input, shown, node: h("label", {}, label, input, shown) };
  };
  const place = range("position ", asked.length - 1, go);
  const context = range("context of the counts ", counted["kneser-ney"].length - 1, (n) => put(model, { context: n }));
  const smoothing = h("select", { "aria-label": "smoothing", onchange: () => put(model, { smoothing: smoothing.value }) },
    Object.keys(counted).map((name) => h("option", { value: name }, NAMES[name])));
  const game = toggle("guess yourself first", (on) => { tried = []; put(model, { game: on, outcomes: [], position: 0 }); });
  const chars = asked.map((char, i) => h("span", { onclick: () => !model.get("game") && go(i) }, char === "\n" ? "⏎\n" : char));
  const passage = h("p", { class: "passage" }, h("span", { class: "before" }, text.slice(0, start)), chars);
  const [left, right, chart] = [panel(), panel(), curves(asked.length)];
  const words = h("p", { class: "words", "aria-live": "polite" });
  const body = h("tbody");
  const table = h("details", {}, h("summary", {}, "All numbers as a table"), h("div", { class: "scroll" }, h("table", {},
    h("thead", {}, h("tr", {}, ["", "counting: bits", "rank", "GPT: bits", "rank"].map((name) => h("th", { scope: "col" }, name)))), body)));

  let tried = []; // wrong guesses at the present character
  const entry = h("input", { type: "text", maxlength: 1, size: 2, autocomplete: "off", autocapitalize: "off", "aria-label": "your guess of the next character", oninput: () => { guess(entry.value); entry.value = ""; } });
  const verdict = h("span", { "aria-live": "polite" });
  const board = h("div", { class: "board", "aria-live": "polite" });
  const play = h("div", { class: "play" }, h("label", {}, "next character: ", entry),
    h("button", { type: "button", onclick: () => guess(" ") }, "space or line break"), h("button", { type: "button", onclick: () => finish(0) }, "give up"), verdict);

  function guess(char) {
    const [truth, key] = [asked[model.get("outcomes").length], (c) => (/\s/.test(c) ? " " : c.toLowerCase())];
    if (char === "" || truth === undefined || tried.includes(key(char))) return;
    if (key(char) === key(truth)) return finish(tried.length + 1);
    tried.push(key(char));
    verdict.textContent = `not ${tried.map(visible).join(" ")}`;
  }
  function finish(rank) {
    const outcomes = [...model.get("outcomes"), rank];
    if (outcomes.length > asked.length) return;
    verdict.textContent = `${rank ? `right, guess number ${rank}` : "it was"}: ${visible(asked[outcomes.length - 1])}`;
    tried = [];
    put(model, { outcomes, position: outcomes.length - 1 });
  }

  function drawBoard(outcomes) {
    const players = [["you", outcomes], ["counting", column().slice(0, outcomes.length).map((g) => g[1])], ["GPT", gpt.slice(0, outcomes.length).map((g) => g[1])]];
    board.replaceChildren(outcomes.length ? h("table", {},
      h("thead", {}, h("tr", {}, [`${outcomes.length} character${outcomes.length === 1 ? "" : "s"}`, "at the first guess", "bits, from the guesses"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, players.map(([name, ranks]) => h("tr", {}, h("th", { scope: "row" }, name),
        h("td", {}, `${ranks.filter((rank) => rank === 1).length}`), h("td", {}, print(rankBits(ranks, vocabulary), 2, true)))))) : "Type the character that comes next.");
  }

  function draw() {
    const [position, n, playing, outcomes] = ["position", "context", "game", "outcomes"].map((name) => model.get(name));
    const known = playing ? outcomes.length : asked.length;
    const [guesses, char] = [column(), asked[position]];
    const bits = (list, end) => list.slice(0, end).map((g) => g[0]);
    root.classList.toggle("playing", playing);
    game.box.checked = playing;
    smoothing.value = model.get("smoothing");
    [place.input.value, context.input.value] = [position, n];
    place.shown.textContent = position + 1;
    context.shown.textContent = n;
    place.input.disabled = playing;
    play.hidden = board.hidden = !playing;
    table.hidden = playing;
    chars.forEach((node, i) => {
      node.hidden = i >= known;
      node.className = i === position && known ? "now" : i < position ? "" : "later";
    });
    if (playing) drawBoard(outcomes);
    const shown = known > 0;
    left.node.hidden = right.node.hidden = chart.node.parentNode.hidden = !shown;
    if (!shown) return say(words, "The models' guesses appear after yours.");
    const name = `counting: ${n} character${n === 1 ? "" : "s"} of context, ${NAMES[model.get("smoothing")]}`;
    left.draw(name, guesses[position], char, mean(bits(guesses, position + 1)));
    right.draw("GPT", gpt[position], char, mean(bits(gpt, position + 1)));
    chart.draw(position, [bits(guesses, known), bits(gpt, known)]);
    say(words, `${spoken(char)} came. It cost counting ${print(guesses[position][0], 2, true)} bits and the GPT ${print(gpt[position][0], 2, true)}.` +
      (playing ? "" : ` Over the whole passage: ${print(mean(bits(guesses)), 2, true)} and ${print(mean(bits(gpt)), 2, true)} bits per character.`));
    if (!playing) body.replaceChildren(...asked.map((c, i) => h("tr", {}, h("th", { scope: "row" }, visible(c)),
      [guesses[i], gpt[i]].map((g) => [h("td", {}, print(g[0], 2, true)), h("td", {}, g[1])]))));
  }

  const root = h("div", { class: "next-character", role: "group", "aria-label": "What comes next?" },
    h("div", { class: "controls" }, context.node, smoothing, place.node, game), passage, play,
    h("div", { class: "panels" }, left.node, right.node),
    h("figure", {}, chart.node, h("figcaption", {}, h("span", { class: "key counted" }, "counting"), " and ", h("span", { class: "key gpt" }, "GPT"), " (dashed): average bits per character so far, from 0 to 6")),
    board, words, table);
  return live(model, el, root, TRAITS, draw);
}

export default { render };
