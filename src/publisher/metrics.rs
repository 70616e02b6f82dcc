//! What the publisher counts. It knows of lists, never of subscribers.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{counter::Counter, family::Family};
use prometheus_client::registry::Registry;

use crate::list::ListId;

/// Why a head was signed and committed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signed {
    /// A new version of the list.
    Version,
    /// The same version, so that its head does not expire, or under a newer key set.
    Heartbeat,
    /// The same version, to name a newer snapshot.
    Base,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Publication {
    list: String,
    kind: &'static str,
}

impl Publication {
    fn of(list: &ListId, kind: Signed) -> Self {
        let kind = match kind {
            Signed::Version => "version",
            Signed::Heartbeat => "heartbeat",
            Signed::Base => "base",
        };
        Publication { list: list.to_string(), kind }
    }
}

/// Counters of one publisher, since it was opened. Clones count into the same ones.
#[derive(Clone, Debug, Default)]
pub struct PublisherMetrics {
    publications: Family<Publication, Counter>,
}

impl PublisherMetrics {
    /// A head of this list was signed, committed and announced.
    pub(super) fn signed(&self, list: &ListId, kind: Signed) {
        self.publications.get_or_create(&Publication::of(list, kind)).inc();
    }

    /// How many heads of this list were signed for this reason.
    pub fn publications(&self, list: &ListId, kind: Signed) -> u64 {
        self.publications.get_or_create(&Publication::of(list, kind)).get()
    }

    /// Registers all of them.
    pub fn register(&self, registry: &mut Registry) {
        let help = "Heads signed, committed and announced since the start";
        registry.register("publications", help, self.publications.clone());
    }
}
