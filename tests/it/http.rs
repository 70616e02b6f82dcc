//! The public routes of docs/PROTOCOL.md sections 11 and 12 over a socket.

use std::io::Read;
use std::time::Duration;

use bwld::list::{Colour, Digest};
use bwld::trust::Trusted;
use bwld::wire::{Delta, Head, Note, SnapshotReader, decompress};

use super::feed::Events;
use super::publishing::{NOW, World, additions, changes, id};
use super::raw::{Answer, Raw, SOON, Server};

const IMMUTABLE: &str = "public, max-age=31536000, immutable";

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).expect("gzip");
    plain
}

fn head_of(answer: &Answer) -> Head {
    Head::parse(&Note::parse(&answer.body, 4_096).expect("a note").text).expect("a head")
}

#[tokio::test]
async fn lists_are_offered_with_all_that_the_protocol_names() {
    let world = World::new();
    world.publish("adult", &additions("a", 0..300));
    world.publish("zoo", &additions("z", 0..3));
    let server = Server::start(&world).await;
    let answer = server.get("/v1/lists", &[]).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    let json = answer.json();
    assert_eq!((json["origin"].as_str(), json["keyset"].as_u64()), (Some("lists.example.org"), Some(1)));
    let keyset = server.get("/v1/keyset", &[]).await;
    let trusted = Trusted::self_signed_for_tofu(&keyset.body).expect("a key set");
    assert_eq!(json["fingerprint"].as_str(), Some(trusted.fingerprint().to_string().as_str()));
    let list = &json["lists"][0];
    assert_eq!(json["lists"].as_array().map(Vec::len), Some(2));
    for (field, value) in [("id", "adult"), ("colour", "black"), ("title", "List adult"), ("owner", "Test board"), ("licence", "CC0-1.0")] {
        assert_eq!(list[field].as_str(), Some(value), "{field}");
    }
    assert_eq!((list["serial"].as_u64(), list["entries"].as_u64()), (Some(1), Some(300)));
    assert!(list["updated"].is_string() && list["categories"].is_array() && list["source"].is_string());

    let etag = answer.header("etag").to_owned();
    assert_eq!(server.get("/v1/lists", &[("if-none-match", &etag)]).await.status, 304);
    world.publish("malware", &["+domain:x.example"]);
    assert_eq!(server.get("/v1/lists", &[("if-none-match", &etag)]).await.status, 200);
    assert_eq!(gunzip(&server.get("/v1/lists", &[("accept-encoding", "gzip")]).await.body)[0], b'{');
}

#[tokio::test]
async fn key_sets_are_given_newest_and_by_number() {
    let world = World::new();
    let server = Server::start(&world).await;
    let newest = server.get("/v1/keyset", &[]).await;
    let first = server.get("/v1/keyset/1", &[]).await;
    assert_eq!((newest.status, first.status, &newest.body), (200, 200, &first.body));
    assert_eq!(first.header("cache-control"), IMMUTABLE);
    assert!(newest.header("cache-control").starts_with("public, max-age="));
    assert_eq!(server.get("/v1/keyset/2", &[]).await.code(), "unknown-keyset");
    for bad in ["0", "01", "x", "-1"] {
        assert_eq!(server.get(&format!("/v1/keyset/{bad}"), &[]).await.code(), "bad-number");
    }
}

#[tokio::test]
async fn the_head_is_verified_cached_and_polled_cheaply() {
    let world = World::new();
    world.publish("a", &additions("a", 0..50));
    let server = Server::start(&world).await;
    let answer = server.get("/v1/lists/a/head", &[]).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/plain; charset=utf-8"));
    let trusted = Trusted::self_signed_for_tofu(&server.get("/v1/keyset", &[]).await.body).expect("a key set");
    let now = bwld::list::Timestamp::from_unix(NOW);
    let head = trusted.verify_head(&answer.body, &id("a"), Some(Colour::Black), None, now).expect("a verified head");
    assert_eq!(head.head().serial.get(), 1);
    let age: u64 = answer.header("cache-control").trim_start_matches("public, max-age=").parse().expect("seconds");
    assert!((45..=75).contains(&age), "{age}");

    let etag = answer.header("etag").to_owned();
    let mut raw = server.raw().await;
    let unchanged = raw.request("GET", "/v1/lists/a/head", &[("if-none-match", &etag)], b"").await;
    assert_eq!((unchanged.status, unchanged.header("etag"), unchanged.body.len()), (304, etag.as_str(), 0));
    assert!(raw.wire < 512, "an empty poll cost {} octets", raw.wire);
    // Signed again: the same serial, another tag.
    world.resign("a", 60);
    assert_eq!(server.get("/v1/lists/a/head", &[("if-none-match", &etag)]).await.status, 200);

    let to_head = server.raw().await.request("HEAD", "/v1/lists/a/head", &[], b"").await;
    assert_eq!((to_head.status, to_head.body.len()), (200, 0));
    assert_eq!(to_head.header("content-length"), server.get("/v1/lists/a/head", &[]).await.header("content-length"));
}

#[tokio::test]
async fn a_long_poll_answers_at_once_or_as_soon_as_there_is_news() {
    let world = World::new();
    world.publish("a", &additions("a", 0..50));
    let server = Server::start(&world).await;
    let etag = server.get("/v1/lists/a/head", &[]).await.header("etag").to_owned();
    // Nothing to wait for.
    assert_eq!(server.get("/v1/lists/a/head?wait=60", &[]).await.status, 200);
    assert_eq!(server.get("/v1/lists/a/head?after=1", &[]).await.status, 304);
    // Nothing comes.
    let mut raw = server.raw().await;
    let empty = raw.request("GET", "/v1/lists/a/head?wait=0&after=1", &[], b"").await;
    assert_eq!((empty.status, empty.header("etag")), (304, etag.as_str()));
    assert!(raw.wire < 512, "an empty poll cost {} octets", raw.wire);

    let mut by_serial = server.raw().await;
    by_serial.begin("GET", "/v1/lists/a/head?wait=60&after=1", &[], b"").await;
    let mut by_tag = server.raw().await;
    by_tag.begin("GET", "/v1/lists/a/head?wait=999", &[("if-none-match", &etag)], b"").await;
    waiting(&world, 2).await;
    world.resign("a", 60);
    let answer = by_tag.answer(false).await;
    assert_eq!((answer.status, head_of(&answer).serial.get()), (200, 1));
    waiting(&world, 1).await;
    world.publish("a", &["+domain:x.example"]);
    let answer = by_serial.answer(false).await;
    assert_eq!((answer.status, head_of(&answer).serial.get()), (200, 2));
    for bad in ["wait=x", "wait=-1", "after=0", "after=x", "wait=1&wait=2"] {
        assert_eq!(server.get(&format!("/v1/lists/a/head?{bad}"), &[]).await.code(), "bad-parameter", "{bad}");
    }
}

async fn waiting(world: &World, count: i64) {
    let reached = async {
        while world.hub.metrics().long_polls.get() != count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, reached).await.expect("so many wait");
}

#[tokio::test]
async fn deltas_are_given_in_every_coding_over_every_span() {
    let world = World::new();
    world.publish("a", &additions("a", 0..500));
    world.publish("a", &["+domain:x.example"]);
    world.publish("a", &["~domain:x.example\tcat=y", "-domain:a1.example"]);
    let server = Server::start(&world).await;
    for (from, to, expected) in [
        (1, 2, changes(&["+domain:x.example"])),
        (2, 3, changes(&["~domain:x.example\tcat=y", "-domain:a1.example"])),
        (1, 3, changes(&["+domain:x.example\tcat=y", "-domain:a1.example"])),
    ] {
        let path = format!("/v1/lists/a/delta/{from}/{to}");
        let mut tags = Vec::new();
        for coding in ["", "zstd", "gzip"] {
            let answer = server.get(&path, &[("accept-encoding", coding)]).await;
            assert_eq!((answer.status, answer.header("content-encoding")), (200, coding), "{path}");
            assert_eq!((answer.header("cache-control"), answer.header("vary")), (IMMUTABLE, "accept-encoding"));
            let plain = match coding {
                "zstd" => decompress("a delta", &answer.body, 1 << 20).expect("zstd"),
                "gzip" => gunzip(&answer.body),
                _ => answer.body.clone(),
            };
            let delta = Delta::parse(&plain).expect("a delta");
            assert_eq!((delta.header.from.get(), delta.header.to.get()), (from, to));
            assert_eq!(delta.changes, expected);
            let again = server.get(&path, &[("accept-encoding", coding), ("if-none-match", answer.header("etag"))]).await;
            assert_eq!(again.status, 304);
            tags.push(answer.header("etag").to_owned());
        }
        tags.dedup();
        assert_eq!(tags.len(), 3, "each coding has a strong tag of its own");
    }
    assert_eq!(server.get("/v1/lists/a/delta/1/2", &[("accept-encoding", "identity;q=0")]).await.code(), "not-acceptable");
}

#[tokio::test]
async fn a_delta_that_is_not_to_be_had_points_to_the_snapshot() {
    let world = World::new();
    world.publish("a", &additions("a", 0..500));
    world.publish("a", &["+domain:x.example"]);
    world.publish("a", &["+domain:y.example"]);
    world.drop_deltas("a", 2);
    let server = Server::start(&world).await;
    let gone = server.get("/v1/lists/a/delta/1/3", &[]).await;
    assert_eq!((gone.status, gone.code().as_str()), (410, "delta-gone"));
    let link = gone.header("link").trim_start_matches('<').split_once(">; rel=\"alternate\"").expect("a link").0.to_owned();
    assert_eq!(server.get(&link, &[]).await.status, 200);
    for (path, status, code) in [
        ("/v1/lists/a/delta/3/2", 400, "bad-span"),
        ("/v1/lists/a/delta/2/2", 400, "bad-span"),
        ("/v1/lists/a/delta/0/2", 400, "bad-serial"),
        ("/v1/lists/a/delta/2/x", 400, "bad-serial"),
        ("/v1/lists/a/delta/2/9", 404, "unknown-serial"),
        ("/v1/lists/b/delta/2/3", 404, "unknown-list"),
        ("/v1/lists/NO/delta/2/3", 404, "unknown-list"),
        ("/v1/lists/a/snapshot/zz", 400, "bad-digest"),
        ("/v1/lists/a/bucket/3/1", 404, "unknown-bucket"),
        ("/v1/lists/a/bucket/3/x", 400, "bad-bucket"),
        ("/v1/lists/a/bucket/2/0", 410, "not-newest"),
        ("/v1/lists/a/buckets/2", 410, "not-newest"),
        ("/v1/lists/a/buckets/x", 400, "bad-serial"),
        ("/v1/lists/b/head", 404, "unknown-list"),
        ("/v1/nothing", 404, "no-route"),
        ("/", 404, "no-route"),
    ] {
        let answer = server.get(path, &[]).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{path}");
    }
    let absent = server.get(&format!("/v1/lists/a/snapshot/{}", Digest::of("x").hex()), &[]).await;
    assert_eq!((absent.status, absent.code().as_str(), absent.header("link").is_empty()), (410, "snapshot-gone", false));
}

#[tokio::test]
async fn a_snapshot_is_given_whole_in_parts_and_resumed() {
    let world = World::new();
    let list = world.publish("a", &additions("some-longer-name-", 0..30_000));
    let server = Server::start(&world).await;
    let path = format!("/v1/lists/a/snapshot/{}", list.head.snapshot.digest.hex());
    let zstd = [("accept-encoding", "zstd")];

    let whole = server.get(&path, &zstd).await;
    assert_eq!((whole.status, whole.header("content-encoding"), whole.header("accept-ranges")), (200, "zstd", "bytes"));
    assert_eq!((whole.header("cache-control"), whole.body.len() as u64), (IMMUTABLE, list.bases[0].snapshot_zst));
    let plain = decompress("a snapshot", &whole.body, list.head.snapshot.size).expect("zstd");
    assert_eq!(Digest::of(&plain), list.head.snapshot.digest);
    assert!(SnapshotReader::new(&plain[..], u64::MAX).is_ok());
    let identity = server.get(&path, &[]).await;
    assert_eq!((identity.header("content-encoding"), identity.body == plain), ("", true));
    assert_eq!(identity.header("content-length"), plain.len().to_string());
    assert_eq!(gunzip(&server.get(&path, &[("accept-encoding", "gzip")]).await.body), plain);

    // Broken off after 1,000 octets, then resumed.
    let (etag, length) = (whole.header("etag").to_owned(), whole.body.len());
    let rest = server.get(&path, &[zstd[0], ("range", "bytes=1000-"), ("if-range", &etag)]).await;
    assert_eq!((rest.status, rest.header("content-range")), (206, format!("bytes 1000-{}/{length}", length - 1).as_str()));
    assert_eq!([&whole.body[..1_000], &rest.body].concat(), whole.body);
    let middle = server.get(&path, &[zstd[0], ("range", "bytes=10-19")]).await;
    assert_eq!((middle.status, &middle.body[..]), (206, &whole.body[10..20]));
    let tail = server.get(&path, &[zstd[0], ("range", "bytes=-5")]).await;
    assert_eq!(&tail.body[..], &whole.body[length - 5..]);
    let other = server.get(&path, &[zstd[0], ("range", "bytes=10-19"), ("if-range", "\"other\"")]).await;
    assert_eq!((other.status, other.body.len()), (200, length));
    let outside = server.get(&path, &[zstd[0], ("range", "bytes=99999999-")]).await;
    assert_eq!((outside.status, outside.header("content-range")), (416, format!("bytes */{length}").as_str()));
    assert_eq!(outside.code(), "range-outside");
    assert_eq!(server.get(&path, &[zstd[0], ("if-none-match", &etag)]).await.status, 304);
}

#[tokio::test]
async fn buckets_lead_to_the_root_that_the_head_states() {
    let world = World::new();
    let list = world.publish("a", &additions("a", 0..40));
    let server = Server::start(&world).await;
    let leaves = server.get("/v1/lists/a/buckets/1", &[]).await;
    let tree = bwld::wire::Tree::from_leaves(&leaves.body, 0).expect("a tree");
    assert_eq!(tree.root(40), list.head.root);
    let bucket = server.get("/v1/lists/a/bucket/1/0", &[("accept-encoding", "zstd")]).await;
    let lines = decompress("a bucket", &bucket.body, 1 << 20).expect("zstd");
    assert_eq!(bwld::wire::bucket_digest(&lines), tree.leaf(0));
}

async fn event(raw: &mut Raw, events: &mut Events) -> super::feed::Event {
    loop {
        if let Some(event) = events.next() {
            return event;
        }
        events.push(&raw.chunk().await.expect("the stream goes on"));
    }
}

#[tokio::test]
async fn events_are_pushed_resumed_and_ended_with_a_goodbye() {
    let world = World::new();
    world.publish("a", &additions("a", 0..50));
    world.publish("b", &additions("b", 0..50));
    let mut server = Server::start(&world).await;
    let mut raw = server.raw().await;
    raw.begin("GET", "/v1/events?lists=a:1,b", &[], b"").await;
    let head = raw.head().await;
    assert_eq!((head.status, head.header("content-type"), head.header("cache-control")), (200, "text/event-stream", "no-store"));
    let mut events = Events::default();
    let first = event(&mut raw, &mut events).await;
    assert_eq!((first.id.as_str(), first.json()["list"].as_str()), ("a:1,b:1", Some("b")));
    let before = raw.wire;
    world.resign("a", 60);
    let beat = event(&mut raw, &mut events).await;
    assert_eq!((beat.serial(), beat.delta()), (1, None));
    assert!(raw.wire - before < 1_024, "a heartbeat cost {} octets", raw.wire - before);
    world.publish("a", &["+domain:x.example"]);
    let pushed = event(&mut raw, &mut events).await;
    assert_eq!((pushed.id.as_str(), pushed.delta().expect("a delta").2), ("a:2,b:1", changes(&["+domain:x.example"])));
    drop(raw);

    // Two versions later the subscriber comes back with the id of its last event.
    world.publish("a", &["+domain:y.example"]);
    world.publish("a", &["-domain:x.example"]);
    let mut raw = server.raw().await;
    raw.begin("GET", "/v1/events?lists=a:1,b", &[("last-event-id", "a:2,b:1")], b"").await;
    assert_eq!(raw.head().await.status, 200);
    let resumed = event(&mut raw, &mut events).await;
    let (from, to, merged) = resumed.delta().expect("a merged delta");
    assert_eq!((from, to, merged), (2, 4, changes(&["+domain:y.example", "-domain:x.example"])));

    server.shut_down();
    let bye = event(&mut raw, &mut events).await;
    assert_eq!((bye.name.as_str(), bye.retry.is_some()), ("bye", true));
    assert_eq!(raw.chunk().await, None);
    assert!(raw.closes().await);
    tokio::time::timeout(SOON, server.task).await.expect("the server ends").expect("in good order");
}

#[tokio::test]
async fn a_subscription_that_cannot_be_is_refused() {
    let world = World::new();
    world.publish("a", &additions("a", 0..5));
    let server = Server::start(&world).await;
    for (query, status, code) in [
        ("", 400, "bad-position"),
        ("?lists=", 400, "bad-position"),
        ("?lists=a:0", 400, "bad-position"),
        ("?lists=a,a", 400, "bad-position"),
        ("?lists=a&lists=b", 400, "bad-parameter"),
        ("?lists=a,b", 404, "unknown-list"),
    ] {
        let answer = server.get(&format!("/v1/events{query}"), &[]).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{query}");
    }
    let answer = server.get("/v1/events?lists=a", &[("last-event-id", "nonsense here")]).await;
    assert_eq!(answer.code(), "bad-position");
    let head = server.raw().await.request("HEAD", "/v1/events?lists=a", &[], b"").await;
    assert_eq!(head.status, 200);
    let released = async {
        while world.hub.metrics().subscribers.get() != 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(SOON, released).await.expect("HEAD holds no place");
}

#[tokio::test]
async fn health_readiness_and_metrics_are_told() {
    let world = World::new();
    world.publish("a", &additions("a", 0..50));
    let server = Server::start(&world).await;
    assert_eq!(server.get("/healthz", &[]).await.status, 200);
    assert_eq!(server.get("/readyz", &[]).await.status, 200);
    server.readiness.wait_for("lists are being loaded");
    let not_yet = server.get("/readyz", &[]).await;
    assert_eq!((not_yet.status, not_yet.json()["reasons"][0].as_str()), (503, Some("lists are being loaded")));
    assert_eq!(server.get("/healthz", &[]).await.status, 200);
    server.readiness.clear("lists are being loaded");
    server.get("/v1/lists/a/head", &[]).await;
    server.get("/v1/lists/secret-name-that-was-asked-for/head", &[]).await;
    let metrics = server.get("/metrics", &[]).await;
    assert!(metrics.header("content-type").starts_with("application/openmetrics-text"));
    let text = metrics.text();
    for line in [
        "bwld_http_requests_total{route=\"/v1/lists/{list}/head\",method=\"GET\",status=\"200\"} 1",
        "bwld_list_serial{list=\"a\"} 1",
        "bwld_list_entries{list=\"a\"} 50",
        "bwld_ready 1",
        "bwld_feed_subscribers 0",
        "# TYPE bwld_feed_propagation_seconds histogram",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    assert!(!text.contains("secret-name") && !text.contains("127.0.0.1"), "who asked for what is nobody's business");
    assert!(text.ends_with("# EOF\n"));
}

#[tokio::test]
async fn other_methods_are_refused_with_what_is_allowed() {
    let world = World::new();
    world.publish("a", &additions("a", 0..5));
    let server = Server::start(&world).await;
    for path in
        ["/v1/lists", "/v1/keyset", "/v1/keyset/1", "/v1/lists/a/head", "/v1/lists/a/buckets/1", "/v1/events", "/healthz", "/metrics"]
    {
        for method in ["POST", "PUT", "DELETE", "PATCH"] {
            let answer = server.raw().await.request(method, path, &[], b"").await;
            assert_eq!((answer.status, answer.header("allow")), (405, "GET,HEAD"), "{method} {path}");
            assert_eq!(answer.code(), "method-not-allowed");
        }
    }
}
