//! The audit chain and the documents of the rooms above, as the index has them.

use crate::list::Digest;
use crate::wire::{AuditLine, AuditTip};

use super::{
    super::{SealedActs, StoreError, index::Index},
    decode, each,
};

/// Keys of lines begin so.
pub(super) const ACTS: &[u8] = b"A";
const SEALED: &[u8] = b"B";
/// Longest table's name and key together, in octets.
const MAX_KEY: usize = 512;

/// The complement, so that the newest line comes first.
pub(super) fn act_key(number: u64) -> Vec<u8> {
    [ACTS, &(!number).to_be_bytes()].concat()
}

pub(super) fn sealed_key(first: u64) -> Vec<u8> {
    [SEALED, &(!first).to_be_bytes()].concat()
}

fn table_key(table: &str) -> Vec<u8> {
    [b"D", table.as_bytes(), &[0]].concat()
}

/// `None`: no such name can be.
pub(super) fn document_key(table: &str, key: &str) -> Option<Vec<u8>> {
    let fine = |text: &str| !text.is_empty() && !text.contains('\0');
    (fine(table) && fine(key) && table.len() + key.len() <= MAX_KEY).then(|| [&table_key(table), key.as_bytes()].concat())
}

/// Every document of a table, as it is kept.
pub(super) fn each_document(
    index: &dyn Index,
    table: &str,
    visit: &mut dyn FnMut(&[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    each(index, &table_key(table), &mut |_, value| visit(value))
}

/// Table and key of a document's key in the index.
pub(super) fn document_of(rest: &[u8]) -> Option<(String, String)> {
    let (table, key) = std::str::from_utf8(rest).ok()?.split_once('\0')?;
    Some((table.to_owned(), key.to_owned()))
}

pub(super) fn tip_of(line: &[u8]) -> Result<AuditTip, StoreError> {
    Ok(AuditTip { number: line_of(line)?.number, digest: Digest::of(line) })
}

pub(super) fn line_of(line: &[u8]) -> Result<AuditLine, StoreError> {
    let unreadable = |e: String| StoreError::Index { reason: format!("a line of the audit chain cannot be read: {e}") };
    std::str::from_utf8(line).map_err(|e| e.to_string()).and_then(AuditLine::parse).map_err(unreadable)
}

/// The newest line.
pub(in crate::store) fn act_tip(index: &dyn Index) -> Result<Option<AuditTip>, StoreError> {
    index.scan(ACTS, b"", 1)?.first().map(|(_, line)| tip_of(line)).transpose()
}

/// At most `limit` lines that are not sealed, newest first, those before `before` if given.
pub(in crate::store) fn act_lines(index: &dyn Index, before: Option<u64>, limit: usize) -> Result<Vec<AuditLine>, StoreError> {
    let after = before.map_or(Vec::new(), act_key);
    index.scan(ACTS, &after, limit)?.iter().map(|(_, line)| line_of(line)).collect()
}

/// What is sealed, newest first.
pub(in crate::store) fn sealed(index: &dyn Index) -> Result<Vec<SealedActs>, StoreError> {
    let mut found = Vec::new();
    each(index, SEALED, &mut |_, value| {
        found.push(decode(value)?);
        Ok(())
    })?;
    Ok(found)
}

/// A document.
pub(in crate::store) fn document(index: &dyn Index, table: &str, key: &str) -> Result<Option<serde_json::Value>, StoreError> {
    let Some(key) = document_key(table, key) else { return Ok(None) };
    index.get(&key)?.map(|value| decode(&value)).transpose()
}

/// At most `limit` documents of a table by key, those behind `after`.
pub(in crate::store) fn documents(
    index: &dyn Index,
    table: &str,
    after: &str,
    limit: usize,
) -> Result<Vec<(String, serde_json::Value)>, StoreError> {
    let prefix = table_key(table);
    let from = if after.is_empty() { Vec::new() } else { [&prefix, after.as_bytes()].concat() };
    let pairs = index.scan(&prefix, &from, limit)?;
    pairs.into_iter().map(|(key, value)| Ok((String::from_utf8_lossy(&key[prefix.len()..]).into_owned(), decode(&value)?))).collect()
}
