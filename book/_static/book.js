// Repairs of the theme that a style sheet can't make: what axe-core finds in it.

const logo = document.querySelector(".sidebar-primary-item:has(> .navbar-brand)"); // it stands outside every landmark
logo?.setAttribute("role", "navigation");
logo?.setAttribute("aria-label", "Home");

for (const summary of document.querySelectorAll("nav summary")) { // the arrows that unfold a part of the sidebar
  summary.ariaLabel = `Pages of ${summary.closest("li").querySelector("a").textContent.trim()}`;
}

for (const entry of document.querySelectorAll("[role=doc-biblioentry]")) entry.setAttribute("role", "listitem"); // outdated role

// Whatever scrolls sideways can be reached, and so scrolled, by keyboard.
const wide = ".bd-article :is(.pst-scrollable-table-container, .cell_output .output, div.math, pre)";
const reach = () => document.querySelectorAll(wide).forEach((box) => box.scrollWidth > box.clientWidth && (box.tabIndex = 0));
addEventListener("load", reach);
addEventListener("resize", reach);
