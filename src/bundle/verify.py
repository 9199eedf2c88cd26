#!/usr/bin/env python3
"""Verifies an evidence bundle of tower-activity, with Python 3.7 or later and nothing else.

    python3 verify.py BUNDLE.zip --trust TRUST      (or the folder that it was unpacked into)
Recomputes, and takes nothing at its word: personal fields and salt -> commitment -> record -> entry -> head of the
ledger -> Ed25519 signature. The trust file says which keys may sign; have it from somebody else than the bundle.
Exit codes: 0 unaltered, 1 altered (each place is listed), 3 could not run.
"""

import argparse, base64, datetime, hashlib, io, json, os, re, sys, zipfile

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D, ROOT = -121665 * pow(121666, P - 2, P) % P, pow(2, (P - 1) // 4, P)

sha = lambda *parts: hashlib.sha256(b"".join(parts)).digest()
moment = lambda text: datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
same = lambda a, b: (a[0] * b[2] - b[0] * a[2]) % P == 0 == (a[1] * b[2] - b[1] * a[2]) % P

def add(a, b):  # RFC 8032, section 5.1.4: points as X, Y, Z, T
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return e * f % P, g * h % P, f * g % P, e * h % P

def times(n, point):
    result = (0, 1, 1, 0)
    for bit in bin(n)[2:]:
        result = add(add(result, result), point) if bit == "1" else add(result, result)
    return result

def decode(data):  # RFC 8032, section 5.1.3
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if (x * x - square) % P == 0 else x * ROOT % P
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        raise ValueError("no point of the curve")
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P

BASE = decode((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))

def signed(key, text, signature):  # RFC 8032, section 5.1.7; points of small order are refused
    if len(key) != 32 or len(signature) != 64:
        return False
    s, public, r = int.from_bytes(signature[32:], "little"), decode(key), decode(signature[:32])
    if s >= L or same(times(8, public), (0, 1, 1, 0)) or same(times(8, r), (0, 1, 1, 0)):
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + text).digest(), "little") % L
    return same(times(s, BASE), add(r, times(k, public)))

def root_of(leaf, index, size, path):  # RFC 9162, section 2.1.3.2
    if not 0 <= index < size:
        return None
    node, last, root = index, size - 1, leaf
    for step in path:
        step = bytes.fromhex(step)
        if last == 0 or len(step) != 32:
            return None
        left = node & 1 or node == last
        root = sha(b"\x01", step, root) if left else sha(b"\x01", root, step)
        while left and node and not node & 1:
            node, last = node >> 1, last >> 1
        node, last = node >> 1, last >> 1
    return root if last == 0 else None

def keys_of(trust):
    """Returns of each key in a trust file its name, its hash, itself, and from when and until when it may sign."""
    for line in filter(lambda line: line and line[0] != "#", map(str.strip, trust.splitlines())):
        known = re.fullmatch(r"(\S+?)\+([0-9a-f]{8})\+([A-Za-z0-9+/]{44})((?: +(?:from|until)=\S+)*)", line)
        name, hash_, key, times_ = known.groups() if known else ("", "", "", "")
        key, times_ = base64.b64decode(key), dict(word.split("=", 1) for word in times_.split())
        if key[:1] != b"\x01" or sha(name.encode(), b"\n", key)[:4].hex() != hash_:
            raise ValueError("the trust file holds what is no key: %.99s" % line)
        yield (name, hash_, key, *(times_.get(word) and moment(times_[word]) for word in ("from", "until")))

def head_of(note, keys):
    """Returns origin, size, root, time and who signed; raises ValueError when no trusted key did."""
    text, _, below = note.rpartition("\n\n")
    lines = text.split("\n")
    origin, size, root = lines[0], int(lines[1]), base64.b64decode(lines[2], validate=True)
    at = next((line[5:] for line in lines[3:] if line.startswith("time ")), "1970-01-01T00:00:00Z")
    signatures = [line[2:].rsplit(" ", 1) for line in below.split("\n") if line.startswith("\u2014 ")]
    signers = []
    for name, hash_, key, since, until in keys:
        if name != origin or since and moment(at) < since or until and moment(at) >= until:
            continue
        for signer, data in signatures:
            data = base64.b64decode(data, validate=True)
            if signer == name and data[:4].hex() == hash_:
                if not signed(key[1:], (text + "\n").encode(), data[4:]):
                    raise ValueError("the signature is not that of the key whose name it bears")
                signers.append(name + "+" + hash_)
    if not signers:
        raise ValueError("no trusted key signed it")
    return origin, size, root, at, signers

class Bundle:
    def __init__(self, path):
        self.folder = path if os.path.isdir(path) else None
        self.zip = None if self.folder else zipfile.ZipFile(path)
        names = self.zip.namelist() if self.zip else []
        if len({os.path.normpath(name.replace("\\", "/").strip("/")).lower() for name in names}) < len(names):
            raise ValueError("it has two files of one name, of which readers take one or the other")

    def open(self, name):
        file = open(os.path.join(self.folder, name), "rb") if self.folder else self.zip.open(name)
        return io.TextIOWrapper(file, encoding="utf-8", newline="\n")

def entry_of(line, size, root):
    entry = json.loads(line["entry"])
    path = root_of(sha(b"\x00", line["entry"].encode()), entry["position"] - 1, size, line["path"])
    if path != root:
        raise ValueError("the entry is not in the ledger whose head was signed")
    return entry["position"], (entry["writer_id"], entry["first_seq"], entry["count"], bytes.fromhex(entry["batch_root"]))

def record_of(line, entries, seen):
    """Returns what the record proves, and how many of its groups were erased, and how many are masked."""
    if line["entry"] not in entries:
        raise ValueError("no entry of the ledger that was proved accounts for it")
    (writer, first, count, root), record = entries[line["entry"]], json.loads(line["record"])
    place = (record["writer_id"], record["seq"])
    path = root_of(sha(b"\x00", line["record"].encode()), place[1] - first, count, line["path"])
    if path != root or place[0] != writer:
        raise ValueError("it is not what was written")
    if record["id"] != line["id"] or place in seen:
        raise ValueError("it stands here twice, or under the id of another")
    erased, masked = seen.add(place) or 0, line.get("masked", [])
    for letter, name in zip((b"I", b"N", b"T", b"C"), ("identity", "network", "target", "content")):
        commitment, group = record.pop(name), line["groups"].get(name)
        if group is not None:
            salt, fields = bytes.fromhex(group["salt"]), group["fields"]
            if len(salt) != 16 or sha(b"\x02", letter, salt, fields.encode()).hex() != commitment:
                raise ValueError("the fields of its group %s are not those that were written" % name)
            record.update(json.loads(fields))
        erased += group is None and commitment is not None and name not in masked
    return record, erased, len(masked)

def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("bundle", nargs="?", default=os.path.dirname(os.path.abspath(__file__)), help="by default, where this is")
    words.add_argument("--trust", help="the keys that may sign, one a line")
    words.add_argument("--print", action="store_true", dest="shown", help="print what the records prove, a line of JSON each")
    words.error = lambda why: words.exit(3, "verify.py: could not run: %s; see --help\n" % why)
    asked = words.parse_args()
    bundle = Bundle(asked.bundle)
    keys = list(keys_of(open(asked.trust, encoding="utf-8").read() if asked.trust else "".join(bundle.open("trust.txt"))))
    manifest, note = dict(json.load(bundle.open("manifest.json"))), "".join(bundle.open("checkpoint.txt"))
    if not keys:
        raise ValueError("there is no key in the trust file")
    broken, entries, seen, counts = [], {}, set(), {"entries": 0, "records": 0, "erased": 0, "masked": 0}
    try:
        origin, size, root, at, signers = head_of(note, keys)
    except (ValueError, IndexError) as error:
        print("ALTERED: checkpoint.txt: %s" % error)
        return 1
    for name in ("entries", "records"):
        try:
            for number, text in enumerate(bundle.open(name + ".jsonl"), 1):
                place, counts[name] = "%s.jsonl, line %d" % (name, number), number
                try:
                    line = json.loads(text)
                    place += ", %s" % (line.get("id") or "entry %s" % line.get("position"))
                    if name == "entries":
                        position, entries[position] = entry_of(line, size, root)
                    else:
                        record, erased, masked = record_of(line, entries, seen)
                        counts.update(erased=counts["erased"] + erased, masked=counts["masked"] + masked)
                        if asked.shown:
                            print(json.dumps(record, ensure_ascii=True, sort_keys=True))
                except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                    broken.append("%s: %s" % (place, error))
        except ValueError as error:  # no text; what is missing or damaged is no bundle
            broken.append("%s.jsonl: %s" % (name, error))
        if manifest.get(name) != counts[name]:
            broken.append("%s.jsonl has %d lines; the manifest says %s" % (name, counts[name], manifest.get(name)))
    out = sys.stderr if asked.shown else sys.stdout
    for name, what in ("later", "committed after the checkpoint"), ("unreadable", "rows that are no records any more"):
        if manifest.get(name):
            print("Not in the bundle: %s found by its query, %s." % (manifest[name], what), file=out)
    if not asked.trust:
        print("Not excluded: whoever made the bundle may have made the key too. Name a trust file with --trust.", file=out)
    if broken:
        print("\n  ".join(["ALTERED in %d place(s):" % len(broken)] + broken), file=out)
        return 1
    said = "Unaltered: %(records)d records in %(entries)d entries, %(erased)d personal groups erased"
    print((said + ", %(masked)d masked" * (counts["masked"] > 0)) % counts, file=out)
    print("under the head of %d entries of %s, %s, signed by %s." % (size, origin, at, ", ".join(signers)), file=out)
    return 0

if __name__ == "__main__":
    try:
        code = main()
        sys.stdout.flush()
    except Exception as error:  # Python's own code for this is 1, which says that something was altered
        print("verify.py: could not run: %s" % (str(error) or repr(error)), file=sys.stderr)
        os._exit(3)
    sys.exit(code)
