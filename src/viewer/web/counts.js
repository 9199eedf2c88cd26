// Numbers over time.

import { ask } from "./api.js";

/** The counts of what has just been written are still being made: they are asked for again. */
export const AGAIN = 4_000;

/** Asks `/stats`. Without a range its series is that of the last days; here it begins with the oldest record. */
export async function statsOf(filter, stop) {
  let from = filter.from;
  if (!from) {
    const { records: [oldest] } = await ask("records", { ...filter, order: "asc", limit: 1 }, stop);
    from = oldest?.occurred_at ?? "";
  }
  return ask("stats", { ...filter, from, interval: "auto" }, stop);
}

/** Tells whether counting goes on in the background. */
export const goesOn = stats => !stats.exact && stats.complete;
