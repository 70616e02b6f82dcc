//! `bwld publish`: what is staged becomes the next version.

use std::path::Path;

use reqwest::Method;

use crate::desk::PublishCases;
use crate::list::ListId;
use crate::publisher::{PublishReport, PublishRequest};

use crate::desk::Page;

use super::client::{Api, Connect, list_path};
use super::{out, staged};

/// What `bwld publish` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  bwld publish canary --reason \"weekly review\"
  bwld publish canary --dry-run
  bwld publish canary --cases                   the entries that were proposed and approved
  bwld publish canary --case k3Jx0aZqPm2vT7yWb9cD1e --force approvals --reason \"court order 17, at once\"
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
    /// Only the entry of this reference (may be repeated); with --force approvals, by an owner, also before it is approved
    #[arg(long = "case", value_name = "REFERENCE", conflicts_with = "cases", allow_hyphen_values = true)]
    references: Vec<String>,
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
    if !args.cases && args.references.is_empty() {
        return publish(&api, &args.list, &args.reason, &args.force, args.dry_run, args.json).await;
    }
    let Args { list, references, reason, force, dry_run, json, .. } = args;
    let request = PublishCases { references, reason, force, dry_run };
    let report: PublishReport = api.send_json(Method::POST, &list_path(&list, "/cases/publish"), &request).await?;
    let changes = &report.changes;
    let nothing = report.version.is_none() && changes.added + changes.removed + changes.replaced == 0;
    show(&report, &list, "no entry that is approved waits", &request.force, dry_run, json)?;
    if nothing && !json { out::print(&unapproved(&api, &list).await?) } else { Ok(()) }
}

/// Publishes what is staged and prints what came of it.
pub async fn publish(api: &Api, list: &ListId, reason: &str, force: &[String], dry_run: bool, json: bool) -> anyhow::Result<()> {
    let request = PublishRequest { reason: reason.to_owned(), force: force.to_vec(), dry_run };
    let report = api.send_json(Method::POST, &list_path(list, "/publish"), &request).await?;
    show(&report, list, "nothing is staged", force, dry_run, json)
}

/// How many entries of a list wait for approvals, as a line; empty: none.
async fn unapproved(api: &Api, list: &ListId) -> anyhow::Result<String> {
    let page: Page = api.get(&format!("v1/admin/entries?list={list}&state=proposed&limit=1000")).await?;
    let more = if page.next.is_some() { "more than " } else { "" };
    Ok(match page.found.len() {
        0 => String::new(),
        count => format!("{more}{} wait for approvals (`bwld queue`, `bwld approve {list} REFERENCE`)\n", out::count(count as u64)),
    })
}

/// Prints what came of a publication; `nothing` is why there was none, if there was none.
fn show(report: &PublishReport, list: &ListId, nothing: &str, force: &[String], dry_run: bool, json: bool) -> anyhow::Result<()> {
    if json {
        out::print_json(report)?;
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
            None => format!("{list}: {nothing}, nothing was published\n"),
        };
        out::print(&text)?;
        if report.version.is_some() {
            out::print(&staged::notices(&report.changes))?;
        }
    }
    if dry_run
        && (report.changes.refused_total > 0 || report.changes.guards.iter().any(|g| !force.iter().any(|f| g.place.ends_with(f.as_str()))))
    {
        anyhow::bail!("this would be refused");
    }
    Ok(())
}
