//! What the records amount to: how each changes the index, and how the index is read.
//!
//! ```text
//! M                          mark: the frame seen last, its hash, number of pairs, fingerprint
//! K number                   key set
//! L list                     ListState
//! V list 00 !serial          VersionRecord; the complement of the serial, so that the newest comes first
//! ```
//!
//! Guarantees: applying is the same code at a commit and at recovery, and depends on nothing but record and index; a record that
//! does not fit is refused and changes nothing; applying a checkpoint to the state it restates changes nothing. The fingerprint is a sum over
//! all pairs, so an index that has silently lost or kept too much is noticed by [`fingerprint_holds`].

use sha2::{Digest as _, Sha256};

use crate::list::{Digest, ListId, Serial};

use super::{
    ArtefactKind, ArtefactName, BaseRef, FrameId, ListState, Record, StoreError, VersionRecord,
    index::{Changes, Index, Pair},
    records::Newest,
};

/// Of the layout above; another one is rebuilt from the journal.
const LAYOUT: u8 = 1;

const MARK: &[u8] = b"M";

/// Pairs read at once.
const PAGE: usize = 256;

/// How far the index has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Mark {
    /// The last frame applied; 0: none.
    pub frame: FrameId,
    /// Its hash.
    pub hash: [u8; 32],
    /// Pairs, the mark not counted.
    pairs: u64,
    /// Sum of the pairs' digests, cut to 128 bits.
    sum: u128,
}

impl Mark {
    fn encode(&self) -> Vec<u8> {
        let mut out = vec![LAYOUT];
        out.extend_from_slice(&self.frame.to_be_bytes());
        out.extend_from_slice(&self.hash);
        out.extend_from_slice(&self.pairs.to_be_bytes());
        out.extend_from_slice(&self.sum.to_be_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Option<Mark> {
        let bytes: &[u8; 65] = bytes.try_into().ok()?;
        if bytes[0] != LAYOUT {
            return None;
        }
        Some(Mark {
            frame: u64::from_be_bytes(bytes[1..9].try_into().ok()?),
            hash: bytes[9..41].try_into().ok()?,
            pairs: u64::from_be_bytes(bytes[41..49].try_into().ok()?),
            sum: u128::from_be_bytes(bytes[49..].try_into().ok()?),
        })
    }

    fn add(&mut self, key: &[u8], value: &[u8]) {
        self.pairs = self.pairs.wrapping_add(1);
        self.sum = self.sum.wrapping_add(pair_digest(key, value));
    }

    fn subtract(&mut self, key: &[u8], value: &[u8]) {
        self.pairs = self.pairs.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(pair_digest(key, value));
    }
}

fn pair_digest(key: &[u8], value: &[u8]) -> u128 {
    let hash: [u8; 32] =
        Sha256::new().chain_update((key.len() as u64).to_be_bytes()).chain_update(key).chain_update(value).finalize().into();
    let mut half = [0; 16];
    half.copy_from_slice(&hash[..16]);
    u128::from_be_bytes(half)
}

/// How far the index has come; an index without a mark is empty.
pub(super) fn mark(index: &dyn Index) -> Result<Mark, StoreError> {
    match index.get(MARK)? {
        None => Ok(Mark::default()),
        Some(bytes) => Mark::decode(&bytes).ok_or_else(|| StoreError::Index { reason: "it has another layout".into() }),
    }
}

/// Reads every pair and compares with the mark.
pub(super) fn fingerprint_holds(index: &dyn Index) -> Result<bool, StoreError> {
    let mark = mark(index)?;
    let mut found = Mark { frame: mark.frame, hash: mark.hash, pairs: 0, sum: 0 };
    each(index, b"", &mut |key, value| {
        if key != MARK {
            found.add(key, value);
        }
        Ok(())
    })?;
    Ok(found == mark)
}

/// Takes a key and its value.
type EachPair<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), StoreError> + 'a;

/// Gives every pair below `prefix` to `visit`, in order.
pub(super) fn each(index: &dyn Index, prefix: &[u8], visit: &mut EachPair<'_>) -> Result<(), StoreError> {
    let mut after = Vec::new();
    loop {
        let page: Vec<Pair> = index.scan(prefix, &after, PAGE)?;
        for (key, value) in &page {
            visit(key, value)?;
        }
        match page.into_iter().next_back() {
            Some((key, _)) => after = key,
            None => return Ok(()),
        }
    }
}

fn list_key(list: &ListId) -> Vec<u8> {
    [b"L", list.as_str().as_bytes()].concat()
}

fn versions_prefix(list: &ListId) -> Vec<u8> {
    [b"V", list.as_str().as_bytes(), &[0]].concat()
}

fn version_key(list: &ListId, serial: Serial) -> Vec<u8> {
    [versions_prefix(list), (!serial.get()).to_be_bytes().to_vec()].concat()
}

fn keyset_key(number: u64) -> Vec<u8> {
    [b"K".as_slice(), &number.to_be_bytes()].concat()
}

fn encode(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("states have only text keys and values that JSON can hold")
}

fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|e| StoreError::Index { reason: format!("it holds what cannot be read: {e}") })
}

fn refused(reason: impl Into<String>) -> StoreError {
    StoreError::Refused { reason: reason.into() }
}

/// Changes on top of an index, not yet applied.
pub(super) struct Overlay<'a> {
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

    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.changes.insert(key, Some(value));
    }

    fn list(&self, id: &ListId) -> Result<Option<ListState>, StoreError> {
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

    fn describe(&mut self, meta: &super::ListMeta) -> Result<(), StoreError> {
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

/// The state of a list.
pub(super) fn list(index: &dyn Index, id: &ListId) -> Result<Option<ListState>, StoreError> {
    Overlay::on(index).list(id)
}

/// The states of all lists by name, removed ones included.
pub(super) fn lists(index: &dyn Index) -> Result<Vec<ListState>, StoreError> {
    let mut found = Vec::new();
    each(index, b"L", &mut |_, value| {
        found.push(decode(value)?);
        Ok(())
    })?;
    Ok(found)
}

/// At most `limit` versions of a list, newest first, those before `before` if given.
pub(super) fn versions(index: &dyn Index, id: &ListId, before: Option<Serial>, limit: usize) -> Result<Vec<VersionRecord>, StoreError> {
    let after = before.map_or(Vec::new(), |serial| version_key(id, serial));
    index.scan(&versions_prefix(id), &after, limit)?.iter().map(|(_, value)| decode(value)).collect()
}

/// All key sets by number.
pub(super) fn keysets(index: &dyn Index) -> Result<Vec<(u64, String)>, StoreError> {
    let mut found = Vec::new();
    each(index, b"K", &mut |key, value| {
        let unreadable = || StoreError::Index { reason: "a key set cannot be read".into() };
        let number = key[1..].try_into().map(u64::from_be_bytes).map_err(|_| unreadable())?;
        found.push((number, String::from_utf8(value.to_vec()).map_err(|_| unreadable())?));
        Ok(())
    })?;
    Ok(found)
}

/// The artefacts that the state names, each with the list it belongs to.
pub(super) fn named(index: &dyn Index) -> Result<Vec<(ArtefactName, ListId)>, StoreError> {
    let mut names = Vec::new();
    for state in lists(index)? {
        let id = &state.meta.id;
        for base in state.newest.iter().map(|n| &n.base).chain(&state.previous_base) {
            names.push(((ArtefactKind::Snapshot, base.snapshot), id.clone()));
            names.push(((ArtefactKind::Buckets, base.buckets), id.clone()));
        }
        if let Some((digest, _)) = state.staged {
            names.push(((ArtefactKind::Changes, digest), id.clone()));
        }
        if state.newest.is_some() {
            named_deltas(index, &state, &mut names)?;
        }
    }
    Ok(names)
}

/// Deltas are kept without gaps, the last one leading to the newest version: from there back until one is missing or was dropped.
fn named_deltas(index: &dyn Index, state: &ListState, names: &mut Vec<(ArtefactName, ListId)>) -> Result<(), StoreError> {
    let id = &state.meta.id;
    let mut before = None;
    loop {
        let page = versions(index, id, before, PAGE)?;
        for version in &page {
            let from = Serial::new(version.serial.get() - 1);
            match &version.delta {
                Some(delta) if from >= state.deltas_from => names.push(((ArtefactKind::Delta, delta.digest), id.clone())),
                _ => return Ok(()),
            }
        }
        match page.last() {
            Some(version) => before = Some(version.serial),
            None => return Ok(()),
        }
    }
}

/// How many frames [`checkpoint`] will give.
pub(super) fn checkpoint_len(index: &dyn Index) -> Result<u64, StoreError> {
    Ok(mark(index)?.pairs)
}

/// The whole state as records: key sets, lists, versions. Applied to an empty index they give this one.
pub(super) fn checkpoint(index: &dyn Index) -> impl Iterator<Item = Result<Vec<u8>, StoreError>> + '_ {
    let mut after = Vec::new();
    let mut page = Vec::<Pair>::new().into_iter();
    std::iter::from_fn(move || {
        loop {
            if let Some((key, value)) = page.next() {
                if key != MARK {
                    return Some(as_record(&key, &value).map(|record| record.encode()));
                }
                continue;
            }
            match index.scan(b"", &after, PAGE) {
                Ok(next) => {
                    after = next.last()?.0.clone();
                    page = next.into_iter();
                }
                Err(error) => return Some(Err(error)),
            }
        }
    })
}

fn as_record(key: &[u8], value: &[u8]) -> Result<Record, StoreError> {
    let unreadable = || StoreError::Index { reason: "it holds a key of no known kind".into() };
    match key.split_first() {
        Some((b'K', number)) => Ok(Record::KeySet {
            number: u64::from_be_bytes(number.try_into().map_err(|_| unreadable())?),
            note: String::from_utf8(value.to_vec()).map_err(|_| unreadable())?,
            at: crate::list::Timestamp::from_unix(0),
        }),
        Some((b'L', _)) => Ok(Record::ListState { state: decode(value)? }),
        Some((b'V', rest)) => {
            let list = rest.split(|b| *b == 0).next().and_then(|b| std::str::from_utf8(b).ok()).and_then(|s| s.parse().ok());
            Ok(Record::Version { list: list.ok_or_else(unreadable)?, version: decode(value)? })
        }
        _ => Err(unreadable()),
    }
}
