// The page of numbers.

import { isAbort } from "./api.js";
import { AGAIN, goesOn, statsOf } from "./counts.js";
import { fill, h, say as announce } from "./dom.js";
import { histogram } from "./histogram.js";
import { showTrouble } from "./problems.js";
import { narrowed } from "./query.js";
import { rangePicker } from "./range.js";
import { searchBox } from "./search.js";
import { addressFor, change, go, question, state } from "./state.js";
import { absolute, compact, number } from "./time.js";

const TABLES = [["byOutcome", "by_outcome", "outcome"], ["byCategory", "by_category", "category"], ["byEntity", "by_entity_type", "entity_type"], ["byAction", "by_action", "action"], ["byActor", "by_actor", "actor_id"]];

export function statsPage(words) {
  const say = words.stats;
  const search = searchBox(words), range = rangePicker(words), chart = histogram(words, { label: say.series });
  const liveButton = h("button.button.live-button", { type: "button", "aria-pressed": "false", onclick: () => change({ live: state.live ? "" : "1" }, { replace: true }) }, h("span.live-dot", { "aria-hidden": "true" }), words.live.start);
  const numbers = h(".numbers"), tables = h(".tables"), notice = h(".notices"), asOf = h("p.quiet");
  const element = h("main.stats-page", null, h(".asked", null, h(".search-line", null, search.element, h(".tools", null, range.element, liveButton)), search.trouble, search.chips),
    h(".page-body", null, h("h1", null, say.title), notice, numbers, h(".panel-box", null, chart.element), tables, asOf));
  let asking = null, again = null;

  /** A range with an end does not change any more. */
  const isLive = () => Boolean(state.live) && !state.to;

  async function load() {
    asking?.abort();
    clearTimeout(again);
    asking = new AbortController();
    try {
      const stats = await statsOf(question(), asking);
      if (goesOn(stats) || isLive()) again = setTimeout(load, document.hidden ? 8 * AGAIN : AGAIN);
      fill(notice);
      search.wrong(null);
      const fine = stats.by_outcome.success ?? 0;
      fill(numbers, figure(say.total, number(stats.total)), figure(say.last24, number(stats.last_24h)), figure(say.share, stats.total ? `${(100 * fine / stats.total).toFixed(1)} %` : words.drawer.absent),
        figure(say.actors, Object.keys(stats.by_actor).length >= 20 ? say.topOnly : number(Object.keys(stats.by_actor).length)));
      chart.draw(stats);
      const focused = tables.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
      fill(tables, TABLES.map(([name, key, field]) => table(say[name], stats[key], field, stats.total)));
      if (focused) [...tables.querySelectorAll("a")].find(link => link.getAttribute("href") === focused)?.focus({ preventScroll: true });
      fill(asOf, stats.as_of ? say.asOf(absolute(stats.as_of)) : null, stats.exact && stats.complete ? null : ` ${say.inexact}`);
    } catch (problem) {
      if (isAbort(problem)) return;
      fill(numbers); fill(tables); fill(asOf); chart.draw(null);
      if (problem.parameter === "q") search.wrong(problem); else showTrouble(notice, words, problem, load);
      if (isLive()) again = setTimeout(load, 8 * AGAIN);
    }
  }

  const figure = (name, shown) => h(".figure", null, h("span.quiet", null, name), h("strong", null, shown));

  function table(title, counts, field, total) {
    const entries = Object.entries(counts);
    const most = Math.max(1, ...entries.map(([, count]) => count));
    const target = value => (field === "actor_id" ? ["actor", { id: value }] : ["list", { q: narrowed(state.q, field, value), from: state.from, to: state.to }]);
    return h("section.panel-box", null, h("h2", null, title), entries.length === 0 ? h("p.quiet", null, say.nobody) : h("table.counts", null,
      h("thead.off-screen", null, h("tr", null, h("th", { scope: "col" }, say.value), h("th", { scope: "col" }, say.count))),
      h("tbody", null, entries.map(([value, count]) => {
        const [view, more] = target(value);
        const bar = h("span.bar", { class: field === "outcome" ? `f-${value}` : "" });
        bar.style.width = `${Math.max(0.5, 100 * count / most)}%`;
        const shown = field === "outcome" ? words.outcomes[value] ?? value : value;
        return h("tr", null, h("td", null, h("a", { href: addressFor(view, more), title: value, onclick: event => { if (event.ctrlKey || event.metaKey || event.shiftKey) return; event.preventDefault(); go(view, more); } }, shown), bar),
          h("td.number", { title: `${(100 * count / Math.max(1, total)).toFixed(1)} %` }, count >= 1e5 ? compact(count) : number(count)));
      }))));
  }

  return {
    element,
    refresh(before) {
      range.refresh();
      liveButton.disabled = Boolean(state.to);
      liveButton.title = state.to ? words.live.closedEnd : state.live ? words.live.stopLabel : words.live.startLabel;
      liveButton.setAttribute("aria-pressed", String(isLive()));
      if (!before || before.q !== state.q) search.refresh();
      load();
    },
    leave() { asking?.abort(); clearTimeout(again); chart.leave(); },
    keys: { "/": () => search.focus(), l: () => { if (!liveButton.disabled) { liveButton.click(); announce(state.live ? say.live : words.live.ended); } } },
  };
}
