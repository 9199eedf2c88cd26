// Errors and missing permissions, in words.

import { fill, h, icon } from "./dom.js";

/** Shows what went wrong in the place of what was asked for. */
export function trouble(words, problem, retry) {
  const say = words.problems;
  const title = Object.hasOwn(say, problem.kind) ? say[problem.kind] : say.other;
  const detail = problem.message || say.detail[problem.kind] || "";
  const more = problem.kind === "unauthenticated" ? say.detail.unauthenticated : "";
  return h(".notice", { role: "alert" }, icon("warning"), h("h2", null, title), detail ? h("p", null, detail) : null, more ? h("p.quiet", null, more) : null,
    retry ? h("button.button", { type: "button", onclick: retry }, words.retry) : null);
}

/** Fills a place with what went wrong. */
export const showTrouble = (place, words, problem, retry) => fill(place, trouble(words, problem, retry));
