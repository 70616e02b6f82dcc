//! The test vectors of `tests/data/protocol/` (docs/PROTOCOL.md section 13): compared with what `vectors.rs` makes, and read
//! back as a second implementation would read them, from `vectors.json` alone.
//!
//! `BWLD_BLESS=1 cargo test --test it protocol` writes them anew.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Once,
};

use bwld::{
    list::{Colour, Digest, Entry, Timestamp},
    trust::{Accepted, Freshness, Trusted},
    wire::{Delta, Head, Note, SnapshotReader, Tree, bits_for},
};
use serde_json::Value;

use crate::{
    signed::{applied, content, list, tree_root},
    vectors::{index, made},
};

/// Where they lie. Whoever asks first writes them, if that was asked for.
fn folder() -> PathBuf {
    static BLESSED: Once = Once::new();
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/protocol");
    BLESSED.call_once(|| {
        if std::env::var_os("BWLD_BLESS").is_some() {
            bless(&folder);
        }
    });
    folder
}

fn bless(folder: &Path) {
    let vectors = made();
    for (name, bytes) in &vectors.files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("below the folder")).expect("a folder that can be made");
        fs::write(path, bytes).expect("a file that can be written");
    }
    let text = serde_json::to_string_pretty(&index(&vectors)).expect("plain JSON") + "\n";
    fs::write(folder.join("vectors.json"), text).expect("a file that can be written");
}

#[test]
fn the_vectors_are_as_they_were() {
    let vectors = made();
    let index = index(&vectors);
    for (name, bytes) in &vectors.files {
        assert!(fs::read(folder().join(name)).is_ok_and(|kept| kept == *bytes), "{name} differs; run with BWLD_BLESS=1 if that is meant");
    }
    assert_eq!(kept_index(), index, "vectors.json differs; run with BWLD_BLESS=1 if that is meant");
}

fn kept_index() -> Value {
    serde_json::from_slice(&fs::read(folder().join("vectors.json")).expect("the index")).expect("JSON")
}

fn kept(name: &Value) -> Vec<u8> {
    let name = name.as_str().expect("a file name");
    fs::read(folder().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn pinned(file: &Value) -> Trusted {
    let bytes = kept(file);
    let text = Note::parse(&bytes, 65_536).expect("a note").text;
    Trusted::pin(&bytes, &Digest::of(text)).expect("a good key set")
}

fn cases(kind: &str) -> Vec<Value> {
    let cases = kept_index()[kind].as_array().expect("a list of cases").clone();
    assert!(!cases.is_empty());
    cases
}

fn found(found: impl AsRef<str>, case: &Value) {
    assert_eq!(found.as_ref(), case["expect"].as_str().expect("a word"), "{case}");
}

fn ok(good: bool) -> &'static str {
    if good { "ok" } else { "refused" }
}

#[test]
fn key_sets_give_what_the_index_says() {
    for case in cases("keysets") {
        let note = kept(&case["file"]);
        let outcome = match case["pinned"].as_str() {
            Some(pin) => Trusted::pin(&note, &pin.parse().expect("a digest")),
            None => pinned(&case["after"]).advance(&note),
        };
        found(outcome.as_ref().map_or_else(|e| e.code(), |_| "ok"), &case);
    }
}

#[test]
fn heads_give_what_the_index_says() {
    for case in cases("heads") {
        let note = kept(&case["file"]);
        let accepted = (!case["accepted"].is_null()).then(|| {
            let text = Note::parse(&kept(&case["accepted"]), 4_096).expect("a note").text;
            Accepted { head: Head::parse(&text).expect("a head") }
        });
        let word = |name: &str| case[name].as_str().expect("a word").to_owned();
        let colour: Colour = word("colour").parse().expect("a colour");
        let now: Timestamp = word("now").parse().expect("a time");
        let outcome = pinned(&case["keyset"]).verify_head(&note, &list(&word("list")), Some(colour), accepted.as_ref(), now);
        let outcome =
            outcome.as_ref().map_or_else(|e| e.code(), |verified| if verified.freshness() == Freshness::Fresh { "fresh" } else { "stale" });
        found(outcome, &case);
        if let Some(digest) = case["version_digest"].as_str() {
            let head = Head::parse(&Note::parse(&note, 4_096).expect("a note").text).expect("a head");
            assert_eq!(head.version_digest().to_string(), digest);
        }
    }
}

#[test]
fn entries_give_what_the_index_says() {
    for case in cases("entries") {
        found(ok(case["line"].as_str().expect("a line").parse::<Entry>().is_ok()), &case);
    }
}

/// The entries of a snapshot, if it can be read.
fn read(bytes: &[u8]) -> Option<(Vec<String>, Digest, u64)> {
    let mut reader = SnapshotReader::new(bytes, 1 << 20).ok()?.canonical();
    let mut lines = Vec::new();
    while let Some(line) = reader.next_line().ok()? {
        lines.push(line.to_owned());
    }
    let (digest, size) = reader.digest();
    Some((lines, digest, size))
}

fn root_is(lines: &[String], case: &Value) {
    let k = case["k"].as_u64().and_then(|k| u8::try_from(k).ok()).expect("a small number");
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert_eq!(tree_root(&content(&lines), k).digest.to_string(), case["root"], "{case}");
    assert_eq!(lines.len() as u64, case["entries"], "{case}");
}

#[test]
fn snapshots_give_what_the_index_says() {
    for case in cases("snapshots") {
        let read = read(&kept(&case["file"]));
        found(ok(read.is_some()), &case);
        if let Some((lines, digest, size)) = read {
            assert_eq!((digest.to_string(), size), (case["sha256"].as_str().unwrap_or("").to_owned(), case["size"].as_u64().unwrap_or(0)));
            root_is(&lines, &case);
        }
    }
}

#[test]
fn deltas_give_what_the_index_says() {
    for case in cases("deltas") {
        found(ok(Delta::parse(&kept(&case["file"])).is_ok()), &case);
    }
    for case in cases("apply") {
        let (lines, ..) = read(&kept(&case["snapshot"])).expect("a good snapshot");
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let delta = Delta::parse(&kept(&case["delta"])).expect("a good delta");
        let reached = applied(&content(&lines), &delta.changes);
        found(ok(reached.is_some()), &case);
        if let Some(reached) = reached {
            root_is(&reached.values().map(|e| e.line().to_owned()).collect::<Vec<_>>(), &case);
        }
    }
    for case in cases("compose") {
        let read = |name: &str| Delta::parse(&kept(&case[name])).expect("a good delta");
        let joined = read("first").then(read("then"));
        found(ok(joined.is_ok()), &case);
        if let Ok(joined) = joined {
            assert_eq!(joined.encode(), kept(&case["joined"]), "{case}");
        }
    }
}

#[test]
fn roots_are_what_the_index_says() {
    for case in cases("roots") {
        let text = String::from_utf8(kept(&case["file"])).expect("text");
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        root_is(&lines, &case);
        let buckets = case["buckets"].as_array().expect("bucket digests");
        let leaves: Vec<Digest> = buckets.iter().map(|d| d.as_str().expect("text").parse().expect("a digest")).collect();
        let tree = Tree::new(&leaves).expect("a power of two");
        assert_eq!(tree.root(lines.len() as u64).digest.to_string(), case["root"]);
    }
}

#[test]
fn the_publisher_s_choice_of_k_is_allowed_by_the_protocol() {
    for entries in [0, 1, 4, 127, 128, 129, 1_000, 218_844, 5_000_000, 1 << 40] {
        let k = bits_for(entries);
        assert!(k <= 20 && (k == 0 || 1 << k <= entries), "{entries}");
    }
}
