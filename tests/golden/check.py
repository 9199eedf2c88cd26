#!/usr/bin/env python3
"""Recomputes the golden files from the documentation alone, with nothing but the standard library.

    python3 tests/golden/check.py

Reads each row of records.jsonl and compares its canonical bytes and its leaf hash with the line of
records.canonical, then each ledger entry's root with the records below it. This is also the shortest
description of the format for whoever writes a verifier in another language.
"""

import hashlib
import ipaddress
import json
import pathlib
import sys

# record.md, "Group". Every other field is sealed: always in the canonical object as it is.
GROUPS = {
    "identity": ("I", "actor_id actor_name impersonator_id impersonator_name subject_ids "
                      "credential_id session_id"),
    "network": ("N", "path query ip ip_pseudonym forwarded location user_agent"),
    "target": ("T", "entity_id entity_name targets"),
    "content": ("C", "description reason changes metadata request_body response_body"),
}


def canonical(obj):
    """RFC 8785 for objects of strings, integers and nulls whose keys are ASCII."""
    text = json.dumps(obj, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8")


def address(text):
    net = ipaddress.ip_network(text)
    return f"{net.version}/{net.prefixlen}/{net.network_address.packed.hex()}"


def value(name, raw):
    return address(raw) if name == "ip" else raw


def record_object(row):
    obj = {}
    personal = set()
    for group, (letter, names) in GROUPS.items():
        names = names.split()
        personal.update(names, (f"{group}_salt", f"{group}_commitment"))
        fields = {name: value(name, row[name]) for name in names if name in row}
        salt = row.get(f"{group}_salt")
        if f"{group}_commitment" in row:
            assert not fields and salt is None, f"{group} was erased and is there"
            obj[group] = row[f"{group}_commitment"]
        elif fields:
            data = b"\x02" + letter.encode() + bytes.fromhex(salt) + canonical(fields)
            obj[group] = hashlib.sha256(data).hexdigest()
        else:
            assert salt is None, f"{group} is empty and has a salt"
            obj[group] = None
    obj.update((name, raw) for name, raw in row.items() if name not in personal)
    return obj


def leaf_hash(data):
    return hashlib.sha256(b"\x00" + data).digest()


def root(leaves):
    """RFC 6962, section 2.1."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + root(leaves[:split]) + root(leaves[split:])).digest()


def main():
    folder = pathlib.Path(__file__).parent
    rows = (folder / "records.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    golden = (folder / "records.canonical").read_bytes().split(b"\n")[:-1]
    assert rows and len(rows) == len(golden), "the files have different numbers of lines"
    leaves = {}
    for number, (text, line) in enumerate(zip(rows, golden), 1):
        row = json.loads(text)
        if "record" in row:
            data = canonical(record_object(row["record"]))
            leaves[row["record"]["seq"]] = leaf_hash(data)
        else:
            entry = row["entry"]
            data = canonical(entry)
            run = range(entry["first_seq"], entry["last_seq"] + 1)
            assert len(run) == entry["count"], f"line {number}: count"
            below = root([leaves[seq] for seq in run]).hex()
            assert below == entry["batch_root"], f"line {number}: batch_root"
        expected = leaf_hash(data).hex().encode() + b" " + data
        if expected != line:
            sys.exit(f"line {number} differs\ncomputed {expected!r}\ngolden   {line!r}")
    print(f"{len(rows)} golden lines agree")


if __name__ == "__main__":
    main()
