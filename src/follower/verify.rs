//! Verifies a followed folder off line: everything in it against the pinned fingerprint, trusting nothing that was written
//! beside it.
//!
//! Key sets are chained again from the pinned one; the newest head's signature is verified again; content is read in full, its
//! root computed from scratch from the bucket file and from the snapshot with the log; output files are compared line by line; an index is read whole, and asked
//! for every entry.
//! It changes nothing in the folder but for a torn last frame of a log, which opening a journal cuts off.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    path::Path,
    sync::Arc,
};

use serde::Serialize;

use crate::list::{Digest, ListId, Origin, Serial, Timestamp};
use crate::store::{Content, FolderLock, RealDisk};
use crate::trust::Trusted;
use crate::wire::TreeBuilder;

use super::state::{ListState, View};
use super::status::{self, Health};
use super::{FollowError, keyring, output};

/// What was found of one list.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct VerifiedList {
    /// Its name.
    pub list: ListId,
    /// The serial of its content.
    pub serial: Option<u64>,
    /// Number of entries.
    pub entries: Option<u64>,
    /// Root computed from scratch.
    pub root: Option<Digest>,
    /// The version of its index; `None`: there is none, and look-ups say so.
    pub index: Option<u64>,
    /// Fresh, stale or empty at the time given.
    pub health: Health,
    /// What is wrong; empty: nothing.
    pub problems: Vec<String>,
}

/// What was found in a folder.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct FolderReport {
    /// The publisher.
    pub origin: Option<Origin>,
    /// The fingerprint that trust rests on: compare it with the publisher's.
    pub fingerprint: Option<Digest>,
    /// Number of the newest key set of the chain.
    pub keyset: Option<u64>,
    /// The lists.
    pub lists: Vec<VerifiedList>,
    /// What is wrong with the folder as a whole.
    pub problems: Vec<String>,
}

impl FolderReport {
    /// Whether nothing is wrong; a stale list is not wrong.
    pub fn good(&self) -> bool {
        self.problems.is_empty() && self.lists.iter().all(|l| l.problems.is_empty())
    }

    /// Whether a list is stale.
    pub fn stale(&self) -> bool {
        self.lists.iter().any(|l| l.health == Health::Stale)
    }
}

/// Verifies the follower's folder `dir`, as of `now`.
///
/// # Errors
/// [`FollowError`] if there is no such folder, or if a follower is running on it.
pub fn verify_folder(dir: &Path, now: Timestamp) -> Result<FolderReport, FollowError> {
    if !dir.join("trust").is_dir() {
        return Err(FollowError::Options(format!("{} is no follower's folder; there is no trust/ in it", dir.display())));
    }
    let _held = FolderLock::take(dir)?;
    let trust = dir.join("trust");
    let mut problems = Vec::new();
    let fingerprint = keyring::pinned_in(&trust);
    let chain = match &fingerprint {
        None => Err("there is no pinned fingerprint in trust/pinned".to_owned()),
        Some(pinned) => keyring::chain_in(&trust, pinned).map_err(|e| format!("key sets: {e}")),
    };
    let chain = chain.unwrap_or_else(|reason| {
        problems.push(reason);
        Vec::new()
    });
    if chain.is_empty() && problems.is_empty() {
        problems.push("there is no key set of the pinned fingerprint".to_owned());
    }
    let outputs = status::status(dir, now).map(|s| s.lists).unwrap_or_default();
    let mut names: Vec<ListId> = fs::read_dir(dir.join("lists"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    names.sort_unstable();
    let mut lists = Vec::new();
    for id in names {
        let output = outputs.iter().find(|l| l.list == id).and_then(|l| l.output.clone());
        lists.push(verify_list(&dir.join("lists").join(id.as_str()), id, &chain, output.as_deref(), now));
    }
    let newest = chain.last();
    Ok(FolderReport { origin: newest.map(|t| t.origin().clone()), fingerprint, keyset: newest.map(|t| t.keyset().number), lists, problems })
}

fn verify_list(dir: &Path, id: ListId, chain: &[Trusted], output: Option<&Path>, now: Timestamp) -> VerifiedList {
    let mut report =
        VerifiedList { list: id, serial: None, entries: None, root: None, index: None, health: Health::Empty, problems: Vec::new() };
    if let Err(error) = examine(dir, chain, output, now, &mut report) {
        report.problems.push(error);
    }
    report
}

fn examine(dir: &Path, chain: &[Trusted], output: Option<&Path>, now: Timestamp, report: &mut VerifiedList) -> Result<(), String> {
    let (state, found) = ListState::examine(dir, &report.list, Arc::new(RealDisk)).map_err(|e| e.to_string())?;
    report.problems.extend(found.mended);
    report.problems.extend(found.damage);
    let Some(mut view) = state.view() else { return Ok(()) };
    report.serial = Some(view.serial.get());
    let accepted = state.accepted().ok_or("there is content but no accepted head")?;
    report.health = if now < accepted.accepted.head.expires { Health::Fresh } else { Health::Stale };
    verify_note(&accepted.note, &report.list, chain)?;
    // The content must be that of a signed head, though not always of the newest: content may be on its way.
    let head = state.head_of_content().ok_or("no signed head of the content's version is there")?;
    verify_note(&head.1, &report.list, chain)?;
    let found = recompute(&view.content, &mut view.clone_for_reading())?;
    report.root = Some(found.0);
    report.entries = Some(found.1);
    if (found.0, found.1) != (head.0.root.digest, head.0.entries) {
        report.problems.push(format!("the content's root is {}, signed was {}", found.0, head.0.root.digest));
    }
    if let Some(path) = output {
        compare_output(&mut view, path)?;
    }
    // dir is FOLDER/lists/LIST.
    if let Some(followed) = dir.ancestors().nth(2) {
        report.index = super::index::verify_index(followed, &report.list, &state, &mut view.clone_for_reading())?.map(Serial::get);
    }
    Ok(())
}

/// A signature by a key of any key set of the chain, at the time it was made: keys expire, and what they signed stays genuine.
fn verify_note(note: &str, list: &ListId, chain: &[Trusted]) -> Result<(), String> {
    let issued = super::state::head_of(note)?.issued;
    let mut refusal = "there is no key set to verify a head with".to_owned();
    for trusted in chain.iter().rev() {
        match trusted.verify_head(note.as_bytes(), list, None, None, issued) {
            Ok(_) => return Ok(()),
            Err(error) => refusal = error.to_string(),
        }
    }
    Err(refusal)
}

/// Root and number of entries by both ways, which must agree.
fn recompute(content: &Content, view: &mut View) -> Result<(Digest, u64), String> {
    let by_buckets = content.recompute().map_err(|e| format!("bucket file: {e}"))?;
    let mut tree = TreeBuilder::new(content.tree().bits());
    let mut entries = 0;
    view.lines(&mut |line| {
        tree.push(line);
        entries += 1;
        Ok(())
    })
    .map_err(|e| format!("snapshot: {e}"))?;
    let (_, by_lines) = tree.finish();
    if by_buckets == by_lines { Ok((by_lines.digest, entries)) } else { Err("bucket file and snapshot have different content".to_owned()) }
}

fn compare_output(view: &mut View, path: &Path) -> Result<(), String> {
    let told = |reason: &str| format!("output {}: {reason}", path.display());
    if !output::is_current(view, path) {
        return Err(told("it is missing or of another version"));
    }
    let file = File::open(path).map_err(|e| told(&e.to_string()))?;
    let mut lines = BufReader::new(file).lines().skip_while(|l| l.as_ref().is_ok_and(|l| l.starts_with('#')));
    let mut same = true;
    view.lines(&mut |line| {
        same &= matches!(lines.next(), Some(Ok(found)) if found == line);
        Ok(())
    })
    .map_err(|e| e.to_string())?;
    if same && lines.next().is_none() { Ok(()) } else { Err(told("its lines are not the list's")) }
}
