// Times as people read them, in local time or UTC.

import { state, zone } from "./state.js";

const language = document.documentElement.lang;
/** The language of the page, as it is written where the reader is: English has two orders of day and month. */
const locale = navigator.languages?.find(one => one.split("-")[0] === language) ?? language;

const formats = new Map();

function format(name, options) {
  const timeZone = zone();
  const key = `${name} ${timeZone}`;
  if (!formats.has(key)) {
    let made;
    try {
      made = new Intl.DateTimeFormat(locale, { ...options, timeZone });
    } catch {
      made = new Intl.DateTimeFormat(locale, { ...options, timeZone: "UTC" });
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
  return `${day(at)}, ${clock(at)}${point()}${fraction} ${offset(at)}`;
}

const STEPS = [[60, "second"], [60, "minute"], [24, "hour"], [30, "day"], [12, "month"], [Infinity, "year"]];
let relatives;

/** "5 min ago" */
export function relative(at, now = Date.now()) {
  relatives ??= new Intl.RelativeTimeFormat(locale, { numeric: "always", style: "narrow" });
  let value = (at - now) / 1000;
  for (const [size, unit] of STEPS) {
    if (Math.abs(value) < size) return relatives.format(Math.trunc(value), unit);
    value /= size;
  }
  return "";
}

const numbers = new Map();

function numeral(name, options) {
  if (!numbers.has(name)) numbers.set(name, new Intl.NumberFormat(locale, options));
  return numbers.get(name);
}

const decimal = (value, digits) => numeral(digits, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);

/** What stands before the fraction of a second. */
const point = () => numeral(1, { minimumFractionDigits: 1, maximumFractionDigits: 1 }).formatToParts(0.5).find(part => part.type === "decimal").value;

/** "1.2 ms" */
export function duration(us) {
  if (us === 0) return "0 ms";
  if (us < 1000) return `${decimal(us / 1000, us < 100 ? 2 : 1)} ms`;
  if (us < 1e6) return `${decimal(us / 1000, us < 1e4 ? 1 : 0)} ms`;
  if (us < 6e7) return `${decimal(us / 1e6, 1)} s`;
  const seconds = Math.round(us / 1e6);
  return `${number(Math.floor(seconds / 60))} min ${seconds % 60} s`;
}

const UNITS = { s: "second", m: "minute", h: "hour", d: "day", w: "week" };

/** "90 minutes", from a number and the letter that the API has for its unit. */
export const length = (count, letter) => numeral(letter, { style: "unit", unit: UNITS[letter], unitDisplay: "long" }).format(count);

/** "12,345" */
export const number = value => numeral("number").format(value);

/** "12.3K" */
export const compact = value => numeral("compact", { notation: "compact", maximumFractionDigits: 1 }).format(value);

/** "57.1%" */
export const percent = share => numeral("percent", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(share);

/** "5.4 MB" */
export function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) { value /= 1000; unit += 1; }
  return `${decimal(value, unit && value < 100 ? 1 : 0)} ${units[unit]}`;
}
