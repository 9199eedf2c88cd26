// What changed, field by field: old and new, words within text, the leaves of JSON.

import { h, visible, visibleLines } from "./dom.js";

const REDACTED = /^\[?redacted\]?$/i;
/** Longer texts are compared as wholes. */
const MOST_WORDS = 400;

export function changesTable(words, record) {
  const say = words.changes;
  const changes = record.changes;
  if (changes === null || changes === undefined) {
    return h("p.quiet", null, truncated(record, "changes") ? say.lost : say.none);
  }
  if (!Array.isArray(changes) || changes.some(change => change === null || typeof change !== "object")) {
    return [h("p.quiet", null, say.unreadable), h("pre", null, visibleLines(JSON.stringify(changes, null, 2)))].map(keepLines);
  }
  if (changes.length === 0) return h("p.quiet", null, say.none);
  return h("table.changes", null, h("caption.off-screen", null, say.table),
    h("thead", null, h("tr", null, [say.field, say.before, say.after].map(text => h("th", { scope: "col" }, text)))),
    h("tbody", null, changes.map(change => row(change, say))));
}

const keepLines = element => element;

export const truncated = (record, field) => JSON.stringify(record.truncated ?? null).includes(`"${field}"`);

function row(change, say) {
  const path = typeof change.path === "string" ? change.path : "";
  const field = h("th.path", { scope: "row" }, path === "" ? h("em", null, say.whole) : path.split("/").slice(1).map((part, at) => [at ? h("span.quiet", null, " › ") : null, part.replaceAll("~1", "/").replaceAll("~0", "~")]));
  const had = Object.hasOwn(change, "old"), has = Object.hasOwn(change, "new");
  if (had && has && isTree(change.old) && isTree(change.new)) return h("tr", null, field, h("td", { colspan: "2" }, trees(change.old, change.new, say)));
  if (had && has && typeof change.old === "string" && typeof change.new === "string" && !REDACTED.test(change.old)) {
    const parts = wordDiff(change.old, change.new);
    if (parts) return h("tr", null, field, h("td.old", null, side(parts, "out")), h("td.new", null, side(parts, "in")));
  }
  return h("tr", null, field, h("td.old", null, had ? value(change.old, say) : h("span.quiet", null, say.absent)), h("td.new", null, has ? value(change.new, say) : h("span.quiet", null, say.absent)));
}

const isTree = one => one !== null && typeof one === "object";

export function value(one, say) {
  if (typeof one === "string") {
    if (REDACTED.test(one)) return h("span.withheld", null, say.redacted);
    return h("span.v-text", null, one === "" ? "“”" : one);
  }
  if (isTree(one)) return h("details.tree", null, h("summary", null, Array.isArray(one) ? `[ ${one.length} ]` : `{ ${Object.keys(one).length} }`), json(one));
  return h("span.v-other", null, String(one));
}

/** JSON as text, its lines kept. */
export function json(one) {
  const pre = h("pre.json", { tabindex: "0" });
  pre.textContent = visibleLines(JSON.stringify(one, null, 2));
  return pre;
}

function side(parts, which) {
  return parts.filter(([kind]) => kind === "same" || kind === which).map(([kind, text]) => (kind === "same" ? text : h(which === "out" ? "del" : "ins", null, text)));
}

/** Compares texts word by word; null where they have too little in common for that to help. */
function wordDiff(a, b) {
  const [x, y] = [a, b].map(text => text.match(/\s+|[\p{L}\p{N}]+|[^\s\p{L}\p{N}]/gu) ?? []);
  if (x.length < 4 || y.length < 4 || x.length > MOST_WORDS || y.length > MOST_WORDS) return null;
  const length = Array.from({ length: x.length + 1 }, () => new Uint16Array(y.length + 1));
  for (let i = x.length - 1; i >= 0; i -= 1) {
    for (let j = y.length - 1; j >= 0; j -= 1) length[i][j] = x[i] === y[j] ? length[i + 1][j + 1] + 1 : Math.max(length[i + 1][j], length[i][j + 1]);
  }
  if (length[0][0] * 3 < Math.min(x.length, y.length)) return null;
  const parts = [];
  const put = (kind, text) => { if (parts.at(-1)?.[0] === kind) parts.at(-1)[1] += text; else parts.push([kind, text]); };
  let i = 0, j = 0;
  while (i < x.length || j < y.length) {
    if (i < x.length && j < y.length && x[i] === y[j]) { put("same", x[i]); i += 1; j += 1; } else if (j >= y.length || (i < x.length && length[i + 1][j] >= length[i][j + 1])) put("out", x[i++]);
    else put("in", y[j++]);
  }
  return parts;
}

/** The leaves of two pieces of JSON that differ; how many do not is told and folded. */
function trees(before, after, say) {
  const [old, fresh] = [leaves(before), leaves(after)];
  const paths = [...new Set([...old.keys(), ...fresh.keys()])];
  const same = paths.filter(path => old.has(path) && fresh.has(path) && old.get(path) === fresh.get(path));
  const other = paths.filter(path => !same.includes(path));
  return [
    h("ul.leaves", null, other.map(path => h("li", null, h("code", null, path), " ", old.has(path) ? h("del", null, old.get(path)) : null, old.has(path) && fresh.has(path) ? " → " : null, fresh.has(path) ? h("ins", null, fresh.get(path)) : null))),
    same.length ? h("details", null, h("summary.quiet", null, say.unchanged(same.length)), h("ul.leaves", null, same.map(path => h("li", null, h("code", null, path), ` ${old.get(path)}`)))) : null,
  ];
}

function leaves(tree, path = "", found = new Map()) {
  if (!isTree(tree) || Object.keys(tree).length === 0) return found.set(path || "·", JSON.stringify(tree));
  for (const [key, one] of Object.entries(tree)) leaves(one, path ? `${path}.${visible(key)}` : visible(key), found);
  return found;
}
