//! `bwld diff` and `bwld discard`: what is staged, and away with it.

use std::path::Path;

use crate::list::ListId;
use crate::publisher::StagedView;

use super::client::{Connect, list_path};
use super::{out, staged};

/// What `bwld diff` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  bwld diff canary\n  bwld diff canary --lines 100000 --json")]
pub struct Args {
    /// The list
    list: ListId,
    /// Show this many change lines at most
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    lines: u64,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

/// What `bwld discard` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  bwld discard canary --dry-run\n  bwld discard canary")]
pub struct DiscardArgs {
    /// The list
    list: ListId,
    /// Only show what would be thrown away
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connect: Connect,
}

/// Shows what is staged.
pub async fn diff(args: Args, config: Option<&Path>) -> anyhow::Result<()> {
    let path = list_path(&args.list, &format!("/staged?lines={}", args.lines));
    let view: StagedView = args.connect.open(config)?.get(&path).await?;
    if args.json {
        return out::print_json(&view);
    }
    out::print(&format!("{}{}: staged: {}\n", staged::text(&view, out::colour_out()), args.list, staged::counts(&view)))
}

/// Throws away what is staged.
pub async fn discard(args: DiscardArgs, config: Option<&Path>) -> anyhow::Result<()> {
    let (api, path) = (args.connect.open(config)?, list_path(&args.list, "/staged"));
    if args.dry_run {
        let view: StagedView = api.would_delete(&path).await?;
        return out::print(&format!(
            "{}{}: would be discarded: {}\n",
            staged::text(&view, out::colour_out()),
            args.list,
            staged::counts(&view)
        ));
    }
    api.delete(&path).await?;
    out::print(&format!("{}: nothing is staged any more\n", args.list))
}
