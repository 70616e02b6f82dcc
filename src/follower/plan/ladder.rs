//! The ladder from the content that is there to the version that is wanted: delta, repair, snapshot, another address.

use super::link::Link;
use super::list::ListPlan;
use super::{Action, Ctx, JobEnd};

/// What to try next for the content. Each failure goes one down; after the last, another address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rung {
    Delta,
    Measure,
    Repair,
    Snapshot,
}

/// What is under way for the content.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Job {
    Inline,
    Rung(Rung),
}

impl ListPlan {
    /// Later than wanted happens for a moment: when a job took a head that the plan has yet to be told of.
    pub(super) fn current(&self) -> bool {
        self.whole && self.have.is_some() && self.want.is_some() && self.have >= self.want
    }

    pub(super) fn start_over(&mut self) {
        self.rung = Rung::Delta;
        self.repair_failed = false;
        self.snapshot_failed = false;
        self.delta_cost = None;
        self.snapshot_cost = None;
    }

    /// Compressed octets a delta may cost before it is weighed against the snapshot. A publisher refuses a delta that is not
    /// the cheaper way, so this is against an address that does not: weighing costs a broken-off answer and a request, and
    /// lists compress to less than half.
    pub(super) fn allowance(&self) -> u64 {
        self.snapshot_cost.unwrap_or_else(|| (self.snapshot_size / 2).max(16_384))
    }

    pub(super) fn begin_job(&mut self, ctx: &mut Ctx<'_>, link: &Link, list: usize) {
        let Some(to) = self.want else { return };
        if self.job.is_some() || self.current() {
            return;
        }
        let behind = self.have.filter(|have| self.whole && *have < to);
        if self.rung == Rung::Delta && behind.is_some() && behind == self.inline_from {
            self.job = Some(Job::Inline);
            ctx.out.push(Action::ApplyInline { list, to });
            return;
        }
        if ctx.now < self.job_wait {
            return;
        }
        let mirror = match link.pick(ctx, self.job_at) {
            Ok(mirror) => mirror,
            Err(later) => {
                self.job_wait = later;
                return;
            }
        };
        self.job_at = mirror;
        if behind.is_none() && matches!(self.rung, Rung::Delta | Rung::Measure) {
            self.rung = if self.have.is_some() { Rung::Repair } else { Rung::Snapshot };
        }
        self.job = Some(Job::Rung(self.rung));
        ctx.out.push(match (self.rung, behind) {
            (Rung::Delta, Some(from)) => Action::FetchDelta { list, mirror, from, to, at_most: self.allowance() },
            (Rung::Measure, _) => Action::MeasureSnapshot { list, mirror, to },
            (Rung::Repair, _) => Action::Repair { list, mirror, to },
            (Rung::Snapshot | Rung::Delta, _) => Action::FetchSnapshot { list, mirror, to },
        });
    }

    pub(super) fn job_ended(&mut self, ctx: &mut Ctx<'_>, link: &mut Link, end: JobEnd) {
        let Some(job) = self.job.take() else { return };
        if std::mem::take(&mut self.stray) {
            return;
        }
        // These two ends say something of one kind of job only; of any other, that what came was not what was due.
        let end = match (end, job) {
            (JobEnd::TooBig(_), Job::Rung(Rung::Delta)) | (JobEnd::SnapshotSize(_), Job::Rung(Rung::Measure)) => end,
            (JobEnd::TooBig(_) | JobEnd::SnapshotSize(_), _) => JobEnd::Wrong,
            _ => end,
        };
        match end {
            JobEnd::Applied { serial, fold } => self.applied(serial, fold),
            JobEnd::TooBig(cost) if self.snapshot_cost.is_none() => {
                self.delta_cost = cost;
                self.rung = Rung::Measure;
            }
            JobEnd::TooBig(_) => self.rung = if self.snapshot_failed { Rung::Repair } else { Rung::Snapshot },
            JobEnd::SnapshotSize(size) => {
                self.snapshot_cost = size;
                let cheaper = size.is_some_and(|size| self.delta_cost.is_none_or(|delta| delta < size));
                self.rung = if cheaper { Rung::Delta } else { Rung::Snapshot };
            }
            JobEnd::Gone | JobEnd::Wrong | JobEnd::Damaged => {
                if end == JobEnd::Damaged {
                    self.whole = false;
                }
                self.down(ctx, job, end);
            }
            JobEnd::Transport { wait } => {
                if let Some(wait) = wait {
                    link.hush(ctx, self.job_at, wait);
                }
                self.next_mirror(ctx);
            }
            JobEnd::Local => {
                self.start_over();
                // Not the delta that came along: it would be tried again at once.
                self.inline_from = None;
                self.job_wait = ctx.now + self.job_backoff.fail(ctx.jitter);
            }
        }
    }

    pub(super) fn applied(&mut self, serial: u64, fold: bool) {
        if self.have.is_some_and(|have| serial < have) {
            return;
        }
        self.have = Some(serial);
        self.whole = true;
        self.job_backoff.reset();
        self.tried = 0;
        self.start_over();
        self.fold_due |= fold;
        self.changed = true;
    }

    /// One rung down.
    pub(super) fn down(&mut self, ctx: &mut Ctx<'_>, job: Job, end: JobEnd) {
        match job {
            Job::Inline => {
                self.inline_from = None;
                self.rung = if end == JobEnd::Damaged { Rung::Repair } else { Rung::Delta };
            }
            Job::Rung(Rung::Delta) => self.rung = if end == JobEnd::Gone { Rung::Snapshot } else { Rung::Repair },
            Job::Rung(Rung::Measure) => self.rung = Rung::Snapshot,
            Job::Rung(Rung::Repair) => {
                self.repair_failed = true;
                self.rung = Rung::Snapshot;
            }
            Job::Rung(Rung::Snapshot) => {
                self.snapshot_failed = true;
                self.rung = Rung::Repair;
            }
        }
        // Nothing to repair, or both tried: this address is of no use now. Perhaps it has gone on to a newer version.
        if self.snapshot_failed && (self.repair_failed || self.have.is_none()) {
            self.ask_by(ctx.now);
            self.start_over();
            self.next_mirror(ctx);
        }
    }

    pub(super) fn next_mirror(&mut self, ctx: &mut Ctx<'_>) {
        self.job_at = (self.job_at + 1) % ctx.mirrors;
        self.tried += 1;
        if self.tried >= ctx.mirrors {
            self.tried = 0;
            self.start_over();
            self.job_wait = ctx.now + self.job_backoff.fail(ctx.jitter);
        }
    }
}
