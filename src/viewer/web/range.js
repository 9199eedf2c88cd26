// The time range: presets, relative, absolute.

import { fill, h, icon, toast } from "./dom.js";
import { again, change, state } from "./state.js";
import { length, shortMoment } from "./time.js";

const RELATIVE = /^now-(\d+)([smhdw])$/;

/** Says the range in words. */
export function rangeInWords(words, { from, to } = state) {
  const say = words.range;
  if (!to && Object.hasOwn(say.presets, from)) return say.presets[from];
  if (!to && RELATIVE.test(from)) {
    const [, count, letter] = RELATIVE.exec(from);
    return say.last(length(Number(count), letter));
  }
  const shown = text => (/^\d{4}-/.test(text) ? shortMoment(new Date(text)) : text);
  if (to && from && from !== "all") return say.between(shown(from), shown(to));
  return to ? say.until(shown(to)) : say.since(shown(from));
}

export function setRange(from, to = "") {
  // "Last 24 hours" are others than a while ago.
  const same = from === state.from && to === state.to && !state.record;
  change({ from, to, record: "", tab: "" });
  if (same) again();
}

export function rangePicker(words) {
  const say = words.range;
  const label = h("span", null);
  const button = h("button.button.range-button", { type: "button", "aria-haspopup": "dialog", "aria-expanded": "false", title: say.label, onclick: toggle }, icon("clock"), label, icon("down"));
  const panel = h(".popover.range-panel", { role: "dialog", "aria-label": say.label, hidden: true });
  const element = h(".anchor", null, button, panel);

  function toggle() {
    if (panel.hidden) open(); else close();
  }

  function open() {
    const from = h("input", { type: "datetime-local", step: "1", value: localInput(state.from) });
    const to = h("input", { type: "datetime-local", step: "1", value: localInput(state.to) });
    const last = h("input", { type: "text", size: "6", placeholder: "90m", "aria-describedby": "relative-hint", value: RELATIVE.exec(state.from)?.[0].slice(4) ?? "" });
    fill(panel,
      h("ul.presets", null, Object.entries(say.presets).map(([value, name]) => h("li", null,
        h("button", { type: "button", "aria-pressed": String(!state.to && state.from === value), onclick: () => { close(true); setRange(value); } }, name)))),
      h(".range-forms", null,
        h("form", { onsubmit: event => {
          event.preventDefault();
          if (!/^\d+[smhdw]$/.test(last.value.trim())) return toast(say.wrong);
          close(true);
          setRange(`now-${last.value.trim()}`);
        } }, h("label", null, say.relativeLabel, last), h("button.button", { type: "submit" }, say.apply), h("p.quiet", { id: "relative-hint" }, say.relative)),
        h("form", { onsubmit: event => {
          event.preventDefault();
          const [begin, end] = [moment(from.value), moment(to.value)];
          if (begin && end && begin >= end) return toast(say.empty);
          close(true);
          setRange(begin || "all", end);
        } }, h("label", null, say.from, from), h("label", null, say.to, to), h("button.button", { type: "submit" }, say.apply))));
    panel.hidden = false;
    button.setAttribute("aria-expanded", "true");
    (panel.querySelector("[aria-pressed=true]") ?? panel.querySelector("button")).focus();
    document.addEventListener("pointerdown", outside);
    panel.addEventListener("keydown", escape);
  }

  function close(focus) {
    panel.hidden = true;
    button.setAttribute("aria-expanded", "false");
    document.removeEventListener("pointerdown", outside);
    if (focus) button.focus();
  }

  const outside = event => { if (!element.contains(event.target)) close(); };
  const escape = event => { if (event.key === "Escape") { event.stopPropagation(); close(true); } };

  function refresh() {
    fill(label, rangeInWords(words));
    button.setAttribute("aria-label", `${say.label}: ${rangeInWords(words)}`);
  }

  refresh();
  return { element, refresh };
}

/** A moment as the input of a form wants it, in the zone of the page. */
function localInput(text) {
  if (!/^\d{4}-/.test(text)) return "";
  const at = new Date(text);
  const shifted = state.tz === "UTC" ? at : new Date(at - at.getTimezoneOffset() * 60_000);
  return shifted.toISOString().slice(0, 19);
}

function moment(value) {
  if (!value) return "";
  return new Date(state.tz === "UTC" ? `${value}Z` : value).toISOString();
}
