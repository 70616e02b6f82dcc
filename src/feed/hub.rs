//! The hub: wakes whoever waits when a list has a newer head, and holds the events of the newest heads ready.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{OnceCell, watch};

use crate::list::{ListId, Serial};
use crate::store::{ArtefactKind, Artefacts, Catalog, PublishedList};

use super::event::data_line;
use super::{Deltas, DeltasOptions, FeedMetrics, MAX_INLINE, Position, Subscription};

/// Most positions for which an event with a merged delta is held ready, per version.
const MAX_READY: usize = 64;

/// Bounds and times of the hub.
#[derive(Clone, Debug)]
pub struct HubOptions {
    /// A comment is sent when nothing else was for this long.
    pub idle_comment: Duration,
    /// Event streams at one time.
    pub max_subscribers: usize,
    /// Long polls at one time.
    pub max_long_polls: usize,
    /// At a shutdown subscribers are told to come back after this time ...
    pub come_back: Duration,
    /// ... plus up to this, so that not all come at once.
    pub come_back_spread: Duration,
    /// Bounds of composing deltas.
    pub deltas: DeltasOptions,
}

impl Default for HubOptions {
    fn default() -> Self {
        HubOptions {
            idle_comment: Duration::from_secs(25),
            max_subscribers: 8_000,
            max_long_polls: 4_000,
            come_back: Duration::from_secs(2),
            come_back_spread: Duration::from_secs(8),
            deltas: DeltasOptions::default(),
        }
    }
}

/// What all wait on: it only says that something is newer, never what. So nothing can be missed by reading it late.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Signal {
    generation: u64,
    pub(super) closing: bool,
}

/// Waits for announcements. One that comes while nobody waits is not lost: the next wait returns at once.
#[derive(Clone, Debug)]
pub struct Changes(watch::Receiver<Signal>);

impl Changes {
    /// Returns after the next announcement; `false` when the hub closes and nothing more will come.
    pub async fn next(&mut self) -> bool {
        self.0.changed().await.is_ok() && !self.0.borrow_and_update().closing
    }
}

/// The events of one head, built once and shared.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) list: Arc<PublishedList>,
    pub(super) since: Instant,
    plain: Bytes,
    /// By the position they begin at.
    with_delta: Mutex<HashMap<Serial, Arc<OnceCell<Bytes>>>>,
}

impl Ready {
    fn new(list: Arc<PublishedList>) -> Ready {
        let plain = data_line(&list.meta.id, &list.note, None);
        Ready { list, since: Instant::now(), plain, with_delta: Mutex::default() }
    }

    fn cell(&self, from: Serial) -> Option<Arc<OnceCell<Bytes>>> {
        let mut cells = self.with_delta.lock().unwrap_or_else(PoisonError::into_inner);
        if cells.len() >= MAX_READY && !cells.contains_key(&from) {
            return None;
        }
        Some(cells.entry(from).or_default().clone())
    }
}

/// A place among the bounded number of those who wait; given back when dropped.
#[derive(Debug)]
pub struct Slot {
    taken: Arc<AtomicUsize>,
    gauge: Gauge,
}

impl Slot {
    fn take(taken: &Arc<AtomicUsize>, max: usize, gauge: &Gauge) -> Option<Slot> {
        taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| (n < max).then_some(n + 1)).ok()?;
        gauge.inc();
        Some(Slot { taken: taken.clone(), gauge: gauge.clone() })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.taken.fetch_sub(1, Ordering::AcqRel);
        self.gauge.dec();
    }
}

/// Wakes subscribers.
#[derive(Debug)]
pub struct Hub {
    catalog: Arc<Catalog>,
    deltas: Deltas,
    pub(super) options: HubOptions,
    signal: watch::Sender<Signal>,
    ready: Mutex<HashMap<ListId, Arc<Ready>>>,
    subscribers: Arc<AtomicUsize>,
    long_polls: Arc<AtomicUsize>,
    pub(super) metrics: FeedMetrics,
}

impl Hub {
    /// A hub over what is published.
    pub fn new(catalog: Arc<Catalog>, artefacts: Artefacts, options: HubOptions) -> Arc<Hub> {
        let metrics = FeedMetrics::default();
        Arc::new(Hub {
            deltas: Deltas::new(artefacts, options.deltas.clone(), metrics.clone()),
            catalog,
            options,
            signal: watch::Sender::new(Signal::default()),
            ready: Mutex::default(),
            subscribers: Arc::default(),
            long_polls: Arc::default(),
            metrics,
        })
    }

    /// What is published.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// Deltas over any span.
    pub fn deltas(&self) -> &Deltas {
        &self.deltas
    }

    /// What the hub counts.
    pub fn metrics(&self) -> &FeedMetrics {
        &self.metrics
    }

    /// Tells that the catalog has a newer head of this list, or no longer has the list. To be called after the commit
    /// and after [`Catalog::set`], from any thread. Costs the reading of one small file at most, whoever waits.
    pub fn announce(&self, id: &ListId) {
        match self.catalog.get(id) {
            Some(list) => self.prepare(&self.ready(&list)),
            None => drop(self.lock().remove(id)),
        }
        self.signal.send_modify(|signal| signal.generation = signal.generation.wrapping_add(1));
    }

    /// Tells whoever waits on it that something was announced. What, is to be looked up in the catalog.
    pub fn changes(&self) -> Changes {
        Changes(self.signal.subscribe())
    }

    /// Sends every subscriber a `bye` and ends every wait. Nothing waits after this.
    pub fn close(&self) {
        self.signal.send_modify(|signal| signal.closing = true);
    }

    /// Begins a stream of events; `None` if there are too many.
    pub fn subscribe(self: &Arc<Self>, position: Position) -> Option<Subscription> {
        let slot = self.slot(&self.subscribers, self.options.max_subscribers, &self.metrics.subscribers)?;
        Some(Subscription::new(self.clone(), self.signal.subscribe(), position, slot))
    }

    /// A place for a long poll; `None` if there are too many.
    pub fn long_poll(&self) -> Option<Slot> {
        self.slot(&self.long_polls, self.options.max_long_polls, &self.metrics.long_polls)
    }

    /// Waits until the list is such that `until` holds, and gives it; `None` after `at_most`, or when the hub closes
    /// or the list is no longer published.
    pub async fn wait(&self, id: &ListId, at_most: Duration, until: impl Fn(&PublishedList) -> bool) -> Option<Arc<PublishedList>> {
        // Subscribed before the first comparison: what is announced in between wakes.
        let mut signal = self.signal.subscribe();
        let waiting = async {
            loop {
                let closing = signal.borrow_and_update().closing;
                let list = self.catalog.get(id)?;
                if until(&list) {
                    return Some(list);
                }
                if closing || signal.changed().await.is_err() {
                    return None;
                }
            }
        };
        tokio::time::timeout(at_most, waiting).await.unwrap_or_default()
    }

    fn slot(&self, taken: &Arc<AtomicUsize>, max: usize, gauge: &Gauge) -> Option<Slot> {
        let slot = Slot::take(taken, max, gauge);
        if slot.is_none() {
            self.metrics.turned_away.inc();
        }
        slot
    }

    /// The events of this head.
    pub(super) fn ready(&self, list: &Arc<PublishedList>) -> Arc<Ready> {
        let mut all = self.lock();
        if let Some(ready) = all.get(&list.meta.id) {
            if Arc::ptr_eq(&ready.list.note, &list.note) {
                return ready.clone();
            }
            // Who read the catalog just before a publication must not put the older head back.
            let age = |list: &PublishedList| (list.head.serial, list.head.issued);
            if age(list) < age(&ready.list) {
                return Arc::new(Ready::new(list.clone()));
            }
        }
        let ready = Arc::new(Ready::new(list.clone()));
        all.insert(list.meta.id.clone(), ready.clone());
        ready
    }

    /// Builds the event that nearly all subscribers will want before they are woken.
    fn prepare(&self, ready: &Ready) {
        let list = &ready.list;
        let Some(step) = list.deltas.last().filter(|step| step.from.next() == Some(list.head.serial)) else { return };
        if step.zst > MAX_INLINE as u64 || self.deltas.steps(list, step.from, list.head.serial).is_err() {
            return;
        }
        // On failure the subscribers get the head alone, and the span's own error is met when they ask for it.
        if let (Ok(zstd), Some(cell)) = (self.deltas.artefacts().read(ArtefactKind::Delta, &step.digest, step.zst), ready.cell(step.from)) {
            let _ = cell.set(data_line(&list.meta.id, &list.note, Some((step.from, list.head.serial, &zstd))));
        }
    }

    /// The `data` line for a subscriber at `from`: with a delta, if there is one that is small.
    pub(super) async fn data(&self, ready: &Ready, from: Option<Serial>) -> Bytes {
        let (list, to) = (&ready.list, ready.list.head.serial);
        let Some(from) = from.filter(|from| *from < to) else { return ready.plain.clone() };
        let Ok(steps) = self.deltas.steps(list, from, to) else { return ready.plain.clone() };
        // Merging makes a delta smaller only when changes meet: no work for what will not fit.
        if steps.iter().map(|step| step.zst).sum::<u64>() > 4 * MAX_INLINE as u64 {
            return ready.plain.clone();
        }
        let Some(cell) = ready.cell(from) else { return ready.plain.clone() };
        let with_delta = cell.get_or_init(|| async {
            match self.deltas.span(list, from, to).await {
                Ok(span) if span.zstd.len() <= MAX_INLINE => data_line(&list.meta.id, &list.note, Some((from, to, &span.zstd))),
                _ => ready.plain.clone(),
            }
        });
        with_delta.await.clone()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ListId, Arc<Ready>>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
