//! The subscriber's commands, keys and backups, through the built program: what is published arrives, what is not
//! genuine is refused with exit code 3, and a restored publisher goes on above what its followers have.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::{Daemon, Place, get, wait_for};

/// A publisher with a published list `t` that holds `a.example`; its address and fingerprint.
fn published(place: &Place) -> (Daemon, String, String) {
    let daemon = place.serve();
    place.run(&["list", "create", "t", "--colour", "black", "--title", "Test"]).with_code(0);
    place.run(&["add", "t", "a.example", "--publish"]).with_code(0);
    let (address, fingerprint) = (daemon.address(), daemon.greeted("fingerprint "));
    (daemon, address, fingerprint)
}

fn holds(place: &Place, file: &str, rule: &str) -> bool {
    fs::read_to_string(place.path(file)).is_ok_and(|text| text.lines().any(|l| l.split('\t').next() == Some(rule)))
}

#[test]
fn a_change_arrives_at_a_running_follower() {
    let place = Place::new();
    let (_publisher, address, fingerprint) = published(&place);
    place.write("seen", "");
    let follower = place.follow(&[&address, "--trust", &fingerprint, "--list", "t=block.txt", "--reload", "touch", "--reload", "reloaded"]);
    wait_for("the list", || holds(&place, "block.txt", "domain:a.example"));
    place.run(&["add", "t", "b.example", "--publish"]).with_code(0);
    wait_for("the change", || holds(&place, "block.txt", "domain:b.example"));
    wait_for("the reload command", || place.path("reloaded").exists());
    wait_for("the status", || place.run(&["status", "--json"]).json()["lists"][0]["serial"] == 2);
    let said = place.run(&["status"]).with_code(0);
    assert!(said.out.contains("fresh") && said.out.contains(&address), "{}", said.out);
    // One writer per folder.
    let said = place.run(&["pull", &address, "--trust", &fingerprint, "--list", "t"]).with_code(1);
    assert!(said.err.contains("running"), "{}", said.err);
    assert!(follower.stop().success());
}

#[test]
fn pull_brings_up_to_date_and_its_exit_code_says_what_happened() {
    let place = Place::new();
    let (publisher, address, fingerprint) = published(&place);
    let pull = ["pull", &address, "--trust", &fingerprint, "--list", "t"];
    assert!(place.run(&pull).with_code(0).out.contains("changed, serial 1"));
    assert!(place.run(&pull).with_code(0).out.contains("current, serial 1"));
    assert!(holds(&place, "bwld-follow/out/t.txt", "domain:a.example"));
    place.run(&["add", "t", "b.example", "--publish"]).with_code(0);
    let report = place.run(&[&pull[..], &["--json"]].concat()).with_code(0).json();
    assert_eq!((report["lists"][0]["changed"].as_bool(), report["lists"][0]["serial"].as_u64()), (Some(true), Some(2)));
    assert!(place.run(&["verify", "folder", "bwld-follow"]).with_code(0).out.contains("t: genuine, serial 2, 2 entries, fresh"));

    let other = format!("sha256:{}", "0".repeat(64));
    let said = place.run(&["pull", &address, "--trust", &other, "--list", "t", "--dir", "f2"]).with_code(3);
    assert!(said.out.contains(&fingerprint) && said.out.contains("pinned"), "{}", said.out);
    assert!(!place.path("f2/out/t.txt").exists());
    place.run(&["pull", &address, "--list", "t", "--dir", "f3"]).with_code(2);
    place.run(&["pull", &address, "--trust", &fingerprint, "--dir", "f3"]).with_code(2);
    place.run(&["pull", "--trust", &fingerprint, "--list", "t", "--dir", "f3"]).with_code(2);
    place.run(&["pull", &address, "--trust-on-first-use", "--list", "t", "--dir", "f3"]).with_code(0);
    place.run(&["pull", &address, "--trust", &fingerprint, "--list", "nosuch", "--dir", "f4"]).with_code(1);

    assert!(publisher.stop().success());
    // Nobody answers, but what is there is within its time: failed, not stale; filters go on.
    place.run(&pull).with_code(1);
    place.run(&["status"]).with_code(0);
    assert!(holds(&place, "bwld-follow/out/t.txt", "domain:b.example"));
}

#[test]
fn without_a_publisher_a_list_goes_stale_and_stays() {
    let place = Place::new();
    // Heads that soon expire, so that the test need not wait long.
    let vars = [("BWLD_SERVE_SHIPPED_LISTS", "false"), ("BWLD_PUBLISHER_HEAD_LIFETIME", "2")];
    let publisher = place.serve_with(&["--listen", "127.0.0.1:0"], &vars);
    let (address, fingerprint) = (publisher.address(), publisher.greeted("fingerprint "));
    place.run(&["list", "create", "t", "--colour", "black", "--title", "Test"]).with_code(0);
    place.run(&["add", "t", "a.example", "--publish"]).with_code(0);
    let pull = ["pull", &address, "--trust", &fingerprint, "--list", "t"];
    place.run(&pull).with_code(0);
    drop(publisher);
    wait_for("the list to go stale", || place.run(&["status"]).code == 4);
    assert!(place.run(&pull).with_code(4).err.contains("stale"));
    place.run(&["verify", "folder", "bwld-follow"]).with_code(4);
    assert!(holds(&place, "bwld-follow/out/t.txt", "domain:a.example"), "what was there stays");
}

#[test]
fn a_followed_folder_that_was_tampered_with_is_found_out() {
    let place = Place::new();
    let (_publisher, address, fingerprint) = published(&place);
    place.run(&["pull", &address, "--trust", &fingerprint, "--list", "t"]).with_code(0);
    let output = place.read("bwld-follow/out/t.txt");
    place.write("bwld-follow/out/t.txt", output.replace("a.example", "z.example"));
    let said = place.run(&["verify", "folder", "bwld-follow"]).with_code(3);
    assert!(said.err.contains("t.txt"), "{}", said.err);
    place.write("bwld-follow/out/t.txt", &output);
    place.run(&["verify", "folder", "bwld-follow"]).with_code(0);
    place.run(&["verify", "folder", "nosuch"]).with_code(2);
}

#[test]
fn heads_snapshots_and_deltas_are_verified_off_line() {
    let place = Place::new();
    let (publisher, address, fingerprint) = published(&place);
    let head_of = |name: &str| place.write(name, get(&address, "/v1/lists/t/head"));
    head_of("1.head");
    place.write("keyset", get(&address, "/v1/keyset"));
    let text = place.read("1.head");
    let digest =
        text.lines().find_map(|l| l.strip_prefix("snapshot 1 sha256:")).and_then(|l| l.split(' ').next()).expect("a snapshot").to_owned();
    place.write("1.snapshot", get(&address, &format!("/v1/lists/t/snapshot/{digest}")));
    place.run(&["add", "t", "b.example", "--publish"]).with_code(0);
    head_of("2.head");
    place.write("1-2.delta", get(&address, "/v1/lists/t/delta/1/2"));
    drop(publisher);

    let trust = ["--keyset", "keyset", "--trust", &fingerprint];
    let verify = |args: &[&str]| place.run(&[&["verify"], args, &trust].concat());
    assert!(verify(&["head", "2.head"]).with_code(0).out.contains("serial 2"));
    assert!(verify(&["snapshot", "1.snapshot", "--head", "1.head"]).with_code(0).out.contains("root is the signed one"));
    assert!(verify(&["snapshot", "1.snapshot", "--head", "2.head"]).with_code(0).out.contains("the head names it"));
    assert!(
        verify(&["delta", "1-2.delta", "--head", "2.head", "--base", "1.snapshot"]).with_code(0).out.contains("signed root of serial 2")
    );
    assert!(verify(&["delta", "1-2.delta", "--head", "2.head"]).with_code(0).out.contains("--base"));
    // Genuine, but past its time.
    verify(&["head", "2.head", "--at", "2035-01-01T00:00:00Z"]);
    assert_eq!(verify(&["head", "2.head", "--at", "2035-01-01T00:00:00Z"]).code, 4);

    place.write("bad.head", place.read("2.head").replace("entries 2", "entries 3"));
    let said = verify(&["head", "bad.head"]).with_code(3);
    assert!(said.err.contains("bad.head"), "{}", said.err);
    place.write("bad.snapshot", place.read("1.snapshot").replace("a.example", "c.example"));
    assert!(verify(&["snapshot", "bad.snapshot", "--head", "1.head"]).with_code(3).err.contains("root"));
    place.write("bad.delta", place.read("1-2.delta").replace("b.example", "c.example"));
    assert!(verify(&["delta", "bad.delta", "--head", "2.head", "--base", "1.snapshot"]).with_code(3).err.contains("root"));
    verify(&["delta", "1-2.delta", "--head", "1.head"]).with_code(3);
    verify(&["head", "2.head", "--list", "other"]).with_code(3);
    place.run(&["verify", "head", "2.head", "--keyset", "keyset", "--trust", &format!("sha256:{}", "0".repeat(64))]).with_code(3);
}

#[test]
fn the_signing_key_is_rotated_and_followers_come_along() {
    let place = Place::new();
    let (publisher, address, fingerprint) = published(&place);
    let pull = |address: &str| place.run(&["pull", address, "--trust", &fingerprint, "--list", "t"]);
    pull(&address).with_code(0);

    place.run(&["keys", "generate", "bwld.localhost/signing-2", "--out", "signing-2.key"]).with_code(0);
    place.run(&["keys", "generate", "x", "--out", "signing-2.key"]).with_code(1);
    place.run(&["keys", "set", "new", "--add-signing", "signing-2.key", "--out", "next.keyset"]).with_code(0);
    let said = place.run(&["keys", "set", "activate", "next.keyset"]).with_code(1);
    assert!(said.err.contains("keys set sign"), "{}", said.err);
    place.write("current.keyset", get(&address, "/v1/keyset"));
    // A key that is no root key can sign as much as it likes.
    place.run(&["keys", "set", "sign", "next.keyset", "--key", "signing-2.key"]).with_code(0);
    place.run(&["keys", "set", "show", "next.keyset", "--previous", "current.keyset"]).with_code(3);
    place.run(&["keys", "set", "activate", "next.keyset"]).with_code(1);
    place.run(&["keys", "set", "sign", "next.keyset", "--key", "bwld-data/keys/root.key"]).with_code(0);
    let said = place.run(&["keys", "set", "show", "next.keyset", "--previous", "current.keyset"]).with_code(0);
    assert!(said.out.contains("signing-2") && said.out.contains("of the set before"), "{}", said.out);
    place.run(&["keys", "set", "activate", "next.keyset"]).with_code(0);
    assert_eq!(place.run(&["keys", "set", "show", "--json"]).with_code(0).json()["keyset"], 2);
    pull(&address).with_code(0);

    // The new key takes over, then the old one leaves.
    assert!(publisher.stop().success());
    fs::rename(place.path("signing-2.key"), place.path("bwld-data/keys/signing.key")).expect("moved");
    let publisher = place.serve();
    let address = publisher.address();
    place.run(&["keys", "set", "new", "--remove-signing", "nosuch", "--out", "after.keyset"]).with_code(2);
    place.run(&["keys", "set", "new", "--remove-signing", "bwld.localhost/signing", "--out", "after.keyset"]).with_code(0);
    place.run(&["keys", "set", "sign", "after.keyset", "--key", "bwld-data/keys/root.key"]).with_code(0);
    place.run(&["keys", "set", "activate", "after.keyset"]).with_code(0);
    place.run(&["add", "t", "b.example", "--publish"]).with_code(0);
    assert!(pull(&address).with_code(0).out.contains("serial 2"));
    let said = place.run(&["verify", "folder", "bwld-follow"]).with_code(0);
    assert!(said.out.contains("key set 3") && said.out.contains(&fingerprint), "{}", said.out);
    // Who pins the first key set only now comes along the whole chain.
    place.run(&["pull", &address, "--trust", &fingerprint, "--list", "t", "--dir", "f2"]).with_code(0);
}

#[test]
fn the_root_key_never_needs_to_be_on_the_publishers_machine() {
    let place = Place::new();
    place.run(&["keys", "generate", "lists.example/root", "--out", "root.key"]).with_code(0);
    fs::create_dir_all(place.path("bwld-data/keys")).expect("a folder");
    place.run(&["keys", "generate", "lists.example/signing", "--out", "bwld-data/keys/signing.key"]).with_code(0);
    let said = place.run(&["keys", "show", "bwld-data/keys/signing.key", "--json"]).with_code(0).json();
    let public = format!("{}={}", said["name"].as_str().expect("a name"), said["public"].as_str().expect("a key"));
    let draft = ["keys", "set", "new", "--first", "--origin", "lists.example", "--add-root", "root.key", "--add-signing", &public];
    place.run(&[&draft[..], &["--out", "first.keyset"]].concat()).with_code(0);
    place.run(&["keys", "set", "sign", "first.keyset", "--key", "root.key"]).with_code(0);
    fs::rename(place.path("first.keyset"), place.path("bwld-data/keys/first.keyset")).expect("moved");
    let fingerprint = place.run(&["keys", "fingerprint", "bwld-data/keys/first.keyset"]).with_code(0).out;
    let none = [("BWLD_SERVE_SHIPPED_LISTS", "false")];
    let publisher = place.serve_with(&["--listen", "127.0.0.1:0", "--origin", "lists.example"], &none);
    assert_eq!(publisher.greeted("fingerprint "), fingerprint.trim());
    assert!(!place.path("bwld-data/keys/root.key").exists());
    place.run(&["list", "create", "t", "--colour", "white", "--title", "Test"]).with_code(0);
    place.run(&["add", "t", "a.example", "--publish"]).with_code(0);
    place.run(&["pull", &publisher.address(), "--trust", fingerprint.trim(), "--list", "t"]).with_code(0);
}

#[test]
fn a_backup_restores_to_a_publisher_that_goes_on_above_its_followers() {
    let place = Place::new();
    let (publisher, address, fingerprint) = published(&place);
    let said = place.run(&["backup", "backup"]).with_code(0);
    let manifest = said.out.split_whitespace().last().expect("a digest").to_owned();
    place.run(&["backup", "backup"]).with_code(1);
    // Published after the backup, and followed.
    place.run(&["add", "t", "late.example", "--publish"]).with_code(0);
    place.run(&["pull", &address, "--trust", &fingerprint, "--list", "t"]).with_code(0);
    let said = place.run(&["check"]).with_code(0);
    assert!(said.out.contains("ok "), "asked from the daemon");
    assert!(said.out.contains("1 key set, each"), "{}", said.out);
    assert!(said.out.contains("heads of 1 list, each"), "{}", said.out);
    assert!(publisher.stop().success());
    place.run(&["check"]).with_code(0);
    let key = fs::read(place.path("bwld-data/keys/signing.key")).expect("the key");

    place.run(&["restore", "backup"]).with_code(1);
    place.run(&["restore", "backup", "--data", "wrong", "--manifest", &format!("sha256:{}", "0".repeat(64))]).with_code(3);
    let said = place.run(&["restore", "backup", "--data", "new", "--manifest", &manifest, "--follower", "bwld-follow"]).with_code(0);
    assert!(said.out.contains("t: goes on with serial 4") && said.out.contains("keys"), "{}", said.out);
    place.run(&["check", "--data", "new"]).with_code(0);
    let said = place.run(&["serve", "--data", "new", "--listen", "127.0.0.1:0"]).with_code(1);
    assert!(said.err.contains("signing.key is missing"), "{}", said.err);
    place.write("new/keys/signing.key", key);
    fs::set_permissions(place.path("new/keys/signing.key"), fs::Permissions::from_mode(0o600)).expect("mode");
    let publisher = place.serve_with(&["--data", "new", "--listen", "127.0.0.1:0"], &[("BWLD_SERVE_SHIPPED_LISTS", "false")]);
    place.run(&["add", "t", "again.example", "--publish", "--data", "new"]).with_code(0);
    let said = place.run(&["pull", &publisher.address(), "--trust", &fingerprint, "--list", "t"]).with_code(0);
    assert!(said.out.contains("changed, serial 4"), "{}", said.out);
    assert!(holds(&place, "bwld-follow/out/t.txt", "domain:again.example"));
    assert!(!holds(&place, "bwld-follow/out/t.txt", "domain:late.example"));
}

#[test]
fn a_damaged_store_is_found_out() {
    let place = Place::new();
    let (publisher, ..) = published(&place);
    assert!(publisher.stop().success());
    let shards = fs::read_dir(place.path("bwld-data/artefacts")).expect("artefacts").flatten().filter(|e| e.path().is_dir());
    let files = shards.flat_map(|e| fs::read_dir(e.path()).expect("a shard").flatten().map(|e| e.path()));
    let snapshot = files.into_iter().find(|p| p.to_string_lossy().contains(".snapshot")).expect("a snapshot");
    fs::set_permissions(&snapshot, fs::Permissions::from_mode(0o600)).expect("mode");
    let mut bytes = fs::read(&snapshot).expect("read");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&snapshot, bytes).expect("written");
    let said = place.run(&["check"]).with_code(3);
    assert!(said.out.contains("PROBLEM"), "{}", said.out);
}
