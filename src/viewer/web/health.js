// How the log is doing.

import { ask, isAbort } from "./api.js";
import { h, refill } from "./dom.js";
import { showTrouble } from "./problems.js";
import { absolute, bytes, clock, duration, number, percent, relative, shortMoment } from "./time.js";

const EVERY = 5_000;

export function healthPage(words) {
  const say = words.health;
  const body = h(".page-body");
  const element = h("main.health-page", null, body);
  let asking = null, timer = null;

  async function load() {
    asking?.abort();
    clearTimeout(timer);
    asking = new AbortController();
    try {
      draw(await ask("health", null, asking));
    } catch (problem) {
      if (isAbort(problem)) return;
      showTrouble(body, words, problem, load);
    }
    timer = setTimeout(load, document.hidden ? 6 * EVERY : EVERY);
  }

  function draw(found) {
    const { status, reasons, tally, queue, storage, writers, rollups, indexes, mode, last_verify: verified } = found;
    const heading = [h("h1", null, say.title), h(`p.health-status.s-${status}`, { role: "status" }, h("span.dot", { "aria-hidden": "true" }), say.status[status] ?? status)];
    if (!tally) return refill(body, heading, h("p.quiet", null, say.onlyStatus));
    const dropped = Object.values(tally.dropped).reduce((sum, count) => sum + count, 0);
    const figure = (name, shown, bad) => h(`.figure${bad ? ".bad" : ""}`, null, h("span.quiet", null, name), h("strong", null, shown));
    const moment = text => (text ? h("time", { datetime: text, title: absolute(text) }, shortMoment(new Date(text))) : words.drawer.absent);
    const fact = (name, shown) => h(".fact", null, h("dt", null, name), h("dd", null, shown));
    return refill(body, heading,
      reasons?.length ? h("section.panel-box", null, h("h2", null, say.reasons), h("ul", null, reasons.map(reason => h("li", null, reason)))) : null,
      h(".numbers", null, figure(say.received, number(tally.received)), figure(say.stored, number(tally.stored)), figure(say.queued, number(tally.queued)), figure(say.dropped, number(dropped), dropped > 0), figure(say.gaps, number(tally.gaps), tally.gaps > 0), figure(say.queue, percent(queue.share), queue.share > 0.8)),
      h("p.quiet", null, say.since),
      h(".tables", null,
        storage ? h("section.panel-box", null, h("h2", null, say.storage), h("dl.facts", null, fact(say.rows, storage.rows === null ? words.drawer.absent : number(storage.rows)), fact(say.size, storage.bytes === null ? words.drawer.absent : bytes(storage.bytes)), storage.max_bytes ? fact(say.limit, `${bytes(storage.max_bytes)} (${percent(storage.share)})`) : null, fact(say.oldest, moment(storage.oldest)), fact(say.newest, moment(storage.newest)), fact(say.mode, say.modes[mode] ?? mode), fact(say.rollups, String(rollups?.behind ?? 0)), fact(say.indexes, indexes?.join(", ") || say.noIndexes))) : null,
        h("section.panel-box", null, h("h2", null, say.verified), verified
          ? h("dl.facts", null, fact(say.verified, h("time", { datetime: verified.at, title: absolute(verified.at) }, relative(new Date(verified.at)))), fact(say.verifiedTo, number(verified.position)), fact(say.verifiedResult, say.results[verified.result] ?? verified.result))
          : h("p.quiet", null, say.never)),
        h("section.panel-box", null, h("h2", null, say.droppedBy), h("dl.facts", null, Object.entries(tally.dropped).map(([reason, count]) => fact(words.reason(reason), number(count))))),
        h("section.panel-box", null, h("h2", null, say.beside), h("dl.facts", null, fact(say.quarantined, number(tally.quarantined)), fact(say.folded, number(tally.folded)), fact(say.retries, number(tally.retries))))),
      writers?.length ? h("section.panel-box", null, h("h2", null, say.writers), h(".scrolling", { tabindex: "0", role: "group", "aria-label": say.writers }, h("table.plain", null,
        h("thead", null, h("tr", null, [say.stream, say.last, say.gaps, say.lag].map(text => h("th", { scope: "col" }, text)))),
        h("tbody", null, writers.map(writer => h("tr", null, h("td", null, h("code", null, writer.id)), h("td.number", null, number(writer.last_seq)), h("td.number", null, number(writer.gaps)), h("td.number", null, writer.lag_ms === null || writer.lag_ms === undefined ? words.drawer.absent : duration(writer.lag_ms * 1000)))))))) : null,
      h("p.quiet", null, say.refreshed(clock(new Date()))));
  }

  return { element, refresh() { load(); }, leave() { asking?.abort(); clearTimeout(timer); }, keys: {} };
}
