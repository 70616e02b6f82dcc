//! Publication: guards → serial → artefacts → head → journal (the commit point) → catalog → announce.

use std::sync::Arc;

use crate::list::{Change, ChangeSet, Digest, Entry, ListId, Rule, Serial};
use crate::store::{ArtefactKind, BaseRef, By, Content, DeltaRecord, DeltaRef, PublishedList, Record, VersionRecord};
use crate::wire::{Act, Delta, DeltaHeader, Head, SnapshotHeader, bits_for, compress, keep_bits};

use super::approval::forces_approvals;
use super::base::{Haste, list_lines, write_base};
use super::guards::{Screen, Tally, check_asked, frozen, too_much};
use super::line_writer::{LineWriter, Tap};
use super::lines::{Lines, SmallChanges, apply};
use super::loose::Loose;
use super::pack::level_for;
use super::sign::snapshot_ref;
use super::state::State;
use super::{PublishError, PublishReport, PublishRequest, Publisher, Records, Refusal, Signed, StagedView};

/// Refusals that are listed; the rest is counted.
pub(super) const LISTED: usize = 100;
/// Deltas kept at most: each publication copies their list.
pub(super) const MAX_DELTAS: usize = 10_000;
/// Deltas of so many octets together are kept even if the snapshot is smaller: it costs little and saves small lists
/// from having hardly any.
pub(super) const DELTAS_FREE: u64 = 64 << 10;

/// What a version is made of, all of it durable, nothing of it named yet.
struct Made {
    content: Content,
    base: BaseRef,
    delta: Option<DeltaRecord>,
    /// Artefact of the entries that it removes or replaces, where a stream was written.
    old: Option<Digest>,
}

/// Where a version stands in its list's history.
pub(super) struct Place {
    pub(super) serial: Serial,
    /// Version digest of the one before.
    previous: Option<Digest>,
    /// The newest version, if a delta leads from it.
    from: Option<Serial>,
}

impl Publisher {
    /// Publishes what is staged.
    ///
    /// A first version may be empty; later on nothing is published when nothing is staged.
    ///
    /// # Errors
    /// [`PublishError::Refused`] by a guard; everything is then as it was, as it is after every other error.
    pub fn publish(&self, id: &ListId, request: &PublishRequest, by: impl Into<By>) -> Result<PublishReport, PublishError> {
        self.publish_with(id, request, &|_, _| Ok(Vec::new()), by)
    }

    /// As [`Publisher::publish`], with records of the caller in the frame of the version.
    ///
    /// # Errors
    /// As there, and those of `records`.
    pub fn publish_with(
        &self,
        id: &ListId,
        request: &PublishRequest,
        records: Records<'_>,
        by: impl Into<By>,
    ) -> Result<PublishReport, PublishError> {
        check_asked(&request.reason, &request.force)?;
        let (slot, by) = (self.slot(id)?, by.into());
        let mut state = slot.lock();
        state.in_service()?;
        by.expects(|| self.staged_tag(&state))?;
        let nothing = state.staged.as_ref().is_none_or(|s| s.tally.total() == 0);
        if nothing && state.published.is_some() {
            return Ok(PublishReport { version: None, changes: self.view_staged(&state, 0)? });
        }
        let (mut changes, forced) = self.checked(&mut state, &request.force, if request.dry_run { LISTED } else { 0 }, false)?;
        if request.dry_run {
            return Ok(PublishReport { version: None, changes });
        }
        for refusals in [&mut changes.refused, &mut changes.guards] {
            if !refusals.is_empty() {
                return Err(PublishError::Refused(std::mem::take(refusals)));
            }
        }
        let by = self.with_notices(by, id, &changes.notices);
        let version = self.publish_staged(&mut state, request, forced, records, &by)?;
        Ok(PublishReport { version: Some(version), changes })
    }

    /// What is staged and the guards that stand against it, and the names of those that `force` overrides. With `cleared`
    /// nobody asks for approvals.
    pub(super) fn checked(
        &self,
        state: &mut State,
        force: &[String],
        lines: usize,
        cleared: bool,
    ) -> Result<(StagedView, Vec<String>), PublishError> {
        let mut changes = self.view_staged(state, lines)?;
        if let Some(staged) = &mut state.staged {
            staged.screened |= changes.refused.is_empty();
        }
        changes.notices = self.notices(state)?;
        changes.guards.extend(frozen(&state.demands.policy));
        if !cleared {
            changes.guards.extend(self.unapproved(state)?);
        }
        let forced = |guard: &Refusal| force.iter().any(|name| guard.place == format!("guard:{name}"));
        let (overridden, standing): (Vec<Refusal>, Vec<Refusal>) = changes.guards.drain(..).partition(forced);
        changes.guards = standing;
        let overridden = overridden.iter().map(|guard| guard.place.trim_start_matches("guard:").to_owned());
        Ok((changes, overridden.collect()))
    }

    pub(super) fn publish_staged(
        &self,
        state: &mut State,
        request: &PublishRequest,
        forced: Vec<String>,
        records: Records<'_>,
        by: &By,
    ) -> Result<VersionRecord, PublishError> {
        let place = place(state)?;
        let tally = state.staged.as_ref().map_or(Tally::default(), |s| s.tally);
        // Crash from here to the commit: artefacts that no record names; the next sweep removes them.
        let loose = Loose::new(self.store.artefacts());
        let made = self.make(state, &place, tally, &loose)?;
        let head = Head {
            origin: self.options.origin.clone(),
            list: state.meta.id.clone(),
            colour: state.meta.colour,
            serial: place.serial,
            previous: place.previous,
            root: made.content.root(),
            entries: made.content.entries(),
            snapshot: snapshot_ref(&made.base),
            // These are set when it is signed.
            audit: None,
            keyset: 0,
            issued: self.clock.now(),
            expires: self.clock.now(),
        };
        let (note, head) = self.sign_head(head, None)?;
        let version = VersionRecord {
            serial: place.serial,
            at: head.issued,
            by: by.who.clone(),
            reason: request.reason.clone(),
            forced,
            entries: head.entries,
            added: tally.added,
            removed: tally.removed,
            replaced: tally.replaced,
            version: head.version_digest(),
            delta: made.delta.clone(),
        };
        // Crash before the frame is durable: the version does not exist, what is staged stays staged.
        let list = state.meta.id.clone();
        let act = by.act(version.at, "list.publish", format!("list:{list} serial:{}", version.serial));
        let reason = if request.reason.is_empty() { act.reason.clone() } else { request.reason.clone() };
        let act = Act { before: place.previous, after: Some(version.version), reason, ..act };
        let each = |out: &mut dyn FnMut(&str)| self.each_staged(state, out);
        let mut by = by.clone().with(records(version.serial, &each)?).with(self.undo_record(state, &version, made.old)?);
        if forces_approvals(&version.forced) {
            let waits = self.unreviewed_record(state, &version, &by.hands)?;
            by = by.with([waits]);
        }
        let record = Record::Published { list, version: version.clone(), head: note.to_string(), base: made.base.clone() };
        loose.committed(by.commit(&self.store, record, act))?;
        // Crash after: the version exists. The start reads the record, rebuilds this value from base and deltas, and
        // subscribers get the head when they ask.
        self.enter(state, &place, made, note, head, &version);
        Ok(version)
    }

    /// Makes a committed version the one that is served, and says so.
    fn enter(&self, state: &mut State, place: &Place, made: Made, note: Arc<str>, head: Arc<Head>, version: &VersionRecord) {
        let before = state.published.take();
        let mut deltas = Vec::new();
        match (&before, &made.delta, place.from) {
            (Some(before), Some(delta), Some(from)) => {
                deltas.reserve_exact(before.deltas.len() + 1);
                deltas.extend_from_slice(&before.deltas);
                deltas.push(DeltaRef { from, digest: delta.digest, size: delta.size, zst: delta.zst });
                state.delta_times.push_back(version.at);
            }
            _ => state.delta_times.clear(),
        }
        let bases = match &before {
            Some(before) if before.bases.last() == Some(&made.base) => before.bases.clone(),
            before => Arc::new(before.iter().filter_map(|b| b.bases.last().cloned()).chain([made.base]).collect()),
        };
        let published = Arc::new(PublishedList {
            meta: state.meta.clone(),
            note,
            updated: version.at,
            deltas: Arc::new(deltas),
            bases,
            content: made.content,
            head,
        });
        state.last = Some((version.serial, version.version));
        state.staged = None;
        state.published = Some(published.clone());
        self.catalog.set(published);
        tracing::info!(list = %state.meta.id, serial = %version.serial, entries = version.entries, "published");
        self.metrics.signed(&state.meta.id, Signed::Version);
        (self.announce)(&state.meta.id);
    }

    /// By delta alone where that is right, else with a new base.
    fn make(&self, state: &State, place: &Place, tally: Tally, loose: &Loose<'_>) -> Result<Made, PublishError> {
        if let (Some(published), Some(from), Some(staged)) = (&state.published, place.from, &state.staged)
            && let Some(small) = &staged.small
        {
            let base = published.bases.last().expect("a published list has a base");
            let few = staged.tally.total() <= (base.entries / 4).max(1_000);
            if few && leads_on(published, base, small) && keep_bits(base.bits, tally.after(published.content.entries())) {
                return self.make_by_delta(state, (published, small), from, place.serial, loose);
            }
        }
        self.make_by_base(state, place, tally, loose)
    }

    /// Cost follows the change: reads, hashes and copies only the buckets it touches.
    fn make_by_delta(
        &self,
        state: &State,
        (published, small): (&PublishedList, &SmallChanges),
        from: Serial,
        to: Serial,
        loose: &Loose<'_>,
    ) -> Result<Made, PublishError> {
        let changes = change_set(small);
        let content = published.content.apply(&changes)?;
        let bytes = Delta { header: self.delta_header(state, from, to), changes }.encode();
        let digest = Digest::of(&bytes);
        let stored = compress(&bytes, level_for(bytes.len()));
        self.store.artefacts().put(ArtefactKind::Delta, &digest, &stored)?;
        loose.add(ArtefactKind::Delta, digest);
        let delta = DeltaRecord { digest, size: bytes.len() as u64, zst: stored.len() as u64 };
        let base = published.bases.last().expect("a published list has a base").clone();
        Ok(Made { content, base, delta: Some(delta), old: None })
    }

    /// Streams the whole list into a new base; memory does not depend on its size.
    fn make_by_base(&self, state: &State, place: &Place, tally: Tally, loose: &Loose<'_>) -> Result<Made, PublishError> {
        let artefacts = self.store.artefacts();
        let entries = tally.after(state.entries());
        let bits = match &state.published {
            Some(published) if keep_bits(published.content.tree().bits(), entries) => published.content.tree().bits(),
            _ => bits_for(entries),
        };
        let header = SnapshotHeader {
            origin: self.options.origin.clone(),
            list: state.meta.id.clone(),
            colour: state.meta.colour,
            serial: place.serial,
            entries,
        };
        let (base, root, (delta, old)) = write_base(artefacts, loose, &header, bits, Haste::Now, |sender| {
            let empty = Content::empty();
            let (base, content) = match &state.published {
                Some(published) => (published.bases.last(), &published.content),
                None => (None, &empty),
            };
            let list = list_lines(artefacts, base, content)?;
            let Some(staged) = &state.staged else {
                apply(list, super::lines::NoLines, |line| sender.push([line, ""]), |_| Ok(()))?;
                return Ok((None, None));
            };
            let mut delta =
                place.from.map(|from| LineWriter::of_delta(artefacts, &self.delta_header(state, from, place.serial), staged.tally.total()));
            let changes = Tap { lines: staged.lines(artefacts)?, seen: |line: &str| delta.as_mut().map_or(Ok(()), |d| d.push("", line)) };
            let mut old = (staged.tally.removed + staged.tally.replaced > 0).then(|| LineWriter::of_changes(artefacts));
            apply(list, changes, |line| sender.push([line, ""]), |line| old.as_mut().map_or(Ok(()), |old| old.push("+", line)))?;
            let finished = |writer: Option<LineWriter<'_>>, kind| {
                let written = writer.map(LineWriter::finish).transpose()?;
                written.iter().for_each(|written| loose.add(kind, written.digest));
                Ok::<_, PublishError>(written)
            };
            Ok((finished(delta, ArtefactKind::Delta)?, finished(old, ArtefactKind::Changes)?))
        })?;
        let content = Content::open(&artefacts.path(ArtefactKind::Buckets, &base.buckets))?;
        if content.root() != root {
            return Err(PublishError::System("the bucket file that was just written reads otherwise; check the disk".into()));
        }
        // A delta that is larger than the snapshot serves nobody, and followers refuse to unpack it.
        let delta = delta.filter(|d| d.size <= base.snapshot_size.max(DELTAS_FREE));
        Ok(Made { content, base, delta, old: old.map(|old| old.digest) })
    }

    fn delta_header(&self, state: &State, from: Serial, to: Serial) -> DeltaHeader {
        DeltaHeader { origin: self.options.origin.clone(), list: state.meta.id.clone(), colour: state.meta.colour, from, to }
    }

    /// Hands out the change lines that are staged.
    fn each_staged(&self, state: &State, out: &mut dyn FnMut(&str)) -> Result<(), PublishError> {
        let Some(staged) = &state.staged else { return Ok(()) };
        let mut lines = staged.lines(self.store.artefacts())?;
        while let Some(line) = lines.next_line()? {
            out(line);
        }
        Ok(())
    }

    /// Looks at every staged change, unless that was done; the first refusals and how many there are.
    pub(super) fn screen(&self, state: &State) -> Result<(Vec<Refusal>, u64), PublishError> {
        let (mut refused, mut total) = (Vec::new(), 0);
        let Some(staged) = state.staged.as_ref().filter(|s| !s.screened) else { return Ok((refused, total)) };
        let mut screen = Screen::new(&state.meta, &self.options, &state.demands);
        let mut lines = staged.lines(self.store.artefacts())?;
        while let Some(line) = lines.next_line()? {
            if !line.starts_with('-')
                && let Some(refusal) = screen.refuses(&line[1..])
            {
                total += 1;
                if refused.len() < LISTED {
                    refused.push(refusal);
                }
            }
        }
        Ok((refused, total))
    }

    /// Guards that the staged changes would trip: those that look at the numbers.
    pub(super) fn guards(&self, state: &State, tally: Tally) -> Vec<Refusal> {
        too_much(tally, state.entries(), &self.options, &state.demands.policy)
    }
}

pub(super) fn place(state: &State) -> Result<Place, PublishError> {
    let above = state.last.map(|(serial, _)| serial).max(state.floor);
    let serial = match above {
        Some(serial) => serial.next().ok_or_else(|| PublishError::System("no serial is left".into()))?,
        None => Serial::FIRST,
    };
    // After a restore the version before may be unknown here. The chain then names the last one that is known: whoever
    // holds the lost one sees that it is another, which is the truth.
    let previous = (serial != Serial::FIRST).then(|| state.last.map_or(Digest([0; 32]), |(_, digest)| digest));
    let newest = state.published.as_ref().map(|p| p.head.serial);
    let from = newest.filter(|newest| newest.next() == Some(serial));
    Ok(Place { serial, previous, from })
}

/// Whether a follower still unpacks the delta from the base to the version with these changes: composed it has at most what its
/// steps have together. With more, who comes new would have no way from the snapshot to the newest version.
fn leads_on(published: &PublishedList, base: &BaseRef, small: &SmallChanges) -> bool {
    /// A delta's header at most, in octets.
    const HEADER: u64 = 512;
    let since = published.deltas.iter().rev().take_while(|delta| delta.from >= base.serial);
    let changes = small.values().map(|line| line.len() as u64 + 1);
    since.map(|delta| delta.size).chain(changes).sum::<u64>() + HEADER <= base.snapshot_size.max(DELTAS_FREE)
}

/// Change lines as a set.
pub(super) fn change_set(changes: &SmallChanges) -> ChangeSet {
    let mut set = ChangeSet::default();
    for line in changes.values() {
        let change = match line.split_at(1) {
            ("+", entry) => Change::Add(Entry::trusted(entry)),
            ("~", entry) => Change::Replace(Entry::trusted(entry)),
            (_, rule) => Change::Remove(Rule::trusted(rule)),
        };
        set.push(change).expect("a map holds each rule once");
    }
    set
}
