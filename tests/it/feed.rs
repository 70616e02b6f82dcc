//! The feed: positions, wake-ups, merged deltas, events, without HTTP.

use std::sync::Arc;
use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use bwld::feed::{HubOptions, Position, SpanError, Subscription};
use bwld::list::{ChangeSet, Digest};
use bwld::wire::{Delta, decompress};
use proptest::prelude::*;

use super::publishing::{World, additions, changes, id, serial};

/// One event of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    pub name: String,
    pub id: String,
    pub data: String,
    pub retry: Option<u64>,
}

impl Event {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.data).expect("JSON in an event")
    }

    /// The serial that the head in it states.
    pub fn serial(&self) -> u64 {
        let json = self.json();
        let head = json["head"].as_str().expect("a head");
        let line = head.lines().find_map(|l| l.strip_prefix("serial ")).expect("a serial line");
        line.parse().expect("a serial")
    }

    /// The delta in it: from, to, changes.
    pub fn delta(&self) -> Option<(u64, u64, ChangeSet)> {
        let json = self.json();
        let delta = json.get("delta")?;
        let zstd = BASE64_STANDARD.decode(delta["zstd"].as_str().expect("base64")).expect("base64");
        let read = Delta::parse(&decompress("a delta", &zstd, 1 << 20).expect("zstd")).expect("a delta");
        assert_eq!((Some(read.header.from.get()), Some(read.header.to.get())), (delta["from"].as_u64(), delta["to"].as_u64()));
        Some((read.header.from.get(), read.header.to.get(), read.changes))
    }
}

/// Reads whole events from pieces of a stream, as a browser would.
#[derive(Debug, Default)]
pub struct Events {
    text: String,
    pub comments: usize,
}

impl Events {
    pub fn push(&mut self, piece: &[u8]) {
        self.text.push_str(std::str::from_utf8(piece).expect("text"));
    }

    pub fn next(&mut self) -> Option<Event> {
        loop {
            let (block, rest) = self.text.split_once("\n\n")?;
            let (block, rest) = (block.to_owned(), rest.to_owned());
            self.text = rest;
            let mut event = Event::default();
            for line in block.lines() {
                match line.split_once(": ").unwrap_or((line, "")) {
                    ("event", v) => event.name = v.into(),
                    ("id", v) => event.id = v.into(),
                    ("data", v) => event.data = v.into(),
                    ("retry", v) => event.retry = Some(v.parse().expect("milliseconds")),
                    (":", _) => self.comments += 1,
                    other => panic!("no field of an event: {other:?}"),
                }
            }
            if event != Event::default() {
                return Some(event);
            }
        }
    }
}

async fn next_event(subscription: &mut Subscription, events: &mut Events) -> Event {
    loop {
        if let Some(event) = events.next() {
            return event;
        }
        let piece = tokio::time::timeout(Duration::from_secs(20), subscription.next()).await.expect("an event in time");
        events.push(&piece.expect("the stream goes on"));
    }
}

fn at(text: &str) -> Position {
    Position::parse(text).expect("a position")
}

/// Nothing comes although the subscriber is asked.
async fn nothing_comes(subscription: &mut Subscription) {
    let piece = tokio::time::timeout(Duration::from_millis(30), subscription.next()).await;
    assert!(piece.is_err(), "nothing was expected, but {piece:?} came");
}

/// A stream that has said, at once, that it is open.
async fn opened(world: &World, position: &str) -> Subscription {
    let mut stream = world.hub.subscribe(at(position)).expect("a place");
    let first = tokio::time::timeout(Duration::from_secs(20), stream.next()).await.expect("at once");
    assert_eq!(first.as_deref(), Some(&b":\n\n"[..]), "{position}");
    stream
}

#[tokio::test]
async fn a_subscriber_gets_what_is_newer_first_and_each_new_head_then() {
    let world = World::new();
    world.publish("a", &additions("a", 0..50));
    world.publish("b", &additions("b", 0..50));
    world.publish("b", &["+domain:b-new.example"]);
    let mut stream = world.hub.subscribe(at("a:1,b:1")).expect("a place");
    let mut events = Events::default();

    let first = next_event(&mut stream, &mut events).await;
    assert_eq!((first.name.as_str(), first.id.as_str(), first.serial()), ("head", "a:1,b:2", 2));
    assert_eq!(first.delta().map(|(f, t, c)| (f, t, c.len())), Some((1, 2, 1)));
    nothing_comes(&mut stream).await;

    world.publish("a", &["-domain:a7.example"]);
    let second = next_event(&mut stream, &mut events).await;
    assert_eq!((second.id.as_str(), second.json()["list"].as_str()), ("a:2,b:2", Some("a")));
    assert_eq!(second.delta().expect("a delta").2, changes(&["-domain:a7.example"]));

    // Signed again: the head without a delta, at the same position.
    world.resign("a", 3_600);
    let beat = next_event(&mut stream, &mut events).await;
    assert_eq!((beat.id.as_str(), beat.serial(), beat.delta()), ("a:2,b:2", 2, None));
    nothing_comes(&mut stream).await;
}

#[tokio::test]
async fn without_a_serial_the_head_comes_alone_and_deltas_follow_it() {
    let world = World::new();
    world.publish("a", &additions("a", 0..10));
    let mut stream = world.hub.subscribe(at("a")).expect("a place");
    let mut events = Events::default();
    let first = next_event(&mut stream, &mut events).await;
    assert_eq!((first.serial(), first.delta()), (1, None));
    world.publish("a", &["+domain:x.example"]);
    assert!(next_event(&mut stream, &mut events).await.delta().is_some());
}

#[tokio::test]
async fn a_subscriber_that_is_ahead_is_sent_nothing_older() {
    let world = World::new();
    world.publish("a", &additions("a", 0..10));
    let mut stream = opened(&world, "a:9").await;
    nothing_comes(&mut stream).await;
    world.publish("a", &["+domain:x.example"]);
    nothing_comes(&mut stream).await;
}

#[tokio::test]
async fn one_that_reads_slowly_gets_the_newest_head_and_a_merged_delta() {
    let world = World::new();
    world.publish("a", &additions("a", 0..100));
    let mut stream = opened(&world, "a:1").await;
    nothing_comes(&mut stream).await;
    for i in 0..20 {
        world.publish("a", &[format!("+domain:new{i}.example")]);
    }
    world.publish("a", &["-domain:new3.example", "~domain:new4.example\tcat=x"]);
    let mut events = Events::default();
    let only = next_event(&mut stream, &mut events).await;
    let (from, to, merged) = only.delta().expect("a merged delta");
    assert_eq!((from, to, only.serial(), only.id.as_str()), (1, 22, 22, "a:22"));
    assert_eq!(merged.len(), 19);
    assert!(merged.iter().all(|change| change.sign() == '+'));
    nothing_comes(&mut stream).await;
}

#[tokio::test]
async fn a_delta_that_is_not_small_is_left_to_be_fetched() {
    let world = World::new();
    world.publish("a", &additions("a", 0..10));
    let mut stream = world.hub.subscribe(at("a:1")).expect("a place");
    world.publish("a", &noise(0, 200));
    let mut events = Events::default();
    let event = next_event(&mut stream, &mut events).await;
    assert_eq!((event.serial(), event.delta()), (2, None));
    // From the middle of nowhere there is no delta either.
    world.drop_deltas("a", 2);
    let mut stream = world.hub.subscribe(at("a:1")).expect("a place");
    assert_eq!(next_event(&mut stream, &mut events).await.delta(), None);
}

#[tokio::test]
async fn an_idle_stream_gets_a_comment_and_at_the_end_a_goodbye() {
    assert_eq!(HubOptions::default().idle_comment, Duration::from_secs(25));
    let world = World::with(HubOptions { idle_comment: Duration::from_millis(40), ..HubOptions::default() });
    world.publish("a", &additions("a", 0..10));
    let mut stream = opened(&world, "a:1").await;
    let began = std::time::Instant::now();
    assert_eq!(stream.next().await.as_deref(), Some(&b":\n\n"[..]));
    assert!(began.elapsed() >= Duration::from_millis(40));
    world.hub.close();
    let mut events = Events::default();
    events.push(&stream.next().await.expect("a goodbye"));
    let bye = events.next().expect("an event");
    assert_eq!(bye.name, "bye");
    assert!(bye.retry.is_some_and(|ms| (2_000..=10_000).contains(&ms)), "{bye:?}");
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn places_are_bounded_and_given_back() {
    let world = World::with(HubOptions { max_subscribers: 2, max_long_polls: 1, ..HubOptions::default() });
    world.publish("a", &additions("a", 0..1));
    let first = world.hub.subscribe(at("a")).expect("a place");
    let second = world.hub.subscribe(at("a")).expect("a place");
    assert!(world.hub.subscribe(at("a")).is_none());
    assert_eq!(world.hub.metrics().subscribers.get(), 2);
    drop(first);
    assert!(world.hub.subscribe(at("a")).is_some());
    drop(second);
    let poll = world.hub.long_poll().expect("a place");
    assert!(world.hub.long_poll().is_none());
    drop(poll);
    assert!(world.hub.long_poll().is_some());
    assert_eq!(world.hub.metrics().turned_away.get(), 2);
}

#[tokio::test]
async fn a_span_is_the_composition_of_its_steps_and_is_composed_once() {
    let world = World::new();
    world.publish("a", &additions("a", 0..200));
    world.publish("a", &["+domain:x.example", "-domain:a1.example"]);
    world.publish("a", &["~domain:x.example\tcat=y", "+domain:a1.example"]);
    let list = world.publish("a", &["-domain:x.example", "+domain:z.example"]);
    let deltas = world.hub.deltas();
    let asked = (0..50).map(|_| deltas.span(&list, serial(1), serial(4)));
    let spans = futures_util::future::join_all(asked).await;
    let span = spans[0].as_ref().expect("a span");
    assert!(spans.iter().all(|s| s.as_ref().is_ok_and(|s| Arc::ptr_eq(s, span))));
    assert_eq!(world.hub.metrics().composed.get(), 1);
    let bytes = decompress("a delta", &span.zstd, span.size).expect("zstd");
    assert_eq!(Digest::of(&bytes), span.digest);
    let merged = Delta::parse(&bytes).expect("a delta");
    assert_eq!(merged.changes, changes(&["~domain:a1.example", "+domain:z.example"]));

    let refused = |from, to| deltas.steps(&list, serial(from), serial(to)).expect_err("no such span");
    assert!(matches!(refused(2, 2), SpanError::Order { .. }));
    assert!(matches!(refused(3, 2), SpanError::Order { .. }));
    assert!(matches!(refused(1, 5), SpanError::Future { .. }));
    world.drop_deltas("a", 3);
    let list = world.catalog.get(&id("a")).expect("the list");
    assert!(matches!(deltas.steps(&list, serial(2), serial(4)), Err(SpanError::Gone { .. })));
    assert!(deltas.steps(&list, serial(3), serial(4)).is_ok());
}

/// Names without a pattern, so that they do not compress.
fn noise(seed: u32, count: u32) -> Vec<String> {
    (0..count).map(|i| format!("+domain:{}.example", &Digest::of(format!("{seed}/{i}")).hex()[..40])).collect()
}

#[tokio::test]
async fn a_span_that_costs_more_than_the_snapshot_is_refused() {
    let world = World::new();
    world.publish("a", &additions("a", 0..1));
    world.publish("a", &noise(1, 400));
    let fewer: Vec<String> = noise(1, 400).iter().map(|line| line.replace('+', "-")).collect();
    let list = world.publish("a", &fewer);
    let deltas = world.hub.deltas();
    // From the snapshot of the first version there is no other way on, whatever it costs.
    assert!(deltas.span(&list, serial(1), serial(2)).await.is_ok());
    assert!(deltas.steps(&list, serial(2), serial(3)).is_ok());
    // With a snapshot of the newest version that is the better way.
    world.rebase("a");
    let list = world.catalog.get(&id("a")).expect("the list");
    assert!(matches!(deltas.steps(&list, serial(2), serial(3)), Err(SpanError::TooCostly { .. })));
    let composed = world.hub.metrics().composed.get();
    world.publish("a", &noise(2, 400));
    world.publish("a", &noise(3, 400));
    world.rebase("a");
    let list = world.publish("a", &["+domain:x.example"]);
    for _ in 0..2 {
        assert!(matches!(deltas.span(&list, serial(2), serial(6)).await, Err(SpanError::TooCostly { .. })));
    }
    assert_eq!(world.hub.metrics().composed.get(), composed + 1, "a refusal is remembered");
}

#[tokio::test]
async fn a_damaged_delta_is_said_and_the_event_goes_without_it() {
    let world = World::new();
    world.publish("a", &additions("a", 0..10));
    world.publish("a", &["+domain:x.example"]);
    let list = world.publish("a", &["+domain:y.example"]);
    let path = world.artefacts.path(bwld::store::ArtefactKind::Delta, &list.deltas[0].digest);
    std::fs::write(path, b"not zstd").expect("damage");
    let error = world.hub.deltas().span(&list, serial(1), serial(3)).await.expect_err("it is damaged");
    assert!(matches!(error, SpanError::Damaged { .. }), "{error}");
    let mut stream = world.hub.subscribe(at("a:1")).expect("a place");
    assert_eq!(next_event(&mut stream, &mut Events::default()).await.delta(), None);
}

/// No wake-up is lost, however publications, subscriptions and readings fall: each subscriber ends at the newest
/// version, its serials only rise, and the deltas it was given lead from one to the next without a gap.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_wake_up_is_lost() {
    const VERSIONS: u64 = 300;
    let world = World::new();
    world.publish("a", &additions("a", 0..50));
    let readers: Vec<_> = (0..40)
        .map(|n: u64| {
            let world = world.clone();
            tokio::spawn(async move {
                let mut stream = world.hub.subscribe(at("a:1")).expect("a place");
                let (mut events, mut last) = (Events::default(), 1);
                while last < VERSIONS {
                    let event = next_event(&mut stream, &mut events).await;
                    assert!(event.serial() > last);
                    assert_eq!(event.delta().map(|(from, to, _)| (from, to)), Some((last, event.serial())));
                    last = event.serial();
                    if n.is_multiple_of(3) {
                        tokio::task::yield_now().await;
                    }
                }
            })
        })
        .collect();
    let publisher = {
        let world = world.clone();
        tokio::task::spawn_blocking(move || {
            for i in 2..=VERSIONS {
                world.publish("a", &[format!("+domain:v{i}.example")]);
            }
        })
    };
    publisher.await.expect("all published");
    for reader in readers {
        reader.await.expect("each reader ends at the newest version");
    }
}

#[tokio::test]
async fn a_wait_sees_what_was_announced_between_looking_and_waiting() {
    let world = World::new();
    world.publish("a", &additions("a", 0..10));
    let a = id("a");
    let found = world.hub.wait(&a, Duration::from_secs(20), |list| {
        // The version appears while the first comparison is made: its announcement must not be lost.
        if list.head.serial == serial(1) {
            world.publish("a", &["+domain:x.example"]);
            return false;
        }
        true
    });
    assert_eq!(found.await.expect("the second version").head.serial, serial(2));
    let none = world.hub.wait(&a, Duration::from_millis(1), |_| false);
    assert!(none.await.is_none());
    world.hub.close();
    assert!(world.hub.wait(&a, Duration::from_secs(600), |_| false).await.is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever was published and wherever the snapshot stands: a way that is offered costs at most a request more than the
    /// snapshot and what leads on from it, an event is never larger than its limit, and from the snapshot there is always a way on.
    #[test]
    fn what_is_offered_is_never_dearer_than_the_snapshot(versions in proptest::collection::vec((0u32..120, any::<bool>()), 1..8)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let world = World::new();
        world.publish("a", &additions("base", 0..20));
        for (v, (count, rebase)) in versions.iter().enumerate() {
            world.publish("a", &noise(v as u32, *count));
            if *rebase {
                world.rebase("a");
            }
        }
        let list = world.catalog.get(&id("a")).expect("the list");
        let (newest, snapshot) = (list.head.serial, list.head.snapshot);
        let base = list.bases.iter().find(|base| base.snapshot == snapshot.digest).expect("the base of the head");
        let onward: u64 = list.deltas.iter().filter(|step| step.from >= snapshot.serial).map(|step| step.zst).sum();
        for from in (1..newest.get()).map(serial) {
            match runtime.block_on(world.hub.deltas().span(&list, from, newest)) {
                Ok(span) => prop_assert!(span.zstd.len() as u64 <= base.snapshot_zst + onward + 1_024),
                Err(error) => prop_assert!(from != snapshot.serial && matches!(error, SpanError::TooCostly { .. }), "{}", error),
            }
            let mut stream = world.hub.subscribe(at(&format!("a:{from}"))).expect("a place");
            let event = runtime.block_on(next_event(&mut stream, &mut Events::default()));
            prop_assert!(event.data.len() <= 2_048 * 4 / 3 + 1_024, "{} octets", event.data.len());
            if let Some((begin, end, _)) = event.delta() {
                prop_assert_eq!((begin, end), (from.get(), newest.get()));
            }
        }
    }

    /// Against a naive model: whatever was published, applying any span to the older content gives the newer one.
    #[test]
    fn any_span_leads_from_its_first_version_to_its_last(
        versions in proptest::collection::vec(proptest::collection::vec((0u8..12, any::<bool>()), 1..6), 2..10),
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let world = World::new();
        world.publish("a", &additions("base", 0..100));
        let mut states = vec![world.lines("a")];
        let mut contents = vec![world.catalog.get(&id("a")).expect("the list").content.clone()];
        for (v, version) in versions.iter().enumerate() {
            let mut lines = std::collections::BTreeMap::new();
            for (n, remove) in version {
                let rule = format!("domain:m{n}.example");
                let sign = match (states[v].contains_key(&rule), remove) {
                    (true, true) => '-',
                    (true, false) => '~',
                    (false, _) => '+',
                };
                let attributes = if sign == '-' { String::new() } else { format!("\tcat=v{v}") };
                lines.insert(rule.clone(), format!("{sign}{rule}{attributes}"));
            }
            let list = world.publish("a", &lines.into_values().collect::<Vec<_>>());
            states.push(world.lines("a"));
            contents.push(list.content.clone());
        }
        let list = world.catalog.get(&id("a")).expect("the list");
        let (from, to) = (from.index(states.len() - 1), to.index(states.len()));
        prop_assume!(from < to);
        let span = runtime.block_on(world.hub.deltas().span(&list, serial(from as u64 + 1), serial(to as u64 + 1)));
        let span = span.expect("a span");
        let delta = Delta::parse(&decompress("a delta", &span.zstd, span.size).expect("zstd")).expect("a delta");
        let reached = contents[from].apply(&delta.changes).expect("it fits");
        prop_assert_eq!(reached.root(), contents[to].root());
    }
}
