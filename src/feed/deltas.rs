//! Deltas over any span of kept ones, composed when asked for (docs/PROTOCOL.md section 7).
//!
//! Guarantees: what is composed costs bounded work, at most a few at a time, each span once however many ask for it;
//! a span that costs more than the snapshot is refused, since the snapshot is then the better way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{OnceCell, Semaphore};

use crate::list::{ChangeSet, ComposeError, Digest, ListId, Serial};
use crate::store::{ArtefactKind, Artefacts, DeltaRef, PublishedList, StoreError};
use crate::wire::{Delta, DeltaHeader, WireError, compress, decompress};

use super::FeedMetrics;
use super::cache::Cache;

/// A follower decompresses a delta of this size whatever the size of the snapshot, in octets (docs/PROTOCOL.md section 11).
const ALWAYS_TAKEN: u64 = 65_536;

/// What being sent to the snapshot costs beside it: the refusal and one request more, in octets.
const ANOTHER_REQUEST: u64 = 1_024;

/// Bounds of composing.
#[derive(Clone, Debug)]
pub struct DeltasOptions {
    /// Composed spans kept in memory, in octets of all together.
    pub cache_bytes: u64,
    /// Composed spans kept in memory, their number.
    pub cache_len: usize,
    /// Spans composed at the same time.
    pub concurrent: usize,
    /// Uncompressed octets of deltas read for one span, beyond twice the size of the snapshot.
    pub max_work: u64,
}

impl Default for DeltasOptions {
    fn default() -> Self {
        DeltasOptions { cache_bytes: 32 << 20, cache_len: 512, concurrent: 2, max_work: 4 << 20 }
    }
}

/// A delta over one or more versions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Span {
    /// From this version.
    pub from: Serial,
    /// To this one.
    pub to: Serial,
    /// Digest of the uncompressed bytes.
    pub digest: Digest,
    /// Uncompressed octets.
    pub size: u64,
    /// The delta, zstd.
    pub zstd: Bytes,
}

/// Why there is no such span. Cheap to copy: a refusal is remembered like a span.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    /// `to` is not later than `from`.
    #[error("a delta leads to a later version; {to} is not later than {from}")]
    Order {
        /// Asked from.
        from: Serial,
        /// Asked to.
        to: Serial,
    },
    /// `to` has not been published.
    #[error("version {to} has not been published; the newest is {newest}")]
    Future {
        /// Asked to.
        to: Serial,
        /// The newest version.
        newest: Serial,
    },
    /// A part of it is no longer kept.
    #[error("deltas from version {from} are no longer kept; take the snapshot")]
    Gone {
        /// Asked from.
        from: Serial,
    },
    /// The snapshot costs less.
    #[error("the delta from {from} to {to} costs more than the snapshot; take the snapshot")]
    TooCostly {
        /// Asked from.
        from: Serial,
        /// Asked to.
        to: Serial,
    },
    /// A kept delta cannot be read. The operator's to mend, hence not remembered.
    #[error("a kept delta of list {list} cannot be used: {reason}; run check on the publisher")]
    Damaged {
        /// The list.
        list: ListId,
        /// In words.
        reason: Arc<str>,
    },
}

type Key = (ListId, Serial, Serial);
type Outcome = Result<Arc<Span>, SpanError>;
type Flight = Arc<OnceCell<Outcome>>;

#[derive(Debug)]
struct Inner {
    done: Cache<Key, Outcome>,
    flying: HashMap<Key, Flight>,
}

/// Finds and composes deltas.
#[derive(Debug)]
pub struct Deltas {
    artefacts: Artefacts,
    options: DeltasOptions,
    permits: Semaphore,
    inner: Mutex<Inner>,
    metrics: FeedMetrics,
}

/// Takes a flight out of the map when the last who waited for it is gone, however that came about.
struct Waiting<'a> {
    deltas: &'a Deltas,
    key: Key,
    flight: Flight,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut inner = self.deltas.lock();
        // Two: the map's and this one.
        if Arc::strong_count(&self.flight) <= 2 {
            inner.flying.remove(&self.key);
        }
    }
}

impl Deltas {
    /// Deltas from this folder.
    pub fn new(artefacts: Artefacts, options: DeltasOptions, metrics: FeedMetrics) -> Self {
        let inner = Inner { done: Cache::new(options.cache_len, options.cache_bytes), flying: HashMap::new() };
        Deltas { artefacts, permits: Semaphore::new(options.concurrent.max(1)), options, inner: Mutex::new(inner), metrics }
    }

    /// Where they are read from.
    pub fn artefacts(&self) -> &Artefacts {
        &self.artefacts
    }

    /// The kept deltas that together lead from `from` to `to`; at least one.
    ///
    /// # Errors
    /// [`SpanError`]: order, future, gone, or too costly by their sizes alone.
    pub fn steps<'a>(&self, list: &'a PublishedList, from: Serial, to: Serial) -> Result<&'a [DeltaRef], SpanError> {
        let newest = list.head.serial;
        if to <= from {
            return Err(SpanError::Order { from, to });
        }
        if to > newest {
            return Err(SpanError::Future { to, newest });
        }
        let gone = SpanError::Gone { from };
        let oldest = list.deltas.first().ok_or(gone.clone())?.from;
        let (Some(start), Some(end)) = (from.get().checked_sub(oldest.get()), to.get().checked_sub(oldest.get())) else {
            return Err(gone);
        };
        let range = usize::try_from(start).unwrap_or(usize::MAX)..usize::try_from(end).unwrap_or(usize::MAX);
        let steps = list.deltas.get(range).ok_or(gone)?;
        let work = steps.iter().fold(0u64, |sum, step| sum.saturating_add(step.size));
        let limit = (2 * list.head.snapshot.size).max(self.options.max_work);
        if steps.len() == 1 {
            cost(list, from, to, steps[0].size, steps[0].zst)?
        } else if work > limit {
            Err(SpanError::TooCostly { from, to })?
        }
        Ok(steps)
    }

    /// The delta from `from` to `to`.
    ///
    /// # Errors
    /// [`SpanError`].
    pub async fn span(&self, list: &Arc<PublishedList>, from: Serial, to: Serial) -> Outcome {
        self.steps(list, from, to)?;
        let key = (list.meta.id.clone(), from, to);
        let waiting = {
            let mut inner = self.lock();
            if let Some(outcome) = inner.done.get(&key) {
                return outcome;
            }
            let flight = inner.flying.entry(key.clone()).or_default().clone();
            Waiting { deltas: self, key, flight }
        };
        waiting.flight.get_or_init(|| self.fly(list.clone(), &waiting.key)).await.clone()
    }

    async fn fly(&self, list: Arc<PublishedList>, key: &Key) -> Outcome {
        let damaged = |reason: &str| SpanError::Damaged { list: key.0.clone(), reason: reason.into() };
        let _permit = self.permits.acquire().await.map_err(|_| damaged("shutting down"))?;
        self.metrics.composed.inc();
        let steps = self.steps(&list, key.1, key.2)?.to_vec();
        let artefacts = self.artefacts.clone();
        let (from, to) = (key.1, key.2);
        let composed = tokio::task::spawn_blocking(move || compose(&artefacts, &list, &steps, from, to));
        let outcome = composed.await.map_err(|_| damaged("reading it failed"))?;
        if !matches!(outcome, Err(SpanError::Damaged { .. })) {
            let weight = outcome.as_ref().map_or(0, |span| span.zstd.len() as u64) + 256;
            self.lock().done.put(key.clone(), outcome.clone(), weight);
        }
        outcome
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Refuses what costs more than the snapshot and the delta that leads on from it: who takes that way has as little to
/// fetch. What leads on from the snapshot itself is therefore never refused by its cost.
fn cost(list: &PublishedList, from: Serial, to: Serial, size: u64, zst: u64) -> Result<(), SpanError> {
    let snapshot = &list.head.snapshot;
    let snapshot_zst = list.bases.iter().find(|base| base.snapshot == snapshot.digest).map_or(u64::MAX, |base| base.snapshot_zst);
    let most = snapshot_zst.saturating_add(ANOTHER_REQUEST);
    let onward =
        || list.deltas.iter().rev().take_while(|step| step.from >= snapshot.serial).fold(most, |sum, step| sum.saturating_add(step.zst));
    let dear = size > snapshot.size.max(ALWAYS_TAKEN) || (zst > most && zst > onward());
    if dear { Err(SpanError::TooCostly { from, to }) } else { Ok(()) }
}

/// Why a step could not be used; only its words go further.
#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error(transparent)]
    Compose(#[from] ComposeError),
    #[error("its content is not what its name or its header says")]
    Other,
}

fn compose(artefacts: &Artefacts, list: &PublishedList, steps: &[DeltaRef], from: Serial, to: Serial) -> Outcome {
    let damaged = |e: StepError| SpanError::Damaged { list: list.meta.id.clone(), reason: e.to_string().into() };
    if let [step] = steps {
        let zstd = artefacts.read(ArtefactKind::Delta, &step.digest, step.zst).map_err(|e| damaged(e.into()))?;
        return Ok(Arc::new(Span { from, to, digest: step.digest, size: step.size, zstd: zstd.into() }));
    }
    let mut changes = ChangeSet::default();
    for step in steps {
        changes = add_step(artefacts, list, changes, step).map_err(damaged)?;
    }
    let head = &list.head;
    let header = DeltaHeader { origin: head.origin.clone(), list: head.list.clone(), colour: head.colour, from, to };
    let bytes = Delta { header, changes }.encode();
    cost(list, from, to, bytes.len() as u64, 0)?;
    let zstd = compress(&bytes, 9);
    cost(list, from, to, bytes.len() as u64, zstd.len() as u64)?;
    Ok(Arc::new(Span { from, to, digest: Digest::of(&bytes), size: bytes.len() as u64, zstd: zstd.into() }))
}

fn add_step(artefacts: &Artefacts, list: &PublishedList, before: ChangeSet, step: &DeltaRef) -> Result<ChangeSet, StepError> {
    let stored = artefacts.read(ArtefactKind::Delta, &step.digest, step.zst)?;
    let bytes = decompress("a delta", &stored, step.size)?;
    if Digest::of(&bytes) != step.digest {
        return Err(StepError::Other);
    }
    let delta = Delta::parse(&bytes)?;
    if delta.header.list != list.meta.id || delta.header.from != step.from || Some(delta.header.to) != step.from.next() {
        return Err(StepError::Other);
    }
    Ok(before.then(delta.changes)?)
}
