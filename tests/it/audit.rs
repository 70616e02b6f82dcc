//! The audit chain as auditors meet it: shown, exported, and verified off line against heads that were kept.

use bwld::wire::{AuditChain, AuditLine, AuditTip};

use crate::support::{Place, get};

/// A chain whose line `number` says something else, with everything behind it chained anew: what one who holds the store could write.
fn rewritten(export: &str, number: u64) -> String {
    let mut tip: Option<AuditTip> = None;
    let mut text = String::new();
    for line in export.lines() {
        let mut act = AuditLine::parse(line).expect("a line").act;
        if tip.map_or(1, |t| t.number + 1) == number {
            act.reason = "nothing to see here".into();
        }
        let line = AuditLine::after(tip, act);
        tip = Some(line.tip());
        text.push_str(&(line.encode() + "\n"));
    }
    text
}

/// Failure 3 of today's systems for history: nobody can prove what was done when. Here whoever kept a head can.
#[test]
fn a_rewritten_history_is_caught_by_a_head_that_was_kept() {
    let place = Place::new();
    let daemon = place.serve();
    let address = daemon.address();
    place.run(&["list", "create", "t", "--colour", "black", "--title", "Test"]).with_code(0);
    for name in ["a.example", "b.example", "c.example"] {
        place.run(&["add", "t", name, "--publish", "--reason", &format!("court order for {name}")]).with_code(0);
    }
    place.write("kept.head", get(&address, "/v1/lists/t/head"));
    place.run(&["add", "t", "d.example", "--publish"]).with_code(0);
    place.run(&["audit", "export", "-o", "audit.ndjson"]).with_code(0);
    let export = place.read("audit.ndjson");
    let mut chain = AuditChain::default();
    chain.read(export.as_bytes(), |_| ()).expect("a whole chain");
    let newest = chain.tip().expect("it is not empty");
    assert!(newest.number >= 10, "{export}");

    let fine = place.run(&["audit", "verify", "audit.ndjson", "--head", "kept.head"]).with_code(0).out;
    assert!(fine.contains(&newest.to_string()) && fine.contains("is bound to line"), "{fine}");
    place.write("keyset", get(&address, "/v1/keyset"));
    let fingerprint = daemon.greeted("fingerprint ");
    let signed =
        ["audit", "verify", "audit.ndjson", "--head", "kept.head", "--keyset", "keyset", "--trust", &fingerprint].map(String::from);
    let signed: Vec<&str> = signed.iter().map(String::as_str).collect();
    assert!(place.run(&signed).with_code(0).out.contains("its signature holds"));

    // One word of one line: the next line says so.
    place.write("bent.ndjson", export.replacen("a.example", "x.example", 1));
    let bent = place.run(&["audit", "verify", "bent.ndjson"]).with_code(3);
    assert!(bent.err.contains("line"), "{}", bent.err);
    // Written anew from there on it is a chain again, but not the one that the head names.
    place.write("anew.ndjson", rewritten(&export, 3));
    place.run(&["audit", "verify", "anew.ndjson"]).with_code(0);
    let caught = place.run(&["audit", "verify", "anew.ndjson", "--head", "kept.head"]).with_code(3);
    assert!(caught.err.contains("history was rewritten"), "{}", caught.err);
    // What came after the head was signed can only be caught by a later one.
    place.write("late.ndjson", rewritten(&export, newest.number));
    place.run(&["audit", "verify", "late.ndjson", "--head", "kept.head"]).with_code(0);
    let short: String = export.lines().take(3).map(|line| format!("{line}\n")).collect();
    place.write("short.ndjson", short);
    let cut = place.run(&["audit", "verify", "short.ndjson", "--head", "kept.head"]).with_code(3);
    assert!(cut.err.contains("history was cut off"), "{}", cut.err);

    // Kept in pieces, the pieces fit together.
    let fourth = AuditLine::parse(export.lines().nth(3).expect("a line")).expect("a line").tip().to_string();
    let rest = place.run(&["audit", "export", "--from", "5"]).with_code(0).out;
    place.write("rest.ndjson", &rest);
    place.run(&["audit", "verify", "rest.ndjson", "--after", &fourth, "--head", "kept.head"]).with_code(0);
    place.run(&["audit", "verify", "rest.ndjson"]).with_code(3);

    let shown = place.run(&["audit", "log", "--limit", "3"]).with_code(0).out;
    assert_eq!(shown.lines().count(), 4, "{shown}");
    let log = place.run(&["audit", "log", "--json", "--limit", "1000"]).with_code(0).json();
    let log = log.as_array().expect("lines");
    assert_eq!(log.len() as u64, newest.number);
    let publication = log.iter().find(|line| line["act"]["what"] == "list.publish").expect("a publication");
    assert_eq!((publication["act"]["who"].as_str(), publication["act"]["from"].as_str()), (Some("operator"), Some("127.0.0.1")));
    // No secret is in it.
    assert!(!export.contains(place.read("bwld-data/operator.token").trim()));
}
