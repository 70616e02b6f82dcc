//! `bwld backup`.

use std::path::Path;

/// What `bwld backup` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  bwld backup")]
pub struct Args {}

/// Runs it.
pub async fn run(_args: Args, _config: Option<&Path>) -> anyhow::Result<()> {
    anyhow::bail!("not built yet")
}
