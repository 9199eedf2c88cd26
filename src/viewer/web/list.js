// The list: only the rows in sight are elements, however many are behind it.

import { card, COLUMNS, fitting } from "./columns.js";
import { fill, h } from "./dom.js";
import { Rows } from "./rows.js";
import { state } from "./state.js";
import { day, relative } from "./time.js";

/** So much above and below the window is there already. */
const MARGIN = 600;
/** Below this width rows are cards. */
const NARROW = 640;
/** So many new rows at once are told apart by colour. */
const MOST_FRESH = 20;

/**
 * Makes the list. `scroller` is what scrolls around it; `on.open(record)`, `on.more()` and `on.atTop(bool)` are called
 * when somebody opens a record, comes near the end, and leaves or reaches the top.
 */
export function recordList(words, scroller, on) {
  const say = words.list;
  const rows = new Rows();
  const head = h(".row.head", { role: "row" });
  const canvas = h(".canvas", { role: "rowgroup" });
  const element = h(".list", { id: "list", role: "grid", tabindex: "0", "aria-label": say.label, "aria-rowcount": "-1" }, h(".list-head", { role: "rowgroup" }, head), canvas);
  const shown = new Map();
  let columns = [], active = null, activeCell = 0, waiting = false, wasAtTop = true, tall = 0, foot = null, fresh = new Set(), current = "";

  // ---- what is in sight

  function top() {
    return canvas.getBoundingClientRect().top - scroller.getBoundingClientRect().top;
  }

  function draw() {
    waiting = false;
    // Everything is measured before anything is changed: the browser lays the page out once.
    const offset = -top(), room = scroller.clientHeight, atTop = scroller.scrollTop < 4;
    const from = offset - MARGIN, to = offset + room + MARGIN;
    if (tall !== rows.height) canvas.style.height = `${tall = rows.height}px`;
    const first = rows.at(Math.max(0, from));
    let last = first;
    while (last < rows.items.length && rows.items[last].top < to) last += 1;
    const wanted = new Set(rows.items.slice(first, last).map(item => item.key));
    for (const [key, node] of shown) {
      if (wanted.has(key)) continue;
      node.remove();
      shown.delete(key);
    }
    // The elements stand in the order of the rows: that is the order in which they are read aloud.
    let follower = canvas.firstChild;
    for (let at = first; at < last; at += 1) {
      const item = rows.items[at];
      let node = shown.get(item.key);
      if (!node) shown.set(item.key, node = make(item));
      if (node === follower) follower = follower.nextSibling;
      else canvas.insertBefore(node, follower);
      place(node, item, at);
    }
    const end = rows.items.at(-1);
    if (!rows.ended && rows.records.length > 0 && end && end.top < offset + room + 2 * MARGIN) on.more();
    if (atTop !== wasAtTop) on.atTop(wasAtTop = atTop);
  }

  function place(node, item, at) {
    if (node.dataset.top !== String(item.top)) {
      node.dataset.top = item.top;
      node.style.transform = `translateY(${item.top}px)`;
      node.style.height = `${item.height}px`;
    }
    node.setAttribute("aria-rowindex", at + 2);
  }

  function later() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(draw);
  }

  function make(item) {
    if (item.kind === "day") return h(".row.day", { role: "row" }, h("div", { role: "gridcell" }, h("span", null, day(new Date(item.at)))));
    if (item.kind === "foot") return (foot = h(".row.foot", { role: "row" }, h("div", { role: "gridcell" }, footText())));
    const { record, members, member } = item;
    // What is folded away may have ended worse than what is shown of it.
    const bad = members.find(one => one.outcome !== "success" && one.outcome !== record.outcome);
    const label = members.length === 0 ? "" : bad ? `${say.folded(members.length)}: ${words.outcomes[bad.outcome]}` : say.folded(members.length);
    const folded = members.length === 0 ? null : h("button.fold", {
      type: "button", tabindex: "-1", "aria-expanded": String(rows.unfolded.has(record.request_id)), title: label, "aria-label": label,
      onclick: event => { event.stopPropagation(); event.preventDefault(); unfold(record.request_id); },
    }, bad ? h(`span.badge.o-${bad.outcome}`, null, h("span.dot", { "aria-hidden": "true" })) : null, `+${members.length}`);
    const row = h("div.row.record", { role: "row", id: `row-${record.id}`, data: { id: record.id } });
    if (member) row.classList.add("member");
    if (record.outcome !== "success") row.classList.add(`is-${record.outcome}`);
    if (fresh.has(record.id)) row.classList.add("fresh");
    if (rows.narrow) row.append(card(record, words, folded));
    else for (const name of columns) row.append(COLUMNS[name].cell(record, words, folded));
    mark(row, record.id);
    return row;
  }

  const footText = () => (rows.ended ? (rows.records.length > 0 ? say.end : "") : say.more);

  function unfold(request) {
    if (!rows.unfolded.delete(request)) rows.unfolded.add(request);
    rows.lay();
    redraw();
  }

  /** Draws everything anew: other columns, another zone, another width. */
  function redraw() {
    shown.forEach(node => node.remove());
    shown.clear();
    const width = element.clientWidth;
    const narrow = width > 0 && width < NARROW;
    if (narrow !== rows.narrow) { rows.narrow = narrow; rows.lay(); }
    element.classList.toggle("narrow", narrow);
    columns = narrow ? ["card"] : fitting(state.cols.split(","), width);
    fill(head, narrow ? h("div", { role: "columnheader" }, say.label) : columns.map(name => h(`div.h-${name}`, { role: "columnheader" }, words.columns.names[name])));
    element.style.setProperty("--columns", narrow ? "1fr" : columns.map(name => COLUMNS[name].width).join(" "));
    element.setAttribute("aria-colcount", columns.length);
    activeCell = Math.min(activeCell, columns.length - 1);
    resized();
  }

  function resized() {
    // What is higher than the window must be so before somebody scrolls to it.
    if (tall !== rows.height) canvas.style.height = `${tall = rows.height}px`;
    later();
  }

  // ---- where the reader is

  function mark(row, id) {
    row.classList.toggle("active", id === active);
    row.classList.toggle("current", id === current);
    row.setAttribute("aria-selected", String(id === current));
    row.querySelector(".cell.active")?.classList.remove("active");
    if (id === active) row.children[activeCell]?.classList.add("active");
  }

  function remark() {
    for (const [key, node] of shown) if (node.dataset.id) mark(node, key);
    if (active) element.setAttribute("aria-activedescendant", `row-${active}`); else element.removeAttribute("aria-activedescendant");
  }

  function reveal(index) {
    const item = rows.items[index];
    if (!item) return;
    const at = top() + item.top, room = scroller.clientHeight, covered = head.offsetHeight + 8;
    if (at < covered) scroller.scrollTop += at - covered;
    else if (at + item.height > room) scroller.scrollTop += at + item.height - room + 8;
    draw();
  }

  /** Goes so many rows down; returns the record that is reached, or null at either end. */
  function move(by) {
    const from = active ? rows.indexOf(active) : -1;
    const to = from < 0 && by < 0 ? -1 : rows.step(from, by);
    if (to < 0) return null;
    active = rows.items[to].record.id;
    element.classList.add("keyed");
    reveal(to);
    remark();
    return rows.items[to].record;
  }

  canvas.addEventListener("click", event => {
    const row = event.target.closest(".record");
    if (!row || event.target.closest("button") || String(getSelection())) return;
    if (event.target.closest("a") && (event.ctrlKey || event.metaKey || event.shiftKey)) return;
    event.preventDefault();
    const item = rows.items[rows.indexOf(row.dataset.id)];
    if (!item) return;
    active = row.dataset.id;
    element.classList.remove("keyed");
    const cell = event.target.closest(".cell");
    if (cell) activeCell = [...row.children].indexOf(cell);
    remark();
    on.open(item.record);
  });
  scroller.addEventListener("scroll", later, { passive: true });
  let lastWidth = 0;
  const watched = new ResizeObserver(() => requestAnimationFrame(() => {
    if (element.clientWidth !== lastWidth) { lastWidth = element.clientWidth; redraw(); } else later();
  }));
  watched.observe(element);
  const aging = setInterval(() => {
    const now = Date.now();
    for (const node of canvas.querySelectorAll("[data-at]")) node.textContent = relative(Number(node.dataset.at), now);
  }, 15_000);

  return {
    element, canvas, rows, redraw, move, later,
    clear() { rows.clear(); active = null; fresh = new Set(); redraw(); },
    append(records, ended) {
      rows.append(records, ended);
      // A row may fold what has just come.
      const last = rows.items.findLast(item => item.kind === "row");
      if (last?.members.length) { shown.get(last.key)?.remove(); shown.delete(last.key); }
      if (foot) fill(foot.firstChild, footText());
      resized();
    },
    /** Adds live records; what is read stays where it is. */
    insert(records) {
      const atTop = scroller.scrollTop < 4;
      const before = rows.height;
      // In a flood everything is new.
      fresh = new Set(atTop && records.length <= MOST_FRESH ? records.map(record => record.id) : []);
      const { added, cut } = rows.insert(records, atTop);
      if (!atTop) {
        canvas.style.height = `${tall = rows.height}px`;
        scroller.scrollTop += rows.height - before;
      }
      if (foot) fill(foot.firstChild, footText());
      later();
      return { added, cut };
    },
    get active() { return active ? rows.items[rows.indexOf(active)]?.record ?? null : null; },
    get activeCell() { return active ? shown.get(active)?.children[activeCell] ?? null : null; },
    get atTop() { return scroller.scrollTop < 4; },
    /** Shows the other records of the active one's request, or folds them again. */
    unfold() {
      const item = rows.items[rows.indexOf(active)];
      if (!item || !(item.member || item.members.length > 0)) return;
      if (item.member) active = rows.items.find(one => one.kind === "row" && one.members.includes(item.record))?.record.id ?? active;
      unfold(item.record.request_id);
      remark();
    },
    sideways(by) { element.classList.add("keyed"); activeCell = Math.max(0, Math.min(columns.length - 1, activeCell + by)); remark(); },
    /** Says which record is open beside the list. */
    open(id) { current = id; if (id) active = id; remark(); const at = id ? rows.indexOf(id) : -1; if (at >= 0) reveal(at); },
    toTop() { scroller.scrollTop = 0; draw(); },
    leave() { clearInterval(aging); watched.disconnect(); },
  };
}
