//! `bwld account`: who may do what.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::people::{AccountView, Grants, Role, Scope};

use super::client::{Api, Connect};
use super::{exit::Ended, out, own, secret};

/// Accounts in one question.
const PAGE: usize = 1_000;
/// Longest input with a set-up token and a password, in octets.
const MAX_INPUT: u64 = 8 << 10;

/// Make, show and change accounts.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Show the accounts and their roles
    #[command(after_help = "Examples:\n  bwld account list\n  bwld account list --json")]
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        connect: Connect,
    },
    /// Make an account
    #[command(after_help = "\
Examples:
  bwld account add anna --role editor@adult --role reviewer@gambling --invite
  bwld account add auditor --role auditor              for all lists")]
    Add {
        /// Its name: a-z, 0-9, . _ @ and -
        name: String,
        /// A role, for all lists or for one: owner, editor, reviewer, auditor or subscriber, @LIST behind it
        #[arg(long = "role", value_name = "ROLE[@LIST]", value_parser = role)]
        roles: Vec<(Scope, Role)>,
        /// Print a set-up token for its password as well
        #[arg(long)]
        invite: bool,
        #[command(flatten)]
        connect: Connect,
    },
    /// Change an account's roles or its link to a provider of identities
    #[command(after_help = "\
Examples:
  bwld account set anna --role editor@adult            instead of the roles it has
  bwld account set anna --no-roles
  bwld account set anna --issuer https://id.example.org --subject 248289761001
  bwld account set anna --drop-factor")]
    Set(SetArgs),
    /// Refuse an account, its tokens and its sessions from now on
    #[command(after_help = "Examples:\n  bwld account disable anna")]
    Disable {
        /// Which
        name: String,
        #[command(flatten)]
        connect: Connect,
    },
    /// Refuse it no longer
    #[command(after_help = "Examples:\n  bwld account enable anna")]
    Enable {
        /// Which
        name: String,
        #[command(flatten)]
        connect: Connect,
    },
    /// Print a set-up token, by which the account's password is set once
    #[command(after_help = "Examples:\n  bwld account invite anna")]
    Invite {
        /// Which
        name: String,
        #[command(flatten)]
        connect: Connect,
    },
    /// Set the password of the account for which a set-up token was made, or another one in place of one's own
    #[command(after_help = "\
At a terminal it asks for what it needs, and shows nothing of it. Else the standard input has two lines: the set-up token, and the
password, at least 12 characters. With --change they are the password of now, a code of the second factor if there is one, and the
new password. All sessions of the account end.

Examples:
  bwld account password < token-and-password.txt
  bwld account password --change anna")]
    Password {
        /// Not by a set-up token: this account has a password, and gets another one
        #[arg(long, value_name = "NAME")]
        change: Option<String>,
        #[command(flatten)]
        connect: Connect,
    },
    /// Set up the second factor of one's own account
    #[command(after_help = "\
It prints a secret for the authenticator, asks for a code that the authenticator makes from it, and prints recovery codes, each of
which takes the place of a code once. At a terminal it asks for the password and the code, and shows neither. Else they are the
two lines of the standard input; the second one is read when the secret has been printed.

Examples:
  bwld account factor anna")]
    Factor {
        /// Whose
        name: String,
        #[command(flatten)]
        connect: Connect,
    },
}

/// What `bwld account set` takes.
#[derive(clap::Args, Debug)]
pub struct SetArgs {
    /// Which
    name: String,
    /// A role, instead of those it has; as in `bwld account add`
    #[arg(long = "role", value_name = "ROLE[@LIST]", value_parser = role)]
    roles: Vec<(Scope, Role)>,
    /// Take all roles away
    #[arg(long, conflicts_with = "roles")]
    no_roles: bool,
    /// The provider of identities that vouches for the person
    #[arg(long, requires = "subject")]
    issuer: Option<String>,
    /// What the provider calls the person (`sub`)
    #[arg(long, requires = "issuer")]
    subject: Option<String>,
    /// Take that link away
    #[arg(long, conflicts_with = "issuer")]
    unlink: bool,
    /// Take the second factor away
    #[arg(long)]
    drop_factor: bool,
    #[command(flatten)]
    connect: Connect,
}

/// Reads `ROLE` or `ROLE@LIST`.
pub fn role(text: &str) -> Result<(Scope, Role), String> {
    let (role, scope) = text.split_once('@').unwrap_or((text, "*"));
    Ok((scope.parse()?, role.parse()?))
}

/// Roles from the command line.
pub fn grants(roles: Vec<(Scope, Role)>) -> Grants {
    roles.into_iter().fold(Grants::default(), |grants, (scope, role)| grants.with(scope, role))
}

/// Roles for people.
pub fn words(grants: &Grants) -> String {
    let one = |(scope, roles): (&Scope, &std::collections::BTreeSet<Role>)| {
        let at = if *scope == Scope::All { String::new() } else { format!("@{scope}") };
        roles.iter().map(|role| format!("{}{at}", role.word())).collect::<Vec<_>>()
    };
    let all: Vec<String> = grants.0.iter().flat_map(one).collect();
    if all.is_empty() { "no roles".into() } else { all.join(" ") }
}

/// Runs it.
pub async fn run(command: Command, config: Option<&Path>) -> anyhow::Result<()> {
    match command {
        Command::List { json, connect } => list(&connect.open(config)?, json).await,
        Command::Add { name, roles, invite: wanted, connect } => {
            let api = connect.open(config)?;
            let body = json!({"name": name, "grants": grants(roles)});
            let view: AccountView = api.send_json(Method::POST, "v1/admin/accounts", &body).await?;
            out::print(&format!("{}: {}\n", view.name, words(&view.grants)))?;
            if wanted { invite(&api, &name).await } else { Ok(()) }
        }
        Command::Set(args) => set(args, config).await,
        Command::Disable { name, connect } => refuse(&connect.open(config)?, &name, true).await,
        Command::Enable { name, connect } => refuse(&connect.open(config)?, &name, false).await,
        Command::Invite { name, connect } => invite(&connect.open(config)?, &name).await,
        Command::Password { change: None, connect } => password(&connect.open_public(config)?).await,
        Command::Password { change: Some(name), connect } => own::password(&connect.open_public(config)?, &name).await,
        Command::Factor { name, connect } => own::factor(&connect.open_public(config)?, &name).await,
    }
}

#[derive(Deserialize)]
struct Page {
    accounts: Vec<AccountView>,
    next: Option<String>,
}

async fn list(api: &Api, as_json: bool) -> anyhow::Result<()> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let page: Page = api.get(&format!("v1/admin/accounts?limit={PAGE}&after={}", escaped(&after))).await?;
        all.extend(page.accounts);
        let Some(next) = page.next else { break };
        after = next;
    }
    if as_json {
        return out::print_json(&all);
    }
    let state = |view: &AccountView| {
        let words = [(view.disabled, "disabled"), (view.password, "password"), (view.second_factor, "second factor")];
        let mut words: Vec<String> = words.into_iter().filter(|(is, _)| *is).map(|(_, word)| word.to_owned()).collect();
        words.extend((view.tokens > 0).then(|| format!("{} tokens", view.tokens)));
        words.join(", ")
    };
    out::print(&out::table(&all.iter().map(|view| vec![view.name.clone(), words(&view.grants), state(view)]).collect::<Vec<_>>()))
}

async fn set(args: SetArgs, config: Option<&Path>) -> anyhow::Result<()> {
    let api = args.connect.open(config)?;
    let mut body = serde_json::Map::new();
    if args.no_roles || !args.roles.is_empty() {
        body.insert("grants".into(), serde_json::to_value(grants(args.roles))?);
    }
    if let (Some(issuer), Some(subject)) = (args.issuer, args.subject) {
        body.insert("identity".into(), json!({"issuer": issuer, "subject": subject}));
    }
    if args.unlink {
        body.insert("unlink".into(), Value::Bool(true));
    }
    if body.is_empty() && !args.drop_factor {
        return Err(Ended::Usage("nothing to change; bwld account set --help says what can be".into()).into());
    }
    if args.drop_factor {
        api.delete(&format!("v1/admin/accounts/{}/factor", escaped(&args.name))).await?;
    }
    change(&api, &args.name, &Value::Object(body)).await
}

async fn change(api: &Api, name: &str, body: &Value) -> anyhow::Result<()> {
    let path = format!("v1/admin/accounts/{}", escaped(name));
    let (_, tag): (AccountView, _) = api.get_tagged(&path).await?;
    print(&api.send_if(Method::PATCH, &path, body, &tag).await?)
}

/// Without a tag: it changes with each token that the account makes, so whoever holds the account could keep this from being done.
async fn refuse(api: &Api, name: &str, disabled: bool) -> anyhow::Result<()> {
    let path = format!("v1/admin/accounts/{}", escaped(name));
    print(&api.send_json(Method::PATCH, &path, &json!({"disabled": disabled})).await?)
}

fn print(view: &AccountView) -> anyhow::Result<()> {
    out::print(&format!("{}: {}{}\n", view.name, words(&view.grants), if view.disabled { ", disabled" } else { "" }))
}

async fn invite(api: &Api, name: &str) -> anyhow::Result<()> {
    let made: Value = api.send_json(Method::POST, &format!("v1/admin/accounts/{}/invite", escaped(name)), &json!({})).await?;
    let text = |key: &str| made[key].as_str().unwrap_or_default().to_owned();
    out::print(&format!("set-up token, until {}, for one use (bwld account password):\n{}\n", text("expires"), text("token")))
}

async fn password(api: &Api) -> anyhow::Result<()> {
    let mut input = zeroize::Zeroizing::new(String::new());
    if secret::is_asked() {
        let (token, password) = (secret::ask("set-up token")?, secret::ask_new("password, at least 12 characters")?);
        return set_password(api, &token, &password).await;
    }
    std::io::stdin().lock().take(MAX_INPUT).read_to_string(&mut input).context("reading the standard input")?;
    let mut lines = input.lines();
    let (Some(token), Some(password), None) = (lines.next(), lines.next(), lines.next()) else {
        return Err(Ended::Usage("the standard input has two lines: the set-up token, and the password".into()).into());
    };
    set_password(api, token, password).await
}

async fn set_password(api: &Api, token: &str, password: &str) -> anyhow::Result<()> {
    let body = json!({"token": token.trim(), "password": password});
    let done: Value = api.send_json(Method::POST, "v1/admin/setup", &body).await?;
    out::print(&format!("{}: the password is set\n", done["account"].as_str().unwrap_or_default()))
}

/// As a piece of a path or a value of a query.
pub fn escaped(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_and_written_alike() {
        let all = ["owner", "editor@adult", "reviewer@adult"].map(|text| role(text).expect("a role"));
        assert_eq!(words(&grants(all.to_vec())), "owner editor@adult reviewer@adult");
        assert_eq!(words(&Grants::default()), "no roles");
        for wrong in ["", "root", "owner@", "owner@Bad Name", "@adult"] {
            assert!(role(wrong).is_err(), "{wrong}");
        }
    }
}
