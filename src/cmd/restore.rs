//! `bwld restore`: a data folder from a backup. Serials go on above the highest that was ever published.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use crate::follower::{self, ClientTls};
use crate::list::{Digest, ListId, Serial};
use crate::store::{self, Clock as _, Disk, RealDisk, RestoreOptions, RestoreReport, StoreError, SystemClock};

use super::client::Api;
use super::config::{Loaded, Override};
use super::exit::Ended;
use super::out;

/// How long a mirror may take to answer.
const ASK: Duration = Duration::from_secs(60);

/// What `bwld restore` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Followers refuse a serial lower than one they have seen. So say the highest serial of each list that was published after the
backup, or let mirrors and followers' folders tell it. For lists of which nobody tells it, --margin serials are left out.
Put the keys back into DIR/keys before the next start, unless they are in the backup.

Examples:
  bwld restore /var/backups/bwld-2026-11-24 --data /var/lib/bwld --ask https://mirror.example.net
  bwld restore backup --data new --highest adult=1042 --highest gambling=77")]
pub struct Args {
    /// The backup
    from: PathBuf,
    /// The data folder to make; empty or not there [default: $BWLD_DATA, ./bwld-data]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// The highest serial ever published of a list (may be repeated)
    #[arg(long, value_name = "LIST=SERIAL", value_parser = highest)]
    highest: Vec<(ListId, Serial)>,
    /// A mirror, asked for the highest serials it has (may be repeated)
    #[arg(long, value_name = "URL")]
    ask: Vec<String>,
    /// A follower's folder, read for the highest serials it accepted (may be repeated)
    #[arg(long, value_name = "DIR")]
    follower: Vec<PathBuf>,
    /// Serials to leave out for a list of which nobody tells the highest
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    margin: u64,
    /// Digest that the backup's manifest must have, as `bwld backup` printed it
    #[arg(long, value_name = "DIGEST")]
    manifest: Option<Digest>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

fn highest(text: &str) -> Result<(ListId, Serial), String> {
    let (list, serial) = text.split_once('=').ok_or("expected LIST=SERIAL")?;
    Ok((list.parse().map_err(|e| format!("{e}"))?, serial.parse().map_err(|e| format!("{e}"))?))
}

/// What `/v1/lists` says, as far as it matters here.
#[derive(serde::Deserialize)]
struct Offered {
    lists: Vec<OfferedList>,
}

#[derive(serde::Deserialize)]
struct OfferedList {
    id: ListId,
    serial: Serial,
}

/// The highest serial of each list that anybody tells.
fn gather(args: &Args) -> anyhow::Result<BTreeMap<ListId, Serial>> {
    let mut told: BTreeMap<ListId, Serial> = BTreeMap::new();
    let mut tell = |list: ListId, serial: Serial| {
        let known = told.entry(list).or_insert(serial);
        *known = serial.max(*known);
    };
    args.highest.iter().for_each(|(list, serial)| tell(list.clone(), *serial));
    for dir in &args.follower {
        let status = follower::status(dir, SystemClock.now())?;
        for list in status.lists {
            // Accepted, not applied: a follower refuses what is lower than a head it has seen.
            if let Some(serial) = list.accepted.max(list.serial).and_then(Serial::new) {
                tell(list.list, serial);
            }
        }
    }
    for url in &args.ask {
        let offered: Offered = super::block_on(Api::new(url, None, &ClientTls::default(), ASK)?.get("v1/lists"))?;
        offered.lists.into_iter().for_each(|l| tell(l.id, l.serial));
    }
    Ok(told)
}

/// Runs it.
pub fn run(args: Args, config: Option<&Path>) -> anyhow::Result<()> {
    let highest = gather(&args)?;
    let overrides: Vec<Override> = args.data.into_iter().map(|data| ("--data", "serve.data", data)).collect();
    let data = PathBuf::from(Loaded::load(config, &overrides)?.config().serve.data);
    let options = RestoreOptions { highest, margin: args.margin, manifest: args.manifest };
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let report = store::restore(&args.from, &data, &options, SystemClock.now(), &disk, &mut |_| {}).map_err(|error| {
        // A backup that is not what was backed up is not to be trusted; everything else is a failure.
        match error {
            StoreError::BadBackup { .. } | StoreError::Damaged { .. } | StoreError::BadFrame { .. } | StoreError::BadArtefact { .. } => {
                Ended::Verification(error.to_string()).into()
            }
            error => anyhow::Error::new(error),
        }
    });
    let report = report.with_context(|| format!("restoring {} into {}", args.from.display(), data.display()))?;
    if args.json {
        return out::print_json(&json(&report));
    }
    out::print(&text(&data, &report))
}

fn json(report: &RestoreReport) -> serde_json::Value {
    let next: BTreeMap<&str, u64> = report.next.iter().map(|(list, serial)| (list.as_str(), serial.get())).collect();
    serde_json::json!({
        "files": report.files, "octets": report.octets, "made": report.made, "secrets": report.secrets, "next": next, "unknown": report.unknown,
    })
}

fn text(data: &Path, report: &RestoreReport) -> String {
    let mut text = format!("{}: restored {} files from the backup of {}\n", data.display(), out::count(report.files), report.made);
    for (list, serial) in &report.next {
        text.push_str(&format!("  {list}: goes on with serial {serial}\n"));
    }
    for list in &report.unknown {
        text.push_str(&format!("  {list}: made after the backup; it is not in it\n"));
    }
    if !report.secrets {
        text.push_str("The keys are not in the backup: put them into its folder keys before you start the daemon.\n");
    }
    text
}
