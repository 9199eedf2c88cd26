// Asking the API. Addresses are taken from this module's own, so that they hold under any prefix and proxy.

/** Where the router is mounted: three segments above `assets/REVISION/api.js`. */
export const ROOT = new URL("../../", import.meta.url);

/** An answer that says what was wrong (RFC 9457). */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail ?? body.title ?? "");
    this.status = status;
    this.kind = String(body.type ?? "").replace("urn:tower-activity:problem:", "");
    this.parameter = body.parameter;
    this.column = body.column;
  }
}

/** Returns the address of a path, with those parameters that say something. */
export function address(path, parameters) {
  const url = new URL(path, ROOT);
  for (const [name, value] of Object.entries(parameters ?? {})) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, value);
  }
  return url;
}

/** Joins segments of a path; what is in them stays in them. */
export function path(...segments) {
  return segments.map(encodeURIComponent).join("/");
}

/** Reads JSON whose numbers may be other people's: one that a number of ours cannot hold stays as it was written. */
export function parse(text) {
  return JSON.parse(text, (_, value, context) => (typeof value === "number" && context && JSON.rawJSON && isTooLong(value, context.source) ? JSON.rawJSON(context.source) : value));
}

const isTooLong = (value, source) => source !== String(value) && (!Number.isFinite(value) || source.replace(/e.*$/i, "").replace(/\D/g, "").replace(/^0+/, "").length > 15);

export async function ask(path, parameters, { signal, method = "GET" } = {}) {
  let answer;
  try {
    answer = await fetch(address(path, parameters), { method, signal, headers: { accept: "application/json" } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { type: "unreachable" });
  }
  const text = await answer.text();
  let body = {};
  try {
    body = parse(text);
  } catch {
    // A proxy's own words, or a login page of the application.
    if (answer.ok) throw new Problem(answer.status, { type: "not-json" });
  }
  // `/health` answers 503 with what there is to say.
  if (!answer.ok && !(path === "health" && body.status)) throw new Problem(answer.status, body);
  return body;
}

/** Fetches text as it is, for copies in other formats. */
export async function askText(path, parameters, { signal } = {}) {
  const answer = await fetch(address(path, parameters), { signal }).catch(error => {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { type: "unreachable" });
  });
  const text = await answer.text();
  if (answer.ok) return text;
  let body = {};
  try { body = JSON.parse(text); } catch { /* a proxy's own words */ }
  throw new Problem(answer.status, body);
}

/** Tells whether an error is only that nobody waits for the answer any more. */
export const isAbort = error => error?.name === "AbortError";
