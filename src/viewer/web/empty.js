// When nothing is found: what would be found otherwise. When nothing is there at all: how to begin.

import { ask, isAbort } from "./api.js";
import { copy, fill, h, icon } from "./dom.js";
import { conditions, without } from "./query.js";
import { rangeInWords, setRange } from "./range.js";
import { change, question, state } from "./state.js";

const LINES = `let store = SqliteStore::open("activity.db").await?;
let activity = Pipeline::builder(store).start().await?;

let app = Router::new()
    // your routes
    .nest_service("/activity", activity.router(access::development()))
    .layer(ActivityLayer::new(activity.recorder())); // last`;

/** More conditions than this are not tried one by one. */
const MOST = 8;

export async function nothingFound(words, place, signal) {
  const say = words.none;
  const looking = h("p.quiet", null, say.looking);
  const hints = h(".hints", null, looking);
  const { q, from, to } = question();
  fill(place, h(".notice.none", null, icon("search"), h("h2", null, say.title), hints));
  // Counted without a limit of time, by the rollups where they can, and at most to where counting gets slow.
  const total = async parameters => (await ask("stats", { ...question(), ...parameters }, { signal })).total;
  try {
    if (state.view === "list" && await isNew(signal)) return firstRun(words, place);
    const found = [];
    if (from || to) {
      const outside = await total({ from: "", to: "" });
      if (outside > 0) found.push(h("p", null, say.outside(outside, rangeInWords(words)), " ", h("button.link", { type: "button", onclick: () => setRange("all") }, say.widen)));
    }
    const all = conditions(q);
    if (all.length > 0 && all.length <= MOST) {
      const counts = await Promise.all(all.map(one => total({ q: without(q, one) })));
      const best = counts.indexOf(Math.max(...counts));
      const text = q.slice(all[best].from, all[best].to);
      if (counts[best] > 0) {
        found.push(h("p", null, say.narrowest(text), " ", say.without(counts[best]), " ", h("button.link", { type: "button", onclick: () => change({ q: without(q, all[best]) }) }, say.drop)));
      } else {
        // Not one of them stands alone in the way: which finds nothing by itself?
        const alone = await Promise.all(all.map(one => total({ q: q.slice(one.from, one.to) })));
        const least = alone.indexOf(Math.min(...alone));
        if (alone[least] === 0) {
          found.push(h("p", null, say.alone(q.slice(all[least].from, all[least].to)), " ", h("button.link", { type: "button", onclick: () => change({ q: without(q, all[least]) }) }, say.drop)));
        } else if (found.length === 0) found.push(h("p.quiet", null, say.hopeless));
      }
    }
    if (q) found.push(h("p", null, h("button.link", { type: "button", onclick: () => change({ q: "" }) }, say.clear)));
    fill(hints, found);
  } catch (problem) {
    if (!isAbort(problem)) fill(hints);
  }
  return undefined;
}

/** What the log says of itself is no beginning. */
async function isNew(signal) {
  return (await ask("stats", { q: "-category:system" }, { signal })).total === 0;
}

/** Over a list in which the log speaks of itself alone: how to begin. */
export async function howToBegin(words, place, signal) {
  try {
    if (await isNew(signal)) firstRun(words, place);
  } catch (problem) {
    if (!isAbort(problem)) fill(place);
  }
}

function firstRun(words, place) {
  const say = words.first;
  const pre = h("pre.lines", { tabindex: "0" });
  pre.textContent = LINES;
  fill(place, h(".notice.first", null, icon("play"), h("h2", null, say.title), h("p", null, say.text),
    h(".code-block", null, pre, h("button.button", { type: "button", onclick: () => copy(LINES, words) }, icon("copy"), words.cell.copy)), h("p.quiet", null, say.also), h("p.quiet", { role: "status" }, say.waiting)));
  // Live shows the first record as soon as it is there.
  if (!state.live && !state.to) change({ live: "1" }, { replace: true });
}
