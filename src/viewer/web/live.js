// Following the log: a WebSocket with a one-use ticket, or server-sent events where no WebSocket gets through. It goes
// on from a cursor, so that nothing is left out between the list and now, nor over a lost connection.

import { address, ask, ROOT, parse } from "./api.js";

const QUIET = 40_000; // Heartbeats come every 15 s; without three of them the connection is dead.
const LONGEST = 30_000;

export class Live {
  #cursor; #filter; #on; #socket = null; #timer = null; #watch = null; #tries = 0; #stopped = false; #unopened = 0;

  /**
   * Begins. `on.records(list)`, `on.state(name, detail)` (connecting, connected, lost, lagged, ended) and
   * `on.delay(ms)` are called.
   */
  constructor(cursor, filter, on) {
    this.#cursor = cursor;
    this.#filter = filter;
    this.#on = on;
    this.#connect();
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#watch);
    this.#socket?.close();
  }

  async #connect() {
    if (this.#stopped) return;
    this.#on.state("connecting");
    // Where two sockets could not be opened, something in between does not let them through.
    if (this.#unopened >= 2 && typeof EventSource === "function") return this.#events();
    let ticket;
    try {
      ({ ticket } = await ask("tickets", null, { method: "POST" }));
    } catch (problem) {
      if (problem.status === 401 || problem.status === 403) return this.#end(problem);
      return this.#again();
    }
    if (this.#stopped) return;
    const url = address("live", { ...this.#filter, cursor: this.#cursor, ticket });
    url.protocol = ROOT.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    let opened = false;
    this.#socket = socket;
    socket.onopen = () => { opened = true; this.#unopened = 0; this.#alive(); };
    socket.onmessage = event => this.#take(event.data);
    socket.onclose = event => {
      if (!opened) this.#unopened += 1;
      if (this.#stopped || socket !== this.#socket) return;
      if (event.code === 1008) return this.#end({ kind: "forbidden", message: event.reason });
      this.#again();
    };
  }

  #events() {
    const events = new EventSource(address("live/sse", { ...this.#filter, cursor: this.#cursor }));
    this.#socket = events;
    events.onopen = () => this.#alive();
    for (const kind of ["records", "lagged", "heartbeat"]) events.addEventListener(kind, event => this.#take(event.data));
    // It would come back by itself, and would not say how it stands.
    events.onerror = () => { events.close(); this.#again(); };
  }

  #take(text) {
    const message = parse(text);
    this.#alive();
    this.#tries = 0;
    this.#cursor = message.cursor;
    if (message.type === "records") {
      const last = message.data.at(-1);
      if (last) this.#on.delay(Date.now() - Date.parse(last.recorded_at));
      this.#on.records(message.data);
      this.#on.state("connected");
    } else if (message.type === "lagged") this.#on.state("lagged", message.missed);
    else this.#on.state("connected");
  }

  #alive() {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => { this.#socket?.close(); this.#again(); }, QUIET);
  }

  #again() {
    if (this.#stopped) return;
    clearTimeout(this.#watch);
    clearTimeout(this.#timer);
    this.#socket = null;
    const longest = Math.min(LONGEST, 1000 * 2 ** this.#tries);
    const wait = Math.round(longest / 2 + Math.random() * longest / 2);
    this.#tries += 1;
    this.#on.state("lost", Math.max(1, Math.round(wait / 1000)));
    this.#timer = setTimeout(() => this.#connect(), wait);
  }

  #end(problem) {
    this.stop();
    this.#on.state("ended", problem);
  }
}
