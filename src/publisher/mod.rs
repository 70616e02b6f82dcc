//! The single writer: staged changes -> guards -> serial -> artefacts -> sign -> journal (the commit point) -> index -> announce.
//!
//! Guarantees: nothing is announced that is not durable; a refused publication leaves everything as it was; cost
//! follows the change, not the list. Synchronous: callers on a runtime use its blocking threads. It knows nothing of
//! who may do what; `by` is what the caller says, for the log.
//!
//! Each list has a lock of its own, so a large import into one does not hold up the others. It is held for as long as that takes;
//! what is asked without an account is never kept under it. Whoever takes several locks takes them in this order: one list, the key
//! set, all lists, the store.

mod ahead;
mod api;
mod approval;
mod base;
mod beside;
mod both;
mod changes;
mod check;
mod chunks;
mod error;
mod guards;
mod import;
mod kept;
mod line_writer;
mod lines;
mod lists;
mod loose;
mod maintain;
mod metrics;
mod options;
mod pack;
mod policy;
mod progress;
mod protect;
mod publish;
mod reading;
mod sign;
mod stage;
mod staged;
mod state;
mod undo;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockWriteGuard};

use crate::list::{Digest, ListId};
use crate::store::{Catalog, Clock, Store};
use crate::trust::{SecretKey, Trusted};
use crate::wire::{MAX_KEYSET, Note};

pub use crate::store::By;
pub use api::{
    ChangeRequest, CheckReport, ImportMode, ImportReport, ListPatch, ListView, LogPage, NewList, PublishReport, PublishRequest, PutEntry,
    Refusal, StagedView,
};
pub use approval::{StagedReview, Unreviewed, forces_approvals};
pub use beside::{Beside, EachChange, Records, Wish};
pub use both::{BOTH_COLOURS, same_target};
pub use error::{Class, PublishError};
pub use guards::check_asked;
pub use import::ImportOptions;
pub use maintain::Maintenance;
pub use metrics::{PublisherMetrics, Signed};
pub use options::PublisherOptions;
pub use policy::ListPolicy;
pub use progress::ImportProgress;
pub use protect::{Protected, ProtectedError};
pub(crate) use stage::random_reference;
pub use undo::Undone;

use state::{Slot, State};

/// Told the name of a list with a new head, after it is durable. Must be quick.
pub type Announce = Box<dyn Fn(&ListId) + Send + Sync>;

/// Asked whether an approval by this account on this list still counts. Must not ask the publisher.
pub type Counts = Box<dyn Fn(&str, &ListId) -> bool + Send + Sync>;

/// The publisher.
pub struct Publisher {
    store: Arc<Store>,
    catalog: Arc<Catalog>,
    options: PublisherOptions,
    signer: SecretKey,
    clock: Arc<dyn Clock>,
    announce: Announce,
    /// Held only to find a list, or for the commit that makes or removes one.
    lists: RwLock<BTreeMap<ListId, Arc<Slot>>>,
    /// The newest key set, with the chain that leads to it verified.
    keyset: RwLock<Option<Trusted>>,
    maintaining: Mutex<()>,
    metrics: PublisherMetrics,
    /// Nobody set it: every approval counts.
    counts: OnceLock<Counts>,
}

impl Publisher {
    /// Rebuilds what is published from the store, puts it into the catalog, and signs again what is due.
    ///
    /// A list whose content is not what its head says is not served: [`Publisher::out_of_service`] names it, and why.
    /// Lists that cannot be signed now keep the head they have; the log says so, and the next heartbeat tries again.
    ///
    /// # Errors
    /// If the store cannot be read, or its key sets are not a chain of this origin.
    pub fn open(
        store: Arc<Store>,
        catalog: Arc<Catalog>,
        options: PublisherOptions,
        signer: SecretKey,
        clock: Arc<dyn Clock>,
        announce: Announce,
    ) -> Result<Publisher, PublishError> {
        let keyset = read_keysets(&store, &catalog, &options)?;
        let publisher = Publisher {
            store,
            catalog,
            options,
            signer,
            clock,
            announce,
            lists: RwLock::default(),
            keyset: RwLock::new(keyset),
            maintaining: Mutex::new(()),
            metrics: PublisherMetrics::default(),
            counts: OnceLock::new(),
        };
        for known in publisher.store.lists()? {
            if known.removed {
                continue;
            }
            let state = State::open(&publisher, known);
            let id = state.meta.id.clone();
            if let Some(reason) = &state.out_of_service {
                tracing::error!(list = %id, reason, "the list is out of service; run `bwld check`");
            } else if let Some(published) = &state.published {
                publisher.catalog.set(published.clone());
            }
            publisher.slots_mut().insert(id, Arc::new(Slot::new(state)));
        }
        if let Err(e) = publisher.heartbeat() {
            tracing::warn!(error = %e, "not every head could be signed again");
        }
        Ok(publisher)
    }

    /// What the operator set.
    pub fn options(&self) -> &PublisherOptions {
        &self.options
    }

    /// What it counts.
    pub fn metrics(&self) -> &PublisherMetrics {
        &self.metrics
    }

    /// Whether there is such a list, published or not.
    ///
    /// # Errors
    /// [`PublishError::NoList`].
    pub fn known(&self, id: &ListId) -> Result<(), PublishError> {
        self.slot(id).map(|_| ())
    }

    fn slot(&self, id: &ListId) -> Result<Arc<Slot>, PublishError> {
        let lists = self.lists.read().unwrap_or_else(PoisonError::into_inner);
        lists.get(id).cloned().ok_or_else(|| PublishError::NoList(id.clone()))
    }

    fn slots(&self) -> Vec<Arc<Slot>> {
        self.lists.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn slots_mut(&self) -> RwLockWriteGuard<'_, BTreeMap<ListId, Arc<Slot>>> {
        self.lists.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher").field("origin", &self.options.origin).finish_non_exhaustive()
    }
}

/// The chain of key sets; the first is believed because it lies in one's own journal.
fn read_keysets(store: &Store, catalog: &Catalog, options: &PublisherOptions) -> Result<Option<Trusted>, PublishError> {
    let mut trusted: Option<Trusted> = None;
    for (number, note) in store.keysets()? {
        let next = match &trusted {
            Some(before) => before.advance(note.as_bytes())?,
            None => {
                let parsed = Note::parse(note.as_bytes(), MAX_KEYSET)?;
                Trusted::pin(note.as_bytes(), &Digest::of(&parsed.text))?
            }
        };
        if *next.origin() != options.origin {
            let (ours, theirs) = (&options.origin, next.origin());
            return Err(PublishError::Signing(format!(
                "key set {number} is of origin {theirs}, the configuration says {ours}; set it back"
            )));
        }
        catalog.set_keyset(number, note.into());
        trusted = Some(next);
    }
    Ok(trusted)
}
