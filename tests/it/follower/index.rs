//! The compiled index that a follower keeps: what look-ups in this process and outside see of it, whatever happens to it.

use std::fs;
use std::path::PathBuf;

use bwld::follower::verify_folder;
use bwld::indexes::IndexFolder;
use bwld::matcher::{Lists, Matcher, Verdict};
use bwld::store::Clock as _;

use super::front::{Front, Home, until};
use crate::publishing::{World, additions};

/// The verdict's word and serial of the list that decided.
fn ask(lists: &Lists, question: &str, world: &World) -> (&'static str, Option<u64>) {
    let verdict = lists.ask(question, world.clock.now()).unwrap();
    (verdict.word(), verdict.decided_by().and_then(|by| by.list().serial).map(|serial| serial.get()))
}

fn files(home: &Home, list: &str) -> Vec<PathBuf> {
    let folder = fs::read_dir(home.folder().join("index").join(list)).unwrap();
    let mut files: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).filter(|path| path.extension().unwrap() == "idx").collect();
    files.sort();
    files
}

/// What a reader that comes now sees.
fn read(home: &Home) -> Lists {
    IndexFolder::open(&home.folder()).unwrap().load().unwrap()
}

#[tokio::test]
async fn look_ups_follow_the_publisher_without_a_restart() {
    let world = World::new();
    world.publish("adult", &additions("a", 0..300));
    let front = Front::start(&world).await;
    let home = Home::new(&world, &[front.address], &["adult", "later"]);
    let follower = home.open();
    let here = follower.matcher().unwrap();
    assert_eq!(ask(&here.load(), "a7.example", &world).0, "no-data");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(follower.run(async {
        let _ = stopped.await;
    }));
    // Another process would do this.
    let mut folder = IndexFolder::open(&home.folder()).unwrap();
    let there = Matcher::new(folder.load().unwrap());
    until("the list is there", || folder.refresh(&there).unwrap() && ask(&there.load(), "a7.example", &world) == ("block", Some(1))).await;
    assert_eq!(ask(&here.load(), "a7.example", &world), ("block", Some(1)));
    // A list that is followed and does not exist: nobody knows what it would say.
    let now = world.clock.now();
    for lists in [here.load(), there.load()] {
        let verdict = lists.ask("other.example", now).unwrap();
        assert!(matches!(verdict, Verdict::NoData(missing) if missing.list.list.as_str() == "later" && !missing.damaged), "{verdict:?}");
        let incomplete = lists.ask("a7.example", now).unwrap().decided_by().unwrap().incomplete;
        assert!(incomplete);
    }
    world.publish("later", &additions("l", 0..3));
    until("the other list is there", || folder.refresh(&there).unwrap() && ask(&there.load(), "l1.example", &world).0 == "block").await;
    assert_eq!(ask(&there.load(), "other.example", &world).0, "unlisted");

    for serial in 2..12_u64 {
        let before = format!("-domain:n{}.example", serial - 1);
        let changes = [format!("+domain:n{serial}.example"), before];
        world.publish("adult", if serial == 2 { &changes[..1] } else { &changes });
        let (new, old) = (format!("n{serial}.example"), format!("n{}.example", serial - 1));
        until("the change is seen outside", || {
            folder.refresh(&there).unwrap();
            ask(&there.load(), &new, &world) == ("block", Some(serial))
        })
        .await;
        assert_eq!(ask(&here.load(), &new, &world), ("block", Some(serial)), "it is seen inside before");
        assert_eq!(ask(&there.load(), &old, &world).0, "unlisted");
    }
    until("the status says so", || home.status().lists[0].index == Some(11)).await;
    let _ = stop.send(());
    running.await.unwrap();
    assert!(home.is_current("adult"));
    let report = verify_folder(&home.folder(), world.clock.now()).unwrap();
    assert!(report.good() && report.lists[0].index == Some(11), "{report:?}");
}

#[tokio::test]
async fn a_start_reuses_the_base_and_lays_the_log_over_it() {
    let world = World::new();
    world.publish("adult", &additions("a", 0..3_000));
    let front = Front::start(&world).await;
    let home = Home::new(&world, &[front.address], &["adult"]);
    assert!(home.pull().await.good());
    let base = files(&home, "adult");
    assert_eq!(base.len(), 1);
    // As after a crash between the content's commit and the index.
    let kept = home.dir.path().join("kept");
    fs::create_dir(&kept).unwrap();
    let index = home.folder().join("index/adult");
    for entry in fs::read_dir(&index).unwrap().flatten() {
        fs::copy(entry.path(), kept.join(entry.file_name())).unwrap();
    }
    world.publish("adult", &["+domain:two.example"]);
    home.pull().await;
    world.publish("adult", &["+domain:three.example", "-domain:two.example"]);
    home.pull().await;
    assert_eq!(files(&home, "adult").len(), 2);
    fs::remove_dir_all(&index).unwrap();
    fs::rename(&kept, &index).unwrap();
    // The index is behind: that is no damage, and it is still compared with what it should be.
    let report = verify_folder(&home.folder(), world.clock.now()).unwrap();
    assert!(report.good() && (report.lists[0].serial, report.lists[0].index) == (Some(3), Some(1)), "{report:?}");
    assert!(home.pull().await.good());
    assert!(files(&home, "adult").contains(&base[0]) && files(&home, "adult").len() == 2, "{:?}", files(&home, "adult"));
    let lists = read(&home);
    assert_eq!(ask(&lists, "three.example", &world), ("block", Some(3)));
    assert_eq!([ask(&lists, "two.example", &world).0, ask(&lists, "a2999.example", &world).0], ["unlisted", "block"]);
    let report = verify_folder(&home.folder(), world.clock.now()).unwrap();
    assert!(report.good() && report.lists[0].index == Some(3), "{report:?}");
}

#[tokio::test]
async fn damaged_and_foreign_indexes_are_built_again() {
    let world = World::new();
    world.publish("adult", &additions("a", 0..2_000));
    let front = Front::start(&world).await;
    let home = Home::new(&world, &[front.address], &["adult"]);
    assert!(home.pull().await.good());
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 5] = [
        ("header", |octets| octets[100] ^= 1),
        ("names", |octets| octets[20_000] ^= 1),
        ("end", |octets| *octets.last_mut().unwrap() ^= 1),
        ("cut", |octets| octets.truncate(5_000)),
        ("empty", Vec::clear),
    ];
    for (what, damage) in damages {
        let file = files(&home, "adult").remove(0);
        let mut octets = fs::read(&file).unwrap();
        damage(&mut octets);
        fs::remove_file(&file).unwrap();
        fs::write(&file, octets).unwrap();
        let report = verify_folder(&home.folder(), world.clock.now()).unwrap();
        assert!(report.lists[0].problems.iter().any(|problem| problem.contains("index")), "{what}: {report:?}");
        assert!(home.pull().await.good(), "{what}");
        let report = verify_folder(&home.folder(), world.clock.now()).unwrap();
        assert!(report.good() && report.lists[0].index == Some(1), "{what}: {report:?}");
        assert_eq!(ask(&read(&home), "a1234.example", &world).0, "block");
    }
    // Whole by its checksums, and of another list: only the comparison with the list shows it.
    fs::write(home.folder().join("index/adult/current.json"), "{}").unwrap();
    assert!(!verify_folder(&home.folder(), world.clock.now()).unwrap().good());
    assert!(home.pull().await.good());
    assert!(verify_folder(&home.folder(), world.clock.now()).unwrap().good());
}

#[tokio::test]
async fn an_index_that_says_something_else_is_not_verified() {
    let world = World::new();
    world.publish("adult", &["+domain:one.example", "+domain:two.example\tcat=a", "+cidr:192.0.2.0/24", "+prefix:x.example/a/"]);
    let front = Front::start(&world).await;
    let home = Home::new(&world, &[front.address], &["adult"]);
    assert!(home.pull().await.good());
    assert!(verify_folder(&home.folder(), world.clock.now()).unwrap().good());
    let whole = read(&home);
    let about = whole.layers(&"lists.example.org".parse().unwrap(), &"adult".parse().unwrap()).unwrap().about().clone();
    let wrong = ["domain:one.example", "domain:two.example\tcat=b", "cidr:192.0.2.0/24", "prefix:x.example/a/"];
    let cases =
        [&wrong[..], &["domain:one.example", "domain:three.example\tcat=a", "cidr:192.0.2.0/24", "prefix:x.example/a/"], &wrong[..3]];
    for lines in cases {
        let writer = bwld::indexes::IndexWriter::open(&home.folder(), &whole.states().cloned().collect::<Vec<_>>()).unwrap();
        let mut builder = bwld::matcher::IndexBuilder::new(about.clone(), writer.seed());
        lines.iter().for_each(|line| builder.push(line).unwrap());
        let layers = bwld::matcher::Layers::new(builder.finish().unwrap().into());
        writer.list(&about.list).publish(whole.states().next().unwrap(), Some(&layers)).unwrap();
        let report = verify_folder(&home.folder(), world.clock.now()).unwrap();
        assert!(report.lists[0].problems[0].starts_with("index of serial 1: it "), "{report:?}");
    }
}

#[tokio::test]
async fn a_renewed_head_keeps_look_ups_fresh() {
    let world = World::new();
    world.publish("adult", &additions("a", 0..10));
    let front = Front::start(&world).await;
    let home = Home::new(&world, &[front.address], &["adult"]);
    assert!(home.pull().await.good());
    let base = files(&home, "adult");
    let expires = read(&home).states().next().unwrap().expires.unwrap();
    world.clock.advance(60);
    world.resign("adult", 60);
    assert!(home.pull().await.good());
    assert_eq!(files(&home, "adult"), base);
    let lists = read(&home);
    let stale = |at| lists.ask("a1.example", at).unwrap().stale() && lists.ask("other.example", at).unwrap().stale();
    assert!(!stale(expires.plus(59)) && stale(expires.plus(60)));
}

#[tokio::test]
async fn an_index_that_cannot_be_written_is_said_and_stops_nothing() {
    let world = World::new();
    world.publish("adult", &additions("a", 0..10));
    let front = Front::start(&world).await;
    let mut home = Home::new(&world, &[front.address], &["adult"]);
    assert!(home.pull().await.good());
    fs::remove_dir_all(home.folder().join("index")).unwrap();
    fs::write(home.folder().join("index"), "in the way").unwrap();
    world.publish("adult", &["+domain:new.example"]);
    let follower = home.open();
    let matcher = follower.matcher().unwrap();
    assert!(follower.pull().await.good());
    assert!(home.is_current("adult"));
    assert_eq!(ask(&matcher.load(), "new.example", &world), ("block", Some(2)));
    let error = home.status().lists[0].index_error.clone().unwrap();
    assert!(error.contains("in this process only"), "{error}");
    fs::remove_file(home.folder().join("index")).unwrap();
    assert!(home.pull().await.good() && home.status().lists[0].index_error.is_none());
    assert_eq!(ask(&read(&home), "new.example", &world), ("block", Some(2)));

    home.options.index = false;
    let follower = home.open();
    assert!(follower.matcher().is_none());
    assert!(follower.pull().await.good() && !home.folder().join("index").exists(), "an old index would go on answering");
    assert!(verify_folder(&home.folder(), world.clock.now()).unwrap().good());
}
