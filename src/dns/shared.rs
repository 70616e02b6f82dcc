//! What zones need to know their versions: the published lists, their deltas, and where their own state is kept.
//!
//! Increments are made here: each once, however many ask for it, few at one time, and so many names of them in memory at
//! most. What is known to cost little waits only for others that cost little.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use domain::base::Name;
use tokio::sync::{OnceCell, Semaphore};

use crate::feed::Hub;
use crate::list::Serial;
use crate::store::{Clock, PublishedList};

use super::DnsError;
use super::diff::{Diff, diff};
use super::keeper::Keeper;
use super::part::Part;
use super::zone::Zone;

/// Increments kept, so that two hundred secondaries cost one comparison.
const KEPT: usize = 16;
/// Changed names of an increment that is kept.
const KEPT_NAMES: usize = 50_000;
/// Changed names of all increments in memory, kept ones and those that are being sent; beyond that whole zones are sent.
const HELD_NAMES: usize = 1_000_000;
/// Increments made at one time that cost little, and others.
const MADE_AT_ONCE: (usize, usize) = (2, 1);
/// Costly increments that are made or waited for; who would have to wait behind them gets the whole zone sooner.
const QUEUE: usize = 5;
/// An increment costs little if its deltas have so many octets at most, and those from the base before it so many.
const LITTLE: (u64, u64) = (65_536, 4 << 20);

/// Zone, and its numbers from and to.
type Key = (Name<Bytes>, u64, u64);
type Made = Arc<OnceCell<Option<Steps>>>;

/// What changed in a zone, by part.
#[derive(Debug)]
pub struct Step {
    parts: Vec<Diff>,
    held: Arc<AtomicUsize>,
}

/// A step, which all who ask for it have together.
pub type Steps = Arc<Step>;

impl Step {
    fn names(&self) -> usize {
        self.parts.iter().map(Diff::len).sum()
    }

    /// What changed in a part.
    pub fn of(&self, part: Part) -> &Diff {
        &self.parts[part.at()]
    }

    /// Of each part, whether something changed in it.
    pub fn touched(&self) -> Vec<bool> {
        self.parts.iter().map(|diff| !diff.is_empty()).collect()
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.held.fetch_sub(self.names(), Ordering::Relaxed);
    }
}

/// From where to where: versions of a zone's lists, and their numbers.
#[derive(Clone, Copy, Debug)]
pub struct Span<'a> {
    /// The number of the older versions.
    pub from: u64,
    /// The older versions.
    pub versions: &'a [Serial],
    /// The number of the newer versions.
    pub to: u64,
    /// The newer versions.
    pub lists: &'a [Arc<PublishedList>],
}

impl Span<'_> {
    /// Whether what leads there costs little to make, by the sizes of the deltas alone.
    fn costs_little(&self) -> bool {
        let (mut after, mut all) = (0u64, 0u64);
        for (list, from) in self.lists.iter().zip(self.versions).filter(|(list, from)| list.head.serial != **from) {
            // Without a base there is nothing to be made.
            let Some(base) = list.bases.iter().rev().find(|base| base.serial <= *from) else { continue };
            for delta in list.deltas.iter().rev().take_while(|delta| delta.from >= base.serial) {
                all = all.saturating_add(delta.size);
                after = after.saturating_add(if delta.from >= *from { delta.size } else { 0 });
            }
        }
        after <= LITTLE.0 && all <= LITTLE.1
    }
}

/// What an increment costs before it can be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cost {
    /// Nothing: it is there.
    Nothing,
    /// Little. Whether others like it would have to be waited for.
    Little(bool),
    /// Nobody knows.
    Much,
    /// The same, and so many others are waited for that the whole zone comes sooner.
    TooMuch,
}

/// Surroundings of all zones.
#[derive(Debug)]
pub struct Shared {
    /// What is published.
    pub hub: Arc<Hub>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Writes.
    pub keeper: Arc<Keeper>,
    /// What all SOA records say alike: it is part of every zone's settings.
    pub soa: String,
    /// Changed names in one increment, at most.
    changes: usize,
    /// Increments that were asked for lately.
    made: Mutex<VecDeque<(Key, Made)>>,
    little: Semaphore,
    much: Semaphore,
    /// Who makes or waits for a costly one.
    queue: Semaphore,
    /// Names of all increments in memory.
    held: Arc<AtomicUsize>,
}

impl Shared {
    /// Nothing is made yet.
    pub fn new(hub: Arc<Hub>, clock: Arc<dyn Clock>, keeper: Arc<Keeper>, changes: usize, soa: String) -> Shared {
        let (little, much) = (Semaphore::new(MADE_AT_ONCE.0), Semaphore::new(MADE_AT_ONCE.1));
        let queue = Semaphore::new(QUEUE);
        Shared { hub, clock, keeper, soa, changes, made: Mutex::default(), little, much, queue, held: Arc::default() }
    }

    /// What it costs to know what leads there.
    pub fn cost(&self, zone: &Zone, span: Span<'_>) -> Cost {
        let key = (zone.name.clone(), span.from, span.to);
        let made = self.made().iter().find(|(known, _)| *known == key).map(|(_, made)| made.initialized());
        match made {
            Some(true) => Cost::Nothing,
            _ if span.costs_little() => Cost::Little(self.little.available_permits() == 0),
            // Somebody is having it made.
            Some(false) => Cost::Much,
            None if self.queue.available_permits() == 0 => Cost::TooMuch,
            None => Cost::Much,
        }
    }

    /// What leads there; none if only the whole zone does.
    ///
    /// # Errors
    /// Of reading.
    pub async fn steps(&self, zone: &Arc<Zone>, span: Span<'_>) -> Result<Option<Steps>, DnsError> {
        let key = (zone.name.clone(), span.from, span.to);
        let cell = self.cell(&key);
        let making = async || {
            let kinds: &[&Semaphore] = if span.costs_little() { &[&self.little] } else { &[&self.queue, &self.much] };
            let mut permits = Vec::with_capacity(2);
            for few in kinds {
                permits.push(few.acquire().await.map_err(|_| DnsError::Gone)?);
            }
            let parts = diff(self.hub.deltas(), zone, span.lists, span.versions, self.changes).await?;
            Ok::<_, DnsError>(parts.and_then(|parts| self.hold(parts)))
        };
        let steps = cell.get_or_try_init(making).await?.clone();
        // A refusal may be one for now (an older base is just being swept), and large ones are not worth their memory.
        if steps.as_ref().is_none_or(|steps| steps.names() > KEPT_NAMES) {
            self.made().retain(|(known, _)| *known != key);
        }
        Ok(steps)
    }

    /// If there is room for it; what is kept makes room.
    fn hold(&self, parts: Vec<Diff>) -> Option<Steps> {
        let step = Step { parts, held: self.held.clone() };
        let names = step.names();
        if self.held.fetch_add(names, Ordering::Relaxed) + names > HELD_NAMES {
            self.made().retain(|(_, made)| !made.initialized());
            if self.held.load(Ordering::Relaxed) > HELD_NAMES {
                return None;
            }
        }
        Some(Arc::new(step))
    }

    fn made(&self) -> MutexGuard<'_, VecDeque<(Key, Made)>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cell(&self, key: &Key) -> Made {
        let mut made = self.made();
        // One that nobody waits for any more and that was not made was broken off.
        made.retain(|(_, made)| made.initialized() || Arc::strong_count(made) > 1);
        if let Some((_, cell)) = made.iter().find(|(known, _)| known == key) {
            return cell.clone();
        }
        // Those being made stay: there are no more of them than who wait for them.
        if made.len() >= KEPT
            && let Some(oldest) = made.iter().position(|(_, cell)| cell.initialized())
        {
            made.remove(oldest);
        }
        let cell = Made::default();
        made.push_back((key.clone(), cell.clone()));
        cell
    }
}
