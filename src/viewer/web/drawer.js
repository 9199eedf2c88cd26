// One record, beside the list: it has an address of its own, and so has each of its tabs.

import { address, ask, isAbort } from "./api.js";
import { copy, fill, h, iconButton, refill, toList } from "./dom.js";
import { badge, parts } from "./columns.js";
import { changesTab, integrityTab, rawTab, requestTab, summaryTab } from "./tabs.js";
import { relatedTab } from "./related.js";
import { showTrouble } from "./problems.js";
import { change, state } from "./state.js";
import { absolute, relative } from "./time.js";

const TABS = { summary: summaryTab, changes: changesTab, request: requestTab, related: relatedTab, raw: rawTab, integrity: integrityTab };

/** `on.step(by)` goes to the record before or after in the list; `on.list()` is the list. */
export function drawer(words, on) {
  const say = words.drawer;
  const element = h("aside.drawer", { "aria-label": say.label, hidden: true, tabindex: "-1" });
  let record = null, asking = null, drawn = "";

  function close() {
    change({ record: "", tab: "" });
    toList();
  }

  async function show() {
    if (!state.record) {
      asking?.abort();
      record = null;
      drawn = "";
      if (element.contains(document.activeElement)) toList();
      element.hidden = true;
      return fill(element);
    }
    element.hidden = false;
    // What else changes on the page leaves the open record as it is.
    if (record?.id === state.record) return drawn === key() ? undefined : draw();
    asking?.abort();
    asking = new AbortController();
    const known = on.list().rows.records.find(one => one.id === state.record);
    if (known) { record = known; return draw(); }
    drawn = "";
    if (!/^[0-9a-f-]{36}$/i.test(state.record)) return refill(element, head(null), h("p.pad", null, say.gone));
    refill(element, head(null), h("p.quiet.pad", null, words.loading));
    try {
      record = await ask(`records/${encodeURIComponent(state.record)}`, null, asking);
      return draw();
    } catch (problem) {
      if (isAbort(problem)) return undefined;
      record = null;
      const place = h(".pad");
      refill(element, head(null), place);
      if (problem.status === 404) return fill(place, h("p", null, say.gone));
      return showTrouble(place, words, problem, show);
    }
  }

  const key = () => [state.record, tab(), state.tz].join(" ");
  const tab = () => (Object.hasOwn(TABS, state.tab) ? state.tab : "summary");

  function head(one) {
    return h("header.drawer-head", null,
      h(".drawer-tools", null,
        one ? badge(one, words) : null, h("span.gap"),
        iconButton("up", say.previous, () => on.step(-1)), iconButton("down", say.next, () => on.step(1)),
        iconButton("link", say.link, () => copy(location.href, words)), iconButton("close", words.close, close)),
      one ? h("h2.drawer-title", { id: "drawer-title" }, parts(one, words)) : null,
      one ? h("p.quiet", null, absolute(one.occurred_at), " · ", relative(new Date(one.occurred_at))) : null);
  }

  function draw() {
    asking?.abort();
    asking = new AbortController();
    drawn = key();
    const { signal } = asking;
    const names = Object.keys(TABS);
    const panel = h(".panel", { role: "tabpanel", id: "panel", "aria-labelledby": `tab-${tab()}`, tabindex: "0" });
    const tabs = h(".tabs", { role: "tablist", "aria-label": say.label }, names.map(name => h("button.tab", {
      type: "button", role: "tab", id: `tab-${name}`, "aria-selected": String(name === tab()), "aria-controls": "panel", tabindex: name === tab() ? "0" : "-1",
      onclick: () => change({ tab: name === "summary" ? "" : name }, { replace: true }),
      onkeydown: event => { if (event.key === "ArrowRight" || event.key === "ArrowLeft") { event.preventDefault(); event.stopPropagation(); turn(event.key === "ArrowRight" ? 1 : -1); document.getElementById(`tab-${tab()}`)?.focus(); } },
    }, say.tabs[name], name === "changes" && Array.isArray(record.changes) ? h("span.code", null, String(record.changes.length)) : null)));
    TABS[tab()](words, record, panel, signal);
    refill(element, head(record), tabs, panel);
  }

  function turn(by) {
    if (!state.record) return;
    const names = Object.keys(TABS);
    const next = names[(names.indexOf(tab()) + by + names.length) % names.length];
    change({ tab: next === "summary" ? "" : next }, { replace: true });
  }

  return { element, show, close, turn, hold(one) { record = one; }, address };
}
