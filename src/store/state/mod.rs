//! What the records amount to: how each changes the index, and how the index is read.
//!
//! ```text
//! M                          mark: the frame seen last, its hash, number of pairs, fingerprint
//! K number                   key set
//! L list                     ListState
//! V list 00 !serial          VersionRecord; the complement of the serial, so that the newest comes first
//! A !number                  a line of the audit chain that is not yet sealed; the newest comes first
//! B !first                   SealedActs
//! D table 00 key             a document of a room above
//! ```
//!
//! Guarantees: applying is the same code at a commit and at recovery, and depends on nothing but record and index; a record that
//! does not fit is refused and changes nothing; applying a checkpoint to the state it restates changes nothing. The fingerprint is a sum over
//! all pairs, so an index that has silently lost or kept too much is noticed by [`fingerprint_holds`].

mod documents;
mod mark;
mod overlay;
mod query;

use crate::list::{ListId, Serial};

use super::{
    StoreError,
    index::{Index, Pair},
};

pub(super) use documents::{act_lines, act_tip, document, documents, sealed};
pub(super) use mark::{Mark, fingerprint_holds, mark};
pub(super) use overlay::Overlay;
pub(super) use query::{checkpoint, checkpoint_len, keysets, list, lists, named, versions};

/// Key of the mark.
const MARK: &[u8] = b"M";

/// Pairs read at once.
const PAGE: usize = 256;

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
