//! `bwld export`: the published entries of a list, in bwld's own text or in the format of a filter.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use url::form_urlencoded::Serializer;

use crate::formats::write::ExportFormat;
use crate::list::{Code, ListId};

use super::client::{Api, Connect, list_path};
use super::{files, out};

/// What `bwld export` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  bwld export canary
  bwld export canary -o canary.txt
  bwld export canary --format hosts -o /etc/hosts.canary
  bwld export adult --format fortinet-domains --limit 100000 --priority csam,gambling
  bwld export adult --format hosts --report        what a hosts file cannot say")]
pub struct Args {
    /// The list
    list: ListId,
    /// Write to this file instead, replacing it only when all has arrived
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The format of a filter (docs/FILTERS.md) [default: bwld's own text, without comments]
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<ExportFormat>,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    connect: Connect,
}

/// What of a list is written, and how.
#[derive(clap::Args, Debug)]
struct Selection {
    /// Entries of one of these categories, and those of none
    #[arg(long, value_delimiter = ',', requires = "format")]
    categories: Vec<Code>,
    /// Age in years of those who ask
    #[arg(long, requires = "format")]
    age: Option<u8>,
    /// Most rules of the format
    #[arg(long, requires = "format", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Categories in the order in which they fill the limit
    #[arg(long, value_delimiter = ',', requires = "limit")]
    priority: Vec<Code>,
    /// Write URLs for programs that match them in other spellings, too: any port, any case, www. before the host
    #[arg(long, requires = "format")]
    any_spelling: bool,
    /// The name of the set, zone or group
    #[arg(long, requires = "format")]
    name: Option<String>,
    /// Write it even if nothing is in it
    #[arg(long, requires = "format")]
    empty: bool,
    /// List what the format cannot say instead, a JSON object a line
    #[arg(long, requires = "format")]
    report: bool,
    /// Write the signature over the export instead, for minisign
    #[arg(long, requires = "format", conflicts_with = "report")]
    signature: bool,
}

impl Selection {
    fn query(&self) -> String {
        let joined = |codes: &[Code]| codes.iter().map(Code::as_str).collect::<Vec<_>>().join(",");
        let mut query = Serializer::new(String::new());
        for (name, codes) in [("categories", &self.categories), ("priority", &self.priority)] {
            if !codes.is_empty() {
                query.append_pair(name, &joined(codes));
            }
        }
        for (name, number) in [("age", self.age.map(u64::from)), ("limit", self.limit)] {
            if let Some(number) = number {
                query.append_pair(name, &number.to_string());
            }
        }
        for (name, value, on) in [("spellings", "any", self.any_spelling), ("empty", "ok", self.empty), ("report", "true", self.report)] {
            if on {
                query.append_pair(name, value);
            }
        }
        if let Some(name) = &self.name {
            query.append_pair("name", name);
        }
        query.finish()
    }
}

/// Runs it.
pub async fn run(args: Args, config: Option<&Path>) -> anyhow::Result<()> {
    // The formats are for everybody; bwld's own text comes from the operator's API.
    let (api, path) = match args.format {
        None => (args.connect.open(config)?, list_path(&args.list, "/export")),
        Some(format) => {
            let ending = if args.selection.signature { ".minisig" } else { "" };
            let path = format!("v1/lists/{}/export/{format}{ending}?{}", args.list, args.selection.query());
            (args.connect.open_public(config)?, path)
        }
    };
    whole(&api, &path, args.output.as_deref()).await
}

/// Writes an answer to the standard output, or to a file that is replaced only when all has arrived.
pub async fn whole(api: &Api, path: &str, file: Option<&Path>) -> anyhow::Result<()> {
    match file {
        None => copy(api, path, out::print_bytes).await,
        Some(file) => {
            let temporary = files::beside(file);
            let result = to_file(api, path, &temporary, file).await;
            if result.is_err() {
                let _ = std::fs::remove_file(&temporary);
            }
            result
        }
    }
}

async fn to_file(api: &Api, path: &str, temporary: &Path, file: &Path) -> anyhow::Result<()> {
    let new = std::fs::File::create(temporary).with_context(|| format!("creating {}", temporary.display()))?;
    let mut writer = std::io::BufWriter::new(new);
    copy(api, path, |chunk| writer.write_all(chunk).with_context(|| format!("writing {}", temporary.display()))).await?;
    let new = writer.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    new.sync_all()?;
    std::fs::rename(temporary, file).with_context(|| format!("writing {}", file.display()))?;
    files::sync_folder(file)?;
    Ok(())
}

async fn copy(api: &Api, path: &str, mut sink: impl FnMut(&[u8]) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut response = api.stream(path).await?;
    while let Some(chunk) = response.chunk().await.context("the server's answer broke off; what came so far is not the whole list")? {
        sink(&chunk)?;
    }
    Ok(())
}
