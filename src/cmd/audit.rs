//! `bwld audit`: who did what at the publisher, shown, exported, and verified off line.
//!
//! Guarantees: verifying asks nobody and writes nothing; exit code 3, with the line, when a line was changed, left out, added or
//! moved, or when a head is bound to a line that is not the one in the file. Lines are read one after the other, whatever the size.

use std::collections::BTreeMap;
use std::io::{BufReader, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::http::AuditPage;
use crate::list::Digest;
use crate::wire::{AuditChain, AuditLine, AuditTip, Head, MAX_HEAD, Note, WireError};

use super::client::{Api, Connect};
use super::{exit::Ended, files, out, verify};

/// Lines asked for at once.
const PAGE: u64 = 500;

/// Show, export or verify the audit chain.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Show who did what, newest first
    #[command(after_help = "Examples:\n  bwld audit log\n  bwld audit log --limit 10 --json")]
    Log {
        /// Show this many at most
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: u64,
        /// Only lines before this number
        #[arg(long, value_name = "NUMBER")]
        before: Option<u64>,
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        connect: Connect,
    },
    /// Print the lines of the chain, oldest first
    #[command(after_help = "Examples:\n  bwld audit export -o audit.ndjson\n  bwld audit export --from 1001 >> audit.ndjson")]
    Export {
        /// From this number on
        #[arg(long, value_name = "NUMBER", default_value_t = 1)]
        from: u64,
        /// Write to this file instead, replacing it only when all has arrived
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        #[command(flatten)]
        connect: Connect,
    },
    /// Verify an exported chain, off line
    #[command(after_help = "\
A head names the newest line at its time: whoever kept one can tell whether the history shown later is still that of then.

Examples:
  bwld audit verify audit.ndjson
  bwld audit verify audit.ndjson --head canary-2026-11.head
  bwld audit verify audit.ndjson --head canary.head --keyset keyset-1 --trust sha256:...")]
    Verify(VerifyArgs),
}

/// What `bwld audit verify` takes.
#[derive(clap::Args, Debug)]
pub struct VerifyArgs {
    /// The export; - is the standard input
    file: PathBuf,
    /// A head that was kept; the line it is bound to must be in the file (may be repeated)
    #[arg(long, value_name = "FILE")]
    head: Vec<PathBuf>,
    /// Key sets as files, to verify who signed the heads (may be repeated)
    #[arg(long, value_name = "FILE", requires_all = ["trust", "head"])]
    keyset: Vec<PathBuf>,
    /// Fingerprint of one of them, got on a trusted way
    #[arg(long, value_name = "FINGERPRINT", requires = "keyset")]
    trust: Option<Digest>,
    /// The line before the first one in the file, as NUMBER DIGEST, if the file does not begin with line 1
    #[arg(long, value_name = "TIP")]
    after: Option<AuditTip>,
}

/// Runs it.
pub async fn run(command: Command, config: Option<&Path>) -> anyhow::Result<()> {
    match command {
        Command::Log { limit, before, json, connect } => log(&connect.open(config)?, limit, before, json).await,
        Command::Export { from, output, connect } => export(&connect.open(config)?, from, output.as_deref()).await,
        Command::Verify(args) => check(&args),
    }
}

async fn log(api: &Api, limit: u64, mut before: Option<u64>, json: bool) -> anyhow::Result<()> {
    let mut lines: Vec<AuditLine> = Vec::new();
    while (lines.len() as u64) < limit {
        let mut path = format!("v1/admin/audit?limit={}", PAGE.min(limit - lines.len() as u64));
        if let Some(before) = before {
            path.push_str(&format!("&before={before}"));
        }
        let page: AuditPage = api.get(&path).await?;
        lines.extend(page.lines);
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    if json {
        return out::print_json(&lines);
    }
    let mut rows = vec![["LINE", "WHEN", "WHO", "FROM", "WHAT", "TO", "WHY"].map(String::from).to_vec()];
    rows.extend(lines.iter().map(|line| {
        let act = &line.act;
        let texts = [&act.who, &act.from, &act.what, &act.object, &act.reason].map(|text| out::visible(text));
        [line.number.to_string(), act.at.to_string()].into_iter().chain(texts).collect()
    }));
    out::print(&out::table(&rows))
}

async fn export(api: &Api, from: u64, output: Option<&Path>) -> anyhow::Result<()> {
    let mut response = api.stream(&format!("v1/admin/audit/export?from={from}")).await?;
    let Some(path) = output else {
        while let Some(chunk) = response.chunk().await.context(BROKE_OFF)? {
            out::print_bytes(&chunk)?;
        }
        return Ok(());
    };
    let temporary = files::beside(path);
    let written = async {
        let mut file = std::fs::File::create(&temporary).with_context(|| format!("creating {}", temporary.display()))?;
        while let Some(chunk) = response.chunk().await.context(BROKE_OFF)? {
            file.write_all(&chunk).with_context(|| format!("writing {}", temporary.display()))?;
        }
        file.sync_all()?;
        std::fs::rename(&temporary, path).with_context(|| format!("writing {}", path.display()))?;
        Ok(files::sync_folder(path)?)
    };
    let written = written.await;
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

const BROKE_OFF: &str = "the server's answer broke off; what came so far is not the whole chain";

/// What a kept head says of the chain.
struct Bound {
    file: PathBuf,
    head: Head,
    tip: AuditTip,
}

fn check(args: &VerifyArgs) -> anyhow::Result<()> {
    let bound = args.head.iter().map(|file| read_head(file, args)).collect::<anyhow::Result<Vec<_>>>()?;
    let wanted: BTreeMap<u64, &Bound> = bound.iter().map(|b| (b.tip.number, b)).collect();
    let mut found = BTreeMap::new();
    let mut chain = AuditChain::from(args.after);
    let mut read = |chain: &mut AuditChain, input: &mut dyn std::io::BufRead| {
        chain.read(input, |line| {
            if wanted.contains_key(&line.number) {
                found.insert(line.number, line.tip());
            }
        })
    };
    let done = if args.file == Path::new("-") {
        read(&mut chain, &mut std::io::stdin().lock())
    } else {
        let file = std::fs::File::open(&args.file).with_context(|| format!("reading {}", args.file.display()))?;
        read(&mut chain, &mut BufReader::with_capacity(256 << 10, file))
    };
    done.map_err(|e| match e {
        WireError::Io(e) => anyhow::Error::new(e).context(format!("reading {}", args.file.display())),
        e => Ended::Verification(format!("{}: {e}", args.file.display())).into(),
    })?;
    for b in &bound {
        holds(b, found.get(&b.tip.number), args, chain.tip())?;
    }
    let tip = chain.tip().map_or("it is empty".to_owned(), |tip| format!("its newest line is {tip}"));
    out::print(&format!("{}: whole and unchanged; {tip}\n", args.file.display()))?;
    for b in &bound {
        let signed = if args.keyset.is_empty() { "; who signed it was not asked, see --keyset" } else { ", and its signature holds" };
        out::print(&format!(
            "{}: serial {} of {} is bound to line {}{signed}\n",
            b.file.display(),
            b.head.serial,
            b.head.list,
            b.tip.number
        ))?;
    }
    Ok(())
}

/// A head, verified if there is a key set to do it with, and the line it is bound to.
fn read_head(file: &Path, args: &VerifyArgs) -> anyhow::Result<Bound> {
    let head = match args.trust {
        Some(trust) => verify::verified(file, &verify::Trust::of(args.keyset.clone(), trust))?.head().clone(),
        None => {
            let note = files::read_bounded(file, 2 * MAX_HEAD as u64)?;
            Note::parse(&note, MAX_HEAD)
                .and_then(|note| Head::parse(&note.text))
                .map_err(|e| Ended::Verification(format!("{}: {e}", file.display())))?
        }
    };
    let tip = head.audit.ok_or_else(|| Ended::Usage(format!("{} names no audit line; take a newer head", file.display())))?;
    Ok(Bound { file: file.to_owned(), head, tip })
}

fn holds(bound: &Bound, found: Option<&AuditTip>, args: &VerifyArgs, newest: Option<AuditTip>) -> Result<(), Ended> {
    let (head, tip) = (bound.file.display(), bound.tip);
    // A file that goes on from the very line the head names holds it by its digest.
    match found.or(args.after.as_ref().filter(|after| after.number == tip.number)) {
        Some(line) if line.digest == tip.digest => Ok(()),
        Some(line) => Err(Ended::Verification(format!(
            "history was rewritten: {head} is bound to line {tip}, and that line here has {}",
            line.digest
        ))),
        None if newest.is_some_and(|newest| newest.number >= tip.number) => {
            Err(Ended::Usage(format!("{head} is bound to line {}, which is before the first one here; export from there", tip.number)))
        }
        None => Err(Ended::Verification(format!(
            "history was cut off: {head} is bound to line {tip}, and the newest one here is {}",
            newest.map_or("none".into(), |newest| newest.number.to_string())
        ))),
    }
}
