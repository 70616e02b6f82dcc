//! When outputs are written and the reload command is run: at once as long as that is cheap, else with a pause that follows
//! from what the last time cost, so that what comes meanwhile is written together.
//!
//! Guarantees: a write begins no sooner than a pause after the one before it has ended, nor a pause after a reload; the
//! same reload never runs twice at once, and no sooner than a pause after the last time; what came last is written,
//! and a change that was written is followed by a reload, however quickly further ones come.

use std::time::Duration;

use super::{Action, Backoff, Ctx, Moment, OutputStart, Timings, Written};

/// Of the time a write and its reload took, this much costs nothing: a small file, two fsyncs.
pub(super) const FREE: Duration = Duration::from_millis(5);
/// The pause is this many times the rest.
pub(super) const PAUSES: u32 = 10;

/// How long to rest after something that took so long: a disk is kept busy for at most about a tenth of the time, until
/// `pause_most` is less than that.
pub(super) fn pause(took: Duration, timings: &Timings) -> Duration {
    took.saturating_sub(FREE).saturating_mul(PAUSES).min(timings.pause_most)
}

#[derive(Clone, Debug)]
pub(super) struct Output {
    /// The lists it holds.
    lists: Vec<usize>,
    /// What is to be run when it has been replaced.
    reload: Option<usize>,
    due: bool,
    writing: bool,
    failed: bool,
    /// What the last write took.
    took: Duration,
    not_before: Moment,
    backoff: Backoff,
}

impl Output {
    pub(super) fn new(start: &OutputStart, timings: &Timings) -> Output {
        let backoff = Backoff::new(timings.retry_first, timings.retry_most);
        let (lists, reload, due) = (start.lists.clone(), start.reload, start.due);
        Output { lists, reload, due, writing: false, failed: false, took: Duration::ZERO, not_before: Moment::ZERO, backoff }
    }

    pub(super) fn need(&mut self) {
        self.due = true;
    }

    pub(super) fn holds(&self, list: usize) -> bool {
        self.lists.contains(&list)
    }

    pub(super) fn lists(&self) -> &[usize] {
        &self.lists
    }

    pub(super) const fn reload(&self) -> Option<usize> {
        self.reload
    }

    pub(super) const fn writing(&self) -> bool {
        self.writing
    }

    pub(super) const fn failed(&self) -> bool {
        self.failed
    }

    pub(super) const fn open(&self) -> bool {
        self.due || self.writing
    }

    /// `ready`: there is verified content of each list, and its reload does not wait for its turn. Without content nothing is
    /// ever written.
    pub(super) fn begin(&mut self, ctx: &mut Ctx<'_>, output: usize, ready: bool) {
        if self.due && !self.writing && ready && ctx.now >= self.not_before {
            self.due = false;
            self.writing = true;
            ctx.out.push(Action::WriteOutput { output });
        }
    }

    pub(super) fn written(&mut self, ctx: &mut Ctx<'_>, how: Written, took: Duration) {
        self.writing = false;
        self.failed = how == Written::Failed;
        self.took = took;
        match how {
            Written::Failed => {
                self.due = true;
                self.not_before = ctx.now + self.backoff.fail(ctx.jitter).max(pause(took, ctx.timings));
            }
            // Waits for the repair, not for a time.
            Written::Damaged { .. } => self.due = true,
            Written::Changed | Written::Unchanged => {
                self.backoff.reset();
                self.rest(ctx, took);
            }
        }
    }

    /// The next write is followed by a reload like the one that has ended: both together make the pause.
    pub(super) fn reloaded(&mut self, ctx: &Ctx<'_>, took: Duration) {
        self.rest(ctx, self.took + took);
    }

    fn rest(&mut self, ctx: &Ctx<'_>, after: Duration) {
        self.not_before = self.not_before.max(ctx.now + pause(after, ctx.timings));
    }

    pub(super) fn wake(&self, ready: bool) -> Moment {
        if self.due && !self.writing && ready { self.not_before } else { Moment::MAX }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Reload {
    due: bool,
    running: bool,
    not_before: Moment,
    /// Of those that are tried again by themselves.
    backoff: Backoff,
}

impl Reload {
    pub(super) fn new(due: bool, timings: &Timings) -> Reload {
        Reload { due, running: false, not_before: Moment::ZERO, backoff: Backoff::new(timings.retry_first, timings.retry_most) }
    }

    pub(super) fn need(&mut self) {
        self.due = true;
    }

    /// Whether it is under way or due; not while it waits after a failure.
    pub(super) const fn open(&self) -> bool {
        self.running || (self.due && self.backoff.failures() == 0)
    }

    /// Whether it would begin if nothing were being written. No write begins then, or with lists that change often the
    /// reload's turn would never come.
    pub(super) fn waits(&self, now: Moment) -> bool {
        self.due && !self.running && now >= self.not_before
    }

    /// Waits while an output of it is being written: one reload for all of them.
    pub(super) fn begin(&mut self, ctx: &mut Ctx<'_>, reload: usize, writing: bool) {
        if self.waits(ctx.now) && !writing {
            self.due = false;
            self.running = true;
            ctx.out.push(Action::Reload { reload });
        }
    }

    /// A command that failed is run again with the next change, not before: what failed once would fail again now. `again`: it
    /// is tried again by itself, later each time.
    pub(super) fn ended(&mut self, ctx: &mut Ctx<'_>, took: Duration, again: bool) {
        self.running = false;
        self.not_before = ctx.now + pause(took, ctx.timings);
        if again {
            self.due = true;
            self.not_before = self.not_before.max(ctx.now + self.backoff.fail(ctx.jitter));
        } else {
            self.backoff.reset();
        }
    }

    pub(super) fn wake(&self) -> Moment {
        if self.due && !self.running { self.not_before } else { Moment::MAX }
    }
}
