// The model of the list: records in their order, days between them, records of one request folded. No elements.

import { dayKey } from "./time.js";

export const HEIGHTS = { row: 38, card: 74, day: 34, foot: 72 };

/** How many records stay when the list grows at its top without anybody reading further down. */
const MOST_AT_TOP = 3000;

export class Rows {
  records = [];
  ids = new Set();
  items = [];
  height = 0;
  descending = true;
  narrow = false;
  ended = false;
  unfolded = new Set();
  #days = new Map();
  #today = null;
  #last = null;

  clear() {
    this.records = [];
    this.ids.clear();
    this.unfolded.clear();
    this.ended = false;
    this.#days.clear();
    this.lay();
  }

  /** Adds a page at the end. */
  append(records, ended) {
    const fresh = records.filter(record => !this.ids.has(record.id) && this.ids.add(record.id));
    this.records.push(...fresh);
    this.ended = ended;
    this.#layOn(fresh);
  }

  /** Adds what has just come, each to its place. Returns how many were new, and whether the end was cut off. */
  insert(records, trim) {
    const fresh = records.filter(record => !this.ids.has(record.id));
    if (fresh.length === 0) return { added: 0, cut: false };
    fresh.forEach(record => this.ids.add(record.id));
    const sign = this.descending ? -1 : 1;
    fresh.sort((a, b) => sign * compare(a, b));
    const merged = [];
    let next = 0;
    for (const record of this.records) {
      while (next < fresh.length && sign * compare(fresh[next], record) <= 0) merged.push(fresh[next++]);
      merged.push(record);
    }
    this.records = merged.concat(fresh.slice(next));
    const cut = trim && this.records.length > MOST_AT_TOP + 500;
    if (cut) {
      this.records.splice(MOST_AT_TOP).forEach(record => this.ids.delete(record.id));
      this.ended = false;
    }
    this.lay();
    return { added: fresh.length, cut };
  }

  /** Finds everything its place. */
  lay() {
    this.items = [];
    this.height = 0;
    this.#today = this.#last = null;
    this.#layOn(this.records);
  }

  /** Finds what has come at the end its place; what stands there already keeps its own. */
  #layOn(records) {
    const put = (item, height) => { this.items.push({ ...item, top: this.height, height }); this.height += height; return this.items.at(-1); };
    const rowHeight = this.narrow ? HEIGHTS.card : HEIGHTS.row;
    if (this.items.at(-1)?.kind === "foot") this.height -= this.items.pop().height;
    for (const record of records) {
      const key = this.#day(record.occurred_at);
      if (key !== this.#today) {
        put({ kind: "day", key: `day ${key} ${record.id}`, at: record.occurred_at }, HEIGHTS.day);
        [this.#today, this.#last] = [key, null];
      }
      const last = this.#last;
      if (last && record.request_id !== null && record.request_id === last.record.request_id) {
        last.members.push(record);
        if (this.unfolded.has(record.request_id)) put({ kind: "row", key: record.id, record, members: [], member: true }, rowHeight);
        continue;
      }
      this.#last = put({ kind: "row", key: record.id, record, members: [] }, rowHeight);
    }
    put({ kind: "foot", key: "foot" }, HEIGHTS.foot);
  }

  // Asking for the day of each record by itself is slow; no zone changes its day within a quarter of an hour.
  #day(text) {
    const at = new Date(text);
    const quarter = Math.floor(at.getTime() / 900_000);
    if (!this.#days.has(quarter)) this.#days.set(quarter, dayKey(at));
    return this.#days.get(quarter);
  }

  /** Returns the first item that ends below `top`. */
  at(top) {
    let low = 0, high = this.items.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.items[middle].top + this.items[middle].height > top) high = middle; else low = middle + 1;
    }
    return low;
  }

  indexOf(id) {
    return this.items.findIndex(item => item.kind === "row" && item.record.id === id);
  }

  /** Returns the next row from an index in a direction; -1 when there is none. */
  step(index, by) {
    for (let at = index + by; at >= 0 && at < this.items.length; at += by) if (this.items[at].kind === "row") return at;
    return -1;
  }
}

function compare(a, b) {
  if (a.occurred_at !== b.occurred_at) return a.occurred_at < b.occurred_at ? -1 : 1;
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}
