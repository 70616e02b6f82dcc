//! `bwld check`: the publisher's store against everything it promises, in the running daemon or, when none runs, here.

use std::path::Path;

use anyhow::Context as _;
use reqwest::Method;

use crate::publisher::CheckReport;
use crate::store::{FolderLock, StoreError, counted};

use super::client::Connect;
use super::{exit::Ended, out, serve};

/// What `bwld check` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
A daemon that runs is asked; else the data folder is read here. That mends what a crash left, as a start does, and
changes nothing else. The exit code is 3 when something is wrong.

Examples:
  bwld check
  bwld check --data /var/lib/bwld --json")]
pub struct Args {
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

/// Runs it.
pub async fn run(args: Args, config: Option<&Path>) -> anyhow::Result<()> {
    let loaded = args.connect.load(config)?;
    let data = std::path::PathBuf::from(loaded.config().serve.data);
    let free = data.join("journal").is_dir()
        && args.connect.server.is_none()
        && match FolderLock::take(&data) {
            Ok(_) => true,
            Err(StoreError::Locked { .. }) => false,
            Err(error) => return Err(error.into()),
        };
    let report: CheckReport = if free {
        // Opening and checking read a lot: not on the thread that turns the runtime.
        tokio::task::spawn_blocking(move || serve::check(&loaded)).await.context("the check broke off")??
    } else {
        args.connect.open(config)?.send_json(Method::POST, "v1/admin/check", &serde_json::json!({})).await?
    };
    if args.json {
        out::print_json(&report)?;
    } else {
        let lines =
            report.verified.iter().map(|v| format!("ok       {v}\n")).chain(report.problems.iter().map(|p| format!("PROBLEM  {p}\n")));
        out::print(&lines.map(|l| out::visible(l.trim_end()) + "\n").collect::<String>())?;
    }
    match report.problems.len() {
        0 => Ok(()),
        n => Err(Ended::Verification(format!("{} found", counted(n as u64, "problem", "problems"))).into()),
    }
}
