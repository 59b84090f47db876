// Starts a deck, and lets each slide fill the screen: large if there is little on it, smaller if there is much.
const NATURAL = 960, SIZES = [1, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6]; // width of a screen with size 1; shares of it
const SCROLLED = 0.8; // the share for a slide that is too long for any of them

/** Sizes the slide that is shown: as large as the screen allows, then smaller by steps until all of it is seen. */
function fit() {
  const slide = Reveal.getCurrentSlide(), largest = Math.max(0.9, Math.min(innerWidth / NATURAL, 2.4));
  const set = (share) => slide.style.setProperty("--size", share * largest);
  const fits = (share) => set(share) || slide.scrollHeight <= slide.clientHeight;
  if (slide && !SIZES.some(fits)) set(SCROLLED);
}

// Without reveal.js's own scaling the figures keep true pixels, and a pointer finds what it points at.
Reveal.initialize({
  disableLayout: true, center: false, hash: true, slideNumber: "c/t", viewDistance: 99, transition: "none",
  backgroundTransition: "none", plugins: [RevealNotes],
}).then(() => {
  fit();
  document.documentElement.classList.add("is-ready");
});
Reveal.on("slidechanged", fit);
addEventListener("resize", fit);
addEventListener("load", () => window.MathJax?.startup?.promise?.then(fit));
addEventListener("toggle", fit, true);
