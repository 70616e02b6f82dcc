#!/usr/bin/env python3
"""Makes the black lists of this folder again from the sources named in NOTICE.md.

    lists/build.py SOURCES [--check]

SOURCES is a folder with the sources as NOTICE.md lists them, each compressed with zstd. The program `zstd` must be
installed; nothing else beyond Python's standard library is used, and nothing is fetched or resolved. With `--check`
nothing is written: exit code 1 and a line per file tell what would change.

Every host becomes a `domain:` rule exactly as its source lists it, never a `subtree:` rule: none is made wider. A line
that is no canonical host name, or that would hit `protected.txt` or `education.txt`, is left out and counted; the
counts are printed, and NOTICE.md states them.
"""

import argparse
import collections
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent

CATEGORY = "categories/by-category/"
URLHAUS = "torture/real-same-list-12-formats/"

LISTS = [
    {
        "id": "dating",
        "title": "Dating sites",
        "licence": "Unlicense",
        "source": "ShadowWhisperer/BlockLists, RAW/Dating",
        "files": [CATEGORY + "sw-dating"],
    },
    {
        "id": "gambling",
        "title": "Gambling and betting sites",
        "licence": "Unlicense",
        "source": "blocklistproject/Lists, gambling; ShadowWhisperer/BlockLists, RAW/Gambling",
        "files": [CATEGORY + "blp-gambling", CATEGORY + "sw-gambling"],
    },
    {
        "id": "malware",
        "title": "Hosts that distributed malware or belonged to ransomware",
        "licence": "CC0-1.0 AND Unlicense",
        "source": "curbengh/urlhaus-filter of 2022-03-14, made from abuse.ch URLhaus; blocklistproject/Lists, ransomware",
        "files": [CATEGORY + "blp-ransomware", URLHAUS + "urlhaus-filter-dnscrypt-blocked-names"],
    },
    {
        "id": "scam",
        "title": "Fraudulent shops and scams",
        "licence": "Unlicense",
        "source": "blocklistproject/Lists, scam; ShadowWhisperer/BlockLists, RAW/Scam",
        "files": [CATEGORY + "blp-scam", CATEGORY + "sw-scam"],
    },
    {
        "id": "shock",
        "title": "Sites made to shock: gore and cruelty",
        "licence": "Unlicense",
        "source": "ShadowWhisperer/BlockLists, RAW/Shock",
        "files": [CATEGORY + "sw-shock"],
    },
    {
        "id": "tunnels",
        "title": "VPN services, web proxies and other ways around a filter",
        "licence": "Unlicense",
        "source": "ShadowWhisperer/BlockLists, RAW/Tunnels and RAW/Wild_Tunnel",
        "files": [CATEGORY + "sw-tunnels", CATEGORY + "sw-wild_tunnel"],
    },
]

REVIEW = "taken over as published; an entry is removed on a justified report"
OWNER = "bwld.online"

# Entries of a source that were looked at by hand and not taken over.
NOT_TAKEN = {
    "fortinet.net",  # updates of a maker of firewalls
    "freerepublic.com",  # a forum
    "spaceship.com",  # a registrar of domain names
    "villagevoice.com",  # a newspaper
    "xoom.com",  # a payment service
    "zscalertwo.net",  # a security service of enterprises
}

LABEL = re.compile(r"[a-z0-9_-]{1,63}\Z")
NUMBER = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)\Z")


def lines(path):
    """The lines of a compressed source."""
    zst = path.with_name(path.name + ".txt.zst")
    out = subprocess.run(["zstd", "-dcq", str(zst)], check=True, stdout=subprocess.PIPE).stdout
    return out.decode("utf-8", "replace").splitlines()


def names(path):
    """Names of protected.txt."""
    for line in path.read_text("ascii").splitlines():
        if line and not line.startswith("#"):
            yield line


def subtrees(path):
    """Hosts of the subtree rules of a white list."""
    for line in path.read_text("ascii").splitlines():
        if line.startswith("subtree:"):
            yield line.split("\t")[0][len("subtree:"):]


def ancestors(host):
    """The host and every parent with two labels or more."""
    labels = host.split(".")
    return [".".join(labels[i:]) for i in range(len(labels) - 1)]


def is_host(host):
    """Whether a name has the form of docs/PROTOCOL.md section 3.1.

    Public suffixes and malformed A-labels are left to tests/it/lists.rs, which asks the code that publishes.
    """
    labels = host.split(".")
    return (
        len(host) <= 253
        and len(labels) >= 2
        and all(LABEL.match(label) for label in labels)
        and not NUMBER.match(labels[-1])
    )


def rule_of(host, protected, allowed):
    """The rule for a line of a source, or the reason why there is none."""
    if not is_host(host):
        return None, "no canonical host name (an address, a wildcard, a public suffix)"
    if host in protected:
        return None, "protected"
    if host in NOT_TAKEN:
        return None, "looked at by hand and not taken over"
    if any(parent in allowed for parent in ancestors(host)):
        return None, "on the white list education.txt"
    return "domain:" + host, None


def build(spec, sources, protected, allowed):
    """One list as text, and what was left out."""
    rules, dropped = set(), collections.Counter()
    for name in spec["files"]:
        for line in lines(sources / name):
            line = line.strip()
            if line == "" or line[0] in "#!":
                continue
            rule, reason = rule_of(line, protected, allowed)
            if rule:
                rules.add(rule)
            else:
                dropped[reason] += 1
    head = [
        ("id", spec["id"]),
        ("colour", "black"),
        ("title", spec["title"]),
        ("categories", spec["id"]),
        ("owner", OWNER),
        ("licence", spec["licence"]),
        ("source", spec["source"]),
        ("review", REVIEW),
    ]
    text = "".join(f"# {key}: {value}\n" for key, value in head)
    text += "".join(f"{rule}\tcat={spec['id']}\n" for rule in sorted(rules, key=str.encode))
    return text, len(rules), dropped


def main():
    parser = argparse.ArgumentParser(description="makes the black lists again from their sources")
    parser.add_argument("sources", type=pathlib.Path, help="folder with the sources (NOTICE.md)")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a file would change")
    arguments = parser.parse_args()
    protected = {parent for name in names(HERE / "protected.txt") for parent in ancestors(name)}
    allowed = set(subtrees(HERE / "education.txt"))
    changed = 0
    for spec in LISTS:
        text, count, dropped = build(spec, arguments.sources, protected, allowed)
        target = HERE / (spec["id"] + ".txt")
        same = target.exists() and target.read_text("ascii") == text
        print(f"{target.name}: {count} entries, {len(text)} bytes{'' if same else ', changed'}")
        for reason, times in sorted(dropped.items()):
            if times:
                print(f"  left out {times}: {reason}")
        if not same:
            changed += 1
            if not arguments.check:
                target.write_text(text, "ascii")
    sys.exit(1 if arguments.check and changed else 0)


if __name__ == "__main__":
    main()
