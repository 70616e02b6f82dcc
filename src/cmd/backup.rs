//! `bwld backup`: the daemon copies its store into a new folder while it goes on publishing.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use reqwest::Method;

use super::client::Connect;
use super::out;

/// What `bwld backup` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
The folder is one on the daemon's machine. Keys and the operator's token are not part of a backup unless --secrets asks
for them: whoever has the keys is the publisher. Keep the manifest's digest elsewhere: it shows that a backup is this one.

Examples:
  bwld backup /var/backups/bwld-2026-11-24")]
pub struct Args {
    /// The folder; it must not exist
    dir: PathBuf,
    /// With secret keys and the operator's token
    #[arg(long)]
    secrets: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

/// Runs it.
pub async fn run(args: Args, config: Option<&Path>) -> anyhow::Result<()> {
    // The daemon's working folder is another: a relative name would mean another place there.
    let to = std::path::absolute(&args.dir).with_context(|| format!("{} is no path", args.dir.display()))?;
    let request = serde_json::json!({ "to": to, "secrets": args.secrets });
    let report: serde_json::Value = args.connect.open(config)?.send_json(Method::POST, "v1/admin/backup", &request).await?;
    if args.json {
        return out::print_json(&report);
    }
    let number = |key: &str| out::count(report[key].as_u64().unwrap_or(0));
    let manifest = report["manifest"].as_str().unwrap_or_default();
    out::print(&format!("{}: backed up {} files, {} octets; manifest {manifest}\n", to.display(), number("files"), number("octets")))
}
