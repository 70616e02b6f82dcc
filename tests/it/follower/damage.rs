//! What damage to a follower's own files does: found, and repaired with as little as can be.

use std::fs;

use bwld::follower::verify_folder;
use bwld::store::Clock as _;

use super::front::{Front, Home};
use crate::publishing::{World, additions};

async fn followed(entries: u32) -> (std::sync::Arc<World>, Front, Home) {
    let world = World::new();
    world.publish("adult", &additions("a", 0..entries));
    let front = Front::start(&world).await;
    let home = Home::new(&world, &[front.address], &["adult"]);
    assert!(home.pull().await.good());
    (world, front, home)
}

fn flip(path: &std::path::Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x20;
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn damaged_base_is_repaired_by_buckets() {
    let (world, front, home) = followed(5_000).await;
    let generation = home.generation("adult");
    // One bucket of the bucket file, and the snapshot beside it so that nothing can be mended from that.
    flip(&generation.join("base.buckets"), 40);
    fs::write(generation.join("base.snapshot.zst"), b"gone").unwrap();
    fs::remove_file(home.output_path("adult")).unwrap();
    let report = verify_folder(&home.folder(), world.clock.now()).unwrap();
    assert!(!report.good(), "{report:?}");
    front.asked();
    let report = home.pull().await;
    assert!(report.good() && home.is_current("adult"), "{report:?}");
    let asked = front.asked();
    assert_eq!(asked.iter().filter(|a| a.contains("/bucket/")).count(), 1, "only what differs: {asked:?}");
    assert!(!asked.iter().any(|a| a.contains("/snapshot/")), "{asked:?}");
    let report = verify_folder(&home.folder(), world.clock.now()).unwrap();
    assert!(report.good(), "{report:?}");
    world.publish("adult", &["+domain:new.example"]);
    assert!(home.pull().await.good() && home.is_current("adult"));
}

#[tokio::test]
async fn a_bucket_file_is_made_anew_from_the_snapshot_without_any_network() {
    let (world, front, home) = followed(5_000).await;
    world.publish("adult", &additions("b", 0..400));
    home.pull().await;
    for damage in ["flipped", "cut", "missing"] {
        let path = home.generation("adult").join("base.buckets");
        match damage {
            "flipped" => flip(&path, fs::metadata(&path).unwrap().len() as usize - 100),
            "cut" => fs::write(&path, b"bwld buckets v1\n").unwrap(),
            _ => fs::remove_file(&path).unwrap(),
        }
        front.asked();
        assert!(home.pull().await.good(), "{damage}");
        assert_eq!(front.asked(), ["GET /v1/lists/adult/head"], "{damage}");
        assert!(verify_folder(&home.folder(), world.clock.now()).unwrap().good(), "{damage}");
    }
}

#[tokio::test]
async fn a_damaged_log_costs_the_deltas_in_it_and_no_more() {
    let (world, front, home) = followed(3_000).await;
    for n in 0..3 {
        world.publish("adult", &[format!("+domain:n{n}.example")]);
        home.pull().await;
    }
    let log = home.generation("adult").join("log/00000001.seg");
    let at = fs::metadata(&log).unwrap().len() as usize / 2;
    flip(&log, at);
    let old = home.world.catalog.get(&crate::publishing::id("adult")).unwrap().note.to_string();
    world.publish("adult", &["+domain:last.example"]);
    front.asked();
    let report = home.pull().await;
    assert!(report.good() && home.is_current("adult"), "{report:?}");
    let asked = front.asked();
    assert!(asked.contains(&"GET /v1/lists/adult/delta/1/5".to_owned()), "{asked:?}");
    // The highest serial is still known.
    flip(&home.generation("adult").join("log/00000001.seg"), 200);
    front.lie(move |path| path.ends_with("/head").then(|| super::front::answer(200, old.clone())));
    assert!(home.pull().await.refused());
}

/// One octet flipped, a file cut and a file gone, each file in turn: a start finds it, or the next read does, and it ends current
/// and verified.
#[tokio::test]
async fn damaged_state_is_repaired() {
    let (world, _front, home) = followed(2_500).await;
    world.publish("adult", &["+domain:new.example"]);
    assert!(home.pull().await.good());
    let mut steps = 0;
    for file in ["base.buckets", "base.snapshot.zst", "base.json", "log/00000001.seg", "../accepted.note"] {
        for damage in ["flip the middle", "cut", "remove"] {
            let path = home.generation("adult").join(file);
            let bytes = fs::read(&path).unwrap();
            match damage {
                "cut" => fs::write(&path, &bytes[..bytes.len() / 3]).unwrap(),
                "remove" => fs::remove_file(&path).unwrap(),
                _ => flip(&path, bytes.len() / 2),
            }
            steps += 1;
            world.publish("adult", &[format!("+domain:step{steps}.example")]);
            let report = home.pull().await;
            assert!(report.good() && home.is_current("adult"), "{file}, {damage}: {report:?}");
        }
    }
    let report = verify_folder(&home.folder(), world.clock.now()).unwrap();
    assert!(report.good(), "{report:?}");
}

#[tokio::test]
async fn everything_gone_but_the_trust_is_a_new_start() {
    let (world, _front, home) = followed(300).await;
    fs::remove_dir_all(home.folder().join("lists")).unwrap();
    fs::remove_file(home.folder().join("status.json")).unwrap();
    world.publish("adult", &["+domain:new.example"]);
    assert!(home.pull().await.good() && home.is_current("adult"));
}

#[tokio::test]
async fn a_torn_write_is_cut_off_and_what_a_crash_left_is_removed() {
    let (world, _front, home) = followed(300).await;
    world.publish("adult", &["+domain:new.example"]);
    home.pull().await;
    let generation = home.generation("adult");
    let log = generation.join("log/00000001.seg");
    let bytes = fs::read(&log).unwrap();
    fs::write(&log, &bytes[..bytes.len() - 3]).unwrap();
    fs::create_dir(generation.with_file_name("new-7.tmp")).unwrap();
    assert!(home.pull().await.good() && home.is_current("adult"));
    assert!(!generation.with_file_name("new-7.tmp").exists());
    assert!(verify_folder(&home.folder(), world.clock.now()).unwrap().good());
}
