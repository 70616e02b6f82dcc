//! `bwld verify`: heads, snapshots, deltas and followed folders, off line, against a pinned fingerprint.
//!
//! Guarantees: exit code 3 with the exact reason when anything does not hold; 4 when all holds but the head is past
//! its time. It writes nothing and asks nobody.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::list::{Change, Digest, ListId, Timestamp};
use crate::store::{Clock as _, SystemClock};
use crate::trust::{Freshness, VerifiedHead};
use crate::wire::{Delta, Head, MAX_HEAD, MAX_KEYSET, Note, Root, SnapshotReader, Tree, bucket_digest, bucket_of, decompress};

use super::{exit::Ended, files, keyset, out};

/// Largest delta, in octets.
const MAX_DELTA: u64 = 1 << 30;
/// Largest snapshot, in octets.
const MAX_SNAPSHOT: u64 = 64 << 30;
/// How a zstd frame begins (RFC 8878 section 3.1.1).
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Verify a head, a snapshot, a delta or a followed folder, off line.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Verify a head: signature, key, form, time
    #[command(after_help = "Examples:\n  bwld verify head canary.head --keyset keyset-1 --trust sha256:...")]
    Head {
        /// The head
        file: PathBuf,
        #[command(flatten)]
        trust: Trust,
    },
    /// Verify a snapshot (plain or .zst) against a head
    #[command(after_help = "Examples:\n  bwld verify snapshot canary.snapshot.zst --head canary.head --keyset keyset-1 --trust sha256:...")]
    Snapshot {
        /// The snapshot
        file: PathBuf,
        /// The head that names it, or that is of the same version
        #[arg(long, value_name = "FILE")]
        head: PathBuf,
        #[command(flatten)]
        trust: Trust,
    },
    /// Verify a delta (plain or .zst) against a head
    #[command(after_help = "\
Examples:
  bwld verify delta 7-8.delta.zst --head canary.head --base 7.snapshot --keyset keyset-1 --trust sha256:...")]
    Delta {
        /// The delta
        file: PathBuf,
        /// The head of the version it leads to
        #[arg(long, value_name = "FILE")]
        head: PathBuf,
        /// The snapshot it starts from; without it only form and names can be checked
        #[arg(long, value_name = "FILE")]
        base: Option<PathBuf>,
        #[command(flatten)]
        trust: Trust,
    },
    /// Verify everything in a follower's folder
    #[command(after_help = "Examples:\n  bwld verify folder ./bwld-follow\n  bwld verify folder ./bwld-follow --json")]
    Folder {
        /// The folder
        dir: PathBuf,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// What is trusted.
#[derive(clap::Args, Debug)]
pub struct Trust {
    /// Key sets as files: the pinned one and those after it (may be repeated)
    #[arg(long, required = true, value_name = "FILE")]
    keyset: Vec<PathBuf>,
    /// Fingerprint of one of them, got on a trusted way
    #[arg(long, value_name = "FINGERPRINT")]
    trust: Digest,
    /// The list it must be of [default: what the head says]
    #[arg(long)]
    list: Option<ListId>,
    /// As if it were this time, YYYY-MM-DDTHH:MM:SSZ
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
}

/// Runs it.
pub fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Head { file, trust } => {
            let head = verified(file, trust)?;
            out::print(&describe(head.head()))?;
            fresh(&head)
        }
        Command::Snapshot { file, head, trust } => {
            let head = verified(head, trust)?;
            let (digest, root, serial) = snapshot(file, head.head(), |_, _| {})?;
            let claim = head.head();
            let how = if serial == claim.serial.get() {
                same_root(claim, root)?;
                "its root is the signed one"
            } else if digest == claim.snapshot.digest {
                "the head names it by this digest"
            } else {
                let reason = format!(
                    "the head is of serial {} and names {}, not this snapshot of serial {serial} with {digest}",
                    claim.serial, claim.snapshot.digest
                );
                return Err(Ended::Verification(reason).into());
            };
            out::print(&format!("{}: genuine, serial {serial}: {how}\n", file.display()))?;
            fresh(&head)
        }
        Command::Delta { file, head, base, trust } => {
            let head = verified(head, trust)?;
            let how = delta(file, head.head(), base.as_deref())?;
            out::print(&format!("{}: {how}\n", file.display()))?;
            fresh(&head)
        }
        Command::Folder { dir, json } => super::status::verify_folder(dir, *json),
    }
}

fn broken(error: impl std::fmt::Display) -> anyhow::Error {
    Ended::Verification(error.to_string()).into()
}

fn verified(file: &Path, trust: &Trust) -> anyhow::Result<VerifiedHead> {
    let notes = trust.keyset.iter().map(|f| files::read_bounded(f, MAX_KEYSET as u64)).collect::<anyhow::Result<Vec<_>>>()?;
    let trusted = keyset::chain(&notes, &trust.trust)?;
    let note = files::read_bounded(file, 2 * MAX_HEAD as u64)?;
    let list = match &trust.list {
        Some(list) => list.clone(),
        None => Note::parse(&note, MAX_HEAD).and_then(|n| Head::parse(&n.text)).map_err(broken)?.list,
    };
    let now = trust.at.unwrap_or_else(|| SystemClock.now());
    trusted.verify_head(&note, &list, None, None, now).with_context(|| format!("{} is not to be trusted", file.display()))
}

fn fresh(head: &VerifiedHead) -> anyhow::Result<()> {
    match head.freshness() {
        Freshness::Fresh => Ok(()),
        Freshness::Stale => Err(Ended::Stale(format!("the head expired at {}; get a newer one", head.head().expires)).into()),
    }
}

fn describe(head: &Head) -> String {
    format!(
        "genuine: {} list {} of {}, serial {}, {} entries, key set {}, issued {}, expires {}\n",
        head.colour,
        head.list,
        head.origin,
        head.serial,
        out::count(head.entries),
        head.keyset,
        head.issued,
        head.expires
    )
}

fn same_root(head: &Head, root: Root) -> anyhow::Result<()> {
    if root == head.root {
        return Ok(());
    }
    Err(Ended::Verification(format!("the content's root is {}, but the head signs {}", root.digest, head.root.digest)).into())
}

/// Opens a file, decompressing when it is a zstd frame.
fn open(file: &Path) -> anyhow::Result<Box<dyn BufRead>> {
    let mut reader = BufReader::new(std::fs::File::open(file).with_context(|| format!("opening {}", file.display()))?);
    let compressed = reader.fill_buf().with_context(|| format!("reading {}", file.display()))?.starts_with(&ZSTD);
    Ok(if compressed { Box::new(BufReader::new(zstd::Decoder::with_buffer(reader)?)) } else { Box::new(reader) })
}

/// Reads a snapshot that must be of the head's list: its digest, its root with the head's k, its serial.
fn snapshot(file: &Path, head: &Head, mut each: impl FnMut(&str, &str)) -> anyhow::Result<(Digest, Root, u64)> {
    let mut reader = SnapshotReader::new(open(file)?, MAX_SNAPSHOT).map_err(broken)?;
    let header = reader.header().clone();
    if (&header.origin, &header.list, header.colour) != (&head.origin, &head.list, head.colour) {
        return Err(broken(format!(
            "a snapshot of {} list {} of {}, but the head is of another",
            header.colour, header.list, header.origin
        )));
    }
    let mut buckets = vec![Vec::new(); 1 << head.root.bits];
    while let Some(line) = reader.next_line().map_err(broken)? {
        let rule = line.split_once('\t').map_or(line, |(rule, _)| rule);
        put(&mut buckets, rule, line, head.root.bits);
        each(rule, line);
    }
    Ok((reader.digest().0, root_of(&buckets, header.entries), header.serial.get()))
}

fn put(buckets: &mut [Vec<u8>], rule: &str, line: &str, bits: u8) {
    let bucket = &mut buckets[bucket_of(rule, bits) as usize];
    bucket.extend_from_slice(line.as_bytes());
    bucket.push(b'\n');
}

fn root_of(buckets: &[Vec<u8>], entries: u64) -> Root {
    let leaves: Vec<Digest> = buckets.iter().map(|lines| bucket_digest(lines)).collect();
    Tree::new(&leaves).expect("2^k buckets, k checked by the head").root(entries)
}

fn delta(file: &Path, head: &Head, base: Option<&Path>) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    files::read_bounded(file, MAX_DELTA)?.as_slice().read_to_end(&mut bytes)?;
    if bytes.starts_with(&ZSTD) {
        bytes = decompress("delta", &bytes, MAX_DELTA).map_err(broken)?;
    }
    let delta = Delta::parse(&bytes).map_err(broken)?;
    let h = &delta.header;
    if (&h.origin, &h.list, h.colour, h.to) != (&head.origin, &head.list, head.colour, head.serial) {
        return Err(broken(format!("a delta to serial {} of list {} of {}, but the head is another", h.to, h.list, h.origin)));
    }
    let Some(base) = base else {
        return Ok(format!(
            "well formed, {} to {}, of the head's list; give --base SNAPSHOT to prove that it leads to the signed root",
            h.from, h.to
        ));
    };
    let mut content = BTreeMap::new();
    let (_, _, serial) = snapshot(base, head, |rule, line| {
        content.insert(rule.to_owned(), line.to_owned());
    })?;
    if serial != h.from.get() {
        return Err(Ended::Usage(format!("the delta starts from serial {}, but {} is of serial {serial}", h.from, base.display())).into());
    }
    for change in delta.changes.iter() {
        let rule = change.rule_str().to_owned();
        let fits = match change {
            Change::Add(entry) => content.insert(rule, entry.line().to_owned()).is_none(),
            Change::Replace(entry) => content.insert(rule, entry.line().to_owned()).is_some(),
            Change::Remove(_) => content.remove(&rule).is_some(),
        };
        if !fits {
            return Err(broken(format!("\"{}{}\" does not fit the snapshot", change.sign(), change.rule_str())));
        }
    }
    let mut buckets = vec![Vec::new(); 1 << head.root.bits];
    content.iter().for_each(|(rule, line)| put(&mut buckets, rule, line, head.root.bits));
    same_root(head, root_of(&buckets, content.len() as u64))?;
    Ok(format!("genuine: it leads from serial {} to the signed root of serial {}", h.from, h.to))
}
