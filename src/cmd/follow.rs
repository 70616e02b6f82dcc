//! `bwld follow`.

use std::path::Path;

/// What `bwld follow` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  bwld follow")]
pub struct Args {}

/// Runs it.
pub fn run(_args: Args, _config: Option<&Path>) -> anyhow::Result<()> {
    anyhow::bail!("not built yet")
}
