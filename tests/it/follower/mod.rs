//! The follower against the real routes: what it does when all goes well, and what each attack and each damage does to it.

mod attacks;
mod damage;
mod front;
mod index;
mod outputs;
mod resume;

use std::fs;

use bwld::follower::{Health, Mode, verify_folder};
use bwld::formats::{self, Format, Item, ReadOptions};
use bwld::store::Clock as _;

use crate::publishing::{World, additions};
use front::{Front, Home, answer, until};

#[tokio::test]
async fn a_change_arrives_by_push_and_is_written_and_reloaded() {
    let world = World::new();
    world.publish("adult", &additions("a", 0..300));
    world.publish("ads", &additions("b", 0..20));
    let front = Front::start(&world).await;
    let mut home = Home::new(&world, &[front.address], &["adult", "ads"]);
    let ran = home.dir.path().join("ran");
    home.options.reload = Some(vec!["/bin/sh".into(), "-c".into(), format!("echo reloaded >> {}", ran.display())]);
    let running = home.run();
    until("both lists are there", || home.is_current("adult") && home.is_current("ads")).await;
    until("the reload has run", || ran.exists()).await;
    let before = front.asked();
    assert!(before.iter().any(|a| a == "GET /v1/events?lists=adult,ads"), "{before:?}");

    world.publish("adult", &["+domain:new.example", "-domain:a7.example", "~domain:a8.example\tcat=other"]);
    until("the change is there", || home.is_current("adult")).await;
    // It came inside the event: nothing was fetched for it.
    let fetched: Vec<String> = front.asked().into_iter().filter(|a| a.contains("/delta/") || a.contains("/snapshot/")).collect();
    assert_eq!(fetched, Vec::<String>::new());
    running.stop().await;

    let status = home.status();
    assert_eq!(status.lists[0].serial, Some(2));
    assert_eq!((status.lists[0].health, status.lists[0].mode, status.lists[1].serial), (Health::Fresh, Mode::Push, Some(1)));
    assert!(status.received > 0 && status.keyset == Some(1));
    let report = verify_folder(&home.folder(), world.clock.now()).unwrap();
    assert!(report.good() && report.lists.len() == 2, "{report:?}");
}

#[tokio::test]
async fn an_unchanged_list_costs_no_write_and_no_reload_and_a_restart_resumes() {
    let world = World::new();
    world.publish("adult", &additions("a", 0..300));
    let front = Front::start(&world).await;
    let mut home = Home::new(&world, &[front.address], &["adult"]);
    let ran = home.dir.path().join("ran");
    home.options.reload = Some(vec!["/bin/sh".into(), "-c".into(), format!("echo x >> {}", ran.display())]);
    let first = home.pull().await;
    assert!(first.good() && first.changed(), "{first:?}");
    let written = fs::metadata(home.output_path("adult")).unwrap().modified().unwrap();
    front.asked();
    let second = home.pull().await;
    assert!(second.good() && !second.changed(), "{second:?}");
    assert_eq!(front.asked(), ["GET /v1/lists/adult/head"], "an empty round is one request");
    assert_eq!(fs::metadata(home.output_path("adult")).unwrap().modified().unwrap(), written);
    assert_eq!(fs::read_to_string(&ran).unwrap(), "x\n");
    // A heartbeat is no change either.
    world.resign("adult", 60);
    let third = home.pull().await;
    assert!(third.good() && !third.changed());
    assert_eq!(fs::metadata(home.output_path("adult")).unwrap().modified().unwrap(), written);
    // From where it stands, by delta.
    world.publish("adult", &["+domain:new.example"]);
    front.asked();
    assert!(home.pull().await.changed() && home.is_current("adult"));
    assert!(front.asked().contains(&"GET /v1/lists/adult/delta/1/2".to_owned()));
}

#[tokio::test]
async fn the_output_is_read_back_by_the_reader_of_own_text() {
    let world = World::new();
    world.publish("adult", &additions("a", 0..30));
    let front = Front::start(&world).await;
    let home = Home::new(&world, &[front.address], &["adult"]);
    home.pull().await;
    let text = fs::read(home.output_path("adult")).unwrap();
    let options = ReadOptions { format: Some(Format::Bwld), ..ReadOptions::default() };
    let mut lines = Vec::new();
    let summary = formats::read::<formats::ReadError>(&text[..], &options, |item| {
        if let Item::Put(line) = item {
            lines.push(line.to_owned());
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(summary.issues_total, 0);
    assert_eq!(lines, world.lines("adult").into_values().collect::<Vec<_>>());
}

#[tokio::test]
async fn weeks_offline() {
    let world = World::new();
    world.publish("adult", &additions("a", 0..3_000));
    let front = Front::start(&world).await;
    let home = Home::new(&world, &[front.address], &["adult"]);
    assert!(home.pull().await.good());
    for n in 0..60 {
        world.publish("adult", &[format!("+domain:day{n}.example")]);
    }
    world.clock.advance(20 * 3_600);
    front.asked();
    assert!(home.pull().await.good() && home.is_current("adult"));
    let asked: Vec<String> = front.asked().into_iter().filter(|a| !a.ends_with("/head")).collect();
    assert_eq!(asked, ["GET /v1/lists/adult/delta/1/61"], "sixty versions are one request");

    // The delta is no longer kept: the snapshot is taken.
    world.publish("adult", &["+domain:late.example"]);
    front.lie(|path| path.contains("/delta/61/").then(|| answer(410, "")));
    assert!(home.pull().await.good() && home.is_current("adult"));
    assert!(front.asked().iter().any(|a| a.contains("/snapshot/")));
}

#[tokio::test]
async fn push_falls_back_to_poll() {
    let world = World::new();
    world.publish("adult", &additions("a", 0..30));
    let front = Front::start(&world).await;
    let home = Home::new(&world, &[front.address], &["adult"]);
    front.lie(|path| (path.starts_with("/v1/events") || path.contains("wait=")).then(|| answer(503, "")));
    let running = home.run();
    until("polling", || home.folder().join("status.json").exists() && home.status().lists[0].mode == Mode::Poll).await;
    world.publish("adult", &["+domain:new.example"]);
    until("the change came by polling", || home.is_current("adult")).await;
    front.be_honest();
    // A stream counts when something came through it: news, or the comment after 25 seconds.
    let mut n = 0;
    until("push is back", || {
        n += 1;
        if n % 40 == 1 {
            world.publish("adult", &[format!("+domain:n{n}.example")]);
        }
        home.status().lists[0].mode == Mode::Push
    })
    .await;
    world.publish("adult", &["+domain:newer.example"]);
    until("the change came by push", || home.is_current("adult")).await;
    running.stop().await;
}

#[tokio::test]
async fn long_poll_serves_where_streams_do_not_pass() {
    let world = World::new();
    world.publish("adult", &additions("a", 0..30));
    let front = Front::start(&world).await;
    let home = Home::new(&world, &[front.address], &["adult"]);
    front.lie(|path| path.starts_with("/v1/events").then(|| answer(502, "")));
    let running = home.run();
    until("long poll", || home.folder().join("status.json").exists() && home.status().lists[0].mode == Mode::LongPoll).await;
    until("a long poll is under way", || front.asked().iter().any(|a| a.contains("wait="))).await;
    world.publish("adult", &["+domain:new.example"]);
    until("the change is there", || home.is_current("adult")).await;
    running.stop().await;
}

#[tokio::test]
async fn mirror_failover() {
    let world = World::new();
    world.publish("adult", &additions("a", 0..30));
    let (first, second) = (Front::start(&world).await, Front::start(&world).await);
    // Nobody listens at the first address; the second lags behind; the third is good.
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let old = front::note_of(&world, "adult");
    let home = Home::new(&world, &[dead, first.address, second.address], &["adult"]);
    assert!(home.pull().await.good());
    world.publish("adult", &["+domain:new.example"]);
    let running = home.run();
    until("the change is there", || home.is_current("adult")).await;
    first.lie(move |path| match path {
        p if p.starts_with("/v1/events") => Some(answer(503, "")),
        p if p.ends_with("/head") => Some(answer(200, old.clone())),
        _ => None,
    });
    world.publish("adult", &["+domain:newer.example"]);
    until("the newer change is there", || home.is_current("adult")).await;
    running.stop().await;
    assert_eq!(home.status().lists[0].serial, Some(3));
}

#[tokio::test]
async fn a_reload_that_fails_is_told_and_run_again_with_the_next_change() {
    let world = World::new();
    world.publish("adult", &additions("a", 0..30));
    let front = Front::start(&world).await;
    let mut home = Home::new(&world, &[front.address], &["adult"]);
    let ran = home.dir.path().join("ran");
    home.options.reload = Some(vec!["/bin/sh".into(), "-c".into(), format!("echo x >> {}; echo no such zone >&2; exit 3", ran.display())]);
    home.pull().await;
    let error = home.status().reload_error.unwrap();
    assert!(error.contains("exit status: 3") && error.contains("no such zone"), "{error}");
    world.publish("adult", &["+domain:new.example"]);
    home.pull().await;
    assert_eq!(fs::read_to_string(ran).unwrap(), "x\nx\n");
}

#[tokio::test]
async fn trust_on_first_use_pins_what_it_saw() {
    let world = World::new();
    world.publish("adult", &additions("a", 0..30));
    let front = Front::start(&world).await;
    let mut home = Home::new(&world, &[front.address], &["adult"]);
    home.options.trust = bwld::follower::Trust::FirstUse;
    assert!(home.pull().await.good());
    let pinned = fs::read_to_string(home.folder().join("trust/pinned")).unwrap();
    assert_eq!(pinned.trim(), front::fingerprint(&world).to_string());
    // Another publisher at the same address later is refused.
    let other = bwld::trust::SecretKey::from_seed("x", &[1; 32]).unwrap();
    let note = front::bent(&world, "adult", &other, front::next_version);
    front.lie(move |path| path.ends_with("/head").then(|| answer(200, note.clone())));
    let report = home.pull().await;
    assert!(report.refused(), "{report:?}");
}
