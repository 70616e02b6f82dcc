//! When to look for a newer key set: at least daily, and when a head names a higher one.

use std::time::Duration;

use super::{Action, Backoff, Ctx, Moment, Timings};

#[derive(Clone, Debug)]
pub(super) struct Keys {
    known: bool,
    busy: bool,
    next: Moment,
    /// No look before this, whatever heads say.
    not_before: Moment,
    mirror: usize,
    backoff: Backoff,
}

impl Keys {
    pub(super) fn new(due: Option<Duration>, timings: &Timings) -> Keys {
        Keys {
            known: due.is_some(),
            busy: false,
            next: due.unwrap_or(Duration::ZERO),
            not_before: Duration::ZERO,
            mirror: 0,
            backoff: Backoff::new(timings.retry_first, timings.retry_most),
        }
    }

    /// Whether there is a trusted key set; nothing can be verified without.
    pub(super) const fn known(&self) -> bool {
        self.known
    }

    pub(super) const fn busy(&self) -> bool {
        self.busy
    }

    pub(super) const fn failures(&self) -> u32 {
        self.backoff.failures()
    }

    /// A head names a key set that is not there.
    pub(super) fn need(&mut self, now: Moment) {
        self.next = self.next.min(now.max(self.not_before));
    }

    pub(super) fn ended(&mut self, ctx: &mut Ctx<'_>, outcome: Option<bool>) {
        self.busy = false;
        if outcome.is_some() {
            self.known = true;
            self.backoff.reset();
            self.next = ctx.now + ctx.jitter.stretch(ctx.timings.keys, 0.25);
        } else {
            self.next = ctx.now + self.backoff.fail(ctx.jitter);
        }
        if outcome != Some(true) {
            // Had none that is newer, or did not answer: the next look goes elsewhere.
            self.mirror = (self.mirror + 1) % ctx.mirrors;
        }
        self.not_before = self.next.min(ctx.now + ctx.timings.retry_first);
    }

    pub(super) fn begin(&mut self, ctx: &mut Ctx<'_>) {
        if !self.busy && ctx.now >= self.next {
            self.busy = true;
            ctx.out.push(Action::FetchKeys { mirror: self.mirror });
        }
    }

    pub(super) fn wake(&self) -> Moment {
        if self.busy { Moment::MAX } else { self.next }
    }
}
