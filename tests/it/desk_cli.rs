//! A day at the desk by the built program: every act is in a chain that verifies, and what is private is in nothing public.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use domain::base::iana::Rtype;
use serde_json::{Value, json};

use crate::support::{Daemon, Place, get};

/// The audit chain as it is now verifies, and holds `acts` as its newest, oldest first.
fn chain_ends_with(place: &Place, acts: &[&str]) {
    place.run(&["audit", "export", "-o", "audit.ndjson"]).with_code(0);
    place.run(&["audit", "verify", "audit.ndjson"]).with_code(0);
    let export = place.read("audit.ndjson");
    let lines: Vec<Value> = export.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let newest: Vec<&str> = lines.iter().rev().take(acts.len()).rev().filter_map(|line| line["act"]["what"].as_str()).collect();
    assert_eq!(newest, acts, "{export}");
}

/// A publisher with the black list `t`, and a file with the token of a second account, which reviews it.
fn office(vars: &[(&str, &str)]) -> (Place, Daemon) {
    let place = Place::new();
    let vars: Vec<_> = [("BWLD_SERVE_SHIPPED_LISTS", "false")].into_iter().chain(vars.iter().copied()).collect();
    let daemon = place.serve_with(&["--listen", "127.0.0.1:0"], &vars);
    place.run(&["list", "create", "t", "--colour", "black", "--title", "Test"]).with_code(0);
    place.run(&["account", "add", "ann", "--role", "reviewer@t"]).with_code(0);
    let token = place.run(&["token", "new", "ann"]).with_code(0).out;
    place.write("ann.token", token.trim());
    std::fs::set_permissions(place.path("ann.token"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("set");
    (place, daemon)
}

/// The reference of a proposal.
fn propose(place: &Place, rule: &str, more: &[&str]) -> String {
    let case = place.run(&[&["propose", "t", rule, "--json"], more].concat()).with_code(0).json();
    case["reference"].as_str().expect("a reference").to_owned()
}

#[test]
fn every_act_at_the_desk_is_in_a_chain_that_verifies() {
    let (place, _daemon) = office(&[]);
    let ok = |args: &[&str]| place.run(args).with_code(0);
    ok(&["policy", "set", "t", "--approvals", "1", "--max-entries", "2", "--max-percent", "10"]);
    chain_ends_with(&place, &["list.policy"]);
    let one = propose(&place, "bad.example", &["--draft"]);
    ok(&["case", "edit", "t", &one, "--cat", "fraud", "--text", "en=Forged passports", "--expires", "2999-01-01"]);
    ok(&["case", "submit", "t", &one]);
    ok(&["case", "note", "t", &one, "the owner has called"]);
    chain_ends_with(&place, &["case.edit", "case.edit", "case.propose", "case.note"]);
    let revision = ok(&["case", "show", "t", &one, "--json"]).json()["revision"].to_string();
    assert_eq!(place.run(&["approve", "t", &one, "--revision", &revision]).code, 1, "who wrote it does not approve it");
    // What is approved is what was read: without saying what, or after somebody changed it, nothing is.
    let approve = |revision: &str| place.run(&["approve", "t", &one, "--revision", revision, "--token-file", "ann.token"]);
    assert!(place.run(&["approve", "t", &one, "--token-file", "ann.token"]).with_code(2).err.contains("--revision"));
    ok(&["case", "edit", "t", &one, "--rule", "subtree:important.example"]);
    assert!(approve(&revision).with_code(1).err.contains("changed meanwhile"));
    ok(&["case", "edit", "t", &one, "--rule", "bad.example"]);
    approve(&(revision.parse::<u64>().expect("a number") + 2).to_string()).with_code(0);
    ok(&["publish", "t", "--cases"]);
    chain_ends_with(&place, &["case.approve", "case.publish", "list.publish"]);
    let shown = ok(&["case", "show", "t", &one]).out;
    assert!(shown.contains("approved by  ann") && shown.contains("the owner has called"), "{shown}");
    let reviewed = ["case", "reviewed", "t", &one, "--next", "2998-01-01"];
    assert!(place.run(&reviewed).with_code(1).err.contains("somebody else"));
    ok(&[&reviewed[..], &["--token-file", "ann.token"]].concat());
    ok(&["suspend", "t", &one, "--reason", "appeal"]);
    ok(&["suspend", "t", &one, "--resume"]);
    let resumed = ["case.review", "case.suspend", "list.publish", "case.resume", "list.publish"];
    chain_ends_with(&place, &resumed);
    let two = propose(&place, "typo.example", &[]);
    ok(&["case", "withdraw", "t", &two]);
    let three = propose(&place, "no.example", &[]);
    ok(&["reject", "t", &three, "--reason", "no such order", "--token-file", "ann.token"]);
    chain_ends_with(&place, &["case.propose", "case.withdraw", "case.propose", "case.reject"]);

    // A derived reference may begin with a hyphen: it is no option.
    for hyphen in ["-w8PWeOOJNeOHp7BZP4m0bKXYrKIJrdzWA0JJZXnH5E", "-h8PWeOOJNeOHp7BZP4m0bKXYrKIJrdzWA0JJZXnH5E"] {
        assert!(place.run(&["why", "t", hyphen]).with_code(1).err.contains("no entry"), "{hyphen}");
        assert!(place.run(&["case", "show", "t", hyphen]).with_code(1).err.contains("no entry"), "{hyphen}");
    }

    // An owner's emergency publication: marked, and looked at afterwards by somebody else.
    ok(&["add", "t", "urgent.example"]);
    assert!(place.run(&["publish", "t"]).with_code(1).err.contains("guard:approvals"));
    let version = ok(&["publish", "t", "--force", "approvals", "--reason", "a flood", "--json"]).json();
    assert_eq!(version["version"]["forced"], json!(["approvals"]));
    let serial = version["version"]["serial"].to_string();
    let waits = || ok(&["queue", "--json"]).json()["unreviewed"].as_array().map_or(0, Vec::len);
    assert_eq!(waits(), 1);
    let own = place.run(&["reviewed", "t", &serial]).with_code(1);
    assert!(own.err.contains("who published it cannot be the one who reviews it"), "{}", own.err);
    ok(&["reviewed", "t", &serial, "--reason", "seen", "--token-file", "ann.token"]);
    assert_eq!(waits(), 0);
    chain_ends_with(&place, &["list.stage", "list.publish", "list.reviewed"]);

    // The same of an entry that is proposed: as it is, marked, and reviewed afterwards.
    let flood = propose(&place, "flood.example", &[]);
    let without = place.run(&["publish", "t", "--case", &flood]).with_code(1);
    assert!(without.err.contains("0 of 1 approvals"), "{}", without.err);
    let published = ok(&["publish", "t", "--case", &flood, "--force", "approvals", "--reason", "a flood", "--json"]).json();
    assert_eq!(published["version"]["forced"], json!(["approvals"]), "{published}");
    assert!(ok(&["case", "show", "t", &flood]).out.contains("published") && waits() == 1);
    ok(&["reviewed", "t", &published["version"]["serial"].to_string(), "--token-file", "ann.token"]);
    ok(&["suspend", "t", &flood, "--remove"]);

    // Too much replaced at once, by number and by share.
    ok(&["policy", "set", "t", "--approvals", "0", "--max-entries", "1"]);
    ok(&["add", "t", "bad.example", "urgent.example", "--cat", "x"]);
    let refused = place.run(&["publish", "t"]).with_code(1);
    assert!(refused.err.contains("guard:max-changed"), "{}", refused.err);
    let changed = ok(&["publish", "t", "--force", "max-changed", "--json"]).json()["version"]["serial"].to_string();
    ok(&["undo", "t", &changed, "--force", "max-changed"]);
    chain_ends_with(&place, &["list.publish", "case.edit", "list.publish"]);
    let four = propose(&place, "later.example", &[]);
    let typo = place.run(&["schedule", "t", "2999-01-01T00:00:00Z", "--cases", "--force", "max-remove"]).with_code(1);
    assert!(typo.err.contains("no such guard that can be forced"), "{}", typo.err);
    let long = place.run(&["publish", "t", "--cases", "--reason", &"x".repeat(1_001)]).with_code(1);
    assert!(long.err.contains("longer than 1,000 octets"), "{}", long.err);
    let made = ok(&["schedule", "t", "2999-01-01T00:00:00Z", "--cases", "--json"]).json();
    ok(&["schedule", "t", "--cancel", made["id"].as_str().expect("a name")]);
    ok(&["freeze", "t", "--reason", "a wrong file"]);
    assert!(place.run(&["publish", "t", "--cases"]).with_code(1).err.contains("guard:frozen"));
    ok(&["freeze", "t", "--thaw"]);
    chain_ends_with(&place, &["case.propose", "list.schedule", "list.unschedule", "list.freeze", "list.thaw"]);
    assert!(ok(&["search", "--reference", &four]).out.contains("approved"));
    assert!(ok(&["search", "later", "--format", "csv"]).out.contains(&four));
}

#[test]
fn nobody_reviews_afterwards_what_they_staged_themselves() {
    let (place, _daemon) = office(&[]);
    let ok = |args: &[&str]| place.run(args).with_code(0);
    ok(&["policy", "set", "t", "--approvals", "1"]);
    ok(&["account", "set", "ann", "--role", "reviewer@t", "--role", "editor@t"]);
    ok(&["account", "add", "bob", "--role", "reviewer@t"]);
    place.write("bob.token", ok(&["token", "new", "bob"]).out.trim());
    std::fs::set_permissions(place.path("bob.token"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("set");
    ok(&["add", "t", "urgent.example", "--token-file", "ann.token"]);
    ok(&["publish", "t", "--force", "approvals", "--reason", "a flood"]);
    let own = place.run(&["reviewed", "t", "1", "--token-file", "ann.token"]).with_code(1);
    assert!(own.err.contains("who staged or wrote a part of it"), "{}", own.err);
    ok(&["reviewed", "t", "1", "--token-file", "bob.token"]);
    assert_eq!(ok(&["queue"]).out, "nothing waits\n");
}

#[test]
fn a_scheme_with_names_in_several_languages_is_data() {
    let (place, daemon) = office(&[]);
    let scheme = json!({
        "id": "ours",
        "names": {"en": "Our scheme", "uk": "Наша схема"},
        "codes": [{"code": "passports", "names": {"en": "Forged passports", "uk": "Підроблені паспорти", "pt-BR": "Passaportes"}, "age": 18}],
    });
    place.write("ours.json", scheme.to_string());
    place.run(&["scheme", "put", "ours.json"]).with_code(0);
    place.run(&["scheme", "put", "ours.json"]).with_code(0);
    chain_ends_with(&place, &["scheme.put", "scheme.put"]);
    let all: Value = serde_json::from_slice(&get(&daemon.address(), "/v1/schemes")).expect("JSON");
    assert!(all.as_array().expect("schemes").contains(&scheme), "{all}");
    assert!(place.run(&["scheme", "list"]).with_code(0).out.contains("uk: Підроблені паспорти"));
    let unknown = place.run(&["propose", "t", "bad.example", "--scheme", "ours=toys"]).with_code(1);
    assert!(unknown.err.contains("words.schemes"), "{}", unknown.err);
    let reference = propose(&place, "bad.example", &["--scheme", "ours=passports"]);
    place.run(&["publish", "t", "--cases"]).with_code(0);
    let shown = place.run(&["why", "t", &reference, "--json"]).with_code(0).json();
    assert_eq!(shown["schemes"], json!({"ours": ["passports"]}));
    place.write("wrong.json", "{\"id\": \"ours\", \"names\": {\"not a language\": \"x\"}, \"codes\": []}");
    assert_eq!(place.run(&["scheme", "put", "wrong.json"]).code, 1);
    let why = place.run(&["why", "t", &reference]).with_code(0).out;
    assert!(why.contains("category     ours: passports"), "{why}");

    // A category that cases use stays, for they could not be edited without it; others may go.
    let more = json!({"code": "toys", "names": {"en": "Toys"}});
    let both = json!({"id": "ours", "names": {"en": "Ours"}, "codes": [scheme["codes"][0], more]});
    place.write("both.json", both.to_string());
    place.write("toys.json", json!({"id": "ours", "names": {"en": "Ours"}, "codes": [more]}).to_string());
    place.run(&["scheme", "put", "both.json"]).with_code(0);
    propose(&place, "other.example", &["--scheme", "ours=passports"]);
    let refused = place.run(&["scheme", "put", "toys.json"]).with_code(1);
    assert!(refused.err.contains("ours:passports") && refused.err.contains("use this category: 2"), "{}", refused.err);
    place.run(&["scheme", "put", "ours.json"]).with_code(0);
}

#[test]
fn what_waits_is_said_and_an_approval_holds_though_its_publication_is_refused() {
    let (place, _daemon) = office(&[]);
    place.run(&["freeze", "t", "--approvals", "1"]).with_code(0);
    let one = propose(&place, "bad.example", &["--cat", "fraud", "--review-by", "2998-01-01"]);
    propose(&place, "worse.example", &[]);
    for more in [&[][..], &["--dry-run"]] {
        let said = place.run(&[&["publish", "t", "--cases"], more].concat()).with_code(0).out;
        assert!(said.contains("2 wait for approvals") && !said.contains("staged"), "{said}");
    }
    // A reviewer may approve, not publish.
    let refused = place.run(&["approve", "t", &one, "--revision", "1", "--publish", "--token-file", "ann.token"]).with_code(1).err;
    assert!(refused.contains("is approved, and that holds") && refused.contains("no role"), "{refused}");
    let again = place.run(&["approve", "t", &one, "--revision", "2", "--token-file", "ann.token"]).with_code(1).err;
    assert!(again.contains("bwld publish LIST --cases"), "{again}");

    // What waits beside what is staged is said, and looked at.
    let staged = place.run(&["preview", "t", "bad.example"]).with_code(0).out;
    assert!(staged.contains("1 approved wait"), "{staged}");
    let cases = place.run(&["preview", "t", "--cases", "--json", "bad.example", "good.example"]).with_code(0).json();
    assert_eq!(cases["changes"]["added"], 1, "{cases}");
    let line = format!("+domain:bad.example\tcat=fraud\tref={one}");
    assert_eq!(cases["changes"]["lines"], json!([line]));
    assert_eq!(cases["effects"][0], json!({"question": "bad.example", "before": "none", "after": "block: t domain:bad.example"}));
    assert_eq!(cases["effects"][1]["after"], "none");
    assert_eq!(place.run(&["search", "bad.example"]).with_code(0).out.matches("approved").count(), 1, "it is only looked at");
    // Who may read may look, too.
    assert!(place.run(&["preview", "t", "--cases", "--token-file", "ann.token"]).with_code(0).out.contains("t: 1 to add"));
    place.run(&["policy", "set", "t", "--max-entries", "0", "--max-percent", "0"]).with_code(0);
    place.run(&["publish", "t", "--cases"]).with_code(0);
    let why = place.run(&["why", "t", &one]).with_code(0).out;
    assert!(why.contains("category     fraud") && why.contains("look again   2998-01-01"), "{why}");
    // Guards are shown, not run into.
    propose_and_approve(&place, "third.example");
    let guarded = place.run(&["preview", "t", "--cases", "--json"]).with_code(0).json();
    assert!(guarded["changes"]["guards"].as_array().is_some_and(|guards| !guards.is_empty()), "{guarded}");
}

fn propose_and_approve(place: &Place, rule: &str) {
    let reference = propose(place, rule, &[]);
    place.run(&["approve", "t", &reference, "--revision", "1", "--token-file", "ann.token"]).with_code(0);
}

/// Names below a name of 253 octets cannot be asked about; the others can.
#[test]
fn a_preview_without_questions_leaves_out_what_cannot_be_asked() {
    let (place, _daemon) = office(&[]);
    let long = format!("{}.{}.{}.{}.example", "a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(53));
    assert_eq!(long.len(), 253);
    place.run(&["add", "t", &format!("subtree:{long}"), "subtree:short.example"]).with_code(0);
    let preview = place.run(&["preview", "t", "--json"]).with_code(0).json();
    let questions: Vec<&str> = preview["effects"].as_array().expect("effects").iter().filter_map(|e| e["question"].as_str()).collect();
    assert_eq!(questions, ["www.short.example"]);
}

#[test]
fn every_entry_is_answered_by_a_public_reference() {
    let (place, daemon) = office(&[]);
    place.run(&["policy", "set", "t", "--appeal", "appeals@regulator.example"]).with_code(0);
    let lines: String = (0..2_000).map(|n| format!("subtree:n{n:04}.example\tcat=fraud\trsn=order-17\n")).collect();
    place.write("bulk.txt", lines + "domain:bore.example\tref=theirs-0815\n");
    place.run(&["import", "bulk.txt", "--list", "t", "--format", "bwld", "--publish"]).with_code(0);
    place.run(&["add", "t", "added.example", "--publish"]).with_code(0);
    let why = |reference: &str| place.run(&["why", "t", reference, "--json"]);
    // The one that follows from the rule, for what came in bulk: also after it was changed, no longer when it is gone.
    for n in [0, 7, 1_999] {
        let rule = format!("subtree:n{n:04}.example");
        let reference = bwld::list::derived_reference(&rule);
        let shown = why(&reference).with_code(0).json();
        assert_eq!((&shown["rule"], &shown["reference"], &shown["state"]), (&json!(rule), &json!(reference), &json!("published")));
        assert_eq!((&shown["categories"], &shown["reason"]), (&json!(["fraud"]), &json!("order-17")));
        assert_eq!(shown["appeal"], "appeals@regulator.example");
    }
    let gone = bwld::list::derived_reference("subtree:n0007.example");
    place.run(&["remove", "t", "subtree:n0007.example", "--publish"]).with_code(0);
    assert!(why(&gone).with_code(1).err.contains("no entry"));
    // Those that entries bear, drawn here or by somebody else.
    let export = place.run(&["export", "t"]).out;
    let drawn = export.lines().find_map(|line| line.strip_prefix("domain:added.example\tref=")).expect("a reference");
    for (reference, rule) in [(drawn, "domain:added.example"), ("theirs-0815", "domain:bore.example")] {
        assert_eq!(why(reference).with_code(0).json()["rule"], rule);
    }
    for wrong in ["theirs-081", "none-of-them", "x", &"A".repeat(43), "%09exp=", &"a".repeat(2_000)] {
        let answer = String::from_utf8(get(&daemon.address(), &format!("/v1/lists/t/entries/{wrong}"))).expect("text");
        assert!(answer.contains("unknown-entry"), "{wrong}: {answer}");
    }
    // An entry of the desk is answered with its reasons by its own reference and by the derived one.
    let reference = propose(&place, "bad.example", &["--text", "en=Forged passports"]);
    let derived = bwld::list::derived_reference("domain:bad.example");
    assert_eq!(why(&derived).code, 1, "nothing is told before it is published");
    place.run(&["publish", "t", "--cases"]).with_code(0);
    for asked in [&reference, &derived] {
        let shown = why(asked).with_code(0).json();
        assert_eq!((&shown["reasons"]["en"], &shown["reference"]), (&json!("Forged passports"), &json!(reference)));
    }
}

/// The whole zone over TCP, as octets.
fn zone(place: &Place, name: &str) -> Vec<u8> {
    let address = place.read("bwld-data/dns.address");
    let mut stream = TcpStream::connect(address.lines().next().expect("an address")).expect("a listener");
    let question = super::dns::question(name, Rtype::AXFR, None);
    stream
        .write_all(&u16::try_from(question.len()).expect("short").to_be_bytes())
        .and_then(|()| stream.write_all(&question))
        .expect("sent");
    stream.shutdown(std::net::Shutdown::Write).expect("half closed");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    answer
}

#[test]
fn what_is_private_is_in_nothing_public() {
    let (place, daemon) = office(&[("BWLD_DNS_LISTEN", "127.0.0.1:0"), ("BWLD_SERVE_ORIGIN", "lists.example.org")]);
    let address = daemon.address();
    place.run(&["policy", "set", "t", "--approvals", "1"]).with_code(0);
    let evidence = format!("sha256:{}", "ab".repeat(32));
    let first = propose(&place, "bad.example", &["--note", "told by Xerxes", "--evidence", &evidence, "--text", "en=Forged passports"]);
    place.run(&["case", "note", "t", &first, "Xerxes called again"]).with_code(0);
    place.run(&["approve", "t", &first, "--revision", "2", "--reason", "Xerxes is right", "--token-file", "ann.token"]).with_code(0);
    place.run(&["publish", "t", "--cases"]).with_code(0);
    let second = propose(&place, "worse.example", &["--note", "Xerxes too"]);
    place.run(&["approve", "t", &second, "--revision", "1", "--token-file", "ann.token"]).with_code(0);
    place.run(&["publish", "t", "--cases"]).with_code(0);
    let third = propose(&place, "secret.example", &["--note", "Xerxes"]);
    place.run(&["suspend", "t", &second, "--reason", "Xerxes was wrong", "--token-file", "ann.token"]).with_code(0);

    let head = String::from_utf8(get(&address, "/v1/lists/t/head")).expect("text");
    let snapshot = head.split_whitespace().find_map(|word| word.strip_prefix("sha256:")).expect("a digest").to_owned();
    let mut paths: Vec<String> =
        ["", "/head", "/delta/1/3", "/delta/2/3", "/buckets/3", "/bucket/3/0"].map(|p| format!("/v1/lists/t{p}")).into();
    paths.extend([
        format!("/v1/lists/t/snapshot/{snapshot}"),
        format!("/v1/lists/t/entries/{first}"),
        format!("/v1/lists/t/entries/{second}"),
    ]);
    paths.extend(["/v1/lists", "/v1/keyset", "/v1/schemes", "/healthz", "/metrics"].map(str::to_owned));
    paths.extend(bwld::formats::write::ExportFormat::ALL.iter().map(|format| format!("/v1/lists/t/export/{format}")));
    let mut public: Vec<(String, Vec<u8>)> = paths.into_iter().map(|path| (path.clone(), get(&address, &path))).collect();
    public.push(("the zone".into(), zone(&place, "t.rpz.lists.example.org")));
    let mut telling = 0;
    for (path, mut octets) in public {
        if let Ok(plain) = bwld::wire::decompress("answer", &octets, 1 << 20) {
            octets = plain;
        }
        let text = String::from_utf8_lossy(&octets);
        telling += usize::from(text.contains("bad.example") || octets.windows(12).any(|w| w == b"\x03bad\x07example"));
        for private in ["Xerxes", "operator", "ann", &"ab".repeat(32), "secret.example", &third] {
            let word =
                |text: &str| text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_' && c != '.').any(|w| w == private);
            assert!(!word(&text), "{path} shows {private}: {text}");
        }
    }
    assert!(telling > 10, "the entries themselves are in what is public: {telling}");
}
