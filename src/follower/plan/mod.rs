//! What a follower does next: a state machine without I/O, without a clock and without async. Events go in, actions
//! come out; time is a number the caller gives.
//!
//! Guarantees, each held by a property test in `tests/`: only a version whose head was verified is ever worked
//! towards; the serial never goes back; there is always something under way or a moment at which something begins, so
//! no sequence of failures leaves the follower dumb; waits grow and are bounded; push falls back to long poll and to
//! polling and comes back; a bad delta is answered by repair, then by the snapshot, then by another address, and after
//! all of them by keeping what is there and trying again later.
//!
//! It verifies nothing itself (the caller does, by `trust`) and does not know what a list contains.

mod action;
mod backoff;
mod event;
mod keys;
mod ladder;
mod link;
mod list;
mod output;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use action::Action;
pub use backoff::{Backoff, Jitter};
pub use event::{Event, HeadFacts, JobEnd, Refused, Via, Written};

use keys::Keys;
use link::Link;
use list::{ListPlan, OutputsOf};
use output::{Output, Reload};

/// A point in time: since the plan was made, by a clock that only goes forward.
pub type Moment = Duration;

/// How a follower hears of new heads.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Server-sent events.
    Push,
    /// A request that the publisher answers when there is something new.
    LongPoll,
    /// A request now and then.
    Poll,
}

/// How long things may take and how often they happen. The defaults suit a follower on the open Internet.
#[derive(Clone, Debug)]
pub struct Timings {
    /// First wait after a failure.
    pub retry_first: Duration,
    /// Longest wait after failures; also the longest `Retry-After` that is honoured.
    pub retry_most: Duration,
    /// Between polls when the publisher does not say.
    pub poll: Duration,
    /// Shortest time between polls whatever the publisher says.
    pub poll_least: Duration,
    /// Between cross-checks by a plain request while push works; finds an address that holds heads back.
    pub cross_check: Duration,
    /// First wait before push is tried again after a fall-back; doubles up to `retry_most`.
    pub push_again: Duration,
    /// An event stream that lasted this long counts as working.
    pub push_stable: Duration,
    /// Before the first plain request while a stream is being opened or has not yet brought an octet.
    pub push_grace: Duration,
    /// Between looks for a newer key set.
    pub keys: Duration,
    /// Longest pause between two writes of one output, and between two reloads. The pause is ten times what they took
    /// beyond 5 ms, so that a small list is written at once and a huge one does not keep a disk busy.
    pub pause_most: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Timings {
            retry_first: Duration::from_secs(1),
            retry_most: Duration::from_secs(900),
            poll: Duration::from_secs(60),
            poll_least: Duration::from_secs(5),
            cross_check: Duration::from_secs(3_600),
            push_again: Duration::from_secs(60),
            push_stable: Duration::from_secs(30),
            push_grace: Duration::from_secs(2),
            keys: Duration::from_secs(86_400),
            pause_most: Duration::from_secs(1),
        }
    }
}

/// Where a list stands when the plan is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListStart {
    /// The serial of the content on disk.
    pub have: Option<u64>,
    /// Whether that content can be used as it is; `false`: it must be repaired first.
    pub whole: bool,
    /// How long the newest accepted head is still fresh; zero when it is stale or there is none.
    pub fresh_for: Duration,
    /// The log has outgrown the base.
    pub fold_due: bool,
}

/// Where an output stands when the plan is made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutputStart {
    /// The lists it holds, by their place in [`PlanOptions::lists`]. It is written when each of them has content.
    pub lists: Vec<usize>,
    /// It is missing or of other versions.
    pub due: bool,
    /// What is to be run when it has been replaced, by its place in [`PlanOptions::reloads`].
    pub reload: Option<usize>,
}

/// What the plan needs to know.
#[derive(Clone, Debug)]
pub struct PlanOptions {
    /// Number of addresses, at least 1; they are tried in order.
    pub mirrors: usize,
    /// The lists; events and actions name them by their place here.
    pub lists: Vec<ListStart>,
    /// The best mode to use.
    pub best: Mode,
    /// When to look for a newer key set; `None`: there is none yet, nothing else can begin.
    pub keys_due: Option<Duration>,
    /// The outputs; events and actions name them by their place here.
    pub outputs: Vec<OutputStart>,
    /// The reloads: whether each was due when the process ended last time.
    pub reloads: Vec<bool>,
    /// Timings.
    pub timings: Timings,
    /// Seed of the jitter.
    pub seed: u64,
}

/// How one round stands for a list, for a follower that makes one round and exits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Round {
    /// Not finished.
    Open,
    /// The newest version is there and written out.
    Done,
    /// Every address failed.
    Failed,
}

/// What is shared by the parts of the plan while an event is handled.
struct Ctx<'a> {
    now: Moment,
    timings: &'a Timings,
    jitter: &'a mut Jitter,
    mirrors: usize,
    out: &'a mut Vec<Action>,
}

/// The state machine.
#[derive(Clone, Debug)]
pub struct Plan {
    timings: Timings,
    mirrors: usize,
    jitter: Jitter,
    link: Link,
    keys: Keys,
    lists: Vec<ListPlan>,
    outputs: Vec<Output>,
    reloads: Vec<Reload>,
    now: Moment,
}

impl Plan {
    /// The plan at its moment zero. Give it [`Event::Timer`] to begin.
    pub fn new(options: PlanOptions) -> Plan {
        let timings = options.timings;
        Plan {
            mirrors: options.mirrors.max(1),
            jitter: Jitter::new(options.seed),
            link: Link::new(options.best, &timings),
            keys: Keys::new(options.keys_due, &timings),
            lists: options.lists.iter().map(|start| ListPlan::new(start, options.best, &timings)).collect(),
            outputs: options.outputs.iter().map(|start| Output::new(start, &timings)).collect(),
            reloads: options.reloads.iter().map(|due| Reload::new(*due, &timings)).collect(),
            now: Duration::ZERO,
            timings,
        }
    }

    /// Takes in what happened at `now` (never earlier than before) and says what to do.
    pub fn on(&mut self, now: Moment, event: Event) -> Vec<Action> {
        self.now = now.max(self.now);
        let mut out = Vec::new();
        let mut ctx = Ctx { now: self.now, timings: &self.timings, jitter: &mut self.jitter, mirrors: self.mirrors, out: &mut out };
        let (link, keys, lists) = (&mut self.link, &mut self.keys, &mut self.lists);
        match event {
            Event::Timer => {}
            Event::PushOpened => link.opened(ctx.now),
            Event::PushHeard => {
                link.heard();
                lists.iter_mut().for_each(|l| l.push_works(&mut ctx));
            }
            Event::PushLost { wait } => {
                link.lost(&mut ctx, wait);
                lists.iter_mut().for_each(|l| l.ask_by(ctx.now + ctx.timings.push_grace));
            }
            Event::Keys(outcome) => {
                keys.ended(&mut ctx, outcome);
                lists.iter_mut().for_each(|l| l.keys_ended(&mut ctx, outcome));
            }
            Event::Reloaded { reload, took, again } => {
                if let Some(r) = self.reloads.get_mut(reload) {
                    r.ended(&mut ctx, took, again);
                }
                self.outputs.iter_mut().filter(|o| o.reload() == Some(reload)).for_each(|o| o.reloaded(&ctx, took));
            }
            Event::Written { output, how, took } => {
                if let Some(o) = self.outputs.get_mut(output) {
                    o.written(&mut ctx, how, took);
                    match how {
                        Written::Changed => o.reload().and_then(|r| self.reloads.get_mut(r)).into_iter().for_each(Reload::need),
                        Written::Damaged { list } => lists.get_mut(list).into_iter().for_each(|l| l.whole = false),
                        Written::Unchanged | Written::Failed => {}
                    }
                }
            }
            Event::Head { list, .. }
            | Event::HeadRefused { list, .. }
            | Event::Same { list, .. }
            | Event::AskFailed { list, .. }
            | Event::Job { list, .. }
            | Event::Folded { list, .. } => {
                if let Some(l) = lists.get_mut(list) {
                    l.on(&mut ctx, link, keys, event);
                }
            }
        }
        for (n, list) in lists.iter_mut().enumerate() {
            list.mind_freshness(&mut ctx, link, n);
        }
        keys.begin(&mut ctx);
        if keys.known() {
            link.begin(&mut ctx);
        }
        for (n, list) in lists.iter_mut().enumerate() {
            if std::mem::take(&mut list.changed) {
                self.outputs.iter_mut().filter(|o| o.holds(n)).for_each(Output::need);
            }
        }
        // The reloads first: what has been written is loaded before more is written.
        for (n, reload) in self.reloads.iter_mut().enumerate() {
            reload.begin(&mut ctx, n, self.outputs.iter().any(|o| o.writing() && o.reload() == Some(n)));
        }
        for (n, list) in lists.iter_mut().enumerate() {
            list.begin(&mut ctx, link, n, keys.known());
        }
        for (n, output) in self.outputs.iter_mut().enumerate() {
            let ready = may_write(output, lists, &self.reloads, ctx.now);
            output.begin(&mut ctx, n, ready);
        }
        out
    }

    /// When the plan wants [`Event::Timer`], at the latest. May be now. [`Moment::MAX`]: something is under way, and
    /// nothing begins before it ends.
    pub fn wake(&self) -> Moment {
        let known = self.keys.known();
        let link = if known { self.link.wake() } else { Moment::MAX };
        let lists = self.lists.iter().map(|l| l.wake(known)).min().unwrap_or(Moment::MAX);
        let outputs = self.outputs.iter().map(|o| o.wake(may_write(o, &self.lists, &self.reloads, self.now))).min();
        let writing = |n| self.outputs.iter().any(|o| o.writing() && o.reload() == Some(n));
        let reloads = self.reloads.iter().enumerate().filter(|(n, _)| !writing(*n)).map(|(_, r)| r.wake()).min();
        let outputs = outputs.unwrap_or(Moment::MAX).min(reloads.unwrap_or(Moment::MAX));
        self.keys.wake().min(link).min(lists).min(outputs).max(self.now)
    }

    /// How heads are heard of at present.
    pub fn mode(&self) -> Mode {
        self.link.mode(self.now)
    }

    /// The address in use for a list.
    pub fn mirror(&self, list: usize) -> usize {
        if self.link.push_works() { self.link.mirror() } else { self.lists.get(list).map_or(0, ListPlan::asks_at) }
    }

    /// How one round stands for a list.
    pub fn round(&self, number: usize) -> Round {
        let Some(list) = self.lists.get(number) else { return Round::Failed };
        if !self.keys.known() {
            return if self.keys.failures() as usize >= self.mirrors { Round::Failed } else { Round::Open };
        }
        if self.keys.busy() {
            return Round::Open;
        }
        let mut outputs = OutputsOf::default();
        for output in self.outputs.iter().filter(|o| o.holds(number)) {
            outputs.writing |= output.writing();
            outputs.failed |= output.failed();
            // One that waits for another list is that list's affair.
            outputs.open |= output.open() && (output.writing() || has_content(output, &self.lists));
        }
        list.round(self.mirrors, outputs)
    }

    /// Whether a reload is under way or due.
    pub fn reload_open(&self) -> bool {
        self.reloads.iter().any(Reload::open)
    }
}

/// Whether each list of an output has content that may be written out.
fn has_content(output: &Output, lists: &[ListPlan]) -> bool {
    output.lists().iter().all(|list| lists.get(*list).is_some_and(ListPlan::ready))
}

/// Whether an output may be begun now: not while its reload waits for its turn, or that turn would never come.
fn may_write(output: &Output, lists: &[ListPlan], reloads: &[Reload], now: Moment) -> bool {
    has_content(output, lists) && !output.reload().and_then(|r| reloads.get(r)).is_some_and(|r| r.waits(now))
}
