//! Checking a data folder against everything it promises.
//!
//! Guarantees: it changes nothing; every problem says what to do. What needs the list's content (is the signed root that
//! of the content?) or keys (is the signature right?) is checked by those who have them.

use std::collections::{BTreeMap, HashMap};

use crate::list::{Digest, ListId, Serial};
use crate::wire::{AuditChain, AuditTip, Head, MAX_HEAD, Note};

use super::{
    ArtefactName, Artefacts, BaseRef, Frame, FrameId, Owner, Record, Store, StoreError,
    index::{Index, MemoryIndex},
    open::Replay,
    state,
};

/// What a check found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Checked {
    /// Things verified, in words with numbers.
    pub verified: Vec<String>,
    /// Things wrong, each with what to do.
    pub problems: Vec<String>,
}

impl Store {
    /// Checks journal, index, heads and artefacts against each other. Commits wait while the journal is read; artefacts are
    /// read without holding anybody up.
    ///
    /// # Errors
    /// [`StoreError::Io`] of reading; what is wrong with the content is no error but a problem in the report.
    pub fn check(&self) -> Result<Checked, StoreError> {
        let mut found = Checked::default();
        let _alone = self.maintenance.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (named, bound) = {
            let writer = self.writer();
            let model = MemoryIndex::default();
            let mut replay = Replay::onto(&model)?;
            let mut heads = HeadChain::default();
            let mut frames = 0u64;
            let read = writer.journal.read(&mut |frame| {
                frames += 1;
                heads.frame(&frame);
                replay.frame(frame)
            });
            match read.and_then(|()| replay.finish()) {
                Ok(_) => {
                    found
                        .verified
                        .push(format!("the journal: {}, each whole and following the one before", counted(frames, "frame", "frames")));
                    match self.read_held(&writer, |index| compare(index, &model))? {
                        Ok(verified) => found.verified.push(verified),
                        Err(problem) => found.problems.push(problem),
                    }
                }
                Err(error @ StoreError::Io { .. }) => return Err(error),
                Err(error) => found.problems.push(error.to_string()),
            }
            let (seen, lists) = (counted(heads.seen, "head", "heads"), counted(heads.last.len() as u64, "list", "lists"));
            found.verified.push(format!("{seen} of {lists}, each naming the one before"));
            found.problems.append(&mut heads.problems);
            (self.read_held(&writer, state::named)?, heads.bound)
        };
        self.check_acts(bound, &mut found);
        if let Some(reason) = self.degraded() {
            found.problems.push(format!("the index on the disk has failed ({reason}) and is replaced in memory; restart to make it anew"));
        }
        check_artefacts(&self.artefacts, &named.into_iter().collect(), &mut found);
        Ok(found)
    }
}

impl Store {
    /// The audit chain from its first line to its last, and whether it still has the lines that heads are bound to.
    fn check_acts(&self, mut bound: Vec<AuditTip>, found: &mut Checked) {
        bound.sort_unstable_by_key(|tip| tip.number);
        bound.dedup();
        let (mut chain, mut at, mut lost) = (AuditChain::default(), 0, None);
        let read = self.each_act(1, &mut |line| {
            chain.take(line).map_err(|reason| StoreError::Refused { reason })?;
            let Some(tip) = chain.tip() else { return Ok(()) };
            while let Some(wanted) = bound.get(at).filter(|wanted| wanted.number <= tip.number) {
                if *wanted != tip {
                    lost.get_or_insert(*wanted);
                }
                at += 1;
            }
            Ok(())
        });
        let lines = chain.tip().map_or(0, |tip| tip.number);
        if let Err(error) = read {
            found.problems.push(format!("the audit chain, behind line {lines}: {error}; restore it from a backup"));
        } else if let Some(lost) = lost.or_else(|| bound.get(at).copied()) {
            found.problems.push(format!(
                "a head is bound to line {lost} of the audit chain, which is not there: the chain was rewritten; restore it"
            ));
        } else {
            let heads = counted(bound.len() as u64, "line", "lines");
            found.verified.push(format!("the audit chain: {}, {heads} of them bound into heads", counted(lines, "line", "lines")));
        }
    }
}

/// A number with its noun: 1 list, 2 lists.
pub fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// The index must be what the journal amounts to, pair by pair: what was verified, or what is wrong.
fn compare(index: &dyn Index, model: &dyn Index) -> Result<Result<String, String>, StoreError> {
    let mut pairs = 0u64;
    let mut after = Vec::new();
    loop {
        let (mine, theirs) = (index.scan(b"", &after, 256)?, model.scan(b"", &after, 256)?);
        if mine != theirs {
            return Ok(Err("the index is not what the journal says; stop bwld, remove the folder index, and start again".into()));
        }
        pairs += theirs.len() as u64;
        match theirs.last() {
            Some((key, _)) => after.clone_from(key),
            None => return Ok(Ok(format!("the index: {}, all as the journal says", counted(pairs, "pair", "pairs")))),
        }
    }
}

fn check_artefacts(artefacts: &Artefacts, named: &HashMap<ArtefactName, Owner>, found: &mut Checked) {
    let mut whole = 0u64;
    let mut octets = 0;
    for ((kind, digest), owner) in named {
        match artefacts.verify(*kind, digest) {
            Ok(size) => {
                whole += 1;
                octets += size;
            }
            Err(error) => found.problems.push(format!("{owner}: {error}")),
        }
    }
    found
        .verified
        .push(format!("artefacts: {whole} of {} that are needed, {octets} octets, each with the content its name says", named.len()));
}

/// Follows the heads of all lists through the journal.
#[derive(Default)]
pub(super) struct HeadChain {
    /// Serial and version digest of each list's newest version so far.
    last: BTreeMap<ListId, (Serial, Digest)>,
    /// Lines of the audit chain that heads are bound to.
    pub bound: Vec<AuditTip>,
    /// Heads seen.
    pub seen: u64,
    /// What is wrong.
    pub problems: Vec<String>,
}

impl HeadChain {
    /// Looks at the next frame; what cannot be read is somebody else's to report.
    pub fn frame(&mut self, frame: &Frame<'_>) {
        if let Ok(record) = Record::decode(frame.content) {
            self.record(frame.id, record);
        }
    }

    fn record(&mut self, frame: FrameId, record: Record) {
        match record {
            Record::All { records } => records.into_iter().for_each(|record| self.record(frame, record)),
            Record::Published { list, version, head, base } => {
                let before = self.last.insert(list.clone(), (version.serial, version.version));
                let wrong = self.head(&head, &base, &list, version.serial, version.version).and_then(|head| {
                    // Where the log begins above a floor, the version before is not known here.
                    let unknown = before.is_none() && version.serial != Serial::FIRST;
                    if !unknown && head.previous != before.map(|(_, digest)| digest) {
                        return Err("it does not name the version before it".into());
                    }
                    if head.entries != version.entries {
                        return Err(format!("it says {} entries, the log {}", head.entries, version.entries));
                    }
                    Ok(())
                });
                self.report(frame, &list, wrong);
            }
            Record::Head { list, head, base, .. } => {
                let wrong = match self.last.get(&list).copied() {
                    Some((serial, version)) => self.head(&head, &base, &list, serial, version).map(|_| ()),
                    None => Err("there is no version for it".into()),
                };
                self.report(frame, &list, wrong);
            }
            Record::ListState { state } => {
                if let Some(last) = state.last {
                    self.last.insert(state.meta.id.clone(), last);
                }
                if let (Some(newest), Some((serial, version))) = (&state.newest, state.last) {
                    let wrong = self.head(&newest.head, &newest.base, &state.meta.id, serial, version).map(|_| ());
                    self.report(frame, &state.meta.id, wrong);
                }
            }
            _ => {}
        }
    }

    fn head(&mut self, note: &str, base: &BaseRef, list: &ListId, serial: Serial, version: Digest) -> Result<Head, String> {
        self.seen += 1;
        let note = Note::parse(note.as_bytes(), MAX_HEAD).map_err(|e| e.to_string())?;
        let head = Head::parse(&note.text).map_err(|e| e.to_string())?;
        if head.list != *list || head.serial != serial {
            return Err(format!("it is of version {} of {}", head.serial, head.list));
        }
        self.bound.extend(head.audit);
        if head.version_digest() != version {
            return Err("it has another version digest than the log".into());
        }
        let named = (head.snapshot.serial, head.snapshot.digest, head.snapshot.size);
        if named != (base.serial, base.snapshot, base.snapshot_size) {
            return Err("it names another snapshot than the one that is kept".into());
        }
        Ok(head)
    }

    fn report(&mut self, frame: FrameId, list: &ListId, result: Result<(), String>) {
        if let Err(reason) = result {
            self.problems.push(format!("frame {frame}, head of {list}: {reason}; restore from a backup made before"));
        }
    }
}
