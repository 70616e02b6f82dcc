//! What the operator's API promises to programs: writes that are done once, changes that are made to what was seen.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use bwld::http::{Admin, RouteOptions, router};
use bwld::list::Digest;
use bwld::store::faults::HastyDisk;
use bwld::store::{Disk, Record};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::http_admin::{BEARER, Desk};
use super::raw::{Answer, SOON};
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
    let desk = Arc::new(Desk::with_list().await);
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

/// A disk on which nothing gets its name while its gate is shut.
#[derive(Debug, Default)]
struct GatedDisk {
    /// Whether it is shut, and whether somebody stands before it.
    gate: Mutex<(bool, bool)>,
    opened: Condvar,
}

/// While this is there the gate is shut; nobody stands before it longer than the test takes.
struct Shut<'a>(&'a GatedDisk);

impl Drop for Shut<'_> {
    fn drop(&mut self) {
        self.0.gate.lock().expect("no panic").0 = false;
        self.0.opened.notify_all();
    }
}

impl GatedDisk {
    fn shut(&self) -> Shut<'_> {
        self.gate.lock().expect("no panic").0 = true;
        Shut(self)
    }

    async fn reached(&self) {
        let reached = async {
            while !self.gate.lock().expect("no panic").1 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SOON, reached).await.expect("somebody comes to the gate");
    }
}

impl Disk for GatedDisk {
    fn create(&self, path: &Path, secret: bool) -> io::Result<File> {
        HastyDisk.create(path, secret)
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        HastyDisk.create_dir(path)
    }
    fn append(&self, file: &File, bytes: &[u8]) -> io::Result<()> {
        HastyDisk.append(file, bytes)
    }
    fn sync(&self, file: &File) -> io::Result<()> {
        HastyDisk.sync(file)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut gate = self.gate.lock().expect("no panic");
        gate.1 = gate.0;
        drop(self.opened.wait_while(gate, |(shut, _)| *shut).expect("no panic"));
        HastyDisk.rename(from, to)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        HastyDisk.sync_dir(path)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        HastyDisk.remove(path)
    }
    fn truncate(&self, file: &File, len: u64) -> io::Result<()> {
        HastyDisk.truncate(file, len)
    }
}

fn request(method: &str, path: &str, body: &'static str) -> Request<Body> {
    let request = Request::builder().method(method).uri(path).header(BEARER.0, BEARER.1);
    request.body(body.into()).expect("a request")
}

async fn text(answer: Response) -> String {
    let body = tokio::time::timeout(SOON, axum::body::to_bytes(answer.into_body(), 1 << 20)).await.expect("an end");
    String::from_utf8(body.expect("a body").to_vec()).expect("text")
}

/// A client that goes away once its body has come whole does not stop the import: the job goes on as it does, and says what became of it.
#[tokio::test]
async fn an_import_whose_client_went_away_is_told_as_it_ends() {
    let disk = Arc::new(GatedDisk::default());
    let desk = Desk::open_on(disk.clone(), Admin::DEFAULT_MAX_IMPORT, RouteOptions::default()).await;
    desk.create_list().await;
    let router = router(desk.app.clone());
    let ask = |request| router.clone().oneshot(request);
    let import = || request("POST", "/v1/admin/lists/test/import?format=domains&job=left", "one.example\ntwo.example\n");
    let shut = disk.shut();
    // What was read is given its name when all has been read; the client waits, then waits no longer.
    let client = tokio::spawn(ask(import()));
    disk.reached().await;
    client.abort();
    assert!(client.await.expect_err("it went away").is_cancelled());

    let job: Value =
        serde_json::from_str(&text(ask(request("GET", "/v1/admin/jobs/left", "")).await.expect("an answer")).await).expect("JSON");
    assert_eq!((&job["ended"], &job["failed"], &job["entries"]), (&json!(false), &Value::Null, &json!(2)), "{job}");
    assert_eq!(ask(import()).await.expect("an answer").status(), 409, "none of the same name runs beside it");
    let watching = ask(request("GET", "/v1/admin/jobs/left/events", "")).await.expect("an answer");
    drop(shut);
    let events = text(watching).await;
    let done = events.trim_end().rsplit("\n\n").next().and_then(|last| last.strip_prefix("event: done\ndata: "));
    let report: Value = serde_json::from_str(done.unwrap_or_else(|| panic!("{events}"))).expect("JSON");
    assert_eq!((&report["done"], &report["staged"]["added"]), (&json!(true), &json!(2)), "{report}");
    assert_eq!(desk.ask("GET", "/lists/test/staged", b"").await.json()["added"], 2);
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

/// Keys cost room in the store: what changes nothing takes none, and an account has so many of them at one time.
#[tokio::test]
async fn an_account_cannot_fill_the_store_with_keys() {
    let options = RouteOptions { max_keys: 3, ..RouteOptions::default() };
    let desk = Desk::open_on(Arc::new(HastyDisk), Admin::DEFAULT_MAX_IMPORT, options).await;
    desk.create_list().await;
    let kept = || desk.store.documents("idempotency", "", 100).expect("the store").len();
    for n in 0..5 {
        assert_eq!(keyed(&desk, "POST", "/lists/test/preview", &format!("p{n}"), &json!({})).await.status, 200);
        assert_eq!(keyed(&desk, "POST", "/logout", &format!("l{n}"), &json!({})).await.status, 204);
    }
    assert_eq!(kept(), 0);
    let put = |n: usize| json!({"put": [{"rule": format!("n{n}.example")}]});
    let change = async |n: usize| keyed(&desk, "POST", "/lists/test/changes", &format!("k{n}"), &put(n)).await;
    for n in 0..3 {
        // What is refused takes no place.
        assert_eq!(keyed(&desk, "POST", "/lists/test/changes", "refused", &json!({"put": [{"rule": "com"}]})).await.status, 422);
        assert_eq!(change(n).await.status, 200);
    }
    let fourth = change(3).await;
    assert_eq!((fourth.status, fourth.code().as_str(), fourth.header("retry-after")), (429, "too-many-keys", "86400"));
    assert_eq!((kept(), desk.ask("GET", "/lists/test/staged", b"").await.json()["added"].as_u64()), (3, Some(3)), "it was not done");
    assert_eq!(change(0).await.header("idempotency-replayed"), "true", "those there are count as before");
    assert_eq!(desk.json("POST", "/lists/test/changes", &put(3)).await.status, 200, "without a key");
}
