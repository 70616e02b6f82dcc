"""Reads the test vectors of docs/PROTOCOL.md section 13."""
import json, os, sys

from protocol import Head, KeySet, Refused, apply, bucket_digests, compose, digest, need, parse_delta, parse_snapshot, root, \
    rule_of, seconds


def run(folder):
    read = lambda name: open(os.path.join(folder, name), "rb").read()  # noqa: E731
    cases, failures, count = json.loads(read("vectors.json")), [], 0

    def entries(case):
        return rule_of(case["line"]) and {"expect": "ok"}

    def roots(case):
        content = {rule_of(line): line for line in read(case["file"]).decode().splitlines()}
        buckets = ["sha256:" + bucket.hex() for bucket in bucket_digests(content, case["k"])]
        return {"entries": len(content), "buckets": buckets, "root": root(content, case["k"])}

    def snapshots(case):
        raw = read(case["file"])
        content = parse_snapshot(raw)[1]
        return {"expect": "ok", "sha256": digest(raw), "size": len(raw), "entries": len(content), "root": root(content, case.get("k", 0))}

    def deltas(case):
        return parse_delta(read(case["file"])) and {"expect": "ok"}

    def applied(case):
        content = apply(parse_snapshot(read(case["snapshot"]))[1], parse_delta(read(case["delta"]))[1])
        return {"expect": "ok", "entries": len(content), "root": root(content, case.get("k", 0))}

    def composed(case):
        joined = compose(parse_delta(read(case["first"])), parse_delta(read(case["then"])))
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
