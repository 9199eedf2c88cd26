// Who is looking, and what he may do: asked once.

import { ask } from "./api.js";

let asked = null;

/** Returns the answer of `/me`, or null where it cannot be had; what is refused is then refused where it is asked. */
export function me() {
  asked ??= ask("me").catch(() => { asked = null; return null; });
  return asked;
}
