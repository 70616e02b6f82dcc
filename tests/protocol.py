"""The texts of docs/PROTOCOL.md that a follower meets (sections 5 to 10), read and checked. Written from that page alone.

Nothing here reads a clock, a file or a socket.
"""
import base64, datetime, io, re
from hashlib import sha256

import zstandard
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

HEAD_MAX, KEYSET_MAX = 4096, 65536


class Refused(Exception):
    """What was read is not what the protocol allows; the first argument is a word of section 13 or one like them."""


def need(holds, word, detail=""):
    if not holds:
        raise Refused(word, detail)


# --- Section 2: the forms of small things

NUM, TIME, DIGEST = r"(0|[1-9][0-9]{0,18})", r"([0-9T:Z-]{20})", r"sha256:[0-9a-f]{64}"
ORIGIN, LIST = r"([a-z0-9.-]{1,253})", r"[a-z0-9][a-z0-9-]{0,62}"
COMMON = rf"origin {ORIGIN}\nlist ({LIST})\ncolour (black|white)\n"


def digest(octets):
    return "sha256:" + sha256(octets).hexdigest()


def number(text, least=0):
    need(least <= int(text) < 2**63, "form", f"number {text}")
    return int(text)


def seconds(text):
    try:
        moment = datetime.datetime.fromisoformat(text)
        need(moment.isoformat().replace("+00:00", "Z") == text and moment.timestamp() >= 0, "form", text)
        return int(moment.timestamp())
    except ValueError:
        raise Refused("form", f"time {text}") from None


# --- Section 5: the root; sections 6 and 7: snapshots and deltas. Content is a dict from rule to line.

def bucket_digests(content, k):
    buckets = [sha256(b"\0") for _ in range(1 << k)]
    for rule in sorted(content):
        place = int.from_bytes(sha256(rule.encode()).digest()[:4], "big") >> (32 - k)
        buckets[place].update(content[rule].encode() + b"\n")
    return [bucket.digest() for bucket in buckets]


def root(content, k):
    level = bucket_digests(content, k)
    while len(level) > 1:
        level = [sha256(b"\1" + left + right).digest() for left, right in zip(level[::2], level[1::2])]
    return digest(b"\2\1" + bytes([k]) + len(content).to_bytes(8, "big") + level[0])


def body(raw, header, sign=""):
    """The fields of the header, and the lines behind it by their rules: as many as it says, and in order."""
    need(raw.isascii() and (found := re.match(header + r"\n\n", raw.decode())), "refused", "no such header")
    lines = raw.decode()[found.end():].split("\n")
    need(lines.pop() == "" and len(lines) == number(found[found.lastindex]), "refused", "another number of lines than announced")
    rules = []
    for line in lines:  # only the form: the signed root vouches for the rest (section 3)
        form = re.fullmatch(sign + r"((?:domain|subtree|url|prefix|cidr):[!-~]+)(?:\t[!-~]+)*", line)
        need(form and len(form[1]) <= 2048 and len(line) <= 4096 + len(sign and "+"), "refused", f"no such line: {line[:200]!r}")
        rules.append(form[1])
    need(all(a < b for a, b in zip(rules, rules[1:])), "refused", "rules not ascending")
    return found.groups(), dict(zip(rules, lines))


def parse_snapshot(raw):
    """Header fields and content."""
    fields, content = body(raw, rf"bwld snapshot v1\n{COMMON}serial {NUM}\nentries {NUM}")
    number(fields[3], 1)
    return fields, content


def parse_delta(raw):
    """Header fields and changes: a dict from rule to line, the sign included."""
    fields, changes = body(raw, rf"bwld delta v1\n{COMMON}from {NUM}\nto {NUM}\nchanges {NUM}", "[+~-]")
    need(1 <= number(fields[3]) < number(fields[4]), "refused", "a delta that does not lead on")
    need(all(line[0] != "-" or line[1:] == rule for rule, line in changes.items()), "refused", "a removal with attributes")
    return fields, changes


def apply(content, changes):
    content = dict(content)
    for rule, line in changes.items():
        need((rule in content) == (line[0] != "+"), "refused", f"{line} does not fit the content")
        if line[0] == "-":
            del content[rule]
        else:
            content[rule] = line[1:]
    return content


# --- Section 8: signed notes and heads; section 9: key sets

P = 2**255 - 19
Y8 = int("7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7", 16)
SMALL_ORDER = {0, 1, P - 1, Y8, P - Y8}  # the y of every point of small order


def from_base64(text):
    try:
        octets = base64.b64decode(text, validate=True)
    except ValueError:
        octets = b""
    need(base64.b64encode(octets).decode() == text, "form", "base64")
    return octets


def parse_note(raw, limit):
    """The text and [(name, key hash, signature)]."""
    try:
        whole = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("form", "not UTF-8") from None
    text, gap, rest = whole.rpartition("\n\n")
    lines = rest.split("\n")
    need(len(raw) <= limit and gap and lines.pop() == "" and 1 <= len(lines) <= 16, "form", "no signed note")
    need(not re.search(r"[\0-\x09\x0b-\x1f\x7f-\x9f]", whole), "form", "control character")
    signatures = []
    for line in lines:
        found = re.fullmatch(r"\u2014 ([^\s+]+) (\S+)", line)
        need(found and len(found[1].encode()) <= 255, "form", "signature line")
        octets = from_base64(found[2])
        need(len(octets) >= 5, "form", "signature line")
        signatures.append((found[1], octets[:4], octets[4:]))
    return text + "\n", signatures


def signers(text, signatures, keys):
    """Which of `keys` (tuples that begin with name, public key) signed; a wrong signature of one of them refuses all."""
    known = {(key[0], sha256(key[0].encode() + b"\n\1" + key[1]).digest()[:4]): key for key in keys}
    good = []
    for name, key_hash, signature in signatures:
        key = known.get((name, key_hash))
        if not key:
            continue
        small = [int.from_bytes(point, "little") % 2**255 % P in SMALL_ORDER for point in (key[1], signature[:32])]
        try:
            need(len(signature) == 64 and not any(small), "bad-signature", name)
            Ed25519PublicKey.from_public_bytes(key[1]).verify(signature, text.encode())
        except (InvalidSignature, ValueError):
            raise Refused("bad-signature", name) from None
        good.append(key)
    return good


class KeySet:
    def __init__(self, raw):
        name, key, self.raw = r"[a-z0-9._/-]{1,255}", r"[A-Za-z0-9+/]{43}=", raw
        self.text, self.signatures = parse_note(raw, KEYSET_MAX)
        found = re.fullmatch(rf"bwld keyset v1\norigin {ORIGIN}\nkeyset {NUM}\nprevious (none|{DIGEST})\nthreshold ([1-8])\n"
                             rf"((?:root {name} {key}\n)+)((?:signing {name} {key} {TIME} {TIME} \S+\n)*)issued {TIME}\n", self.text)
        need(found, "form", "key set")
        self.origin, self.number, self.previous, self.threshold = found[1], number(found[2], 1), found[3], int(found[4])
        lines = [line.split(" ")[1:] for line in (found[5] + found[6]).splitlines()]
        self.roots = [(line[0], from_base64(line[1])) for line in lines if len(line) == 2]
        self.signing = [(line[0], from_base64(line[1]), seconds(line[2]), seconds(line[3]), line[4]) for line in lines if len(line) == 5]
        for keys in (self.roots, self.signing):
            need([key[0] for key in keys] == sorted(key[0] for key in keys), "form", "keys out of order")
        for column in (0, 1):
            need(len({key[column] for key in self.roots + self.signing}) == len(lines), "form", "a key twice")
        for *_, start, until, lists in self.signing:
            names = lists.split(",")
            need(lists == "*" or all(re.fullmatch(LIST, name) for name in names) and sorted(set(names)) == names, "form", lists)
            need(start < until, "form", "a signing key that is never valid")
        need(self.threshold <= len(self.roots) and (self.previous == "none") == (self.number == 1), "form", "key set")
        seconds(found[9])
        self.fingerprint = digest(self.text.encode())

    def verify(self, before=None, pinned=None):
        """Trust it, because it is pinned or because it follows a trusted one."""
        if before:
            need(self.origin == before.origin, "wrong-origin", self.origin)
            need(self.number == before.number + 1, "key-set-number", self.number)
            need(self.previous == before.fingerprint, "key-set-previous", self.previous)
        else:
            need(self.fingerprint == pinned, "fingerprint-mismatch", self.fingerprint)
        signed = {key[1] for key in signers(self.text, self.signatures, set(self.roots) | set(before.roots if before else []))}
        for keys in (self, before or self):
            need(len(signed & {key[1] for key in keys.roots}) >= keys.threshold, "too-few-root-signatures", self.number)
        return self


class Head:
    def __init__(self, raw):
        self.raw = raw
        self.text, self.signatures = parse_note(raw, HEAD_MAX)
        found = re.fullmatch(rf"(bwld head v1\n{COMMON}serial {NUM}\nprevious (none|{DIGEST})\nroot ({DIGEST}) k={NUM}\nentries {NUM}\n)"
                             rf"snapshot {NUM} ({DIGEST}) {NUM}\n(?:audit [1-9][0-9]{{0,18}} {DIGEST}\n)?keyset {NUM}\nissued {TIME}\nexpires {TIME}\n", self.text)
        need(found, "form", "head")
        self.version = digest(found[1].encode())
        self.origin, self.list, self.colour, self.previous, self.root, self.snapshot = found.group(2, 3, 4, 6, 7, 11)
        self.serial, self.k, self.entries = number(found[5], 1), number(found[8]), number(found[9])
        self.base, self.size, self.keyset = number(found[10], 1), number(found[12]), number(found[13], 1)
        self.issued, self.expires = seconds(found[14]), seconds(found[15])
        need((self.previous == "none") == (self.serial == 1) and self.base <= self.serial, "form", "head")
        need(self.k <= 20 and (self.k == 0 or 1 << self.k <= self.entries), "form", "k")

    def verify(self, list_name, colour, keyset, accepted, now):
        """Section 10, all steps in their order. Whether it is fresh."""
        need(self.origin == keyset.origin, "wrong-origin", self.origin)
        need(self.list == list_name, "wrong-list", self.list)
        need(self.colour == (colour or self.colour), "wrong-colour", self.colour)
        need(self.keyset <= keyset.number, "newer-key-set", self.keyset)
        keys = signers(self.text, self.signatures, keyset.signing)
        need(keys, "unknown-key")
        keys = [key for key in keys if key[4] == "*" or list_name in key[4].split(",")]
        need(keys, "key-not-for-list")
        need(any(start <= self.issued < until and start <= now < until for _, _, start, until, _ in keys), "key-not-valid")
        need(self.issued <= now + 300, "issued-in-future")
        need(0 < self.expires - self.issued <= 32 * 86400, "lifetime")
        if accepted and signers(accepted.text, accepted.signatures, keyset.signing):
            need(self.serial >= accepted.serial, "rollback", f"{self.serial} after {accepted.serial}")
            if self.serial == accepted.serial:
                need(self.version == accepted.version, "split-view", self.serial)
                need(self.issued >= accepted.issued, "superseded", self.serial)
            elif self.serial == accepted.serial + 1:
                need(self.previous == accepted.version, "split-view", self.serial)
        return now < self.expires


# --- Section 11: zstd

def unpack(packed, limit):
    """At most `limit` octets, by a decoder that takes no window over 8 MiB."""
    try:
        decoder = zstandard.ZstdDecompressor(max_window_size=8 << 20)
        plain = decoder.stream_reader(io.BytesIO(packed), read_across_frames=True).read(limit + 1)
    except zstandard.ZstdError as error:
        raise Refused("refused", f"zstd: {error}") from None
    need(len(plain) <= limit, "refused", "larger than it may be")
    return plain
