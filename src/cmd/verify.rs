//! `bwld verify`: heads, snapshots, deltas and followed folders, off line, against a pinned fingerprint.
//!
//! Guarantees: exit code 3 with the exact reason when anything does not hold; 4 when all holds but the head is past
//! its time. It writes nothing and asks nobody. Snapshots are read as streams, whatever their size: what is held is 100 octets
//! for each bucket of the head. A delta is held whole; it may be no larger than the head allows.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::follower::delta_limit;
use crate::list::{Change, ChangeSet, Digest, ListId, Timestamp, rule_of};
use crate::store::{Clock as _, SystemClock};
use crate::trust::{Freshness, VerifiedHead};
use crate::wire::{Delta, Head, MAX_HEAD, MAX_KEYSET, Note, Root, SnapshotReader, TreeBuilder, ZstdReader, decompress};

use super::{exit::Ended, files, keyset, out};

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

impl Trust {
    /// These key sets, one of them with this fingerprint; any list, now.
    pub(super) fn of(keyset: Vec<PathBuf>, trust: Digest) -> Trust {
        Trust { keyset, trust, list: None, at: None }
    }
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
            let (digest, root, serial) = snapshot(file, head.head())?;
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

/// A verified head.
pub(super) fn verified(file: &Path, trust: &Trust) -> anyhow::Result<VerifiedHead> {
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

/// Opens a snapshot, decompressing when it is a zstd frame; it must be of the head's list.
fn open(file: &Path, head: &Head) -> anyhow::Result<SnapshotReader<Box<dyn Read>>> {
    let mut plain = BufReader::new(std::fs::File::open(file).with_context(|| format!("opening {}", file.display()))?);
    let compressed = plain.fill_buf().with_context(|| format!("reading {}", file.display()))?.starts_with(&ZSTD);
    let octets: Box<dyn Read> =
        if compressed { Box::new(ZstdReader::new("snapshot", plain, MAX_SNAPSHOT).map_err(broken)?) } else { Box::new(plain) };
    let reader = SnapshotReader::new(octets, MAX_SNAPSHOT).map_err(broken)?;
    let header = reader.header();
    if (&header.origin, &header.list, header.colour) != (&head.origin, &head.list, head.colour) {
        return Err(broken(format!(
            "a snapshot of {} list {} of {}, but the head is of another",
            header.colour, header.list, header.origin
        )));
    }
    Ok(reader)
}

/// Reads a snapshot to its end: its digest, its root with the head's k, its serial.
fn snapshot(file: &Path, head: &Head) -> anyhow::Result<(Digest, Root, u64)> {
    let mut reader = open(file, head)?;
    let mut tree = TreeBuilder::new(head.root.bits);
    while let Some(line) = reader.next_line().map_err(broken)? {
        tree.push(line);
    }
    Ok((reader.digest().0, tree.finish().1, reader.header().serial.get()))
}

fn delta(file: &Path, head: &Head, base: Option<&Path>) -> anyhow::Result<String> {
    let limit = delta_limit(head);
    // Packed, it may be a little more when it does not compress.
    let mut bytes = files::read_bounded(file, limit.saturating_add(64 << 10))?;
    if bytes.starts_with(&ZSTD) {
        bytes = decompress("delta", &bytes, limit).map_err(broken)?;
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
    let mut reader = open(base, head)?;
    let serial = reader.header().serial;
    if serial != h.from {
        return Err(Ended::Usage(format!("the delta starts from serial {}, but {} is of serial {serial}", h.from, base.display())).into());
    }
    same_root(head, root_after(&mut reader, &delta.changes, head.root.bits)?)?;
    Ok(format!("genuine: it leads from serial {} to the signed root of serial {}", h.from, h.to))
}

/// The root of a snapshot with changes applied. Both are in the order of their rules, so one pass does.
fn root_after(base: &mut SnapshotReader<impl Read>, changes: &ChangeSet, bits: u8) -> anyhow::Result<Root> {
    let misfit = |change: &Change| broken(format!("\"{}{}\" does not fit the snapshot", change.sign(), change.rule_str()));
    let mut tree = TreeBuilder::new(bits);
    let mut changes = changes.iter().peekable();
    loop {
        let line = base.next_line().map_err(broken)?;
        let rule = line.map(rule_of);
        // What comes before this line is not in the snapshot and can only be added.
        while let Some(change) = changes.next_if(|change| rule.is_none_or(|rule| change.rule_str() < rule)) {
            match change {
                Change::Add(entry) => tree.push(entry.line()),
                _ => return Err(misfit(change)),
            }
        }
        let (Some(line), Some(rule)) = (line, rule) else { return Ok(tree.finish().1) };
        match changes.next_if(|change| change.rule_str() == rule) {
            None => tree.push(line),
            Some(Change::Replace(entry)) => tree.push(entry.line()),
            Some(Change::Remove(_)) => {}
            Some(change) => return Err(misfit(change)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::list::{Colour, Serial};
    use crate::wire::{SnapshotHeader, SnapshotWriter};

    fn snapshot_of(lines: &BTreeMap<String, String>) -> Vec<u8> {
        let header = SnapshotHeader {
            origin: "lists.example.org".parse().unwrap(),
            list: "adult".parse().unwrap(),
            colour: Colour::Black,
            serial: Serial::FIRST,
            entries: lines.len() as u64,
        };
        let mut writer = SnapshotWriter::new(Vec::new(), &header).unwrap();
        lines.values().for_each(|line| writer.push(line).unwrap());
        writer.finish().unwrap().0
    }

    fn root_of(lines: &BTreeMap<String, String>, bits: u8) -> Root {
        let mut tree = TreeBuilder::new(bits);
        lines.values().for_each(|line| tree.push(line));
        tree.finish().1
    }

    proptest! {
        /// Against a map: the same root where every change fits, a refusal where one does not.
        #[test]
        fn one_pass_gives_what_a_map_gives(
            base in prop::collection::btree_set(0_u8..40, 0..30),
            changes in prop::collection::btree_map(0_u8..42, 0_u8..3, 0..20),
            bits in 0_u8..4,
        ) {
            let rule = |n: u8| format!("domain:a{n}.example");
            let content: BTreeMap<_, _> = base.iter().map(|n| (rule(*n), rule(*n))).collect();
            let (mut after, mut set, mut fits) = (content.clone(), ChangeSet::default(), true);
            for (n, sign) in changes {
                let (rule, new) = (rule(n), format!("{}\tage=9", rule(n)));
                let (change, fit) = match sign {
                    0 => (Change::Add(new.parse().unwrap()), after.insert(rule, new).is_none()),
                    1 => (Change::Replace(new.parse().unwrap()), after.insert(rule, new).is_some()),
                    _ => (Change::Remove(rule.parse().unwrap()), after.remove(&rule).is_some()),
                };
                set.push(change).unwrap();
                fits &= fit;
            }
            let octets = snapshot_of(&content);
            let found = root_after(&mut SnapshotReader::new(octets.as_slice(), MAX_SNAPSHOT).unwrap(), &set, bits);
            match found {
                Ok(root) => prop_assert!(fits && root == root_of(&after, bits)),
                Err(error) => prop_assert!(!fits, "{error:#}"),
            }
        }
    }
}
