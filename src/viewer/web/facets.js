// The values beside the list: how often each occurs, to filter by or to leave out.

import { h, iconButton, refill } from "./dom.js";
import { asked, toggled } from "./query.js";
import { change, state } from "./state.js";
import { compact, number } from "./time.js";

export const FACETS = ["outcome", "category", "action", "entity_type", "actor_id", "actor_type", "tenant_id", "status", "service", "method", "origin", "channel"];
/** How many values are asked for, and how many of them stand there at first. */
export const TOP = 20;
const AT_FIRST = 5;

export function facetPanel(words) {
  const say = words.facets;
  const element = h("aside.facets", { "aria-label": say.label });
  const unfolded = new Set();
  let last = null;

  function draw(answer) {
    last = answer;
    if (!answer) return refill(element);
    const sections = FACETS.map(field => section(field, answer.facets[field] ?? [])).filter(Boolean);
    element.setAttribute("aria-busy", "false");
    refill(element, h("h2.off-screen", null, say.label), sections.length ? sections : h("p.quiet", null, say.none));
  }

  function section(field, values) {
    const wanted = values.filter(({ value }) => asked(state.q, field, value) !== null);
    // What all records share tells nothing apart.
    if (values.length < 2 && wanted.length === 0) return null;
    const most = Math.max(...values.map(({ count }) => count), 1);
    const all = unfolded.has(field);
    const shown = all ? values : values.slice(0, AT_FIRST).concat(wanted.filter(one => values.indexOf(one) >= AT_FIRST));
    const name = say.names[field];
    const id = `facet-${field}`;
    return h("section.facet", { "aria-labelledby": id }, h("h3", { id }, name),
      h("ul", null, shown.map(({ value, count }) => item(field, name, String(value), count, most))),
      values.length > AT_FIRST ? h("button.link", { type: "button", id: `${id}-more`, "aria-expanded": String(all), onclick: () => { if (!unfolded.delete(field)) unfolded.add(field); draw(last); } }, all ? say.fewer : say.more) : null);
  }

  function item(field, name, value, count, most) {
    const is = asked(state.q, field, value);
    const set = negated => change({ q: toggled(state.q, field, value, negated), record: "", tab: "" });
    const shown = field === "outcome" ? words.outcomes[value] : field === "actor_type" ? words.actorTypes[value] : value;
    const button = h("button.facet-value", { type: "button", "aria-pressed": String(is === true), title: value, onclick: () => set(false) },
      field === "outcome" ? h(`span.badge.o-${value}`, null, h("span.dot", { "aria-hidden": "true" })) : null,
      h("span.ellipsis", null, shown ?? value), h("span.count", { title: number(count) }, compact(count)));
    button.style.setProperty("--share", `${Math.max(1, Math.round(100 * count / most))}%`);
    return h(`li${is === true ? ".in" : is === false ? ".out" : ""}`, null, button, iconButton("minus", words.cell.exclude(name, value), () => set(true), { "aria-pressed": String(is === false) }));
  }

  return { element, draw };
}
