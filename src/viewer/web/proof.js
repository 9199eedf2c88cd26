// Recomputing a proof: record, entry, head of the ledger (RFC 9162, section 2.1.3.2).

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

/** Tells whether a proof leads from the record to the head; `null` where a browser computes no hashes, which is without HTTPS. */
export async function isProved({ record, index, size, path, entry, checkpoint }) {
  if (!globalThis.crypto?.subtle) return null;
  const [, covered, head] = checkpoint.split("\n");
  const said = JSON.parse(new TextDecoder().decode(bytes(entry.bytes)));
  return said.batch_root === entry.root && said.position === entry.index + 1 && String(entry.size) === covered
    && await rootOf(await hash(0, bytes(record)), { index, size, path }) === entry.root
    && await rootOf(await hash(0, bytes(entry.bytes)), entry) === hex(bytes(head));
}
