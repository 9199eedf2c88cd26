// The page: its head, which part of it is shown, the keyboard.

import { dialog, fill, h, icon, iconButton, refill } from "./dom.js";
import { healthPage } from "./health.js";
import { listPage } from "./listpage.js";
import { me } from "./me.js";
import { addressFor, change, go, onChange, state } from "./state.js";
import { statsPage } from "./stats.js";
import { offset } from "./time.js";

// The server chose the language; there is one catalogue for each.
const { words } = await import(`./words.${document.documentElement.lang}.js`);

const THEMES = ["auto", "light", "dark"];
const THEME_ICONS = { auto: "auto", light: "sun", dark: "moon" };
const store = {
  get(name) { try { return localStorage.getItem(`activity.${name}`); } catch { return null; } },
  set(name, value) { try { localStorage.setItem(`activity.${name}`, value); } catch { /* not kept, then */ } },
};

const pages = { list: listPage, entity: listPage, actor: listPage, session: listPage, stats: statsPage, health: healthPage };
let page = null, made = null;

const place = h(".page", { id: "main", tabindex: "-1" });
const navigation = h("nav", { "aria-label": words.nav.label });
const zoneButton = h("button.button.zone-button", { type: "button", onclick: turnZone });
const themeButton = h("button.icon-button", { type: "button", onclick: () => { const next = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length]; store.set("theme", next); paint(); } });
const who = h("span.who.quiet");
const header = h("header.top", null,
  h("a.skip", { href: "#main", onclick: event => { event.preventDefault(); (document.getElementById("list") ?? place).focus(); } }, words.skip),
  h("a.brand", { href: addressFor("list"), onclick: event => follow(event, "list", {}) }, h("span.logo", { "aria-hidden": "true" }), words.product),
  navigation, h("span.gap"), who, zoneButton, themeButton, iconButton("anonymous", words.keys.open, help));

function follow(event, view, more = asked(view)) {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go(view, more);
}

/** Records and their numbers are of the same question; a trail's is its own. */
function asked(view) {
  const { q, from, to } = state;
  const both = ["list", "stats"];
  return both.includes(view) && both.includes(state.view) ? { q, from, to } : {};
}

const theme = () => (THEMES.includes(store.get("theme")) ? store.get("theme") : "auto");

function paint() {
  const now = theme();
  if (now === "auto") delete document.documentElement.dataset.theme; else document.documentElement.dataset.theme = now;
  fill(themeButton, icon(THEME_ICONS[now]));
  const label = `${words.theme.label}: ${words.theme[now]}`;
  themeButton.setAttribute("aria-label", label);
  themeButton.title = label;
}

function turnZone() {
  const tz = state.tz === "UTC" ? "" : "UTC";
  store.set("tz", tz);
  change({ tz }, { replace: true });
}

function help() {
  if (document.querySelector("dialog")) return;
  dialog(words.keys.title, words.close, h("dl.keys", null, words.keys.list.map(([keys, about]) => h("div", null, h("dt", null, keys.split(" ").map(key => (key === "/" && keys !== "/" ? " / " : h("kbd", null, key)))), h("dd", null, about)))),
    h("label.check", null, h("input", { type: "checkbox", checked: singleKeys(), onchange: event => store.set("keys", event.target.checked ? "" : "off") }), words.keys.single));
}

/** Who dictates, or often hits a key by mistake, can do without those of one character. */
const singleKeys = () => store.get("keys") !== "off";

function show(before) {
  const current = pages[state.view];
  refill(navigation, ["list", "stats", "health"].map(view => h("a", { href: addressFor(view, asked(view)), "aria-current": (view === "list" ? current === listPage : state.view === view) ? "page" : null, onclick: event => follow(event, view) }, words.nav[view])));
  const zone = offset();
  fill(zoneButton, zone);
  const label = state.tz === "UTC" ? words.zone.toLocal : words.zone.toUtc(zone);
  zoneButton.title = label;
  zoneButton.setAttribute("aria-label", `${zone}. ${label}`);
  if (made !== current) {
    page?.leave();
    made = current;
    page = current(words);
    fill(place, page.element);
    page.refresh(null);
  } else page.refresh(before);
  document.title = title();
}

function title() {
  const name = { list: words.nav.list, stats: words.nav.stats, health: words.nav.health, entity: `${state.type} ${state.id}`, actor: state.id, session: words.trail.session }[state.view];
  return `${name} · ${words.product}`;
}

// ---- the keyboard

let leader = false;

document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (document.querySelector("dialog")) return;
  const { target, key } = event;
  const typing = target.closest?.("input, textarea, select, [contenteditable]");
  if (typing || (key.length === 1 && !singleKeys())) return;
  // What is focused has its own meaning for these.
  if (["Enter", "ArrowLeft", "ArrowRight"].includes(key) && target.closest?.("button, a, summary, [role=tab], .chart")) return;
  if (leader) {
    leader = false;
    const view = { s: "stats", h: "health", r: "list" }[key];
    if (view) { event.preventDefault(); go(view, asked(view)); return; }
  }
  const own = { g: () => { leader = true; setTimeout(() => { leader = false; }, 1000); }, u: turnZone, "?": help };
  const run = page?.keys[key] ?? (key === "ArrowDown" && target.id === "list" ? page?.keys.j : key === "ArrowUp" && target.id === "list" ? page?.keys.k : null) ?? own[key];
  if (!run) return;
  event.preventDefault();
  run();
});

// ---- begin

if (!new URLSearchParams(location.search).has("tz") && store.get("tz") === "UTC") change({ tz: "UTC" }, { replace: true });
fill(document.getElementById("app"), header, place, h("p.off-screen", { id: "said", role: "status" }));
paint();
onChange(show);
show(null);
me().then(found => {
  if (!found) return;
  const name = found.actor.name ?? found.actor.id ?? "";
  fill(who, name ? words.signedIn(name, found.tenant) : null);
});
