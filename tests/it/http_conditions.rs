//! Conditional requests: tags on what is read, and writes that are done only on what was read.

use std::sync::Arc;

use serde_json::{Value, json};

use super::http_admin::{BEARER, Desk};
use super::raw::Answer;

/// A tag that nothing has.
const WRONG: &str = "\"sha256:0000000000000000000000000000000000000000000000000000000000000000\"";

/// What is read has a tag, but for what differs from one reading to the next, or is not JSON.
const WITHOUT_TAG: &[&str] = &[
    "exportAudit",         // a stream
    "exportEntriesCsv",    // a stream
    "exportEntriesNdjson", // a stream
    "exportList",          // a stream
    "listTokens",          // says when each was last used, which the reading itself is
    "me",                  // an answer to one caller about the call
    "oidcBegin",           // sends elsewhere
    "oidcReturn",          // sends elsewhere
    "showJob",             // goes on by itself
    "watchJob",            // a stream
];

/// What writes depends on a tag if it is sent, but for what takes nothing's place.
const WITHOUT_CONDITION: &[&str] = &[
    "activateKeySet",  // numbered, and signed for the place behind the one before
    "approveStaged",   // names what it approves by its digest
    "backUp",          // changes nothing
    "changePassword",  // names the old one
    "check",           // changes nothing
    "confirmFactor",   // names what was offered by its code
    "createAccount",   // makes what was not there
    "createList",      // makes what was not there
    "createToken",     // makes what was not there
    "logIn",           // makes what was not there
    "logOut",          // ends the caller's own session
    "offerFactor",     // takes no other's place until it is confirmed
    "preview",         // changes nothing
    "proposeEntry",    // makes what was not there
    "publishCases",    // of many objects; each has its approvals
    "reviewedVersion", // of a version, which never changes
    "revokeToken",     // of a token, which never changes
    "schedule",        // makes what was not there
    "setUp",           // once, by a token for it
    "undoVersion",     // of a version, which never changes
];

async fn call(desk: &Desk, method: &str, path: &str, condition: (&str, &str), body: &Value) -> Answer {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    desk.server.raw().await.request(method, path, &[BEARER, condition], body.as_bytes()).await
}

async fn tag(desk: &Desk, path: &str) -> String {
    let answer = desk.server.get(path, &[BEARER]).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.header("etag").to_owned()
}

/// One of each, and its path's parameters filled in.
async fn furnished() -> (Desk, impl Fn(&str) -> String) {
    let desk = Desk::with_list().await;
    let case = desk.json("POST", "/lists/test/cases", &json!({"words": {"rule": "case.example"}})).await;
    assert_eq!(case.status, 201, "{case:?}");
    assert_eq!(desk.json("POST", "/accounts", &json!({"name": "anna"})).await.status, 201);
    desk.json("POST", "/lists/test/changes", &json!({"put": [{"rule": "bad.example"}]})).await;
    let schedule = desk.json("POST", "/lists/test/schedules", &json!({"at": "2999-01-01T00:00:00Z"})).await;
    assert_eq!(schedule.status, 201, "{schedule:?}");
    let (case, schedule) =
        (case.json()["reference"].as_str().expect("one").to_owned(), schedule.json()["id"].as_str().expect("one").to_owned());
    let fill = move |path: &str| {
        let with = [("{list}", "test"), ("{reference}", &*case), ("{account}", "anna"), ("{id}", &*schedule), ("{scheme}", "content")];
        with.iter().fold(path.to_owned(), |path, (name, value)| path.replace(name, value))
    };
    (desk, fill)
}

/// A body that is in order, so that only the condition stands against it.
fn body(id: &str) -> Value {
    match id {
        "setPolicy" => json!({"approvals": 1}),
        "freezeList" => json!({"reason": "holidays"}),
        "describeList" => json!({"title": "Better"}),
        "stageChanges" => json!({"put": [{"rule": "worse.example"}]}),
        "changeAccount" => json!({"disabled": true}),
        "noteCase" => json!({"note": "seen"}),
        "putScheme" => json!({"id": "content", "names": {"en": "Mine"}, "codes": []}),
        "importList" => json!("x.example"),
        "removeList" | "discardStaged" | "cancelSchedule" | "dropFactor" | "inviteAccount" => Value::Null,
        _ => json!({}),
    }
}

/// The description's own words, so that a call that comes later is looked at too.
#[tokio::test]
async fn every_call_has_its_tag_or_condition_or_a_reason_why_not() {
    let (desk, fill) = furnished().await;
    let description = desk.server.get("/v1/openapi.json", &[]).await.json();
    let mut conditional = 0;
    for (path, methods) in description["paths"].as_object().expect("paths").iter().filter(|(path, _)| path.starts_with("/v1/admin")) {
        for (method, call_) in methods.as_object().expect("methods") {
            let id = call_["operationId"].as_str().expect("a name");
            let field = |name: &str| call_["parameters"].as_array().expect("parameters").iter().find(|p| p["name"] == name).cloned();
            if method == "get" {
                let has = field("If-None-Match").is_some() && !call_["responses"]["304"].is_null();
                assert_eq!(has, !WITHOUT_TAG.contains(&id), "{id}");
                continue;
            }
            let Some(field) = field("If-Match") else {
                assert!(WITHOUT_CONDITION.contains(&id), "{id} does not depend on a tag, and there is no reason");
                if !["logIn", "setUp"].contains(&id) {
                    let answer = call(
                        &desk,
                        &method.to_uppercase(),
                        &fill(path).replace("{serial}", "1").replace("{token}", "x"),
                        ("if-match", WRONG),
                        &json!({}),
                    )
                    .await;
                    assert_eq!((answer.status, answer.code().as_str()), (412, "no-tag"), "{id}");
                }
                continue;
            };
            assert!(!WITHOUT_CONDITION.contains(&id), "{id}");
            let about = field["description"].as_str().expect("text");
            let shown = about.split("GET ").nth(1).and_then(|rest| rest.split([';', ',']).next()).expect("it names what has the tag");
            let now = tag(&desk, &fill(shown)).await;
            let answer = call(&desk, &method.to_uppercase(), &fill(path), ("if-match", WRONG), &body(id)).await;
            assert_eq!((answer.status, answer.code().as_str()), (412, "changed-meanwhile"), "{id}: {answer:?}");
            assert_eq!((answer.json()["etag"].as_str(), answer.header("etag")), (Some(now.as_str()), now.as_str()), "{id}");
            assert!(answer.json()["detail"].as_str().is_some_and(|text| text.contains("read it again") && text.contains(&now)), "{id}");
            assert_eq!(tag(&desk, &fill(shown)).await, now, "{id}: nothing was done");
            conditional += 1;
        }
    }
    assert!(conditional > 20, "{conditional}");
}

#[tokio::test]
async fn a_tag_stays_until_something_changes_and_saves_the_answer() {
    let (desk, fill) = furnished().await;
    let steps = [
        ("/v1/admin/lists/{list}", "PATCH", "/v1/admin/lists/{list}", json!({"title": "Better"})),
        ("/v1/admin/lists/{list}/staged", "POST", "/v1/admin/lists/{list}/changes", json!({"put": [{"rule": "worse.example"}]})),
        ("/v1/admin/lists/{list}/policy", "PUT", "/v1/admin/lists/{list}/policy", json!({"approvals": 1})),
        ("/v1/admin/lists/{list}/policy", "POST", "/v1/admin/lists/{list}/freeze", json!({"reason": "holidays"})),
        ("/v1/admin/lists/{list}/cases/{reference}", "POST", "/v1/admin/lists/{list}/cases/{reference}/notes", json!({"note": "seen"})),
        ("/v1/admin/accounts/{account}", "PATCH", "/v1/admin/accounts/{account}", json!({"grants": {"test": ["editor"]}})),
        ("/v1/admin/schemes/{scheme}", "PUT", "/v1/admin/schemes", json!({"id": "content", "names": {"en": "Mine"}, "codes": []})),
    ];
    for (shown, method, path, body) in steps {
        let (shown, path) = (fill(shown), fill(path));
        let before = tag(&desk, &shown).await;
        assert!(before.len() == 73 && before.starts_with('"'), "{shown}: a strong tag, {before}");
        assert_eq!(tag(&desk, &shown).await, before, "{shown}");
        let held = [format!("\"x\", W/{before}"), "*".into()];
        for held in &held {
            let saved = desk.server.get(&shown, &[BEARER, ("if-none-match", held)]).await;
            assert_eq!((saved.status, saved.header("etag"), saved.body.len()), (304, before.as_str(), 0), "{shown}");
        }
        let answer = call(&desk, method, &path, ("if-match", &before), &body).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let after = tag(&desk, &shown).await;
        assert_ne!(after, before, "{shown}");
        if shown == path || path.ends_with("freeze") || path.ends_with("notes") {
            assert_eq!(answer.header("etag"), after, "{path} answers what is there now");
        }
        assert_eq!(desk.server.get(&shown, &[BEARER, ("if-none-match", &before)]).await.status, 200);
        assert_eq!(call(&desk, method, &path, ("if-match", &before), &body).await.status, 412, "{path} twice");
        assert_eq!(call(&desk, method, &path, ("if-match", "*"), &body).await.status, 200, "{path}");
        assert_eq!(call(&desk, method, &path, ("if-match", "nonsense"), &body).await.code(), "bad-tag");
    }
}

#[tokio::test]
async fn what_overwrites_a_whole_says_what_it_has_read() {
    let (desk, fill) = furnished().await;
    let case = fill("/v1/admin/lists/{list}/cases/{reference}");
    let approve = format!("{case}/approve");
    let scheme = json!({"id": "own", "names": {"en": "Own"}, "codes": []});
    let writes = [
        ("PUT", "/v1/admin/lists/test/policy", json!({"approvals": 1}), "GET /v1/admin/lists/{list}/policy"),
        ("PUT", "/v1/admin/schemes", scheme.clone(), "GET /v1/admin/schemes/{scheme}"),
        ("PATCH", "/v1/admin/accounts/anna", json!({"grants": {"*": ["owner"]}}), "GET /v1/admin/accounts/{account}"),
        ("POST", &approve, json!({"reason": "as it should be"}), "GET /v1/admin/lists/{list}/cases/{reference}"),
        ("PATCH", &case, json!({"words": {"rule": "other.example"}}), "GET /v1/admin/lists/{list}/cases/{reference}"),
    ];
    for (method, path, body, shown) in &writes {
        let answer = call(&desk, method, path, ("accept", "*/*"), body).await;
        assert_eq!((answer.status, answer.code().as_str()), (428, "tag-needed"), "{path}");
        assert!(answer.text().contains(shown), "{path}: {}", answer.text());
    }
    // What is made anew has no tag, and says so.
    assert_eq!(call(&desk, "PUT", "/v1/admin/schemes", ("if-none-match", "*"), &scheme).await.status, 200);
    assert_eq!(call(&desk, "PUT", "/v1/admin/schemes", ("if-none-match", "*"), &scheme).await.code(), "changed-meanwhile");
    // One field that somebody has written himself, and what must not wait, need no reading.
    assert_eq!(desk.json("PATCH", "/lists/test", &json!({"title": "T"})).await.status, 200);
    assert_eq!(desk.json("PATCH", "/accounts/anna", &json!({"disabled": true})).await.status, 200);
    assert_eq!(desk.json("POST", "/lists/test/freeze", &json!({"reason": "now"})).await.status, 200);
}

/// What is read, by which call it is changed, and to what by each.
type Race<'a> = (&'a str, &'static str, String, fn(usize) -> Value);

/// All have read the same; one of them changes it, and the others are told.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_writers_at_once_one_goes_through() {
    let (desk, fill) = furnished().await;
    let desk = Arc::new(desk);
    let (policy, case) = ("/v1/admin/lists/test/policy", fill("/v1/admin/lists/{list}/cases/{reference}"));
    let races: [Race<'_>; 6] = [
        (policy, "PUT", policy.into(), |i| json!({"approvals": 1, "appeal": i.to_string()})),
        (policy, "POST", "/v1/admin/lists/test/freeze".into(), |i| json!({"reason": i.to_string()})),
        ("/v1/admin/lists/test", "PATCH", "/v1/admin/lists/test".into(), |i| json!({"title": i.to_string()})),
        (
            "/v1/admin/lists/test/staged",
            "POST",
            "/v1/admin/lists/test/changes".into(),
            |i| json!({"put": [{"rule": format!("n{i}.example")}]}),
        ),
        ("/v1/admin/accounts/anna", "PATCH", "/v1/admin/accounts/anna".into(), |i| json!({"grants": {format!("list-{i}"): ["editor"]}})),
        (&case, "PATCH", case.clone(), |i| json!({"words": {"rule": format!("c{i}.example")}})),
    ];
    for (shown, method, path, body) in races {
        let before = tag(&desk, shown).await;
        let tasks: Vec<_> = (0..8)
            .map(|i| {
                let (desk, path, before, body) = (desk.clone(), path.clone(), before.clone(), body(i));
                tokio::spawn(async move { call(&desk, method, &path, ("if-match", &before), &body).await })
            })
            .collect();
        let mut done = 0;
        for task in tasks {
            let answer = task.await.expect("an answer");
            match answer.status {
                200 => done += 1,
                412 => assert_eq!(answer.code(), "changed-meanwhile"),
                other => panic!("{path}: {other}: {}", answer.text()),
            }
        }
        assert_eq!(done, 1, "{method} {path}");
    }
}

/// A retry of what was done is not told that it came too late.
#[tokio::test]
async fn a_key_goes_before_a_condition() {
    let desk = Desk::with_list().await;
    let before = tag(&desk, "/v1/admin/lists/test").await;
    let fields = [BEARER, ("idempotency-key", "k"), ("if-match", before.as_str())];
    let mut answers = Vec::new();
    for _ in 0..2 {
        answers.push(desk.server.raw().await.request("PATCH", "/v1/admin/lists/test", &fields, b"{\"title\":\"Better\"}").await);
    }
    assert_eq!((answers[0].status, answers[1].status), (200, 200));
    assert_eq!(answers[1].header("idempotency-replayed"), "true");
    assert_eq!(answers[0].header("etag"), answers[1].header("etag"));
}
