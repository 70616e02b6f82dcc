//! How the index is read: lists, versions, key sets, the artefacts they name, and all of it as a checkpoint.

use crate::list::{ListId, Serial};

use super::{
    super::{
        ArtefactKind, ArtefactName, KEPT_CHANGES, KeptChanges, ListState, Owner, Record, StoreError, VersionRecord,
        index::{Index, Pair},
    },
    MARK, Overlay, PAGE, decode,
    documents::{document_of, each_document, line_of, sealed},
    each, mark, version_key, versions_prefix,
};

/// The state of a list.
pub(in crate::store) fn list(index: &dyn Index, id: &ListId) -> Result<Option<ListState>, StoreError> {
    Overlay::on(index).list(id)
}

/// The states of all lists by name, removed ones included.
pub(in crate::store) fn lists(index: &dyn Index) -> Result<Vec<ListState>, StoreError> {
    let mut found = Vec::new();
    each(index, b"L", &mut |_, value| {
        found.push(decode(value)?);
        Ok(())
    })?;
    Ok(found)
}

/// At most `limit` versions of a list, newest first, those before `before` if given.
pub(in crate::store) fn versions(
    index: &dyn Index,
    id: &ListId,
    before: Option<Serial>,
    limit: usize,
) -> Result<Vec<VersionRecord>, StoreError> {
    let after = before.map_or(Vec::new(), |serial| version_key(id, serial));
    index.scan(&versions_prefix(id), &after, limit)?.iter().map(|(_, value)| decode(value)).collect()
}

/// All key sets by number.
pub(in crate::store) fn keysets(index: &dyn Index) -> Result<Vec<(u64, String)>, StoreError> {
    let mut found = Vec::new();
    each(index, b"K", &mut |key, value| {
        let unreadable = || StoreError::Index { reason: "a key set cannot be read".into() };
        let number = key[1..].try_into().map(u64::from_be_bytes).map_err(|_| unreadable())?;
        found.push((number, String::from_utf8(value.to_vec()).map_err(|_| unreadable())?));
        Ok(())
    })?;
    Ok(found)
}

/// The artefacts that the state names, each with what it belongs to.
pub(in crate::store) fn named(index: &dyn Index) -> Result<Vec<(ArtefactName, Owner)>, StoreError> {
    let mut names: Vec<(ArtefactName, Owner)> =
        sealed(index)?.into_iter().map(|sealed| ((ArtefactKind::Audit, sealed.digest), Owner::Audit)).collect();
    each_document(index, KEPT_CHANGES, &mut |value| {
        let kept: KeptChanges = decode(value)?;
        names.extend(kept.changes.iter().map(|digest| ((ArtefactKind::Changes, *digest), Owner::List(kept.list.clone()))));
        Ok(())
    })?;
    for state in lists(index)? {
        let id = &state.meta.id;
        for base in state.newest.iter().map(|n| &n.base).chain(&state.previous_base) {
            names.push(((ArtefactKind::Snapshot, base.snapshot), Owner::List(id.clone())));
            names.push(((ArtefactKind::Buckets, base.buckets), Owner::List(id.clone())));
        }
        if let Some((digest, _)) = state.staged {
            names.push(((ArtefactKind::Changes, digest), Owner::List(id.clone())));
        }
        if state.newest.is_some() {
            named_deltas(index, &state, &mut names)?;
        }
    }
    Ok(names)
}

/// Deltas are kept without gaps, the last one leading to the newest version: from there back until one is missing or was dropped.
fn named_deltas(index: &dyn Index, state: &ListState, names: &mut Vec<(ArtefactName, Owner)>) -> Result<(), StoreError> {
    let id = &state.meta.id;
    let mut before = None;
    loop {
        let page = versions(index, id, before, PAGE)?;
        for version in &page {
            let from = Serial::new(version.serial.get() - 1);
            match &version.delta {
                Some(delta) if from >= state.deltas_from => names.push(((ArtefactKind::Delta, delta.digest), Owner::List(id.clone()))),
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
pub(in crate::store) fn checkpoint_len(index: &dyn Index) -> Result<u64, StoreError> {
    Ok(mark(index)?.pairs)
}

/// The whole state as records: key sets, lists, versions. Applied to an empty index they give this one.
pub(in crate::store) fn checkpoint(index: &dyn Index) -> impl Iterator<Item = Result<Vec<u8>, StoreError>> + '_ {
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
        Some((b'A', _)) => Ok(Record::Audited { line: line_of(value)? }),
        Some((b'B', _)) => Ok(Record::AuditSealed { sealed: decode(value)? }),
        Some((b'D', rest)) => {
            let (table, key) = document_of(rest).ok_or_else(unreadable)?;
            Ok(Record::Document { table, key, value: Some(decode(value)?) })
        }
        _ => Err(unreadable()),
    }
}
