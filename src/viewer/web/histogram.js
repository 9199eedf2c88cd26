// Records over time, stacked by outcome. uPlot draws; pointing is done here, because a finger and the keyboard shall do
// what the mouse does: drag over it to zoom in, or take the arrows and Enter.

import { fill, h, refill, say as announce } from "./dom.js";
import { setRange } from "./range.js";
import { state } from "./state.js";
import { clock, compact, minute, number, shortDay, shortMoment } from "./time.js";
import uPlot from "./uplot.js";

/** From the ground up. */
export const STACK = ["success", "unknown", "aborted", "denied", "failure"];
const HEIGHT = 92, AXIS = 18;
/** One failure among thousands is seen, too: so high is the least of a bar, as a share of the highest. */
const LEAST = 0.025;
/** Of few bars none becomes a wall. */
const WIDEST = 120;
const LENGTH = { minute: 6e4, hour: 36e5, day: 864e5, week: 6048e5 };

export function histogram(words, { zooms = true, label = words.histogram.label } = {}) {
  const say = words.histogram;
  const chart = h(".chart", { tabindex: zooms ? "0" : null, role: zooms ? "group" : "img", "aria-label": label });
  const tip = h(".tip", { hidden: true }), most = h("span.most.quiet", { "aria-hidden": "true" }), here = h(".here", { hidden: true });
  const summary = h("p.chart-summary", null);
  const element = h("section.histogram", { "aria-label": label }, summary, h(".chart-frame", null, chart, most, tip));
  let series = [], interval = "hour", width = 0, focus = -1, brush = null, plot = null;

  const begin = index => new Date(series[index].at);
  const end = index => (index + 1 < series.length ? new Date(series[index + 1].at) : new Date(begin(index).getTime() + LENGTH[interval]));
  const bounds = () => (series.length ? [begin(0).getTime(), end(series.length - 1).getTime()] : [0, 1]);
  const left = at => plot.valToPos(at.getTime(), "x");

  /** What uPlot draws: sums from the ground up, the highest first, so that each covers the foot of the one before. */
  function stacked() {
    const highest = Math.max(1, ...series.map(({ total }) => total));
    const sums = series.map(() => 0);
    const layers = STACK.map(outcome => series.map(({ by_outcome: counts }, index) => {
      if (!counts[outcome]) return null;
      return sums[index] += Math.max(counts[outcome], LEAST * highest);
    }));
    return [series.map((_, index) => begin(index).getTime()), ...layers.reverse()];
  }

  // The style sheet names the colours; what they are depends on light and dark.
  const probe = h("span.probe", { hidden: true });
  element.append(probe);
  const colour = name => { probe.style.color = `var(--${name})`; return getComputedStyle(probe).color; };

  function make() {
    const bars = uPlot.paths.bars({ size: [0.8, WIDEST, 1], align: 1, radius: 0.05 });
    plot = new uPlot({
      width, height: HEIGHT, ms: 1, padding: [4, 0, 0, 0], legend: { show: false }, cursor: { show: false },
      scales: { x: { time: false, range: bounds }, y: { range: (_, __, high) => [0, Math.max(1, high)] } },
      series: [{}, ...STACK.toReversed().map(outcome => ({ paths: bars, points: { show: false }, width: 0, fill: () => colour(`bar-${outcome}`) }))],
      axes: [{
        size: AXIS, gap: 3, font: "11px ui-sans-serif, system-ui, sans-serif", stroke: () => colour("quiet"), grid: { show: false }, ticks: { show: false },
        border: { show: true, width: 1, stroke: () => colour("line") }, align: 1, splits: () => ticks().map(index => begin(index).getTime()), values: () => ticks().map(named),
      }, { show: false }],
    }, stacked(), chart);
    plot.over.append(here);
  }

  function draw() {
    width = chart.clientWidth;
    if (width === 0) return;
    if (!plot) make();
    else {
      if (plot.width !== width) plot.setSize({ width, height: HEIGHT });
      plot.setData(stacked());
    }
    fill(most, series.some(({ total }) => total > 0) ? compact(Math.max(...series.map(({ total }) => total))) : null);
    mark();
    band();
  }

  /** The bars that have their time below them: as many as there is room for, and none at the very edge. */
  function ticks() {
    if (series.length === 0) return [];
    const every = Math.max(1, Math.ceil(series.length / Math.max(2, Math.floor(width / 110))));
    const step = width / series.length;
    return series.map((_, index) => index).filter(index => index % every === 0 && width - index * step >= 44);
  }

  function named(index, at, all) {
    const every = (all[1] ?? 1) - all[0];
    if (interval === "day" || interval === "week" || every * LENGTH[interval] >= 864e5) return shortDay(begin(index));
    return at > 0 && shortDay(begin(all[at - 1])) === shortDay(begin(index)) ? minute(begin(index)) : shortMoment(begin(index));
  }

  const spoken = at => (interval === "minute" ? clock(at) : interval === "hour" ? shortMoment(at) : shortDay(at));

  /** Shows the bar that is pointed at, and says what it holds. */
  function mark() {
    const slot = plot ? series[focus] : null;
    here.hidden = tip.hidden = !slot;
    if (!slot) return;
    const [from, to] = [left(begin(focus)), left(end(focus))];
    here.style.left = `${from}px`;
    here.style.width = `${Math.max(1, to - from)}px`;
    fill(tip, h("strong", null, interval === "day" ? spoken(begin(focus)) : `${spoken(begin(focus))} – ${spoken(end(focus))}`), h("span", null, number(slot.total)),
      STACK.filter(outcome => slot.by_outcome[outcome]).reverse().map(outcome => h(`span.badge.o-${outcome}`, null, h("span.dot", { "aria-hidden": "true" }), words.outcomes[outcome], h("span.code", null, number(slot.by_outcome[outcome])))));
    tip.style.transform = `translateX(${Math.min(Math.max(0, (from + to - tip.offsetWidth) / 2), Math.max(0, width - tip.offsetWidth))}px)`;
  }

  function band() {
    if (!plot) return;
    const [from, to] = brush === null || focus < 0 ? [0, 0] : [left(begin(Math.min(brush, focus))), left(end(Math.max(brush, focus)))];
    plot.setSelect({ left: from, width: to - from, top: 0, height: brush === null ? 0 : plot.over.clientHeight }, false);
  }

  function indexAt(event) {
    const at = plot.posToVal(event.clientX - plot.over.getBoundingClientRect().left, "x");
    const after = series.findIndex((_, index) => begin(index) > at);
    return after < 0 ? series.length - 1 : Math.max(0, after - 1);
  }

  function zoom(from, to) {
    setRange(begin(Math.min(from, to)).toISOString(), end(Math.max(from, to)).toISOString());
  }

  /** Twice as much time around the same middle; the future is left out. */
  function zoomOut() {
    const [from, to] = [Date.parse(state.from), Date.parse(state.to)];
    const half = (to - from) / 2;
    setRange(new Date(from - half).toISOString(), to + half < Date.now() ? new Date(to + half).toISOString() : "");
  }

  const ready = () => plot && series.length > 0;
  chart.addEventListener("pointermove", event => {
    if (!ready()) return;
    focus = indexAt(event);
    mark();
    band();
  });
  chart.addEventListener("pointerleave", () => { if (brush === null) { focus = -1; mark(); } });
  if (zooms) {
    // The focus stays in the list: its keys go on working.
    chart.addEventListener("mousedown", event => event.preventDefault());
    chart.addEventListener("pointerdown", event => {
      if (!ready() || event.button !== 0) return;
      brush = focus = indexAt(event);
      chart.setPointerCapture(event.pointerId);
    });
    chart.addEventListener("pointerup", event => {
      if (brush === null) return;
      const from = brush;
      brush = null;
      band();
      zoom(from, indexAt(event));
    });
    chart.addEventListener("pointercancel", () => { brush = null; band(); });
    chart.addEventListener("keydown", event => {
      if (!ready()) return;
      if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
        event.preventDefault();
        event.stopPropagation();
        focus = Math.max(0, Math.min(series.length - 1, focus + (event.key === "ArrowRight" ? 1 : -1)));
        mark();
        announce([...tip.children].map(part => part.innerText.replace(/\s+/g, " ")).join(", "));
      } else if (event.key === "Enter" && focus >= 0) {
        event.preventDefault();
        event.stopPropagation();
        zoom(focus, focus);
      }
    });
    chart.addEventListener("blur", () => { focus = -1; mark(); });
  }
  // Not within the observer, whose own round a change of size would begin anew.
  const resized = new ResizeObserver(() => requestAnimationFrame(() => { if (chart.clientWidth !== width) draw(); }));
  resized.observe(chart);
  // What is painted does not change its colours by itself.
  const repaint = () => plot?.redraw();
  const themes = new MutationObserver(repaint), dark = matchMedia("(prefers-color-scheme: dark)");
  themes.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  dark.addEventListener("change", repaint);

  return {
    element,
    /** Shows an answer of `/stats`, or nothing while there is none. */
    draw(stats) {
      series = stats?.series ?? [];
      element.classList.toggle("blank", !stats);
      interval = stats?.interval ?? "hour";
      // What is pointed at stays so while the numbers change below it.
      if (focus >= series.length) { focus = -1; brush = null; }
      const total = series.reduce((sum, slot) => sum + slot.total, 0);
      const count = stats ? words.list.total(total, false) : "\u00a0";
      const isZoomed = zooms && Date.parse(state.from) < Date.parse(state.to);
      refill(summary, h("strong", null, count), stats ? h("span.quiet", null, ` ${say.units[interval]}`) : null,
        stats && !stats.complete ? h("span.quiet", null, ` · ${say.inexact}`) : stats && !stats.exact && stats.as_of ? h("span.quiet", null, ` · ${say.behind(clock(new Date(stats.as_of)))}`) : null,
        isZoomed ? h("button.link.zoom-out", { type: "button", onclick: zoomOut }, say.zoomOut) : null);
      if (series.length) chart.setAttribute("aria-label", zooms ? `${label}. ${say.summary(total, spoken(begin(0)), spoken(end(series.length - 1)))}` : label);
      draw();
    },
    /** Ends what outlives the page. */
    leave() {
      resized.disconnect();
      themes.disconnect();
      dark.removeEventListener("change", repaint);
      plot?.destroy();
    },
  };
}
