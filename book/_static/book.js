// Repairs of the theme that a style sheet can't make: what axe-core finds in it.

const logo = document.querySelector(".sidebar-primary-item:has(> .navbar-brand)"); // it stands outside every landmark
logo?.setAttribute("role", "navigation");
logo?.setAttribute("aria-label", "Home");

for (const summary of document.querySelectorAll("nav summary")) { // the arrows that unfold a part of the sidebar
  summary.ariaLabel = `Pages of ${summary.closest("li").querySelector("a").textContent.trim()}`;
}

for (const entry of document.querySelectorAll("[role=doc-biblioentry]")) entry.setAttribute("role", "listitem"); // outdated role

// A line of text that no screen holds is wrapped; code and tables, of 120 characters at most, keep their lines.
for (const pre of document.querySelectorAll(".bd-article .cell_output pre")) {
  if (pre.textContent.split("\n").some((line) => line.length > 125)) pre.style.whiteSpace = "pre-wrap";
}

// A formula keeps the bracket before it and the sign after it on its line.
for (const math of document.querySelectorAll(".bd-article span.math")) {
  const [before, after] = [math.previousSibling, math.nextSibling];
  const open = before?.nodeType === Node.TEXT_NODE && before.data.match(/[(“]+$/)?.[0];
  const close = after?.nodeType === Node.TEXT_NODE && after.data.match(/^[.,;:)?!’”]+/)?.[0];
  if (!open && !close) continue;
  const box = document.createElement("span");
  box.style.whiteSpace = "nowrap";
  math.before(box);
  if (open) {
    box.append(open);
    before.data = before.data.slice(0, -open.length);
  }
  box.append(math);
  if (close) {
    box.append(close);
    after.data = after.data.slice(close.length);
  }
}

// Whatever scrolls sideways can be reached, and so scrolled, by keyboard.
const wide = ".bd-article :is(.pst-scrollable-table-container, .cell_output .output, div.math, pre)";
const reach = () => document.querySelectorAll(wide).forEach((box) => box.scrollWidth > box.clientWidth && (box.tabIndex = 0));
addEventListener("load", reach);
addEventListener("resize", reach);
