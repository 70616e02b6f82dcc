//! `bwld publish`: what is staged becomes the next version.

use std::path::Path;

use reqwest::Method;

use crate::list::ListId;
use crate::publisher::{PublishReport, PublishRequest};

use super::client::{Api, Connect, list_path};
use super::{out, staged};

/// What `bwld publish` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  bwld publish canary --reason \"weekly review\"
  bwld publish canary --dry-run
  bwld publish canary --cases                   the entries that were proposed and approved
  bwld publish canary --force max-removed")]
pub struct Args {
    /// The list
    list: ListId,
    /// Why, for the log
    #[arg(long, default_value = "")]
    reason: String,
    /// Override a guard by its name: max-added, max-removed, max-changed, or approvals (may be repeated)
    #[arg(long, value_name = "GUARD", value_parser = ["max-added", "max-removed", "max-changed", "approvals"])]
    force: Vec<String>,
    /// The entries that are approved, instead of what is staged
    #[arg(long)]
    cases: bool,
    /// Only show what would be published
    #[arg(long)]
    dry_run: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

/// Runs it.
pub async fn run(args: Args, config: Option<&Path>) -> anyhow::Result<()> {
    let api = args.connect.open(config)?;
    let what = if args.cases { "/cases/publish" } else { "/publish" };
    send(&api, &args.list, what, &args.reason, &args.force, args.dry_run, args.json).await
}

/// Publishes what is staged and prints what came of it.
pub async fn publish(api: &Api, list: &ListId, reason: &str, force: &[String], dry_run: bool, json: bool) -> anyhow::Result<()> {
    send(api, list, "/publish", reason, force, dry_run, json).await
}

async fn send(api: &Api, list: &ListId, what: &str, reason: &str, force: &[String], dry_run: bool, json: bool) -> anyhow::Result<()> {
    let request = PublishRequest { reason: reason.to_owned(), force: force.to_vec(), dry_run };
    let report: PublishReport = api.send_json(Method::POST, &list_path(list, what), &request).await?;
    if json {
        out::print_json(&report)?;
    } else {
        let text = match &report.version {
            Some(v) => format!(
                "{list}: published serial {}: {} entries (+{} -{} ~{})\n",
                v.serial,
                out::count(v.entries),
                out::count(v.added),
                out::count(v.removed),
                out::count(v.replaced)
            ),
            None if dry_run => {
                format!(
                    "{}{list}: would be published: {}\n",
                    staged::text(&report.changes, out::colour_out()),
                    staged::counts(&report.changes)
                )
            }
            None => format!("{list}: nothing is staged, nothing was published\n"),
        };
        out::print(&text)?;
    }
    if dry_run
        && (report.changes.refused_total > 0 || report.changes.guards.iter().any(|g| !force.iter().any(|f| g.place.ends_with(f.as_str()))))
    {
        anyhow::bail!("this would be refused");
    }
    Ok(())
}
