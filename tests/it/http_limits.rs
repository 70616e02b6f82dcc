//! What a server puts up with: slow headers, idle connections, readers that do not read, too many, too much; HTTP/2; the way out.

use std::time::{Duration, Instant};

use bwld::feed::HubOptions;
use bwld::http::HttpOptions;

use super::feed::Events;
use super::publishing::{World, additions};
use super::raw::{SOON, Server};

fn short() -> HttpOptions {
    let (header, idle, stall) = (Duration::from_millis(300), Duration::from_millis(600), Duration::from_millis(300));
    HttpOptions { header_timeout: header, idle_timeout: idle, stall_timeout: stall, drain_timeout: idle, ..HttpOptions::default() }
}

fn world() -> std::sync::Arc<World> {
    let world = World::new();
    world.publish("a", &additions("a", 0..50));
    world
}

#[tokio::test]
async fn a_header_that_does_not_come_to_its_end_is_not_waited_for() {
    let world = world();
    let server = Server::with(&world, short()).await;
    // Nothing at all; half of a word that could still become HTTP/2; a header that never ends.
    for beginning in ["", "PRI * HT", "GET /healthz HTTP/1.1\r\nhost: x\r\n"] {
        let mut raw = server.raw().await;
        raw.send(beginning.as_bytes()).await;
        let began = Instant::now();
        assert!(raw.closes().await, "{beginning:?}");
        assert!(began.elapsed() < Duration::from_secs(5));
    }
    // One octet after the other does not help.
    let mut raw = server.raw().await;
    let began = Instant::now();
    let mut dripping = tokio::time::interval(Duration::from_millis(20));
    for octet in b"GET /healthz HTTP/1.1\r\nhost: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".iter().cycle() {
        dripping.tick().await;
        if tokio::io::AsyncWriteExt::write_all(&mut raw.stream, &[*octet]).await.is_err() {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "it went on and on");
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_one_in_use_is_not() {
    let world = world();
    let server = Server::with(&world, short()).await;
    let mut stream = server.raw().await;
    stream.begin("GET", "/v1/events?lists=a:1", &[], b"").await;
    assert_eq!(stream.head().await.status, 200);
    let mut poll = server.raw().await;
    poll.begin("GET", "/v1/lists/a/head?wait=60&after=1", &[], b"").await;

    let mut raw = server.raw().await;
    for _ in 0..3 {
        assert_eq!(raw.request("GET", "/healthz", &[], b"").await.status, 200);
    }
    assert!(raw.closes().await);
    // A second of quiet has passed by now; the subscriber and the long poll are still there.
    world.publish("a", &["+domain:x.example"]);
    assert_eq!(poll.answer(false).await.status, 200);
    let mut events = Events::default();
    while events.next().is_none() {
        events.push(&stream.chunk().await.expect("the stream is open"));
    }
}

#[tokio::test]
async fn a_header_that_is_too_large_is_refused() {
    let world = world();
    let server = Server::start(&world).await;
    let fits = "x".repeat(12 << 10);
    assert_eq!(server.get("/healthz", &[("x-long", &fits)]).await.status, 200);
    let long = "x".repeat(40 << 10);
    let mut raw = server.raw().await;
    let header = format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx-long: {long}\r\n\r\n");
    let _ = tokio::io::AsyncWriteExt::write_all(&mut raw.stream, header.as_bytes()).await;
    assert!(raw.closes().await);
    let mut raw = server.raw().await;
    let _ = tokio::io::AsyncWriteExt::write_all(&mut raw.stream, format!("GET /{long} HTTP/1.1\r\n\r\n").as_bytes()).await;
    assert!(raw.closes().await);
}

#[tokio::test]
async fn nonsense_ends_its_own_connection_and_nothing_else() {
    let world = world();
    let server = Server::with(&world, short()).await;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let octets = proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200);
    let lines =
        "(GET|POST|PRI) (/v1/events\\?lists=|/v1/lists/a/|\\*)[ -~]{0,40} HTTP/(1\\.1|2\\.0|9)\r\n([!-~]{0,9}: [ -~]{0,9}\r\n){0,4}\r\n";
    for i in 0..300 {
        use proptest::strategy::{Strategy, ValueTree};
        let sent = match i % 2 {
            0 => octets.new_tree(&mut runner).expect("octets").current(),
            _ => lines.new_tree(&mut runner).expect("lines").current().into_bytes(),
        };
        let mut raw = server.raw().await;
        let _ = tokio::io::AsyncWriteExt::write_all(&mut raw.stream, &sent).await;
    }
    assert_eq!(server.get("/healthz", &[]).await.status, 200);
    assert_eq!(server.get("/v1/lists/a/head", &[]).await.status, 200);
}

#[tokio::test]
async fn connections_beyond_the_limit_are_told_so() {
    let world = world();
    let server = Server::with(&world, HttpOptions { max_connections: 2, ..HttpOptions::default() }).await;
    let (mut first, mut second) = (server.raw().await, server.raw().await);
    assert_eq!(first.request("GET", "/healthz", &[], b"").await.status, 200);
    assert_eq!(second.request("GET", "/healthz", &[], b"").await.status, 200);
    let mut third = server.raw().await;
    let answer = third.answer(false).await;
    assert_eq!((answer.status, answer.code().as_str(), answer.header("retry-after")), (503, "too-many-connections", "30"));
    assert!(third.closes().await);
    drop(first);
    let again = async {
        // The place is given back when the server has seen the end of the first.
        loop {
            let mut raw = server.raw().await;
            raw.begin("GET", "/healthz", &[], b"").await;
            if raw.head().await.status == 200 {
                break;
            }
        }
    };
    tokio::time::timeout(SOON, again).await.expect("the place of the first");
    assert_eq!(second.request("GET", "/healthz", &[], b"").await.status, 200);
}

#[tokio::test]
async fn subscribers_and_long_polls_beyond_the_limit_are_told_when_to_come_back() {
    let world = World::with(HubOptions { max_subscribers: 1, max_long_polls: 0, ..HubOptions::default() });
    world.publish("a", &additions("a", 0..5));
    let server = Server::start(&world).await;
    let mut first = server.raw().await;
    first.begin("GET", "/v1/events?lists=a", &[], b"").await;
    assert_eq!(first.head().await.status, 200);
    for (path, code) in [("/v1/events?lists=a", "too-many-subscribers"), ("/v1/lists/a/head?wait=9&after=1", "too-many-long-polls")] {
        let answer = server.get(path, &[]).await;
        assert_eq!((answer.status, answer.code().as_str()), (503, code));
        assert!((10..=20).contains(&answer.header("retry-after").parse::<u64>().expect("seconds")));
    }
}

#[tokio::test]
async fn one_that_does_not_read_its_events_costs_no_queue_and_is_dropped() {
    let world = world();
    let server = Server::with(&world, short()).await;
    let mut raw = server.narrow().await;
    raw.begin("GET", "/v1/events?lists=a", &[], b"").await;
    assert_eq!(raw.head().await.status, 200);
    // Never read again, while the head is signed anew and anew, until the sockets are full.
    let began = Instant::now();
    let mut versions = 0;
    while world.hub.metrics().subscribers.get() > 0 {
        let world = world.clone();
        tokio::task::spawn_blocking(move || (0..20).for_each(|_| drop(world.resign("a", 1)))).await.expect("signed");
        versions += 20;
        assert!(began.elapsed() < Duration::from_secs(60), "it was never dropped, after {versions} heads");
    }
    // It was sent what fitted into the sockets, then nothing.
    let sent = world.hub.metrics().events.get();
    assert!(sent < versions, "{sent} events of {versions} heads");
}

#[tokio::test]
async fn http_2_is_spoken_to_those_who_begin_with_it() {
    let world = world();
    let server = Server::start(&world).await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().http2_prior_knowledge().no_proxy().build().expect("a client");
    let at = |path: &str| format!("http://{}{path}", server.address);
    let head = client.get(at("/v1/lists/a/head")).send().await.expect("an answer");
    assert_eq!((head.status().as_u16(), head.version()), (200, reqwest::Version::HTTP_2));
    let mut events = client.get(at("/v1/events?lists=a:1")).send().await.expect("a stream");
    let poll = tokio::spawn(client.get(at("/v1/lists/a/head?after=1&wait=60")).send());
    while world.hub.metrics().long_polls.get() == 0 {
        tokio::task::yield_now().await;
    }
    world.publish("a", &["+domain:x.example"]);
    assert_eq!(poll.await.expect("no panic").expect("an answer").status().as_u16(), 200);
    let mut read = Events::default();
    let event = loop {
        if let Some(event) = read.next() {
            break event;
        }
        read.push(&events.chunk().await.expect("a stream").expect("it goes on"));
    };
    assert_eq!(event.delta().map(|(from, to, _)| (from, to)), Some((1, 2)));
}

#[tokio::test]
async fn at_a_shutdown_what_is_in_flight_ends_and_what_hangs_is_broken_off() {
    let world = world();
    let list = world.publish("big", &additions("some-longer-name-", 0..50_000));
    let mut server = Server::with(&world, HttpOptions { drain_timeout: Duration::from_millis(500), ..HttpOptions::default() }).await;
    // One long poll, one idle connection, one that does not read a large body.
    let mut poll = server.raw().await;
    poll.begin("GET", "/v1/lists/a/head?wait=60&after=1", &[], b"").await;
    let mut idle = server.raw().await;
    assert_eq!(idle.request("GET", "/healthz", &[], b"").await.status, 200);
    let mut hanging = server.narrow().await;
    hanging.begin("GET", &format!("/v1/lists/big/snapshot/{}", list.head.snapshot.digest.hex()), &[], b"").await;
    assert_eq!(hanging.head().await.status, 200);
    while world.hub.metrics().long_polls.get() == 0 {
        tokio::task::yield_now().await;
    }

    server.shut_down();
    assert_eq!(poll.answer(false).await.status, 304);
    assert!(poll.closes().await && idle.closes().await);
    tokio::time::timeout(SOON, &mut server.task).await.expect("the server ends").expect("in good order");
    assert!(tokio::net::TcpStream::connect(server.address).await.is_err(), "nobody listens any more");
    drop(hanging);
}
