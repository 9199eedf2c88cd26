// The catalogue: every word that the viewer says, in English. A translation is one more file of this shape, named by its
// language in src/viewer/assets.rs; docs/viewer.md says how. Counts come as numbers, so that each language forms its own
// plurals.

import { actor, ending, entity, impersonator, pastOf, presentOf, spaced } from "./grammar.js";
import { number } from "./time.js";

const many = (count, one, more) => `${number(count)} ${count === 1 ? one : more}`;

export const words = {
  product: "Activity",
  skip: "Skip to the records",
  loading: "Loading …",
  close: "Close",
  copied: "Copied",
  notCopied: "The browser does not let this page copy",
  retry: "Try again",

  nav: { label: "Pages", list: "Records", stats: "Stats", health: "Health" },
  theme: { label: "Colours", auto: "As the system", light: "Light", dark: "Dark" },
  zone: {
    label: "Time zone",
    toUtc: zone => `Times are local (${zone}). Show UTC`,
    toLocal: "Times are in UTC. Show local time",
  },
  signedIn: (name, tenant) => (tenant ? `${name}, limited to the tenant ${tenant}` : name),

  search: {
    label: "Search the log",
    placeholder: "Search: words, or conditions such as action:cancel -actor_id:bot status:>=500",
    clear: "Clear the search",
    suggestions: "Suggestions",
    hint: "Press / to search",
    chips: "Conditions",
    remove: text => `Remove the condition ${text}`,
    invert: text => `Turn the condition ${text} around`,
    not: "not",
    about: field => field.about,
    window: from => `Words were looked for in the records since ${from}: without a text index, and without a range, no further back.`,
    unindexed: "Words were looked for record by record, since the store has no text index (activity migrate --index text).",
    partial: "Not all records were looked at yet; scroll on to look further.",
    unfinished: "Nothing found so far; looking further …",
  },

  range: {
    label: "Time range",
    presets: { "now-15m": "Last 15 minutes", "now-1h": "Last hour", "now-24h": "Last 24 hours", "now-7d": "Last 7 days", "now-30d": "Last 30 days", all: "All time" },
    since: text => `Since ${text}`,
    until: text => `Until ${text}`,
    between: (from, to) => `${from} – ${to}`,
    from: "From",
    to: "To",
    relative: "Relative, such as 90m, 36h, 14d, 6w",
    relativeLabel: "The last",
    apply: "Apply",
    last: text => `The last ${text}`,
    wrong: "A number and one of s, m, h, d, w, such as 90m",
    empty: "The beginning lies after the end",
  },

  columns: {
    label: "Columns",
    reset: "As at first",
    names: {
      time: "Time", actor: "Actor", what: "What happened", entity: "Entity", outcome: "Outcome", ip: "Address", duration: "Duration", tenant: "Tenant",
      action: "Action", category: "Category", service: "Service", route: "Route", method: "Method", request: "Request", session: "Session", rule: "Rule", origin: "Origin", reason: "Reason", user_agent: "User agent",
    },
  },

  list: {
    label: "Records",
    as: name => `as ${name}`,
    folded: count => `${number(count)} more of the same request`,
    fold: "Fold the records of this request",
    more: "Loading more …",
    end: "That is all there is.",
    unreadable: count => `${many(count, "row", "rows")} could not be read as records and ${count === 1 ? "is" : "are"} left out.`,
    newest: "Newest first. Show the oldest first",
    oldest: "Oldest first. Show the newest first",
    total: (count, about) => `${about ? "about " : ""}${many(count, "record", "records")}`,
  },

  cell: {
    actions: value => `Actions for ${value}`,
    include: (field, value) => `Only ${field} ${value}`,
    exclude: (field, value) => `Without ${field} ${value}`,
    copy: "Copy",
    from: "Only from this moment on",
    until: "Only up to this moment",
  },

  facets: {
    label: "Filters",
    open: "Filters",
    more: "More",
    fewer: "Fewer",
    none: "Nothing to filter by here.",
    names: {
      outcome: "Outcome", category: "Category", action: "Action", entity_type: "Entity", actor_id: "Actor", actor_type: "Kind of actor", tenant_id: "Tenant", status: "Status",
      service: "Service", method: "Method", origin: "Origin", channel: "Channel",
    },
  },

  histogram: {
    label: "Records over time",
    summary: (total, from, to) => `${many(total, "record", "records")} from ${from} to ${to}. With the arrow keys go through the bars; Enter zooms in.`,
    bar: (from, to, total) => `${from} to ${to}: ${total}`,
    zoomOut: "Zoom out",
    units: { minute: "by the minute", hour: "by the hour", day: "by the day", week: "by the week" },
    inexact: "counted as far as the time allowed",
    behind: at => `counting, so far up to what was stored at ${at}`,
    nothing: "No records in this range",
  },

  outcomes: { success: "Success", denied: "Denied", failure: "Failure", aborted: "Aborted", unknown: "Unknown" },
  reason: word => word.replaceAll("_", " "),
  actorTypes: { user: "User", service: "Service", api_key: "API key", system: "System", anonymous: "Anonymous", agent: "Agent" },

  live: {
    start: "Live",
    startLabel: "Follow the log live",
    stopLabel: "Stop following the log",
    connecting: "Connecting …",
    connected: "Live: records appear as they are stored",
    lost: seconds => `The connection is lost; trying again in ${seconds} s`,
    ended: "Live has ended",
    paused: "Paused while you read",
    fresh: count => `${number(count)} new`,
    lagged: count => `Fell behind: ${many(count, "record is", "records are")} being read back`,
    delay: text => `${text} behind`,
    closedEnd: "Live needs a range without an end",
    ascending: "Live needs the newest first",
  },

  drawer: {
    label: "Record",
    tabs: { summary: "Summary", changes: "Changes", request: "Request", related: "Related", raw: "Raw", integrity: "Integrity" },
    previous: "Previous record in the list (k)",
    next: "Next record in the list (j)",
    link: "Copy the address of this record",
    gone: "There is no such record, or it is not for you to see.",
    sections: { what: "What", who: "Who", whom: "To what", why: "In its own words", recorded: "How it was recorded", request: "Request", client: "Client", tracing: "Tracing", bodies: "Bodies", facts: "Facts of the application" },
    nothing: "Nothing was recorded here.",
    absent: "–",
  },

  fields: {
    id: "Id", occurred_at: "Happened", recorded_at: "Recorded", duration_us: "Duration", action: "Action", operation: "Operation", category: "Category", outcome: "Outcome", outcome_reason: "Because",
    severity: "Severity", entity_type: "Entity type", entity_id: "Entity id", entity_name: "Entity name", targets: "Further targets", actor_type: "Kind of actor", actor_id: "Actor id", actor_name: "Actor name",
    impersonator_id: "Really acted (id)", impersonator_name: "Really acted", subject_ids: "Whose data", auth_method: "Proved by", credential_id: "Credential (hash)", session_id: "Session (hash)",
    tenant_id: "Tenant", org_id: "Organisation", channel: "Channel", description: "Description", reason: "Reason", metadata: "Metadata", method: "Method", route: "Route", path: "Path", query: "Query",
    host: "Host", http_version: "HTTP", status: "Status", grpc_status: "gRPC status", request_bytes: "Request body", response_bytes: "Response body", request_body: "Request body", response_body: "Response body",
    ip: "Address", ip_pseudonym: "Address (hash)", forwarded: "Forwarded by", location: "Location", user_agent: "User agent", request_id: "Request id", correlation_id: "Correlation id", trace_id: "Trace id", span_id: "Span id",
    service: "Service", instance: "Instance", environment: "Environment", rule: "Rule", origin: "Origin", retention_class: "Kept as", redactions: "Taken out", truncated: "Cut", skewed: "Clamped times", schema_version: "Encoding", writer_id: "Stream", seq: "Number in it",
  },

  // The groups of personal fields that are erased together.
  groups: { identity: "Who acted", network: "From where", target: "On what", content: "What was said and changed" },

  severities: ["Unknown", "Informational", "Low", "Medium", "High", "Critical", "Fatal"],

  changes: {
    none: "No changes were recorded. A handler hands them over with activity.changes(&before, &after).",
    table: "Changes",
    field: "Field",
    before: "Before",
    after: "After",
    whole: "the whole",
    absent: "not there",
    unchanged: count => `${number(count)} unchanged`,
    redacted: "redacted",
    erased: "erased",
    restricted: "restricted",
    cut: "cut",
    gone: "What was said and changed was erased; the proof of the record still holds.",
    kept: "The person was erased; what was said and changed is kept for a legal hold, and shown to nobody.",
    lost: "The changes were too large to keep; the record says that they were cut.",
    unreadable: "The changes are not in the form that this page knows:",
  },

  related: {
    before: "Before, of the same entity",
    after: "After, of the same entity",
    request: "Same request",
    correlation: "Same wider action",
    trace: "Same trace",
    session: "Same session",
    entity: "Same entity",
    actor: "Same actor",
    all: "See all",
    none: "Nothing else is known to belong to it.",
  },

  raw: {
    label: "Format",
    json: "JSON", ocsf: "OCSF", cloudevents: "CloudEvents",
    copy: "Copy",
    curl: "Copy as curl",
    exported: "Taken from an export of this one record, which the log notes.",
  },

  integrity: {
    none: "No proof yet",
    noneText: "No checkpoint covers this record yet. A service with keys signs one every ten seconds.",
    proved: "Proved",
    provedText: (position, size) => `This record is what was written: its hash leads to entry ${position} of the ledger, and that to the signed head of ${size} entries.`,
    byBrowser: "This browser has computed it. Personal fields (who, from where, what was touched and said) enter by commitments, which the service has compared.",
    byServer: "The service has computed it; a browser does so over HTTPS.",
    wrong: "Not proved",
    wrongText: "The proof does not lead from this record to the signed head. `activity verify` says what was altered.",
    signed: "Signed", leaf: "Hash of the record", root: "Root of the entry", checkpoint: "Checkpoint",
    trust: "Whether the key that signed is one to trust is for whoever has the trust file to say: `activity verify --trust`, or an evidence bundle.",
    stream: "Stream",
    number: "Number in the stream",
    gapless: "Numbers of a stream have no gaps: a missing number is a missing record.",
  },

  trail: {
    entity: "Entity", actor: "Actor", session: "Session",
    records: "Records", first: "First", last: "Last", by: "By", actions: "Actions", outcomes: "Outcomes",
    back: "All records",
  },

  stats: {
    title: "Stats",
    total: "Records",
    last24: "Last 24 hours",
    share: "Success",
    actors: "Actors",
    byAction: "By action", byEntity: "By entity", byActor: "By actor", byOutcome: "By outcome", byCategory: "By category",
    series: "Over time",
    asOf: text => `As of ${text}`,
    inexact: "Some numbers are not the last word: counting stopped when its time was up.",
    value: "Value", count: "Records",
    live: "Stats are counted anew every few seconds",
    topOnly: "20 and more",
    nobody: "none",
  },

  health: {
    title: "Health",
    status: { ok: "Everything is recorded and stored", degraded: "Recording goes on, with trouble", failing: "Recording is in danger" },
    onlyStatus: "The rest is for those who may configure the log (logs.configure), in all tenants.",
    reasons: "What is wrong",
    received: "Received", stored: "Stored", queued: "Queued", dropped: "Dropped", gaps: "Gaps", quarantined: "Quarantined", folded: "Folded", retries: "Retries",
    queue: "Queue", storage: "Storage", rows: "Records", size: "Size", limit: "Largest allowed, filled", oldest: "Oldest", newest: "Newest", mode: "Delivery", rollups: "Rollups behind", indexes: "Indexes", noIndexes: "none",
    writers: "Streams", stream: "Stream", last: "Last number", lag: "Lag",
    droppedBy: "Dropped, by reason", beside: "Besides",
    refreshed: text => `Asked ${text}`,
    since: "Counts are those of this process since its start.",
    verified: "Last verified", verifiedTo: "Up to entry", verifiedResult: "Result", never: "never",
    results: { unaltered: "unaltered", altered: "ALTERED", incomplete: "unaltered, but incomplete" },
    modes: { best_effort: "Best effort", durable: "Durable", strict: "Strict" },
  },

  export: {
    open: "Export",
    title: "Export the whole result",
    format: "Format",
    formats: {
      csv: ["CSV", "One line for each record, for spreadsheets"],
      jsonl: ["JSON Lines", "One JSON object on each line, for programs"],
      json: ["JSON", "One array"],
      ocsf: ["OCSF", "Open Cybersecurity Schema Framework, for a SIEM"],
      cloudevents: ["CloudEvents", "Batch of CloudEvents 1.0"],
    },
    bom: "With a byte order mark, for Excel",
    counting: "Counting …",
    estimate: (count, size) => `${count}, ${size} as CSV before compression`,
    about: size => `about ${size}`,
    filter: "What is exported",
    everything: "every record that you may see",
    noted: "That you took it is noted in the log.",
    go: "Export",
    curl: "Copy as curl",
    refused: permission => `You may look at the log, and exporting it needs the permission ${permission}. Whoever set up the access to this log can grant it.`,
    nothing: "There is nothing to export.",
  },

  none: {
    title: "No records found",
    outside: (count, range) => `${many(count, "matches", "match")} outside of the range (${range}).`,
    widen: "Search all time",
    narrowest: text => `The condition ${text} excludes the most:`,
    without: count => `without it, there ${count === 1 ? "is" : "are"} ${number(count)}.`,
    drop: "Drop it",
    looking: "Looking for what would be found otherwise …",
    alone: text => `The condition ${text} finds nothing by itself:`,
    hopeless: "No single condition is to blame: drop several.",
    clear: "Clear the search",
  },

  first: {
    title: "Nothing recorded yet",
    text: "Add the layer to your application, last, outside of authentication, and make a request that changes something. It appears here as soon as it is stored.",
    waiting: "Waiting for the first record …",
    also: "Reads are not recorded unless a rule says so; mutations are, without one line in a handler.",
  },

  problems: {
    unauthenticated: "You are not signed in",
    forbidden: "This is not for you to see",
    unreachable: "The service cannot be reached",
    "not-json": "Something else answered",
    "store-unavailable": "The store is away",
    "unreadable-store": "This store cannot be asked",
    "too-many-requests": "Too many requests",
    "too-many-sessions": "Too many are listening",
    "invalid-parameter": "The question cannot be read",
    "invalid-cursor": "The list has changed",
    other: "That did not work",
    detail: {
      unreachable: "It may be restarting, or the network between is down.",
      "not-json": "The address of the API was answered by something that is not the log: perhaps a login page, or a proxy.",
      unauthenticated: "Sign in where you usually do, then try again.",
    },
    query: "This query cannot be read",
    mend: "Mend what is underlined above. Nothing was asked of the log meanwhile.",
    column: n => `at column ${n}`,
  },

  keys: {
    title: "Keyboard",
    list: [
      ["/", "Search"],
      ["j / k", "Next and previous record"],
      ["Enter", "Open the record"],
      ["o", "Unfold the records of its request, or fold them"],
      ["Esc", "Close what is open, or leave the search"],
      ["← / →", "Another cell of the record"],
      ["f / x", "Filter by the cell, or filter it out"],
      ["[ / ]", "Previous and next tab of the record"],
      ["c", "Copy the cell"],
      ["l", "Live on and off"],
      ["e", "Export"],
      ["u", "Local time or UTC"],
      ["g s / g h / g r", "Stats, health, records"],
      ["?", "This list"],
    ],
    open: "Keyboard shortcuts",
    single: "Use the keys of a single character, too",
  },

  // How a record reads, of what sentence.js gathers: parts and texts in their order.
  sentence: {
    act: facts => [spaced(by(facts), did(facts), facts.particle, facts.object, whom(facts)), end(facts)],
    system: {
      gap: ({ count, reason }) => `${many(count, "record is", "records are")} missing here${reason ? `: ${words.reason(reason)}` : ""}`,
      folded: ({ count, route, prefix, status }) =>
        `${number(count)} more requests${route ? ` to ${route}` : ""}${prefix ? ` from ${prefix}` : ""}${status ? `, answered ${status},` : ""} were counted and not recorded one by one`,
      started: () => "recording started",
      stopped: () => "recording stopped",
      restored: () => "the store was found behind what it had held before",
    },
    uses: {
      log_exported: ["exported the log", "was refused an export of the log"],
      log_ingested: ["handed in records", "was refused when handing in records"],
      log_viewed: ["viewed the log", "was refused a view of the log"],
      log_left: ["stopped following the log", ""],
    },
    use({ who, action, denied, endpoint, count, again }) {
      const did = words.sentence.uses[action][denied ? 1 : 0];
      const rest = `${did}${endpoint ? ` (${endpoint})` : ""}${count > 1 ? `, ${number(count)} more times` : again ? ", once more" : ""}`;
      return spaced(actor(who || "someone"), denied ? ending(rest) : rest);
    },
  },
};

const PARTIES = { anonymous: "someone", user: "someone", service: "a service", api_key: "an API key", system: "the system", agent: "an agent" };
const ENDED = { success: "", denied: ": denied", failure: ": failed", aborted: ": aborted", unknown: ": outcome unknown" };
const PREPOSITIONS = {
  to: ["add", "apply", "assign", "attach", "append", "grant", "link", "send", "bind"],
  from: ["remove", "unassign", "detach", "revoke", "unlink", "unbind", "clear"],
  for: ["process", "request", "create", "make", "generate", "issue", "schedule", "enable", "disable", "start", "stop"],
};

const by = ({ who, type, real }) => [real && [impersonator(real), "acting as"], actor(who || PARTIES[type])];

const did = ({ verb, outcome }) => (outcome === "success" ? past(verb) : `tried to ${verb}`);

const end = ({ outcome, reason }) => (outcome === "success" ? null : ending((ENDED[outcome] ?? "") + (reason ? ` (${words.reason(reason)})` : "")));

function whom({ verb, object, account, thing, parent, place }) {
  if (account !== null) return account && ["as", entity(account)];
  if (!thing) return place;
  const of = parent && `of ${parent.kind} ${parent.id}`;
  if (thing.own) return [entity(thing.id), of];
  return [object && preposition(verb), named(thing, verb), of];
}

function named({ kind, id, name, count }, verb) {
  if (id || name) return entity([kind, id, name && `“${name}”`].filter(Boolean).join(" "));
  if (count > 1) return `${number(count)} ${plural(kind)}`;
  return ["list", "search", "query"].includes(verb) ? plural(kind) : `${article(kind)} ${kind}`;
}

function preposition(verb) {
  return Object.keys(PREPOSITIONS).find(word => PREPOSITIONS[word].includes(verb)) ?? "of";
}

function past(verb) {
  return verb.length > 4 && verb.endsWith("ed") && presentOf(verb) ? verb : pastOf(verb);
}

function article(words) {
  if (/^u[snei]/.test(words)) return "a";
  return /^[aeiou]/.test(words) ? "an" : "a";
}

function plural(words) {
  if (/[^aeiou]y$/.test(words)) return `${words.slice(0, -1)}ies`;
  return /(s|x|z|ch|sh)$/.test(words) ? `${words}es` : `${words}s`;
}
