// A record as a sentence, in parts, so that actor and entity can be links. It reads as `Record::sentence` of the
// crate does; a test holds the two against each other.

/** Returns parts `{ text, kind }`; kind is "actor", "entity" or "outcome" where it is one. */
export function sentence(record, words) {
  const say = words.sentence;
  if (record.description) return [{ text: record.description }];
  if (record.category === "system") {
    const parts = ofSystem(record, say);
    if (parts) return parts;
  }
  const parts = [...actor(record, say)];
  const phrase = say.phrase(record.action);
  const done = record.outcome === "success";
  let middle = done ? ` ${say.past(phrase.verb)}` : ` ${say.triedTo} ${phrase.verb}`;
  if (phrase.particle) middle += ` ${phrase.particle}`;
  if (phrase.object) middle += ` ${phrase.object}`;
  parts.push({ text: middle });
  parts.push(...entity(record, phrase, say));
  if (!done) parts.push({ kind: "outcome", text: (say.ended[record.outcome] ?? "") + (record.outcome_reason ? ` (${record.outcome_reason.replaceAll("_", " ")})` : "") });
  return parts;
}

/** Returns the sentence as one text. */
export const inOneLine = (record, words) => sentence(record, words).map(part => part.text).join("");

function actor(record, say) {
  const acting = (name, id) => name || id || "";
  const real = acting(record.impersonator_name, record.impersonator_id);
  const who = acting(record.actor_name, record.actor_id);
  return [
    real && { text: real, kind: "impersonator" },
    real && { text: say.actingAs },
    { text: who || say.parties[record.actor_type], kind: "actor" },
  ].filter(Boolean);
}

/** Of a pseudonym only as much as tells it from others. */
export const short = id => (id.length > 20 && id.startsWith("p1.") ? `${id.slice(0, 20)}…` : id);

export const inWords = text => text.replace(/[_.]/g, " ");

function entity(record, phrase, say) {
  const id = record.entity_id ?? "", name = record.entity_name ?? "";
  if (phrase.verb === "log" && phrase.particle) {
    return id === "" || id === record.actor_id ? [] : [{ text: ` ${say.as} ` }, { text: short(id), kind: "entity" }];
  }
  const kind = inWords(record.entity_type ?? "");
  if (!kind) return place(record);
  const thing = text => [{ text: " " }, { text, kind: "entity" }];
  if (phrase.object === kind) return [...(id ? thing(short(id)) : []), ...parent(record, say)];
  const parts = phrase.object ? [{ text: ` ${say.preposition(phrase.verb)}` }] : [];
  if (!id && !name) {
    const same = list(record.targets).filter(target => target?.type === record.entity_type).length;
    if (same > 1) parts.push({ text: ` ${same} ${say.plural(kind)}` });
    else if (say.lists.includes(phrase.verb)) parts.push({ text: ` ${say.plural(kind)}` });
    else parts.push({ text: ` ${say.article(kind)} ${kind}` });
  } else {
    parts.push(...thing([kind, id && short(id), name && `“${name}”`].filter(Boolean).join(" ")));
  }
  return [...parts, ...parent(record, say)];
}

const list = value => (Array.isArray(value) ? value : []);

function parent(record, say) {
  const found = list(record.targets).findLast(target => target?.relation === "parent");
  if (typeof found?.type !== "string" || typeof found.id !== "string") return [];
  return [{ text: ` ${say.of} ${inWords(found.type)} ${short(found.id)}` }];
}

function place(record) {
  const at = record.route?.startsWith("/") ? record.route : record.path;
  return at ? [{ text: ` ${at}` }] : [];
}

function ofSystem(record, say) {
  const facts = record.metadata && typeof record.metadata === "object" ? record.metadata : {};
  const count = Number.isInteger(facts.count) ? facts.count : 0;
  const text = name => (typeof facts[name] === "string" ? facts[name] : "");
  if (Object.hasOwn(say.system, record.action)) {
    const reason = text("reason").replaceAll("_", " ");
    return [{ text: say.system[record.action]({ count, reason, route: text("route"), prefix: text("prefix"), status: Number.isInteger(facts.status) ? facts.status : "" }) }];
  }
  if (!Object.hasOwn(say.uses, record.action)) return null;
  const denied = record.outcome === "denied";
  let rest = ` ${say.uses[record.action][denied ? 1 : 0]}`;
  if (text("endpoint")) rest += ` (${text("endpoint")})`;
  if (count > 1) rest += say.moreTimes(count);
  else if (text("first_at")) rest += say.onceMore;
  return [{ text: record.actor_name || record.actor_id || say.someone, kind: "actor" }, { text: rest, kind: denied ? "outcome" : undefined }];
}
