//! One list: what it has, what it is to have, and the ladder from one to the other.

use std::time::Duration;

use super::keys::Keys;
use super::ladder::{Job, Rung};
use super::link::Link;
use super::{Action, Backoff, Ctx, Event, HeadFacts, ListStart, Mode, Moment, Refused, Round, Timings, Via};

/// How the outputs of a list stand together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OutputsOf {
    /// One is being written.
    pub(super) writing: bool,
    /// One is to be written, or being written.
    pub(super) open: bool,
    /// One could not be written last time.
    pub(super) failed: bool,
}

#[derive(Clone, Debug)]
pub(super) struct ListPlan {
    pub(super) have: Option<u64>,
    pub(super) whole: bool,
    /// The newest verified head's serial.
    pub(super) want: Option<u64>,
    pub(super) snapshot_size: u64,
    pub(super) inline_from: Option<u64>,
    pub(super) fresh_until: Moment,
    pub(super) said_stale: bool,
    pub(super) needs_keys: bool,

    /// When the question under way was asked, and whether as a long poll.
    pub(super) asked: Option<(Moment, bool)>,
    pub(super) next_ask: Moment,
    pub(super) ask_backoff: Backoff,
    pub(super) ask_at: usize,
    pub(super) answered: bool,

    pub(super) job: Option<Job>,
    /// The job under way is of no more use.
    pub(super) stray: bool,
    pub(super) rung: Rung,
    pub(super) job_at: usize,
    /// Addresses that failed in this round.
    pub(super) tried: usize,
    pub(super) job_backoff: Backoff,
    pub(super) job_wait: Moment,
    /// What the delta would cost, and what the snapshot would, once asked.
    /// Which of the two ways besides the delta have failed at this address.
    pub(super) repair_failed: bool,
    pub(super) snapshot_failed: bool,
    pub(super) delta_cost: Option<u64>,
    pub(super) snapshot_cost: Option<u64>,

    pub(super) fold_due: bool,
    pub(super) folding: bool,
    pub(super) fold_backoff: Backoff,
    pub(super) fold_wait: Moment,

    /// The content has changed since outputs were told.
    pub(super) changed: bool,
}

impl ListPlan {
    pub(super) fn new(start: &ListStart, best: Mode, timings: &Timings) -> ListPlan {
        let backoff = Backoff::new(timings.retry_first, timings.retry_most);
        ListPlan {
            have: start.have,
            whole: start.whole,
            want: None,
            snapshot_size: 0,
            inline_from: None,
            fresh_until: start.fresh_for,
            said_stale: false,
            needs_keys: false,
            asked: None,
            // A stream brings the newest heads by itself; asking too would be one request too many.
            next_ask: if best == Mode::Push { timings.push_grace } else { Duration::ZERO },
            ask_backoff: backoff.clone(),
            ask_at: 0,
            answered: false,
            job: None,
            stray: false,
            rung: Rung::Delta,
            job_at: 0,
            tried: 0,
            job_backoff: backoff.clone(),
            job_wait: Duration::ZERO,
            repair_failed: false,
            snapshot_failed: false,
            delta_cost: None,
            snapshot_cost: None,
            fold_due: start.fold_due,
            folding: false,
            fold_backoff: backoff,
            fold_wait: Duration::ZERO,
            changed: false,
        }
    }

    pub(super) fn on(&mut self, ctx: &mut Ctx<'_>, link: &mut Link, keys: &mut Keys, event: Event) {
        match event {
            Event::Head { mirror, via, facts, .. } => self.head(ctx, link, mirror, via, facts),
            Event::HeadRefused { mirror, push, why, .. } => self.refused(ctx, link, keys, mirror, push, why),
            Event::Same { max_age, .. } => {
                let mirror = self.ask_at;
                if self.stale(ctx.now) {
                    self.ask_failed(ctx, link, mirror, None);
                } else {
                    self.answered(ctx, link, max_age, true);
                }
            }
            Event::AskFailed { mirror, wait, .. } => self.ask_failed(ctx, link, mirror, wait),
            Event::Job { end, .. } => self.job_ended(ctx, link, end),
            Event::Folded { ok, .. } => {
                self.folding = false;
                if ok {
                    self.fold_backoff.reset();
                } else {
                    self.fold_due = true;
                    self.fold_wait = ctx.now + self.fold_backoff.fail(ctx.jitter);
                }
            }
            Event::Timer
            | Event::PushOpened
            | Event::PushHeard
            | Event::PushLost { .. }
            | Event::Keys(_)
            | Event::Written { .. }
            | Event::Reloaded { .. } => {}
        }
    }

    fn head(&mut self, ctx: &mut Ctx<'_>, link: &mut Link, mirror: usize, via: Via, facts: HeadFacts) {
        let newer = self.want.is_none_or(|want| facts.serial > want) && self.have.is_none_or(|have| facts.serial >= have);
        let known = self.want == Some(facts.serial) && !facts.restart;
        if facts.restart {
            // Not whole: it is repaired before it is written out again. What a job brings that is under way is for the forged version.
            self.have = self.have.map(|_| 0);
            self.whole = false;
            self.stray = self.job.is_some();
        }
        let newer = newer || facts.restart;
        if newer {
            self.want = Some(facts.serial);
            self.job_at = mirror;
            self.tried = 0;
            self.start_over();
        }
        if newer || known {
            self.snapshot_size = facts.snapshot_size;
            self.inline_from = facts.inline_from.or(self.inline_from.filter(|_| known));
            self.needs_keys = false;
        }
        let fresh = !facts.fresh_for.is_zero();
        if fresh && (newer || known) {
            self.fresh_until = ctx.now + facts.fresh_for;
        }
        if let Via::Answer { max_age } = via {
            if fresh {
                self.answered(ctx, link, max_age, known);
            } else {
                // Genuine, but past its time: perhaps this address holds newer heads back.
                self.ask_failed(ctx, link, mirror, None);
            }
        } else if fresh {
            self.answered = true;
        }
    }

    fn refused(&mut self, ctx: &mut Ctx<'_>, link: &mut Link, keys: &mut Keys, mirror: usize, push: bool, why: Refused) {
        if why == Refused::NeedsKeys {
            self.needs_keys = true;
            keys.need(ctx.now);
        }
        if !push {
            self.ask_failed(ctx, link, mirror, None);
        } else if why == Refused::Wrong {
            // Other lists may still get good heads from this stream, but this one does not: go elsewhere.
            self.ask_by(ctx.now + ctx.timings.push_grace);
            link.leave(ctx);
        }
    }

    /// After key sets were looked for: ask again at once if there was a newer one.
    pub(super) fn keys_ended(&mut self, ctx: &mut Ctx<'_>, outcome: Option<bool>) {
        if self.needs_keys {
            match outcome {
                Some(true) => {
                    self.ask_backoff.reset();
                    self.ask_by(ctx.now);
                }
                _ => self.ask_by(ctx.now + ctx.timings.poll),
            }
        }
    }

    fn stale(&self, now: Moment) -> bool {
        (self.have.is_some() || self.want.is_some()) && now >= self.fresh_until
    }

    /// Says once that a list has gone stale, asks around, and says once that it is fresh again.
    pub(super) fn mind_freshness(&mut self, ctx: &mut Ctx<'_>, link: &mut Link, list: usize) {
        let stale = self.stale(ctx.now);
        if stale && !self.said_stale {
            ctx.out.push(Action::SayStale { list });
            self.ask_by(ctx.now);
            // A stream that let it come to this holds heads back, or its publisher is dead.
            if link.push_works() {
                link.leave(ctx);
            }
        } else if !stale && self.said_stale {
            ctx.out.push(Action::SayFresh { list });
        }
        self.said_stale = stale;
    }

    /// Asks at `at` at the latest.
    pub(super) fn ask_by(&mut self, at: Moment) {
        self.next_ask = self.next_ask.min(at);
    }

    /// Something came over the stream: plain questions are only a cross-check now.
    pub(super) fn push_works(&mut self, ctx: &mut Ctx<'_>) {
        if !self.said_stale && !self.needs_keys && self.asked.is_none() && self.ask_backoff.failures() == 0 {
            self.next_ask = self.next_ask.max(ctx.now + ctx.timings.push_grace);
        }
    }

    fn answered(&mut self, ctx: &mut Ctx<'_>, link: &mut Link, max_age: Option<Duration>, same: bool) {
        let asked = self.asked.take();
        self.answered = true;
        self.ask_backoff.reset();
        let mut soonest = ctx.now + ctx.timings.retry_first / 5;
        if let Some((at, true)) = asked {
            if same && ctx.now < at + ctx.timings.retry_first {
                link.long_poll_failed(ctx);
                soonest = ctx.now + ctx.timings.retry_first;
            } else {
                link.long_poll_worked();
            }
        }
        self.next_ask = if link.push_works() {
            // Next time ask somebody else than the stream's address, if there is somebody.
            self.ask_at = (self.ask_at + 1) % ctx.mirrors;
            ctx.now + ctx.jitter.stretch(ctx.timings.cross_check, 0.25)
        } else if link.mode(ctx.now) == Mode::LongPoll {
            soonest
        } else {
            let wait = max_age.unwrap_or(ctx.timings.poll).clamp(ctx.timings.poll_least, ctx.timings.retry_most);
            ctx.now + ctx.jitter.stretch(wait, 0.25)
        };
    }

    fn ask_failed(&mut self, ctx: &mut Ctx<'_>, link: &mut Link, mirror: usize, wait: Option<Duration>) {
        if let Some((_, true)) = self.asked.take() {
            link.long_poll_failed(ctx);
        }
        if let Some(wait) = wait {
            link.hush(ctx, mirror, wait);
        }
        self.ask_at = (mirror + 1) % ctx.mirrors;
        self.next_ask = ctx.now + self.ask_backoff.fail(ctx.jitter);
    }

    pub(super) const fn asks_at(&self) -> usize {
        self.ask_at
    }

    fn begin_ask(&mut self, ctx: &mut Ctx<'_>, link: &Link, list: usize) {
        if self.asked.is_some() || ctx.now < self.next_ask {
            return;
        }
        match link.pick(ctx, self.ask_at) {
            Ok(mirror) => {
                self.ask_at = mirror;
                // The first question is answered at once, so that a start never waits for a change.
                let wait = self.answered && !self.stale(ctx.now) && link.mode(ctx.now) == Mode::LongPoll;
                self.asked = Some((ctx.now, wait));
                ctx.out.push(Action::Ask { list, mirror, wait });
            }
            Err(later) => self.next_ask = later,
        }
    }

    pub(super) fn begin(&mut self, ctx: &mut Ctx<'_>, link: &Link, list: usize, keys_known: bool) {
        if keys_known {
            self.begin_ask(ctx, link, list);
            self.begin_job(ctx, link, list);
        }
        if self.fold_due && !self.folding && self.whole && ctx.now >= self.fold_wait {
            self.fold_due = false;
            self.folding = true;
            ctx.out.push(Action::Fold { list });
        }
    }

    /// Whether there is content that may be written out.
    pub(super) const fn ready(&self) -> bool {
        self.have.is_some() && self.whole
    }

    pub(super) fn wake(&self, keys_known: bool) -> Moment {
        let mut at = Moment::MAX;
        if keys_known && self.asked.is_none() {
            at = at.min(self.next_ask);
        }
        if keys_known && self.job.is_none() && self.want.is_some() && !self.current() {
            at = at.min(self.job_wait);
        }
        if self.fold_due && !self.folding && self.whole {
            at = at.min(self.fold_wait);
        }
        if !self.said_stale && (self.have.is_some() || self.want.is_some()) {
            at = at.min(self.fresh_until);
        }
        at
    }

    /// `outputs`: how those stand that hold this list.
    pub(super) fn round(&self, mirrors: usize, outputs: OutputsOf) -> Round {
        let folding = self.folding || (self.fold_due && self.fold_backoff.failures() == 0);
        let nobody_answers = self.ask_backoff.failures() as usize >= mirrors;
        if outputs.writing || (folding && self.whole) {
            Round::Open
        } else if self.answered && self.current() && !outputs.open {
            Round::Done
        } else if self.job_backoff.failures() > 0 || outputs.failed || (self.job.is_none() && nobody_answers) {
            Round::Failed
        } else {
            Round::Open
        }
    }
}
