//! One's own account: another password, and the second factor. By name and password, so it takes no token.
//!
//! Guarantees: no secret is an argument; at a terminal what is typed is not shown. The session that this takes ends with it.

use anyhow::Context as _;
use reqwest::Method;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::client::{Api, Refused};
use super::{out, secret};

/// Codes that may be tried against what was offered.
const TRIES: usize = 3;

/// `bwld account password --change`
pub async fn password(api: &Api, name: &str) -> anyhow::Result<()> {
    let old = ask(&format!("password of {name}"))?;
    let session = log_in(api, name, &old).await?;
    let what = "new password, at least 12 characters";
    let new = if secret::is_asked() { secret::ask_new(what)? } else { secret::read(what)? };
    let body = json!({"old": old.as_str(), "new": new.as_str()});
    let () = session.send_json(Method::POST, "v1/admin/me/password", &body).await?;
    out::print(&format!("{name}: the password is set; all sessions have ended\n"))
}

/// `bwld account factor`
pub async fn factor(api: &Api, name: &str) -> anyhow::Result<()> {
    let password = ask(&format!("password of {name}"))?;
    let session = log_in(api, name, &password).await?;
    let done = set_up(&session, &password).await;
    // Whatever came of it.
    let ended = session.send_json::<()>(Method::POST, "v1/admin/logout", &json!({})).await;
    done.and(ended)
}

async fn set_up(session: &Api, password: &str) -> anyhow::Result<()> {
    let offered: Value = session.send_json(Method::POST, "v1/admin/me/factor", &json!({"password": password})).await?;
    let text = |key: &str| offered[key].as_str().unwrap_or_default().to_owned();
    out::print(&format!("secret for the authenticator, shown only now:\n{}\n{}\n", text("secret"), text("uri")))?;
    let mut tries = 0;
    let confirmed: Value = loop {
        let code = ask("the code that the authenticator shows")?;
        tries += 1;
        match session.send_json(Method::PUT, "v1/admin/me/factor", &json!({"code": code.trim()})).await {
            Err(e) if is(&e, "unauthorized") && tries < TRIES => eprintln!("this code does not fit; is the clock right? Once more"),
            done => break done.context("the second factor is not in force")?,
        }
    };
    let codes = confirmed["recovery_codes"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let codes: String = codes.map(|code| format!("{code}\n")).collect();
    out::print(&format!("the second factor is in force; recovery codes, each for one use, shown only now:\n{codes}"))
}

async fn log_in(api: &Api, name: &str, password: &str) -> anyhow::Result<Api> {
    match api.log_in(&json!({"account": name, "password": password})).await {
        Err(e) if is(&e, "code-needed") => {
            let code = ask("code of the second factor, or a recovery code")?;
            api.log_in(&json!({"account": name, "password": password, "code": code.trim()})).await
        }
        done => done,
    }
}

fn is(error: &anyhow::Error, code: &str) -> bool {
    error.downcast_ref::<Refused>().is_some_and(|refused| refused.code == code)
}

/// From whoever sits at the terminal, or the next line of the standard input.
fn ask(what: &str) -> anyhow::Result<Zeroizing<String>> {
    if secret::is_asked() { secret::ask(what) } else { secret::read(what) }
}
