//! A small publisher without a disk: fixed keys, a chain of three key sets, versions of one list, heads to sign and to bend.
//!
//! Everything is made from constants, so that the test vectors come out the same on every machine.

use std::collections::BTreeMap;

use bwld::{
    list::{Change, ChangeSet, Colour, Digest, Entry, ListId, Origin, Serial, Timestamp},
    trust::{SecretKey, Trusted},
    wire::{
        Delta, DeltaHeader, Head, KeySet, ListSelection, Note, Root, RootKey, SigningKeyLine, SnapshotHeader, SnapshotRef, SnapshotWriter,
        TreeBuilder, bits_for,
    },
};

/// The moment at which the tests look at things.
pub fn now() -> Timestamp {
    time("2026-11-24T12:00:00Z")
}

pub fn time(text: &str) -> Timestamp {
    text.parse().expect("a time in the protocol's form")
}

pub fn origin() -> Origin {
    "lists.example.org".parse().expect("an origin")
}

pub fn list(name: &str) -> ListId {
    name.parse().expect("a list name")
}

pub fn serial(number: u64) -> Serial {
    Serial::new(number).expect("from 1")
}

/// Names and seeds of every key; the seed is 32 times this octet. For tests only.
pub const KEYS: [(&str, u8); 8] = [
    ("root-a", 1),
    ("root-b", 2),
    ("root-c", 3),
    ("root-d", 4),
    ("signing-1", 11),
    ("signing-2", 12),
    ("canary-only", 13),
    ("stranger", 99),
];

pub fn key(name: &str) -> SecretKey {
    let (name, octet) = KEYS.iter().find(|(n, _)| *n == name).expect("a key of the table");
    SecretKey::from_seed(name, &[*octet; 32]).expect("a valid name")
}

/// Signed by each of `keys`, in that order.
pub fn note(text: &str, keys: &[&str]) -> String {
    Note { text: text.to_owned(), signatures: keys.iter().map(|name| key(name).sign(text)).collect() }.encode()
}

fn signing(name: &str, from: &str, until: &str, lists: ListSelection) -> SigningKeyLine {
    SigningKeyLine { name: name.to_owned(), key: key(name).public(), from: time(from), until: time(until), lists }
}

fn roots(names: &[&str]) -> Vec<RootKey> {
    names.iter().map(|name| RootKey { name: (*name).to_owned(), key: key(name).public() }).collect()
}

/// Key set 1: two of three root keys; one signing key for everything.
pub fn keyset_1() -> KeySet {
    KeySet {
        origin: origin(),
        number: 1,
        previous: None,
        threshold: 2,
        roots: roots(&["root-a", "root-b", "root-c"]),
        signing: vec![signing("signing-1", "2026-11-01T00:00:00Z", "2027-11-01T00:00:00Z", ListSelection::All)],
        issued: time("2026-11-01T00:00:00Z"),
    }
}

/// Key set 2: root-c is lost and replaced by root-d.
pub fn keyset_2() -> KeySet {
    KeySet {
        number: 2,
        previous: Some(keyset_1().fingerprint()),
        roots: roots(&["root-a", "root-b", "root-d"]),
        issued: time("2026-11-10T00:00:00Z"),
        ..keyset_1()
    }
}

/// Key set 3: signing-1 was stolen and is out; signing-2 takes over; a third key may sign the canary list only.
pub fn keyset_3() -> KeySet {
    KeySet {
        number: 3,
        previous: Some(keyset_2().fingerprint()),
        signing: vec![
            signing("canary-only", "2026-11-20T00:00:00Z", "2027-11-01T00:00:00Z", ListSelection::Some(vec![list("canary")])),
            signing("signing-2", "2026-11-20T00:00:00Z", "2027-11-01T00:00:00Z", ListSelection::All),
        ],
        issued: time("2026-11-20T00:00:00Z"),
        ..keyset_2()
    }
}

/// The notes of the chain, as a publisher would serve them.
pub fn chain() -> [String; 3] {
    [
        note(&keyset_1().to_text(), &["root-a", "root-b"]),
        note(&keyset_2().to_text(), &["root-a", "root-b"]),
        note(&keyset_3().to_text(), &["root-a", "root-d", "root-b"]),
    ]
}

/// A subscriber who pinned key set 1 and has gone on to `number`.
pub fn trusted(number: usize) -> Trusted {
    let chain = chain();
    let mut trusted = Trusted::pin(chain[0].as_bytes(), &keyset_1().fingerprint()).expect("key set 1 is good");
    for note in &chain[1..number] {
        trusted = trusted.advance(note.as_bytes()).expect("the chain is good");
    }
    trusted
}

/// Content of a version: entries by rule.
pub type Content = BTreeMap<String, Entry>;

pub fn content(lines: &[&str]) -> Content {
    lines.iter().map(|line| line.parse::<Entry>().expect("canonical")).map(|e| (e.rule_str().to_owned(), e)).collect()
}

/// Content of version `number` (1 to 4) of list *adult*.
pub fn version(number: u64) -> Content {
    let mut lines = vec!["domain:one.example\tcat=adult", "domain:two.example\tcat=adult", "subtree:three.example\tcat=adult\tage=18"];
    if number >= 2 {
        lines.push("prefix:four.example/a/\tcat=adult\tref=k3Jx0aZq");
        lines[0] = "domain:one.example\tcat=adult,dating";
    }
    if number >= 3 {
        lines.remove(1);
        lines.push("cidr:192.0.2.0/24\tcat=adult\tact=log\texp=2027-01-31");
    }
    if number >= 4 {
        lines.push("domain:two.example\tcat=dating");
        lines.push("url:five.example:8080/x?y=1\tcat=adult\trsn=court");
    }
    content(&lines)
}

pub fn tree_root(content: &Content, bits: u8) -> Root {
    let mut builder = TreeBuilder::new(bits);
    content.values().for_each(|entry| builder.push(entry.line()));
    builder.finish().1
}

pub fn snapshot(number: u64, content: &Content) -> (Vec<u8>, Digest) {
    let header = SnapshotHeader {
        origin: origin(),
        list: list("adult"),
        colour: Colour::Black,
        serial: serial(number),
        entries: content.len() as u64,
    };
    let mut writer = SnapshotWriter::new(Vec::new(), &header).expect("written to memory");
    for entry in content.values() {
        writer.push(entry.line()).expect("in order");
    }
    let (bytes, digest, _) = writer.finish().expect("all entries came");
    (bytes, digest)
}

/// What leads from `a` to `b`.
pub fn difference(a: &Content, b: &Content) -> ChangeSet {
    let mut changes = ChangeSet::default();
    for (rule, entry) in b {
        let change = match a.get(rule) {
            None => Change::Add(entry.clone()),
            Some(before) if before != entry => Change::Replace(entry.clone()),
            Some(_) => continue,
        };
        changes.push(change).expect("one change a rule");
    }
    for (_, entry) in a.iter().filter(|(rule, _)| !b.contains_key(*rule)) {
        changes.push(Change::Remove(entry.rule())).expect("one change a rule");
    }
    changes
}

/// Strict application, as section 7 demands it: `None` if the delta does not belong to this content.
pub fn applied(content: &Content, changes: &ChangeSet) -> Option<Content> {
    let mut content = content.clone();
    for change in changes.iter() {
        let there = content.contains_key(change.rule_str());
        match change {
            Change::Add(e) if !there => content.insert(e.rule_str().to_owned(), e.clone()),
            Change::Replace(e) if there => content.insert(e.rule_str().to_owned(), e.clone()),
            Change::Remove(r) if there => content.remove(r.as_str()),
            _ => return None,
        };
    }
    Some(content)
}

pub fn delta(from: u64, to: u64) -> Delta {
    let header = DeltaHeader { origin: origin(), list: list("adult"), colour: Colour::Black, from: serial(from), to: serial(to) };
    Delta { header, changes: difference(&version(from), &version(to)) }
}

/// The head of version `number` of list *adult*: issued an hour before [`now`], for 24 hours, under key set 3.
pub fn head(number: u64) -> Head {
    let content = version(number);
    let (bytes, digest) = snapshot(1, &version(1));
    let bits = bits_for(content.len() as u64);
    Head {
        origin: origin(),
        list: list("adult"),
        colour: Colour::Black,
        serial: serial(number),
        previous: (number > 1).then(|| head(number - 1).version_digest()),
        root: tree_root(&content, bits),
        entries: content.len() as u64,
        snapshot: SnapshotRef { serial: serial(1), digest, size: bytes.len() as u64 },
        audit: None,
        keyset: 3,
        issued: time("2026-11-24T11:00:00Z"),
        expires: time("2026-11-25T11:00:00Z"),
    }
}

/// Signed as the publisher does.
pub fn signed(head: &Head) -> String {
    note(&head.to_text(), &["signing-2"])
}
