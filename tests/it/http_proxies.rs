//! Whom a request comes from when a proxy stands between: in the audit chain, in rate limits and lock-outs.

use bwld::http::{Proxies, ProxyField};
use serde_json::json;

use super::http_admin::{BEARER, Desk};
use super::raw::Answer;

fn trusting(networks: &[&str], field: ProxyField) -> Proxies {
    Proxies { networks: networks.iter().map(|text| text.parse().expect("a network")).collect(), field }
}

/// Makes a list, and says from where the audit chain has it.
async fn from(desk: &Desk, id: &str, fields: &[(&str, &str)]) -> String {
    let fields = [&[BEARER], fields].concat();
    let body = json!({"id": id, "colour": "black", "title": "T"}).to_string();
    let made = desk.server.raw().await.request("POST", "/v1/admin/lists", &fields, body.as_bytes()).await;
    assert_eq!(made.status, 201, "{made:?}");
    let audit = desk.ask("GET", "/audit?limit=1", b"").await.json();
    audit["lines"][0]["act"]["from"].as_str().unwrap_or_else(|| panic!("{audit}")).to_owned()
}

#[tokio::test]
async fn only_a_named_proxy_is_believed() {
    let (x, forwarded) = (("x-forwarded-for", "6.6.6.6, 198.51.100.1"), ("forwarded", "for=203.0.113.5"));
    let none = Desk::open_behind(Proxies::default()).await;
    assert_eq!(from(&none, "a", &[x, forwarded]).await, "127.0.0.1");
    let other = Desk::open_behind(trusting(&["10.0.0.0/8"], ProxyField::XForwardedFor)).await;
    assert_eq!(from(&other, "a", &[x, forwarded]).await, "127.0.0.1");

    let own = Desk::open_behind(trusting(&["127.0.0.0/8"], ProxyField::XForwardedFor)).await;
    assert_eq!(from(&own, "a", &[x, forwarded]).await, "198.51.100.1");
    assert_eq!(from(&own, "b", &[forwarded]).await, "127.0.0.1", "the other field is the client's own");
    assert_eq!(from(&own, "c", &[("x-forwarded-for", "nonsense")]).await, "127.0.0.1");
    let own = Desk::open_behind(trusting(&["127.0.0.0/8"], ProxyField::Forwarded)).await;
    assert_eq!(from(&own, "a", &[x, forwarded]).await, "203.0.113.5");
}

async fn wrong_token(desk: &Desk, name: &str) -> Answer {
    let fields = [("authorization", "Bearer bwld_AAAAAAAA_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), ("x-forwarded-for", name)];
    desk.server.get("/v1/admin/lists", &fields).await
}

async fn log_in(desk: &Desk, name: &str) -> Answer {
    let body = json!({"account": "anna", "password": "not this one"}).to_string();
    desk.server.raw().await.request("POST", "/v1/admin/login", &[("x-forwarded-for", name)], body.as_bytes()).await
}

/// How many are answered with 401 before one is told to wait.
async fn tries(desk: &Desk, name: impl Fn(usize) -> String) -> usize {
    for tried in 0..500 {
        let answer = log_in(desk, &name(tried)).await;
        match answer.status {
            401 => {}
            429 => return tried,
            other => panic!("{other}: {}", answer.text()),
        }
    }
    500
}

#[tokio::test]
async fn who_is_locked_out_is_whom_the_proxy_names_and_nobody_beside() {
    let desk = Desk::open_behind(trusting(&["127.0.0.0/8"], ProxyField::XForwardedFor)).await;
    let mut refused = 0;
    while wrong_token(&desk, "198.51.100.1").await.status == 401 {
        refused += 1;
        assert!(refused < 1_000);
    }
    assert_eq!(wrong_token(&desk, "198.51.100.1").await.code(), "too-many-tries");
    assert_eq!(wrong_token(&desk, "198.51.100.2").await.status, 401);
    // A name of one's own in front of what the proxy writes is no way round.
    assert_eq!(wrong_token(&desk, "203.0.113.77, 198.51.100.1").await.status, 429);

    let locked = tries(&desk, |_| "198.51.100.3".into()).await;
    assert!((1..500).contains(&locked), "{locked}");
    assert_eq!(log_in(&desk, "198.51.100.4").await.status, 401, "others are not");

    // Whom nobody believes is one source, whatever it writes.
    let plain = Desk::open_behind(Proxies::default()).await;
    assert_eq!(tries(&plain, |i| format!("198.51.100.{}", i % 250)).await, locked);
}
