"""Rules and entries in their canonical form (docs/PROTOCOL.md, sections 3 and 4): the business of who makes lists, or checks them.

A follower need not know it: the signed root vouches for every octet of a version. Of UTS #46 (section 3.1) this knows what the
standard library does: that an A-label is Punycode, not the tables of mapping and validity.
"""
import datetime, ipaddress, re

from protocol import need

CODE = r"[a-z0-9][a-z0-9._-]{0,31}"
LABEL = re.compile(r"[a-z0-9_-]{1,63}")
ENTRY = re.compile(rf"([!-~]{{1,2048}})(?:\tcat=({CODE}(?:,{CODE}){{0,15}}))?(?:\tref=[A-Za-z0-9_-]{{8,32}})?"
                   rf"(?:\tage=(?:[1-9]|1[0-9]|2[01]))?(?:\tact=(?:block|warn|log))?(?:\trsn={CODE})?"
                   rf"(?:\texp=([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}))?")


def is_domain(host):
    labels = host.split(".")
    for label in labels:
        if not LABEL.fullmatch(label):
            return False
        if label.startswith("xn--"):
            try:
                plain = label[4:].encode().decode("punycode")
            except UnicodeError:
                return False
            if plain.isascii() or plain.encode("punycode").decode() != label[4:]:
                return False
    return len(host) <= 253 and len(labels) >= 2 and not re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1])


def address(text):
    """The address and the one way to write it, or None."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = getattr(found, "ipv4_mapped", None)  # Python from 3.13 on writes these in another way than the protocol
    canonical = f"::ffff:{int(mapped) >> 16:x}:{int(mapped) & 0xffff:x}" if mapped else str(found)
    return found if canonical == text else None


def is_url(text):
    found = re.fullmatch(r"([a-z0-9._-]+|\[[0-9a-f:]+\])(?::([0-9]+))?(/[!-~]*)", text)
    if not found:
        return False
    host, port, (path, mark, query) = found[1], found[2], found[3].partition("?")
    v6, v4 = host.startswith("["), re.fullmatch(r"[0-9.]+", host)
    return (bool(address(host.strip("[]"))) if v6 or v4 else is_domain(host)) \
        and (port is None or (str(int(port)) == port and int(port) < 65536 and port not in ("80", "443"))) \
        and not (mark and not query) and not re.search(r'[\\<>"`{}#]', path) and not re.search(r"[<>\"'#]", query) \
        and not any(segment in (".", "..") for segment in path.split("/")) \
        and all(re.fullmatch(r"[0-9A-F]{2}", octet[:2]) and not re.fullmatch(r"[A-Za-z0-9._~-]", chr(int(octet[:2], 16)))
                for octet in found[3].split("%")[1:])


def is_rule(rule):
    kind, _, target = rule.partition(":")
    if kind == "cidr":
        start, _, length = target.partition("/")
        found = address(start)
        if not found or not re.fullmatch(r"[1-9][0-9]{0,2}", length) or getattr(found, "ipv4_mapped", None):
            return False
        least, most = (8, 32) if found.version == 4 else (16, 128)
        return least <= int(length) <= most and int(found) & ((1 << most - int(length)) - 1) == 0
    return kind in ("domain", "subtree") and is_domain(target) or kind in ("url", "prefix") and is_url(target)


def check(line):
    """That a line is a canonical entry."""
    found = ENTRY.fullmatch(line) if len(line) <= 4096 else None
    need(found and is_rule(found[1]), "refused", f"no canonical entry: {line[:200]!r}")
    codes = (found[2] or "").split(",")
    need(all(a < b for a, b in zip(codes, codes[1:])), "refused", "categories out of order")
    if found[3]:
        try:  # Python knows no year 0; it has the days of the year 2000
            datetime.date.fromisoformat(re.sub("^0000", "2000", found[3]))
        except ValueError:
            need(False, "refused", f"date {found[3]}")
