//! What is kept of a zone over restarts, and the number it begins at when its settings are others than before.
//!
//! A zone's number is the sum of its lists' serials plus an offset; the SOA serial is the number modulo 2^32. The offset is
//! 0 until a setting changes. Then the number becomes one more than any that can have been announced under the settings
//! before, and what secondaries have of earlier numbers is worth nothing any more.
//!
//! How high a zone can have been announced needs no writing at each version: it follows from the offset and the lists of
//! its last settings, whose serials the store keeps for ever and which only grow. So also a zone that was gone from the
//! settings for a while does not go back.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::list::{Digest, ListId, Serial};
use crate::store::Store;

use super::keeper::TABLE;

/// Serials in the combinations that a document has, all together: bounds it to a few kilobytes.
const KEPT_SERIALS: usize = 1_024;
/// Combinations in a document, at most.
const KEPT_COMBINATIONS: usize = 256;

/// A change of a part: the number it got, and the last number before, under which it was still what it was before.
pub type Change = (u64, u64);

/// The document of a zone, by its name. Of the catalog: there `settings` is the digest of the members and `offset` the serial.
/// The names of a divided zone's parts have documents too: the zone's, but for what changes with versions.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// Of everything but the lists' content that decides what is in it.
    pub settings: Digest,
    /// Its lists.
    pub lists: Vec<ListId>,
    /// What is added to the sum of the lists' serials, modulo 2^64: the number of a zone that lost a list goes on, too.
    pub offset: u64,
    /// The first number under these settings.
    pub floor: u64,
    /// Of a zone over several lists and of a divided one: the last combinations of serials, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known: Vec<Vec<Serial>>,
    /// Of a divided zone: the last changes of each part, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Vec<Change>>,
}

impl Kept {
    /// As a value for the store.
    pub fn document(&self) -> Value {
        serde_json::to_value(self).expect("a document has only text keys and values that JSON can hold")
    }

    /// What is kept of the zone of this name, if it was ever served.
    ///
    /// # Errors
    /// In words: the store or the document cannot be read.
    pub fn load(store: &Store, zone: &str) -> Result<Option<Kept>, String> {
        let wrong = |e: &dyn std::fmt::Display| format!("what is kept of its serials cannot be read ({e}); run bwld check");
        let Some(document) = store.document(TABLE, zone).map_err(|e| wrong(&e))? else { return Ok(None) };
        serde_json::from_value(document).map(Some).map_err(|e| wrong(&e))
    }

    /// No number above this one can have been announced.
    ///
    /// # Errors
    /// In words.
    fn bound(&self, store: &Store) -> Result<u64, String> {
        let mut bound = self.offset;
        for id in &self.lists {
            let state = store.list(id).map_err(|e| e.to_string())?;
            let last = state.and_then(|list| list.last.map(|(serial, _)| serial).max(list.floor));
            bound = bound.wrapping_add(last.map_or(0, Serial::get));
        }
        Ok(bound)
    }
}

/// How many combinations of so many lists a document has.
pub fn combinations(lists: usize) -> usize {
    (KEPT_SERIALS / lists.max(1)).clamp(1, KEPT_COMBINATIONS)
}

/// The highest number that can have been announced under any of these names; none if there never was such a zone.
///
/// # Errors
/// In words.
pub fn highest(store: &Store, names: &[String]) -> Result<Option<u64>, String> {
    let mut highest = None;
    for name in names {
        if let Some(kept) = Kept::load(store, name)? {
            highest = highest.max(Some(kept.bound(store)?));
        }
    }
    Ok(highest)
}
