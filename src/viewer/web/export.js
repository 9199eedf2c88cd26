// Taking the whole result away, in a format; first how much that is.

import { address, ask, isAbort } from "./api.js";
import { copy, dialog, fill, h, icon } from "./dom.js";
import { me } from "./me.js";
import { rangeInWords } from "./range.js";
import { isTrail, question, state } from "./state.js";
import { trouble } from "./problems.js";
import { curl } from "./tabs.js";
import { bytes, number } from "./time.js";

/** What a record takes as CSV, about: measured on the records at hand. */
const SAMPLE = 20;

export async function exportDialog(words) {
  if (document.querySelector("dialog")) return;
  const say = words.export;
  const asking = new AbortController();
  const estimate = h("p", { role: "status" }, say.counting);
  const { tz: _, ...filter } = question();
  let format = "csv";
  const bom = h("input", { type: "checkbox" });
  const bomLabel = h("label.check", null, bom, say.bom);
  const parameters = () => ({ ...filter, tz: question().tz, order: state.order, format, bom: format === "csv" && bom.checked ? "true" : "" });
  const link = h("a.button.primary", { download: "", href: address("export", parameters()) }, icon("download"), say.go);
  const refresh = () => { link.href = address("export", parameters()); bomLabel.hidden = format !== "csv"; };
  bom.addEventListener("change", refresh);
  const formats = h("fieldset.formats", null, h("legend", null, say.format), Object.entries(say.formats).map(([name, [title, about]]) => h("label.choice", null,
    h("input", { type: "radio", name: "format", value: name, checked: name === format, onchange: () => { format = name; refresh(); } }), h("span", null, h("strong", null, title), h("span.quiet", null, about)))));
  const what = h("p.quiet.exported", null, `${say.filter}: `, isTrail() ? h("code", null, state.view === "entity" ? `${state.type} ${state.id}` : state.id) : null, filter.q ? h("code", null, ` ${filter.q}`) : isTrail() ? null : say.everything, `, ${rangeInWords(words)}`);
  const body = [what, estimate, formats, bomLabel, h("p.quiet", null, say.noted),
    h(".dialog-buttons", null, h("button.button", { type: "button", onclick: () => copy(curl(address("export", parameters())), words) }, say.curl), link)];
  const { box, closed } = dialog(say.title, words.close, body);
  link.addEventListener("click", () => setTimeout(() => box.close(), 100));
  closed.then(() => asking.abort());
  try {
    const who = await me();
    if (who && !who.permissions.includes("logs.export")) return fill(box.querySelector(".dialog-body"), h("p", null, say.refused("logs.export")));
    const page = await ask("records", { ...question(), limit: SAMPLE, count: "exact" }, asking);
    const { value, relation } = page.total;
    if (value === 0) return fill(estimate, say.nothing);
    const each = page.records.reduce((sum, record) => sum + Object.values(record).reduce((all, one) => all + (one === null ? 1 : String(typeof one === "object" ? JSON.stringify(one) : one).length + 1), 0), 0) / page.records.length;
    let count = value;
    // Beyond what is counted one by one, the rollups say about how many.
    if (relation !== "eq") count = Math.max(count, (await ask("stats", question(), asking)).total);
    return fill(estimate, icon("check"), " ", say.estimate(words.list.total(number(count), relation !== "eq"), say.about(bytes(each * count))));
  } catch (problem) {
    return isAbort(problem) ? undefined : fill(estimate, trouble(words, problem));
  }
}
