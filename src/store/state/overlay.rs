//! How each record changes the index: changes are gathered on top of it and written at once.

use crate::list::{Digest, ListId};
use crate::wire::{AuditLine, AuditTip};

use super::{
    super::{
        BaseRef, FrameId, ListMeta, ListState, Record, SealedActs, StoreError, VersionRecord,
        index::{Changes, Index},
        records::Newest,
    },
    MARK, decode,
    documents::{ACTS, act_key, act_tip, document_key, sealed_key, tip_of},
    encode, keyset_key, list_key, mark, refused, version_key,
};

/// Changes on top of an index, not yet applied.
pub(in crate::store) struct Overlay<'a> {
    index: &'a dyn Index,
    changes: Changes,
}

impl<'a> Overlay<'a> {
    /// Without any change.
    pub fn on(index: &'a dyn Index) -> Self {
        Overlay { index, changes: Changes::new() }
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.changes.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.index.get(key),
        }
    }

    /// The newest line of the audit chain. Sealing always leaves one line, so that it is not looked for in artefacts.
    fn act_tip(&self) -> Result<Option<AuditTip>, StoreError> {
        let mut here = self.changes.range(ACTS.to_vec()..).take_while(|(key, _)| key.starts_with(ACTS));
        let here = here.find_map(|(_, value)| value.as_ref()).map(|line| tip_of(line)).transpose()?;
        // Both are asked: a checkpoint restates the newest lines first, so they may be written while older ones are still here.
        Ok(here.into_iter().chain(act_tip(self.index)?).max_by_key(|tip| tip.number))
    }

    /// Takes the lines that lie in an artefact out. Restated by a checkpoint, there are none to take out.
    fn seal(&mut self, sealed: &SealedActs) -> Result<(), StoreError> {
        if sealed.first > sealed.last.number {
            return Err(refused("sealed lines of the audit chain end before they begin"));
        }
        for number in sealed.first..=sealed.last.number {
            if self.get(&act_key(number))?.is_some() {
                self.changes.insert(act_key(number), None);
            }
        }
        self.put(sealed_key(sealed.first), encode(sealed));
        Ok(())
    }

    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.changes.insert(key, Some(value));
    }

    pub(super) fn list(&self, id: &ListId) -> Result<Option<ListState>, StoreError> {
        self.get(&list_key(id))?.map(|bytes| decode(&bytes)).transpose()
    }

    /// The state of a list that must be there and be offered.
    fn offered(&self, id: &ListId) -> Result<ListState, StoreError> {
        match self.list(id)? {
            Some(state) if !state.removed => Ok(state),
            Some(_) => Err(refused(format!("the list {id} is removed"))),
            None => Err(refused(format!("there is no list {id}"))),
        }
    }

    fn set(&mut self, state: &ListState) {
        self.put(list_key(&state.meta.id), encode(state));
    }

    /// The changes, with the mark moved to this frame.
    pub fn finish(mut self, frame: FrameId, hash: Digest) -> Result<Changes, StoreError> {
        let mut mark = mark(self.index)?;
        for (key, value) in &self.changes {
            if let Some(old) = self.index.get(key)? {
                mark.subtract(key, &old);
            }
            if let Some(new) = value {
                mark.add(key, new);
            }
        }
        mark.frame = frame;
        mark.hash = hash.0;
        self.changes.insert(MARK.to_vec(), Some(mark.encode()));
        Ok(self.changes)
    }

    /// Applies a record.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if it does not fit; then nothing is changed.
    pub fn apply(&mut self, record: &Record) -> Result<(), StoreError> {
        match record {
            Record::KeySet { number, note, .. } => self.keyset(*number, note),
            Record::List { meta, .. } => self.describe(meta),
            Record::ListRemoved { list, .. } => {
                let mut state = self.offered(list)?;
                // Its deltas go, its log stays: should it come back, those of before the removal are not looked for.
                let deltas_from = state.last.map(|(serial, _)| serial);
                state = ListState { removed: true, newest: None, previous_base: None, staged: None, deltas_from, ..state };
                self.set(&state);
                Ok(())
            }
            Record::Staged { list, changes, count, .. } => {
                let mut state = self.offered(list)?;
                state.staged = changes.map(|digest| (digest, *count));
                self.set(&state);
                Ok(())
            }
            Record::Published { list, version, head, base } => self.publish(list, version, head, base),
            Record::Head { list, head, base, .. } => {
                let mut state = self.offered(list)?;
                let newest = state.newest.take().ok_or_else(|| refused(format!("the list {list} has no version to sign again")))?;
                rebase(&mut state, Some(&newest.base), base);
                state.newest = Some(Newest { head: head.clone(), base: base.clone(), ..newest });
                self.set(&state);
                Ok(())
            }
            Record::DeltasDropped { list, before, .. } => {
                let mut state = self.offered(list)?;
                state.deltas_from = state.deltas_from.max(Some(*before));
                self.set(&state);
                Ok(())
            }
            Record::SerialFloor { list, serial, .. } => {
                let mut state = self.list(list)?.ok_or_else(|| refused(format!("there is no list {list}")))?;
                state.floor = state.floor.max(Some(*serial));
                self.set(&state);
                Ok(())
            }
            Record::All { records } => records.iter().try_for_each(|record| self.apply(record)),
            Record::Act { act } => {
                let line = AuditLine::after(self.act_tip()?, act.clone());
                self.put(act_key(line.number), line.encode().into_bytes());
                Ok(())
            }
            Record::Audited { line } => {
                self.put(act_key(line.number), line.encode().into_bytes());
                Ok(())
            }
            Record::AuditSealed { sealed } => self.seal(sealed),
            Record::Document { table, key, value } => {
                let key = document_key(table, key)
                    .ok_or_else(|| refused("a table's name or a document's key is empty, too long or holds NUL"))?;
                self.changes.insert(key, value.as_ref().map(encode));
                Ok(())
            }
            Record::ListState { state } => {
                self.set(state);
                Ok(())
            }
            Record::Version { list, version } => {
                self.put(version_key(list, version.serial), encode(version));
                Ok(())
            }
        }
    }

    fn keyset(&mut self, number: u64, note: &str) -> Result<(), StoreError> {
        let key = keyset_key(number);
        // Restating the same one is what a checkpoint does; another one under the same number must never be.
        match self.get(&key)? {
            Some(there) if there == note.as_bytes() => Ok(()),
            Some(_) => Err(refused(format!("there is another key set {number} already"))),
            None => {
                self.put(key, note.as_bytes().to_vec());
                Ok(())
            }
        }
    }

    fn describe(&mut self, meta: &ListMeta) -> Result<(), StoreError> {
        let state = match self.list(&meta.id)? {
            Some(state) if state.meta.colour != meta.colour => {
                return Err(refused(format!("the list {} is {} for ever; use another name", meta.id, state.meta.colour)));
            }
            Some(state) => ListState { meta: meta.clone(), removed: false, ..state },
            None => ListState {
                meta: meta.clone(),
                removed: false,
                newest: None,
                previous_base: None,
                staged: None,
                floor: None,
                deltas_from: None,
                last: None,
            },
        };
        self.set(&state);
        Ok(())
    }

    fn publish(&mut self, list: &ListId, version: &VersionRecord, head: &str, base: &BaseRef) -> Result<(), StoreError> {
        let mut state = self.offered(list)?;
        if state.next_serial() != Some(version.serial) {
            let next = state.next_serial().map_or("none".into(), |s| s.to_string());
            return Err(refused(format!("the next serial of {list} is {next}, not {}", version.serial)));
        }
        if base.serial > version.serial {
            return Err(refused(format!("version {} of {list} names a base of a later version, {}", version.serial, base.serial)));
        }
        let before = state.newest.take();
        rebase(&mut state, before.as_ref().map(|n| &n.base), base);
        state.newest = Some(Newest { version: version.clone(), head: head.into(), base: base.clone() });
        state.staged = None;
        state.last = Some((version.serial, version.version));
        self.set(&state);
        self.put(version_key(list, version.serial), encode(version));
        Ok(())
    }
}

/// Keeps the base that is being replaced for one more round: someone may be fetching it.
fn rebase(state: &mut ListState, before: Option<&BaseRef>, base: &BaseRef) {
    if let Some(before) = before
        && before != base
    {
        state.previous_base = Some(before.clone());
    }
}
