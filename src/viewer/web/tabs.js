// The tabs of a record that need nothing but the record.

import { address, ask, askText, isAbort, parse } from "./api.js";
import { actions } from "./cellmenu.js";
import { changesTable, isTree, json, truncated, value, withheld } from "./diff.js";
import { copy, fill, h, icon, visibleLines } from "./dom.js";
import { FIELDS } from "./fields.js";
import { isProved } from "./proof.js";
import { showTrouble } from "./problems.js";
import { addressFor, go } from "./state.js";
import { absolute, bytes, duration } from "./time.js";

const ASKED = new Set(FIELDS.map(field => field.name));
/** By these no two records are alike, or their words differ from what is asked for. */
const NO_FILTER = new Set(["occurred_at", "recorded_at", "description", "duration_us", "seq"]);

const SECTIONS = {
  what: ["action", "operation", "category", "outcome", "outcome_reason", "severity", "duration_us"],
  who: ["actor_type", "actor_id", "actor_name", "impersonator_id", "impersonator_name", "auth_method", "session_id", "credential_id", "subject_ids", "tenant_id", "org_id"],
  whom: ["entity_type", "entity_id", "entity_name", "targets"],
  why: ["description", "reason"],
  facts: ["metadata"],
  recorded: ["occurred_at", "recorded_at", "service", "instance", "environment", "channel", "origin", "rule", "retention_class", "redactions", "truncated", "skewed", "id"],
};
/** The erasable groups, and the sections that they leave a mark in. */
const GROUPS = { who: "identity", whom: "target", why: "content", request: "network", client: "network", bodies: "content" };
const REQUEST = {
  request: ["method", "route", "path", "query", "host", "http_version", "status", "grpc_status", "request_bytes", "response_bytes", "duration_us"],
  client: ["ip", "ip_pseudonym", "forwarded", "location", "user_agent", "auth_method"],
  tracing: ["request_id", "correlation_id", "trace_id", "span_id"],
  bodies: ["request_body", "response_body"],
};

export function summaryTab(words, record, panel) {
  fill(panel, sections(words, record, SECTIONS));
}

export function requestTab(words, record, panel) {
  const found = sections(words, record, REQUEST);
  fill(panel, found.length ? found : h("p.quiet", null, words.drawer.nothing));
}

export function changesTab(words, record, panel) {
  fill(panel, changesTable(words, record));
}

function sections(words, record, which) {
  return Object.entries(which).map(([name, fields]) => {
    const there = fields.filter(field => record[field] !== null && record[field] !== undefined && record[field] !== "");
    const erased = record.erased?.includes(GROUPS[name]);
    if (there.length === 0 && !erased) return null;
    return h("section", null, h("h3", null, words.drawer.sections[name]), h("dl.facts", null, there.map(field => fact(words, record, field)),
      erased ? h(".fact", null, h("dt", null, words.groups[GROUPS[name]]), h("dd", null, withheld(words.changes[record.restricted?.includes(GROUPS[name]) ? "restricted" : "erased"]))) : null));
  }).filter(Boolean);
}

function fact(words, record, field) {
  const one = record[field];
  const simple = typeof one === "string" || typeof one === "number";
  const filters = simple && ASKED.has(field) && !NO_FILTER.has(field) && String(one).length < 400;
  return h(".fact", null, h("dt", null, words.fields[field] ?? field),
    h("dd", null, shown(words, record, field), truncated(record, field) ? withheld(words.changes.cut) : null, filters ? actions(words, field, String(one)) : null));
}

function shown(words, record, field) {
  const one = record[field];
  const link = (view, more) => h("a", { href: addressFor(view, more), onclick: event => { if (event.ctrlKey || event.metaKey || event.shiftKey) return; event.preventDefault(); go(view, more); } }, String(one));
  switch (field) {
    case "occurred_at": case "recorded_at": return h("time", { datetime: one }, absolute(one));
    case "duration_us": return duration(one);
    case "request_bytes": case "response_bytes": return bytes(one);
    case "severity": return `${words.severities[one] ?? ""} (${one})`;
    case "outcome": return words.outcomes[one] ?? one;
    case "actor_type": return [icon(one), " ", words.actorTypes[one] ?? one];
    case "entity_id": return record.entity_type ? link("entity", { type: record.entity_type, id: one }) : one;
    case "actor_id": return link("actor", { id: one });
    case "session_id": return link("session", { id: one });
    case "request_body": case "response_body": return body(one);
    case "metadata": return tree(words, one);
    case "subject_ids": case "forwarded": return Array.isArray(one) ? one.join(", ") : tree(words, one);
    case "targets": return Array.isArray(one) ? h("ul.targets", null, one.map(target => h("li", null, targetText(words, target)))) : tree(words, one);
    default: return typeof one === "object" ? tree(words, one) : String(one);
  }
}

function targetText(words, target) {
  if (target === null || typeof target !== "object") return String(target);
  const { type, id, name, relation } = target;
  const text = [type, id, name && `“${name}”`].filter(Boolean).join(" ");
  const linked = typeof type === "string" && typeof id === "string";
  return [linked ? h("a", { href: addressFor("entity", { type, id }) }, text) : text, relation ? h("span.quiet", null, ` (${relation})`) : null];
}

/** A flat map as lines, anything deeper as JSON. */
function tree(words, one) {
  const entries = isTree(one) && !Array.isArray(one) ? Object.entries(one) : null;
  if (!entries || entries.some(([, inner]) => isTree(inner))) return json(one);
  return h("dl.map", null, entries.map(([key, inner]) => h("div", null, h("dt", null, key), h("dd", null, value(inner, words.changes)))));
}

function body(text) {
  try {
    return json(parse(text));
  } catch {
    const pre = json("");
    pre.textContent = visibleLines(text);
    return pre;
  }
}

export function rawTab(words, record, panel, signal) {
  const say = words.raw;
  const place = h(".raw");
  let format = "json", text = JSON.stringify(record, null, 2);
  const source = () => (format === "json" ? address(`records/${record.id}`) : address("export", { format, q: `id:${record.id}` }));
  const buttons = h(".segments", { role: "group", "aria-label": say.label }, ["json", "ocsf", "cloudevents"].map(name => h("button", { type: "button", "aria-pressed": String(name === format), onclick: event => show(name, event.currentTarget) }, say[name])));

  async function show(name, button) {
    format = name;
    [...buttons.children].forEach(other => other.setAttribute("aria-pressed", String(other === button)));
    try {
      if (name === "json") text = JSON.stringify(record, null, 2);
      else {
        fill(place, h("p.quiet", null, words.loading));
        let got = await askText("export", { format: name, q: `id:${record.id}` }, { signal });
        try { got = JSON.stringify(parse(got), null, 2); } catch { /* lines of JSON stay lines */ }
        // Somebody may have asked for another by now.
        if (format !== name) return;
        text = got;
      }
      draw();
    } catch (problem) {
      if (!isAbort(problem) && format === name) showTrouble(place, words, problem);
    }
  }

  function draw() {
    const pre = h("pre.json", { tabindex: "0", "aria-label": say[format] });
    // Exactly what the API said, but for what would turn lines around.
    pre.textContent = text.replace(/(?!\n)[\p{Cc}\p{Cf}\u2028\u2029]/gu, c => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
    fill(place, format === "json" ? null : h("p.quiet", null, say.exported), pre);
  }

  draw();
  fill(panel, h(".raw-tools", null, buttons, h("span.gap"),
    h("button.button", { type: "button", onclick: () => copy(text, words) }, icon("copy"), say.copy),
    h("button.button", { type: "button", onclick: () => copy(curl(source()), words) }, say.curl)), place);
}

/** A command for a shell; nothing in the address leaves its quotes. */
export function curl(url) {
  return `curl '${String(url).replaceAll("'", "%27")}'`;
}

export async function integrityTab(words, record, panel, signal) {
  const say = words.integrity;
  const fact = (name, shown) => h(".fact", null, h("dt", null, name), h("dd", null, shown));
  const place = h("div", { role: "status" }, h("p.quiet", null, words.loading));
  fill(panel, place,
    h("dl.facts", null, fact(say.stream, record.writer_id), fact(say.number, String(record.seq))),
    h("p.quiet", null, say.gapless));
  let found;
  try {
    found = await ask(`records/${encodeURIComponent(record.id)}/proof`, null, { signal });
  } catch (problem) {
    if (isAbort(problem)) return undefined;
    if (problem.status === 404) return fill(place, h("h3", null, say.none), h("p", null, say.noneText));
    return showTrouble(place, words, problem, () => integrityTab(words, record, panel, signal));
  }
  const holds = await isProved(found, record).catch(() => false);
  if (signal?.aborted) return undefined;
  const { entry, checkpoint } = found;
  const signed = checkpoint.match(/^time (.*)$/m)?.[1];
  return fill(place, h("h3", null, holds === false ? say.wrong : say.proved),
    h("p", null, holds === false ? say.wrongText : say.provedText(entry.position, entry.size)),
    h("p.quiet", null, holds === null ? say.byServer : holds ? say.byBrowser : null),
    h("dl.facts", null, fact(say.signed, signed ? h("time", { datetime: signed, title: signed }, absolute(signed)) : words.drawer.absent), fact(say.leaf, h("code", null, found.leaf)), fact(say.root, h("code", null, entry.root))),
    h("h3", null, say.checkpoint), h("pre", { tabindex: "0" }, checkpoint.trimEnd().split("\n").map((line, index) => [index ? document.createTextNode("\n") : null, line])), h("p.quiet", null, say.trust));
}
