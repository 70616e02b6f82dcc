//! Does what the plan says, and tells it what became of it.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use crate::list::Serial;
use crate::store::write_file_atomic;

use super::events::{self, Numbered};
use super::fetch::HeadAnswer;
use super::jobs::{self, Job, accept_if_newer, on_state};
use super::plan::{Action, Event, JobEnd, Plan, Round, Via};
use super::shared::{Heard, Shared, lock};
use super::{FollowError, index, output, status};

/// Events that may wait for the engine; a stream that brings more is read later.
const WAITING: usize = 64;
/// Least time between two writes of the status.
const STATUS_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Engine {
    shared: Arc<Shared>,
    plan: Plan,
    begun: Instant,
    to: Sender<Numbered>,
    from: Receiver<Numbered>,
    tasks: JoinSet<()>,
    /// Heads that are being remembered: short, local, and not given up at the end.
    remembering: JoinSet<()>,
    /// The open stream and its number; events of earlier ones are passed over. 0: of no stream.
    stream: Option<AbortHandle>,
    stream_number: u64,
    /// When to write the status, if it has changed.
    status_due: Option<Instant>,
    status_next: Instant,
    /// How often stock was taken.
    stocks: u64,
}

impl Engine {
    pub fn new(shared: Arc<Shared>, plan: Plan) -> Engine {
        let (to, from) = mpsc::channel(WAITING);
        let now = Instant::now();
        Engine {
            shared,
            plan,
            begun: now,
            to,
            from,
            tasks: JoinSet::new(),
            remembering: JoinSet::new(),
            stream: None,
            stream_number: 0,
            status_due: Some(now),
            status_next: now,
            stocks: 0,
        }
    }

    /// Runs until `shutdown` is ready, or until `done` says so.
    pub async fn run(&mut self, shutdown: impl Future<Output = ()>, done: impl Fn(&Plan) -> bool) {
        tokio::pin!(shutdown);
        index::begin(&self.shared);
        self.handle(Event::Timer);
        while !done(&self.plan) {
            let wake = self.begun.checked_add(self.plan.wake()).unwrap_or_else(|| self.begun + Duration::from_secs(86_400));
            tokio::select! {
                () = &mut shutdown => break,
                Some((number, event)) = self.from.recv() => {
                    if number == 0 || number == self.stream_number {
                        self.handle(event);
                    }
                }
                Some(_) = self.tasks.join_next(), if !self.tasks.is_empty() => {}
                Some(_) = self.remembering.join_next(), if !self.remembering.is_empty() => {}
                () = sleep_until(wake) => self.handle(Event::Timer),
                () = sleep_until(self.status_due.unwrap_or(wake)), if self.status_due.is_some() => {
                    let write = self.stock();
                    // Not waited for: heads go on meanwhile.
                    drop(tokio::task::spawn_blocking(write));
                }
            }
        }
        self.tasks.abort_all();
        while self.tasks.join_next().await.is_some() {}
        while self.remembering.join_next().await.is_some() {}
        let write = self.stock();
        let _ = tokio::task::spawn_blocking(write).await;
    }

    /// By list, whether its round ended well.
    pub fn rounds(&self) -> Vec<bool> {
        (0..self.shared.lists.len()).map(|list| self.plan.round(list) == Round::Done).collect()
    }

    fn handle(&mut self, event: Event) {
        if let Event::PushLost { .. } = event {
            self.stream = None;
        }
        if let Event::Head { list, facts, .. } = event {
            self.remember(list, facts.serial);
        }
        let now = self.begun.elapsed();
        for action in self.plan.on(now, event) {
            self.perform(action);
        }
        if !matches!(event, Event::Timer) && self.status_due.is_none() {
            self.status_due = Some(self.status_next.max(Instant::now()));
        }
    }

    /// A head of the version that is there already (the heartbeat) is remembered too, so that a restart knows it is fresh.
    fn remember(&mut self, list: usize, serial: u64) {
        let followed = &self.shared.lists[list];
        if lock(&followed.known).serial != Some(serial) {
            return;
        }
        let Some((head, _)) = lock(&followed.heads).of(serial) else { return };
        let shared = self.shared.clone();
        self.remembering.spawn(async move {
            let remembered = on_state(&shared, list, move |_, state| accept_if_newer(state, &head)).await;
            if let Err(error) = remembered {
                tracing::warn!(list = %shared.lists[list].choice.id, "could not remember a head: {error}");
            }
        });
    }

    fn spawn(&mut self, work: impl Future<Output = Event> + Send + 'static) {
        let to = self.to.clone();
        self.tasks.spawn(async move {
            let event = work.await;
            // Closed only when the engine is gone.
            let _ = to.send((0, event)).await;
        });
    }

    fn job(&mut self, list: usize, to: u64, job: Job) {
        let shared = self.shared.clone();
        self.spawn(async move {
            // A job that panicked must not leave the plan waiting for ever.
            let end = tokio::spawn(jobs::run(shared, list, to, job)).await.unwrap_or(JobEnd::Local);
            Event::Job { list, end }
        });
    }

    fn perform(&mut self, action: Action) {
        let shared = self.shared.clone();
        match action {
            Action::OpenPush { mirror } => {
                self.stream_number += 1;
                let task = events::run(shared, mirror, self.stream_number, self.to.clone());
                self.stream = Some(self.tasks.spawn(task));
            }
            Action::ClosePush => {
                self.stream_number += 1;
                if let Some(stream) = self.stream.take() {
                    stream.abort();
                }
            }
            Action::Ask { list, mirror, wait } => self.spawn(ask(shared, list, mirror, wait)),
            Action::FetchKeys { mirror } => self.spawn(fetch_keys(shared, mirror)),
            Action::ApplyInline { list, to } => self.job(list, to, Job::Inline),
            Action::FetchDelta { list, mirror, to, at_most, .. } => self.job(list, to, Job::Delta { mirror, at_most }),
            Action::MeasureSnapshot { list, mirror, to } => self.job(list, to, Job::Measure { mirror }),
            Action::FetchSnapshot { list, mirror, to } => self.job(list, to, Job::Snapshot { mirror }),
            Action::Repair { list, mirror, to } => self.job(list, to, Job::Repair { mirror }),
            Action::Fold { list } => self.spawn(async move { Event::Folded { list, ok: jobs::fold_list(shared, list).await } }),
            Action::WriteOutput { output } => self.spawn(async move {
                let written = shared.clone();
                let work = jobs::blocking(move || {
                    let begun = Instant::now();
                    let how = output::write_output(&shared, output);
                    Ok((how, begun.elapsed()))
                });
                let (how, took) = work.await.unwrap_or((super::plan::Written::Failed, Duration::ZERO));
                if let Some(list) = written.outputs.all[output].text_of() {
                    index::output_written(&written, list);
                }
                Event::Written { output, how, took }
            }),
            Action::Reload { reload } => self.spawn(async move {
                let begun = Instant::now();
                let again = output::reload(shared, reload).await;
                Event::Reloaded { reload, took: begun.elapsed(), again }
            }),
            Action::SayStale { list } => {
                let id = &shared.lists[list].choice.id;
                tracing::warn!(list = %id, "stale: no fresh head; filtering goes on with what is there");
            }
            Action::SayFresh { list } => tracing::info!(list = %shared.lists[list].choice.id, "fresh again"),
        }
    }

    /// Takes stock for the status, and says what to do to write it.
    fn stock(&mut self) -> impl FnOnce() + Send + 'static {
        self.status_due = None;
        self.status_next = Instant::now() + STATUS_EVERY;
        let mode = self.plan.mode();
        let status = status::take_stock(&self.shared, |list| (self.plan.mirror(list), mode));
        self.stocks += 1;
        let (shared, number) = (self.shared.clone(), self.stocks);
        move || {
            // One at a time, so that an older one never comes last.
            let mut newest = lock(&shared.status_written);
            if *newest > number {
                return;
            }
            *newest = number;
            let written = serde_json::to_vec_pretty(&status)
                .map_err(|e| FollowError::Unexpected(e.to_string()))
                .and_then(|text| Ok(write_file_atomic(&*shared.disk, &status::path_in(&shared.dir), &text)?));
            if let Err(error) = written {
                tracing::warn!("could not write the status: {error}");
            }
        }
    }
}

/// Asks for the newest head and has it verified.
async fn ask(shared: Arc<Shared>, list: usize, mirror: usize, wait: bool) -> Event {
    let id = &shared.lists[list].choice.id;
    let etag = lock(&shared.lists[list].heads).etags.get(&mirror).cloned();
    let asked_at = shared.accepted_serial(list);
    let wait = wait.then(|| (shared.client.limits.long_poll, asked_at.map_or(0, Serial::get)));
    match shared.client.head(mirror, id, etag.as_ref(), wait).await {
        Ok(HeadAnswer::Same { max_age }) => {
            lock(&shared.lists[list].notes).checked = Some(shared.clock.now());
            Event::Same { list, max_age }
        }
        Ok(HeadAnswer::Note { note, etag, max_age }) => match shared.hear(list, mirror, &note, None, asked_at) {
            Heard::Verified(facts) => {
                if let Some(etag) = etag {
                    lock(&shared.lists[list].heads).etags.insert(mirror, etag);
                }
                Event::Head { list, mirror, via: Via::Answer { max_age }, facts }
            }
            Heard::Known => Event::Same { list, max_age },
            Heard::Refused(why) => Event::HeadRefused { list, mirror, push: false, why },
        },
        Err(error) => {
            tracing::info!(list = %id, "{error}");
            shared.failed(list, &error);
            let wait = match error {
                FollowError::Transport { retry_after, .. } => retry_after.map(Duration::from_secs),
                _ => None,
            };
            Event::AskFailed { list, mirror, wait }
        }
    }
}

async fn fetch_keys(shared: Arc<Shared>, mirror: usize) -> Event {
    let mut keyring = shared.keyring.lock().await;
    let fetched = keyring.fetch(&shared.client, mirror).await;
    // Key sets that were verified before an error are in force all the same.
    *shared.trusted.write().unwrap_or_else(std::sync::PoisonError::into_inner) = keyring.newest();
    match fetched {
        Ok(newer) => {
            *lock(&shared.keys_checked) = Some(shared.clock.now());
            (0..shared.lists.len()).filter(|_| newer).for_each(|list| index::facts(&shared, list));
            if newer && let Some(trusted) = shared.trusted() {
                tracing::info!(origin = %trusted.origin(), keyset = trusted.keyset().number, "a key set came into force");
            }
            Event::Keys(Some(newer))
        }
        Err(error) => {
            tracing::warn!(mirror = %shared.client.name(mirror), "key sets: {error}");
            for list in 0..shared.lists.len() {
                shared.failed(list, &error);
            }
            Event::Keys(None)
        }
    }
}

/// Whether one round is over for every list.
pub(super) fn round_over(plan: &Plan, lists: usize) -> bool {
    (0..lists).all(|list| plan.round(list) != Round::Open) && !plan.reload_open()
}
