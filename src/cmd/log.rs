//! `bwld log`: the versions of a list, newest first.

use std::path::Path;

use crate::list::{ListId, Serial};
use crate::publisher::LogPage;
use crate::store::VersionRecord;

use super::client::{Connect, list_path};
use super::out;

/// Versions asked for at once.
const PAGE: u64 = 200;

/// What `bwld log` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  bwld log canary\n  bwld log canary --limit 1 --json")]
pub struct Args {
    /// The list
    list: ListId,
    /// Show this many at most
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u64,
    /// Only versions before this serial
    #[arg(long, value_name = "SERIAL")]
    before: Option<Serial>,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

/// Runs it.
pub async fn run(args: Args, config: Option<&Path>) -> anyhow::Result<()> {
    let api = args.connect.open(config)?;
    let mut versions: Vec<VersionRecord> = Vec::new();
    let mut before = args.before;
    while (versions.len() as u64) < args.limit {
        let limit = PAGE.min(args.limit - versions.len() as u64);
        let mut path = list_path(&args.list, &format!("/log?limit={limit}"));
        if let Some(serial) = before {
            path.push_str(&format!("&before={serial}"));
        }
        let page: LogPage = api.get(&path).await?;
        let end = page.versions.is_empty();
        versions.extend(page.versions);
        before = page.next;
        if end || before.is_none() {
            break;
        }
    }
    if args.json { out::print_json(&versions) } else { out::print(&text(&versions)) }
}

fn text(versions: &[VersionRecord]) -> String {
    let mut rows = vec![["SERIAL", "WHEN", "BY", "ENTRIES", "+", "-", "~", "WHY"].map(String::from).to_vec()];
    for v in versions {
        let forced = if v.forced.is_empty() { String::new() } else { format!(" [forced: {}]", v.forced.join(", ")) };
        rows.push(vec![
            v.serial.to_string(),
            v.at.to_string(),
            out::visible(&v.by),
            out::count(v.entries),
            out::count(v.added),
            out::count(v.removed),
            out::count(v.replaced),
            format!("{}{forced}", out::visible(&v.reason)),
        ]);
    }
    out::table(&rows)
}
