//! `bwld token`: ways in for programs.

use std::path::Path;

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::list::Timestamp;
use crate::people::{Role, Scope, TokenView};
use crate::store::{Clock as _, SystemClock};

use super::account::{escaped, grants, role, words};
use super::client::{Api, Connect};
use super::out;

/// Tokens in one question.
const PAGE: usize = 1_000;

/// Make, show and revoke tokens.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Make a token and print it, this once
    #[command(after_help = "\
Examples:
  bwld token new anna --label \"laptop\" --days 90 > anna.token && chmod 600 anna.token
  bwld token new importer --role editor@malware        it may do less than its account")]
    New(NewArgs),
    /// Show tokens by their prefixes, and when they were last used
    #[command(after_help = "Examples:\n  bwld token list\n  bwld token list anna --json")]
    List {
        /// Of this account only
        account: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        connect: Connect,
    },
    /// Refuse a token from now on
    #[command(after_help = "Examples:\n  bwld token revoke k7m2xq9a")]
    Revoke {
        /// Its prefix: what stands between bwld_ and the next _
        prefix: String,
        #[command(flatten)]
        connect: Connect,
    },
}

/// What `bwld token new` takes.
#[derive(clap::Args, Debug)]
pub struct NewArgs {
    /// Whose
    account: String,
    /// What it is for
    #[arg(long, default_value = "")]
    label: String,
    /// A role, for all lists or for one; the token may do what these and the account's roles both allow
    #[arg(long = "role", value_name = "ROLE[@LIST]", value_parser = role)]
    roles: Vec<(Scope, Role)>,
    /// It is refused after so many days [default: never]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=36_500))]
    days: Option<u64>,
    /// It is refused from then on
    #[arg(long, value_name = "YYYY-MM-DDTHH:MM:SSZ", conflicts_with = "days")]
    expires: Option<Timestamp>,
    /// As JSON, with all that is known of it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

/// Runs it.
pub async fn run(command: Command, config: Option<&Path>) -> anyhow::Result<()> {
    match command {
        Command::New(args) => new(args, config).await,
        Command::List { account, json, connect } => list(&connect.open(config)?, account.as_deref(), json).await,
        Command::Revoke { prefix, connect } => {
            connect.open(config)?.delete(&format!("v1/admin/tokens/{}", escaped(&prefix))).await?;
            out::print(&format!("{}: revoked\n", out::visible(&prefix)))
        }
    }
}

async fn new(args: NewArgs, config: Option<&Path>) -> anyhow::Result<()> {
    let expires = args.days.map(|days| SystemClock.now().plus(days * 86_400)).or(args.expires);
    let grants = (!args.roles.is_empty()).then(|| grants(args.roles));
    let body = json!({"account": args.account, "label": args.label, "grants": grants, "expires": expires});
    let made: Value = args.connect.open(config)?.send_json(Method::POST, "v1/admin/tokens", &body).await?;
    if args.json {
        return out::print_json(&made);
    }
    // Alone on its line, so that it can go into a file.
    out::print(&format!("{}\n", made["token"].as_str().unwrap_or_default()))
}

#[derive(Deserialize)]
struct Page {
    tokens: Vec<TokenView>,
    next: Option<String>,
}

async fn list(api: &Api, account: Option<&str>, as_json: bool) -> anyhow::Result<()> {
    let of = account.map_or_else(String::new, |account| format!("&account={}", escaped(account)));
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let page: Page = api.get(&format!("v1/admin/tokens?limit={PAGE}&after={}{of}", escaped(&after))).await?;
        all.extend(page.tokens);
        let Some(next) = page.next else { break };
        after = next;
    }
    if as_json {
        return out::print_json(&all);
    }
    let time = |at: Option<Timestamp>| at.map_or_else(|| "never".to_owned(), |at| at.to_string());
    let row = |view: &TokenView| {
        let may = view.grants.as_ref().map_or_else(|| "as its account".to_owned(), words);
        vec![
            view.prefix.clone(),
            view.account.clone(),
            may,
            format!("expires {}", time(view.expires)),
            format!("used {}", time(view.used)),
            out::visible(&view.label),
        ]
    };
    out::print(&out::table(&all.iter().map(row).collect::<Vec<_>>()))
}
