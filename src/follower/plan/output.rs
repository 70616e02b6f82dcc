//! When outputs are written and the reload command is run: at once after a quiet time, else together with what comes
//! in the same second.

use super::{Action, Backoff, Ctx, Moment, Timings, Written};

#[derive(Clone, Debug)]
pub(super) struct Output {
    due: bool,
    writing: bool,
    failed: bool,
    not_before: Moment,
    backoff: Backoff,
}

impl Output {
    pub(super) fn new(due: bool, timings: &Timings) -> Output {
        let backoff = Backoff::new(timings.retry_first, timings.retry_most);
        Output { due, writing: false, failed: false, not_before: Moment::ZERO, backoff }
    }

    pub(super) fn need(&mut self) {
        self.due = true;
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

    /// `ready`: there is verified content. Without it nothing is ever written.
    pub(super) fn begin(&mut self, ctx: &mut Ctx<'_>, list: usize, ready: bool) {
        if self.due && !self.writing && ready && ctx.now >= self.not_before {
            self.due = false;
            self.writing = true;
            ctx.out.push(Action::WriteOutput { list });
        }
    }

    pub(super) fn written(&mut self, ctx: &mut Ctx<'_>, how: Written) {
        self.writing = false;
        self.failed = how == Written::Failed;
        match how {
            Written::Failed => {
                self.due = true;
                self.not_before = ctx.now + self.backoff.fail(ctx.jitter);
            }
            // Waits for the repair, not for a time.
            Written::Damaged => self.due = true,
            Written::Changed | Written::Unchanged => {
                self.backoff.reset();
                self.not_before = ctx.now + ctx.timings.coalesce;
            }
        }
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
}

impl Reload {
    pub(super) const fn new(due: bool) -> Reload {
        Reload { due, running: false, not_before: Moment::ZERO }
    }

    pub(super) fn need(&mut self) {
        self.due = true;
    }

    pub(super) const fn open(&self) -> bool {
        self.due || self.running
    }

    /// Waits while an output is being written: one reload for all of them.
    pub(super) fn begin(&mut self, ctx: &mut Ctx<'_>, writing: bool) {
        if self.due && !self.running && !writing && ctx.now >= self.not_before {
            self.due = false;
            self.running = true;
            ctx.out.push(Action::Reload);
        }
    }

    /// A reload that failed is run again with the next change, not before: what failed once would fail again now.
    pub(super) fn ended(&mut self, ctx: &Ctx<'_>) {
        self.running = false;
        self.not_before = ctx.now + ctx.timings.coalesce;
    }

    pub(super) fn wake(&self) -> Moment {
        if self.due && !self.running { self.not_before } else { Moment::MAX }
    }
}
