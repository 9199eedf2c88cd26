// The page with the list: what is asked, what was found, and what is open of it. Trails of one entity, actor or
// session are the same page under a heading.

import { ask, isAbort } from "./api.js";
import { cellMenu, filterBy } from "./cellmenu.js";
import { columnPicker } from "./columnpicker.js";
import { AGAIN, goesOn, statsOf } from "./counts.js";
import { append, copy, fill, h, icon, say as announce, toList } from "./dom.js";
import { drawer } from "./drawer.js";
import { howToBegin, nothingFound } from "./empty.js";
import { exportDialog } from "./export.js";
import { FACETS, facetPanel, TOP } from "./facets.js";
import { histogram } from "./histogram.js";
import { recordList } from "./list.js";
import { Live } from "./live.js";
import { showTrouble } from "./problems.js";
import { rangePicker } from "./range.js";
import { searchBox } from "./search.js";
import { inOneLine } from "./sentence.js";
import { change, isTrail, question, state } from "./state.js";
import { duration, shortMoment } from "./time.js";
import { trailHead } from "./trail.js";

/** `tail` is how the list goes on after its last record: the parameters that its next page has of its own. */
const PAGE = 100;
/** More than so many unread records are counted, and read from the API when they are wanted. */
const MOST_WAITING = 2_000;

export function listPage(words) {
  const search = searchBox(words), range = rangePicker(words), facets = facetPanel(words), chart = histogram(words), columns = columnPicker(words, () => list.redraw());
  const heading = h(".trail", { hidden: true });
  const notice = h(".notices");
  const results = h("section.results", { "aria-label": words.list.label, tabindex: "-1" });
  const side = drawer(words, { step: by => { const record = list.move(by); if (record) open(record, true); }, list: () => list });
  const list = recordList(words, results, { open, more, atTop: top => { if (top) showFresh(); } });
  cellMenu(words, list.canvas);

  const freshButton = h("button.fresh-button", { type: "button", hidden: true, onclick: () => { takeFresh(); toList(); } });
  const liveButton = h("button.button.live-button", { type: "button", "aria-pressed": "false", onclick: () => change({ live: state.live ? "" : "1" }, { replace: true }) }, h("span.live-dot", { "aria-hidden": "true" }), words.live.start);
  const liveLine = h("p.live-line.quiet", { role: "status" });
  const orderButton = h("button.icon-button", { type: "button", onclick: () => change({ order: state.order === "asc" ? "desc" : "asc", live: "" }) });
  const facetButton = h("button.button.facet-button", { type: "button", "aria-label": words.facets.open, title: words.facets.open, "aria-expanded": "false", "aria-controls": "facets", onclick: () => facetsOpen(!element.classList.contains("with-facets")) }, icon("filter"), h("span", null, words.facets.open));
  facets.element.id = "facets";
  const tools = h(".tools", null, range.element, liveButton, facetButton, h("span.gap"), orderButton, columns.element,
    h("button.button", { type: "button", "aria-label": words.export.open, title: words.export.title, onclick: () => exportDialog(words) }, icon("download"), h("span.button-label", null, words.export.open)));
  append(results, [chart.element, notice, list.element]);
  const element = h("main.list-page", null, h("h1.off-screen", null, words.nav.list),
    h(".asked", null, h(".search-line", null, search.element, tools), search.trouble, search.chips),
    heading,
    h(".found", null, facets.element, h(".center", null, h(".live-place", null, freshButton), results), side.element),
    liveLine);

  let asking = null, counting = null, tail = null, paging = false, cursor = null, live = null, waiting = [], overflowed = false, recount = null;

  function facetsOpen(yes) {
    element.classList.toggle("with-facets", yes);
    facetButton.setAttribute("aria-expanded", String(yes));
  }

  // ---- asking

  /** Asks for everything anew. */
  async function load({ quiet = false } = {}) {
    asking?.abort();
    asking = new AbortController();
    const { signal } = asking;
    stopLive();
    clearTimeout(recount);
    recount = null;
    waiting = [];
    overflowed = false;
    tail = null;
    paging = false;
    showFresh();
    const slow = setTimeout(() => element.classList.add("busy"), quiet ? 1000 : 150);
    results.setAttribute("aria-busy", "true");
    fill(notice);
    count(signal);
    try {
      let page = await ask("records", { ...question(), order: state.order, limit: PAGE }, { signal });
      list.clear();
      results.scrollTop = 0;
      cursor = page.live;
      search.wrong(null);
      // A rare word in a long log: each answer comes in its time, with what was found until then.
      while (page.records.length === 0 && page.next) {
        fill(notice, h("p.hint-line.quiet", { role: "status" }, words.search.unfinished));
        page = await ask("records", { ...question(), order: state.order, limit: PAGE, cursor: page.next }, { signal });
        fill(notice);
      }
      take(page);
      if (page.records.length === 0) nothingFound(words, notice, signal);
      else if (!page.next && state.view === "list" && page.records.every(record => record.category === "system")) howToBegin(words, notice, signal);
      else if (page.search && !page.search.indexed) fill(notice, h("p.hint-line.quiet", null, page.search.from && !question().from ? words.search.window(shortMoment(new Date(page.search.from))) : words.search.unindexed), page.search.complete ? null : h("p.hint-line.quiet", null, words.search.partial));
      element.classList.toggle("nothing", page.records.length === 0);
      list.open(state.record);
      follow();
    } catch (problem) {
      if (isAbort(problem)) return;
      list.clear();
      list.append([], true);
      chart.draw(null);
      facets.draw(null);
      element.classList.add("nothing");
      if (problem.parameter === "q") {
        search.wrong(problem);
        fill(notice, h(".notice", null, icon("search"), h("h2", null, words.problems.query), h("p.quiet", null, words.problems.mend)));
      }
      else showTrouble(notice, words, problem, () => load());
    } finally {
      clearTimeout(slow);
      if (!signal.aborted) { element.classList.remove("busy"); results.setAttribute("aria-busy", "false"); }
    }
  }

  function take(page) {
    tail = page.next ? { ...tail, cursor: page.next } : null;
    list.append(page.records, !tail);
    if (page.unreadable) append(notice, [h("p.hint-line.quiet", null, words.list.unreadable(page.unreadable))]);
  }

  async function more() {
    if (paging || !tail) return;
    paging = true;
    const { signal } = asking;
    try {
      take(await ask("records", { ...question(), order: state.order, limit: PAGE, ...tail }, { signal }));
    } catch (problem) {
      if (isAbort(problem)) return;
      if (problem.kind === "invalid-cursor") return load();
      tail = null;
      fill(notice);
      showTrouble(notice, words, problem, () => load());
    } finally {
      paging = false;
    }
    list.later();
  }

  /** Asks for the numbers: the histogram, and the values beside the list. */
  async function count(signal) {
    counting?.abort();
    counting = new AbortController();
    const stop = counting;
    signal?.addEventListener("abort", () => stop.abort());
    try {
      const [stats] = await Promise.all([
        statsOf(question(), stop).then(stats => { chart.draw(stats); return stats; }),
        ask("facets", { ...question(), fields: FACETS.join(","), top: TOP }, stop).then(facets.draw),
      ]);
      if (goesOn(stats)) recount ??= setTimeout(() => { recount = null; count(); }, AGAIN);
    } catch (problem) {
      // The list says what is wrong.
      if (!isAbort(problem)) { chart.draw(null); facets.draw(null); }
    }
  }

  // ---- live

  function follow() {
    stopLive();
    const say = words.live;
    const why = state.to ? say.closedEnd : state.order === "asc" ? say.ascending : null;
    liveButton.disabled = Boolean(why);
    liveButton.title = why ?? (state.live ? say.stopLabel : say.startLabel);
    liveButton.setAttribute("aria-pressed", String(Boolean(state.live) && !why));
    if (why || !state.live || !cursor) return;
    live = new Live(cursor, question(), { records: come, state: tell, delay: ms => { lag = ms; } });
  }
  let lag = 0, told = "";

  function tell(name, detail) {
    const say = words.live;
    const text = { connecting: say.connecting, connected: lag > 5000 ? say.delay(duration(lag * 1000)) : say.connected, lost: say.lost(detail), lagged: say.lagged(detail), ended: `${say.ended}. ${detail?.message ?? ""}` }[name];
    element.dataset.live = name;
    if (name === told && name === "connected" && lag <= 5000) return;
    told = name;
    fill(liveLine, text);
    if (name === "ended") liveButton.setAttribute("aria-pressed", "false");
  }

  function stopLive() {
    live?.stop();
    live = null;
    lag = 0;
    told = "";
    delete element.dataset.live;
    fill(liveLine);
  }

  function come(records) {
    recount ??= setTimeout(() => { recount = null; count(); }, AGAIN);
    element.classList.remove("nothing");
    if (records.some(record => record.category !== "system")) fill(notice);
    waiting.push(...records.filter(record => !list.rows.ids.has(record.id)));
    if (waiting.length > MOST_WAITING) overflowed = true;
    // Many messages make one drawing.
    drawing ??= setTimeout(() => { drawing = null; if (list.atTop && !document.hidden) takeFresh(); else showFresh(); }, 150);
  }
  let drawing = null;

  function showFresh() {
    if (waiting.length > 0 && list.atTop && !overflowed) return takeFresh();
    freshButton.hidden = waiting.length === 0;
    if (waiting.length) fill(freshButton, icon("up"), words.live.fresh(waiting.length));
    element.classList.toggle("paused", waiting.length > 0);
    if (element.dataset.live === "connected" && lag <= 5000) fill(liveLine, waiting.length > 0 ? words.live.paused : words.live.connected);
    return undefined;
  }

  /** Puts what has come into the list. */
  function takeFresh() {
    if (overflowed) return load({ quiet: true });
    const come = waiting;
    waiting = [];
    if (!list.atTop) list.toTop();
    const { cut } = list.insert(come);
    // Just after the last record that stayed, so that none of its microsecond is left out.
    if (cut) tail = { to: after(list.rows.records.at(-1).occurred_at) };
    showFresh();
    return undefined;
  }

  const after = text => text.replace(/\.(\d{6})Z$/, (_, micros) => `.${String(Math.min(999_999, Number(micros) + 1)).padStart(6, "0")}Z`);

  // ---- what is open

  function open(record, replace = false) {
    side.hold(record);
    announce(inOneLine(record, words));
    change({ record: record.id, tab: state.record ? state.tab : "" }, { replace: replace || Boolean(state.record) });
  }

  function onCell(run) {
    const { field, value, type } = list.activeCell?.dataset ?? {};
    if (field) run(field, value, type);
  }

  function refresh(before) {
    const same = (...names) => before && names.every(name => before[name] === state[name]);
    fill(orderButton, icon(state.order === "asc" ? "oldest" : "newest"));
    const order = state.order === "asc" ? words.list.oldest : words.list.newest;
    orderButton.title = order;
    orderButton.setAttribute("aria-label", order);
    if (!same("view", "type", "id")) {
      heading.hidden = !isTrail();
      element.querySelector("h1.off-screen").hidden = isTrail();
      if (isTrail()) trailHead(words, heading);
    }
    range.refresh();
    if (!same("q")) search.refresh();
    columns.refresh();
    side.show();
    list.open(state.record);
    if (!same("view", "type", "id", "q", "from", "to", "order")) return load();
    if (!same("live")) return follow();
    if (!same("tz")) { load(); } else if (!same("cols")) list.redraw();
    return undefined;
  }

  return {
    element, refresh,
    leave() { asking?.abort(); counting?.abort(); clearTimeout(recount); stopLive(); chart.leave(); list.leave(); },
    keys: {
      "/": () => search.focus(),
      j: () => { const record = list.move(1); if (record && state.record) open(record, true); },
      k: () => { const record = list.move(-1); if (record && state.record) open(record, true); },
      Enter: () => { if (list.active) { open(list.active); side.element.focus({ preventScroll: true }); } },
      Escape: () => { if (element.classList.contains("with-facets")) facetsOpen(false); else if (state.record) side.close(); },
      ArrowLeft: () => list.sideways(-1),
      ArrowRight: () => list.sideways(1),
      f: () => onCell((field, value, type) => filterBy(field, value, false, type)),
      x: () => onCell((field, value, type) => filterBy(field, value, true, type)),
      c: () => onCell((_, value) => copy(value, words)),
      o: () => list.unfold(),
      "[": () => side.turn(-1),
      "]": () => side.turn(1),
      l: () => { if (!liveButton.disabled) { liveButton.click(); announce(state.live ? words.live.connecting : words.live.ended); } },
      e: () => exportDialog(words),
    },
  };
}
