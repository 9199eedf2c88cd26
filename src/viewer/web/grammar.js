// What a catalogue makes sentences with: parts, and the action taken apart. Actions are English words of programs, in
// whatever language they are told; so the English verbs stand here, and a catalogue says what becomes of them.

/** Parts of a sentence that stand out, and that lead on. */
export const actor = text => ({ text, kind: "actor" });
export const impersonator = text => ({ text, kind: "impersonator" });
export const entity = text => ({ text, kind: "entity" });
export const ending = text => ({ text, kind: "outcome" });

/** Joins texts and parts with a space between; what is empty is left out. */
export function spaced(...items) {
  return items.flat(Infinity).filter(item => item && item.text !== "").flatMap((item, at) => (at ? [" ", item] : [item]));
}

const PARTICLES = ["in", "out", "up", "down", "off", "on", "back", "over"];
const WHOLE = {
  "": ["act", ""], login: ["log", "in"], signin: ["log", "in"], login_failed: ["log", "in"], login_success: ["log", "in"], logout: ["log", "out"], signout: ["log", "out"],
  signup: ["sign", "up"], checkout: ["check", "out"], checkin: ["check", "in"], rollback: ["roll", "back"],
};
const IRREGULAR = {
  begin: "began", bind: "bound", build: "built", buy: "bought", cancel: "cancelled", choose: "chose", commit: "committed", cut: "cut", do: "did", draw: "drew", find: "found", forget: "forgot",
  freeze: "froze", get: "got", give: "gave", go: "went", hide: "hid", hold: "held", keep: "kept", label: "labelled", leave: "left", make: "made", occur: "occurred", overwrite: "overwrote",
  pay: "paid", permit: "permitted", put: "put", read: "read", rebuild: "rebuilt", refer: "referred", rerun: "reran", resend: "resent", reset: "reset", run: "ran", see: "saw", sell: "sold",
  send: "sent", set: "set", split: "split", submit: "submitted", take: "took", transfer: "transferred", unban: "unbanned", undo: "undid", unbind: "unbound", unfreeze: "unfroze", unpin: "unpinned",
  withdraw: "withdrew", write: "wrote",
};
// Verbs that are certain when they stand in the past.
const PRESENT = [
  "accept", "activate", "add", "apply", "approve", "archive", "assign", "cancel", "change", "close", "complete", "confirm", "create", "deactivate",
  "delete", "disable", "enable", "erase", "expire", "export", "grant", "import", "invite", "lock", "move", "open", "publish", "refresh", "refund",
  "register", "reject", "release", "remove", "rename", "request", "restore", "revoke", "start", "stop", "suspend", "unassign", "unlock", "update",
  "upload", "verify", "view",
];

/** Takes an action apart: `apply_promotion` is the verb `apply` and the object `promotion`. */
export function phrase(action) {
  if (Object.hasOwn(WHOLE, action)) return { verb: WHOLE[action][0], particle: WHOLE[action][1], object: "" };
  const [first, ...rest] = action.split(/[_.\- ]/).filter(Boolean);
  if (first === undefined) return { verb: "act", particle: "", object: "" };
  const present = rest.length ? presentOf(rest.at(-1)) : null;
  if (present) return { verb: present, particle: "", object: [first, ...rest.slice(0, -1)].join(" ") };
  const particle = PARTICLES.includes(rest[0]) ? rest.shift() : "";
  return { verb: first, particle, object: rest.join(" ") };
}

/** Returns the verb whose past this certainly is, or null. */
export function presentOf(past) {
  return PRESENT.find(verb => pastOf(verb) === past) ?? null;
}

export function pastOf(verb) {
  if (Object.hasOwn(IRREGULAR, verb)) return IRREGULAR[verb];
  if (verb.endsWith("e")) return `${verb}d`;
  if (/[^aeiou]y$/.test(verb)) return `${verb.slice(0, -1)}ied`;
  // One syllable that ends consonant, vowel, consonant: `ship`, `ban`.
  if (/[^aeiou][aeiou][a-z]$/.test(verb) && !/[aeiouwxy]$/.test(verb) && verb.match(/[aeiou]/g).length === 1) return `${verb}${verb.at(-1)}ed`;
  return `${verb}ed`;
}
