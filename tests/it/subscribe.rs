//! The subscriber's commands and the publisher's way back, as people meet them: follow, pull, status, verify, key rotation,
//! backup and restore, with the built program.

use std::fs;

use crate::support::{Daemon, Place, get, wait_for};

fn serve(place: &Place, vars: &[(&str, &str)]) -> Daemon {
    place.serve_with(&["--listen", "127.0.0.1:0"], &[&[("BWLD_SERVE_SHIPPED_LISTS", "false")], vars].concat())
}

/// A publisher with list `t` that holds `a.example`, its address and fingerprint.
fn publisher(place: &Place, vars: &[(&str, &str)]) -> (Daemon, String, String) {
    let daemon = serve(place, vars);
    place.run(&["list", "create", "t", "--colour", "black", "--title", "Test"]).with_code(0);
    place.run(&["add", "t", "a.example", "--publish"]).with_code(0);
    let (address, fingerprint) = (daemon.address(), daemon.greeted("fingerprint "));
    (daemon, address, fingerprint)
}

#[test]
fn a_change_arrives_while_it_is_followed_and_the_folder_can_be_verified() {
    let place = Place::new();
    let (_publisher, address, fingerprint) = publisher(&place, &[]);
    let ran = place.path("reloaded");
    let reload = ["--reload", "touch", "--reload", ran.to_str().expect("text")];
    let follower = place.follow(&[&[address.as_str(), "--trust", &fingerprint, "--list", "t"][..], &reload].concat());
    let holds = |text: &str| fs::read_to_string(place.path("bwld-follow/out/t.txt")).is_ok_and(|t| t.contains(text));
    wait_for("the first version", || holds("domain:a.example"));
    place.run(&["add", "t", "subtree:b.example", "--publish"]).with_code(0);
    wait_for("the change", || holds("subtree:b.example"));
    wait_for("the reload", || ran.exists());
    let status = || place.run(&["status", "--json"]);
    wait_for("the status", || status().json()["lists"][0]["serial"] == 2);
    let said = status().with_code(0).json();
    assert_eq!((said["lists"][0]["health"].as_str(), said["lists"][0]["mode"].as_str()), (Some("fresh"), Some("push")), "{said}");
    assert!(place.run(&["verify", "folder", "bwld-follow"]).code != 0, "a follower is at work there");
    assert!(follower.stop().success());

    place.run(&["verify", "folder", "bwld-follow"]).with_code(0);
    let path = place.path("bwld-follow/out/t.txt");
    let text = fs::read_to_string(&path).expect("an output");
    fs::write(&path, text.replace("subtree:b.example", "subtree:c.example")).expect("writable");
    let said = place.run(&["verify", "folder", "bwld-follow"]).with_code(3);
    assert!(said.err.contains("t.txt") || said.err.contains("output"), "{}", said.err);
}

#[test]
fn pull_says_by_its_exit_code_how_it_went() {
    let place = Place::new();
    // Heads that soon expire, so that the test need not wait long.
    let (publisher, address, fingerprint) = publisher(&place, &[("BWLD_PUBLISHER_HEAD_LIFETIME", "2")]);
    let pull = |trust: &str, dir: &str| place.run(&["pull", &address, "--trust", trust, "--list", "t", "--dir", dir]);
    let said = pull(&fingerprint, "f").with_code(0);
    assert!(said.out.contains("t: changed, serial 1"), "{}", said.out);
    assert!(pull(&fingerprint, "f").with_code(0).out.contains("t: current"));
    let other = format!("sha256:{}", "0".repeat(64));
    let said = pull(&other, "g").with_code(3);
    assert!(said.out.contains("fingerprint") && !place.path("g/out/t.txt").exists(), "{}", said.out);
    let said = place.run(&["pull", &address, "--trust", &fingerprint, "--list", "nosuch", "--dir", "h"]).with_code(1);
    assert!(said.out.contains("nosuch"), "{}", said.out);
    place.run(&["pull", &address, "--list", "t"]).with_code(2);
    place.run(&["pull", "--trust", &fingerprint, "--list", "t"]).with_code(2);
    // A head that was kept is verified without any daemon, now and as of a later day.
    fs::write(place.path("t.head"), get(&address, "/v1/lists/t/head")).expect("writable");
    fs::write(place.path("keyset-1"), get(&address, "/v1/keyset/1")).expect("writable");
    let verify =
        |extra: &[&str]| place.run(&[&["verify", "head", "t.head", "--keyset", "keyset-1", "--trust", &fingerprint], extra].concat());
    verify(&["--at", "2027-11-24T00:00:00Z"]).with_code(4);
    let head = fs::read_to_string(place.path("t.head")).expect("a head");
    fs::write(place.path("t.head"), head.replace("entries 1", "entries 2")).expect("writable");
    let said = verify(&[]).with_code(3);
    assert!(said.err.contains("t.head"), "{}", said.err);

    drop(publisher);
    wait_for("the list to go stale", || place.run(&["status", "--dir", "f"]).code == 4);
    pull(&fingerprint, "f").with_code(4);
    assert!(place.read("f/out/t.txt").contains("domain:a.example"), "what was there stays");
}

#[test]
fn a_signing_key_is_replaced_and_followers_go_along() {
    let place = Place::new();
    let (publisher, address, fingerprint) = publisher(&place, &[]);
    let pull = |address: &str| place.run(&["pull", address, "--trust", &fingerprint, "--list", "t"]);
    pull(&address).with_code(0);
    place.run(&["keys", "generate", "bwld.localhost/signing-2", "--out", "signing-2.key"]).with_code(0);
    place.run(&["keys", "set", "new", "--add-signing", "signing-2.key", "--out", "keyset-2"]).with_code(0);
    let said = place.run(&["keys", "set", "activate", "keyset-2"]).with_code(1);
    assert!(said.err.contains("sign"), "no root key has signed: {}", said.err);
    place.run(&["keys", "set", "sign", "keyset-2", "--key", "bwld-data/keys/root.key"]).with_code(0);
    place.run(&["keys", "set", "activate", "keyset-2"]).with_code(0);
    assert!(publisher.stop().success());
    fs::rename(place.path("signing-2.key"), place.path("bwld-data/keys/signing.key")).expect("same disk");
    let publisher = serve(&place, &[]);
    place.run(&["add", "t", "b.example", "--publish"]).with_code(0);
    let said = pull(&publisher.address()).with_code(0);
    assert!(said.out.contains("t: changed, serial 2"), "{}", said.out);
}

#[test]
fn a_backup_comes_back_and_serials_go_on_above_the_highest() {
    let place = Place::new();
    let (publisher, address, fingerprint) = publisher(&place, &[]);
    let said = place.run(&["backup", "saved", "--json"]).with_code(0).json();
    let manifest = said["manifest"].as_str().expect("a digest").to_owned();
    // Published after the backup, and seen by a follower.
    place.run(&["add", "t", "b.example", "--publish"]).with_code(0);
    let pull = |address: &str| place.run(&["pull", address, "--trust", &fingerprint, "--list", "t"]);
    pull(&address).with_code(0);
    place.run(&["check"]).with_code(0);
    assert!(publisher.stop().success());
    place.run(&["check"]).with_code(0);

    let other = format!("sha256:{}", "0".repeat(64));
    place.run(&["restore", "saved", "--data", "wrong", "--manifest", &other]).with_code(3);
    assert!(!place.path("wrong/journal").exists(), "nothing was written");
    fs::rename(place.path("bwld-data"), place.path("lost")).expect("same disk");
    let said = place.run(&["restore", "saved", "--highest", "t=2", "--manifest", &manifest]).with_code(0);
    // Serial 3 is left out: it would have to name a version 2 that the backup does not know.
    assert!(said.out.contains("t: goes on with serial 4"), "{}", said.out);
    fs::create_dir_all(place.path("bwld-data/keys")).expect("writable");
    for key in ["root.key", "signing.key"] {
        fs::copy(place.path("lost/keys").join(key), place.path("bwld-data/keys").join(key)).expect("kept elsewhere");
    }
    let publisher = serve(&place, &[]);
    place.run(&["add", "t", "c.example", "--publish"]).with_code(0);
    let said = pull(&publisher.address()).with_code(0);
    assert!(said.out.contains("serial 4"), "{}", said.out);
    let text = place.read("bwld-follow/out/t.txt");
    assert!(text.contains("domain:c.example") && !text.contains("domain:b.example"), "the backup's content goes on: {text}");
}
