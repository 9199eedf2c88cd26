// The heading of a trail: what one entity went through, what one actor or one session did.

import { ask, isAbort } from "./api.js";
import { fill, h, icon } from "./dom.js";
import { short } from "./sentence.js";
import { go, question, state } from "./state.js";
import { absolute, number, shortMoment } from "./time.js";

export async function trailHead(words, place) {
  const say = words.trail;
  const { view, type, id } = state;
  const title = view === "entity" ? `${type} ${short(id)}` : short(id);
  const facts = h("dl.trail-facts");
  fill(place, h("button.link.back", { type: "button", onclick: () => go("list") }, icon("left"), say.back), h("h1", { title: id }, h("span.quiet", null, `${say[view]} `), title), facts);
  const { q: _, from: __, to: ___, ...filter } = question();
  try {
    const [stats, newest, oldest] = await Promise.all([ask("stats", filter), ask("records", { ...filter, limit: 1 }), ask("records", { ...filter, limit: 1, order: "asc" })]);
    if (state.view !== view || state.id !== id) return;
    const fact = (name, ...shown) => h("div", null, h("dt", null, name), h("dd", null, shown));
    const moment = record => (record ? h("time", { datetime: record.occurred_at, title: absolute(record.occurred_at) }, shortMoment(new Date(record.occurred_at))) : words.drawer.absent);
    const top = counts => Object.entries(counts).slice(0, 4).map(([value, count]) => h("span.counted", null, value, h("span.code", null, number(count))));
    const names = newest.records[0];
    const name = view === "entity" ? names?.entity_name : view === "actor" ? names?.actor_name : null;
    if (name) place.querySelector("h1").append(h("span.trail-name", null, ` ${name}`));
    fill(facts, fact(say.records, number(stats.total)), fact(say.first, moment(oldest.records[0])), fact(say.last, moment(names)), fact(say.actions, top(stats.by_action)), view === "actor" ? null : fact(say.by, top(stats.by_actor)));
  } catch (problem) {
    // The list below says what is wrong.
    if (!isAbort(problem)) fill(facts);
  }
}
