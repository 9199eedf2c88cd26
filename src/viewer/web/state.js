// The state of the page is its address: what is shown can be sent to somebody, and the browser's own buttons
// go back and forth in it.

export const DEFAULT_FROM = "now-24h";
export const DEFAULT_QUERY = "-action:log_viewed";
export const DEFAULT_COLUMNS = ["time", "actor", "what", "entity", "outcome", "ip", "duration", "tenant"];

const VIEWS = ["list", "entity", "actor", "session", "stats", "health"];
const EMPTY = { view: "list", type: "", id: "", q: DEFAULT_QUERY, from: DEFAULT_FROM, to: "", order: "desc", record: "", tab: "", cols: DEFAULT_COLUMNS.join(","), tz: "", live: "" };

/** A trail shows everything of one thing, without a range, until somebody sets one. */
const defaults = view => (["entity", "actor", "session"].includes(view) ? { ...EMPTY, q: "", from: "all" } : EMPTY);

function read() {
  const given = new URLSearchParams(location.search);
  const view = VIEWS.includes(given.get("view")) ? given.get("view") : "list";
  const state = { ...defaults(view), view };
  for (const name of Object.keys(EMPTY)) if (name !== "view" && given.has(name)) state[name] = given.get(name);
  return state;
}

/** Returns the address of a state, relative to the page. */
export function addressOf(state) {
  const usual = defaults(state.view);
  const parameters = new URLSearchParams();
  for (const name of Object.keys(EMPTY)) {
    if (state[name] !== usual[name] || (name === "view" && state.view !== "list")) parameters.set(name, state[name]);
  }
  const text = parameters.toString();
  return text ? `?${text}` : location.pathname;
}

export let state = read();
const listeners = [];

/** Calls back after each change, with what it was before. */
export function onChange(listener) {
  listeners.push(listener);
}

/** Changes the state. `replace` leaves no step to go back to. */
export function change(changes, { replace = false } = {}) {
  const before = state;
  state = { ...state, ...changes };
  const next = addressOf(state);
  if (Object.keys(EMPTY).every(name => before[name] === state[name])) return;
  history[replace ? "replaceState" : "pushState"](null, "", next);
  listeners.forEach(listener => listener(before));
}

/** Asks for the same once more. */
export const again = () => listeners.forEach(listener => listener(null));

/** What belongs to the reader, wherever he goes. */
const kept = () => ({ tz: state.tz, cols: state.cols, live: state.live });

/** Goes to another view, from its own beginning. */
export function go(view, more) {
  change({ ...defaults(view), ...kept(), view, ...more });
}

/** Returns the address of a view, for links that open elsewhere too. */
export function addressFor(view, more) {
  return addressOf({ ...defaults(view), ...kept(), view, ...more });
}

addEventListener("popstate", () => {
  const before = state;
  state = read();
  // The time zone belongs to the reader, not to the step: an address without one leaves it as it is.
  if (!new URLSearchParams(location.search).has("tz") && before.tz) {
    state = { ...state, tz: before.tz };
    history.replaceState(null, "", addressOf(state));
  }
  listeners.forEach(listener => listener(before));
});

/** Returns what the API is asked: the filter of the page, under the same names. */
export function question() {
  const { q, from, to } = state;
  const filter = { q: q.trim(), from: from === "all" ? "" : from, to, tz: zone() };
  if (state.view === "actor") filter.actor_id = exact(state.id);
  if (state.view === "session") filter.session_id = exact(state.id);
  if (state.view === "entity") {
    filter.entity_type = exact(state.type);
    filter.entity_id = exact(state.id);
  }
  return filter;
}

/** A value that stands for itself, whatever it holds. */
export function exact(value) {
  return `"${value.replace(/["\\]/g, "\\$&")}"`;
}

/** The time zone in which days begin. */
export function zone() {
  return state.tz === "UTC" ? "UTC" : localZone();
}

// Asking for it takes longer than showing a row.
const LOCAL = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

export const localZone = () => LOCAL;

export const isTrail = () => ["entity", "actor", "session"].includes(state.view);
