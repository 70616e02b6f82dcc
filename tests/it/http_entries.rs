//! Entries as files: found by the same words as in the search, with what their administrators know, and without notes.

use std::io::Read;
use std::sync::mpsc;

use bwld::people::{Grants, NewAccount, NewToken, Role};
use bwld::publisher::{ListPolicy, PublishRequest};
use serde_json::{Value, json};

use super::http_admin::{BEARER, Desk};
use super::raw::SOON;
use super::signed::list;
use super::support::until_it_waits;

const PLAIN: usize = 2_500;

/// Cases of several states and plain entries, more of them than a page holds.
async fn furnished() -> Desk {
    let desk = Desk::with_list().await;
    let rules: String = (0..PLAIN).map(|i| format!("domain:n{i}.example\n")).collect();
    assert_eq!(desk.import("?cat=bulk", "", rules.as_bytes()).await.status, 200);
    assert_eq!(desk.ask("POST", "/lists/test/publish", b"").await.status, 200);
    let words = json!({
        "rule": "bad.example",
        "attributes": {"categories": ["fraud"], "reason": "forgery", "expires": "2999-01-01"},
        "reasons": {"en": "Sells \"passports\", and more", "uk": "Продає паспорти"},
        "basis": {"jurisdiction": "UA", "instrument": "=HYPERLINK(\"http://x\")", "authority": "Court; of X", "number": "-17", "date": "2026-01-02"},
        "review_by": "2998-01-01",
    });
    let case = desk.json("POST", "/lists/test/cases", &json!({"words": words, "note": "the informant is N.N."})).await;
    assert_eq!(case.status, 201, "{case:?}");
    let draft = desk.json("POST", "/lists/test/cases", &json!({"words": {"rule": "draft.example"}, "draft": true})).await;
    assert_eq!(draft.status, 201);
    desk
}

async fn file(desk: &Desk, form: &str, query: &str) -> String {
    let answer = desk.server.get(&format!("/v1/admin/entries.{form}{query}"), &[BEARER]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text().to_owned()
}

/// Fields of a line of CSV.
fn fields(line: &str) -> Vec<String> {
    let (mut all, mut rest) = (vec![String::new()], line.chars().peekable());
    let mut within = false;
    while let Some(c) = rest.next() {
        match c {
            '"' if within && rest.peek() == Some(&'"') => all.last_mut().expect("one").push(rest.next().expect("seen")),
            '"' => within = !within,
            ',' if !within => all.push(String::new()),
            c => all.last_mut().expect("one").push(c),
        }
    }
    all
}

#[tokio::test]
async fn a_file_has_all_that_the_search_finds_and_what_is_known_of_it() {
    let desk = furnished().await;
    let lines: Vec<Value> = file(&desk, "ndjson", "").await.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), PLAIN + 2, "cases and entries of the list, each once");
    let rules: std::collections::BTreeSet<&str> = lines.iter().map(|line| line["rule"].as_str().expect("a rule")).collect();
    assert_eq!(rules.len(), PLAIN + 2);
    let case = lines.iter().find(|line| line["rule"] == "domain:bad.example").expect("the case");
    assert_eq!((case["state"].as_str(), case["case"]["proposer"].as_str()), (Some("approved"), Some("operator")));
    assert_eq!(case["case"]["words"]["basis"]["instrument"], "=HYPERLINK(\"http://x\")", "to the letter");

    let csv = file(&desk, "csv", "").await;
    assert_eq!(csv.matches("\r\n").count(), PLAIN + 3);
    let names = fields(csv.lines().next().expect("a line of names"));
    let row = fields(csv.lines().find(|line| line.contains("bad.example")).expect("the case"));
    let cell = |name: &str| row[names.iter().position(|one| one == name).unwrap_or_else(|| panic!("{name}"))].as_str();
    assert_eq!((cell("list"), cell("state"), cell("rule"), cell("categories")), ("test", "approved", "domain:bad.example", "fraud"));
    assert_eq!((cell("reason"), cell("expires"), cell("review_by")), ("forgery", "2999-01-01", "2998-01-01"));
    assert_eq!((cell("proposer"), cell("authors"), cell("reference").len()), ("operator", "operator", 22));
    assert_eq!((cell("jurisdiction"), cell("authority"), cell("date")), ("UA", "Court; of X", "2026-01-02"));
    // What a spreadsheet would take for a formula.
    assert_eq!((cell("instrument"), cell("number")), ("'=HYPERLINK(\"http://x\")", "'-17"));
    assert_eq!(serde_json::from_str::<Value>(cell("texts")).expect("JSON")["uk"], "Продає паспорти");
    for form in ["ndjson", "csv"] {
        assert!(!file(&desk, form, "").await.contains("informant"), "notes are in no file");
    }
}

/// Each filter of the search, by its name in the description, so that a filter that comes later is looked at as well.
#[tokio::test]
async fn a_file_takes_the_filters_of_the_search() {
    let desk = furnished().await;
    let all: Vec<Value> = file(&desk, "ndjson", "").await.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let reference = all.iter().find(|line| line["rule"] == "domain:bad.example").expect("one")["case"]["reference"].clone();
    let reference = reference.as_str().expect("text");
    let filters = [
        ("list", "test", PLAIN + 2),
        ("text", "passports", 1),
        ("rule", "bad.example", 1),
        ("category", "fraud", 1),
        ("reason", "forgery", 1),
        ("reference", reference, 1),
        ("proposer", "operator", 2),
        ("state", "draft", 1),
        ("created_from", "2000-01-01", 2),
        ("created_to", "2000-01-01", 0),
        ("expires_from", "2999-01-01", 1),
        ("expires_to", "2998-12-31", 0),
    ];
    let description = desk.server.get("/v1/openapi.json", &[]).await.json();
    let described = |path: &str| -> Vec<String> {
        let all = description["paths"][path]["get"]["parameters"].as_array().expect("parameters");
        let asked = all.iter().filter(|p| p["in"] == "query").map(|p| p["name"].as_str().expect("a name").to_owned());
        asked.filter(|name| !["cursor", "limit"].contains(&name.as_str())).collect()
    };
    let names: Vec<&str> = filters.iter().map(|(name, ..)| *name).collect();
    for path in ["/v1/admin/entries", "/v1/admin/entries.csv", "/v1/admin/entries.ndjson"] {
        assert_eq!(described(path), names, "{path}");
    }
    for (name, value, found) in filters {
        let query = format!("?{name}={value}");
        assert_eq!(file(&desk, "ndjson", &query).await.lines().count(), found, "{query}");
        assert_eq!(file(&desk, "csv", &query).await.lines().count(), found + 1, "{query}");
        // The same by pages of the search, followed by their cursors.
        let (mut pages, mut cursor) = (0, String::new());
        loop {
            let page = desk.ask("GET", &format!("/entries{query}&limit=999{cursor}"), b"").await.json();
            pages += page["found"].as_array().expect("results").len();
            let Some(next) = page["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(pages, found, "{query}");
    }
    // A list that is not there is not an empty one, though the caller owns all there are.
    for path in ["entries", "entries.csv", "entries.ndjson", "conflicts"] {
        let answer = desk.ask("GET", &format!("/{path}?list=nosuch"), b"").await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "not-found"), "{path}");
    }
    for (query, code) in [("?limit=1", "unknown-parameter"), ("?cursor=c", "unknown-parameter"), ("?state=gone", "bad-parameter")] {
        let answer = desk.server.get(&format!("/v1/admin/entries.csv{query}"), &[BEARER]).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, code), "{query}");
    }
}

#[tokio::test]
async fn a_file_is_packed_if_asked_and_has_only_the_callers_lists() {
    let desk = furnished().await;
    let packed = desk.server.get("/v1/admin/entries.csv", &[BEARER, ("accept-encoding", "gzip")]).await;
    assert_eq!((packed.header("content-encoding"), packed.header("cache-control")), ("gzip", "no-store"));
    assert!(packed.header("content-type").starts_with("text/csv") && packed.header("content-disposition").starts_with("attachment"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed.body[..]).read_to_string(&mut text).expect("gzip");
    assert_eq!(text, file(&desk, "csv", "").await);

    desk.people
        .create_account(NewAccount { name: "eve".into(), grants: Grants::default().on(&list("other"), Role::Auditor) }, "test")
        .expect("an account");
    let made = desk.people.create_token(NewToken { account: "eve".into(), ..NewToken::default() }, "test").expect("a token");
    let bearer = format!("Bearer {}", made.secret.as_str());
    let fields = [("authorization", bearer.as_str())];
    assert_eq!(desk.server.get("/v1/admin/entries.ndjson", &fields).await.text(), "");
    assert_eq!(desk.server.get("/v1/admin/entries.ndjson?list=test", &fields).await.code(), "not-found");
}

/// Each question goes through the whole list; those that wait for their turn would hold the threads that all other calls run on.
#[tokio::test(flavor = "multi_thread")]
async fn many_who_ask_for_entries_by_reference_are_turned_away_and_hold_up_nobody() {
    const ASKING: usize = 300;
    let desk = Desk::with_list().await;
    let rules: String = (0..40_000).map(|i| format!("domain:n{i}.example\tref=reference-{i:08}\n")).collect();
    assert_eq!(desk.import("", "", rules.as_bytes()).await.status, 200);
    assert_eq!(desk.ask("POST", "/lists/test/publish", b"").await.status, 200);
    let entry = desk.server.get("/v1/lists/test/entries/reference-00039999", &[]).await;
    assert_eq!(entry.json()["rule"], "domain:n39999.example");

    let mut asking = Vec::new();
    for _ in 0..ASKING {
        asking.push(desk.server.raw().await);
    }
    for (number, one) in asking.iter_mut().enumerate() {
        let question = format!("GET /v1/lists/test/entries/nowhere-{number:08} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        one.send(question.as_bytes()).await;
    }
    assert_eq!(desk.ask("GET", "/lists/test", b"").await.status, 200);
    let mut turned_away = 0;
    for mut one in asking {
        let answer = one.answer(false).await;
        match answer.status {
            404 => assert_eq!(answer.code(), "unknown-entry"),
            503 => {
                assert_eq!(answer.code(), "too-many-searches");
                assert!(answer.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0), "{answer:?}");
                turned_away += 1;
            }
            other => panic!("{other}: {answer:?}"),
        }
    }
    assert!(turned_away > ASKING / 10, "{turned_away} of {ASKING}");
    assert_eq!(desk.server.get("/v1/lists/test/entries/reference-00000007", &[]).await.status, 200, "and then there is room again");
}

/// A list is locked as long as an import is merged or a version is written. Calls that waited for it would hold the threads that all
/// other calls run on, and anybody may make these as often as he likes.
#[tokio::test(flavor = "multi_thread")]
async fn strangers_wait_neither_for_a_publication_nor_for_a_list_that_is_removed_after_it() {
    let desk = Desk::with_list().await;
    let appeal = ListPolicy { appeal: "write to us".into(), ..ListPolicy::default() };
    desk.publisher.set_policy(&list("test"), appeal, "list.policy", "test").expect("a policy");
    assert_eq!(desk.import("", "", b"domain:a.example\tref=reference-1\ndomain:b.example\n").await.status, 200);
    assert_eq!(desk.ask("POST", "/lists/test/publish", b"").await.status, 200);
    let derived = bwld::list::derived_reference("domain:b.example");

    assert_eq!(desk.json("POST", "/lists/test/changes", &json!({"put": [{"rule": "c.example"}]})).await.status, 200);
    let (held, holds) = mpsc::channel();
    let (go_on, going_on) = mpsc::channel::<()>();
    let publisher = desk.publisher.clone();
    let publishing = std::thread::spawn(move || {
        let wait = |_, _: bwld::publisher::EachChange<'_>| {
            let _ = held.send(());
            let _ = going_on.recv();
            Ok(Vec::new())
        };
        publisher.publish_with(&list("test"), &PublishRequest::default(), &wait, "test").map(|report| report.version.is_some())
    });
    holds.recv_timeout(SOON).expect("a publication that has the list's lock");
    let calls = [
        ("/readyz".to_owned(), 200),
        ("/metrics".into(), 200),
        ("/v1/lists/test/entries/reference-1".into(), 200),
        (format!("/v1/lists/test/entries/{derived}"), 200),
        ("/v1/lists/test/entries/reference-2".into(), 404),
        ("/v1/lists/nosuch/entries/reference-1".into(), 404),
    ];
    let all_answer = async || {
        for (path, status) in &calls {
            let answer = desk.server.get(path, &[]).await;
            assert_eq!(answer.status, *status, "{path}: {answer:?}");
            if answer.status == 200 && path.contains("entries") {
                assert_eq!(answer.json()["appeal"], "write to us", "{path}");
            }
        }
    };
    all_answer().await;
    let publisher = desk.publisher.clone();
    let removed = until_it_waits(move || publisher.remove_list(&list("test"), "test"));
    all_answer().await;
    go_on.send(()).expect("it is waited for");
    assert!(publishing.join().expect("no panic").expect("published"));
    removed.recv_timeout(SOON).expect("the lock is free").expect("removed");
    assert_eq!(desk.server.get("/v1/lists/test/head", &[]).await.status, 404);
}
