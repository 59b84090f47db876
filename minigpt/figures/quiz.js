// A quiz: choose an option and read why it is right or wrong. Traits: questions [{question, options}], chosen [index or −1].

const withCode = (text) => text.split("`").map((part, i) => (i % 2 ? h("code", {}, part) : part));

function render({ model, el }) {
  const questions = model.get("questions");
  const score = h("p", { class: "score", "aria-live": "polite" });
  const choose = (i, j) => put(model, { chosen: model.get("chosen").map((old, k) => (k === i ? j : old)) });

  const parts = questions.map(({ question, options }, i) => {
    const radios = options.map((_, j) => h("input", { type: "radio", name: `question-${i}`, onchange: () => choose(i, j) }));
    const labels = options.map(({ text }, j) => h("label", { class: "option" }, radios[j], h("span", {}, withCode(text))));
    const verdict = h("div", { class: "verdict", "aria-live": "polite" });
    const others = h("details", {}, h("summary", {}, "Why not the others"), h("ul", {},
      options.filter((option) => !option.correct).map(({ text, reason }) =>
        h("li", {}, h("strong", {}, withCode(text)), " ", withCode(reason)))));
    return { options, radios, labels, verdict, others, field: h("fieldset", {},
      h("legend", {}, `${i + 1}. `, withCode(question)), labels, verdict, others) };
  });

  function draw() {
    const chosen = model.get("chosen");
    parts.forEach(({ options, radios, labels, verdict, others }, i) => {
      radios.forEach((radio, j) => (radio.checked = chosen[i] === j));
      labels.forEach((label, j) => (label.dataset.state = chosen[i] !== j ? "" : options[j].correct ? "right" : "wrong"));
      const option = options[chosen[i]];
      if (verdict.dataset.chosen === String(chosen[i])) return; // a live region must not repeat itself
      verdict.dataset.chosen = chosen[i];
      verdict.replaceChildren(...(option ? [h("strong", {}, option.correct ? "✓ Right. " : "✗ Not this one. "), ...withCode(option.reason)] : []));
      others.hidden = !option?.correct;
    });
    const right = parts.filter(({ options }, i) => options[chosen[i]]?.correct).length;
    say(score, `${right} of ${questions.length} right`);
  }

  return live(model, el, h("form", { class: "quiz" }, parts.map((part) => part.field), score), ["chosen"], draw);
}

export default { render };
