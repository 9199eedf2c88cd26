// A record as a sentence, in parts, so that actor and entity stand out. Here is gathered what it says; the catalogue
// says it, in the order of its language. In English it reads as `Record::sentence` of the crate does; a test holds the
// two against each other.

import { phrase } from "./grammar.js";

/** Returns parts `{ text, kind }`; kind is "actor", "impersonator", "entity" or "outcome" where it is one. */
export function sentence(record, words) {
  if (record.description) return [{ text: record.description }];
  const said = (record.category === "system" && ofSystem(record, words.sentence)) || words.sentence.act(facts(record));
  return [said].flat(Infinity).filter(Boolean).map(part => (typeof part === "string" ? { text: part } : part));
}

/** Returns the sentence as one text. */
export const inOneLine = (record, words) => sentence(record, words).map(part => part.text).join("");

/** Of a pseudonym only as much as tells it from others. */
export const short = id => (id.length > 20 && id.startsWith("p1.") ? `${id.slice(0, 20)}…` : id);

export const inWords = text => text.replace(/[_.]/g, " ");

/**
 * What a sentence is made of; what is not there is empty or null:
 * - `who`: the name of who acted; `type`, his kind; `real`, who really acted;
 * - `verb`, `particle`, `object`: the action, in English;
 * - `account`: of a login, whose it was when not the actor's own; null for everything else;
 * - `thing`: what was acted on, `{ kind, id, name, count, own }`, with how many there were and whether the action names it itself;
 * - `parent`: what contains it, `{ kind, id }`; `place`: where the request went that named no thing;
 * - `outcome`, `reason`.
 */
function facts(record) {
  const action = phrase(record.action);
  const logs = action.verb === "log" && action.particle !== "";
  const id = record.entity_id ?? "", kind = inWords(record.entity_type ?? "");
  const targets = Array.isArray(record.targets) ? record.targets : [];
  const parent = targets.findLast(target => target?.relation === "parent");
  return {
    ...action,
    who: record.actor_name || record.actor_id || "", type: record.actor_type, real: record.impersonator_name || record.impersonator_id || "",
    account: !logs ? null : id === record.actor_id ? "" : short(id),
    thing: logs || !kind ? null : { kind, id: short(id), name: record.entity_name ?? "", count: targets.filter(target => target?.type === record.entity_type).length, own: action.object === kind },
    parent: typeof parent?.type === "string" && typeof parent.id === "string" ? { kind: inWords(parent.type), id: short(parent.id) } : null,
    place: (record.route?.startsWith("/") ? record.route : record.path) ?? "",
    outcome: record.outcome, reason: record.outcome_reason ?? "",
  };
}

/** What the log notes of itself; null where it is like any other record. */
function ofSystem(record, say) {
  const told = record.metadata && typeof record.metadata === "object" ? record.metadata : {};
  const whole = name => (Number.isInteger(told[name]) ? told[name] : 0);
  const text = name => (typeof told[name] === "string" ? told[name] : "");
  if (Object.hasOwn(say.system, record.action)) return say.system[record.action]({ count: whole("count"), reason: text("reason"), route: text("route"), prefix: text("prefix"), status: whole("status") });
  if (!Object.hasOwn(say.uses, record.action)) return null;
  const ended = text("endpoint") === "live_end";
  return say.use({
    who: record.actor_name || record.actor_id || "", action: ended && record.action === "log_viewed" && record.outcome !== "denied" ? "log_left" : record.action, denied: record.outcome === "denied",
    endpoint: ended ? "" : text("endpoint"), count: whole("count"), again: text("first_at") !== "",
  });
}
