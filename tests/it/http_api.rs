//! What the operator's API promises to programs: writes that are done once, changes that are made to what was seen.

use bwld::list::Digest;
use bwld::store::Record;
use serde_json::{Value, json};

use super::http_admin::{BEARER, Desk};
use super::raw::Answer;
use super::signed;

async fn keyed(desk: &Desk, method: &str, path: &str, key: &str, body: &Value) -> Answer {
    let headers = [BEARER, ("idempotency-key", key)];
    desk.server.raw().await.request(method, &format!("/v1/admin{path}"), &headers, body.to_string().as_bytes()).await
}

#[tokio::test]
async fn a_write_under_a_key_is_done_once() {
    let desk = Desk::with_list().await;
    let put = |name: &str| json!({"put": [{"rule": name}]});
    let first = keyed(&desk, "POST", "/lists/test/changes", "k1", &put("a.example")).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (200, ""));
    let again = keyed(&desk, "POST", "/lists/test/changes", "k1", &put("a.example")).await;
    assert_eq!((again.status, again.header("idempotency-replayed"), again.text()), (200, "true", first.text()));
    assert_eq!(again.header("content-type"), first.header("content-type"));
    let other = keyed(&desk, "POST", "/lists/test/changes", "k1", &put("b.example")).await;
    assert_eq!((other.status, other.code().as_str()), (422, "idempotency-mismatch"));
    // Another call under the same key is another request.
    assert_eq!(keyed(&desk, "POST", "/lists/test/publish", "k1", &put("a.example")).await.code(), "idempotency-mismatch");

    let published = keyed(&desk, "POST", "/lists/test/publish", "k2", &json!({"reason": "first"})).await.json();
    assert_eq!(published["version"]["serial"], 1);
    desk.json("POST", "/lists/test/changes", &put("c.example")).await;
    let again = keyed(&desk, "POST", "/lists/test/publish", "k2", &json!({"reason": "first"})).await.json();
    assert_eq!(again, published, "the answer of then, and no second publication");
    assert_eq!(desk.ask("GET", "/lists/test", b"").await.json()["serial"], 1);

    // What was refused was not done: the key is free for the request as it should have been.
    let refused = keyed(&desk, "POST", "/lists/test/changes", "k3", &put("com")).await;
    assert_eq!(refused.status, 422);
    assert_eq!(keyed(&desk, "POST", "/lists/test/changes", "k3", &put("d.example")).await.status, 200);
    // The place of what was made is part of the answer.
    let new = json!({"id": "other", "colour": "black", "title": "Other"});
    for _ in 0..2 {
        let made = keyed(&desk, "POST", "/lists", "k4", &new).await;
        assert_eq!((made.status, made.header("location")), (201, "/v1/admin/lists/other"));
    }
    for wrong in ["", &"x".repeat(256), "a\tb"] {
        assert_eq!(keyed(&desk, "POST", "/lists", wrong, &new).await.code(), "bad-idempotency-key", "{wrong:?}");
    }
}

/// As many as come at once: one does it, the others are told that it is being done or get its answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_at_once_under_one_key_one_is_done() {
    let desk = std::sync::Arc::new(Desk::with_list().await);
    desk.json("POST", "/lists/test/changes", &json!({"put": [{"rule": "a.example"}]})).await;
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let desk = desk.clone();
            tokio::spawn(async move { keyed(&desk, "POST", "/lists/test/publish", "same", &json!({})).await })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        let answer = task.await.expect("an answer");
        match answer.status {
            200 => {
                assert_eq!(answer.json()["version"]["serial"], 1);
                done += usize::from(answer.header("idempotency-replayed").is_empty());
            }
            409 => assert_eq!(answer.code(), "idempotency-in-progress"),
            other => panic!("{other}"),
        }
    }
    assert_eq!(done, 1);
}

#[tokio::test]
async fn an_import_is_watched_while_it_runs() {
    let desk = Desk::with_list().await;
    let half: String = (0..200_000).map(|i| format!("name-{i}.example\n")).collect();
    let length = 2 * half.len() + "not a name\n".len();
    let mut import = desk.server.raw().await;
    let path = "/v1/admin/lists/test/import?format=domains&job=big";
    let header = format!("POST {path} HTTP/1.1\r\nhost: x\r\n{}: {}\r\ncontent-length: {length}\r\n\r\n{half}", BEARER.0, BEARER.1);
    import.send(header.as_bytes()).await;

    let mut watching = desk.server.raw().await;
    watching.begin("GET", "/v1/admin/jobs/big/events", &[BEARER], b"").await;
    let head = watching.head().await;
    assert_eq!((head.status, head.header("content-type")), (200, "text/event-stream"));
    // The second half is not sent before the first has been seen, so that events come while it runs.
    let mut seen = json!(null);
    while seen["lines"].as_u64().unwrap_or(0) == 0 {
        let event = String::from_utf8(watching.chunk().await.expect("an event")).expect("text");
        let told = event.strip_prefix("event: progress\ndata: ").unwrap_or_else(|| panic!("{event}"));
        seen = serde_json::from_str(told).expect("JSON");
    }
    assert!(seen["octets"].as_u64() > Some(0) && seen["ended"] == false, "{seen}");
    let twice = desk.import("?job=big", "", b"x.example\n").await;
    assert_eq!((twice.status, twice.code().as_str()), (409, "conflict"));
    import.send(half.replace("name", "next").as_bytes()).await;
    import.send(b"not a name\n").await;
    let report = import.answer(false).await;
    assert_eq!(report.status, 200, "{report:?}");
    let mut last = String::new();
    while let Some(event) = watching.chunk().await {
        last = String::from_utf8(event).expect("text");
    }
    let told: Value = serde_json::from_str(last.strip_prefix("event: done\ndata: ").expect("the last event")).expect("JSON");
    assert_eq!(told, report.json());
    let view = desk.ask("GET", "/jobs/big", b"").await.json();
    assert_eq!((view["ended"].as_bool(), view["lines"].as_u64(), view["issues"].as_u64()), (Some(true), Some(400_001), Some(1)), "{view}");

    // One that breaks off says so, and has staged nothing.
    let staged = desk.ask("GET", "/lists/test/staged", b"").await.json();
    let mut broken = desk.server.raw().await;
    let header = format!("POST {} HTTP/1.1\r\nhost: x\r\n{}: {}\r\n", path.replace("big", "cut"), BEARER.0, BEARER.1);
    broken.send(format!("{header}content-length: 5000\r\n\r\nnew.example\n").as_bytes()).await;
    let mut watching = desk.server.raw().await;
    watching.begin("GET", "/v1/admin/jobs/cut/events", &[BEARER], b"").await;
    watching.head().await;
    drop(broken);
    let mut last = String::new();
    while let Some(event) = watching.chunk().await {
        last = String::from_utf8(event).expect("text");
    }
    assert!(last.starts_with("event: failed\n") && last.contains("nothing was staged"), "{last}");
    assert_eq!(desk.ask("GET", "/lists/test/staged", b"").await.json(), staged);
    assert_eq!(desk.ask("GET", "/jobs/none", b"").await.code(), "unknown-job");
    assert_eq!(desk.import("?job=no/name", "", b"x.example\n").await.code(), "bad-parameter");
}

/// More keys whose day is over than one look takes in: all of them go, and none before its time.
#[tokio::test]
async fn every_key_goes_when_its_day_is_over() {
    const OLD: usize = 2_500;
    let desk = Desk::with_list().await;
    let kept = || desk.store.documents("idempotency", "", 10_000).expect("the store").len();
    let document = |n: usize| Record::Document {
        table: "idempotency".into(),
        key: Digest::of(n.to_string()).hex(),
        // Some of them are of today.
        value: Some(json!({
            "at": if n.is_multiple_of(500) { signed::now() } else { "2020-01-01T00:00:00Z".parse().expect("a time") },
            "request": Digest::of("a request"),
            "answer": null,
        })),
    };
    desk.store.commit(&Record::All { records: (0..OLD).map(document).collect() }).expect("the store");
    assert_eq!(kept(), OLD);
    for n in 0..30 {
        let put = json!({"put": [{"rule": format!("n{n}.example")}]});
        assert_eq!(keyed(&desk, "POST", "/lists/test/changes", &format!("key{n}"), &put).await.status, 200);
    }
    assert_eq!(kept(), OLD / 500 + 30);
}
