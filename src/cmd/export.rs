//! `bwld export`: the published entries of a list in bwld's own text, one canonical line each.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::list::ListId;

use super::client::{Api, Connect, list_path};
use super::{files, out};

/// What `bwld export` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  bwld export canary\n  bwld export canary -o canary.txt")]
pub struct Args {
    /// The list
    list: ListId,
    /// Write to this file instead, replacing it only when all has arrived
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    connect: Connect,
}

/// Runs it.
pub async fn run(args: Args, config: Option<&Path>) -> anyhow::Result<()> {
    let api = args.connect.open(config)?;
    match &args.output {
        None => copy(&api, &args.list, out::print_bytes).await,
        Some(path) => {
            let temporary = files::beside(path);
            let result = to_file(&api, &args.list, &temporary, path).await;
            if result.is_err() {
                let _ = std::fs::remove_file(&temporary);
            }
            result
        }
    }
}

async fn to_file(api: &Api, list: &ListId, temporary: &Path, path: &Path) -> anyhow::Result<()> {
    let file = std::fs::File::create(temporary).with_context(|| format!("creating {}", temporary.display()))?;
    let mut writer = std::io::BufWriter::new(file);
    copy(api, list, |chunk| writer.write_all(chunk).with_context(|| format!("writing {}", temporary.display()))).await?;
    let file = writer.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    file.sync_all()?;
    std::fs::rename(temporary, path).with_context(|| format!("writing {}", path.display()))?;
    files::sync_folder(path)?;
    Ok(())
}

async fn copy(api: &Api, list: &ListId, mut sink: impl FnMut(&[u8]) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut response = api.stream(&list_path(list, "/export")).await?;
    while let Some(chunk) = response.chunk().await.context("the server's answer broke off; what came so far is not the whole list")? {
        sink(&chunk)?;
    }
    Ok(())
}
