//! Accounts and tokens by the program, and that no secret is in anything it says.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::Stdio;

use super::support::{Place, get, wait_for};

const PASSWORD: &str = "correct horse battery staple";

#[test]
fn the_program_makes_accounts_and_tokens_and_no_secret_is_in_what_the_daemon_says() {
    let place = Place::new();
    let mut daemon = place.serve_with(
        &["--listen", "127.0.0.1:0"],
        &[("BWLD_SERVE_SHIPPED_LISTS", "false"), ("BWLD_LOG_LEVEL", "trace"), ("RUST_LOG", "trace")],
    );
    let added = place.run(&["account", "add", "anna", "--role", "editor@canary", "--role", "auditor", "--invite"]).with_code(0);
    let invitation = added.out.lines().last().expect("a set-up token").to_owned();
    assert!(added.out.starts_with("anna: auditor editor@canary\n") && invitation.starts_with("bwld_setup_"), "{}", added.out);
    let set = place.run_with_input(&["account", "password"], format!("{invitation}\n{PASSWORD}\n").as_bytes()).with_code(0);
    assert_eq!(set.out, "anna: the password is set\n");
    let token = place.run(&["token", "new", "anna", "--label", "laptop", "--days", "1"]).with_code(0).out.trim().to_owned();
    let prefix = token.split('_').nth(1).expect("a prefix").to_owned();
    place.write("anna.token", &token);
    std::fs::set_permissions(place.path("anna.token"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("set");
    place.run(&["list", "show", "--token-file", "anna.token"]).with_code(0);
    let forbidden = place.run(&["account", "list", "--token-file", "anna.token"]).with_code(1);
    assert!(forbidden.err.contains("no role"), "{}", forbidden.err);
    // Something like a token, wrong by its last character.
    let wrong = format!("{}{}", &token[..token.len() - 1], if token.ends_with('A') { 'B' } else { 'A' });
    place.write("wrong.token", &wrong);
    std::fs::set_permissions(place.path("wrong.token"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("set");
    let refused = place.run(&["list", "show", "--token-file", "wrong.token"]).with_code(1);
    let listed = place.run(&["account", "list"]).with_code(0);
    assert!(listed.out.contains("auditor editor@canary") && listed.out.contains("password, 1 tokens"), "{}", listed.out);
    let tokens = place.run(&["token", "list", "anna"]).with_code(0);
    assert!(tokens.out.contains(&prefix) && tokens.out.contains("laptop"), "{}", tokens.out);
    let http = log_in(&daemon.address(), PASSWORD);
    let session = http.split("__Host-bwld=").nth(1).and_then(|rest| rest.split(';').next()).expect("a session").to_owned();
    log_in(&daemon.address(), "a password that is wrong");
    // A good token in an address opens nothing, under whatever name, and does not get into the log from there.
    for name in ["token", "access_token", "authorization", "api_key"] {
        let answer = String::from_utf8(get(&daemon.address(), &format!("/v1/admin/lists?{name}={token}"))).expect("text");
        assert!(answer.contains("\"code\":\"unauthorized\"") && !answer.contains(&token[14..]), "{answer}");
    }
    place.run(&["token", "revoke", &prefix]).with_code(0);
    place.run(&["list", "show", "--token-file", "anna.token"]).with_code(1);
    place.run(&["account", "disable", "anna"]).with_code(0);
    let audit = place.run(&["audit", "export"]);

    let operator = place.read("bwld-data/operator.token").trim().to_owned();
    let mut log = String::new();
    wait_for("the last request in the log", || {
        log.push_str(&daemon.said());
        log.contains("PATCH") && log.contains("/v1/admin/login")
    });
    let said = [daemon.greeting.clone(), log, refused.err, forbidden.err, listed.out, tokens.out, audit.out, audit.err].concat();
    for (what, secret) in [
        ("the operator's token", operator.as_str()),
        ("a token", &token[14..]),
        ("a wrong token", &wrong[14..]),
        ("a set-up token", &invitation[11..]),
        ("a password", PASSWORD),
        ("a wrong password", "a password that is wrong"),
        ("a session", &session),
    ] {
        assert!(!said.contains(secret), "{what} is in what was said");
    }
    assert!(daemon.stop().success());
}

fn log_in(address: &str, password: &str) -> String {
    let host = address.strip_prefix("http://").expect("an http address");
    let body = serde_json::json!({"account": "anna", "password": password}).to_string();
    let mut stream = std::net::TcpStream::connect(host).expect("a listening daemon");
    let head = format!(
        "POST /v1/admin/login HTTP/1.0\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// What an authenticator shows now.
fn shown(uri: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    totp_rs::Totp::from_url(uri).expect("a factor").generate(now).to_string()
}

#[test]
fn a_person_sets_up_the_second_factor_and_changes_the_password_by_the_program() {
    const OTHER: &str = "another battery and another staple";
    let place = Place::new();
    let daemon = place.serve();
    let added = place.run(&["account", "add", "anna", "--role", "editor", "--invite"]).with_code(0);
    let invitation = added.out.lines().last().expect("a set-up token");
    place.run_with_input(&["account", "password"], format!("{invitation}\n{PASSWORD}\n").as_bytes()).with_code(0);
    // It was for one use; and the answer is not about a token of the operator's API, for none was sent.
    let again = place.run_with_input(&["account", "password"], format!("{invitation}\n{PASSWORD}\n").as_bytes()).with_code(1);
    assert!(again.err.contains("not accepted") && !again.err.contains("--token-file"), "{}", again.err);

    let mut child = place.command(&["account", "factor", "anna"]);
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let (mut stdin, mut stdout) = (child.stdin.take().expect("a pipe"), BufReader::new(child.stdout.take().expect("a pipe")));
    writeln!(stdin, "{PASSWORD}").expect("it reads");
    let lines: Vec<String> = stdout.by_ref().lines().map(|line| line.expect("text")).take(3).collect();
    let uri = lines.last().expect("three lines");
    assert!(uri.starts_with("otpauth://totp/") && uri.contains(&lines[1]), "{lines:?}");
    // One that does not fit is asked for again.
    let code = shown(uri);
    let wrong: String = code.chars().map(|c| if c == '0' { '1' } else { '0' }).collect();
    write!(stdin, "{wrong}\n{code}\n").expect("it reads");
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).expect("text");
    assert!(child.wait().expect("it ends").success());
    let codes: Vec<&str> = rest.lines().skip(1).collect();
    assert!(rest.starts_with("the second factor is in force") && codes.len() == 10, "{rest}");
    let listed = place.run(&["account", "list"]).with_code(0).out;
    assert!(listed.contains("password, second factor"), "{listed}");

    // From now on the password alone opens nothing.
    assert!(log_in(&daemon.address(), PASSWORD).contains("code-needed"));
    let change = ["account", "password", "--change", "anna"];
    let ended = place.run_with_input(&change, format!("{PASSWORD}\n").as_bytes()).with_code(2);
    assert!(ended.err.contains("recovery code"), "{}", ended.err);
    let changed = place.run_with_input(&change, format!("{PASSWORD}\n{}\n{OTHER}\n", codes[0]).as_bytes()).with_code(0);
    assert_eq!(changed.out, "anna: the password is set; all sessions have ended\n");
    assert!(log_in(&daemon.address(), OTHER).contains("code-needed"));
    assert!(log_in(&daemon.address(), PASSWORD).contains("not accepted"));
    let taken = place.run_with_input(&change, format!("{OTHER}\n{}\n{PASSWORD}\n", codes[0]).as_bytes()).with_code(1);
    assert!(taken.err.contains("not accepted"), "a recovery code is for one use: {}", taken.err);
    let audit = place.run(&["audit", "export"]).with_code(0).out;
    assert!(["factor.set", "password.set"].iter().all(|act| audit.contains(act)) && !audit.contains(&lines[1]), "{audit}");
}
