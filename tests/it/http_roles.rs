//! Every role against every call: the lines below are compared with the description, so that a new call without a line fails.

use std::sync::Arc;

use bwld::people::{Grants, NewAccount, NewToken, Role};
use serde_json::Value;

use super::http_admin::Desk;
use super::raw::Answer;
use super::signed::list;

/// Who may make a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum May {
    /// Any account.
    Account,
    /// These roles on the list of the path, or everywhere.
    List(&'static [Role]),
    /// These roles, on whatever list.
    Some(&'static [Role]),
    /// These roles for all lists.
    All(&'static [Role]),
}

use Role::{Auditor, Editor, Owner, Reviewer};
const READ: &[Role] = &[Owner, Editor, Reviewer, Auditor];
const WRITE: &[Role] = &[Owner, Editor];
/// Who decides about what others propose.
const JUDGE: &[Role] = &[Owner, Reviewer];
/// Who has a part in the life of an entry.
const WORK: &[Role] = &[Owner, Editor, Reviewer];
const OWN: &[Role] = &[Owner];
const AUDIT: &[Role] = &[Owner, Auditor];

/// One line for each call of the operator's API.
const LINES: &[(&str, May)] = &[
    ("activateKeySet", May::All(OWN)),
    ("approveCase", May::List(JUDGE)),
    ("approveStaged", May::List(JUDGE)),
    ("backUp", May::All(OWN)),
    ("cancelSchedule", May::List(WRITE)),
    ("changeAccount", May::All(OWN)),
    ("changePassword", May::Account),
    ("check", May::All(OWN)),
    ("confirmFactor", May::Account),
    ("createAccount", May::All(OWN)),
    ("createList", May::All(OWN)),
    ("createToken", May::Account),
    ("describeList", May::List(OWN)),
    ("discardStaged", May::List(WRITE)),
    ("dropFactor", May::All(OWN)),
    ("editCase", May::List(WORK)),
    ("exportAudit", May::All(AUDIT)),
    ("exportEntriesCsv", May::Some(READ)),
    ("exportEntriesNdjson", May::Some(READ)),
    ("exportList", May::List(READ)),
    ("freezeList", May::List(OWN)),
    ("importList", May::List(WRITE)),
    ("inviteAccount", May::All(OWN)),
    ("listAccounts", May::All(OWN)),
    ("listLists", May::Some(READ)),
    ("listTokens", May::Account),
    ("logOut", May::Account),
    ("me", May::Account),
    ("noteCase", May::List(WORK)),
    ("offerFactor", May::Account),
    ("preview", May::List(READ)),
    ("proposeEntry", May::List(WRITE)),
    ("publishCases", May::List(WRITE)),
    ("publishList", May::List(WRITE)),
    ("putScheme", May::All(OWN)),
    ("rejectCase", May::List(JUDGE)),
    ("removeCase", May::List(WORK)),
    ("removeList", May::List(OWN)),
    ("resumeCase", May::List(JUDGE)),
    ("reviewedVersion", May::List(JUDGE)),
    ("revokeToken", May::Account),
    ("schedule", May::List(WRITE)),
    ("searchEntries", May::Some(READ)),
    ("setPolicy", May::List(OWN)),
    ("showAccount", May::All(OWN)),
    ("showAudit", May::All(AUDIT)),
    ("showCase", May::List(READ)),
    ("showConflicts", May::Some(READ)),
    ("showJob", May::Some(WRITE)),
    ("showList", May::List(READ)),
    ("showLog", May::List(READ)),
    ("showPolicy", May::List(READ)),
    ("showQueue", May::Some(READ)),
    ("showReview", May::List(READ)),
    ("showSchedule", May::List(READ)),
    ("showScheme", May::Account),
    ("showStaged", May::List(READ)),
    ("stageChanges", May::List(WRITE)),
    ("submitCase", May::List(WRITE)),
    ("suspendCase", May::List(WORK)),
    ("undoVersion", May::List(WRITE)),
    ("watchJob", May::Some(WRITE)),
    ("withdrawCase", May::List(WORK)),
];

/// Calls below `/v1/admin` that anybody may make, to become somebody.
const OPEN: &[&str] = &["logIn", "oidcBegin", "oidcReturn", "setUp"];

/// Where an account has its role.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum On {
    Test,
    Other,
    All,
}

struct Person {
    name: String,
    role: Option<(Role, On)>,
    token: String,
}

fn people(desk: &Desk) -> Vec<Person> {
    let mut all = vec![None];
    for role in Role::ALL {
        all.extend([On::Test, On::Other, On::All].map(|on| Some((role, on))));
    }
    let person = |role: Option<(Role, On)>| {
        let name = role.map_or("nobody".to_owned(), |(role, on)| format!("{role:?}-{on:?}").to_lowercase());
        let grants = match role {
            None => Grants::default(),
            Some((role, On::Test)) => Grants::default().on(&list("test"), role),
            Some((role, On::Other)) => Grants::default().on(&list("other"), role),
            Some((role, On::All)) => Grants::everywhere(role),
        };
        desk.people.create_account(NewAccount { name: name.clone(), grants }, "test").expect("an account");
        let made = desk.people.create_token(NewToken { account: name.clone(), ..NewToken::default() }, "test").expect("a token");
        Person { name, role, token: made.secret.to_string() }
    };
    all.into_iter().map(person).collect()
}

/// What the account is to be told: nothing against it, that it may not, or that there is no such list.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Let,
    Forbidden,
    NoList,
}

fn expected(may: May, role: Option<(Role, On)>) -> Told {
    let Some((role, on)) = role else {
        return match may {
            May::Account => Told::Let,
            May::List(_) => Told::NoList,
            _ => Told::Forbidden,
        };
    };
    let let_if = |holds| if holds { Told::Let } else { Told::Forbidden };
    match may {
        May::Account => Told::Let,
        May::Some(roles) => let_if(roles.contains(&role)),
        May::All(roles) => let_if(on == On::All && roles.contains(&role)),
        May::List(_) if on == On::Other => Told::NoList,
        May::List(roles) => let_if(roles.contains(&role)),
    }
}

/// Method, path and name of each call of the operator's API, its parameters filled in so that nothing is changed.
async fn calls(desk: &Desk) -> Vec<(String, String, String)> {
    let description = desk.server.get("/v1/openapi.json", &[]).await.json();
    let paths = description["paths"].as_object().expect("paths").iter().filter(|(path, _)| path.starts_with("/v1/admin"));
    let call = |(path, methods): (&String, &Value)| {
        let path = path.replace("{list}", "test");
        let filled: Vec<&str> = path.split('/').map(|piece| if piece.starts_with('{') { "none" } else { piece }).collect();
        let path = filled.join("/");
        let methods = methods.as_object().expect("methods").clone();
        methods.into_iter().map(move |(method, call)| {
            let dry = call["parameters"].as_array().is_some_and(|all| all.iter().any(|p| p["name"] == "dry_run"));
            let id = call["operationId"].as_str().expect("a name").to_owned();
            (method.to_ascii_uppercase(), if dry { format!("{path}?dry_run=true") } else { path.clone() }, id)
        })
    };
    paths.flat_map(call).collect()
}

async fn ask(desk: &Desk, method: &str, path: &str, token: Option<&str>) -> Answer {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let headers: Vec<(&str, &str)> = bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
    // Nothing that any write takes but the one that would publish what is not there.
    desk.server.raw().await.request(method, path, &headers, if method == "GET" { b"" } else { b"{\"dry_run\":true}" }).await
}

#[tokio::test]
async fn every_role_against_every_call() {
    let desk = Arc::new(Desk::with_list().await);
    let people = people(&desk);
    let calls = calls(&desk).await;
    let mut described: Vec<&str> = calls.iter().map(|(_, _, id)| id.as_str()).filter(|id| !OPEN.contains(id)).collect();
    described.sort_unstable();
    let lines: Vec<&str> = LINES.iter().map(|(id, _)| *id).collect();
    assert_eq!(lines, described, "each call has its line here, in order of their names");

    let mut tasks = Vec::new();
    for (method, path, id) in calls.into_iter().filter(|(_, _, id)| !OPEN.contains(&id.as_str())) {
        let may = LINES.iter().find(|(line, _)| *line == id).expect("compared above").1;
        for token in [None, Some("wrong"), Some("bwld_AAAAAAAA_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")] {
            let answer = ask(&desk, &method, &path, token).await;
            assert_eq!(answer.status, 401, "{id} with {token:?}");
        }
        for person in &people {
            let (desk, method, path, id) = (desk.clone(), method.clone(), path.clone(), id.clone());
            let (expected, name, token) = (expected(may, person.role), person.name.clone(), person.token.clone());
            tasks.push(tokio::spawn(async move {
                let mut raw = desk.server.raw().await;
                let bearer = format!("Bearer {token}");
                let body: &[u8] = if method == "GET" { b"" } else { b"{\"dry_run\":true}" };
                raw.begin(&method, &path, &[("authorization", &bearer)], body).await;
                let answer = raw.answer(false).await;
                let told = match answer.status {
                    403 => Told::Forbidden,
                    404 if answer.code() == "not-found" => Told::NoList,
                    _ => Told::Let,
                };
                assert_eq!(told, expected, "{id} by {name}: {} {}", answer.status, answer.text());
                assert_ne!(answer.status, 401, "{id} by {name}");
                assert!(!answer.text().contains(&token), "{id} shows the token");
            }));
        }
    }
    assert!(tasks.len() > 250);
    for task in tasks {
        task.await.expect("as the lines say");
    }
}

/// A list on which one has no role is answered as one that is not there, to the letter.
#[tokio::test]
async fn a_list_of_others_looks_like_none() {
    let desk = Desk::with_list().await;
    let people = people(&desk);
    let stranger = people.iter().find(|person| person.name == "owner-other").expect("one of them");
    let ask = |path: &'static str| ask(&desk, "GET", path, Some(&stranger.token));
    let (theirs, none) = (ask("/v1/admin/lists/test").await, ask("/v1/admin/lists/tset").await);
    assert_eq!((theirs.status, none.status), (404, 404));
    assert_eq!(theirs.text().replace("test", "tset"), none.text());
    assert_eq!(ask("/v1/admin/lists").await.json().as_array().map(Vec::len), Some(0));
}

#[tokio::test]
async fn nesting_without_end_is_refused() {
    let desk = Desk::with_list().await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for body in [deep.clone(), format!("{{\"put\":{deep}}}")] {
        let answer = desk.ask("POST", "/lists/test/changes", body.as_bytes()).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad-json"));
    }
    // Many header fields, and a long one.
    let many: String = (0..500).map(|i| format!("x-{i}: y\r\n")).collect();
    let mut raw = desk.server.raw().await;
    raw.send(format!("GET /v1/admin/lists HTTP/1.1\r\nhost: x\r\n{many}\r\n").as_bytes()).await;
    assert_eq!(raw.head().await.status, 431);
}
