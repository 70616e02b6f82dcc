#!/usr/bin/env python3
"""A second bwld follower, written from docs/PROTOCOL.md alone, to check that page and the program against each other.

It follows one list from one address, verifies everything, and prints a line of JSON for each version it accepts. It is a
checker: what fails verification ends it, where a real follower would repair, try another address, and keep what it has.

Exit codes: 0 done, 1 no answer in time, 2 usage, 3 verification failed (the reason is on standard error), 4 stale.
"""
import argparse, http.client, json, os, signal, sys, tempfile, time, urllib.parse

from protocol import HEAD_MAX, KEYSET_MAX, Head, KeySet, Refused, apply, digest, from_base64, need, parse_delta, parse_snapshot, root, \
    seconds, signers, unpack

DELTA_MIN, EVENT_MAX, CHAIN_MAX = 65536, 65536, 1000


def write(path, text):
    """Atomically: after a crash there is the old file or the new one."""
    with tempfile.NamedTemporaryFile("w", dir=os.path.dirname(os.path.abspath(path)), delete=False, newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(file.name, path)


def next_line(answer):
    """None of it when the connection breaks."""
    try:
        return answer.readline(EVENT_MAX + 1)
    except (ConnectionError, http.client.HTTPException):
        return b""


class Follower:
    def __init__(self, options):
        self.options, self.url = options, urllib.parse.urlsplit(options.url)
        self.keysets, self.head, self.content, self.etag, self.accepted = [], None, None, None, 0
        self.state_file = options.state and os.path.join(options.state, options.list + ".json")
        if self.state_file and os.path.exists(self.state_file):
            self.load(json.load(open(self.state_file, encoding="utf-8")))

    def load(self, state):
        """What was kept is verified again: a state folder is no place of trust."""
        for raw in state["keysets"]:
            self.trust(KeySet(raw.encode()))
        self.head, self.content = Head(state["head"].encode()), {line.split("\t")[0]: line for line in state["lines"]}
        self.check(self.content, self.head)
        need(signers(self.head.text, self.head.signatures, self.keysets[-1].signing), "unknown-key", "the head that was kept")

    def now(self):
        return seconds(self.options.now) if self.options.now else int(time.time())

    def open(self, path, headers):
        kind = http.client.HTTPSConnection if self.url.scheme == "https" else http.client.HTTPConnection
        connection = kind(self.url.netloc, timeout=90)
        connection.request("GET", self.url.path.rstrip("/") + path, headers=headers)
        return connection.getresponse()

    def get(self, path, limit, headers=None, also=()):
        """Answer and body, the latter of at most `limit` octets, packed or not. Other statuses than 200 and those of `also` raise."""
        with self.open(path, {"Accept-Encoding": "zstd", **(headers or {})}) as answer:
            if answer.status in also:
                return answer, b""
            if answer.status != 200:
                raise OSError(f"{path}: status {answer.status}")
            raw, coding = answer.read(limit + 65536), answer.headers.get("content-encoding", "identity")
            need(coding == "zstd" or coding == "identity" and len(raw) <= limit, "refused", f"{path}: {coding}, {len(raw)} octets")
            return answer, unpack(raw, limit) if coding == "zstd" else raw

    def keyset(self, which=""):
        return KeySet(self.get("/v1/keyset" + which, KEYSET_MAX)[1])

    def trust(self, keyset):
        self.keysets.append(keyset.verify(self.keysets[-1] if self.keysets else None, self.options.trust))

    def update_keysets(self, newest):
        """From the pinned key set, or the newest one kept, to `newest`, one by one."""
        if self.keysets:
            need(newest - self.keysets[-1].number <= CHAIN_MAX, "key-set-number", newest)
            chain = [self.keyset(f"/{number}") for number in range(self.keysets[-1].number + 1, newest + 1)]
        else:  # which number is pinned is not known: look from the newest backward
            chain = [self.keyset()]
            while chain[0].fingerprint != self.options.trust and chain[0].number > 1 and len(chain) < CHAIN_MAX:
                chain.insert(0, self.keyset(f"/{chain[0].number - 1}"))
        for keyset in chain:
            self.trust(keyset)

    def check(self, content, head):
        need(len(content) == head.entries, "root-mismatch", f"{len(content)} entries, not {head.entries}")
        need(root(content, head.k) == head.root, "root-mismatch", f"serial {head.serial}")

    def step(self, content, start, head, raw):
        fields, changes = parse_delta(raw)
        need(fields[:5] == (head.origin, head.list, head.colour, str(start), str(head.serial)), "refused", "another delta than asked for")
        return apply(content, changes)

    def fetch(self, head):
        """The content of a verified head: by a delta from what is here, else by snapshot (and the delta from there on)."""
        limit, base = max(DELTA_MIN, head.size), f"/v1/lists/{head.list}"
        if self.head and self.head.serial < head.serial:
            answer, raw = self.get(f"{base}/delta/{self.head.serial}/{head.serial}", limit, also=(410,))
            if answer.status == 200:
                return self.step(self.content, self.head.serial, head, raw), "delta"
        raw = self.get(f"{base}/snapshot/{head.snapshot[7:]}", head.size)[1]
        need(len(raw) == head.size and digest(raw) == head.snapshot, "digest-mismatch", "snapshot")
        fields, content = parse_snapshot(raw)
        need(fields[:4] == (head.origin, head.list, head.colour, str(head.base)), "refused", "another snapshot than asked for")
        if head.base < head.serial:
            content = self.step(content, head.base, head, self.get(f"{base}/delta/{head.base}/{head.serial}", limit)[1])
        return content, "snapshot"

    def take(self, raw, inline=None):
        """Verifies a head and everything it names; only then keeps, writes and tells."""
        head = Head(raw)
        if not self.keysets or head.keyset > self.keysets[-1].number:
            self.update_keysets(head.keyset)
        try:
            fresh = head.verify(self.options.list, self.head and self.head.colour, self.keysets[-1], self.head, self.now())
        except Refused as refused:
            if refused.args[0] == "superseded":
                return
            raise
        how, content = None, self.content
        if not self.head or head.version != self.head.version:
            if inline and self.head and inline[:2] == (self.head.serial, head.serial):
                plain = unpack(inline[2], max(DELTA_MIN, head.size))
                how, content = "event-delta", self.step(self.content, self.head.serial, head, plain)
            else:
                content, how = self.fetch(head)
            self.check(content, head)
        self.head, self.content = head, content
        self.keep([content[rule] for rule in sorted(content)])
        if how:
            print(json.dumps({"serial": head.serial, "entries": head.entries, "root": head.root, "how": how}), flush=True)
            self.accepted += 1
        need(fresh, "stale", f"serial {head.serial} expired")

    def keep(self, lines):
        if self.state_file:
            os.makedirs(self.options.state, exist_ok=True)
            keysets = [keyset.raw.decode() for keyset in self.keysets]
            write(self.state_file, json.dumps({"keysets": keysets, "head": self.head.raw.decode(), "lines": lines}))
        if self.options.out:
            write(self.options.out, "".join(line + "\n" for line in lines))

    def poll(self):
        headers = {"If-None-Match": self.etag} if self.etag else {}
        answer, raw = self.get(f"/v1/lists/{self.options.list}/head?wait=30", HEAD_MAX, headers, also=(304,))
        if answer.status == 200:
            self.take(raw)
            self.etag = answer.headers.get("etag")
        need(self.now() < self.head.expires, "stale", f"serial {self.head.serial} expired")

    def listen(self):
        """One connection to the event stream, until it ends or enough versions came; then waits as it was told."""
        position = self.options.list + (f":{self.head.serial}" if self.head else "")
        wait, event, size = 1000, {}, 0
        with self.open("/v1/events?lists=" + position, {"Accept": "text/event-stream"}) as answer:
            if answer.status != 200:
                raise OSError(f"/v1/events: status {answer.status}")
            # A line that is cut off ends it: an event without its empty line is none.
            while self.accepted < self.options.versions and (line := next_line(answer)).endswith(b"\n"):
                size += len(line)
                need(size <= EVENT_MAX, "refused", "an event larger than it may be")
                field, _, value = line.decode(errors="replace").rstrip("\r\n").partition(":")
                if field:
                    event[field] = value.removeprefix(" ")
                    continue
                if event.get("retry", "").isdecimal():
                    wait = min(int(event["retry"]), 60_000)
                if event.get("event") == "head":
                    self.take(*self.read_event(event.get("data", "")))
                event, size = {}, 0
                need(not self.head or self.now() < self.head.expires, "stale", "no fresh head came")
        if self.accepted < self.options.versions:
            time.sleep(wait / 1000)

    def read_event(self, text):
        """The head, and the delta that came with it: (from, to, packed) or none."""
        try:
            said = json.loads(text)
            need(said["list"] == self.options.list, "wrong-list", said["list"])
            delta = said.get("delta")
            return said["head"].encode(), delta and (delta["from"], delta["to"], from_base64(delta["zstd"]))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise Refused("form", f"event: {error!r}") from None


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("--url", "--trust", "--list"):
        arguments.add_argument(name, required=True)
    arguments.add_argument("--out", help="write the list here")
    arguments.add_argument("--state", help="keep in this folder what is needed to go on")
    arguments.add_argument("--versions", type=int, default=sys.maxsize, help="end after so many")
    arguments.add_argument("--events", action="store_true", help="listen instead of asking")
    arguments.add_argument("--timeout", type=int, default=0, help="end after so many seconds, with code 1")
    arguments.add_argument("--now", help="take this as the time (for tests)")
    options = arguments.parse_args()
    signal.signal(signal.SIGALRM, late)
    signal.alarm(options.timeout)
    try:
        follower = Follower(options)
        while follower.accepted < options.versions:
            follower.listen() if options.events else follower.poll()
    except Refused as refused:
        print("refused: " + ": ".join(map(str, refused.args)), file=sys.stderr)
        return 4 if refused.args[0] == "stale" else 3
    except (OSError, http.client.HTTPException) as error:
        print(f"no answer: {error}", file=sys.stderr)
        return 1
    return 0


def late(*_):
    raise TimeoutError("not done in time")


if __name__ == "__main__":
    sys.exit(main())
