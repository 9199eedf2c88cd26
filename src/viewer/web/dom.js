// Elements from plain calls. Text becomes text and nothing else: there is no other way to put it in.

const SVG = "http://www.w3.org/2000/svg";

// Control, bidirectional and invisible characters, as `record::visible` knows them.
const DECEIVING = /[\p{Cc}\u00ad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\u{e0000}-\u{e0fff}]/gu;
const NAMED = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** Shows what would move, hide or reorder the text around it as an escape. */
export function visible(text) {
  return String(text).replace(DECEIVING, c => NAMED[c] ?? `\\u{${c.codePointAt(0).toString(16)}}`);
}

/** As `visible`, for text of several lines. */
export function visibleLines(text) {
  return String(text).split("\n").map(line => visible(line.replaceAll("\t", "  "))).join("\n");
}

/**
 * Makes an element: `h("button.primary", { onclick, "aria-label": "…" }, "text", child, …)`.
 * Children that are null or false are left out; strings are made visible.
 */
export function h(tag, properties, ...children) {
  const [name, ...classes] = tag.split(".");
  const made = document.createElement(name || "div");
  if (classes.length) made.className = classes.join(" ");
  set(made, properties);
  append(made, children);
  return made;
}

/** Sets attributes; functions are listeners, `false` and null leave out, `data` is the data set. */
export function set(element, properties) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "value") element.value = value;
    else if (name === "class") element.classList.add(...value.split(" ").filter(Boolean));
    else if (value === null || value === undefined || value === false) element.removeAttribute(name);
    else element.setAttribute(name, value === true ? "" : value);
  }
}

export function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false || child === "") continue;
    element.append(child instanceof Node ? child : visible(child));
  }
}

/** Puts these children in the place of all there are. */
export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

/** As `fill`, for what is drawn anew below the reader's hands: the focus stays on what is named alike, or where it was. */
export function refill(element, ...children) {
  const all = () => [...element.querySelectorAll("button, a, input, summary, [tabindex]")];
  const name = one => one.id || one.getAttribute("aria-label") || one.title || one.textContent;
  const at = document.activeElement, index = all().indexOf(at), wanted = index < 0 ? "" : name(at);
  fill(element, ...children);
  if (index < 0) return element;
  const now = all();
  // The same value may stand in two places: it is the nearer one.
  const alike = now.filter(one => name(one) === wanted).sort((a, b) => Math.abs(now.indexOf(a) - index) - Math.abs(now.indexOf(b) - index));
  const next = alike[0] ?? now[Math.min(index, now.length - 1)];
  if (next) next.focus({ preventScroll: true }); else toList();
  return element;
}

export function svg(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function") made.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined) made.setAttribute(key, value);
  }
  append(made, children);
  return made;
}

// Drawn on a grid of 16 with lines of 1.5.
const ICONS = {
  user: "M8 8a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM2.5 14c.6-2.7 2.7-4.2 5.500-4.200s4.900 1.500 5.500 4.200",
  service: "M2.500 3h11v4h-11zM2.500 9h11v4h-11zM5 5h.01M5 11h.01",
  api_key: "M10.500 9.500a3.500 3.500 0 1 0-3.300-2.300L2.500 12v1.500H5V12h1.500v-1.500H8l1-1.200M11 5.500h.01",
  system: "M8 10.200a2.200 2.200 0 1 0 0-4.400 2.200 2.200 0 0 0 0 4.400ZM8 1.800v2M8 12.200v2M1.800 8h2M12.200 8h2M3.600 3.600 5 5M11 11l1.400 1.400M3.600 12.400 5 11M11 5l1.400-1.400",
  anonymous: "M6 6.200a2 2 0 1 1 2.800 1.900c-.6.300-.8.700-.8 1.400M8 12h.01M8 14.500a6.500 6.500 0 1 0 0-13 6.500 6.500 0 0 0 0 13Z",
  agent: "M8 1.500v2M3.500 5.500c0-1.100.9-2 2-2h5c1.100 0 2 .9 2 2v5c0 1.100-.9 2-2 2h-5c-1.100 0-2-.9-2-2zM6 7.500v1M10 7.500v1M1.500 7.500v2M14.500 7.500v2M6 14.500h4",
  search: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10ZM10.700 10.700 14 14",
  close: "M4 4l8 8M12 4l-8 8",
  plus: "M8 3v10M3 8h10",
  minus: "M3 8h10",
  copy: "M5.500 5.500v-3h8v8h-3M2.500 5.500h8v8h-8z",
  check: "M3 8.500 6.500 12 13 4.500",
  left: "M10 3 5 8l5 5",
  right: "M6 3l5 5-5 5",
  down: "M3.500 6 8 10.500 12.500 6",
  up: "M3.500 10 8 5.500 12.500 10",
  oldest: "M2.500 4h3.500M2.500 8h5.500M2.500 12h8M12.500 3v8M10.500 9.200l2 2 2-2",
  newest: "M2.500 4h8M2.500 8h5.500M2.500 12h3.500M12.500 3v8M10.500 9.200l2 2 2-2",
  clock: "M8 14.500a6.500 6.500 0 1 0 0-13 6.500 6.500 0 0 0 0 13ZM8 4.500V8l2.500 1.500",
  columns: "M2.500 3h11v10h-11zM6.200 3v10M9.900 3v10",
  download: "M8 2v8M4.800 7 8 10.200 11.200 7M2.500 13.500h11",
  filter: "M2 3.500h12M4.500 8h7M6.500 12.500h3",
  sun: "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM8 1v1.500M8 13.500V15M1 8h1.500M13.500 8H15M3 3l1 1M12 12l1 1M3 13l1-1M12 4l1-1",
  moon: "M13.500 9.500A6 6 0 0 1 6.500 2.500a6 6 0 1 0 7 7Z",
  auto: "M2 3h12v8H2zM5.500 14h5",
  warning: "M8 2 1.500 13.500h13zM8 6.500v3M8 11.500h.01",
  link: "M6.500 9.500 9.500 6.500M7 4.500l1.500-1.500a3 3 0 0 1 4.500 4.500L11.500 9M4.500 7 3 8.500A3 3 0 0 0 7.500 13L9 11.500",
  from: "M13.500 3v10M2.500 8h8M7.500 5l3 3-3 3",
  until: "M2.500 3v10M13.500 8h-8M8.500 5l-3 3 3 3",
  pause: "M5.500 3v10M10.500 3v10",
  play: "M4.500 2.800v10.400L13 8z",
};

export function icon(name, label) {
  const attributes = { class: "icon", viewBox: "0 0 16 16", ...(label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" }) };
  return svg("svg", attributes, svg("path", { d: ICONS[name] }));
}

/** A button with a picture for its text; the label is what it says and shows on hover. */
export function iconButton(name, label, onclick, properties) {
  return h("button.icon-button", { type: "button", "aria-label": label, title: label, onclick, ...properties }, icon(name));
}

/** Gives the focus to the list, from something that goes away. */
export function toList() {
  document.getElementById("list")?.focus({ preventScroll: true });
}

/** Tells assistive technology, without moving the focus. */
export function say(text) {
  const line = document.getElementById("said");
  if (line) line.textContent = visible(text);
}

export async function copy(text, words) {
  try {
    await navigator.clipboard.writeText(text);
    toast(words.copied);
  } catch {
    // Without a secure context there is no clipboard; the old way needs a selection.
    const area = h("textarea.off-screen", { readonly: true, value: text, "aria-hidden": "true", tabindex: "-1" });
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    toast(done ? words.copied : words.notCopied);
  }
}

let leaving;
export function toast(text) {
  let shown = document.getElementById("toast");
  if (!shown) document.body.append(shown = h("div", { id: "toast", role: "status" }));
  fill(shown, text).classList.add("shown");
  clearTimeout(leaving);
  leaving = setTimeout(() => shown.classList.remove("shown"), 1600);
}

/** Opens a modal dialog; resolves when it is closed. */
export function dialog(title, closeLabel, ...content) {
  const heading = h("h2", { id: "dialog-title" }, title);
  const close = iconButton("close", closeLabel, () => box.close());
  const box = h("dialog", { "aria-labelledby": "dialog-title" }, h("header", null, heading, close), h(".dialog-body", null, content));
  box.addEventListener("click", event => { if (event.target === box) box.close(); });
  document.body.append(box);
  box.showModal();
  return { box, closed: new Promise(over => box.addEventListener("close", () => { box.remove(); over(); })) };
}
