// What can be done with a value: filter by it, filter it out, copy it; bound the range by a time.

import { copy, h, iconButton } from "./dom.js";
import { narrowed, quoted, toggled } from "./query.js";
import { setRange } from "./range.js";
import { change, state } from "./state.js";

/** A moment that still holds the one it is made of: ranges end before their end. */
function justAfter(text) {
  return text.replace(/\.(\d{6})Z$/, (_, micros) => `.${String(Math.min(999_999, Number(micros) + 1)).padStart(6, "0")}Z`);
}

export function filterBy(field, value, negated, type = "") {
  if (field === "at") {
    if (negated) setRange(state.from, justAfter(value)); else setRange(value, state.to);
    return;
  }
  const asked = !type ? toggled(state.q, field, value, negated)
    : negated ? `${state.q.trim()} -(entity_type:${quoted(type)} ${field}:${quoted(value)})`.trim()
      : toggled(narrowed(state.q, "entity_type", type), field, value);
  change({ q: asked, record: "", tab: "" });
}

/** Returns the buttons for a value. */
export function actions(words, field, value, tabindex = null, type = "") {
  const say = words.cell;
  const name = words.fields[field] ?? field;
  const button = (icon, label, run) => iconButton(icon, label, event => { event.stopPropagation(); event.preventDefault(); run(); }, { tabindex });
  const isTime = field === "at";
  return h("span.actions", { role: "group", "aria-label": say.actions(name) },
    button(isTime ? "from" : "plus", isTime ? say.from : say.include(name, value), () => filterBy(field, value, false, type)),
    button(isTime ? "until" : "minus", isTime ? say.until : say.exclude(name, value), () => filterBy(field, value, true, type)),
    button("copy", say.copy, () => copy(value, words)));
}

/** Shows the buttons in the cell under the pointer. */
export function cellMenu(words, canvas) {
  let cell = null, menu = null;
  const leave = () => { menu?.remove(); menu = cell = null; };
  canvas.addEventListener("pointerover", event => {
    if (event.pointerType === "touch" || menu?.contains(event.target)) return;
    const over = event.target.closest?.(".cell[data-field]") ?? null;
    if (over === cell) return;
    leave();
    if (!over) return;
    cell = over;
    menu = actions(words, over.dataset.field, over.dataset.value, "-1", over.dataset.type);
    // Above the value, which stays readable.
    menu.style.left = `${over.offsetLeft - 2}px`;
    over.parentElement.append(menu);
  });
  canvas.addEventListener("pointerleave", leave);
}
