//! How heads are heard of: push, then long poll, then polling, and back again.

use std::time::Duration;

use super::{Action, Backoff, Ctx, Mode, Moment, Timings};

#[derive(Clone, Copy, Debug)]
enum Push {
    /// Not wanted.
    Off,
    /// Not before this moment.
    Waiting(Moment),
    Opening,
    /// Since then; `heard`: something came.
    Open {
        since: Moment,
        heard: bool,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Link {
    best: Mode,
    mirror: usize,
    push: Push,
    /// Between attempts while push is thought to be possible.
    short: Backoff,
    /// Between attempts after the fall-back.
    again: Backoff,
    fallen_back: bool,
    /// Long poll is passed over until then.
    long_poll_from: Moment,
    long_poll_failures: u32,
    /// Addresses that asked to be left alone, and until when.
    quiet: Vec<Moment>,
}

/// So many failures in succession, at least, before a mode is given up for the next.
const PATIENCE: u32 = 3;

impl Link {
    pub(super) fn new(best: Mode, timings: &Timings) -> Link {
        Link {
            best,
            mirror: 0,
            push: if best == Mode::Push { Push::Waiting(Duration::ZERO) } else { Push::Off },
            short: Backoff::new(timings.retry_first, timings.retry_most),
            again: Backoff::new(timings.push_again, timings.retry_most.max(timings.push_again)),
            fallen_back: false,
            long_poll_from: Duration::ZERO,
            long_poll_failures: 0,
            quiet: Vec::new(),
        }
    }

    pub(super) fn mode(&self, now: Moment) -> Mode {
        if self.best == Mode::Push && !self.fallen_back {
            Mode::Push
        } else if self.best <= Mode::LongPoll && now >= self.long_poll_from {
            Mode::LongPoll
        } else {
            Mode::Poll
        }
    }

    pub(super) const fn mirror(&self) -> usize {
        self.mirror
    }

    /// Whether a stream is open and something came over it.
    pub(super) const fn push_works(&self) -> bool {
        matches!(self.push, Push::Open { heard: true, .. })
    }

    pub(super) fn opened(&mut self, now: Moment) {
        if matches!(self.push, Push::Opening) {
            self.push = Push::Open { since: now, heard: false };
        }
    }

    /// Only what came through proves that nothing on the way holds the stream back.
    pub(super) fn heard(&mut self) {
        if let Push::Open { heard, .. } = &mut self.push {
            *heard = true;
            self.fallen_back = false;
        }
    }

    pub(super) fn lost(&mut self, ctx: &mut Ctx<'_>, wait: Option<Duration>) {
        let worked = match self.push {
            Push::Open { since, heard } => heard && ctx.now >= since + ctx.timings.push_stable,
            Push::Opening => false,
            Push::Off | Push::Waiting(_) => return,
        };
        if worked {
            self.short.reset();
            self.again.reset();
        }
        if let Some(wait) = wait {
            self.hush(ctx, self.mirror, wait);
        }
        self.try_elsewhere(ctx);
    }

    /// Leaves the stream because it brought what is wrong or nothing at all.
    pub(super) fn leave(&mut self, ctx: &mut Ctx<'_>) {
        if matches!(self.push, Push::Open { .. } | Push::Opening) {
            ctx.out.push(Action::ClosePush);
            self.try_elsewhere(ctx);
        }
    }

    fn try_elsewhere(&mut self, ctx: &mut Ctx<'_>) {
        self.mirror = (self.mirror + 1) % ctx.mirrors;
        let mut wait = self.short.fail(ctx.jitter);
        if self.short.failures() as usize >= ctx.mirrors.max(PATIENCE as usize) {
            self.fallen_back = true;
            wait = wait.max(self.again.fail(ctx.jitter));
        }
        self.push = Push::Waiting(ctx.now + wait);
    }

    /// An address wants to be left alone for a time; bounded, so that none can silence a follower.
    pub(super) fn hush(&mut self, ctx: &Ctx<'_>, mirror: usize, wait: Duration) {
        self.quiet.resize(ctx.mirrors, Duration::ZERO);
        if let Some(until) = self.quiet.get_mut(mirror) {
            *until = ctx.now + wait.min(ctx.timings.retry_most);
        }
    }

    /// The first address from `wanted` on that may be asked now; else when one may.
    pub(super) fn pick(&self, ctx: &Ctx<'_>, wanted: usize) -> Result<usize, Moment> {
        let until = |m: usize| self.quiet.get(m).copied().unwrap_or_default();
        let order = (0..ctx.mirrors).map(|i| (wanted + i) % ctx.mirrors);
        order.clone().find(|m| until(*m) <= ctx.now).ok_or_else(|| order.map(until).min().unwrap_or(ctx.now))
    }

    /// A long poll failed, or was answered at once with nothing new by somebody who does not know long polls.
    pub(super) fn long_poll_failed(&mut self, ctx: &mut Ctx<'_>) {
        self.long_poll_failures += 1;
        if self.long_poll_failures as usize >= ctx.mirrors.max(PATIENCE as usize) {
            self.long_poll_failures = 0;
            self.long_poll_from = ctx.now + ctx.jitter.stretch(ctx.timings.cross_check, 0.25);
        }
    }

    pub(super) fn long_poll_worked(&mut self) {
        self.long_poll_failures = 0;
    }

    pub(super) fn begin(&mut self, ctx: &mut Ctx<'_>) {
        let Push::Waiting(at) = self.push else { return };
        if ctx.now < at {
            return;
        }
        match self.pick(ctx, self.mirror) {
            Ok(mirror) => {
                self.mirror = mirror;
                self.push = Push::Opening;
                ctx.out.push(Action::OpenPush { mirror });
            }
            Err(later) => self.push = Push::Waiting(later),
        }
    }

    pub(super) fn wake(&self) -> Moment {
        if let Push::Waiting(at) = self.push { at } else { Moment::MAX }
    }
}
