//! A publisher whose disk fails: who asks is told what to do, and `/readyz` sends everybody else elsewhere.

use std::sync::Arc;

use bwld::http::{Admin, RouteOptions};
use bwld::store::failing::{Condition, FailingDisk};
use serde_json::json;

use super::http_admin::Desk;

async fn desk() -> (Desk, Arc<FailingDisk>) {
    let disk = Arc::new(FailingDisk::default());
    let desk = Desk::open_on(disk.clone(), Admin::DEFAULT_MAX_IMPORT, RouteOptions::default()).await;
    desk.create_list().await;
    (desk, disk)
}

#[tokio::test]
async fn a_full_disk_is_told_with_a_time_to_come_back_and_nothing_is_lost() {
    let (desk, disk) = desk().await;
    desk.json("POST", "/lists/test/changes", &json!({"put": [{"rule": "bad.example"}]})).await;
    disk.set(Condition::Full);
    let writes = [
        ("POST", "/lists/test/publish", String::new()),
        ("PATCH", "/lists/test", json!({"title": "Better"}).to_string()),
        ("POST", "/lists", json!({"id": "other", "colour": "black", "title": "T"}).to_string()),
    ];
    for (method, path, body) in &writes {
        let answer = desk.ask(method, path, body.as_bytes()).await;
        assert_eq!((answer.status, answer.code().as_str()), (503, "retry"), "{path}: {answer:?}");
        let wait: u64 = answer.header("retry-after").parse().expect("seconds");
        assert!((10..=20).contains(&wait), "{path}: {wait}");
    }
    assert_eq!(desk.server.get("/readyz", &[]).await.status, 200, "what is published is served");
    disk.set(Condition::Sound);
    for (method, path, body) in &writes {
        let answer = desk.ask(method, path, body.as_bytes()).await;
        assert!((200..300).contains(&answer.status), "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn a_store_of_unknown_outcome_is_not_ready_at_once_and_says_why() {
    let (desk, disk) = desk().await;
    let ready = desk.server.get("/readyz", &[]).await;
    assert_eq!((ready.status, ready.json()["ready"].as_bool()), (200, Some(true)));
    disk.set(Condition::Gone);
    let answer = desk.json("PATCH", "/lists/test", &json!({"title": "Better"})).await;
    assert_eq!((answer.status, answer.code().as_str()), (500, "fatal"), "{answer:?}");
    let ready = desk.server.get("/readyz", &[]).await;
    let reason = ready.json()["reasons"][0].to_string();
    assert_eq!(ready.status, 503);
    assert!(reason.contains("is unknown") && reason.contains("restart to repair"), "{reason}");
    assert!(desk.server.get("/metrics", &[]).await.text().contains("bwld_ready 0"));
    // The disk working again does not tell what it took.
    disk.set(Condition::Sound);
    assert_eq!(desk.json("PATCH", "/lists/test", &json!({"title": "Better"})).await.status, 500);
    assert_eq!(desk.server.get("/readyz", &[]).await.json()["reasons"].as_array().map(Vec::len), Some(1));
}
