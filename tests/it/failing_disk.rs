//! A publisher whose disk fails: who asks is told what to do, and `/readyz` sends everybody else elsewhere.

use std::sync::Arc;

use bwld::http::{Admin, RouteOptions};
use bwld::store::failing::{Condition, FailingDisk};
use bwld::store::faults::{Effect, FaultDisk, Then};
use serde_json::{Value, json};

use super::http_admin::{BEARER, Desk};
use super::raw::Answer;

async fn desk() -> (Desk, Arc<FailingDisk>) {
    let disk = Arc::new(FailingDisk::default());
    let desk = Desk::open_on(disk.clone(), Admin::DEFAULT_MAX_IMPORT, RouteOptions::default()).await;
    desk.create_list().await;
    (desk, disk)
}

#[tokio::test]
async fn a_full_disk_is_told_with_a_time_to_come_back_and_nothing_is_lost() {
    let (desk, disk) = desk().await;
    desk.json("POST", "/lists/test/changes", &json!({"put": [{"rule": "bad.example"}]})).await;
    disk.set(Condition::Full);
    let writes = [
        ("POST", "/lists/test/publish", String::new()),
        ("PATCH", "/lists/test", json!({"title": "Better"}).to_string()),
        ("POST", "/lists", json!({"id": "other", "colour": "black", "title": "T"}).to_string()),
    ];
    for (method, path, body) in &writes {
        let answer = desk.ask(method, path, body.as_bytes()).await;
        assert_eq!((answer.status, answer.code().as_str()), (503, "retry"), "{path}: {answer:?}");
        let wait: u64 = answer.header("retry-after").parse().expect("seconds");
        assert!((10..=20).contains(&wait), "{path}: {wait}");
    }
    assert_eq!(desk.server.get("/readyz", &[]).await.status, 200, "what is published is served");
    disk.set(Condition::Sound);
    for (method, path, body) in &writes {
        let answer = desk.ask(method, path, body.as_bytes()).await;
        assert!((200..300).contains(&answer.status), "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn a_store_of_unknown_outcome_is_not_ready_at_once_and_says_why() {
    let (desk, disk) = desk().await;
    let ready = desk.server.get("/readyz", &[]).await;
    assert_eq!((ready.status, ready.json()["ready"].as_bool()), (200, Some(true)));
    disk.set(Condition::Gone);
    let answer = desk.json("PATCH", "/lists/test", &json!({"title": "Better"})).await;
    assert_eq!((answer.status, answer.code().as_str()), (500, "fatal"), "{answer:?}");
    let ready = desk.server.get("/readyz", &[]).await;
    let reason = ready.json()["reasons"][0].to_string();
    assert_eq!(ready.status, 503);
    assert!(reason.contains("is unknown") && reason.contains("restart to repair"), "{reason}");
    assert!(desk.server.get("/metrics", &[]).await.text().contains("bwld_ready 0"));
    // The disk working again does not tell what it took.
    disk.set(Condition::Sound);
    assert_eq!(desk.json("PATCH", "/lists/test", &json!({"title": "Better"})).await.status, 500);
    assert_eq!(desk.server.get("/readyz", &[]).await.json()["reasons"].as_array().map(Vec::len), Some(1));
}

/// A write of the API, on what [`prepared`] leaves.
#[derive(Clone, Copy, Debug)]
struct Write {
    method: &'static str,
    path: &'static str,
    body: &'static str,
    /// Whether it is done under an idempotency key.
    keyed: bool,
}

const WRITES: [Write; 6] = [
    Write { method: "POST", path: "/lists/test/import", body: "a.example\nb.example\n", keyed: false },
    Write { method: "POST", path: "/lists/test/publish", body: "{\"reason\":\"r\"}", keyed: true },
    Write { method: "POST", path: "/lists/test/cases/REFERENCE/approve", body: "{\"reason\":\"r\",\"revision\":1}", keyed: true },
    Write { method: "POST", path: "/lists", body: "{\"id\":\"other\",\"colour\":\"black\",\"title\":\"T\"}", keyed: true },
    Write { method: "POST", path: "/accounts", body: "{\"name\":\"anna\"}", keyed: true },
    // It is off the list already: this makes no version.
    Write { method: "POST", path: "/lists/test/cases/SUSPENDED/remove", body: "{\"reason\":\"r\"}", keyed: true },
];

/// A list with a version, something staged, a case that is proposed and one that is suspended: their references.
async fn prepared(disk: &Arc<FaultDisk>) -> (Desk, [String; 2]) {
    let desk = Desk::open_on(disk.clone(), Admin::DEFAULT_MAX_IMPORT, RouteOptions::default()).await;
    desk.create_list().await;
    // Somebody else's, so that it can be approved.
    desk.people
        .create_account(
            bwld::people::NewAccount { name: "ed".into(), grants: bwld::people::Grants::everywhere(bwld::people::Role::Editor) },
            "test",
        )
        .expect("an account");
    let made = desk.people.create_token(bwld::people::NewToken { account: "ed".into(), ..Default::default() }, "test").expect("a token");
    let bearer = format!("Bearer {}", made.secret.as_str());
    let policy =
        desk.server.raw().await.request("PUT", "/v1/admin/lists/test/policy", &[BEARER, ("if-match", "*")], b"{\"approvals\":1}").await;
    assert_eq!(policy.status, 200, "{policy:?}");
    desk.json("POST", "/lists/test/changes", &json!({"put": [{"rule": "old.example"}]})).await;
    let forced = desk.json("POST", "/lists/test/publish", &json!({"force": ["approvals"]})).await;
    assert_eq!(forced.status, 200, "{forced:?}");
    let body = json!({"words": {"rule": "case.example"}}).to_string();
    let case = desk.server.raw().await.request("POST", "/v1/admin/lists/test/cases", &[("authorization", &bearer)], body.as_bytes()).await;
    assert_eq!(case.status, 201, "{case:?}");
    let proposed = case.json()["reference"].as_str().expect("a reference").to_owned();
    // What is staged needs none then; the case is proposed still.
    let relaxed = desk.server.raw().await.request("PUT", "/v1/admin/lists/test/policy", &[BEARER, ("if-match", "*")], b"{}").await;
    assert_eq!(relaxed.status, 200, "{relaxed:?}");
    let case = desk.json("POST", "/lists/test/cases", &json!({"words": {"rule": "suspended.example"}})).await;
    let suspended = case.json()["reference"].as_str().expect("a reference").to_owned();
    let published = desk.json("POST", "/lists/test/cases/publish", &json!({"references": [suspended]})).await;
    assert_eq!(published.status, 200, "{published:?}");
    let answer = desk.json("POST", &format!("/lists/test/cases/{suspended}/suspend"), &json!({"reason": "r"})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    desk.json("POST", "/lists/test/changes", &json!({"put": [{"rule": "new.example"}]})).await;
    (desk, [proposed, suspended])
}

async fn write(desk: &Desk, write: Write, [proposed, suspended]: &[String; 2]) -> Answer {
    let path = format!("/v1/admin{}", write.path.replace("REFERENCE", proposed).replace("SUSPENDED", suspended));
    let fields = if write.keyed { vec![BEARER, ("idempotency-key", "once")] } else { vec![BEARER] };
    desk.server.raw().await.request(write.method, &path, &fields, write.body.as_bytes()).await
}

/// All that can be told from outside, the audit chain to the letter.
async fn state(desk: &Desk) -> Vec<Value> {
    let mut all = Vec::new();
    for path in
        ["/lists", "/lists/test/staged", "/lists/test/policy", "/lists/test/review", "/lists/test/log", "/accounts", "/queue", "/entries"]
    {
        all.push(desk.ask("GET", path, b"").await.json());
    }
    all.push(json!(desk.ask("GET", "/audit/export", b"").await.text()));
    all.push(json!(desk.server.get("/v1/lists/test/head", &[]).await.text()));
    all
}

/// At each operation of the disk, with and without its effect: what was refused left nothing, and its key is free; of what is told to
/// be of unknown outcome, all is there or nothing.
async fn refused_half_way(which: usize) {
    let made = WRITES[which];
    let sound = Arc::new(FaultDisk::new(u64::MAX, Effect::Nothing, Then::Works));
    let (desk, references) = prepared(&sound).await;
    sound.fail_at(u64::MAX);
    let answer = write(&desk, made, &references).await;
    assert!((200..300).contains(&answer.status), "{made:?}: {answer:?}");
    let operations = sound.operations();
    assert!(operations > 1, "{made:?}");
    let (mut refused, mut unknown) = (0, 0);
    // A disk that works again can cut off what it took half of; one that is gone cannot, and then nobody knows.
    let ways = [(Effect::Nothing, Then::Works), (Effect::Half, Then::Works), (Effect::All, Then::Works), (Effect::Half, Then::Fails)];
    for (nth, (effect, then)) in (0..operations).flat_map(|nth| ways.map(|way| (nth, way))) {
        let disk = Arc::new(FaultDisk::new(u64::MAX, effect, then));
        let (desk, references) = prepared(&disk).await;
        let before = state(&desk).await;
        disk.fail_at(nth);
        let answer = write(&desk, made, &references).await;
        let desk = desk.again().await;
        let after = state(&desk).await;
        let what = format!("{made:?} at operation {nth} of {operations}, {effect:?}: {}", answer.status);
        match answer.status {
            // Behind the commit point: it is done.
            200..=299 => assert_ne!(after, before, "{what}"),
            503 => {
                assert_eq!(after, before, "{what}");
                refused += 1;
            }
            500 => {
                assert_eq!(answer.code(), "fatal", "{what}");
                unknown += 1;
            }
            _ => panic!("{what}: {}", answer.text()),
        }
        let done = after != before;
        let retried = write(&desk, made, &references).await;
        if done && made.keyed {
            let told = retried.header("idempotency-replayed") == "true" || retried.code() == "idempotency-answer-lost";
            assert!(told, "{what}: done, so not again: {retried:?}");
            assert_eq!(state(&desk).await, after, "{what}");
        } else {
            assert!((200..300).contains(&retried.status), "{what}: its key is free: {retried:?}");
            assert!(retried.header("idempotency-replayed").is_empty(), "{what}");
        }
    }
    assert!(refused > 0 && unknown > 0, "{made:?}: {refused} refused, {unknown} of unknown outcome");
}

#[tokio::test]
async fn an_import_refused_half_way_leaves_nothing() {
    refused_half_way(0).await;
}

#[tokio::test]
async fn a_publication_refused_half_way_leaves_nothing() {
    refused_half_way(1).await;
}

#[tokio::test]
async fn an_approval_refused_half_way_leaves_nothing() {
    refused_half_way(2).await;
}

#[tokio::test]
async fn a_list_refused_half_way_leaves_nothing() {
    refused_half_way(3).await;
}

#[tokio::test]
async fn an_account_refused_half_way_leaves_nothing() {
    refused_half_way(4).await;
}

#[tokio::test]
async fn a_removal_that_makes_no_version_refused_half_way_leaves_nothing() {
    refused_half_way(5).await;
}
