// What a row of the list shows, column by column.

import { withheld } from "./diff.js";
import { h, icon } from "./dom.js";
import { sentence, short } from "./sentence.js";
import { addressFor } from "./state.js";
import { absolute, clock, duration, relative } from "./time.js";

/** The columns by name, in the order in which they stand: width, and what gives way first when room is short. */
export const COLUMNS = {
  time: { width: "152px", least: 152, keep: 9, cell: time },
  actor: { width: "minmax(120px, 1fr)", least: 120, keep: 4, cell: actor },
  what: { width: "minmax(230px, 3fr)", least: 230, keep: 10, cell: what },
  entity: { width: "minmax(110px, 1fr)", least: 110, keep: 3, cell: entity },
  outcome: { width: "138px", least: 138, keep: 8, cell: outcome },
  action: text("action", "minmax(110px, 1fr)", 110),
  category: text("category", "116px", 116),
  method: text("method", "76px", 76),
  route: text("route", "minmax(150px, 1.5fr)", 150),
  ip: { ...text("ip", "132px", 132), keep: 5 },
  duration: { width: "92px", least: 92, keep: 2, cell: record => cell("duration", record.duration_us === null ? null : `${record.duration_us}us`, { class: "number" }, record.duration_us === null ? null : duration(record.duration_us)) },
  tenant: { ...text("tenant_id", "minmax(76px, .6fr)", 76), keep: 1 },
  service: text("service", "100px", 100),
  rule: text("rule", "minmax(90px, .8fr)", 90),
  origin: text("origin", "90px", 90),
  reason: text("reason", "minmax(120px, 1fr)", 120),
  request: text("request_id", "120px", 120),
  session: text("session_id", "120px", 120),
  user_agent: text("user_agent", "minmax(140px, 1fr)", 140),
};

function text(field, width, least) {
  return { width, least, keep: 6, cell: record => cell(field, record[field], null, record[field] === null ? null : short(String(record[field]))) };
}

/** A cell; with a field and a value it can be filtered by. */
function cell(field, value, properties, ...children) {
  const filters = value !== null && value !== undefined && value !== "";
  return h("div.cell", { role: "gridcell", title: filters ? String(value) : null, data: filters ? { field, value } : {}, ...properties }, children);
}

function time(record) {
  const at = new Date(record.occurred_at);
  return h("div.cell.when", { role: "gridcell", title: absolute(record.occurred_at), data: { field: "at", value: record.occurred_at } },
    h("time", { datetime: record.occurred_at }, clock(at)), h("span.quiet.ago", { data: { at: String(at.getTime()) } }, relative(at)));
}

function actor(record, words) {
  const name = record.actor_name ?? record.actor_id ?? words.actorTypes[record.actor_type];
  const real = record.impersonator_name ?? record.impersonator_id;
  return cell("actor_id", record.actor_id, { class: "actor" }, icon(record.actor_type, words.actorTypes[record.actor_type]),
    h("span.ellipsis", null, real ?? (record.actor_id ? name : record.erased?.includes("identity") ? withheld(words.changes[record.restricted?.includes("identity") ? "restricted" : "erased"]) : h("span.quiet", null, name)), real ? h("span.quiet", null, ` ${words.list.as(name)}`) : null));
}

/** The sentence, as a link to the record; what it says of the entity stands out. */
function what(record, words, folded) {
  return h("div.cell.what", { role: "gridcell", data: { field: "action", value: record.action } },
    h("a.ellipsis", { href: addressFor("list", { record: record.id, from: "all" }), tabindex: "-1", draggable: "false" }, parts(record, words)),
    folded);
}

export function parts(record, words) {
  return sentence(record, words).map(({ text, kind }) => (kind ? h(`span.p-${kind}`, null, text) : text));
}

function entity(record) {
  if (!record.entity_type) return cell(null, null);
  const filter = record.entity_id === null ? ["entity_type", record.entity_type] : ["entity_id", record.entity_id];
  // Things of two kinds may have one id.
  const data = { data: { field: filter[0], value: filter[1], ...(record.entity_id === null ? {} : { type: record.entity_type }) } };
  return cell(...filter, data, h("span.ellipsis", null, h("span.quiet", null, record.entity_type), record.entity_id === null ? null : ` ${short(record.entity_id)}`));
}

function outcome(record, words) {
  return cell("outcome", record.outcome, { title: record.outcome_reason ? words.reason(record.outcome_reason) : null }, badge(record, words));
}

export function badge(record, words) {
  const code = record.status ?? record.grpc_status;
  return h(`span.badge.o-${record.outcome}`, null, h("span.dot", { "aria-hidden": "true" }), words.outcomes[record.outcome], code === null ? null : h("span.code", null, String(code)));
}

/** Chooses what fits: the columns that were asked for, less those that give way. */
export function fitting(names, width) {
  const asked = names.filter(name => Object.hasOwn(COLUMNS, name));
  const known = asked.length > 0 ? asked : ["time", "what"];
  const kept = new Set(known);
  const room = () => [...kept].reduce((sum, name) => sum + COLUMNS[name].least, 32);
  for (const name of [...known].sort((a, b) => COLUMNS[a].keep - COLUMNS[b].keep)) {
    if (room() <= width || kept.size <= 2) break;
    kept.delete(name);
  }
  return known.filter(name => kept.has(name));
}

/** A row on a phone: two lines. */
export function card(record, words, folded) {
  const at = new Date(record.occurred_at);
  return h("div.cell.card", { role: "gridcell" },
    h("a.card-what", { href: addressFor("list", { record: record.id, from: "all" }), tabindex: "-1" }, parts(record, words)), folded,
    h(".card-facts.quiet", null, badge(record, words), h("time", { datetime: record.occurred_at, title: absolute(record.occurred_at) }, clock(at)),
      h("span.ago", { data: { at: String(at.getTime()) } }, relative(at)), record.ip ? h("span.ellipsis", null, record.ip) : null));
}
