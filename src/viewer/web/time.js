// Times as people read them, in local time or UTC.

import { state, zone } from "./state.js";

const formats = new Map();

function format(name, options) {
  const timeZone = zone();
  const key = `${name} ${timeZone} ${document.documentElement.lang}`;
  if (!formats.has(key)) {
    let made;
    try {
      made = new Intl.DateTimeFormat(document.documentElement.lang, { ...options, timeZone });
    } catch {
      made = new Intl.DateTimeFormat("en", { ...options, timeZone: "UTC" });
    }
    formats.set(key, made);
  }
  return formats.get(key);
}

const DAY = { weekday: "long", day: "numeric", month: "long", year: "numeric" };
const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };

/** "14:05:07" */
export const clock = at => format("clock", CLOCK).format(at);
/** "14:05" */
export const minute = at => format("minute", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(at);
/** "Saturday, 21 November 2026" */
export const day = at => format("day", DAY).format(at);
/** "21 Nov" */
export const shortDay = at => format("short", { day: "numeric", month: "short" }).format(at);
/** "21 Nov, 14:05" */
export const shortMoment = at => `${shortDay(at)}, ${minute(at)}`;
/** Tells days apart. */
export const dayKey = at => format("key", { year: "numeric", month: "2-digit", day: "2-digit" }).format(at);

/** "UTC+01:00" */
export function offset(at = new Date()) {
  if (zone() === "UTC" && state.tz === "UTC") return "UTC";
  const parts = format("offset", { timeZoneName: "longOffset" }).formatToParts(at);
  const name = parts.find(part => part.type === "timeZoneName")?.value ?? "GMT";
  return name === "GMT" || name === "UTC" ? "UTC" : name.replace("GMT", "UTC");
}

/** "Saturday, 21 November 2026, 14:05:07.123456 UTC+01:00", from RFC 3339 with microseconds. */
export function absolute(text) {
  const at = new Date(text);
  const fraction = /\.(\d+)/.exec(text)?.[1] ?? "000";
  return `${day(at)}, ${clock(at)}.${fraction} ${offset(at)}`;
}

const STEPS = [[60, "second"], [60, "minute"], [24, "hour"], [30, "day"], [12, "month"], [Infinity, "year"]];
let relatives;

/** "5 min ago" */
export function relative(at, now = Date.now()) {
  relatives ??= new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "always", style: "narrow" });
  let value = (at - now) / 1000;
  for (const [size, unit] of STEPS) {
    if (Math.abs(value) < size) return relatives.format(Math.trunc(value), unit);
    value /= size;
  }
  return "";
}

/** "1.2 ms" */
export function duration(us) {
  if (us === 0) return "0 ms";
  if (us < 1000) return `${(us / 1000).toFixed(us < 100 ? 2 : 1)} ms`;
  if (us < 1e6) return `${us < 1e4 ? (us / 1000).toFixed(1) : Math.round(us / 1000)} ms`;
  if (us < 6e7) return `${(us / 1e6).toFixed(1)} s`;
  const seconds = Math.round(us / 1e6);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** "12,345" */
export const number = value => new Intl.NumberFormat(document.documentElement.lang).format(value);

/** "12.3 k" */
export const compact = value => new Intl.NumberFormat(document.documentElement.lang, { notation: "compact", maximumFractionDigits: 1 }).format(value);

/** "5.4 MB" */
export function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) { value /= 1000; unit += 1; }
  return `${unit && value < 100 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}
