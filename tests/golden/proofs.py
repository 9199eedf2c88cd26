#!/usr/bin/env python3
"""Holds the trees and proofs of this crate to pymerkle, an implementation of the same trees by others.

Usage: proofs.py FILE, where FILE is what the test `proofs_are_written_for_a_third_implementation` wrote:
a line of JSON for each pair of sizes. Leaf i of every tree is i as eight bytes, the largest first.
"""

import hashlib
import json
import sys
import warnings

from pymerkle import InmemoryTree, verify_inclusion


def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def roots_by_consistency(old, old_root, size, proof):
    """RFC 9162, section 2.1.4.2: the roots that a proof leads to."""
    if old == size:
        return (old_root, old_root) if not proof else (None, None)
    path = ([old_root] if old & (old - 1) == 0 else []) + proof
    fn, sn = old - 1, size - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    first = second = path[0]
    for step in path[1:]:
        if sn == 0:
            return None, None
        if fn & 1 or fn == sn:
            first, second = node(step, first), node(step, second)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            second = node(second, step)
        fn, sn = fn >> 1, sn >> 1
    return (first, second) if sn == 0 else (None, None)


def main(path):
    warnings.simplefilter("ignore", DeprecationWarning)
    with open(path, encoding="ascii") as file:
        cases = [json.loads(line) for line in file]
    if not cases:
        sys.exit("proofs.py: there is no proof in " + path)
    tree = InmemoryTree(algorithm="sha256")
    state = getattr(tree, "get_root", None) or tree.get_state
    for index in range(max(case["size"] for case in cases)):
        tree.append_entry(index.to_bytes(8, "big"))
    for number, case in enumerate(cases, 1):
        size, index, old = case["size"], case["index"], case["old"]
        root, before = state(size), state(old)
        if (case["root"], case["old_root"]) != (root.hex(), before.hex()):
            sys.exit(f"proofs.py: line {number}: another root")
        # It counts leaves from 1, and its proofs begin with the leaf itself.
        theirs = tree.prove_inclusion(index + 1, size)
        leaf = hashlib.sha256(b"\x00" + index.to_bytes(8, "big")).digest()
        verify_inclusion(leaf, root, theirs)
        if [step.hex() for step in theirs.path[1:]] != case["inclusion"]:
            sys.exit(f"proofs.py: line {number}: another proof of inclusion")
        # Its proofs of consistency have a form of their own; the roots that ours lead to are compared.
        proof = [bytes.fromhex(step) for step in case["consistency"]]
        if roots_by_consistency(old, before, size, proof) != (before, root):
            sys.exit(f"proofs.py: line {number}: a proof of consistency that leads elsewhere")
    print(f"proofs.py: {len(cases)} sizes agree with pymerkle")


if __name__ == "__main__":
    main(sys.argv[1])
