//! HTTP/2: peers that grant no window or leave a body unfinished, and the other streams of their connection.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bwld::feed::HubOptions;
use bwld::http::{Admin, HttpOptions, RouteOptions};
use bwld::store::RealDisk;
use futures_util::{StreamExt as _, stream};

use super::feed::Events;
use super::http_admin::{BEARER, Desk};
use super::publishing::{World, additions};
use super::raw::{SOON, Server};

/// Speaks HTTP/2 from the first octet; each stream takes `window` octets before it must be read.
fn client(window: u32) -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().http2_prior_knowledge().no_proxy();
    builder.http2_initial_stream_window_size(window).build().expect("a client")
}

#[tokio::test]
async fn a_stream_that_is_not_read_is_dropped_and_the_others_of_its_connection_are_not() {
    // The comments keep the one that is read busy, and go on into the window of the one that is not.
    let world = World::with(HubOptions { idle_comment: Duration::from_millis(50), ..HubOptions::default() });
    world.publish("a", &additions("a", 0..50));
    let options = HttpOptions { stall_timeout: Duration::from_millis(300), ..HttpOptions::default() };
    let server = Server::with(&world, options).await;
    let client = client(2_048);
    let at = |path: &str| format!("http://{}{path}", server.address);
    let mut read = client.get(at("/v1/events?lists=a:1")).send().await.expect("a stream");
    let unread = client.get(at("/v1/events?lists=a:1")).send().await.expect("a stream");
    assert_eq!((read.version(), world.hub.metrics().subscribers.get()), (reqwest::Version::HTTP_2, 2));
    let mut events = Events::default();
    let mut later = 0;
    let began = Instant::now();
    // A head signed again is some 700 octets: a few of them fill the window.
    while world.hub.metrics().subscribers.get() == 2 {
        later += 1;
        world.resign("a", later);
        events.push(&read.chunk().await.expect("a stream").expect("it goes on"));
        assert!(began.elapsed() < Duration::from_secs(60), "it was never dropped, after {later} heads");
    }
    assert_eq!(world.hub.metrics().subscribers.get(), 1);
    world.publish("a", &["+domain:x.example"]);
    let last = async {
        loop {
            match events.next() {
                Some(event) if event.serial() == 2 => break,
                Some(_) => {}
                None => events.push(&read.chunk().await.expect("a stream").expect("it goes on")),
            }
        }
    };
    tokio::time::timeout(SOON, last).await.expect("the one that reads has the change");
    let mut rest = unread.bytes_stream();
    let end = async { while let Some(Ok(_)) = rest.next().await {} };
    tokio::time::timeout(SOON, end).await.expect("the other one has ended");
}

#[tokio::test]
async fn a_large_body_comes_whole_through_a_small_window() {
    let world = World::new();
    let list = world.publish("big", &additions("some-longer-name-", 0..30_000));
    let server = Server::start(&world).await;
    let path = format!("/v1/lists/big/snapshot/{}", list.head.snapshot.digest.hex());
    for coding in ["zstd", "identity"] {
        let whole = server.get(&path, &[("accept-encoding", coding)]).await;
        let url = format!("http://{}{path}", server.address);
        let answer = client(3_000).get(url).header("accept-encoding", coding).send().await.expect("an answer");
        assert_eq!((answer.version(), answer.content_length()), (reqwest::Version::HTTP_2, Some(whole.body.len() as u64)));
        assert!(answer.bytes().await.expect("a body") == whole.body, "{coding}: other octets than over HTTP/1");
    }
}

#[tokio::test]
async fn a_body_that_stands_still_is_not_waited_for() {
    let options = RouteOptions { body_stall: Duration::from_millis(300), ..RouteOptions::default() };
    let desk = Desk::open_on(Arc::new(RealDisk), Admin::DEFAULT_MAX_IMPORT, options).await;
    desk.create_list().await;
    let client = client(65_535);
    for path in ["/lists/test/changes", "/lists/test/import?format=domains"] {
        // The beginning, and then nothing, but no end either.
        let body = stream::iter([Ok::<_, Infallible>("{\"put\": ")]).chain(stream::pending());
        let url = format!("http://{}/v1/admin{path}", desk.server.address);
        let asked = client.post(url).header(BEARER.0, BEARER.1).body(reqwest::Body::wrap_stream(body)).send();
        let answer = tokio::time::timeout(SOON, asked).await.expect("it is not waited for").expect("an answer");
        assert_eq!((answer.version(), answer.status().as_u16()), (reqwest::Version::HTTP_2, 408), "{path}");
        // The same over HTTP/1.
        let mut raw = desk.server.raw().await;
        let head = format!("POST /v1/admin{path} HTTP/1.1\r\nhost: x\r\n{}: {}\r\ncontent-length: 900\r\n\r\n", BEARER.0, BEARER.1);
        raw.send(format!("{head}{{\"put\": ").as_bytes()).await;
        assert_eq!(raw.head().await.status, 408, "{path}");
    }
    assert_eq!(desk.ask("GET", "/lists/test/staged", b"").await.json()["added"].as_u64(), Some(0));
}

#[tokio::test]
async fn a_write_that_is_sent_again_by_the_other_version_is_the_same_write() {
    let desk = Desk::open_on(Arc::new(RealDisk), Admin::DEFAULT_MAX_IMPORT, RouteOptions::default()).await;
    desk.create_list().await;
    let (key, path, body) = (("idempotency-key", "k"), "/v1/admin/lists/test/changes", "{\"put\": [{\"rule\": \"a.example\"}]}");
    let first = desk.server.raw().await.request("POST", path, &[BEARER, key], body.as_bytes()).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (200, ""));
    let url = format!("http://{}{path}", desk.server.address);
    let again = client(65_535).post(url).header(BEARER.0, BEARER.1).header(key.0, key.1).body(body).send().await.expect("an answer");
    assert_eq!((again.version(), again.status().as_u16()), (reqwest::Version::HTTP_2, 200));
    assert_eq!(again.headers()["idempotency-replayed"], "true");
    assert_eq!(again.text().await.expect("a body"), first.text());
}
