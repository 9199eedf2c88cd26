// Which columns the list has; the choice is kept in the address.

import { COLUMNS } from "./columns.js";
import { fill, h, icon } from "./dom.js";
import { change, DEFAULT_COLUMNS, state } from "./state.js";

export function columnPicker(words) {
  const say = words.columns;
  const button = h("button.icon-button", { type: "button", "aria-label": say.label, title: say.label, "aria-haspopup": "dialog", "aria-expanded": "false", onclick: () => (panel.hidden ? open() : close()) }, icon("columns"));
  const panel = h(".popover.column-panel", { role: "dialog", "aria-label": say.label, hidden: true });
  const element = h(".anchor.column-anchor", null, button, panel);

  function open() {
    const chosen = new Set(state.cols.split(","));
    fill(panel, h("ul", null, Object.keys(COLUMNS).map(name => h("li", null, h("label", null,
      h("input", { type: "checkbox", checked: chosen.has(name), onchange: event => {
        if (event.target.checked) chosen.add(name); else chosen.delete(name);
        change({ cols: Object.keys(COLUMNS).filter(one => chosen.has(one)).join(",") || "what" }, { replace: true });
      } }), say.names[name])))),
    h("button.link", { type: "button", onclick: () => { change({ cols: DEFAULT_COLUMNS.join(",") }, { replace: true }); close(); } }, say.reset));
    panel.hidden = false;
    button.setAttribute("aria-expanded", "true");
    panel.querySelector("input").focus();
    document.addEventListener("pointerdown", outside);
  }

  function close() {
    panel.hidden = true;
    button.setAttribute("aria-expanded", "false");
    document.removeEventListener("pointerdown", outside);
  }

  const outside = event => { if (!element.contains(event.target)) close(); };
  panel.addEventListener("keydown", event => { if (event.key === "Escape") { event.stopPropagation(); close(); button.focus(); } });
  return { element, refresh() {} };
}
