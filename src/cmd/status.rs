//! `bwld status`.

use std::path::Path;

/// What `bwld status` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  bwld status")]
pub struct Args {}

/// Runs it.
pub fn run(_args: Args, _config: Option<&Path>) -> anyhow::Result<()> {
    anyhow::bail!("not built yet")
}

/// Verifies a follower's folder.
pub fn verify_folder(_dir: &Path, _json: bool) -> anyhow::Result<()> {
    anyhow::bail!("not built yet")
}
