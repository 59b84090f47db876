// Brings the figures of a page to life without a kernel: the same modules that anywidget runs, and a stand-in for its model.
// `sources` (the text of every module) is put before this script; blob: URLs are imported because file:// allows no others.
{
  const modules = {};
  const load = (name) => (modules[name] ??= import(URL.createObjectURL(
    new Blob([sources.common, "\n", sources[name]], { type: "text/javascript" }))));

  const standIn = (state) => {
    const listeners = {};
    return {
      get: (name) => state[name],
      set(name, value) {
        if (JSON.stringify(state[name]) === JSON.stringify(value)) return;
        state[name] = value;
        for (const listener of [...(listeners[`change:${name}`] ?? [])]) listener();
      },
      on: (event, listener) => (listeners[event] ??= new Set()).add(listener),
      off: (event, listener) => listeners[event]?.delete(listener),
      save_changes() {},
    };
  };

  for (const figure of document.querySelectorAll(".minigpt-figure")) {
    const state = JSON.parse(figure.querySelector("script").textContent);
    load(figure.dataset.figure).then((module) => {
      module.default.render({ model: standIn(state), el: figure });
      figure.classList.add("is-live");
    });
  }
}
