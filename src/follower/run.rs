//! The follower as a whole: opens its folder, then follows until told to stop, or makes one round.

use std::{
    collections::BTreeSet,
    future::Future,
    path::Path,
    sync::{Arc, Mutex, RwLock},
    time::Duration,
};

use serde::Serialize;

use crate::list::ListId;
use crate::matcher::Matcher;
use crate::store::{Clock, Disk, FolderLock, RealDisk, create_folder};

use super::client::Client;
use super::engine::{Engine, round_over};
use super::index::{self, Indexer};
use super::keyring::KeyRing;
use super::output::{DeliveryNotes, OutputNotes, Outputs};
use super::plan::{ListStart, Mode, OutputStart, Plan, PlanOptions};
use super::shared::{FollowedList, Heads, Known, Notes, Shared, lock};
use super::state::ListState;
use super::status::Health;
use super::{Deliver, FollowError, FollowerOptions, output, status};

/// Lists at most (docs/PROTOCOL.md section 12).
const MOST_LISTS: usize = 64;

/// A follower with its folder open and locked.
#[derive(Debug)]
pub struct Follower {
    shared: Arc<Shared>,
    starts: Vec<ListStart>,
    outputs: Vec<OutputStart>,
    keys_due: Option<Duration>,
}

/// How one list stands after a round.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct PulledList {
    /// Its name.
    pub list: ListId,
    /// The serial of its content.
    pub serial: Option<u64>,
    /// Its content changed in this round.
    pub changed: bool,
    /// Fresh, stale or empty.
    pub health: Health,
    /// The round failed: why.
    pub error: Option<String>,
    /// What was offered was not genuine, and nobody offered anything better.
    pub refused: bool,
}

/// What one round brought.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct PullReport {
    /// By list, in the order of the options.
    pub lists: Vec<PulledList>,
    /// Files for filters that could not be written, and reloads that failed: why.
    pub failures: Vec<String>,
    /// Octets received.
    pub received: u64,
}

impl PullReport {
    /// Whether any content changed.
    pub fn changed(&self) -> bool {
        self.lists.iter().any(|l| l.changed)
    }

    /// Whether all is current and fresh: exit code 0.
    pub fn good(&self) -> bool {
        self.failures.is_empty() && self.lists.iter().all(|l| l.error.is_none() && l.health == Health::Fresh)
    }

    /// Whether verification failed for a list: exit code 3.
    pub fn refused(&self) -> bool {
        self.lists.iter().any(|l| l.refused)
    }

    /// Whether a list is stale: exit code 4 (unless 3 is due).
    pub fn stale(&self) -> bool {
        self.lists.iter().any(|l| l.health == Health::Stale)
    }
}

fn check(options: &FollowerOptions) -> Result<(), FollowError> {
    let wrong = |text: String| Err(FollowError::Options(text));
    if options.lists.is_empty() || options.lists.len() > MOST_LISTS {
        return wrong(format!("{} lists to follow; name 1 to {MOST_LISTS}", options.lists.len()));
    }
    let mut names = BTreeSet::new();
    let mut outputs = BTreeSet::new();
    for choice in &options.lists {
        if !names.insert(&choice.id) {
            return wrong(format!("list {} is named twice", choice.id));
        }
        if let Some(path) = &choice.output
            && (path.file_name().is_none() || !outputs.insert(path))
        {
            return wrong(format!("{} cannot be the output of list {}; name a file of its own", path.display(), choice.id));
        }
    }
    for choice in &options.outputs {
        let path = &choice.file;
        if path.file_name().is_none() || !outputs.insert(path) {
            return wrong(format!("{} cannot be an output; name a file that no other output is written to", path.display()));
        }
    }
    let commands = options.outputs.iter().filter_map(|o| o.deliver.as_ref());
    let empty = commands.into_iter().any(|d| matches!(d, Deliver::Command(words) if words.is_empty()));
    if empty || options.reload.as_ref().is_some_and(Vec::is_empty) {
        return wrong("the reload command is empty; name a program and its arguments, or leave it out".into());
    }
    Ok(())
}

impl Follower {
    /// Opens the follower's folder, which is made if it is not there, repairing what a crash left. Nothing is asked of anybody yet.
    ///
    /// # Errors
    /// [`FollowError`]: options that cannot be used, a folder another process works on, a trust chain that does not hold.
    pub fn open(dir: &Path, options: FollowerOptions, clock: Arc<dyn Clock>) -> Result<Follower, FollowError> {
        Follower::open_on(dir, options, clock, Arc::new(RealDisk))
    }

    /// As [`Follower::open`], on a disk of the caller's.
    ///
    /// # Errors
    /// As [`Follower::open`].
    pub fn open_on(dir: &Path, options: FollowerOptions, clock: Arc<dyn Clock>, disk: Arc<dyn Disk>) -> Result<Follower, FollowError> {
        check(&options)?;
        let outputs = Outputs::of(&options)?;
        let client = Client::new(&options.urls, &options.tls, &options.limits)?;
        create_folder(&*disk, dir)?;
        let held = FolderLock::take(dir)?;
        let now = clock.now();
        let before = status::status(dir, now).ok();
        let keyring = KeyRing::open(&dir.join("trust"), options.trust, disk.clone())?;
        let trusted = keyring.newest();
        let checked = before.as_ref().and_then(|s| s.keys_checked);
        let every = options.timings.keys;
        let keys_due = trusted.as_ref().map(|_| every.saturating_sub(Duration::from_secs(checked.map_or(u64::MAX, |at| now.since(at)))));
        let (mut lists, mut starts) = (Vec::new(), Vec::new());
        for choice in &options.lists {
            let folder = Shared::folder_of_list(dir, choice);
            let (state, found) = ListState::open(&folder, &choice.id, disk.clone())?;
            for mended in &found.mended {
                tracing::warn!(list = %choice.id, "{mended}");
            }
            if let Some(damage) = &found.damage {
                tracing::error!(list = %choice.id, "damaged, to be repaired from the publisher: {damage}");
            }
            let accepted = state.accepted().cloned();
            starts.push(ListStart {
                have: state.serial().map(crate::list::Serial::get),
                whole: found.damage.is_none(),
                fresh_for: Duration::from_secs(accepted.as_ref().map_or(0, |a| a.accepted.head.expires.since(now))),
                fold_due: state.fold_due(),
            });
            let old = before.as_ref().and_then(|s| s.lists.iter().find(|l| l.list == choice.id));
            let notes = Notes {
                checked: old.and_then(|l| l.checked),
                applied: old.and_then(|l| l.applied),
                damaged: found.damage.is_some(),
                ..Notes::default()
            };
            lists.push(FollowedList {
                choice: choice.clone(),
                dir: folder,
                known: Mutex::new(Known::of(&state)),
                state: Mutex::new(state),
                heads: Mutex::new(Heads { accepted, ..Heads::default() }),
                notes: Mutex::new(notes),
                partial: Mutex::new(None),
            });
        }
        let indexer = options.index.then(|| {
            let origin = trusted.as_ref().map(|t| t.origin());
            let states = lists.iter().map(|list: &FollowedList| {
                let text_due = list.choice.output.as_ref().is_some_and(|path| {
                    let view = lock(&list.state).view();
                    view.is_some_and(|v| !output::is_current(&v, path))
                });
                (index::state_of(&lock(&list.known), index::unknown(&list.choice, origin), None), text_due)
            });
            Arc::new(Indexer::open(dir, &states.collect::<Vec<_>>()))
        });
        if !options.index {
            // Old ones would go on answering.
            let _ = std::fs::remove_dir_all(dir.join("index"));
        }
        let options_outputs = options.outputs.len();
        let shared = Shared {
            dir: dir.to_owned(),
            _lock: held,
            options,
            client,
            clock,
            disk,
            keyring: tokio::sync::Mutex::new(keyring),
            trusted: RwLock::new(trusted),
            keys_checked: Mutex::new(checked),
            lists,
            indexer,
            written: Mutex::new(vec![OutputNotes::default(); options_outputs]),
            delivered: Mutex::new(vec![DeliveryNotes::default(); outputs.deliveries.len()]),
            outputs,
            status_written: Mutex::new(0),
        };
        let outputs = shared.outputs.starts(&shared);
        Ok(Follower { shared: Arc::new(shared), starts, outputs, keys_due })
    }

    /// What answers questions about the lists: kept up to date while the follower runs, usable from any thread, before and
    /// afterwards too. `None` if the options say that no index is kept.
    pub fn matcher(&self) -> Option<Arc<Matcher>> {
        self.shared.indexer.as_ref().map(|indexer| indexer.matcher.clone())
    }

    fn engine(&self, best: Mode) -> Engine {
        let mut seed = [0; 8];
        // Without randomness followers would only be in step with each other, which the waits bear.
        let _ = getrandom::fill(&mut seed);
        let plan = Plan::new(PlanOptions {
            mirrors: self.shared.client.mirrors(),
            lists: self.starts.clone(),
            best,
            keys_due: self.keys_due,
            outputs: self.outputs.clone(),
            reloads: self.shared.outputs.due(&self.shared.dir),
            timings: self.shared.options.timings.clone(),
            seed: u64::from_le_bytes(seed),
        });
        Engine::new(self.shared.clone(), plan)
    }

    /// Follows until `shutdown` is ready. What fails is said and tried again; nothing ends it but `shutdown`.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let best = if self.shared.options.push { Mode::Push } else { Mode::Poll };
        let shared = self.shared.clone();
        self.engine(best).run(shutdown, |_| false).await;
        index::stop(&shared).await;
    }

    /// One round: brings every list to the newest version that an address has, writes outputs, reloads, and ends.
    pub async fn pull(self) -> PullReport {
        let lists = self.shared.lists.len();
        let mut engine = self.engine(Mode::Poll);
        engine.run(tokio::time::sleep(self.shared.options.limits.pull), |plan| round_over(plan, lists)).await;
        index::finish(&self.shared).await;
        let rounds = engine.rounds();
        let status = status::take_stock(&self.shared, |_| (0, Mode::Poll));
        let failures = status.failures();
        let lists = status.lists.into_iter().zip(&self.shared.lists).zip(rounds).map(|((l, followed), ok)| {
            let notes = lock(&followed.notes);
            let error = (!ok).then(|| l.error.map_or_else(|| "the round did not end in time".to_owned(), |e| e.message));
            PulledList { list: l.list, serial: l.serial, changed: notes.changed, health: l.health, error, refused: !ok && notes.refused }
        });
        PullReport { lists: lists.collect(), failures, received: self.shared.client.received() }
    }
}
