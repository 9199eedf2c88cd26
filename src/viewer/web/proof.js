// Recomputing a proof: record, entry, head of the ledger (RFC 9162, section 2.1.3.2).

import { parse } from "./api.js";
import { SEALED } from "./fields.js";

const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
const unhex = text => Uint8Array.from(text.match(/../g) ?? [], pair => parseInt(pair, 16));
const hex = data => Array.from(data, byte => byte.toString(16).padStart(2, "0")).join("");

async function hash(prefix, ...parts) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", await new Blob([Uint8Array.of(prefix), ...parts]).arrayBuffer()));
}

/** Where a path leads to from a leaf, in hex; sizes may be larger than the bits that operators work on. */
async function rootOf(leaf, { index, size, path }) {
  let node = index, last = size - 1, root = leaf;
  if (!(index >= 0 && index < size)) return null;
  for (const step of path.map(unhex)) {
    if (last === 0) return null;
    const right = node % 2 === 1 || node === last;
    root = right ? await hash(1, step, root) : await hash(1, root, step);
    while (right && node && node % 2 === 0) [node, last] = [node / 2, Math.floor(last / 2)];
    [node, last] = [Math.floor(node / 2), Math.floor(last / 2)];
  }
  return last === 0 ? hex(root) : null;
}

/** A moment as it is hashed: in microseconds. */
const micros = text => Date.parse(`${text.slice(0, 23)}Z`) * 1000 + Number(text.slice(23, 26));

/** Tells whether what was hashed is the record that is shown; of the personal fields there are commitments alone. */
function isShown(hashed, record) {
  return SEALED.every(({ name, kind }) => {
    const kept = hashed[name] ?? null, shown = record[name] ?? null;
    if (kind === "json") return JSON.stringify(kept === null ? null : parse(kept)) === JSON.stringify(shown);
    return kept === (kind === "time" && shown !== null ? micros(shown) : shown);
  });
}

/** Tells whether a proof leads from the record that is shown to the head; `null` where a browser computes no hashes, which is without HTTPS. */
export async function isProved({ record, index, size, path, entry, checkpoint }, shown) {
  if (!globalThis.crypto?.subtle) return null;
  const [, covered, head] = checkpoint.split("\n");
  const read = text => JSON.parse(new TextDecoder().decode(bytes(text)));
  const said = read(entry.bytes);
  return isShown(read(record), shown)
    && said.batch_root === entry.root && said.position === entry.index + 1 && said.count === size && String(entry.size) === covered
    && await rootOf(await hash(0, bytes(record)), { index, size, path }) === entry.root
    && await rootOf(await hash(0, bytes(entry.bytes)), entry) === hex(bytes(head));
}
