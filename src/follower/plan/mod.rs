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
use list::ListPlan;
use output::Reload;

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
    /// The output file is missing or of another version.
    pub output_due: bool,
    /// The log has outgrown the base.
    pub fold_due: bool,
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
    /// A reload command was due when the process ended last time.
    pub reload_due: bool,
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
    reload: Reload,
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
            reload: Reload::new(options.reload_due),
            now: Duration::ZERO,
            timings,
        }
    }

    /// Takes in what happened at `now` (never earlier than before) and says what to do.
    pub fn on(&mut self, now: Moment, event: Event) -> Vec<Action> {
        self.now = now.max(self.now);
        let mut out = Vec::new();
        let mut ctx = Ctx { now: self.now, timings: &self.timings, jitter: &mut self.jitter, mirrors: self.mirrors, out: &mut out };
        let (link, keys, lists, reload) = (&mut self.link, &mut self.keys, &mut self.lists, &mut self.reload);
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
            Event::Reloaded { took } => {
                reload.ended(&ctx, took);
                lists.iter_mut().for_each(|l| l.output.reloaded(&ctx, took));
            }
            Event::Head { list, .. }
            | Event::HeadRefused { list, .. }
            | Event::Same { list, .. }
            | Event::AskFailed { list, .. }
            | Event::Job { list, .. }
            | Event::Folded { list, .. }
            | Event::Written { list, .. } => {
                if let Some(l) = lists.get_mut(list) {
                    l.on(&mut ctx, link, keys, reload, event);
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
        // The reload first: what has been written is loaded before more is written.
        reload.begin(&mut ctx, lists.iter().any(|l| l.output.writing()));
        let held = reload.waits(ctx.now);
        for (n, list) in lists.iter_mut().enumerate() {
            list.begin(&mut ctx, link, n, keys.known(), held);
        }
        out
    }

    /// When the plan wants [`Event::Timer`], at the latest. May be now. [`Moment::MAX`]: something is under way, and
    /// nothing begins before it ends.
    pub fn wake(&self) -> Moment {
        let known = self.keys.known();
        let link = if known { self.link.wake() } else { Moment::MAX };
        let held = self.reload.waits(self.now);
        let lists = self.lists.iter().map(|l| l.wake(known, held)).min().unwrap_or(Moment::MAX);
        let writing = self.lists.iter().any(|l| l.output.writing());
        let reload = if writing { Moment::MAX } else { self.reload.wake() };
        self.keys.wake().min(link).min(lists).min(reload).max(self.now)
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
    pub fn round(&self, list: usize) -> Round {
        let Some(list) = self.lists.get(list) else { return Round::Failed };
        if !self.keys.known() {
            return if self.keys.failures() as usize >= self.mirrors { Round::Failed } else { Round::Open };
        }
        if self.keys.busy() {
            return Round::Open;
        }
        list.round(self.mirrors)
    }

    /// Whether a reload is under way or due.
    pub fn reload_open(&self) -> bool {
        self.reload.open()
    }
}
