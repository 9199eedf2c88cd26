// What else belongs to a record: the same request, trace, session and entity.

import { ask, isAbort } from "./api.js";
import { badge, parts } from "./columns.js";
import { fill, h } from "./dom.js";
import { showTrouble } from "./problems.js";
import { addressFor, addressOf, change, exact, state } from "./state.js";
import { absolute, relative } from "./time.js";

const SHOWN = 5;

export async function relatedTab(words, record, panel, signal) {
  const say = words.related;
  fill(panel, h("p.quiet", null, words.loading));
  const same = field => (record[field] === null ? null : { [field]: exact(record[field]) });
  const entity = record.entity_type !== null && record.entity_id !== null ? { entity_type: exact(record.entity_type), entity_id: exact(record.entity_id) } : null;
  const groups = [
    entity && ["before", { ...entity, to: record.occurred_at, limit: 1 }, null],
    entity && ["after", { ...entity, from: record.occurred_at, order: "asc", limit: 2 }, null],
    ["request", same("request_id"), q("request_id")],
    ["correlation", same("correlation_id"), q("correlation_id")],
    ["trace", same("trace_id"), q("trace_id")],
    ["session", same("session_id"), record.session_id === null ? null : addressFor("session", { id: record.session_id })],
    entity && ["entity", entity, addressFor("entity", { type: record.entity_type, id: record.entity_id })],
    record.actor_id === null ? null : ["actor", same("actor_id"), addressFor("actor", { id: record.actor_id })],
  ].filter(group => group?.[1]);
  function q(field) {
    return addressFor("list", { q: `${field}:${exact(record[field] ?? "")}`, from: "all" });
  }
  try {
    const answers = await Promise.all(groups.map(([, filter]) => ask("records", { limit: SHOWN + 1, ...filter }, { signal })));
    const sections = groups.map(([name, , all], index) => {
      const others = answers[index].records.filter(one => one.id !== record.id).slice(0, name === "after" ? 1 : SHOWN);
      if (others.length === 0) return null;
      const more = all && (answers[index].next || others.length >= SHOWN);
      return h("section", null, h("h3", null, say[name]), h("ul.related", null, others.map(one => item(words, one))), more || all ? h("a.link", { href: all }, say.all) : null);
    }).filter(Boolean);
    fill(panel, sections.length ? sections : h("p.quiet", null, say.none));
  } catch (problem) {
    if (!isAbort(problem)) showTrouble(panel, words, problem);
  }
}

function item(words, record) {
  return h("li", null, h("a", {
    href: addressOf({ ...state, record: record.id, tab: "" }),
    onclick: event => { if (event.ctrlKey || event.metaKey || event.shiftKey) return; event.preventDefault(); change({ record: record.id, tab: "" }); },
  }, h("span.related-what", null, parts(record, words)), h("span.quiet", { title: absolute(record.occurred_at) }, relative(new Date(record.occurred_at))), badge(record, words)));
}
