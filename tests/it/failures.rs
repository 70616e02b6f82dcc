//! What went wrong with the systems in use, tried on this one: each test is named after a failure and drives the built program.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::Value;

use crate::support::{Daemon, Place, get, wait_for};

/// PUT as the operator.
fn put(daemon: &Daemon, place: &Place, path: &str, body: &str) -> String {
    let address = daemon.address();
    let host = address.strip_prefix("http://").expect("an http address");
    let token = place.read("bwld-data/operator.token");
    let mut stream = TcpStream::connect(host).expect("a listening daemon");
    let (token, length) = (token.trim(), body.len());
    write!(
        stream,
        "PUT {path} HTTP/1.0\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nIf-Match: *\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

fn create(place: &Place) {
    place.run(&["list", "create", "t", "--colour", "black", "--title", "Test"]).with_code(0);
}

/// Denmark, 2012: thousands of legitimate names went out because a file lay in the wrong folder.
#[test]
fn failure_1_a_bad_publish() {
    let place = Place::new();
    let _daemon = place.serve();
    create(&place);
    place.run(&["add", "t", "bad.example", "worse.example", "--publish"]).with_code(0);
    let before = place.run(&["export", "t"]).out;
    place.run(&["freeze", "t", "--approvals", "1"]).with_code(0);

    let wrong: String = (0..8_000).map(|n| format!("shop-{n}.example\n")).collect();
    place.write("wrong.txt", &wrong);
    place.run(&["import", "wrong.txt", "--list", "t", "--format", "domains"]).with_code(0);
    let preview = place.run(&["preview", "t", "shop-1.example", "--json"]).with_code(0).json();
    assert_eq!(preview["changes"]["added"], 8_000);
    assert_eq!(
        (&preview["effects"][0]["before"], &preview["effects"][0]["after"]),
        (&"none".into(), &"block: t domain:shop-1.example".into())
    );
    let refused = place.run(&["publish", "t"]).with_code(1);
    assert!(refused.err.contains("guard:max-added") && refused.err.contains("guard:approvals"), "{}", refused.err);
    // Whoever staged it cannot be the one who approves it, whatever else is forced.
    let digest = preview["review"]["digest"].as_str().expect("a digest").to_owned();
    let own = place.run(&["approve", "t", "--staged", &digest]).with_code(1);
    assert!(own.err.contains("who staged a change cannot approve it"), "{}", own.err);
    let refused = place.run(&["publish", "t", "--force", "max-added"]).with_code(1);
    assert!(refused.err.contains("guard:approvals"), "{}", refused.err);
    assert_eq!(place.run(&["export", "t"]).out, before);

    // In an emergency an owner may; that is marked, and waits for somebody else to look at it.
    let published = place.run(&["publish", "t", "--force", "max-added", "--force", "approvals", "--json"]).with_code(0).json();
    assert_eq!(published["version"]["forced"], serde_json::json!(["max-added", "approvals"]));
    let queue = place.run(&["queue", "--json"]).with_code(0).json();
    assert_eq!((&queue["unreviewed"][0]["serial"], &queue["unreviewed"][0]["by"]), (&2.into(), &"operator".into()));
    // One call takes all of it back.
    let undo = ["undo", "t", "2", "--reason", "the wrong file", "--force", "approvals", "--force", "max-removed"];
    place.run(&undo).with_code(0);
    assert_eq!(place.run(&["export", "t"]).out, before);
    place.run(&["freeze", "t", "--reason", "we look into it"]).with_code(0);
    place.run(&["add", "t", "more.example"]).with_code(0);
    let frozen = place.run(&["publish", "t", "--force", "approvals"]).with_code(1);
    assert!(frozen.err.contains("guard:frozen"), "{}", frozen.err);
}

/// A blank line once blocked everything; a bare public suffix or half the address space does the same.
#[test]
fn failure_2_a_blank_or_over_wide_line() {
    let place = Place::new();
    let _daemon = place.serve();
    create(&place);
    place.run(&["add", "t", "bad.example", "--publish"]).with_code(0);
    let before = place.run(&["export", "t"]).out;
    for rule in ["", ".", "*", "com", "co.uk", "subtree:co.uk", "cidr:0.0.0.0/0", "cidr:10.0.0.0/8", "cidr:2001:db8::/31"] {
        let refused = place.run(&["add", "t", rule]);
        assert_eq!(refused.code, 1, "{rule:?}: {refused:?}");
        let refused = place.run(&["propose", "t", rule]);
        assert!(refused.code == 1 && (rule.is_empty() || refused.err.contains("words.rule")), "{rule:?}: {refused:?}");
    }
    place.write("lines.txt", "domain:fine.example\n\nsubtree:co.uk\ncidr:10.0.0.0/8\ndomain:com\n");
    let import = place.run(&["import", "lines.txt", "--list", "t", "--format", "bwld", "--strict"]);
    assert_ne!(import.code, 0, "{import:?}");
    let said = format!("{}{}", import.out, import.err);
    assert!(said.contains('3') && said.contains('5') && said.contains("co.uk"), "the lines are named: {said}");
    // A range that was narrow enough when it was proposed meets what the list demands by then.
    place.run(&["propose", "t", "cidr:10.1.0.0/16"]).with_code(0);
    place.run(&["policy", "set", "t", "--widest-v4", "24"]).with_code(0);
    let publish = place.run(&["publish", "t", "--cases"]);
    assert!(publish.code == 1 && publish.err.contains("guard:too-wide"), "{publish:?}");
    assert_eq!(place.run(&["export", "t"]).out, before);
}

/// Of 167 listed names 158 were gone. Here entries leave by themselves, and what is to be looked at again is shown.
#[test]
fn failure_6_dead_entries_stay() {
    let place = Place::new();
    let _daemon =
        place.serve_with(&["--listen", "127.0.0.1:0"], &[("BWLD_SERVE_SHIPPED_LISTS", "false"), ("BWLD_PUBLISHER_TICK_SECONDS", "1")]);
    create(&place);
    place.write("bulk.txt", "domain:dead.example\texp=2020-01-01\ndomain:live.example\texp=2999-01-01\n");
    place.run(&["import", "bulk.txt", "--list", "t", "--format", "bwld"]).with_code(0);
    place.run(&["publish", "t"]).with_code(0);
    wait_for("the dead entry to leave", || !place.run(&["export", "t"]).out.contains("dead.example"));
    assert!(place.run(&["export", "t"]).out.contains("live.example"));
    let log = place.run(&["log", "t", "--json"]).with_code(0).out;
    assert!(log.contains("expired: 1 entries") && log.contains("\"bwld\""), "{log}");

    place.run(&["propose", "t", "bad.example", "--review-by", "2020-01-01", "--expires", "2999-01-01"]).with_code(0);
    place.run(&["publish", "t", "--cases"]).with_code(0);
    let queue = place.run(&["queue", "--json"]).with_code(0).json();
    assert_eq!(queue["due"][0]["words"]["rule"], "domain:bad.example");
}

/// Courts want the reason shown, and redress. Here each entry has a public reference that leads to both.
#[test]
fn failure_7_no_reason_and_no_appeal() {
    let place = Place::new();
    let daemon = place.serve();
    create(&place);
    let answer = put(&daemon, &place, "/v1/admin/lists/t/policy", "{\"appeal\": \"appeals@regulator.example, within 30 days\"}");
    assert!(answer.contains(" 200 "), "{answer}");
    let proposed = place
        .run(&[
            "propose",
            "t",
            "bad.example",
            "--text",
            "en=Sells forged passports",
            "--text",
            "uk=Продає підроблені паспорти",
            "--basis-instrument",
            "Order 17",
            "--basis-authority",
            "Court of X",
            "--basis-date",
            "2026-11-01",
            "--note",
            "told by J. Doe",
            "--json",
        ])
        .with_code(0)
        .json();
    let reference = proposed["reference"].as_str().expect("a reference").to_owned();
    assert!(reference.len() >= 16);
    let path = format!("/v1/lists/t/entries/{reference}");
    let shown = || String::from_utf8(get(&daemon.address(), &path)).expect("text");
    assert!(shown().contains("unknown-entry"), "nothing is told before it is published");
    place.run(&["publish", "t", "--cases"]).with_code(0);
    assert!(place.run(&["export", "t"]).out.contains(&reference), "the list itself leads to it");

    let text = shown();
    let entry: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&entry["state"], &entry["reasons"]["en"]), (&"published".into(), &"Sells forged passports".into()));
    assert_eq!(
        (&entry["basis"]["authority"], &entry["appeal"]),
        (&"Court of X".into(), &"appeals@regulator.example, within 30 days".into())
    );
    assert!(!text.contains("Doe") && !text.contains("operator"), "neither notes nor proposer: {text}");
    // Prompt removal: one call, and it is gone from the list, and everybody can see that.
    place.run(&["suspend", "t", &reference, "--reason", "appeal 2026/17"]).with_code(0);
    assert!(!place.run(&["export", "t"]).out.contains("bad.example"));
    assert_eq!(serde_json::from_str::<Value>(&shown()).expect("JSON")["state"], "suspended");
}
