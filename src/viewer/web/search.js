// The search box: the query coloured as it is typed, completed, and underlined where the API did not understand it;
// below it the same conditions as chips.

import { ask, isAbort } from "./api.js";
import { fill, h, icon, iconButton, refill } from "./dom.js";
import { FIELDS } from "./fields.js";
import { completable, conditions, fieldNamed, inverted, plain, quoted, tokens, without } from "./query.js";
import { again, change, question, state } from "./state.js";
import { compact } from "./time.js";

/** Fields whose values the API counts. */
const COUNTED = new Set(["action", "operation", "category", "outcome", "outcome_reason", "entity_type", "entity_id", "actor_type", "actor_id", "impersonator_id", "tenant_id", "org_id", "channel", "auth_method", "method", "route", "host", "status", "origin", "service", "environment", "rule"]);
/** Those that are asked for most come first. */
const USUAL = ["action", "actor_id", "entity_type", "entity_id", "outcome", "status", "ip", "tenant_id", "category", "session_id"];
const FIXED = {
  status: ["5xx", "4xx", ">=400", "2xx"],
  time: ["now-1h..", "now-24h..", "today", "yesterday"],
  length: [">=100ms", ">=1s"],
};
const SHOWN = 9;

export function searchBox(words) {
  const say = words.search;
  let error = null, options = [], chosen = -1, asking = null, place = null, dismissed = false;

  const mirror = h(".mirror", { "aria-hidden": "true" });
  const input = h("input", {
    id: "search", type: "text", role: "combobox", "aria-label": say.label, "aria-expanded": "false", "aria-controls": "suggestions", "aria-autocomplete": "list",
    placeholder: say.placeholder, autocomplete: "off", autocapitalize: "off", spellcheck: "false", value: state.q,
  });
  const list = h("ul", { id: "suggestions", role: "listbox", "aria-label": say.suggestions, hidden: true });
  const trouble = h("p.trouble", { id: "trouble", role: "alert", hidden: true });
  const clear = iconButton("close", say.clear, () => { input.value = ""; commit(); input.focus(); }, { class: "clear" });
  const field = h(".field", null, mirror, input);
  const box = h(".search", { role: "search" }, icon("search"), field, h("kbd.hint", { "aria-hidden": "true", title: say.hint }, "/"), clear, list);
  const chips = h("ul.chips", { "aria-label": say.chips });

  function commit(text = input.value) {
    input.value = text;
    close();
    error = null;
    const same = text.trim() === state.q.trim() && !state.record;
    change({ q: text.trim(), record: "", tab: "" });
    draw();
    if (same) again();
  }

  // ---- colours and the line under what is wrong

  function draw() {
    const text = input.value;
    const spans = tokens(text).map(({ kind, from, to }) => {
      const known = kind !== "field" || fieldNamed(text.slice(from, to));
      return { kind: known ? kind : "stranger", from, to };
    });
    const wrong = error?.column ? codeUnits(text, error.column - 1) : -1;
    mirror.replaceChildren(...spans.map(({ kind, from, to }) => {
      const span = document.createElement("span");
      span.className = `t-${kind}`;
      span.textContent = text.slice(from, to);
      if (wrong >= from && wrong < to) span.classList.add("wrong");
      return span;
    }));
    if (wrong >= text.length && error) {
      const span = document.createElement("span");
      span.className = "wrong";
      span.textContent = "\u00a0\u00a0";
      mirror.append(span);
    }
    mirror.scrollLeft = input.scrollLeft;
    mirror.style.transform = `translateX(${-input.scrollLeft}px)`;
    clear.hidden = text === "";
    box.classList.toggle("filled", text !== "");
    input.setAttribute("aria-invalid", error ? "true" : "false");
    if (error) input.setAttribute("aria-describedby", "trouble"); else input.removeAttribute("aria-describedby");
    trouble.hidden = !error;
    if (error) fill(trouble, icon("warning"), h("span", null, error.message, error.column ? h("span.column", null, ` ${words.problems.column(error.column)}`) : null));
    drawChips();
  }

  function drawChips() {
    const text = state.q;
    const found = text === input.value.trim() ? conditions(text) : conditions(state.q);
    refill(chips, found.map(condition => {
      const own = text.slice(condition.from, condition.to);
      const shown = condition.field
        ? [condition.negated ? h("span.negation", null, `${say.not} `) : null, h("span.chip-field", null, condition.field), h("span.chip-value", null, plain(condition.value))]
        : [condition.negated ? h("span.negation", null, `${say.not} `) : null, h("span.chip-value", null, condition.value)];
      return h(`li.chip${condition.negated ? ".negated" : ""}`, null,
        h("button.chip-text", { type: "button", title: say.invert(own), onclick: () => commit(inverted(text, condition)) }, shown),
        iconButton("close", say.remove(own), () => commit(without(text, condition))));
    }));
    chips.hidden = found.length === 0;
  }

  // ---- completion

  async function complete() {
    asking?.abort();
    if (dismissed || document.activeElement !== input || input.selectionStart !== input.selectionEnd) return close();
    place = completable(input.value, input.selectionStart);
    if (!place || (place.kind === "field" && place.text === "" && input.value.trim() !== "")) return close();
    if (place.kind === "field") return show(fields(place.text));
    const known = fieldNamed(place.field);
    if (!known) return close();
    const begun = plain(place.text.replace(/^"/, "")).toLowerCase();
    const fixed = [...known.words, ...(FIXED[known.kind] ?? [])].filter(word => word.toLowerCase().startsWith(begun));
    show(fixed.map(value => ({ value })));
    if (!COUNTED.has(known.name)) return;
    asking = new AbortController();
    const { signal } = asking;
    const here = conditions(input.value).find(one => one.from <= place.from && place.from <= one.to);
    const { q: _, ...range } = question();
    const rest = here ? without(input.value, here) : "";
    const prefix = known.kind === "status" ? "" : begun;
    try {
      const counted = await ask("facets", { ...range, q: rest, fields: known.name, top: 40, prefix }, { signal })
        .catch(problem => { if (isAbort(problem) || !rest) throw problem; return ask("facets", { ...range, fields: known.name, top: 40, prefix }, { signal }); });
      const values = counted.facets[known.name] ?? [];
      const counts = new Map(values.map(({ value, count }) => [String(value), count]));
      const all = [...values.map(({ value }) => String(value)), ...fixed.filter(value => !counts.has(value))].filter(value => value.toLowerCase().startsWith(begun));
      show(all.map(value => ({ value, count: counts.get(value) })));
    } catch (problem) {
      if (!isAbort(problem)) { /* what the vocabulary offers stays */ }
    }
  }

  function fields(begun) {
    const start = begun.toLowerCase();
    if (start === "") return USUAL.map(name => ({ field: fieldNamed(name) }));
    const rank = ({ name }) => (name.startsWith(start) ? 0 : 1);
    return FIELDS.filter(({ name, also }) => name.includes(start) || also.some(other => other.startsWith(start)))
      .sort((a, b) => rank(a) - rank(b)).map(known => ({ field: known }));
  }

  function show(found) {
    options = found.slice(0, SHOWN);
    chosen = -1;
    if (options.length === 0) return close();
    fill(list, options.map(({ field: known, value, count }, index) => h("li", {
      role: "option", id: `suggestion-${index}`, "aria-selected": "false",
      onpointerdown: event => { event.preventDefault(); pick(index); },
    }, known
      ? [h("span.option-name", null, `${known.name}:`), h("span.option-about", null, say.about(known).replaceAll("`", ""))]
      : [h("span.option-value", null, value), count === undefined ? null : h("span.option-count", null, compact(count))])));
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    input.removeAttribute("aria-activedescendant");
  }

  function close() {
    asking?.abort();
    options = [];
    chosen = -1;
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function mark(index) {
    chosen = (index + options.length) % options.length;
    [...list.children].forEach((item, at) => item.setAttribute("aria-selected", String(at === chosen)));
    list.children[chosen].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", `suggestion-${chosen}`);
  }

  function pick(index) {
    const { field: known, value } = options[index];
    const text = input.value;
    // Dots lead on into JSON.
    const written = known ? `${known.name}${known.kind === "keys" ? "." : ":"}` : value.startsWith(">") || value.endsWith("..") || /^\dxx$/.test(value) ? value : quoted(value);
    const space = !known && !/^[\s),]/.test(text.slice(place.to)) ? " " : "";
    input.value = text.slice(0, place.from) + written + space + text.slice(place.to);
    const caret = place.from + written.length + space.length;
    input.setSelectionRange(caret, caret);
    error = null;
    draw();
    if (known) complete(); else close();
  }

  input.addEventListener("input", () => { dismissed = false; error = null; draw(); complete(); });
  input.addEventListener("scroll", () => { mirror.style.transform = `translateX(${-input.scrollLeft}px)`; });
  input.addEventListener("focus", () => { dismissed = false; if (input.value === "") complete(); });
  input.addEventListener("blur", () => { close(); draw(); });
  input.addEventListener("keyup", event => { if (["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) complete(); });
  input.addEventListener("keydown", event => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (options.length) { event.preventDefault(); mark(chosen < 0 && event.key === "ArrowUp" ? -1 : chosen + (event.key === "ArrowDown" ? 1 : -1)); } else { dismissed = false; complete(); }
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (chosen >= 0) pick(chosen); else { commit(); leave(); }
    } else if (event.key === "Tab" && options.length && !event.shiftKey && chosen >= 0) {
      event.preventDefault();
      pick(chosen);
    } else if (event.key === "Escape") {
      event.stopPropagation();
      if (options.length) { dismissed = true; close(); } else input.blur();
    }
  });

  /** What was asked for is what the next keys are meant for. */
  function leave() {
    input.blur();
    document.getElementById("list")?.focus({ preventScroll: true });
  }

  /** Back to where something has to be mended, unless the reader has gone elsewhere. */
  function comeBack() {
    if ([document.body, document.getElementById("list")].includes(document.activeElement)) input.focus();
  }

  draw();
  return {
    element: box, chips, trouble,
    focus() { input.focus(); input.select(); },
    /** Shows what the API found wrong with the query, or null. */
    wrong(problem) { error = problem; draw(); if (problem) comeBack(); },
    /** Takes over what the address says. */
    refresh() { if (document.activeElement !== input || input.value.trim() !== state.q) input.value = state.q; error = null; draw(); },
  };
}

/** Columns count characters; text is indexed by code units. */
function codeUnits(text, characters) {
  return [...text].slice(0, characters).join("").length;
}
