//! Files for filters: written when something in them changes and only then, each in one step, and the filter told afterwards.

use std::fs;
use std::path::PathBuf;

use bwld::follower::{Deliver, Follower, FollowerOptions, OutputChoice};
use bwld::formats::write::{ExportFormat, ExportOptions};

use crate::publishing::{World, additions, id};

use super::front::{Front, Home, until};

/// An output of these lists to FOLDER/`file`, whose reload adds a line to FOLDER/`file`.ran.
fn output(home: &Home, format: ExportFormat, lists: &[&str], categories: &[&str], file: &str) -> OutputChoice {
    let path = home.dir.path().join(file);
    let export = ExportOptions { categories: categories.iter().map(|c| c.parse().unwrap()).collect(), ..ExportOptions::default() };
    let script = format!("echo x >> {}.ran", path.display());
    OutputChoice {
        format,
        export,
        lists: lists.iter().map(|l| id(l)).collect(),
        file: path,
        deliver: Some(Deliver::Command(vec!["/bin/sh".into(), "-c".into(), script])),
    }
}

fn path(home: &Home, file: &str) -> PathBuf {
    home.dir.path().join(file)
}

/// Lines that are no comments.
fn body(home: &Home, file: &str) -> Vec<String> {
    let text = fs::read_to_string(path(home, file)).unwrap_or_default();
    text.lines().filter(|l| !l.starts_with('#')).map(str::to_owned).collect()
}

fn reloads(home: &Home, file: &str) -> usize {
    fs::read_to_string(path(home, &format!("{file}.ran"))).map_or(0, |t| t.lines().count())
}

#[tokio::test]
async fn a_file_for_a_filter_is_written_and_reloaded_only_when_something_in_it_changes() {
    let world = World::new();
    world.publish("adult", &["+domain:a.example\tcat=adult", "+domain:b.example\tcat=dating", "+subtree:c.example\tcat=adult"]);
    let front = Front::start(&world).await;
    let mut home = Home::new(&world, &[front.address], &["adult"]);
    home.options.outputs.push(output(&home, ExportFormat::Domains, &["adult"], &["adult"], "names"));
    assert!(home.pull().await.good());
    assert_eq!(body(&home, "names"), ["a.example"]);
    assert_eq!(reloads(&home, "names"), 1);
    let status = home.status();
    assert_eq!((status.outputs[0].rules, status.outputs[0].left_out, status.outputs[0].versions[0].serial), (1, 1, 1));
    assert!(status.outputs[0].reloaded.is_some() && status.failures().is_empty());
    let written = fs::metadata(path(&home, "names")).unwrap().modified().unwrap();
    let unchanged = |home: &Home| {
        assert_eq!(fs::metadata(path(home, "names")).unwrap().modified().unwrap(), written);
        assert_eq!(reloads(home, "names"), 1);
    };
    // Nothing new, and a heartbeat.
    home.pull().await;
    unchanged(&home);
    world.resign("adult", 60);
    home.pull().await;
    unchanged(&home);
    // A new version in which nothing that is selected has changed.
    world.publish("adult", &["+domain:d.example\tcat=dating", "~domain:b.example\tcat=chat"]);
    assert!(home.pull().await.changed());
    unchanged(&home);
    assert_eq!(home.status().outputs[0].versions[0].serial, 2, "it holds what this version selects");
    // One in which something has.
    world.publish("adult", &["-domain:a.example", "+domain:e.example"]);
    home.pull().await;
    assert_eq!((body(&home, "names"), reloads(&home, "names")), (vec!["e.example".to_owned()], 2));
    // Somebody else wrote into it.
    fs::write(path(&home, "names"), "evil.example\n").unwrap();
    home.pull().await;
    assert_eq!((body(&home, "names"), reloads(&home, "names")), (vec!["e.example".to_owned()], 3));
    // The record is lost: made again, found the same.
    fs::remove_dir_all(home.folder().join("outputs")).unwrap();
    home.pull().await;
    assert_eq!(reloads(&home, "names"), 3);
    // Another selection is another file.
    home.options.outputs[0].export.categories.clear();
    home.pull().await;
    assert_eq!(body(&home, "names"), ["b.example", "d.example", "e.example"]);
}

#[tokio::test]
async fn a_running_follower_writes_several_lists_into_one_file() {
    let world = World::new();
    world.publish("adult", &additions("a", 0..300));
    world.publish("ads", &additions("b", 0..20));
    let front = Front::start(&world).await;
    let mut home = Home::new(&world, &[front.address], &["adult", "ads"]);
    home.options.outputs.push(output(&home, ExportFormat::Bwld, &["adult", "ads"], &[], "both"));
    home.options.outputs.push(output(&home, ExportFormat::Domains, &["ads"], &[], "ads"));
    let running = home.run();
    until("both files", || body(&home, "both").len() == 320 && body(&home, "ads").len() == 20 && reloads(&home, "both") >= 1).await;
    let lines = body(&home, "both");
    assert!(lines.is_sorted());
    world.publish("ads", &["+domain:a7.example\tcat=ads", "+domain:new.example"]);
    until("the change", || body(&home, "both").iter().any(|l| l.starts_with("domain:new.example"))).await;
    until("the change", || body(&home, "ads").contains(&"new.example".to_owned())).await;
    let both: Vec<String> = body(&home, "both").into_iter().filter(|l| l.starts_with("domain:a7.example")).collect();
    assert_eq!(both.len(), 1, "a rule of both lists comes once: {both:?}");
    running.stop().await;
}

#[tokio::test]
async fn a_file_of_several_lists_waits_for_the_last_of_them() {
    let world = World::new();
    world.publish("adult", &additions("a", 0..30));
    let front = Front::start(&world).await;
    let mut home = Home::new(&world, &[front.address], &["adult", "nosuch"]);
    home.options.outputs.push(output(&home, ExportFormat::Domains, &["adult", "nosuch"], &[], "names"));
    let report = home.pull().await;
    assert!(report.lists[0].error.is_none() && report.lists[1].error.is_some());
    assert!(!path(&home, "names").exists(), "half of it would be a hole in the filter");
    assert!(home.status().outputs[0].versions.is_empty());
    world.publish("nosuch", &["+domain:z.example"]);
    assert!(home.pull().await.good());
    assert_eq!(body(&home, "names").len(), 31);
}

#[tokio::test]
async fn what_fails_is_told_and_undoes_nothing() {
    let world = World::new();
    world.publish("adult", &["+domain:a.example"]);
    let front = Front::start(&world).await;
    let mut home = Home::new(&world, &[front.address], &["adult"]);
    let mut one = output(&home, ExportFormat::Domains, &["adult"], &[], "names");
    one.deliver = Some(Deliver::Command(vec!["/bin/sh".into(), "-c".into(), "echo broken >&2; exit 7".into()]));
    home.options.outputs.push(one);
    home.options.outputs.push(output(&home, ExportFormat::Domains, &["adult"], &[], "nosuch/names"));
    let report = home.pull().await;
    assert!(!report.good());
    let said = report.failures.join("\n");
    assert!(said.contains("broken") && said.contains("exit status: 7") && said.contains("nosuch/names"), "{said}");
    assert_eq!(body(&home, "names"), ["a.example"]);
    assert_eq!(home.output("adult"), Some(vec!["domain:a.example".to_owned()]), "what can be written is");
    assert!(home.status().outputs[0].reload_error.is_some() && home.status().outputs[1].error.is_some());
}

#[tokio::test]
async fn a_running_program_that_is_not_reached_is_tried_again() {
    let world = World::new();
    world.publish("adult", &["+domain:a.example"]);
    let front = Front::start(&world).await;
    let mut home = Home::new(&world, &[front.address], &["adult"]);
    let mut one = output(&home, ExportFormat::Domains, &["adult"], &[], "names.map");
    let socket = path(&home, "haproxy.sock");
    one.deliver = Some(Deliver::HaproxySocket { socket: socket.clone(), map: "names.map".into(), file: one.file.clone() });
    home.options.outputs.push(one);
    assert!(home.pull().await.failures[0].contains("haproxy.sock"));
    // The next round hands it over, although nothing has changed.
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    let asked = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut asked = Vec::new();
        for answer in ["New version created: 3\n\n", "\n", "\n"] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = vec![0; 20_000];
            let n = stream.read(&mut buffer).await.unwrap();
            asked.push(String::from_utf8_lossy(&buffer[..n]).into_owned());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        asked
    });
    assert!(home.pull().await.good());
    assert_eq!(asked.await.unwrap(), ["prepare map names.map\n", "add map @3 names.map <<\na.example\n\n", "commit map @3 names.map\n"]);
    assert!(home.pull().await.good(), "and once only");
}

#[tokio::test]
async fn outputs_that_cannot_be_are_refused_at_once() {
    let world = World::new();
    world.publish("adult", &["+domain:a.example"]);
    let front = Front::start(&world).await;
    let home = Home::new(&world, &[front.address], &["adult"]);
    let refused = |outputs: Vec<OutputChoice>| {
        let options = FollowerOptions { outputs, ..home.options.clone() };
        Follower::open(&home.folder(), options, world.clock.clone()).expect_err("a refusal").to_string()
    };
    let one = || output(&home, ExportFormat::Domains, &["adult"], &[], "names");
    assert!(refused(vec![one(), one()]).contains("no other output"));
    assert!(refused(vec![OutputChoice { lists: vec![id("other")], ..one() }]).contains("followed"));
    assert!(refused(vec![OutputChoice { deliver: Some(Deliver::Command(Vec::new())), ..one() }]).contains("empty"));
    let text = home.output_path("adult");
    assert!(refused(vec![OutputChoice { file: text, ..one() }]).contains("no other output"));
}
