//! Work that nobody waits for: folding changes into a new base, dropping old deltas, removing files that nothing names.

use std::sync::{Arc, PoisonError};

use crate::list::ListId;
use crate::store::{ArtefactKind, BaseRef, Content, PublishedList, Record};
use crate::wire::SnapshotHeader;

use super::base::{Haste, list_lines, write_base};
use super::lines::{NoLines, apply};
use super::loose::Loose;
use super::publish::{DELTAS_FREE, MAX_DELTAS};
use super::state::{Slot, State, replay};
use super::{PublishError, Publisher, Signed};

/// What maintenance did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Maintenance {
    /// Lists with a new base.
    pub folded: Vec<ListId>,
    /// Deltas that are no longer kept.
    pub deltas_dropped: u64,
    /// Journal segments archived.
    pub segments_archived: u64,
    /// Files removed that nothing names.
    pub files_removed: u64,
    /// Files that are named but not there, in words: damage, run `check`.
    pub files_missing: Vec<String>,
}

impl Publisher {
    /// Does what is due. Call it now and then (every minute, say) from a thread that may take its time. Publications go
    /// on meanwhile.
    ///
    /// # Errors
    /// The first failure, when all lists have been seen to.
    pub fn maintain(&self) -> Result<Maintenance, PublishError> {
        // One at a time: two would fold the same list twice.
        let _only = self.maintaining.lock().unwrap_or_else(PoisonError::into_inner);
        let mut report = Maintenance::default();
        let mut failed = None;
        for slot in self.slots() {
            let done = self.fold_if_due(&slot).map(|folded| {
                if folded {
                    report.folded.push(slot.id.clone());
                }
            });
            let done = done.and_then(|()| self.drop_deltas(&slot)).map(|dropped| report.deltas_dropped += dropped);
            if let Err(e) = done {
                tracing::error!(list = %slot.id, error = %e, "maintenance failed");
                failed.get_or_insert(e);
            }
        }
        self.drop_undo()?;
        let kept = self.store.maintain()?;
        let swept = kept.swept;
        report.segments_archived = kept.archived;
        report.files_removed = swept.removed;
        report.files_missing = swept.missing.iter().map(|(kind, digest)| format!("{}.{}", digest.hex(), kind.ending())).collect();
        failed.map_or(Ok(report), Err)
    }

    /// Folds what changed since the base into a new one. The list is not locked while it is written.
    fn fold_if_due(&self, slot: &Slot) -> Result<bool, PublishError> {
        let published = {
            let state = slot.lock();
            match &state.published {
                Some(published) if fold_due(published) => published.clone(),
                _ => return Ok(false),
            }
        };
        let loose = Loose::new(self.store.artefacts());
        let base = self.fold(&published, &loose)?;
        let opened = Content::open(&self.store.artefacts().path(ArtefactKind::Buckets, &base.buckets))?;
        let mut state = slot.lock();
        // Versions that came meanwhile lie on top of the new base as they lay on the old one, unless they made a base of
        // their own.
        let Some(now) = state.published.clone().filter(|now| now.bases.last() == published.bases.last()) else { return Ok(false) };
        let since = now.deltas.iter().filter(|d| d.from >= base.serial);
        let content = replay(self.store.artefacts(), opened, since)?;
        if content.root() != now.content.root() {
            return Err(PublishError::OutOfService {
                list: slot.id.clone(),
                reason: "a new base was written and does not have the root of the head".into(),
            });
        }
        // Crash before the record: the old base stays in force, the new one is swept. After: the start opens the new one.
        loose.committed(self.sign_again(&mut state, Signed::Base, |next| {
            next.bases = Arc::new(next.bases.last().cloned().into_iter().chain([base]).collect());
            next.content = content;
        }))?;
        tracing::info!(list = %slot.id, "folded into a new base");
        Ok(true)
    }

    /// Writes the base of a version. k stays: the head states it.
    fn fold(&self, published: &PublishedList, loose: &Loose<'_>) -> Result<BaseRef, PublishError> {
        let artefacts = self.store.artefacts();
        let head = &published.head;
        let header = SnapshotHeader {
            origin: head.origin.clone(),
            list: head.list.clone(),
            colour: head.colour,
            serial: head.serial,
            entries: head.entries,
        };
        let (base, root, ()) = write_base(artefacts, loose, &header, head.root.bits, Haste::Later, |sender| {
            let lines = list_lines(artefacts, published.bases.last(), &published.content)?;
            apply(lines, NoLines, |line| sender.push([line, ""]), |_| Ok(()))?;
            Ok(())
        })?;
        if root != head.root {
            return Err(PublishError::OutOfService {
                list: head.list.clone(),
                reason: "its lines do not have the root of its head".into(),
            });
        }
        Ok(base)
    }

    /// Drops deltas that are too old, or that together outweigh the snapshot; never one that leads on from the base.
    fn drop_deltas(&self, slot: &Slot) -> Result<u64, PublishError> {
        let mut state = slot.lock();
        let keep_from = self.keep_from(&state);
        let Some(published) = state.published.clone() else { return Ok(0) };
        if keep_from == 0 {
            return Ok(0);
        }
        let deltas = published.deltas[keep_from..].to_vec();
        let before = deltas.first().map_or(published.head.serial, |d| d.from);
        // Crash before: they are kept a while longer. After: the next sweep removes the files.
        self.store.commit(&Record::DeltasDropped { list: slot.id.clone(), before, at: self.clock.now() })?;
        state.delta_times.drain(..keep_from);
        let next = Arc::new(PublishedList { deltas: Arc::new(deltas), ..PublishedList::clone(&published) });
        state.published = Some(next.clone());
        self.catalog.set(next);
        Ok(keep_from as u64)
    }

    /// Index of the first delta to keep.
    fn keep_from(&self, state: &State) -> usize {
        let Some(published) = &state.published else { return 0 };
        let base = published.bases.last().expect("a published list has a base");
        let deltas = &published.deltas;
        let needed = deltas.iter().position(|d| d.from >= base.serial).unwrap_or(deltas.len());
        let now = self.clock.now();
        let old = state.delta_times.iter().position(|at| now.since(*at) <= self.options.keep_deltas).unwrap_or(deltas.len());
        let mut octets = 0;
        let mut light = deltas.len();
        while light > 0 {
            octets += deltas[light - 1].zst;
            if octets > base.snapshot_zst.max(DELTAS_FREE) || deltas.len() - light >= MAX_DELTAS {
                break;
            }
            light -= 1;
        }
        old.max(light).min(needed)
    }
}

/// Whether the changes since the base should become part of a new one: when they are many (each start replays them, each
/// subscriber without a state fetches them), or when their deltas weigh more than the snapshot.
fn fold_due(published: &PublishedList) -> bool {
    let base = published.bases.last().expect("a published list has a base");
    let overlay = published.content.overlay_len() as u64;
    let since = published.deltas.iter().rev().take_while(|d| d.from >= base.serial);
    let (mut count, mut octets) = (0, 0);
    for delta in since {
        count += 1;
        octets += delta.zst;
    }
    overlay > (base.entries / 4).max(1_000) || octets > base.snapshot_zst.max(DELTAS_FREE) || count >= MAX_DELTAS / 2
}
