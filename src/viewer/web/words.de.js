// The catalogue in German. It has the keys of words.en.js; a test holds the two against each other.

import { actor, ending, entity, impersonator, spaced } from "./grammar.js";
import { number } from "./time.js";

const many = (count, one, more) => `${number(count)} ${count === 1 ? one : more}`;

export const words = {
  product: "Activity",
  skip: "Zu den Einträgen springen",
  loading: "Wird geladen …",
  close: "Schließen",
  copied: "Kopiert",
  notCopied: "Der Browser lässt diese Seite nicht kopieren",
  retry: "Erneut versuchen",

  nav: { label: "Seiten", list: "Einträge", stats: "Zahlen", health: "Zustand" },
  theme: { label: "Farben", auto: "Wie das System", light: "Hell", dark: "Dunkel" },
  zone: {
    label: "Zeitzone",
    toUtc: zone => `Zeiten sind örtlich (${zone}). UTC zeigen`,
    toLocal: "Zeiten sind in UTC. Ortszeit zeigen",
  },
  signedIn: (name, tenant) => (tenant ? `${name}, beschränkt auf den Mandanten ${tenant}` : name),

  search: {
    label: "Protokoll durchsuchen",
    placeholder: "Suche: Wörter oder Bedingungen wie action:cancel -actor_id:bot status:>=500",
    clear: "Suche leeren",
    suggestions: "Vorschläge",
    hint: "Mit / zur Suche",
    chips: "Bedingungen",
    remove: text => `Bedingung ${text} entfernen`,
    invert: text => `Bedingung ${text} umkehren`,
    not: "nicht",
    about: field => ABOUT[field.name] ?? field.about,
    window: from => `Die Wörter wurden in den Einträgen seit ${from} gesucht: ohne Textindex und ohne Zeitraum nicht weiter zurück.`,
    unindexed: "Die Wörter wurden Eintrag für Eintrag gesucht, weil der Speicher keinen Textindex hat (activity migrate --index text).",
    partial: "Noch sind nicht alle Einträge durchgesehen; weiter unten geht es weiter.",
    unfinished: "Bisher nichts gefunden; die Suche läuft weiter …",
  },

  range: {
    label: "Zeitraum",
    presets: { "now-15m": "Letzte 15 Minuten", "now-1h": "Letzte Stunde", "now-24h": "Letzte 24 Stunden", "now-7d": "Letzte 7 Tage", "now-30d": "Letzte 30 Tage", all: "Gesamte Zeit" },
    since: text => `Seit ${text}`,
    until: text => `Bis ${text}`,
    between: (from, to) => `${from} – ${to}`,
    from: "Von",
    to: "Bis",
    relative: "Eine Dauer wie 90m, 36h, 14d, 6w",
    relativeLabel: "Zuletzt",
    apply: "Anwenden",
    last: text => `Zuletzt ${text}`,
    wrong: "Eine Zahl und dahinter s, m, h, d oder w, etwa 90m",
    empty: "Der Anfang liegt nach dem Ende",
  },

  columns: {
    label: "Spalten",
    reset: "Wie am Anfang",
    names: {
      time: "Zeit", actor: "Akteur", what: "Was geschah", entity: "Objekt", outcome: "Ausgang", ip: "Adresse", duration: "Dauer", tenant: "Mandant",
      action: "Aktion", category: "Kategorie", service: "Dienst", route: "Route", method: "Methode", request: "Anfrage", session: "Sitzung", rule: "Regel", origin: "Herkunft", reason: "Begründung", user_agent: "Programm",
    },
  },

  list: {
    label: "Einträge",
    as: name => `als ${name}`,
    folded: count => `${number(count)} weitere derselben Anfrage`,
    fold: "Einträge dieser Anfrage einklappen",
    more: "Weitere werden geladen …",
    end: "Das ist alles.",
    unreadable: count => `${many(count, "Zeile war", "Zeilen waren")} nicht als Eintrag zu lesen und ${count === 1 ? "fehlt" : "fehlen"} hier.`,
    newest: "Neueste zuerst. Älteste zuerst zeigen",
    oldest: "Älteste zuerst. Neueste zuerst zeigen",
    total: (count, about) => `${about ? "etwa " : ""}${many(count, "Eintrag", "Einträge")}`,
  },

  cell: {
    actions: value => `Aktionen für ${value}`,
    include: (field, value) => `Nur ${field} ${value}`,
    exclude: (field, value) => `Ohne ${field} ${value}`,
    copy: "Kopieren",
    from: "Erst ab diesem Zeitpunkt",
    until: "Nur bis zu diesem Zeitpunkt",
  },

  facets: {
    label: "Filter",
    open: "Filter",
    more: "Mehr",
    fewer: "Weniger",
    none: "Hier gibt es nichts zu filtern.",
    names: {
      outcome: "Ausgang", category: "Kategorie", action: "Aktion", entity_type: "Objekt", actor_id: "Akteur", actor_type: "Art des Akteurs", tenant_id: "Mandant", status: "Status",
      service: "Dienst", method: "Methode", origin: "Herkunft", channel: "Kanal",
    },
  },

  histogram: {
    label: "Einträge im Lauf der Zeit",
    summary: (total, from, to) => `${many(total, "Eintrag", "Einträge")} von ${from} bis ${to}. Mit den Pfeiltasten durch die Balken; die Eingabetaste vergrößert.`,
    bar: (from, to, total) => `${from} bis ${to}: ${total}`,
    zoomOut: "Verkleinern",
    units: { minute: "je Minute", hour: "je Stunde", day: "je Tag", week: "je Woche" },
    inexact: "gezählt, soweit die Zeit reichte",
    behind: at => `wird gezählt, bisher bis zum Stand von ${at}`,
    nothing: "Keine Einträge in diesem Zeitraum",
  },

  outcomes: { success: "Erfolg", denied: "Verweigert", failure: "Fehler", aborted: "Abgebrochen", unknown: "Unbekannt" },
  reason: word => REASONS[word] ?? word.replaceAll("_", " "),
  actorTypes: { user: "Benutzer", service: "Dienst", api_key: "API-Schlüssel", system: "System", anonymous: "Anonym", agent: "Agent" },

  live: {
    start: "Live",
    startLabel: "Protokoll live verfolgen",
    stopLabel: "Nicht mehr verfolgen",
    connecting: "Verbindung wird aufgebaut …",
    connected: "Live: Einträge erscheinen, sobald sie gespeichert sind",
    lost: seconds => `Die Verbindung ist unterbrochen; neuer Versuch in ${seconds} s`,
    ended: "Live ist beendet",
    paused: "Angehalten, solange gelesen wird",
    fresh: count => `${number(count)} neu`,
    lagged: count => `Im Rückstand: ${many(count, "Eintrag wird", "Einträge werden")} nachgelesen`,
    delay: text => `${text} im Rückstand`,
    closedEnd: "Live braucht einen Zeitraum ohne Ende",
    ascending: "Live braucht die neuesten Einträge zuerst",
  },

  drawer: {
    label: "Eintrag",
    tabs: { summary: "Überblick", changes: "Änderungen", request: "Anfrage", related: "Verwandtes", raw: "Rohdaten", integrity: "Integrität" },
    previous: "Vorheriger Eintrag der Liste (k)",
    next: "Nächster Eintrag der Liste (j)",
    link: "Adresse dieses Eintrags kopieren",
    gone: "Diesen Eintrag gibt es nicht, oder er ist hier nicht zu sehen.",
    sections: { what: "Was", who: "Wer", whom: "Woran", why: "In eigenen Worten", recorded: "Wie es aufgezeichnet wurde", request: "Anfrage", client: "Gegenstelle", tracing: "Ablaufverfolgung", bodies: "Inhalte", facts: "Angaben der Anwendung" },
    nothing: "Hierzu wurde nichts aufgezeichnet.",
    absent: "–",
  },

  fields: {
    id: "Id", occurred_at: "Geschehen", recorded_at: "Aufgezeichnet", duration_us: "Dauer", action: "Aktion", operation: "Vorgang", category: "Kategorie", outcome: "Ausgang", outcome_reason: "Weil",
    severity: "Schwere", entity_type: "Art des Objekts", entity_id: "Id des Objekts", entity_name: "Name des Objekts", targets: "Weitere Ziele", actor_type: "Art des Akteurs", actor_id: "Id des Akteurs", actor_name: "Name des Akteurs",
    impersonator_id: "In Wahrheit handelte (Id)", impersonator_name: "In Wahrheit handelte", subject_ids: "Wessen Daten", auth_method: "Ausgewiesen durch", credential_id: "Berechtigungsnachweis (Hash)", session_id: "Sitzung (Hash)",
    tenant_id: "Mandant", org_id: "Organisation", channel: "Kanal", description: "Beschreibung", reason: "Begründung", metadata: "Angaben", method: "Methode", route: "Route", path: "Pfad", query: "Abfrage",
    host: "Host", http_version: "HTTP", status: "Status", grpc_status: "gRPC-Status", request_bytes: "Inhalt der Anfrage", response_bytes: "Inhalt der Antwort", request_body: "Inhalt der Anfrage", response_body: "Inhalt der Antwort",
    ip: "Adresse", ip_pseudonym: "Adresse (Hash)", forwarded: "Weitergeleitet von", location: "Ort", user_agent: "Programm", request_id: "Id der Anfrage", correlation_id: "Id des Zusammenhangs", trace_id: "Trace-Id", span_id: "Span-Id",
    service: "Dienst", instance: "Instanz", environment: "Umgebung", rule: "Regel", origin: "Herkunft", retention_class: "Aufbewahrt als", redactions: "Entnommen", truncated: "Gekürzt", skewed: "Begrenzte Zeiten", schema_version: "Kodierung", writer_id: "Strom", seq: "Nummer darin",
  },

  groups: { identity: "Wer gehandelt hat", network: "Von wo", target: "Woran", content: "Was gesagt und geändert wurde" },

  severities: ["Unbekannt", "Information", "Gering", "Mittel", "Hoch", "Kritisch", "Fatal"],

  changes: {
    none: "Es wurden keine Änderungen aufgezeichnet. Ein Handler übergibt sie mit activity.changes(&before, &after).",
    table: "Änderungen",
    field: "Feld",
    before: "Vorher",
    after: "Nachher",
    whole: "das Ganze",
    absent: "nicht vorhanden",
    unchanged: count => `${number(count)} unverändert`,
    redacted: "geschwärzt",
    erased: "gelöscht",
    restricted: "eingeschränkt",
    cut: "gekürzt",
    gone: "Was gesagt und geändert wurde, ist gelöscht; der Nachweis des Eintrags gilt weiterhin.",
    kept: "Die Person wurde gelöscht; was gesagt und geändert wurde, bleibt für eine Aufbewahrungspflicht erhalten und wird niemandem gezeigt.",
    lost: "Die Änderungen waren zu groß, um sie aufzubewahren; der Eintrag hält fest, dass sie gekürzt wurden.",
    unreadable: "Die Änderungen haben nicht die Form, die diese Seite kennt:",
  },

  related: {
    before: "Davor, am selben Objekt",
    after: "Danach, am selben Objekt",
    request: "Dieselbe Anfrage",
    correlation: "Derselbe Zusammenhang",
    trace: "Derselbe Trace",
    session: "Dieselbe Sitzung",
    entity: "Dasselbe Objekt",
    actor: "Derselbe Akteur",
    all: "Alle ansehen",
    none: "Sonst ist nichts bekannt, was dazugehört.",
  },

  raw: {
    label: "Format",
    json: "JSON", ocsf: "OCSF", cloudevents: "CloudEvents",
    copy: "Kopieren",
    curl: "Als curl kopieren",
    exported: "Aus einem Export dieses einen Eintrags, den das Protokoll vermerkt.",
  },

  integrity: {
    none: "Noch kein Nachweis",
    noneText: "Noch kein Prüfpunkt deckt diesen Eintrag ab. Ein Dienst mit Schlüsseln unterschreibt alle zehn Sekunden einen.",
    proved: "Nachgewiesen",
    provedText: (position, size) => `Dieser Eintrag ist das, was geschrieben wurde: Sein Hash führt zum Hauptbucheintrag ${position}, und dieser zum unterschriebenen Kopf über ${size} Hauptbucheinträge.`,
    byBrowser: "Dieser Browser hat es nachgerechnet. Persönliche Felder (wer, von wo, was berührt und gesagt wurde) gehen als Festlegungen ein, die der Dienst verglichen hat.",
    byServer: "Der Dienst hat es nachgerechnet; ein Browser tut das über HTTPS.",
    wrong: "Nicht nachgewiesen",
    wrongText: "Der Nachweis führt nicht von diesem Eintrag zum unterschriebenen Kopf. `activity verify` sagt, was verändert wurde.",
    signed: "Unterschrieben", leaf: "Hash des Eintrags", root: "Wurzel des Hauptbucheintrags", checkpoint: "Prüfpunkt",
    trust: "Ob dem Schlüssel zu trauen ist, sagt, wer die Vertrauensdatei hat: `activity verify --trust` oder ein Beweispaket.",
    stream: "Strom",
    number: "Nummer im Strom",
    gapless: "Die Nummern eines Stroms haben keine Lücken: Eine fehlende Nummer ist ein fehlender Eintrag.",
  },

  trail: {
    entity: "Objekt", actor: "Akteur", session: "Sitzung",
    records: "Einträge", first: "Erster", last: "Letzter", by: "Durch", actions: "Aktionen", outcomes: "Ausgänge",
    back: "Alle Einträge",
  },

  stats: {
    title: "Zahlen",
    total: "Einträge",
    last24: "Letzte 24 Stunden",
    share: "Erfolg",
    actors: "Akteure",
    byAction: "Nach Aktion", byEntity: "Nach Objekt", byActor: "Nach Akteur", byOutcome: "Nach Ausgang", byCategory: "Nach Kategorie",
    series: "Im Lauf der Zeit",
    asOf: text => `Stand: ${text}`,
    inexact: "Einige Zahlen sind nicht endgültig: Die Zeit zum Zählen war um.",
    value: "Wert", count: "Einträge",
    live: "Die Zahlen werden alle paar Sekunden neu gezählt",
    topOnly: "20 und mehr",
    nobody: "keine",
  },

  health: {
    title: "Zustand",
    status: { ok: "Alles wird aufgezeichnet und gespeichert", degraded: "Es wird weiter aufgezeichnet, mit Schwierigkeiten", failing: "Die Aufzeichnung ist in Gefahr" },
    onlyStatus: "Alles Weitere ist für die, die das Protokoll einrichten dürfen (logs.configure), über alle Mandanten.",
    reasons: "Was nicht stimmt",
    received: "Empfangen", stored: "Gespeichert", queued: "In der Warteschlange", dropped: "Verworfen", gaps: "Lücken", quarantined: "In Quarantäne", folded: "Zusammengefasst", retries: "Wiederholungen",
    queue: "Warteschlange", storage: "Speicher", rows: "Einträge", size: "Größe", limit: "Höchstens, davon gefüllt", oldest: "Ältester", newest: "Neuester", mode: "Zustellung", rollups: "Ausstehende Summen", indexes: "Indizes", noIndexes: "keine",
    writers: "Ströme", stream: "Strom", last: "Letzte Nummer", lag: "Rückstand",
    droppedBy: "Verworfen, nach Grund", beside: "Außerdem",
    refreshed: text => `Abgefragt um ${text}`,
    since: "Gezählt wird in diesem Prozess seit seinem Start.",
    verified: "Zuletzt geprüft", verifiedTo: "Bis Hauptbucheintrag", verifiedResult: "Ergebnis", never: "nie",
    results: { unaltered: "unverändert", altered: "VERÄNDERT", incomplete: "unverändert, aber unvollständig" },
    modes: { best_effort: "So gut es geht", durable: "Dauerhaft", strict: "Streng" },
  },

  export: {
    open: "Export",
    title: "Das ganze Ergebnis exportieren",
    format: "Format",
    formats: {
      csv: ["CSV", "Eine Zeile je Eintrag, für Tabellenprogramme"],
      jsonl: ["JSON Lines", "Ein JSON-Objekt je Zeile, für Programme"],
      json: ["JSON", "Ein Array"],
      ocsf: ["OCSF", "Open Cybersecurity Schema Framework, für ein SIEM"],
      cloudevents: ["CloudEvents", "Stapel von CloudEvents 1.0"],
    },
    bom: "Mit Byte-Order-Mark, für Excel",
    counting: "Wird gezählt …",
    estimate: (count, size) => `${count}, ${size} als CSV vor der Komprimierung`,
    about: size => `etwa ${size}`,
    filter: "Exportiert wird",
    everything: "jeder sichtbare Eintrag",
    noted: "Der Export wird im Protokoll vermerkt.",
    go: "Exportieren",
    curl: "Als curl kopieren",
    refused: permission => `Das Protokoll ist einzusehen, aber zum Export fehlt die Berechtigung ${permission}. Wer den Zugang zu diesem Protokoll eingerichtet hat, kann sie erteilen.`,
    nothing: "Es gibt nichts zu exportieren.",
  },

  none: {
    title: "Keine Einträge gefunden",
    outside: (count, range) => `${many(count, "Treffer liegt", "Treffer liegen")} außerhalb des Zeitraums (${range}).`,
    widen: "In der gesamten Zeit suchen",
    narrowest: text => `Die Bedingung ${text} schließt am meisten aus:`,
    without: count => `ohne sie ${count === 1 ? "wäre" : "wären"} es ${many(count, "Treffer", "Treffer")}.`,
    drop: "Weglassen",
    looking: "Es wird gesucht, was sonst zu finden wäre …",
    alone: text => `Die Bedingung ${text} findet schon allein nichts:`,
    hopeless: "Es liegt nicht an einer Bedingung allein: mehrere weglassen.",
    clear: "Suche leeren",
  },

  first: {
    title: "Noch nichts aufgezeichnet",
    text: "Der Anwendung die Schicht hinzufügen, zuletzt, außerhalb der Anmeldung, und eine Anfrage stellen, die etwas ändert. Hier erscheint sie, sobald sie gespeichert ist.",
    waiting: "Warten auf den ersten Eintrag …",
    also: "Lesezugriffe werden nur aufgezeichnet, wenn eine Regel es sagt; Änderungen immer, ohne eine Zeile im Handler.",
  },

  problems: {
    unauthenticated: "Nicht angemeldet",
    forbidden: "Das ist hier nicht zu sehen",
    unreachable: "Der Dienst ist nicht zu erreichen",
    "not-json": "Etwas anderes hat geantwortet",
    "store-unavailable": "Der Speicher ist nicht da",
    "unreadable-store": "Dieser Speicher lässt sich nicht befragen",
    "too-many-requests": "Zu viele Anfragen",
    "too-many-sessions": "Zu viele hören zu",
    "invalid-parameter": "Die Frage ist nicht zu lesen",
    "invalid-cursor": "Die Liste hat sich geändert",
    other: "Das hat nicht geklappt",
    detail: {
      unreachable: "Vielleicht startet er gerade neu, oder das Netz dazwischen ist gestört.",
      "not-json": "Unter der Adresse der API hat etwas geantwortet, was nicht das Protokoll ist: vielleicht eine Anmeldeseite oder ein Proxy.",
      unauthenticated: "Wie gewohnt anmelden und dann erneut versuchen.",
    },
    query: "Diese Suche ist nicht zu lesen",
    mend: "Oben ist unterstrichen, was nicht stimmt. Das Protokoll wurde inzwischen nicht befragt.",
    column: n => `in Spalte ${n}`,
  },

  keys: {
    title: "Tastatur",
    list: [
      ["/", "Suchen"],
      ["j / k", "Nächster und vorheriger Eintrag"],
      ["Enter", "Eintrag öffnen"],
      ["o", "Einträge derselben Anfrage aufklappen oder zuklappen"],
      ["Esc", "Schließen, was offen ist, oder die Suche verlassen"],
      ["← / →", "Andere Zelle des Eintrags"],
      ["f / x", "Nach der Zelle filtern, oder sie ausschließen"],
      ["[ / ]", "Voriger und nächster Reiter des Eintrags"],
      ["c", "Zelle kopieren"],
      ["l", "Live ein und aus"],
      ["e", "Export"],
      ["u", "Ortszeit oder UTC"],
      ["g s / g h / g r", "Zahlen, Zustand, Einträge"],
      ["?", "Diese Liste"],
    ],
    open: "Tastenkürzel",
    single: "Auch Tasten mit einem einzelnen Zeichen verwenden",
  },

  sentence: {
    act: facts => [spaced(by(facts), clause(facts)), end(facts)],
    system: {
      gap: ({ count, reason }) => `${many(count, "Eintrag fehlt", "Einträge fehlen")} hier${reason ? `: ${words.reason(reason)}` : ""}`,
      folded: ({ count, route, prefix, status }) =>
        `${number(count)} weitere Anfragen${route ? ` an ${route}` : ""}${prefix ? ` von ${prefix}` : ""}${status ? `, beantwortet mit ${status},` : ""} wurden gezählt und nicht einzeln aufgezeichnet`,
      started: () => "die Aufzeichnung hat begonnen",
      stopped: () => "die Aufzeichnung hat aufgehört",
      restored: () => "der Speicher lag hinter dem zurück, was er schon enthalten hatte",
    },
    uses: {
      log_exported: ["hat das Protokoll exportiert", "wollte das Protokoll exportieren: verweigert"],
      log_ingested: ["hat Einträge übergeben", "wollte Einträge übergeben: verweigert"],
      log_viewed: ["hat das Protokoll angesehen", "wollte das Protokoll ansehen: verweigert"],
      log_left: ["hat aufgehört, das Protokoll zu verfolgen", ""],
    },
    use({ who, action, denied, endpoint, count, again }) {
      const did = words.sentence.uses[action][denied ? 1 : 0];
      const rest = `${did}${endpoint ? ` (${endpoint})` : ""}${count > 1 ? `, noch ${number(count)}-mal` : again ? ", noch einmal" : ""}`;
      return spaced(actor(who || "jemand"), denied ? ending(rest) : rest);
    },
  },
};

const PARTIES = { anonymous: "jemand", user: "jemand", service: "ein Dienst", api_key: "ein API-Schlüssel", system: "das System", agent: "ein Agent" };
const ENDED = { denied: ": verweigert", failure: ": fehlgeschlagen", aborted: ": abgebrochen", unknown: ": Ausgang unbekannt" };
const REASONS = {
  client_disconnect: "Verbindung von der Gegenseite getrennt", timeout: "Zeitüberschreitung", panic: "Absturz", queue_full: "Warteschlange voll", deadline: "Frist verstrichen", closed: "geschlossen", shutdown: "beim Herunterfahren",
};

// Verbs of actions: infinitive, participle, and what joins the object of the action to its target ("das Passwort von
// Benutzer 3"), where that is not "von".
const VERBS = {
  accept: ["annehmen", "angenommen"], activate: ["aktivieren", "aktiviert"], add: ["hinzufügen", "hinzugefügt", "zu"], approve: ["genehmigen", "genehmigt"], apply: ["anwenden", "angewendet", "auf"],
  archive: ["archivieren", "archiviert"], assign: ["zuweisen", "zugewiesen", "zu"], attach: ["anhängen", "angehängt", "an"], ban: ["sperren", "gesperrt"], block: ["sperren", "gesperrt"], book: ["buchen", "gebucht", "für"], buy: ["kaufen", "gekauft"],
  cancel: ["stornieren", "storniert"], change: ["ändern", "geändert"], clear: ["leeren", "geleert"], clone: ["duplizieren", "dupliziert"], close: ["schließen", "geschlossen"], commit: ["festschreiben", "festgeschrieben"],
  complete: ["abschließen", "abgeschlossen"], confirm: ["bestätigen", "bestätigt"], copy: ["kopieren", "kopiert"], create: ["anlegen", "angelegt", "für"], deactivate: ["deaktivieren", "deaktiviert"], decline: ["ablehnen", "abgelehnt"],
  delete: ["löschen", "gelöscht"], deny: ["ablehnen", "abgelehnt"], deploy: ["ausrollen", "ausgerollt"], detach: ["lösen", "gelöst", "von"], disable: ["abschalten", "abgeschaltet", "für"], download: ["herunterladen", "heruntergeladen"],
  edit: ["bearbeiten", "bearbeitet"], enable: ["einschalten", "eingeschaltet", "für"], erase: ["unkenntlich machen", "unkenntlich gemacht"], expire: ["ablaufen lassen", "ablaufen lassen"], export: ["exportieren", "exportiert"],
  find: ["suchen", "gesucht"], freeze: ["einfrieren", "eingefroren"], generate: ["erzeugen", "erzeugt", "für"], get: ["abrufen", "abgerufen"], grant: ["erteilen", "erteilt", "für"], hide: ["ausblenden", "ausgeblendet"],
  import: ["importieren", "importiert"], install: ["installieren", "installiert"], invite: ["einladen", "eingeladen"], issue: ["ausstellen", "ausgestellt", "für"], link: ["verknüpfen", "verknüpft", "mit"], list: ["auflisten", "aufgelistet"], lock: ["sperren", "gesperrt"],
  make: ["anlegen", "angelegt", "für"], merge: ["zusammenführen", "zusammengeführt"], move: ["verschieben", "verschoben"], open: ["öffnen", "geöffnet"], overwrite: ["überschreiben", "überschrieben"], pay: ["bezahlen", "bezahlt"], print: ["drucken", "gedruckt"],
  process: ["verarbeiten", "verarbeitet", "für"], publish: ["veröffentlichen", "veröffentlicht"], query: ["abfragen", "abgefragt"], read: ["lesen", "gelesen"], refresh: ["erneuern", "erneuert"], refund: ["erstatten", "erstattet"],
  register: ["registrieren", "registriert"], reject: ["ablehnen", "abgelehnt"], release: ["freigeben", "freigegeben"], remove: ["entfernen", "entfernt", "von"], rename: ["umbenennen", "umbenannt"], replace: ["ersetzen", "ersetzt"],
  request: ["anfordern", "angefordert", "für"], resend: ["erneut senden", "erneut gesendet"], reset: ["zurücksetzen", "zurückgesetzt"], restart: ["neu starten", "neu gestartet"], restore: ["wiederherstellen", "wiederhergestellt"],
  review: ["prüfen", "geprüft"], revoke: ["entziehen", "entzogen", "von"], rotate: ["austauschen", "ausgetauscht"], run: ["ausführen", "ausgeführt"], save: ["speichern", "gespeichert"], schedule: ["einplanen", "eingeplant", "für"], search: ["durchsuchen", "durchsucht"],
  sell: ["verkaufen", "verkauft"], send: ["senden", "gesendet", "an"], set: ["setzen", "gesetzt"], share: ["teilen", "geteilt"], ship: ["versenden", "versendet"], sign: ["unterschreiben", "unterschrieben"], start: ["starten", "gestartet", "für"], stop: ["anhalten", "angehalten", "für"],
  submit: ["einreichen", "eingereicht"], suspend: ["aussetzen", "ausgesetzt"], sync: ["abgleichen", "abgeglichen"], transfer: ["übertragen", "übertragen"], unassign: ["abziehen", "abgezogen", "von"], unban: ["entsperren", "entsperrt"], unblock: ["entsperren", "entsperrt"],
  undo: ["rückgängig machen", "rückgängig gemacht"], unlink: ["lösen", "gelöst", "von"], unlock: ["entsperren", "entsperrt"], update: ["ändern", "geändert"], upload: ["hochladen", "hochgeladen"], validate: ["prüfen", "geprüft"], verify: ["prüfen", "geprüft"],
  view: ["ansehen", "angesehen"], withdraw: ["zurückziehen", "zurückgezogen"], write: ["schreiben", "geschrieben"],
  "log in": ["sich anmelden", "sich angemeldet"], "log out": ["sich abmelden", "sich abgemeldet"], "sign up": ["sich registrieren", "sich registriert"], "check in": ["einchecken", "eingecheckt"], "check out": ["auschecken", "ausgecheckt"],
  "roll back": ["zurückrollen", "zurückgerollt"], act: ["handeln", "gehandelt"],
};
/** Verbs that take no target. */
const ALONE = ["act"];

// Types of entities that many applications have, and what their actions name: gender, singular, plural, and the singular of
// the other cases where it differs. Others stand as they are.
const NOUNS = {
  account: ["n", "Konto", "Konten"], address: ["f", "Adresse", "Adressen"], "api key": ["m", "API-Schlüssel", "API-Schlüssel"], article: ["m", "Artikel", "Artikel"], avatar: ["n", "Profilbild", "Profilbilder"], booking: ["f", "Buchung", "Buchungen"],
  cart: ["m", "Warenkorb", "Warenkörbe"], category: ["f", "Kategorie", "Kategorien"], comment: ["m", "Kommentar", "Kommentare"], company: ["f", "Firma", "Firmen"], contract: ["m", "Vertrag", "Verträge"], customer: ["m", "Kunde", "Kunden", "Kunden"],
  device: ["n", "Gerät", "Geräte"], document: ["n", "Dokument", "Dokumente"], email: ["f", "E-Mail", "E-Mails"], employee: ["m", "Mitarbeiter", "Mitarbeiter"], event: ["n", "Ereignis", "Ereignisse"], file: ["f", "Datei", "Dateien"], folder: ["m", "Ordner", "Ordner"],
  group: ["f", "Gruppe", "Gruppen"], image: ["n", "Bild", "Bilder"], invitation: ["f", "Einladung", "Einladungen"], invoice: ["f", "Rechnung", "Rechnungen"], item: ["f", "Position", "Positionen"], job: ["m", "Auftrag", "Aufträge"], key: ["m", "Schlüssel", "Schlüssel"],
  log: ["n", "Protokoll", "Protokolle"], member: ["n", "Mitglied", "Mitglieder"], membership: ["f", "Mitgliedschaft", "Mitgliedschaften"], message: ["f", "Nachricht", "Nachrichten"], name: ["m", "Name", "Namen", "Namen"], note: ["f", "Notiz", "Notizen"],
  order: ["f", "Bestellung", "Bestellungen"], "order item": ["f", "Bestellposition", "Bestellpositionen"], organisation: ["f", "Organisation", "Organisationen"], organization: ["f", "Organisation", "Organisationen"], page: ["f", "Seite", "Seiten"],
  password: ["n", "Passwort", "Passwörter"], payment: ["f", "Zahlung", "Zahlungen"], permission: ["f", "Berechtigung", "Berechtigungen"], picture: ["n", "Bild", "Bilder"], plan: ["m", "Tarif", "Tarife"], policy: ["f", "Richtlinie", "Richtlinien"], post: ["m", "Beitrag", "Beiträge"],
  price: ["m", "Preis", "Preise"], product: ["n", "Produkt", "Produkte"], profile: ["n", "Profil", "Profile"], project: ["n", "Projekt", "Projekte"], promotion: ["f", "Rabattaktion", "Rabattaktionen"], quantity: ["f", "Menge", "Mengen"], record: ["m", "Eintrag", "Einträge"],
  refund: ["f", "Erstattung", "Erstattungen"], report: ["m", "Bericht", "Berichte"], request: ["f", "Anfrage", "Anfragen"], review: ["f", "Bewertung", "Bewertungen"], role: ["f", "Rolle", "Rollen"], rule: ["f", "Regel", "Regeln"], service: ["m", "Dienst", "Dienste"],
  session: ["f", "Sitzung", "Sitzungen"], setting: ["f", "Einstellung", "Einstellungen"], shipment: ["f", "Sendung", "Sendungen"], shop: ["m", "Laden", "Läden"], status: ["m", "Status", "Status"], stock: ["m", "Bestand", "Bestände"], subscription: ["n", "Abonnement", "Abonnements"],
  task: ["f", "Aufgabe", "Aufgaben"], team: ["n", "Team", "Teams"], tenant: ["m", "Mandant", "Mandanten", "Mandanten"], ticket: ["n", "Ticket", "Tickets"], todo: ["f", "Aufgabe", "Aufgaben"], token: ["n", "Token", "Token"], user: ["m", "Benutzer", "Benutzer"],
  webhook: ["m", "Webhook", "Webhooks"], workspace: ["m", "Arbeitsbereich", "Arbeitsbereiche"],
};
const DEFINITE = { m: "den", f: "die", n: "das" };
const INDEFINITE = { accusative: { m: "einen", f: "eine", n: "ein" }, dative: { m: "einem", f: "einer", n: "einem" } };
/** The case that a preposition asks for. */
const CASES = { von: "dative", zu: "dative", mit: "dative", an: "accusative", auf: "accusative", "für": "accusative" };

const noun = kind => (Object.hasOwn(NOUNS, kind) ? NOUNS[kind] : null);
const singular = kind => { const known = noun(kind); return known ? known[3] ?? known[1] : kind; };
const plural = kind => noun(kind)?.[2] ?? `„${kind}“`;
const definite = kind => { const known = noun(kind); return known ? `${DEFINITE[known[0]]} ${singular(kind)}` : `„${kind}“`; };

const by = ({ who, type, real }) => [real && [impersonator(real), "als"], actor(who || PARTIES[type])];

const end = ({ outcome, reason }) => (outcome === "success" ? null : ending((ENDED[outcome] ?? "") + (reason ? ` (${words.reason(reason)})` : "")));

/** "hat Bestellung 55 storniert", "wollte Produkt 3 löschen": the verb stands at the end. */
function clause(facts) {
  const { verb, particle, outcome } = facts;
  const name = spaced(verb, particle).join("");
  const known = Object.hasOwn(VERBS, name) && !(ALONE.includes(name) && (facts.thing || facts.object || facts.place)) ? VERBS[name] : null;
  const [infinitive, participle, joint = "von"] = known ?? foreign(facts);
  const middle = known ? object(facts, joint) : [`„${spaced(name, facts.object).join("")}“`, facts.thing ? ["auf", target(facts.thing, "accusative"), contained(facts)] : facts.place && ["auf", facts.place]];
  const last = outcome === "success" ? participle : infinitive;
  // "sich" stands right after the auxiliary.
  const reflexive = last.startsWith("sich ");
  return [outcome === "success" ? "hat" : "wollte", reflexive && "sich", middle, reflexive ? last.slice("sich ".length) : last];
}

/** A verb that is not known here is named. */
const foreign = ({ thing }) => (thing ? ["anwenden", "angewendet"] : ["ausführen", "ausgeführt"]);

function object(facts, joint) {
  const { object: own, account, thing, place } = facts;
  if (account !== null) return account && ["als", entity(account)];
  if (!thing) return [own && definite(own), place && (own ? [joint, place] : place)];
  if (thing.own || !own) return [target(thing, "accusative", facts.verb), contained(facts)];
  return [definite(own), joint, target(thing, CASES[joint]), contained(facts)];
}

const contained = ({ parent }) => parent && `von ${singular(parent.kind)} ${parent.id}`;

function target({ kind, id, name, count }, as, verb) {
  if (id || name) return entity([singular(kind), id, name && `„${name}“`].filter(Boolean).join(" "));
  if (count > 1) return `${number(count)} ${plural(kind)}`;
  if (["list", "search", "query"].includes(verb)) return plural(kind);
  const known = noun(kind);
  return known ? `${INDEFINITE[as][known[0]]} ${singular(kind)}` : `„${kind}“`;
}

// What the fields of the query language mean; in English the table of fields says it.
const ABOUT = {
  event: "Was womit geschah: Art des Objekts und Aktion in einem", action: "Das Verb; `login_success` findet auch `login` mit Erfolg", operation: "Das Verb, vereinheitlicht", category: "Welche Art von Tatsache", outcome: "Wie es ausging", outcome_reason: "Warum es so ausging",
  severity: "Wie schwerwiegend, 0 bis 6 wie in OCSF", entity_type: "Die Art des Objekts, um das es ging", entity_id: "Die Id dieses Objekts", entity_name: "Sein damaliger Name", target_type: "Die Art eines weiteren Ziels", target_id: "Die Id eines weiteren Ziels",
  targets: "Weitere Ziele, nach Schlüssel", actor_id: "Wer gehandelt hat", actor_type: "Welche Art von Akteur", actor_name: "Der damalige Name des Akteurs", impersonator_id: "Wer in Wahrheit handelte, als jemand anders", impersonator_name: "Dessen damaliger Name",
  subject_id: "Wessen Daten, neben dem, der handelte", auth_method: "Wie sich der Akteur ausgewiesen hat", credential_id: "Hash des Berechtigungsnachweises", session_id: "Hash der Sitzung", tenant_id: "Der Mandant", org_id: "Die Organisation", channel: "Das Modul der Anwendung",
  at: "Wann es geschah", recorded_at: "Wann es aufgezeichnet wurde", duration_us: "Wie lange es dauerte", method: "HTTP-Methode", route: "Die Vorlage der Route", path: "Der Pfad, wie er gesendet wurde", query: "Die Abfrage der Adresse, wo sie aufbewahrt wird", host: "Der angefragte Host",
  http_version: "Die Version von HTTP", status: "HTTP-Status", grpc_status: "gRPC-Status", request_bytes: "Bytes im Inhalt der Anfrage", response_bytes: "Bytes im Inhalt der Antwort", request_body: "Der Inhalt der Anfrage, wo er aufbewahrt wird", response_body: "Der Inhalt der Antwort, wo er aufbewahrt wird",
  request_id: "Die Id der Anfrage", correlation_id: "Die Id eines größeren Zusammenhangs", trace_id: "Trace-Id nach W3C", span_id: "Span-Id nach W3C", ip: "Die Adresse der Gegenstelle", ip_pseudonym: "Hash der Adresse", forwarded: "Ein Glied der Weiterleitung, ungeprüft",
  location: "Wo die Gegenstelle ist, nach Schlüssel", user_agent: "Das Programm der Gegenstelle", search: "Wörter in Beschreibung, Begründung, Namen, Zielen, Angaben und Änderungen", description: "Der Satz, den eine Regel oder ein Handler schrieb", reason: "Die eigene Begründung des Akteurs",
  changed: "Ein Pfad, der sich geändert hat", old: "Ein Wert vor der Änderung", new: "Ein Wert nach der Änderung", changes: "Die Änderungen, nach Schlüssel", metadata: "Die eigenen Angaben der Anwendung, nach Schlüssel", origin: "Woher der Eintrag kam",
  service: "Der Dienst, der ihn aufzeichnete", instance: "Die Instanz des Dienstes", environment: "Die Umgebung", rule: "Die Regel, die ihn aufzeichnete", retention_class: "Wie lange er aufbewahrt wird", redactions: "Was entnommen wurde, nach Schlüssel", truncated: "Ein gekürztes Feld",
  skewed: "Begrenzte Zeiten, nach Feld", id: "Die Id des Eintrags", schema_version: "Version der Kodierung", writer_id: "Der Strom, der ihn nummerierte", seq: "Sein Platz in diesem Strom",
};
