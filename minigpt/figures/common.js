// Shared by every figure: the Python class and the page's script put this text before each module.

const SVG_TAGS = new Set(["svg", "path", "rect", "line", "circle", "text"]);

/** An element: h("button", {class: "a", onclick: f}, "text", child). */
function h(tag, attributes = {}, ...children) {
  const element = SVG_TAGS.has(tag)
    ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value != null) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity));
  return element;
}

/** Write to the model: the kernel, and every other view of it, follow. */
function put(model, changes) {
  for (const [name, value] of Object.entries(changes)) model.set(name, value);
  model.save_changes();
}

/** Show `root` in `el`, draw it now and whenever one of the named traits changes. Returns the function that ends it. */
function live(model, el, root, traits, draw) {
  root.classList.add("minigpt-live");
  root.addEventListener("keydown", (event) => event.stopPropagation()); // JupyterLab would take the arrow keys
  root.addEventListener("submit", (event) => event.preventDefault());
  el.append(root);
  draw();
  for (const name of traits) model.on(`change:${name}`, draw);
  return () => {
    for (const name of traits) model.off(`change:${name}`, draw);
    root.remove();
  };
}

/** A number in print: one to `digits` decimals, or exactly `digits`; a real minus sign, no "−0.0". */
function print(x, digits = 2, exactly = false) {
  if (x === -Infinity) return "−∞";
  const text = exactly ? x.toFixed(digits) : x.toFixed(digits).replace(/(\.\d)0+$/, "$1");
  return /^-[0.]+$/.test(text) ? text.slice(1) : text.replace("-", "−");
}

const say = (node, text) => node.textContent === text || (node.textContent = text); // a live region speaks only of changes

const toggle = (label, change) => {
  const box = h("input", { type: "checkbox", onchange: () => change(box.checked) });
  return Object.assign(h("label", { class: "toggle" }, box, h("span", {}, label)), { box });
};

/** A bar from the middle of the cell, to the right for a positive x, to the left for a negative one. */
function signedBar(cell, x, scale, mix = 100) {
  const end = 50 + 48 * Math.max(-1, Math.min(1, x / scale));
  cell.style.setProperty("--from", `${Math.min(50, end)}%`);
  cell.style.setProperty("--to", `${Math.max(50, end)}%`);
  cell.style.setProperty("--mix", `${mix}%`);
}

/**
 * A matrix of editable numbers with one tab stop. ← and → walk through the numbers, Page Up and Page Down through the rows,
 * ↑ and ↓ change a number by 0.1, and typing replaces it; `digits` are the most decimals shown. `change(row, column, x)` is called with every new value.
 */
function numberGrid(rows, columns, label, change, digits = 2) {
  const inputs = Array.from({ length: rows }, (_, r) => Array.from({ length: columns }, (_, c) => input(r, c)));
  const stop = (r, c) => inputs.flat().forEach((field) => (field.tabIndex = field === inputs[r][c] ? 0 : -1));
  stop(0, 0);

  function input(r, c) {
    const read = () => Number(field.value.trim().replace("−", "-").replace(",", ".") || NaN);
    const accept = (x) => Number.isFinite(x) && Math.abs(x) < 100;
    const field = h("input", {
      type: "text", inputmode: "decimal", class: "number", tabindex: -1, autocomplete: "off", "aria-label": label(r, c),
      oninput() {
        field.dataset.typing = "";
        field.setAttribute("aria-invalid", !accept(read()));
        if (accept(read())) change(r, c, read());
      },
      onfocus() {
        stop(r, c);
        field.select();
      },
      onblur: settle,
      onkeydown(event) {
        const by = { ArrowUp: 0.1, ArrowDown: -0.1 }[event.key];
        const walk = { ArrowLeft: -1, ArrowRight: 1, PageUp: -columns, PageDown: columns }[event.key];
        if (event.key === "Enter") settle();
        if (by && accept(field.x + by)) {
          settle();
          change(r, c, Math.round((field.x + by) * 1e6) / 1e6);
          field.select(); // so that typing replaces the number
        }
        if (walk) inputs.flat()[r * columns + c + walk]?.focus();
        if (by || walk) event.preventDefault();
      },
    });
    function settle() {
      delete field.dataset.typing;
      field.removeAttribute("aria-invalid");
      field.value = print(field.x, digits);
    }
    return field;
  }

  return {
    inputs,
    stop,
    show(r, c, x, scale, mix) {
      const field = inputs[r][c];
      field.x = x;
      if (!("typing" in field.dataset)) field.value = print(x, digits);
      signedBar(field, x, scale, mix);
    },
  };
}

/** Change the figure's form: whatever has the same data-key before and after flies from the old place to the new. */
function morph(root, change) {
  const places = () =>
    new Map([...root.querySelectorAll("[data-key]")].map((node) => [node.dataset.key, [node, node.getBoundingClientRect()]])
      .filter(([, [, box]]) => box.width));
  const before = places();
  change();
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  for (const [key, [node, to]] of places()) {
    const from = before.get(key)?.[1];
    if (!from || before.get(key)[0] === node) continue;
    const move = `translate(${from.x - to.x}px, ${from.y - to.y}px) scale(${from.width / to.width}, ${from.height / to.height})`;
    node.animate([{ transform: move, transformOrigin: "0 0" }, { transform: "none", transformOrigin: "0 0" }],
      { duration: 700, easing: "cubic-bezier(.2, .7, .2, 1)" });
  }
}
