// The query language, as far as a page needs it: where its parts are, so that they can be coloured, completed, shown
// as chips and changed one by one. What a query means, and whether it is right, is the API's to say.

import { FIELDS } from "./fields.js";

const BY_NAME = new Map(FIELDS.flatMap(field => [field.name, ...field.also].map(name => [name, field])));

/** Returns the field of a name or another spelling; of `metadata.ui.theme` that of its first part. */
export function fieldNamed(name) {
  const known = BY_NAME.get(name.toLowerCase());
  return known ?? BY_NAME.get(name.toLowerCase().split(".")[0]);
}

/**
 * Takes a query apart into `{ kind, from, to }`, in order and without overlaps. Kinds: space, open, close, join (AND,
 * OR), not, field, colon, value, word.
 */
export function tokens(text) {
  const found = [];
  let at = 0;
  const take = (kind, to) => { found.push({ kind, from: at, to }); at = to; };
  while (at < text.length) {
    const c = text[at];
    if (/\s/.test(c)) take("space", at + /^\s+/.exec(text.slice(at))[0].length);
    else if (c === "(") take("open", at + 1);
    else if (c === ")") take("close", at + 1);
    else if ((c === "-" || c === "!") && at + 1 < text.length && !/\s/.test(text[at + 1])) take("not", at + 1);
    else {
      const rest = text.slice(at);
      const join = /^(AND|OR|NOT)(?=[\s(]|$)/.exec(rest);
      const field = /^[A-Za-z_][\w.]*(?:"(?:[^"\\]|\\.)*"[\w.]*)*:/.exec(rest);
      if (join) take(join[0] === "NOT" ? "not" : "join", at + join[0].length);
      else if (field) {
        take("field", at + field[0].length - 1);
        take("colon", at + 1);
        if (at < text.length && !/[\s()]/.test(text[at])) take("value", endOfValue(text, at));
      } else take("word", endOfValue(text, at));
    }
  }
  return found;
}

/** Values end at a space or a parenthesis, outside of quotes and of what a backslash protects. */
function endOfValue(text, at) {
  let quoted = false;
  while (at < text.length) {
    const c = text[at];
    if (c === "\\") at += 1;
    else if (c === '"') quoted = !quoted;
    else if (!quoted && /[\s()]/.test(c)) break;
    at += 1;
  }
  return Math.min(Math.max(at, 0), text.length);
}

/**
 * Returns the conditions that all must hold, `{ from, to, negated, field, value }`. Where OR stands outside of
 * parentheses, all of it is one condition.
 */
export function conditions(text) {
  const found = [];
  let open = null, depth = 0, either = false;
  const finish = to => { if (open) found.push({ ...open, to }); open = null; };
  for (const token of tokens(text)) {
    if (depth === 0 && token.kind === "space") { if (!open || open.ready) finish(token.from); continue; }
    if (depth === 0 && token.kind === "join") { either ||= text.slice(token.from, token.to) === "OR"; continue; }
    if (depth === 0 && open?.ready && token.kind !== "open" && token.kind !== "value" && token.kind !== "close") finish(token.from);
    open ??= { from: token.from, negated: false, field: null, value: "", ready: false };
    if (token.kind === "open") {
      if (depth === 0 && open.ready && !open.group) { finish(token.from); open = { from: token.from, negated: false, field: null, value: "", ready: false }; }
      if (depth === 0) open.start = token.from;
      depth += 1;
      open.group = true;
    } else if (token.kind === "close") {
      depth = Math.max(0, depth - 1);
      if (depth === 0) { open.value = text.slice(open.start ?? token.from, token.to); open.ready = true; finish(token.to); }
    } else if (depth === 0) {
      if (token.kind === "not") open.negated = !open.negated;
      else if (token.kind === "field") { open.field = text.slice(token.from, token.to); open.valueFrom = token.to + 1; }
      else if (token.kind === "colon") open.group = true;
      else { open.value = text.slice(token.from, token.to); open.ready = true; open.group = false; }
    }
  }
  finish(text.length);
  if (either && text.trim()) {
    const from = text.length - text.trimStart().length;
    return [{ from, to: text.trimEnd().length, negated: false, field: null, value: text.trim(), either: true }];
  }
  return found.map(({ from, to, negated, field, value }) => ({ from, to: from + text.slice(from, to).trimEnd().length, negated, field, value }));
}

/** Writes a value so that it stands for itself. */
export function quoted(value) {
  const text = String(value);
  const plain = text !== "" && !/[\s,()"\\*]|\.\.|^[-!<>=]/.test(text) && !/^(AND|OR|NOT)$/.test(text);
  return plain ? text : `"${text.replace(/["\\]/g, "\\$&")}"`;
}

/** Returns what a value says without its quotes. */
export function plain(value) {
  return /^".*"$/.test(value) ? value.slice(1, -1).replace(/\\(.)/g, "$1") : value;
}

const sameField = (a, b) => a !== null && (fieldNamed(a)?.name ?? a) === (fieldNamed(b)?.name ?? b);

/** Tells whether a query asks for a value, or asks to be without it: `true`, `false`, or null. */
export function asked(text, field, value) {
  const found = conditions(text).find(one => sameField(one.field, field) && values(one.value).includes(String(value)));
  return found ? !found.negated : null;
}

function values(text) {
  return (text.match(/(?:"(?:[^"\\]|\\.)*"|[^,])+/g) ?? []).map(plain);
}

/** Adds a condition on a value, or takes it away when it is there; an opposite one gives way. */
export function toggled(text, field, value, negated = false) {
  const there = conditions(text).find(one => sameField(one.field, field) && values(one.value).length === 1 && values(one.value)[0] === String(value));
  const rest = there ? without(text, there) : text.trim();
  if (there && there.negated === negated) return rest;
  const added = `${negated ? "-" : ""}${field}:${quoted(value)}`;
  if (rest === "") return added;
  return `${conditions(rest)[0]?.either ? `(${rest})` : rest} ${added}`;
}

/** Adds a condition on a value that is not there yet. */
export function narrowed(text, field, value) {
  return asked(text, field, value) === true ? text : toggled(text, field, value);
}

/** Takes a condition out, and the AND that joined it. */
export function without(text, { from, to }) {
  const before = text.slice(0, from).replace(/\s*(\bAND\s*)?$/, "");
  const after = text.slice(to).replace(/^\s*(AND\b\s*)?/, "");
  return [before, after].filter(Boolean).join(" ").trim();
}

/** Turns a condition into its opposite. */
export function inverted(text, condition) {
  const own = text.slice(condition.from, condition.to);
  const opposite = condition.either ? `-(${own})` : condition.negated ? own.replace(/^\s*(?:-|!|NOT\s+)/, "") : `-${own}`;
  return text.slice(0, condition.from) + opposite + text.slice(condition.to);
}

/** Says what can be completed at a place: `{ kind: "field" | "value", from, to, text, field? }`, or null. */
export function completable(text, caret) {
  const all = tokens(text);
  const index = all.findIndex(token => token.from < caret && caret <= token.to);
  const token = all[index];
  if (!token || token.kind === "space" || token.kind === "open" || token.kind === "not" || token.kind === "join") {
    const group = groupField(text, caret);
    return group ? { kind: "value", field: group, from: caret, to: caret, text: "" } : { kind: "field", from: caret, to: caret, text: "" };
  }
  const part = { from: token.from, to: token.to, text: text.slice(token.from, caret) };
  if (token.kind === "field") return { kind: "field", ...part };
  if (token.kind === "colon") return { kind: "value", field: text.slice(all[index - 1].from, all[index - 1].to), from: token.to, to: all[index + 1]?.kind === "value" ? all[index + 1].to : token.to, text: "" };
  if (token.kind === "value") {
    // Of a list of values the one under the caret.
    const comma = part.text.lastIndexOf(",") + 1;
    const end = text.slice(caret, token.to).indexOf(",");
    const field = text.slice(all[index - 2].from, all[index - 2].to);
    return { kind: "value", field, from: token.from + comma, to: end < 0 ? token.to : caret + end, text: part.text.slice(comma) };
  }
  if (token.kind === "word") {
    const group = groupField(text, token.from);
    return group ? { kind: "value", field: group, ...part } : { kind: "field", ...part };
  }
  return null;
}

/** Within `field:( … )` returns the field. */
function groupField(text, at) {
  const open = [];
  let last = null;
  for (const token of tokens(text)) {
    if (token.from >= at) break;
    if (token.kind === "open") open.push(last?.kind === "colon" ? last.field : open.at(-1) ?? null);
    else if (token.kind === "close") open.pop();
    last = token.kind === "colon" ? { ...token, field: last && text.slice(last.from, last.to) } : token;
  }
  return open.at(-1) ?? null;
}
