//! What is kept of each version so that it can be undone, and for how long.
//!
//! Of few changes a document with what its entries were before, as long as the delta is kept. Of many, or of a version without a delta,
//! two artefacts: its changes as they were staged, and what its entries were before; of each list the last eight such versions, no
//! longer than deltas are kept.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize as _;
use serde_json::Value;

use crate::list::{Digest, Entry, ListId, MAX_LINE, Rule, Serial};
use crate::store::{ArtefactKind, KEPT_CHANGES, KeptChanges, Record, VersionRecord};
use crate::wire::{compress, decompress};

use super::state::State;
use super::{PublishError, Publisher};

/// Table of what entries were before a version removed or replaced them, by list and serial.
pub(super) const BEFORE: &str = "before";
/// Most octets of them in a document: as many entries as staged changes in memory, each of the longest.
const MAX_BEFORE: u64 = 20_000 * (MAX_LINE as u64 + 1);
/// Versions with many changes that are kept of each list.
const MOST_KEPT: usize = 8;
/// Documents read or dropped at once.
const DROPPED: usize = 256;

impl Publisher {
    /// The document that keeps what it takes to undo this version: of few changes what its entries were before, beside the delta; of
    /// many, the artefacts of its changes and of what its entries were before.
    pub(super) fn undo_record(&self, state: &State, version: &VersionRecord, old: Option<Digest>) -> Result<Option<Record>, PublishError> {
        let Some(staged) = state.staged.as_ref().filter(|staged| staged.tally.total() > 0) else { return Ok(None) };
        let key = key(&state.meta.id, version.serial);
        let document = |table: &str, value: Value| Some(Record::Document { table: table.into(), key: key.clone(), value: Some(value) });
        let small = staged.small.as_ref().filter(|_| version.delta.is_some());
        let Some(small) = small else {
            let changes = [Some(staged.digest), old].into_iter().flatten().collect();
            let kept = KeptChanges { list: state.meta.id.clone(), changes, at: version.at };
            return Ok(document(KEPT_CHANGES, serde_json::to_value(&kept).map_err(|_| unreadable())?));
        };
        let Some(published) = state.published.as_ref().filter(|_| version.removed + version.replaced > 0) else { return Ok(None) };
        let mut text = String::new();
        for (rule, _) in small.iter().filter(|(_, line)| !line.starts_with('+')) {
            if let Some(entry) = published.content.get(&Rule::trusted(rule))? {
                text.push_str(entry.line());
                text.push('\n');
            }
        }
        Ok(document(BEFORE, STANDARD.encode(compress(text.as_bytes(), 3)).into()))
    }

    /// Drops what is kept to undo versions for which that has gone on long enough. Returns how many.
    pub(super) fn drop_undo(&self) -> Result<u64, PublishError> {
        let (mut records, now, kept) = (Vec::new(), self.clock.now(), self.kept_changes()?);
        for (at, (key, value)) in kept.iter().enumerate() {
            let list = |key: &str| key.split_once('/').map(|(list, _)| list.to_owned());
            let newer = kept[at + 1..].iter().take(MOST_KEPT).filter(|(other, _)| list(other) == list(key)).count();
            let since = KeptChanges::deserialize(value).map_or(now, |kept| kept.at);
            let of_a_list = list(key).is_some_and(|id| id.parse().is_ok_and(|id| self.slot(&id).is_ok()));
            if newer == MOST_KEPT || now.since(since) > self.options.keep_deltas || !of_a_list {
                records.push(Record::Document { table: KEPT_CHANGES.into(), key: key.clone(), value: None });
            }
        }
        self.drop_before(&mut records)?;
        let dropped = records.len() as u64;
        if dropped > 0 {
            self.store.commit(&Record::All { records })?;
        }
        Ok(dropped)
    }

    /// The documents that keep artefacts, by list and serial.
    fn kept_changes(&self) -> Result<Vec<(String, Value)>, PublishError> {
        let (mut kept, mut after) = (Vec::new(), String::new());
        loop {
            let page = self.store.documents(KEPT_CHANGES, &after, DROPPED)?;
            let Some((last, _)) = page.last() else { return Ok(kept) };
            after = last.clone();
            kept.extend(page);
        }
    }

    /// Reads every artefact that is kept so and compares it with its digest; what is wrong, in words.
    pub(super) fn check_kept(&self) -> Vec<String> {
        let read = |digest: &Digest| self.store.artefacts().verify(ArtefactKind::Changes, digest);
        let wrong =
            |key: &str, e: &dyn std::fmt::Display| format!("version {key}: what undoing it takes: {e}; it cannot be undone, all else can");
        match self.kept_changes() {
            Err(e) => vec![e.to_string()],
            Ok(kept) => kept
                .iter()
                .flat_map(|(key, value)| match KeptChanges::deserialize(value) {
                    Ok(kept) => kept.changes.iter().filter_map(|digest| read(digest).err().map(|e| wrong(key, &e))).collect(),
                    Err(e) => vec![wrong(key, &e)],
                })
                .collect(),
        }
    }

    /// Of versions whose deltas are not kept any more, some at a time.
    fn drop_before(&self, records: &mut Vec<Record>) -> Result<(), PublishError> {
        let mut after = String::new();
        // One look for each list that has any.
        while let Some((first, _)) = self.store.documents(BEFORE, &after, 1)?.pop() {
            let Some((list, _)) = first.split_once('/') else { break };
            let published = list.parse().ok().and_then(|id: ListId| self.catalog.get(&id));
            let kept = published.map(|published| published.deltas.first().map_or(published.head.serial, |delta| delta.from));
            let old = |key: &str| kept.is_none_or(|from| *key <= *format!("{list}/{:020}", from.get()));
            if old(&first) {
                let page = self.store.documents(BEFORE, &after, DROPPED)?.into_iter().map(|(key, _)| key);
                let dropped = page.take_while(|key| key.split_once('/').is_some_and(|(of, _)| of == list) && old(key));
                records.extend(dropped.map(|key| Record::Document { table: BEFORE.into(), key, value: None }));
            }
            // Behind every key of this list: `0` is what follows `/`.
            after = format!("{list}0");
        }
        Ok(())
    }
}

/// Entries as [`Publisher::undo_record`] packed them.
pub(super) fn unpacked(value: &Value) -> Result<BTreeMap<Rule, Entry>, PublishError> {
    let packed = value.as_str().and_then(|text| STANDARD.decode(text).ok()).ok_or_else(unreadable)?;
    if packed.is_empty() {
        return Ok(BTreeMap::new());
    }
    let text = String::from_utf8(decompress("entries before a version", &packed, MAX_BEFORE)?).map_err(|_| unreadable())?;
    Ok(text.lines().map(Entry::trusted).map(|entry| (entry.rule(), entry)).collect())
}

pub(super) fn unreadable() -> PublishError {
    PublishError::System("what was kept of a version cannot be read; run `bwld check`".into())
}

pub(super) fn key(list: &ListId, serial: Serial) -> String {
    format!("{list}/{:020}", serial.get())
}
