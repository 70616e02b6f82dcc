//! Accounts, tokens and sessions over a socket.

use bwld::http::{Admin, RouteOptions};
use bwld::people::{Grants, NewAccount, NewToken, Role, TokenMade};
use bwld::store::RealDisk;
use serde_json::{Value, json};

use super::http_admin::Desk;
use super::raw::Answer;

const PASSWORD: &str = "correct horse battery";

pub async fn desk() -> Desk {
    let desk = Desk::open_on(std::sync::Arc::new(RealDisk), Admin::DEFAULT_MAX_IMPORT, RouteOptions::default()).await;
    desk.create_list().await;
    desk
}

fn token(desk: &Desk, name: &str, grants: Grants) -> TokenMade {
    desk.people.create_account(NewAccount { name: name.into(), grants }, "operator").expect("made");
    desk.people.create_token(NewToken { account: name.into(), ..NewToken::default() }, "operator").expect("made")
}

async fn ask(desk: &Desk, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    desk.server.raw().await.request(method, &format!("/v1/admin{path}"), headers, body.as_bytes()).await
}

async fn by_token(desk: &Desk, token: &str, method: &str, path: &str, body: &Value) -> Answer {
    ask(desk, method, path, &[("authorization", &format!("Bearer {token}"))], body).await
}

/// An account with a password.
fn anna(desk: &Desk, grants: Grants) {
    desk.people.create_account(NewAccount { name: "anna".into(), grants }, "operator").expect("made");
    let invitation = desk.people.invite("anna", "operator").expect("invited");
    desk.people.set_up(&invitation.secret, PASSWORD, None).expect("set");
}

#[tokio::test]
async fn a_token_is_shown_once_and_a_revoked_one_is_refused_at_once() {
    let desk = desk().await;
    let created = desk.json("POST", "/accounts", &json!({"name": "anna", "grants": {"test": ["editor"]}})).await;
    assert_eq!((created.status, created.header("location")), (201, "/v1/admin/accounts/anna"), "{created:?}");
    assert_eq!(desk.json("POST", "/accounts", &json!({"name": "anna"})).await.code(), "conflict");
    assert_eq!(desk.json("POST", "/accounts", &json!({"name": "An na"})).await.code(), "refused");
    let made = desk.json("POST", "/tokens", &json!({"account": "anna", "label": "laptop"})).await;
    assert_eq!((made.status, made.header("cache-control")), (201, "no-store"), "{made:?}");
    let made = made.json();
    let (secret, prefix) = (made["token"].as_str().expect("a token"), made["prefix"].as_str().expect("a prefix"));
    let change = json!({"put": [{"rule": "bad.example"}]});
    assert_eq!(by_token(&desk, secret, "POST", "/lists/test/changes", &change).await.status, 200);
    assert_eq!(by_token(&desk, secret, "DELETE", "/lists/test", &Value::Null).await.code(), "forbidden");
    assert_eq!(by_token(&desk, secret, "GET", "/accounts", &Value::Null).await.code(), "forbidden");
    assert_eq!(by_token(&desk, secret, "POST", "/tokens", &json!({"account": "anna"})).await.code(), "forbidden", "no token makes tokens");
    let me = by_token(&desk, secret, "GET", "/me", &Value::Null).await.json();
    assert_eq!((me["account"]["name"].as_str(), me["via"].as_str()), (Some("anna"), Some("token")));

    for path in ["/tokens", "/accounts", "/accounts/anna"] {
        let shown = desk.ask("GET", path, b"").await;
        assert!(shown.status == 200 && !shown.text().contains(&secret[14..]), "{shown:?}");
    }
    let used = desk.ask("GET", "/tokens?account=anna&limit=1", b"").await.json();
    assert!(used["tokens"][0]["used"].is_string() && used["tokens"][0]["prefix"] == prefix, "{used}");
    assert_eq!(desk.ask("DELETE", &format!("/tokens/{prefix}"), b"").await.status, 204);
    let refused = by_token(&desk, secret, "GET", "/me", &Value::Null).await;
    assert_eq!((refused.status, refused.code().as_str()), (401, "unauthorized"));
    assert!(!refused.text().contains(&secret[14..]));
    assert_eq!(desk.ask("DELETE", &format!("/tokens/{prefix}"), b"").await.code(), "no-token");
}

#[tokio::test]
async fn no_token_makes_a_token() {
    let desk = desk().await;
    // Not an owner's of everything either: one of a day would make one without an end.
    let made = token(&desk, "anna", Grants::everywhere(Role::Owner));
    let of_operator = NewToken { account: "operator".into(), ..NewToken::default() };
    let operators = desk.people.create_token(of_operator, "operator").expect("made");
    for secret in [&made.secret, &operators.secret] {
        assert_eq!(by_token(&desk, secret, "GET", "/accounts", &Value::Null).await.status, 200, "an owner of everything");
        for account in ["anna", "operator"] {
            let refused = by_token(&desk, secret, "POST", "/tokens", &json!({"account": account})).await;
            assert_eq!((refused.status, refused.code().as_str()), (403, "forbidden"), "{refused:?}");
        }
    }
    assert_eq!(desk.people.tokens(None, "", 10).len(), 2);
    // The operator's own token of the data folder, and an owner in a session, for anybody.
    assert_eq!(desk.json("POST", "/tokens", &json!({"account": "anna"})).await.status, 201);
    let invitation = desk.people.invite("anna", "operator").expect("invited");
    desk.people.set_up(&invitation.secret, PASSWORD, None).expect("set");
    let came = ask(&desk, "POST", "/login", &[], &json!({"account": "anna", "password": PASSWORD})).await;
    let cookie = came.header("set-cookie").split(';').next().expect("a pair").to_owned();
    let csrf = came.json()["csrf"].as_str().expect("a csrf").to_owned();
    let with = [("cookie", cookie.as_str()), ("bwld-csrf", csrf.as_str())];
    assert_eq!(ask(&desk, "POST", "/tokens", &with, &json!({"account": "operator"})).await.status, 201);
}

#[tokio::test]
async fn a_disabled_account_is_refused_at_once() {
    let desk = desk().await;
    let made = token(&desk, "anna", Grants::everywhere(Role::Owner));
    assert_eq!(by_token(&desk, &made.secret, "GET", "/lists", &Value::Null).await.status, 200);
    assert_eq!(desk.json("PATCH", "/accounts/anna", &json!({"disabled": true})).await.status, 200);
    assert_eq!(by_token(&desk, &made.secret, "GET", "/lists", &Value::Null).await.status, 401);
    assert_eq!(desk.json("PATCH", "/accounts/operator", &json!({"disabled": true})).await.code(), "refused", "there is always an owner");
}

#[tokio::test]
async fn a_subscribers_token_gives_nothing_of_the_administration() {
    let desk = desk().await;
    let made = token(&desk, "provider", Grants::everywhere(Role::Subscriber));
    let description = desk.server.get("/v1/openapi.json", &[]).await.json();
    let mut asked = 0;
    for (path, methods) in description["paths"].as_object().expect("paths") {
        for (method, call) in methods.as_object().expect("methods") {
            if !["one of these roles"].iter().any(|with| call["x-needs"]["who"].as_str().is_some_and(|who| who.starts_with(with))) {
                continue;
            }
            // Where a subscriber is named, it is meant.
            if call["x-needs"]["roles"].as_array().is_some_and(|roles| roles.iter().any(|role| role == "subscriber")) {
                continue;
            }
            let path = path.replace("{list}", "test").replace(['{', '}'], "");
            let path = path.strip_prefix("/v1/admin").unwrap_or_else(|| panic!("{path} has roles and is no administration"));
            let answer = by_token(&desk, &made.secret, &method.to_uppercase(), path, &json!({})).await;
            assert_eq!((answer.status, answer.code().as_str()), (403, "forbidden"), "{method} {path}");
            asked += 1;
        }
    }
    assert!(asked > 15, "{asked}");
}

#[tokio::test]
async fn a_session_lives_in_a_cookie_that_scripts_and_other_sites_cannot_use() {
    let desk = desk().await;
    anna(&desk, Grants::everywhere(Role::Owner));
    let log_in = ask(&desk, "POST", "/login", &[], &json!({"account": "anna", "password": PASSWORD})).await;
    assert_eq!((log_in.status, log_in.header("cache-control")), (200, "no-store"), "{log_in:?}");
    let set = log_in.header("set-cookie");
    for part in ["__Host-bwld=", "; Path=/", "; Secure", "; HttpOnly", "; SameSite=Strict"] {
        assert!(set.contains(part), "{set}");
    }
    assert!(!set.contains("Domain"));
    let cookie = set.split(';').next().expect("a pair");
    let id = cookie.split_once('=').expect("a pair").1;
    assert!(id.len() == 43 && !log_in.text().contains(id));
    let csrf = log_in.json()["csrf"].as_str().expect("a csrf").to_owned();

    let me = ask(&desk, "GET", "/me", &[("cookie", cookie)], &Value::Null).await.json();
    assert_eq!((me["via"].as_str(), me["csrf"].as_str()), (Some("session"), Some(&*csrf)));
    let change = json!({"put": [{"rule": "bad.example"}]});
    let path = "/lists/test/changes";
    for headers in [vec![("cookie", cookie)], vec![("cookie", cookie), ("bwld-csrf", "")], vec![("cookie", cookie), ("bwld-csrf", id)]] {
        let refused = ask(&desk, "POST", path, &headers, &change).await;
        assert_eq!((refused.status, refused.code().as_str()), (403, "csrf"));
    }
    let with = [("cookie", cookie), ("bwld-csrf", csrf.as_str())];
    assert_eq!(ask(&desk, "POST", path, &with, &change).await.status, 200);
    let own = ask(&desk, "POST", "/tokens", &with, &json!({"account": "anna"})).await;
    assert_eq!(own.status, 201, "{own:?}");
    let out = ask(&desk, "POST", "/logout", &with, &Value::Null).await;
    assert!(out.status == 204 && out.header("set-cookie").contains("Max-Age=0"), "{out:?}");
    assert_eq!(ask(&desk, "GET", "/me", &[("cookie", cookie)], &Value::Null).await.status, 401);
}

#[tokio::test]
async fn a_refused_log_in_does_not_tell_whether_there_is_such_an_account() {
    let desk = desk().await;
    anna(&desk, Grants::default());
    let mut answers = std::collections::BTreeSet::new();
    for name in ["anna", "nobody", "operator", "..", ""] {
        let before = desk.people.hashed();
        let mut answer = ask(&desk, "POST", "/login", &[], &json!({"account": name, "password": "not the password"})).await;
        answer.headers.remove("date");
        answers.insert(format!("{} {:?} {} {}", answer.status, answer.headers, answer.text(), desk.people.hashed() - before));
    }
    assert_eq!(answers.len(), 1, "{answers:#?}");
    assert!(!answers.first().expect("one").ends_with(" 0"), "work was done");
}

#[tokio::test]
async fn wrong_passwords_are_locked_out_with_a_delay() {
    let desk = desk().await;
    anna(&desk, Grants::default());
    let wrong = json!({"account": "anna", "password": "not the password"});
    let mut last = ask(&desk, "POST", "/login", &[], &wrong).await;
    for _ in 0..6 {
        last = ask(&desk, "POST", "/login", &[], &wrong).await;
    }
    assert_eq!((last.status, last.code().as_str(), last.header("retry-after")), (429, "too-many-tries", "1"), "{last:?}");
    let right = ask(&desk, "POST", "/login", &[], &json!({"account": "anna", "password": PASSWORD})).await;
    assert_eq!(right.status, 429);
    // Tokens go on.
    assert_eq!(desk.ask("GET", "/me", b"").await.status, 200);
}

#[tokio::test]
async fn an_invitation_and_a_second_factor_over_http() {
    let desk = desk().await;
    desk.json("POST", "/accounts", &json!({"name": "anna"})).await;
    let invited = desk.json("POST", "/accounts/anna/invite", &json!({})).await.json();
    let set_up = json!({"token": invited["token"], "password": PASSWORD});
    assert_eq!(ask(&desk, "POST", "/setup", &[], &json!({"token": invited["token"], "password": "short"})).await.code(), "refused");
    assert_eq!(ask(&desk, "POST", "/setup", &[], &set_up).await.json()["account"].as_str(), Some("anna"));
    assert_eq!(ask(&desk, "POST", "/setup", &[], &set_up).await.status, 401, "taken once");
    let log_in = json!({"account": "anna", "password": PASSWORD});
    let came = ask(&desk, "POST", "/login", &[], &log_in).await;
    let cookie = came.header("set-cookie").split(';').next().expect("a pair").to_owned();
    let csrf = came.json()["csrf"].as_str().expect("a csrf").to_owned();
    let with = [("cookie", cookie.as_str()), ("bwld-csrf", csrf.as_str())];
    assert_eq!(ask(&desk, "POST", "/me/factor", &with, &json!({"password": "not the password"})).await.status, 401);
    let offered = ask(&desk, "POST", "/me/factor", &with, &json!({"password": PASSWORD})).await;
    assert_eq!(offered.status, 200, "{offered:?}");
    let uri = offered.json()["uri"].as_str().expect("a uri").to_owned();
    let code = totp(&uri, super::signed::now().unix());
    let confirmed = ask(&desk, "PUT", "/me/factor", &with, &json!({"code": code})).await.json();
    let recovery = confirmed["recovery_codes"][0].as_str().expect("a code").to_owned();
    assert_eq!(ask(&desk, "POST", "/login", &[], &log_in).await.code(), "code-needed");
    let again = json!({"account": "anna", "password": PASSWORD, "code": code});
    assert_eq!(ask(&desk, "POST", "/login", &[], &again).await.code(), "unauthorized", "that code was taken");
    let recovered = json!({"account": "anna", "password": PASSWORD, "code": recovery});
    assert_eq!(ask(&desk, "POST", "/login", &[], &recovered).await.status, 200);
    assert_eq!(desk.ask("DELETE", "/accounts/anna/factor", b"").await.status, 204);
    assert_eq!(ask(&desk, "POST", "/login", &[], &log_in).await.status, 200);
}

fn totp(uri: &str, at: u64) -> String {
    let secret = uri.split("secret=").nth(1).and_then(|rest| rest.split('&').next()).expect("a secret");
    let secret = totp_rs::Secret::try_from_base32(secret).expect("base32");
    totp_rs::Builder::new().with_secret(secret).build().expect("a factor").generate(at).to_string()
}
