//! Each call of the operator's API has its subcommand, or a reason why it has none; a new call without a line here fails.

use super::http_admin::Desk;
use super::support::Place;

/// How an operator makes a call from the shell.
#[derive(Clone, Copy)]
enum By {
    /// By this subcommand of `bwld`.
    Command(&'static str),
    /// Not at all, because.
    Not(&'static str),
}
use By::{Command, Not};

const BROWSER: &str = "for a browser with a session; the shell has tokens";

/// One line for each call below `/v1/admin`.
const LINES: &[(&str, By)] = &[
    ("activateKeySet", Command("keys set activate")),
    ("approveCase", Command("approve")),
    ("approveStaged", Command("approve")),
    ("backUp", Command("backup")),
    ("cancelSchedule", Command("schedule")),
    ("changeAccount", Command("account set")),
    ("changePassword", Command("account password")),
    ("check", Command("check")),
    ("confirmFactor", Command("account factor")),
    ("createAccount", Command("account add")),
    ("createList", Command("list create")),
    ("createToken", Command("token new")),
    ("describeList", Command("list set")),
    ("discardStaged", Command("discard")),
    ("dropFactor", Command("account set")),
    ("editCase", Command("case edit")),
    ("exportAudit", Command("audit export")),
    ("exportEntriesCsv", Command("search")),
    ("exportEntriesNdjson", Command("search")),
    ("exportList", Command("export")),
    ("freezeList", Command("freeze")),
    ("importList", Command("import")),
    ("inviteAccount", Command("account invite")),
    ("listAccounts", Command("account list")),
    ("listLists", Command("list show")),
    ("listTokens", Command("token list")),
    ("logIn", Command("account factor")),
    ("logOut", Command("account factor")),
    ("me", Not("says whose token it is; `bwld token list` shows them all")),
    ("noteCase", Command("case note")),
    ("offerFactor", Command("account factor")),
    ("oidcBegin", Not(BROWSER)),
    ("oidcReturn", Not(BROWSER)),
    ("preview", Command("preview")),
    ("proposeEntry", Command("propose")),
    ("publishCases", Command("publish")),
    ("publishList", Command("publish")),
    ("putScheme", Command("scheme put")),
    ("rejectCase", Command("reject")),
    ("removeCase", Command("suspend")),
    ("removeList", Command("list remove")),
    ("resumeCase", Command("suspend")),
    ("reviewedVersion", Command("reviewed")),
    ("revokeToken", Command("token revoke")),
    ("schedule", Command("schedule")),
    ("searchEntries", Command("search")),
    ("setPolicy", Command("policy set")),
    ("setUp", Command("account password")),
    ("showAccount", Command("account list")),
    ("showAudit", Command("audit log")),
    ("showCase", Command("case show")),
    ("showConflicts", Command("conflicts")),
    ("showJob", Not("`bwld import` shows its own progress")),
    ("showList", Command("list show")),
    ("showLog", Command("log")),
    ("showPolicy", Command("policy show")),
    ("showQueue", Command("queue")),
    ("showReview", Command("preview")),
    ("showSchedule", Command("queue")),
    ("showScheme", Command("scheme list")),
    ("showStaged", Command("diff")),
    ("stageChanges", Command("add")),
    ("submitCase", Command("case submit")),
    ("suspendCase", Command("suspend")),
    ("undoVersion", Command("undo")),
    ("watchJob", Not("`bwld import` shows its own progress")),
    ("withdrawCase", Command("case withdraw")),
];

#[tokio::test]
async fn each_call_has_its_subcommand_or_a_reason() {
    let desk = Desk::with_list().await;
    let description = desk.server.get("/v1/openapi.json", &[]).await.json();
    let paths = description["paths"].as_object().expect("paths").iter().filter(|(path, _)| path.starts_with("/v1/admin"));
    let calls = paths.flat_map(|(_, methods)| methods.as_object().expect("methods").values());
    let mut described: Vec<&str> = calls.map(|call| call["operationId"].as_str().expect("a name")).collect();
    described.sort_unstable();
    let lines: Vec<&str> = LINES.iter().map(|(id, _)| *id).collect();
    assert_eq!(lines, described, "each call has its line here, in order of their names");

    let place = Place::new();
    let mut tried = std::collections::BTreeSet::new();
    for (id, by) in LINES {
        match by {
            Command(command) if tried.insert(*command) => {
                let words: Vec<&str> = command.split(' ').chain(["--help"]).collect();
                let said = place.run(&words).with_code(0);
                assert!(said.out.contains(&format!("Usage: bwld {command}")), "{id}: {}", said.out);
            }
            Command(_) => {}
            Not(reason) => assert!(!reason.is_empty(), "{id} says why it has none"),
        }
    }
}
