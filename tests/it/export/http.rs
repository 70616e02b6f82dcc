//! Exports over a socket: tags, codings, refusals, signatures.

use std::io::Read as _;
use std::process::Command;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use bwld::http::{Admin, Exports, RouteOptions};
use bwld::store::RealDisk;
use bwld::trust::SecretKey;
use serde_json::json;
use tower::ServiceExt as _;

use crate::http_admin::{BEARER, Desk};
use crate::raw::Answer;

async fn desk() -> Desk {
    let key = SecretKey::from_seed("lists.example.org/minisign", &[9; 32]).expect("a key");
    let options = RouteOptions { exports: Exports::new(Some(key)), ..RouteOptions::default() };
    let desk = Desk::open_on(Arc::new(RealDisk), Admin::DEFAULT_MAX_IMPORT, options).await;
    desk.create_list().await;
    desk
}

async fn publish(desk: &Desk, rules: &[&str]) {
    let put: Vec<_> = rules.iter().map(|rule| json!({"rule": rule})).collect();
    assert_eq!(desk.json("POST", "/lists/test/changes", &json!({"put": put})).await.status, 200);
    assert_eq!(desk.ask("POST", "/lists/test/publish", b"").await.status, 200);
}

async fn get(desk: &Desk, path: &str, fields: &[(&str, &str)]) -> Answer {
    desk.server.raw().await.request("GET", &format!("/v1/lists/test/export/{path}"), fields, b"").await
}

#[tokio::test]
async fn an_export_has_its_tag_and_its_fields_and_comes_in_the_coding_that_is_taken() {
    let desk = desk().await;
    publish(&desk, &["domain:a.example", "subtree:b.example", "url:c.example/x"]).await;
    let plain = get(&desk, "hosts", &[]).await;
    assert_eq!(plain.status, 200, "{plain:?}");
    assert!(plain.text().contains("\n0.0.0.0 a.example\n:: a.example\n# Entries: 3; written 1 as 2 rules\n"), "{}", plain.text());
    assert_eq!(plain.header("content-disposition"), "inline; filename=\"test.hosts.txt\"");
    assert!(plain.header("last-modified").ends_with(" GMT") && plain.header("link").contains("/export/hosts.minisig>"));
    let tag = plain.header("etag").to_owned();
    assert_eq!(get(&desk, "hosts", &[("if-none-match", &tag)]).await.status, 304);
    assert_ne!(get(&desk, "domains", &[]).await.header("etag"), tag);
    assert_ne!(get(&desk, "hosts?categories=a", &[]).await.header("etag"), tag);
    let gzip = get(&desk, "hosts", &[("accept-encoding", "gzip")]).await;
    let mut unpacked = String::new();
    flate2::read::GzDecoder::new(&gzip.body[..]).read_to_string(&mut unpacked).expect("gzip");
    assert_eq!((unpacked.as_str(), gzip.header("content-encoding")), (plain.text(), "gzip"));
    let packed = get(&desk, "hosts", &[("accept-encoding", "zstd")]).await;
    assert_eq!(zstd::decode_all(&packed.body[..]).expect("zstd"), plain.body);
    assert_ne!((packed.header("etag"), gzip.header("etag")), (tag.as_str(), tag.as_str()));
    // A change of the list changes the tag, and what was added since the base is in it.
    publish(&desk, &["domain:d.example"]).await;
    let newer = get(&desk, "hosts", &[("if-none-match", &tag)]).await;
    assert!(newer.status == 200 && newer.text().contains("0.0.0.0 d.example\n"));
    let head = desk.server.raw().await.request("HEAD", "/v1/lists/test/export/hosts", &[], b"").await;
    assert_eq!((head.status, head.header("etag"), head.body.len()), (200, newer.header("etag"), 0));
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_the_reason() {
    let desk = desk().await;
    publish(&desk, &["domain:a.example", "url:c.example/x"]).await;
    for (path, status, code) in [
        ("no-such", 404, "unknown-format"),
        ("subtrees", 409, "empty-export"),
        ("hosts?categorys=a", 400, "unknown-parameter"),
        ("hosts?categories=A!", 400, "bad-parameter"),
        ("hosts?limit=0", 400, "bad-parameter"),
        ("hosts?spellings=all", 400, "bad-parameter"),
        ("nftables?name=A&empty=ok", 400, "bad-parameter"),
        ("subtrees.minisig", 409, "empty-export"),
    ] {
        let answer = get(&desk, path, &[]).await;
        assert_eq!((answer.status, answer.json()["code"].as_str()), (status, Some(code)), "{path}: {answer:?}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    // Whatever the coding: what an encoder writes when it is given up is no beginning of an answer.
    for coding in ["gzip", "zstd"] {
        let answer = get(&desk, "subtrees", &[("accept-encoding", coding)]).await;
        assert_eq!((answer.status, answer.json()["code"].as_str()), (409, Some("empty-export")), "{coding}: {answer:?}");
    }
    let empty = get(&desk, "subtrees?empty=ok", &[]).await;
    assert!(empty.status == 200 && empty.text().contains("written 0 as 0 rules"));
    let report = get(&desk, "hosts?report=1", &[]).await;
    assert_eq!(
        (report.text().lines().next(), report.header("content-type")),
        (Some(r#"{"rule":"url:c.example/x","why":"kind"}"#), "application/x-ndjson")
    );
    // Another list: a guard rightly holds back so many at once in one that is in use.
    let desk = self::desk().await;
    let many: Vec<String> = (0..1001).map(|n| format!("domain:h{n}.example")).collect();
    publish(&desk, &many.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let answer = get(&desk, "chromium-policy", &[]).await;
    assert_eq!((answer.status, answer.json()["code"].as_str()), (422, Some("too-many-rules")), "{answer:?}");
    let limited = get(&desk, "chromium-policy?limit=1000", &[]).await;
    assert_eq!(limited.json()["URLBlocklist"].as_array().map(Vec::len), Some(1000));
}

/// Every format, from what is published, is served; none with more than its file says.
#[tokio::test]
async fn every_format_is_served() {
    let desk = desk().await;
    publish(&desk, &["domain:a.example", "subtree:b.example", "url:c.example/x", "prefix:d.example/", "cidr:192.0.2.0/24"]).await;
    for format in bwld::formats::write::ExportFormat::ALL {
        let answer = get(&desk, &format!("{format}?spellings=any"), &[]).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, format.media_type()), "{format}: {answer:?}");
    }
}

/// Debian's minisign verifies what we sign, and refuses it when one octet is another.
#[tokio::test]
async fn minisign_verifies_an_export() {
    let desk = desk().await;
    publish(&desk, &["domain:a.example"]).await;
    let public = desk.server.raw().await.request("GET", "/v1/minisign.pub", &[], b"").await;
    let signature = get(&desk, "hosts.minisig", &[]).await;
    assert_eq!((public.status, signature.status), (200, 200), "{signature:?}");
    let comment = signature.text().lines().nth(2).expect("a trusted comment").to_owned();
    assert!(
        comment.starts_with("trusted comment: list=test format=hosts serial=1 issued=20") && comment.contains(" expires=20"),
        "{comment}"
    );
    if Command::new("minisign").arg("-v").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "CI must have minisign: .ci/run installs it");
        println!("skipped: this test because minisign is not installed");
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).expect(name);
        path
    };
    let key = file("minisign.pub", &public.body);
    let signature = file("hosts.minisig", &signature.body);
    let body = get(&desk, "hosts", &[]).await.body;
    let verify = |export: &std::path::Path| {
        let mut minisign = Command::new("minisign");
        let minisign = minisign.arg("-V").arg("-p").arg(&key).arg("-m").arg(export).arg("-x").arg(&signature);
        minisign.output().expect("minisign runs")
    };
    let good = verify(&file("hosts", &body));
    assert!(good.status.success(), "{good:?}");
    assert!(String::from_utf8_lossy(&good.stdout).contains("list=test format=hosts serial=1"), "{good:?}");
    let mut bad = body;
    bad[3] ^= 1;
    assert!(!verify(&file("bad", &bad)).status.success());
}

/// Whoever has no account and takes exports slowly has places of its own; those who administer the lists take theirs meanwhile.
#[tokio::test]
async fn exports_that_nobody_reads_leave_room_for_those_who_administer() {
    let desk = desk().await;
    let names: String = (0..40_000).map(|i| format!("some-longer-name-{i}.example\n")).collect();
    assert_eq!(desk.import("?format=domains", "", names.as_bytes()).await.status, 200);
    assert_eq!(desk.ask("POST", "/lists/test/publish", b"").await.status, 200);
    let router = bwld::http::router(desk.app.clone());
    let ask = async |path: &str| {
        let request = Request::get(path).header(BEARER.0, BEARER.1).body(Body::empty()).expect("a request");
        router.clone().oneshot(request).await.expect("an answer")
    };
    let mut unread = Vec::new();
    let refused = loop {
        let answer = ask("/v1/lists/test/export/hosts").await;
        if answer.status() != 200 {
            break answer;
        }
        unread.push(answer);
    };
    assert_eq!((refused.status().as_u16(), unread.len()), (503, 64));
    for path in ["/v1/admin/entries.csv", "/v1/admin/entries.ndjson"] {
        assert_eq!(ask(path).await.status(), 200, "{path}");
    }
    drop(unread);
}
