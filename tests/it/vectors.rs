//! Makes the test vectors of `tests/data/protocol/` from constants; `protocol.rs` compares and reads them.

use std::collections::BTreeMap;

use bwld::{
    list::{Colour, Digest},
    wire::{Head, KeySet, Note, TreeBuilder},
};
use serde_json::{Value, json};

use crate::signed::{
    KEYS, chain, content, delta, head, key, keyset_1, keyset_2, keyset_3, list, note, serial, signed, snapshot, time, tree_root, version,
};

const NOW: &str = "2026-11-24T12:00:00Z";
const WHAT: &str = "docs/PROTOCOL.md, section 13, says what each member means. Files are relative to this one. \
                    The secret keys are for tests only.";

/// Files by name, and the index.
#[derive(Default)]
pub struct Vectors {
    pub files: BTreeMap<String, Vec<u8>>,
    index: BTreeMap<&'static str, Vec<Value>>,
}

impl Vectors {
    fn file(&mut self, name: &str, bytes: impl Into<Vec<u8>>) -> String {
        let bytes = bytes.into();
        if let Some(before) = self.files.insert(name.to_owned(), bytes.clone()) {
            assert_eq!(before, bytes, "{name} was made twice and differently");
        }
        name.to_owned()
    }

    fn case(&mut self, kind: &'static str, case: Value) {
        self.index.entry(kind).or_default().push(case);
    }
}

/// All of them; the same on every machine.
pub fn made() -> Vectors {
    let mut vectors = Vectors::default();
    for (name, octet) in KEYS {
        let public = Digest(key(name).public()).hex();
        vectors.case("keys", json!({"name": name, "seed_hex": Digest([octet; 32]).hex(), "public_hex": public}));
    }
    key_sets(&mut vectors);
    heads(&mut vectors);
    bent_heads(&mut vectors);
    entries(&mut vectors);
    snapshots(&mut vectors);
    deltas(&mut vectors);
    roots(&mut vectors);
    vectors
}

fn key_sets(v: &mut Vectors) {
    for (i, note) in chain().iter().enumerate() {
        v.file(&format!("keysets/{}.note", i + 1), note.as_str());
    }
    let (one, two) = (keyset_1(), keyset_2());
    let pin = |set: &KeySet| set.fingerprint().to_string();
    let mut other = two.clone();
    other.previous = Some(Digest([7; 32]));
    let mut foreign = two.clone();
    foreign.origin = "lists.example.net".parse().expect("an origin");
    let mut unordered = one.clone();
    unordered.roots.reverse();
    let mut forged = Note::parse(chain()[1].as_bytes(), 65_536).expect("a note");
    forged.signatures[1].signature[9] ^= 1;
    for (name, text) in [
        ("one-signature", note(&one.to_text(), &["root-a"])),
        ("one-key-twice", note(&one.to_text(), &["root-a", "root-a"])),
        ("with-a-stranger", note(&one.to_text(), &["stranger", "root-a", "root-b"])),
        ("keys-out-of-order", note(&unordered.to_text(), &["root-a", "root-b"])),
        ("2-by-the-old-root-keys-only", note(&two.to_text(), &["root-a", "root-c"])),
        ("2-by-the-new-root-keys-only", note(&two.to_text(), &["root-a", "root-d"])),
        ("2-of-another-predecessor", note(&other.to_text(), &["root-a", "root-b"])),
        ("2-of-another-origin", note(&foreign.to_text(), &["root-a", "root-b"])),
        ("2-with-a-forged-signature", forged.encode()),
    ] {
        v.file(&format!("keysets/{name}.note"), text);
    }
    for (file, pinned, expect) in [
        ("1", pin(&one), "ok"),
        ("2", pin(&two), "ok"),
        ("3", pin(&keyset_3()), "ok"),
        ("with-a-stranger", pin(&one), "ok"),
        ("1", pin(&two), "fingerprint-mismatch"),
        ("one-signature", pin(&one), "too-few-root-signatures"),
        ("one-key-twice", pin(&one), "too-few-root-signatures"),
        ("keys-out-of-order", Digest::of(unordered.to_text()).to_string(), "form"),
    ] {
        v.case("keysets", json!({"file": format!("keysets/{file}.note"), "pinned": pinned, "expect": expect}));
    }
    for (file, after, expect) in [
        ("2", "1", "ok"),
        ("3", "2", "ok"),
        ("3", "1", "key-set-number"),
        ("1", "2", "key-set-number"),
        ("2", "2", "key-set-number"),
        ("2-by-the-old-root-keys-only", "1", "too-few-root-signatures"),
        ("2-by-the-new-root-keys-only", "1", "too-few-root-signatures"),
        ("2-of-another-predecessor", "1", "key-set-previous"),
        ("2-of-another-origin", "1", "wrong-origin"),
        ("2-with-a-forged-signature", "1", "bad-signature"),
    ] {
        let (file, after) = (format!("keysets/{file}.note"), format!("keysets/{after}.note"));
        v.case("keysets", json!({"file": file, "after": after, "expect": expect}));
    }
}

/// Good heads at several moments and after several others.
fn heads(v: &mut Vectors) {
    for number in 1..=4 {
        v.file(&format!("heads/{number}.note"), signed(&head(number)));
    }
    let mut heartbeat = head(3);
    (heartbeat.issued, heartbeat.expires) = (time("2026-11-24T11:30:00Z"), time("2026-11-25T11:30:00Z"));
    v.file("heads/3-heartbeat.note", signed(&heartbeat));
    for (file, accepted, keyset, now, expect) in [
        ("1", None, "3", NOW, "fresh"),
        ("3", Some("2"), "3", NOW, "fresh"),
        ("3", Some("3"), "3", NOW, "fresh"),
        ("4", Some("2"), "3", NOW, "fresh"),
        ("3-heartbeat", Some("3"), "3", NOW, "fresh"),
        ("3", Some("3-heartbeat"), "3", NOW, "superseded"),
        ("2", Some("3"), "3", NOW, "rollback"),
        ("3", None, "2", NOW, "newer-key-set"),
        ("3", None, "3", "2026-11-25T10:59:59Z", "fresh"),
        ("3", None, "3", "2026-11-25T11:00:00Z", "stale"),
        ("3", None, "3", "2027-11-01T00:00:00Z", "key-not-valid"),
        ("3", None, "3", "2026-11-24T10:55:00Z", "fresh"),
        ("3", None, "3", "2026-11-24T10:54:59Z", "issued-in-future"),
    ] {
        let accepted = accepted.map(|name| format!("heads/{name}.note"));
        let number: u64 = file[..1].parse().expect("begins with its serial");
        v.case(
            "heads",
            json!({
                "file": format!("heads/{file}.note"), "list": "adult", "colour": "black", "accepted": accepted,
                "keyset": format!("keysets/{keyset}.note"), "now": now, "expect": expect,
                "version_digest": head(number).version_digest().to_string(),
            }),
        );
    }
}

/// Heads that are wrong in one point each.
fn bent_heads(v: &mut Vectors) {
    let bent = |bend: &dyn Fn(&mut Head)| {
        let mut head = head(3);
        bend(&mut head);
        signed(&head)
    };
    let text = head(3).to_text();
    let good = signed(&head(3));
    let cases: [(&str, String, &str); 19] = [
        ("by-a-stranger", note(&text, &["stranger"]), "unknown-key"),
        ("by-a-stranger-too", note(&text, &["stranger", "signing-2"]), "fresh"),
        ("by-a-root-key", note(&text, &["root-a"]), "unknown-key"),
        ("by-a-key-taken-out", note(&text, &["signing-1"]), "unknown-key"),
        ("by-a-key-of-another-list", note(&text, &["canary-only"]), "key-not-for-list"),
        ("changed-text", good.replace("entries 4", "entries 5"), "bad-signature"),
        ("of-another-list", bent(&|h| h.list = list("games")), "wrong-list"),
        ("of-another-colour", bent(&|h| h.colour = Colour::White), "wrong-colour"),
        ("of-another-origin", bent(&|h| h.origin = "lists.example.net".parse().expect("an origin")), "wrong-origin"),
        ("too-long-a-life", bent(&|h| h.expires = h.issued.plus(32 * 86_400 + 1)), "lifetime"),
        ("longest-life", bent(&|h| h.expires = h.issued.plus(32 * 86_400)), "fresh"),
        ("no-life", bent(&|h| h.expires = h.issued), "lifetime"),
        ("another-version-3", bent(&|h| h.entries = 1_000), "split-view"),
        ("another-version-3-before", bent(&|h| h.previous = Some(Digest([7; 32]))), "split-view"),
        ("k-too-large-for-its-entries", bent(&|h| h.root.bits = 3), "form"),
        ("a-snapshot-from-later", bent(&|h| h.snapshot.serial = serial(4)), "form"),
        ("a-line-too-many", note(&format!("{text}colour black\n"), &["signing-2"]), "form"),
        ("a-number-with-a-zero", note(&text.replace("serial 3", "serial 03"), &["signing-2"]), "form"),
        ("no-signature", text.clone() + "\n", "form"),
    ];
    for (name, text, expect) in cases {
        let file = v.file(&format!("heads/3-{name}.note"), text);
        let accepted = match name {
            "another-version-3" => Some("heads/3.note"),
            "another-version-3-before" => Some("heads/2.note"),
            _ => None,
        };
        v.case(
            "heads",
            json!({
                "file": file, "list": "adult", "colour": "black", "accepted": accepted,
                "keyset": "keysets/3.note", "now": NOW, "expect": expect,
            }),
        );
    }
}

fn entries(v: &mut Vectors) {
    for (line, ok) in [
        ("domain:example.com", true),
        ("subtree:xn--bcher-kva.example\tcat=adult,dating\tref=k3Jx0aZq\tage=18\tact=warn\trsn=court\texp=2027-01-31", true),
        ("url:example.com:8080/a/b?x=1", true),
        ("prefix:[2001:db8::1]/", true),
        ("cidr:192.0.2.0/24", true),
        ("cidr:2001:db8::/32", true),
        ("", false),
        ("domain:Example.com", false),
        ("domain:example.com.", false),
        ("domain:b\u{fc}cher.example", false),
        ("domain:localhost", false),
        ("domain:192.0.2.1", false),
        ("host:example.com", false),
        ("url:example.com", false),
        ("url:example.com:443/", false),
        ("url:example.com/a/../b", false),
        ("url:example.com/%7ea", false),
        ("url:example.com/a#b", false),
        ("cidr:192.0.2.1/24", false),
        ("cidr:192.0.2.0/7", false),
        ("cidr:2001:DB8::/32", false),
        ("cidr:::ffff:192.0.2.0/120", false),
        ("domain:example.com\t", false),
        ("domain:example.com\tcat=", false),
        ("domain:example.com\tcat=dating,adult", false),
        ("domain:example.com\tcat=adult,adult", false),
        ("domain:example.com\tage=18\tcat=adult", false),
        ("domain:example.com\tage=18\tage=18", false),
        ("domain:example.com\tage=018", false),
        ("domain:example.com\tage=22", false),
        ("domain:example.com\tref=short", false),
        ("domain:example.com\texp=2027-02-30", false),
        ("domain:example.com\tnew=1", false),
    ] {
        v.case("entries", json!({"line": line, "expect": if ok { "ok" } else { "refused" }}));
    }
}

fn snapshots(v: &mut Vectors) {
    for number in 1..=4 {
        let (bytes, digest) = snapshot(number, &version(number));
        let (size, entries) = (bytes.len(), version(number).len());
        let root = tree_root(&version(number), 0).digest.to_string();
        let file = v.file(&format!("snapshots/{number}.txt"), bytes);
        let digest = digest.to_string();
        v.case(
            "snapshots",
            json!({"file": file, "expect": "ok", "sha256": digest, "size": size, "entries": entries, "k": 0, "root": root}),
        );
    }
    let good = String::from_utf8(snapshot(3, &version(3)).0).expect("text");
    let body = good.find("\n\n").expect("a header") + 2;
    let mut lines: Vec<&str> = good[body..].lines().collect();
    lines.swap(0, 1);
    for (name, text) in [
        ("out-of-order", format!("{}{}\n", &good[..body], lines.join("\n"))),
        ("too-few", good.replace("entries 4", "entries 5")),
        ("too-many", good.replace("entries 4", "entries 3")),
        ("cr-lf", good.replace('\n', "\r\n")),
        ("no-last-lf", good.trim_end().to_owned()),
        ("trailing-line", good.clone() + "\n"),
        ("rule-twice", good.replace("entries 4", "entries 5").replace("domain:one.example", "domain:one.example\ndomain:one.example")),
        ("of-version-2-of-the-format", good.replace("snapshot v1", "snapshot v2")),
    ] {
        let file = v.file(&format!("snapshots/3-{name}.txt"), text);
        v.case("snapshots", json!({"file": file, "expect": "refused"}));
    }
}

fn deltas(v: &mut Vectors) {
    for (from, to) in [(1, 2), (2, 3), (3, 4), (1, 3), (2, 4), (1, 4)] {
        let file = v.file(&format!("deltas/{from}-{to}.txt"), delta(from, to).encode());
        v.case("deltas", json!({"file": file, "expect": "ok"}));
    }
    let joined = delta(1, 2).then(delta(2, 3)).and_then(|d| d.then(delta(3, 4))).expect("they follow each other");
    let joined_file = v.file("deltas/1-2-3-4-joined.txt", joined.encode());
    let good = String::from_utf8(delta(2, 3).encode()).expect("text");
    for (name, text) in [
        ("out-of-order", good.replace("+cidr:", "+url:x.example/").replace("192.0.2.0/24", "")),
        ("too-few", good.replace("changes 2", "changes 3")),
        ("too-many", good.replace("changes 2", "changes 1")),
        ("backward", good.replace("to 3", "to 2")),
        ("no-sign", good.replace("-domain", "domain")),
        ("removal-with-attributes", good.replace("-domain:two.example", "-domain:two.example\tcat=adult")),
        ("no-canonical-rule", good.replace("two.example", "two.EXAMPLE")),
    ] {
        let file = v.file(&format!("deltas/2-3-{name}.txt"), text);
        v.case("deltas", json!({"file": file, "expect": "refused"}));
    }
    for (from, delta, leads_to) in [
        (1, "deltas/1-2.txt", Some(2)),
        (2, "deltas/2-3.txt", Some(3)),
        (1, "deltas/1-3.txt", Some(3)),
        (1, "deltas/1-4.txt", Some(4)),
        (1, joined_file.as_str(), Some(4)),
        (2, "deltas/1-2.txt", None),
        (4, "deltas/2-3.txt", None),
    ] {
        let case = match leads_to {
            Some(n) => json!({"expect": "ok", "k": 0, "root": tree_root(&version(n), 0).digest.to_string(), "entries": version(n).len()}),
            None => json!({"expect": "refused"}),
        };
        let mut case = case;
        case["snapshot"] = format!("snapshots/{from}.txt").into();
        case["delta"] = delta.into();
        v.case("apply", case);
    }
    for (first, then, joined) in [
        ("deltas/1-2.txt", "deltas/2-3.txt", Some("deltas/1-3.txt")),
        ("deltas/1-3.txt", "deltas/3-4.txt", Some(joined_file.as_str())),
        ("deltas/1-2.txt", "deltas/3-4.txt", None),
        ("deltas/2-3.txt", "deltas/1-2.txt", None),
    ] {
        let expect = if joined.is_some() { "ok" } else { "refused" };
        v.case("compose", json!({"first": first, "then": then, "joined": joined, "expect": expect}));
    }
}

fn roots(v: &mut Vectors) {
    let many: Vec<String> = (0..20).map(|i| format!("domain:host-{i}.example\tage={}", 1 + i)).collect();
    let many = content(&many.iter().map(String::as_str).collect::<Vec<_>>());
    for (name, content, ks) in [
        ("empty", content(&[]), &[0][..]),
        ("one", content(&["domain:example.com"]), &[0]),
        ("four", version(3), &[0, 1, 2]),
        ("twenty", many, &[0, 1, 3]),
    ] {
        let lines: String = content.values().map(|e| format!("{}\n", e.line())).collect();
        let file = v.file(&format!("roots/{name}.lines"), lines);
        for k in ks {
            let mut builder = TreeBuilder::new(*k);
            content.values().for_each(|e| builder.push(e.line()));
            let (tree, root) = builder.finish();
            let buckets: Vec<String> = (0..tree.buckets()).map(|b| tree.leaf(b).to_string()).collect();
            let root = root.digest.to_string();
            v.case("roots", json!({"file": file, "k": k, "entries": content.len(), "buckets": buckets, "root": root}));
        }
    }
}

/// What `vectors.json` holds.
pub fn index(vectors: &Vectors) -> Value {
    let mut index = json!({"about": WHAT});
    for (kind, cases) in &vectors.index {
        index[kind] = Value::Array(cases.clone());
    }
    index
}
