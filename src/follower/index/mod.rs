//! Keeps the compiled index of each list up with its content, in this process and in the folder (`indexes`).
//!
//! One list's index is worked on by one thread at a time, in the order in which its content changed; what came while it was
//! busy is taken together. A delta becomes an overlay within milliseconds; what asks for a new base (a snapshot, a repair) waits
//! until the list's output has been written, and is built beside everything else.
//!
//! Guarantees: it follows content that was verified and made durable, never the other way round, so nothing waits for it; look-ups
//! see one version or the next; an index that cannot be written, or cannot be built, is said in the status, the one before stays in
//! force, and the next change tries again.

mod build;
mod verify;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::indexes::{IndexWriter, ListFiles, nobody};
use crate::list::{Colour, Timestamp};
use crate::matcher::{Index, Layers, ListState, Lists, Matcher, Seed};
use crate::trust::VerifiedHead;

use super::FollowError;
use super::shared::{Known, Shared, lock};

pub(super) use verify::verify_index;

/// Octets of deltas that wait for a busy index at most; beyond them it is built anew.
const MOST_WAITING: usize = 16 << 20;
/// As many deltas may wait.
const MOST_DELTAS: usize = 4_096;

/// The indexes of a follower.
#[derive(Debug)]
pub(super) struct Indexer {
    pub matcher: Arc<Matcher>,
    seed: Seed,
    slots: Vec<Slot>,
    stopping: AtomicBool,
    /// How many threads are at work, and a bell for when there is none.
    busy: Mutex<usize>,
    idle: Condvar,
}

/// The index of one list.
#[derive(Debug)]
struct Slot {
    queue: Mutex<Queue>,
    held: Mutex<Held>,
    note: Mutex<IndexNote>,
}

/// How the index of a list stands, for the status.
#[derive(Clone, Debug, Default)]
pub(super) struct IndexNote {
    /// The version that look-ups see.
    pub serial: Option<u64>,
    /// Why it is not that of the content, or not in the folder.
    pub error: Option<String>,
}

#[derive(Debug, Default)]
struct Queue {
    work: Vec<Work>,
    /// Octets of the deltas in it.
    octets: usize,
    /// A new base is due and waits until the output is written.
    waiting: bool,
    /// A thread is at it.
    running: bool,
}

/// What is to be done for an index.
#[derive(Debug)]
enum Work {
    /// Take up what the last run left.
    Start,
    /// Lay a delta over it.
    Delta { head: Arc<VerifiedHead>, zstd: Arc<[u8]> },
    /// Build it anew from the content.
    Rebuild,
    /// Only what is said beside the rules may have changed: when the head expires.
    Facts,
    /// A fold has ended.
    Folded { fold: u64, built: Result<Box<Index>, String> },
}

/// What there is of an index.
#[derive(Debug)]
struct Held {
    /// `None` if the folder of indexes could not be opened: then look-ups are answered in this process only.
    files: Option<ListFiles>,
    layers: Option<Layers>,
    /// Number of the newest fold; the result of an older one is of no use.
    fold: u64,
}

impl Queue {
    fn put(&mut self, work: Work) {
        match &work {
            Work::Rebuild => self.work.retain(|other| matches!(other, Work::Folded { .. })),
            Work::Delta { zstd, .. } => {
                self.octets += zstd.len();
                let deltas = self.work.iter().filter(|other| matches!(other, Work::Delta { .. })).count();
                if self.octets > MOST_WAITING || deltas >= MOST_DELTAS {
                    self.octets = 0;
                    return self.put(Work::Rebuild);
                }
            }
            Work::Facts if self.work.iter().any(|other| !matches!(other, Work::Folded { .. })) => return,
            Work::Start | Work::Facts | Work::Folded { .. } => {}
        }
        self.work.push(work);
    }
}

impl Indexer {
    /// Opens the indexes in the follower's folder, and answers from what the last run left until [`begin`] has looked through it.
    /// `lists`: of each list its state, and whether its output is still to be written.
    pub fn open(dir: &Path, lists: &[(ListState, bool)]) -> Indexer {
        let states: Vec<ListState> = lists.iter().map(|(state, _)| state.clone()).collect();
        let (writer, error) = match IndexWriter::open(dir, &states) {
            Ok(writer) => (Some(writer), None),
            Err(error) => {
                tracing::error!("indexes cannot be kept in the folder, only in this process: {error}");
                (None, Some(error.to_string()))
            }
        };
        let seed = writer.as_ref().map_or_else(seed_of_this_process, IndexWriter::seed);
        let mut all = Lists::new();
        let mut slots = Vec::new();
        for (state, output_due) in lists {
            let mut files = writer.as_ref().map(|writer| writer.list(&state.list));
            // What cannot be opened is built anew in a moment.
            let kept = files.as_mut().and_then(|files| files.reopen().ok().flatten());
            let mut layers = kept.map(|(_, layers)| layers);
            // Content without a head is stale, not fresh for ever.
            let expires = state.expires.or(layers.is_some().then_some(Timestamp::from_unix(0)));
            let known = ListState { serial: layers.as_ref().map(|layers| layers.about().serial), expires, ..state.clone() };
            let without = |lists: &Lists| lists.with_list(ListState { serial: None, ..known.clone() }, None).unwrap_or_default();
            all = all.with_list(known.clone(), layers.clone()).unwrap_or_else(|_| {
                layers = None;
                without(&all)
            });
            let serial = layers.as_ref().map(|layers| layers.about().serial.get());
            slots.push(Slot {
                queue: Mutex::new(Queue { work: vec![Work::Start], octets: 0, waiting: *output_due, running: false }),
                held: Mutex::new(Held { files, layers, fold: 0 }),
                note: Mutex::new(IndexNote { serial, error: error.clone() }),
            });
        }
        Indexer {
            matcher: Arc::new(Matcher::new(all)),
            seed,
            slots,
            stopping: AtomicBool::new(false),
            busy: Mutex::new(0),
            idle: Condvar::new(),
        }
    }

    pub fn note(&self, list: usize) -> IndexNote {
        lock(&self.slots[list].note).clone()
    }

    fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Waits until no thread is at work.
    fn wait(&self) {
        let mut busy = lock(&self.busy);
        while *busy > 0 {
            busy = self.idle.wait(busy).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A seed that nobody else knows, or, where there is no randomness, one that is better than none.
fn seed_of_this_process() -> Seed {
    let mut octets = [0; 16];
    let _ = getrandom::fill(&mut octets);
    Seed::new(octets)
}

/// What is known of a list beside its rules. One with content and without a head is stale, not fresh for ever.
pub(super) fn state_of(known: &Known, mut begun: ListState, layers: Option<&Layers>) -> ListState {
    begun.colour = known.colour.unwrap_or(begun.colour);
    begun.expires = known.expires;
    begun.serial = None;
    if let Some(about) = layers.map(Layers::about) {
        begun.origin = about.origin.clone();
        begun.colour = about.colour;
        begun.serial = Some(about.serial);
        begun.expires = Some(known.expires.unwrap_or(Timestamp::from_unix(0)));
    }
    begun
}

/// A list before anything is known of it. Until the first key set is there nobody knows whose list it is.
pub(super) fn unknown(choice: &super::ListChoice, origin: Option<&crate::list::Origin>) -> ListState {
    ListState {
        origin: origin.cloned().unwrap_or_else(nobody),
        list: choice.id.clone(),
        colour: choice.colour.unwrap_or(Colour::Black),
        serial: None,
        expires: None,
        local: false,
    }
}

/// A delta was applied to the content and is durable.
pub(super) fn delta(shared: &Arc<Shared>, list: usize, head: &Arc<VerifiedHead>, zstd: &Arc<[u8]>) {
    // An empty one stands for a version that was there already.
    if !zstd.is_empty() {
        put(shared, list, Work::Delta { head: head.clone(), zstd: zstd.clone() }, false);
    }
}

/// The content was replaced by a snapshot or a repair.
pub(super) fn replaced(shared: &Arc<Shared>, list: usize) {
    let output = shared.lists[list].choice.output.is_some();
    put(shared, list, Work::Rebuild, output);
}

/// A head was accepted, or the publisher's name is known now.
pub(super) fn facts(shared: &Arc<Shared>, list: usize) {
    put(shared, list, Work::Facts, false);
}

/// The output has been written, or could not be.
pub(super) fn output_written(shared: &Arc<Shared>, list: usize) {
    if let Some(indexer) = &shared.indexer {
        lock(&indexer.slots[list].queue).waiting = false;
        tick(shared, list);
    }
}

/// Begins. Before this nothing is worked on.
pub(super) fn begin(shared: &Arc<Shared>) {
    (0..shared.lists.len()).for_each(|list| tick(shared, list));
}

/// Waits until every index is that of its content, or has failed.
pub(super) async fn finish(shared: &Arc<Shared>) {
    (0..shared.lists.len()).for_each(|list| output_written(shared, list));
    wait(shared).await;
}

/// Stops: what is not done by now is done by the next start.
pub(super) async fn stop(shared: &Arc<Shared>) {
    if let Some(indexer) = &shared.indexer {
        indexer.stopping.store(true, Ordering::Release);
    }
    wait(shared).await;
}

async fn wait(shared: &Arc<Shared>) {
    if let Some(indexer) = shared.indexer.clone() {
        let waited = super::jobs::blocking(move || {
            indexer.wait();
            Ok(())
        });
        let _: Result<(), FollowError> = waited.await;
    }
}

fn put(shared: &Arc<Shared>, list: usize, work: Work, waiting: bool) {
    let Some(indexer) = &shared.indexer else { return };
    {
        let mut queue = lock(&indexer.slots[list].queue);
        queue.waiting |= waiting;
        queue.put(work);
    }
    tick(shared, list);
}

/// Has a thread work on a list's index, if there is work and none is at it.
fn tick(shared: &Arc<Shared>, list: usize) {
    let Some(indexer) = &shared.indexer else { return };
    let mut queue = lock(&indexer.slots[list].queue);
    if queue.running || queue.waiting || queue.work.is_empty() || indexer.stopping() {
        return;
    }
    queue.running = true;
    let mut turn = Turn::begin(indexer, Some(list));
    let shared = shared.clone();
    drop(tokio::task::spawn_blocking(move || {
        work(&shared, list, &mut turn);
        // Who waits for the end may open the folder anew: let go of its lock before saying so.
        drop(shared);
        drop(turn);
    }));
}

/// A thread at work; says so when it ends, however it ends.
struct Turn {
    indexer: Arc<Indexer>,
    /// The list whose queue still counts it as running.
    running: Option<usize>,
}

impl Turn {
    fn begin(indexer: &Arc<Indexer>, running: Option<usize>) -> Turn {
        *lock(&indexer.busy) += 1;
        Turn { indexer: indexer.clone(), running }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(list) = self.running {
            lock(&self.indexer.slots[list].queue).running = false;
        }
        *lock(&self.indexer.busy) -= 1;
        self.indexer.idle.notify_all();
    }
}

fn work(shared: &Arc<Shared>, list: usize, turn: &mut Turn) {
    let indexer = turn.indexer.clone();
    let slot = &indexer.slots[list];
    loop {
        let taken = {
            let mut queue = lock(&slot.queue);
            if queue.work.is_empty() || queue.waiting || indexer.stopping() {
                queue.running = false;
                turn.running = None;
                return;
            }
            queue.octets = 0;
            std::mem::take(&mut queue.work)
        };
        let mut held = lock(&slot.held);
        let ended = build::work(shared, list, &indexer, &mut held, taken);
        if let Err(error) = &ended
            && !indexer.stopping()
        {
            tracing::warn!(list = %shared.lists[list].choice.id, "the index: {error}");
        }
        *lock(&slot.note) = IndexNote { serial: held.layers.as_ref().map(|layers| layers.about().serial.get()), error: ended.err() };
        if let Some((fold, layers)) = held.layers.as_ref().filter(|layers| layers.wants_fold()).map(Layers::begin_fold).map(|(l, f)| (f, l))
        {
            held.layers = Some(layers);
            held.fold += 1;
            fold_beside(shared, list, held.fold, fold);
        }
    }
}

/// Builds a new base of layers, while deltas go on being laid over them.
fn fold_beside(shared: &Arc<Shared>, list: usize, number: u64, fold: crate::matcher::Fold) {
    let Some(indexer) = &shared.indexer else { return };
    let turn = Turn::begin(indexer, None);
    let shared = shared.clone();
    drop(tokio::task::spawn_blocking(move || {
        let built = fold.run().map(Box::new).map_err(|error| error.to_string());
        drop(fold);
        put(&shared, list, Work::Folded { fold: number, built }, false);
        drop(shared);
        drop(turn);
    }));
}
