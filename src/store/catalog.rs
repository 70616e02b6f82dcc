//! What is published right now, for those who serve it: read without waiting for the writer.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use crate::list::{Digest, ListId, Serial, Timestamp};
use crate::wire::Head;

use super::{BaseRef, Content, ListMeta};

/// A delta that is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeltaRef {
    /// From this serial to the next.
    pub from: Serial,
    /// Digest of the uncompressed delta: the artefact's name.
    pub digest: Digest,
    /// Uncompressed octets.
    pub size: u64,
    /// Compressed octets.
    pub zst: u64,
}

/// One list as it is published: one value, never changed; a new version is a new value.
#[derive(Clone, Debug)]
pub struct PublishedList {
    /// Description.
    pub meta: Arc<ListMeta>,
    /// The newest head as signed.
    pub note: Arc<str>,
    /// The same, read.
    pub head: Arc<Head>,
    /// When this version was published (not when its head was last signed): `updated` in `/v1/lists`.
    pub updated: Timestamp,
    /// Kept deltas, oldest first, without gaps, the last leading to `head.serial`.
    pub deltas: Arc<Vec<DeltaRef>>,
    /// The base that `head.snapshot` names, and any still fetchable one before it.
    pub bases: Arc<Vec<BaseRef>>,
    /// Content, for repair and look-ups.
    pub content: Content,
}

/// All published lists and the key sets.
#[derive(Debug, Default)]
pub struct Catalog {
    lists: RwLock<BTreeMap<ListId, Arc<PublishedList>>>,
    keysets: RwLock<BTreeMap<u64, Arc<str>>>,
}

impl Catalog {
    /// A list.
    pub fn get(&self, id: &ListId) -> Option<Arc<PublishedList>> {
        self.lists.read().unwrap_or_else(std::sync::PoisonError::into_inner).get(id).cloned()
    }

    /// All lists by name.
    pub fn all(&self) -> Vec<Arc<PublishedList>> {
        self.lists.read().unwrap_or_else(std::sync::PoisonError::into_inner).values().cloned().collect()
    }

    /// Puts a list in. The publisher calls this after the commit, then announces.
    pub fn set(&self, list: Arc<PublishedList>) {
        self.lists.write().unwrap_or_else(std::sync::PoisonError::into_inner).insert(list.meta.id.clone(), list);
    }

    /// Takes a list out.
    pub fn remove(&self, id: &ListId) {
        self.lists.write().unwrap_or_else(std::sync::PoisonError::into_inner).remove(id);
    }

    /// Key set `number`, or the newest.
    pub fn keyset(&self, number: Option<u64>) -> Option<(u64, Arc<str>)> {
        let keysets = self.keysets.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        match number {
            Some(n) => keysets.get_key_value(&n),
            None => keysets.last_key_value(),
        }
        .map(|(n, note)| (*n, note.clone()))
    }

    /// Puts a key set in.
    pub fn set_keyset(&self, number: u64, note: Arc<str>) {
        self.keysets.write().unwrap_or_else(std::sync::PoisonError::into_inner).insert(number, note);
    }
}
