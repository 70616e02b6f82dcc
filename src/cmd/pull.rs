//! `bwld pull`.

use std::path::Path;

/// What `bwld pull` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  bwld pull")]
pub struct Args {}

/// Runs it.
pub fn run(_args: Args, _config: Option<&Path>) -> anyhow::Result<()> {
    anyhow::bail!("not built yet")
}
