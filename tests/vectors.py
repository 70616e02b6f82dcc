#!/usr/bin/env python3
"""Reads the test vectors of docs/PROTOCOL.md section 13: `vectors.py FOLDER`."""
import json, os, sys

import rules
from protocol import Head, KeySet, Refused, apply, bucket_digests, digest, need, parse_delta, parse_snapshot, root, seconds


def compose(first, then):
    """The octets of the delta that does what both do (section 7)."""
    (a, changes), (b, later) = first, then
    need(a[:3] == b[:3] and a[4] == b[3], "refused", "the second does not begin where the first ends")
    joined, table = dict(changes), {"+~": "+", "+-": "", "~~": "~", "~-": "-", "-+": "~"}
    for rule, line in later.items():
        sign = table.get(joined[rule][0] + line[0]) if rule in joined else line[0]
        need(sign is not None, "refused", f"{line} cannot follow {joined.get(rule)}")
        if sign:
            joined[rule] = sign + line[1:]
        else:
            del joined[rule]
    head = f"bwld delta v1\norigin {a[0]}\nlist {a[1]}\ncolour {a[2]}\nfrom {a[3]}\nto {b[4]}\nchanges {len(joined)}\n\n"
    return (head + "".join(joined[rule] + "\n" for rule in sorted(joined))).encode()


def run(folder):
    read = lambda name: open(os.path.join(folder, name), "rb").read()  # noqa: E731
    cases, failures, count = json.loads(read("vectors.json")), [], 0

    def snapshot(name):
        content = parse_snapshot(read(name))[1]
        for line in content.values():
            rules.check(line)
        return content

    def delta(name):
        fields, changes = parse_delta(read(name))
        for line in changes.values():
            rules.check(line[1:])
        return fields, changes

    def entries(case):
        rules.check(case["line"])
        return {"expect": "ok"}

    def roots(case):
        content = {line.split("\t")[0]: line for line in read(case["file"]).decode().splitlines()}
        buckets = ["sha256:" + bucket.hex() for bucket in bucket_digests(content, case["k"])]
        return {"entries": len(content), "buckets": buckets, "root": root(content, case["k"])}

    def snapshots(case):
        raw = read(case["file"])
        content = snapshot(case["file"])
        return {"expect": "ok", "sha256": digest(raw), "size": len(raw), "entries": len(content), "root": root(content, case.get("k", 0))}

    def deltas(case):
        return delta(case["file"]) and {"expect": "ok"}

    def applied(case):
        content = apply(snapshot(case["snapshot"]), delta(case["delta"])[1])
        return {"expect": "ok", "entries": len(content), "root": root(content, case.get("k", 0))}

    def composed(case):
        joined = compose(delta(case["first"]), delta(case["then"]))
        return {"expect": "ok" if case["joined"] and joined == read(case["joined"]) else "other octets"}

    def keysets(case):
        before = KeySet(read(case["after"])) if "after" in case else None
        return KeySet(read(case["file"])).verify(before, case.get("pinned")) and {"expect": "ok"}

    def heads(case):
        head, accepted = Head(read(case["file"])), case["accepted"] and Head(read(case["accepted"]))
        need(head.version == case.get("version_digest", head.version), "another version digest")
        fresh = head.verify(case["list"], case["colour"], KeySet(read(case["keyset"])), accepted, seconds(case["now"]))
        return {"expect": "fresh" if fresh else "stale"}

    kinds = {"entries": entries, "roots": roots, "snapshots": snapshots, "deltas": deltas, "apply": applied, "compose": composed,
             "keysets": keysets, "heads": heads}
    for kind, check in kinds.items():
        for case in cases[kind]:
            count += 1
            try:
                got = check(case)
            except Refused as refused:  # content is refused without a word that says why
                got = {"expect": refused.args[0] if kind in ("keysets", "heads") else "refused"}
            if any(case.get(member) != value for member, value in got.items() if member == "expect" or member in case):
                failures.append({"kind": kind, "case": case, "got": got})
    for failure in failures:
        print("failed: " + json.dumps(failure), file=sys.stderr)
    print(json.dumps({"cases": count, "failed": len(failures)}))
    return 1 if failures or not count else 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1]))
