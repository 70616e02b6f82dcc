//! What an address that lies, or a thief of the signing key, can do to a follower: one attack a test.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bwld::follower::Health;
use bwld::list::{Colour, Digest, Timestamp};
use bwld::trust::SecretKey;
use bwld::wire::{Delta, DeltaHeader, KeySet, Note, TreeBuilder, compress};

use super::front::{Front, Home, answer, bent, endless, next_version, note_of, stolen_key, until, zstd_answer};
use crate::publishing::{NOW, World, additions};

async fn followed(entries: u32) -> (std::sync::Arc<World>, Front, Home) {
    let world = World::new();
    world.publish("adult", &additions("a", 0..entries));
    let front = Front::start(&world).await;
    let home = Home::new(&world, &[front.address], &["adult"]);
    let report = home.pull().await;
    assert!(report.good() && home.is_current("adult"), "{report:?}");
    (world, front, home)
}

/// From now on, this is the head.
fn serve_head(front: &Front, note: String) {
    front.lie(move |path| path.ends_with("/head").then(|| answer(200, note.clone())));
}

#[tokio::test]
async fn rollback() {
    let (world, front, home) = followed(30).await;
    let old = note_of(&world, "adult");
    world.publish("adult", &["+domain:new.example"]);
    assert!(home.pull().await.good());
    serve_head(&front, old);
    let report = home.pull().await;
    assert!(report.refused(), "{report:?}");
    assert!(report.lists[0].error.as_deref().unwrap().contains("rollback"));
    // It goes on with what it has.
    assert_eq!((report.lists[0].serial, report.lists[0].health), (Some(2), Health::Fresh));
    assert!(home.is_current("adult"));
}

#[tokio::test]
async fn freeze() {
    let (world, front, home) = followed(30).await;
    let frozen = note_of(&world, "adult");
    world.publish("adult", &["+domain:new.example"]);
    serve_head(&front, frozen);
    world.clock.advance(2 * 86_400);
    let report = home.pull().await;
    assert!(report.stale() && !report.good() && !report.refused(), "{report:?}");
    assert_eq!(home.output("adult").unwrap().len(), 30, "it filters on with what it has");
    assert_eq!(home.status().lists[0].health, Health::Stale);
    front.be_honest();
    world.resign("adult", 2 * 86_400);
    assert!(home.pull().await.good() && home.is_current("adult"));
}

#[tokio::test]
async fn mix_and_match() {
    let (world, front, home) = followed(30).await;
    world.publish("other", &additions("o", 0..30));
    serve_head(&front, note_of(&world, "other"));
    let report = home.pull().await;
    assert!(report.refused() && home.is_current("adult"), "{report:?}");
    // The delta and the snapshot of another list under the right head.
    world.publish("other", &["+domain:foreign.example"]);
    world.publish("adult", &["+domain:new.example"]);
    let foreign = bwld::wire::Delta {
        header: bwld::wire::DeltaHeader {
            origin: "lists.example.org".parse().unwrap(),
            list: "other".parse().unwrap(),
            colour: Colour::Black,
            from: crate::publishing::serial(1),
            to: crate::publishing::serial(2),
        },
        changes: crate::publishing::changes(&["+domain:foreign.example"]),
    };
    let foreign = compress(&foreign.encode(), 3);
    front.lie(move |path| path.contains("/delta/").then(|| zstd_answer(foreign.clone())));
    assert!(home.pull().await.good() && home.is_current("adult"), "another way was found");
}

#[tokio::test]
async fn endless_data() {
    let (world, front, home) = followed(30).await;
    world.publish("adult", &["+domain:new.example"]);
    for what in ["/head", "/delta/", "/buckets/", "/snapshot/"] {
        front.lie(move |path| {
            (path.contains(what) || (what != "/head" && path.contains("/delta/"))).then(|| endless(64 << 10, Duration::ZERO))
        });
        let report = home.pull().await;
        // Either it was refused, or another way was found; never was more taken in than fits.
        assert!(report.received < 8 << 20, "{what}: {report:?}");
        assert!(home.output("adult").unwrap().len() >= 30);
    }
    front.lie(|path| path.starts_with("/v1/lists/adult/").then(|| endless(64 << 10, Duration::ZERO)));
    assert!(!home.pull().await.good());
}

#[tokio::test]
async fn slow_retrieval() {
    let (world, front, home) = followed(30).await;
    world.publish("adult", &["+domain:new.example"]);
    front.lie(|path| (!path.ends_with("/head")).then(|| endless(1, Duration::from_millis(20))));
    let report = home.pull().await;
    assert!(report.lists[0].error.as_deref().unwrap().contains("too slow"), "{report:?}");
    assert_eq!(home.output("adult").unwrap().len(), 30);
}

#[tokio::test]
async fn wrong_list_or_colour() {
    let (world, front, home) = followed(30).await;
    let key = stolen_key();
    let white = bent(&world, "adult", &key, |h| {
        next_version(h);
        h.colour = Colour::White;
    });
    serve_head(&front, white);
    let report = home.pull().await;
    assert!(report.refused() && report.lists[0].error.as_deref().unwrap().contains("colour"), "{report:?}");
    serve_head(&front, bent(&world, "adult", &key, |h| h.list = "other".parse().unwrap()));
    let report = home.pull().await;
    assert!(report.refused() && report.lists[0].error.as_deref().unwrap().contains("list other"), "{report:?}");
    assert!(home.is_current("adult"));
    // A list that must be white is not begun with when it is black.
    front.be_honest();
    let mut home = Home::new(&world, &[front.address], &["adult"]);
    home.options.lists[0].colour = Some(Colour::White);
    assert!(home.pull().await.refused() && home.output("adult").is_none());
}

#[tokio::test]
async fn split_view() {
    let (world, front, home) = followed(30).await;
    serve_head(&front, bent(&world, "adult", &stolen_key(), |h| h.root.digest = Digest::of("another content")));
    let report = home.pull().await;
    assert!(report.refused() && report.lists[0].error.as_deref().unwrap().contains("split view"), "{report:?}");
    assert!(home.is_current("adult"), "enforcement goes on");
}

#[tokio::test]
async fn key_compromise_and_recovery() {
    let (world, front, home) = followed(30).await;
    let fresh = take_the_key_out(&world);
    world.publish("adult", &["+domain:new.example"]);
    serve_head(&front, bent(&world, "adult", &fresh, |h| h.keyset = 2));
    let report = home.pull().await;
    assert!(report.good() && home.is_current("adult"), "{report:?}");
    assert_eq!(home.status().keyset, Some(2));
    // What the thief signs now is worth nothing, whatever key set it names.
    for keyset in [1, 2] {
        let forged = bent(&world, "adult", &stolen_key(), |h| {
            next_version(h);
            h.keyset = keyset;
        });
        serve_head(&front, forged);
        let report = home.pull().await;
        assert!(report.refused(), "{report:?}");
        assert_eq!(report.lists[0].serial, Some(2));
    }
}

#[tokio::test]
async fn a_forged_version_is_let_go_with_the_key_that_signed_it() {
    let (world, front, home) = followed(30).await;
    // The thief signs the highest serial there is, and content of his own; the follower takes it.
    let mut lines = world.lines("adult");
    lines.insert("domain:forged.example".into(), "domain:forged.example".into());
    let mut tree = TreeBuilder::new(0);
    lines.values().for_each(|line| tree.push(line));
    let (_, root) = tree.finish();
    let highest = crate::publishing::serial(i64::MAX as u64);
    let forged = bent(&world, "adult", &stolen_key(), |h| {
        next_version(h);
        (h.serial, h.root, h.entries) = (highest, root, 31);
    });
    let header = DeltaHeader {
        origin: "lists.example.org".parse().unwrap(),
        list: "adult".parse().unwrap(),
        colour: Colour::Black,
        from: crate::publishing::serial(1),
        to: highest,
    };
    let delta = Delta { header, changes: crate::publishing::changes(&["+domain:forged.example"]) };
    let delta = compress(&delta.encode(), 3);
    front.lie(move |path| match path {
        p if p.ends_with("/head") => Some(answer(200, forged.clone())),
        p if p.contains("/delta/") => Some(zstd_answer(delta.clone())),
        _ => None,
    });
    let report = home.pull().await;
    assert_eq!(report.lists[0].serial, Some(highest.get()), "{report:?}");
    assert!(home.output("adult").unwrap().contains(&"domain:forged.example".to_owned()));
    // The publisher goes on under its own serials. As long as the stolen key is in force, that looks like a rollback.
    world.publish("adult", &["+domain:new.example"]);
    front.be_honest();
    assert!(home.pull().await.refused());
    // With the key goes its claim; running and after a restart.
    let fresh = take_the_key_out(&world);
    serve_head(&front, bent(&world, "adult", &fresh, |h| h.keyset = 2));
    let running = home.run();
    until("the honest version is there", || home.is_current("adult")).await;
    running.stop().await;
    let report = home.pull().await;
    assert!(report.good() && report.lists[0].serial == Some(2), "{report:?}");
}

/// Key set 2, in which the stolen signing key is no more; gives the new one.
fn take_the_key_out(world: &World) -> SecretKey {
    let (root, fresh) = (
        SecretKey::from_seed("lists.example.org/root-1", &[8; 32]).unwrap(),
        SecretKey::from_seed("lists.example.org/signing-2", &[9; 32]).unwrap(),
    );
    let (_, first) = world.catalog.keyset(Some(1)).unwrap();
    let first = KeySet::parse(&Note::parse(first.as_bytes(), 65_536).unwrap().text).unwrap();
    let mut second = KeySet { number: 2, previous: Some(first.fingerprint()), ..first };
    second.signing[0].name = fresh.name().into();
    second.signing[0].key = fresh.public();
    world.catalog.set_keyset(2, root.sign_note(second.to_text()).encode().into());
    fresh
}

#[tokio::test]
async fn key_sets_are_fetched_in_order() {
    let (world, front, home) = followed(30).await;
    // A head names a key set far ahead, though it is signed by no key of it: one key set after the other is asked for, until
    // one is not there.
    serve_head(&front, bent(&world, "adult", &stolen_key(), |h| h.keyset = 4_000_000_000));
    front.asked();
    let report = home.pull().await;
    assert!(!report.good() && report.lists[0].serial == Some(1), "{report:?}");
    let asked: Vec<String> = front.asked().into_iter().filter(|a| a.contains("keyset")).collect();
    assert!(asked.len() <= 2 && asked.iter().all(|a| a == "GET /v1/keyset"), "{asked:?}");
    // An address that claims to have key set 3, and has no 2.
    let (_, first) = world.catalog.keyset(Some(1)).unwrap();
    let first = KeySet::parse(&Note::parse(first.as_bytes(), 65_536).unwrap().text).unwrap();
    let third = KeySet { number: 3, previous: Some(Digest::of("key set 2")), ..first };
    let third = stolen_key().sign_note(third.to_text()).encode();
    let head = bent(&world, "adult", &stolen_key(), |h| h.keyset = 3);
    front.lie(move |path| match path {
        "/v1/keyset" | "/v1/keyset/3" => Some(answer(200, third.clone())),
        p if p.ends_with("/head") => Some(answer(200, head.clone())),
        _ => None,
    });
    let report = home.pull().await;
    assert!(!report.good(), "{report:?}");
    let asked: Vec<String> = front.asked().into_iter().filter(|a| a.contains("keyset/")).collect();
    assert!(!asked.is_empty() && asked.iter().all(|a| a == "GET /v1/keyset/2"), "{asked:?}");
    assert_eq!(home.status().keyset, Some(1));
}

#[tokio::test]
async fn decompression_bomb() {
    let (world, front, home) = followed(30).await;
    let bomb = compress(&vec![b'x'; 100 << 20], 1);
    world.publish("adult", &["+domain:new.example"]);
    let lie = bomb.clone();
    front.lie(move |path| path.contains("/delta/").then(|| zstd_answer(lie.clone())));
    // The repair leads there all the same.
    assert!(home.pull().await.good() && home.is_current("adult"));
    world.publish("adult", &["+domain:newer.example"]);
    front.lie(move |path| (!path.ends_with("/head")).then(|| zstd_answer(bomb.clone())));
    let report = home.pull().await;
    assert!(report.refused() && report.lists[0].serial == Some(2), "{report:?}");
}

#[tokio::test]
async fn bad_delta_falls_back() {
    let (world, front, home) = followed(3_000).await;
    world.publish("adult", &["+domain:new.example"]);
    // One bad delta: the buckets that differ are fetched.
    front.lie(|path| path.contains("/delta/").then(|| zstd_answer(compress(b"nonsense", 3))));
    front.asked();
    assert!(home.pull().await.good() && home.is_current("adult"));
    let asked = front.asked();
    assert_eq!(asked.iter().filter(|a| a.contains("/bucket/")).count(), 1, "{asked:?}");
    assert!(!asked.iter().any(|a| a.contains("/snapshot/")));
    // No repair either: the snapshot is taken, and the delta from there.
    world.publish("adult", &["+domain:newer.example"]);
    front.lie(|path| (path.contains("/delta/2/") || path.contains("/bucket")).then(|| answer(200, "nonsense")));
    assert!(home.pull().await.good() && home.is_current("adult"));
    // Nothing at all: it keeps what it has and says so; and is not stuck.
    world.publish("adult", &["+domain:newest.example"]);
    front.lie(|path| (!path.ends_with("/head")).then(|| answer(200, "nonsense")));
    let report = home.pull().await;
    assert!(report.refused() && report.lists[0].serial == Some(3), "{report:?}");
    front.be_honest();
    assert!(home.pull().await.good() && home.is_current("adult"));
}

#[tokio::test]
async fn a_bad_inline_delta_is_no_end_either() {
    let (world, front, home) = followed(30).await;
    for serial in [2, 3] {
        world.publish("adult", &[format!("+domain:new-{serial}.example")]);
        let (from, to) = (crate::publishing::serial(serial - 1), crate::publishing::serial(serial));
        // The second fits the content and is of the right list and versions, but is none of what was signed.
        let header =
            DeltaHeader { origin: "lists.example.org".parse().unwrap(), list: "adult".parse().unwrap(), colour: Colour::Black, from, to };
        let forged = Delta { header, changes: crate::publishing::changes(&["+domain:forged.example"]) };
        let zstd = if serial == 2 { vec![0, 0, 0] } else { compress(&forged.encode(), 3) };
        let delta = serde_json::json!({"from": from, "to": to, "zstd": BASE64_STANDARD.encode(zstd)});
        let event = serde_json::json!({"list": "adult", "head": note_of(&world, "adult"), "delta": delta});
        let stream = format!("event: head\nid: adult:{serial}\ndata: {event}\n\n");
        front.lie(move |path| {
            path.starts_with("/v1/events").then(|| {
                let mut response = answer(200, stream.clone());
                response.headers_mut().insert("content-type", "text/event-stream".parse().unwrap());
                response
            })
        });
        let running = home.run();
        until("the change is there", || home.is_current("adult")).await;
        running.stop().await;
        let lines = home.output("adult").unwrap();
        assert!(lines.iter().all(|line| !line.contains("forged")), "{lines:?}");
    }
}

#[tokio::test]
async fn nothing_is_written_before_content_is_verified() {
    let world = World::new();
    world.publish("adult", &additions("a", 0..30));
    let front = Front::start(&world).await;
    front.lie(|path| path.contains("/snapshot/").then(|| answer(200, "")));
    let home = Home::new(&world, &[front.address], &["adult"]);
    let report = home.pull().await;
    assert!(!report.good() && home.output("adult").is_none());
    assert_eq!(home.status().lists[0].health, Health::Empty);
    // The head was accepted all the same, so that not even now an older one is.
    let before = bent(&world, "adult", &stolen_key(), |h| h.issued = Timestamp::from_unix(NOW - 10));
    serve_head(&front, before);
    let report = home.pull().await;
    assert!(home.output("adult").is_none() || report.good());
}
