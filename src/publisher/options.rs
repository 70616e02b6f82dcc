//! What an operator can set.

use crate::list::Origin;

use super::Protected;

/// What an operator can set.
#[derive(Clone, Debug)]
pub struct PublisherOptions {
    /// The publisher's name; that of its key sets.
    pub origin: Origin,
    /// How long a head is good for, in seconds; at most 32 days (docs/PROTOCOL.md section 10).
    pub lifetime: u64,
    /// A head is signed again when this many seconds of its lifetime have passed.
    pub renew_after: u64,
    /// Names no black list may block.
    pub protected: Protected,
    /// Names that many people visit: to block one needs an approval more.
    pub popular: Protected,
    /// Guard: share of the list, in per cent, that one publication may add or remove …
    pub guard_percent: u64,
    /// … unless it is no more than this many entries.
    pub guard_entries: u64,
    /// Deltas older than this many seconds are no longer kept.
    pub keep_deltas: u64,
    /// Memory of an import's sorter, in octets of lines.
    pub sort_memory: usize,
}

impl PublisherOptions {
    /// The defaults for a publisher of this name: heads good for 24 hours and renewed after 6, at most 20 % or 1,000
    /// entries a publication, deltas kept for 30 days, 6 MiB to sort in.
    pub fn new(origin: Origin) -> PublisherOptions {
        PublisherOptions {
            origin,
            lifetime: 24 * 3600,
            renew_after: 6 * 3600,
            protected: Protected::default(),
            popular: Protected::default(),
            guard_percent: 20,
            guard_entries: 1_000,
            keep_deltas: 30 * 24 * 3600,
            sort_memory: 6 << 20,
        }
    }
}
