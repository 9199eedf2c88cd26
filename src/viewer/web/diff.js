// What changed, field by field: old and new, words within text, the leaves of JSON.

import { h, visibleLines } from "./dom.js";

/** What the privacy rules put in the place of a secret, as a whole or within a text. */
const MARKED = /(\[REDACTED\])/i;
/** Longer texts are compared as wholes. */
const MOST_WORDS = 400;

export function changesTable(words, record) {
  const say = words.changes;
  const changes = record.changes;
  if (changes === null || changes === undefined) {
    if (record.restricted?.includes("content")) return h("p.quiet", null, [withheld(say.restricted), " ", say.kept]);
    return h("p.quiet", null, record.erased?.includes("content") ? [withheld(say.erased), " ", say.gone] : truncated(record, "changes") ? say.lost : say.none);
  }
  if (!Array.isArray(changes) || changes.some(change => change === null || typeof change !== "object")) {
    return [h("p.quiet", null, say.unreadable), json(changes)];
  }
  if (changes.length === 0) return h("p.quiet", null, say.none);
  return h("table.changes", null, h("caption.off-screen", null, say.table),
    h("thead", null, h("tr", null, [say.field, say.before, say.after].map(text => h("th", { scope: "col" }, text)))),
    h("tbody", null, changes.map(change => row(change, say))));
}

export const truncated = (record, field) => JSON.stringify(record.truncated ?? null).includes(`"${field}"`);

function row(change, say) {
  const path = typeof change.path === "string" ? change.path : "";
  const field = h("th.path", { scope: "row" }, path === "" ? h("em", null, say.whole) : path.split("/").slice(1).map((part, at) => [at ? h("span.quiet", null, " › ") : null, part.replaceAll("~1", "/").replaceAll("~0", "~")]));
  const had = Object.hasOwn(change, "old"), has = Object.hasOwn(change, "new");
  if (had && has && isTree(change.old) && isTree(change.new)) return h("tr", null, field, h("td", { colspan: "2" }, trees(change.old, change.new, say)));
  if (had && has && typeof change.old === "string" && typeof change.new === "string" && !MARKED.test(change.old + change.new)) {
    const parts = wordDiff(change.old, change.new);
    if (parts) return h("tr", null, field, h("td.old", null, side(parts, "out")), h("td.new", null, side(parts, "in")));
  }
  return h("tr", null, field, h("td.old", null, had ? value(change.old, say) : h("span.quiet", null, say.absent)), h("td.new", null, has ? value(change.new, say) : h("span.quiet", null, say.absent)));
}

export const withheld = text => h("span.withheld", null, text);

/** Numbers that are longer than ours are objects too, see `parse`. */
export const isTree = one => one !== null && typeof one === "object" && !JSON.isRawJSON?.(one);

export function value(one, say) {
  if (typeof one === "string") {
    return h("span.v-text", null, one === "" ? "“”" : one.split(MARKED).map((part, at) => (at % 2 ? withheld(say.redacted) : part)));
  }
  if (isTree(one)) return h("details.tree", null, h("summary", null, Array.isArray(one) ? `[ ${one.length} ]` : `{ ${Object.keys(one).length} }`), json(one));
  return h("span.v-other", null, one === null ? "null" : JSON.isRawJSON?.(one) ? one.rawJSON : String(one));
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

/** Two pieces of JSON as one tree: what differs, below the keys that lead there; how much does not is told and folded. */
function trees(before, after, say) {
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  const other = [], same = [];
  for (const key of keys) {
    const [had, has] = [Object.hasOwn(before, key), Object.hasOwn(after, key)];
    const [old, fresh] = [before[key], after[key]];
    const name = h("code", null, key);
    if (had && has && JSON.stringify(old) === JSON.stringify(fresh)) same.push([leaves(old), h("li", null, name, " ", leaf(old, say))]);
    else if (had && has && isTree(old) && isTree(fresh) && Array.isArray(old) === Array.isArray(fresh)) other.push(h("li", null, name, trees(old, fresh, say)));
    else other.push(h("li", null, name, " ", had ? h("del", null, leaf(old, say)) : null, had && has ? " → " : null, has ? h("ins", null, leaf(fresh, say)) : null));
  }
  const unchanged = same.reduce((sum, [count]) => sum + count, 0);
  return [
    other.length ? h("ul.leaves", null, other) : null,
    unchanged ? h("details", null, h("summary.quiet", null, say.unchanged(unchanged)), h("ul.leaves", null, same.map(([, item]) => item))) : null,
  ];
}

const leaf = (one, say) => (typeof one === "string" && MARKED.test(one) ? value(one, say) : JSON.stringify(one));

const leaves = tree => (isTree(tree) && Object.keys(tree).length ? Object.values(tree).reduce((sum, one) => sum + leaves(one), 0) : 1);
