// Records over time, stacked by outcome. Drag over it to zoom in; with the keyboard, arrows and Enter.

import { fill, h, svg } from "./dom.js";
import { setRange } from "./range.js";
import { state } from "./state.js";
import { clock, compact, minute, number, shortDay, shortMoment } from "./time.js";

export const STACK = ["success", "unknown", "aborted", "denied", "failure"];
const HEIGHT = 72, AXIS = 18;

export function histogram(words, { zooms = true, label = words.histogram.label } = {}) {
  const say = words.histogram;
  const chart = h(".chart", { tabindex: zooms ? "0" : null, role: zooms ? "group" : "img", "aria-label": label });
  const tip = h(".tip", { hidden: true });
  const summary = h("p.chart-summary", null);
  const element = h("section.histogram", { "aria-label": label }, summary, h(".chart-frame", null, chart, tip));
  let series = [], interval = "hour", width = 0, focus = -1, brush = null, bars = null, band = null;

  const LENGTH = { minute: 6e4, hour: 36e5, day: 864e5, week: 6048e5 };
  const begin = index => new Date(series[index].at);
  const end = index => (index + 1 < series.length ? new Date(series[index + 1].at) : new Date(begin(index).getTime() + LENGTH[interval]));
  const step = () => (series.length ? width / series.length : 0);

  function draw() {
    width = chart.clientWidth;
    if (width === 0) return;
    const most = Math.max(1, ...series.map(({ total }) => total));
    const high = HEIGHT;
    const gap = step() > 4 ? Math.min(3, step() * 0.25) : 0.5;
    bars = svg("g", { class: "bars" });
    series.forEach((slot, index) => {
      let y = high;
      const x = index * step() + gap / 2, wide = Math.max(0.5, step() - gap);
      for (const outcome of STACK) {
        const count = slot.by_outcome[outcome] ?? 0;
        if (!count) continue;
        const tall = Math.max(1.5, count / most * (high - 6));
        y -= tall;
        bars.append(svg("rect", { class: `b-${outcome}`, x: x.toFixed(2), y: y.toFixed(2), width: wide.toFixed(2), height: tall.toFixed(2), rx: wide > 6 ? 1.5 : 0 }));
      }
    });
    band = svg("rect", { class: "band", y: 0, height: high, width: 0, x: 0 });
    const drawn = svg("svg", { width, height: high + AXIS, "aria-hidden": "true", focusable: "false" },
      svg("line", { class: "base", x1: 0, x2: width, y1: high + 0.5, y2: high + 0.5 }), band, bars, axis(high), top(most));
    fill(chart, drawn);
    mark();
  }

  const top = most => (series.some(({ total }) => total > 0) ? svg("text", { class: "tick most", x: 0, y: 9 }, compact(most)) : null);

  function axis(high) {
    const group = svg("g", { class: "axis" });
    if (series.length === 0) return group;
    const every = Math.max(1, Math.ceil(series.length / Math.max(2, Math.floor(width / 110))));
    for (let index = 0; index < series.length; index += every) {
      const x = index * step();
      if (width - x < 44) break;
      group.append(svg("text", { class: "tick", x: x.toFixed(1), y: high + 13 }, named(begin(index), index, every)));
    }
    return group;
  }

  function named(at, index, every) {
    if (interval === "day" || interval === "week" || every * LENGTH[interval] >= 864e5) return shortDay(at);
    const before = index > 0 ? shortDay(begin(index - every)) : null;
    return before !== null && before === shortDay(at) ? minute(at) : shortMoment(at);
  }

  const spoken = at => (interval === "minute" ? clock(at) : interval === "hour" ? shortMoment(at) : shortDay(at));

  function mark() {
    chart.querySelector(".focus")?.remove();
    if (focus < 0 || focus >= series.length) { tip.hidden = true; return; }
    const slot = series[focus];
    chart.firstChild?.prepend(svg("rect", { class: "focus", x: (focus * step()).toFixed(2), y: 0, width: Math.max(1, step()).toFixed(2), height: HEIGHT }));
    fill(tip, h("strong", null, interval === "day" ? spoken(begin(focus)) : `${spoken(begin(focus))} – ${spoken(end(focus))}`), h("span", null, number(slot.total)),
      STACK.filter(outcome => slot.by_outcome[outcome]).reverse().map(outcome => h(`span.badge.o-${outcome}`, null, h("span.dot", { "aria-hidden": "true" }), words.outcomes[outcome], h("span.code", null, number(slot.by_outcome[outcome])))));
    tip.hidden = false;
    const left = Math.min(Math.max(0, (focus + 0.5) * step() - tip.offsetWidth / 2), Math.max(0, width - tip.offsetWidth));
    tip.style.transform = `translateX(${left}px)`;
  }

  const indexAt = event => Math.max(0, Math.min(series.length - 1, Math.floor((event.clientX - chart.getBoundingClientRect().left) / step())));

  function zoom(from, to) {
    setRange(begin(Math.min(from, to)).toISOString(), end(Math.max(from, to)).toISOString());
  }

  chart.addEventListener("pointermove", event => {
    if (series.length === 0) return;
    focus = indexAt(event);
    mark();
    if (brush !== null && band) {
      const [a, b] = [Math.min(brush, focus), Math.max(brush, focus)];
      band.setAttribute("x", a * step());
      band.setAttribute("width", (b - a + 1) * step());
    }
  });
  chart.addEventListener("pointerleave", () => { if (brush === null) { focus = -1; mark(); } });
  if (zooms) {
    // The focus stays in the list: its keys go on working.
    chart.addEventListener("mousedown", event => event.preventDefault());
    chart.addEventListener("pointerdown", event => {
      if (series.length === 0 || event.button !== 0) return;
      brush = indexAt(event);
      chart.setPointerCapture(event.pointerId);
    });
    chart.addEventListener("pointerup", event => {
      if (brush === null) return;
      const from = brush;
      brush = null;
      zoom(from, indexAt(event));
    });
    chart.addEventListener("pointercancel", () => { brush = null; draw(); });
    chart.addEventListener("keydown", event => {
      if (series.length === 0) return;
      if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
        event.preventDefault();
        event.stopPropagation();
        focus = Math.max(0, Math.min(series.length - 1, focus + (event.key === "ArrowRight" ? 1 : -1)));
        mark();
      } else if (event.key === "Enter" && focus >= 0) {
        event.preventDefault();
        event.stopPropagation();
        zoom(focus, focus);
      }
    });
    chart.addEventListener("blur", () => { focus = -1; mark(); });
  }
  new ResizeObserver(() => { if (chart.clientWidth !== width) draw(); }).observe(chart);

  return {
    element,
    /** Shows an answer of `/stats`, or nothing while there is none. */
    draw(stats) {
      series = stats?.series ?? [];
      element.classList.toggle("blank", !stats);
      interval = stats?.interval ?? "hour";
      focus = -1;
      const total = stats ? stats.series.reduce((sum, slot) => sum + slot.total, 0) : 0;
      const count = stats ? words.list.total(number(total), false) : "\u00a0";
      fill(summary, h("strong", null, count), stats ? h("span.quiet", null, ` ${say.units[interval]}`) : null,
        stats && !stats.complete ? h("span.quiet", null, ` · ${say.inexact}`) : stats && !stats.exact && stats.as_of ? h("span.quiet", null, ` · ${say.behind(clock(new Date(stats.as_of)))}`) : null);
      if (series.length) chart.setAttribute("aria-label", zooms ? `${label}. ${say.summary(number(total), spoken(begin(0)), spoken(end(series.length - 1)))}` : label);
      draw();
    },
    redraw: draw,
  };
}
