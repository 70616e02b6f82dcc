//! What waits for somebody: to be approved, published, looked at again, or reviewed after the fact.
//!
//! Of each kind the first are given, what is due most first, and how many there are.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::list::{Date, Digest, ListId};
use crate::publisher::Unreviewed;

use super::case::Case;
use super::schedule::Schedule;
use super::states::CaseState;
use super::{Desk, DeskError};

/// Shown of each kind.
const MOST: usize = 1_000;

/// Changes that are staged and lack approvals.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct StagedWaiting {
    /// The list.
    pub list: ListId,
    /// Digest of what is staged.
    pub digest: Option<Digest>,
    /// Who staged it.
    pub staged_by: Vec<String>,
    /// Who approved it.
    pub approved_by: Vec<String>,
    /// Approvals it needs.
    pub needed: u8,
}

/// Entries whose time is over and that are still on a list, whichever way they came.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ExpiredWaiting {
    /// The list.
    pub list: ListId,
    /// The last day of the first of them; today, if the list cannot be read.
    pub since: Date,
    /// Why they stay.
    pub reason: String,
}

/// How many there are of each kind, also of those that are not shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Counts {
    /// Cases that lack approvals.
    pub proposed: usize,
    /// Cases that may be published.
    pub approved: usize,
    /// Cases to look at again.
    pub due: usize,
    /// Cases whose time is over.
    pub overdue: usize,
    /// Lists with expired entries.
    pub expired: usize,
    /// Lists with staged changes that lack approvals.
    pub staged: usize,
    /// Publications that went out without approvals.
    pub unreviewed: usize,
    /// Scheduled publications.
    pub schedules: usize,
}

/// What waits for somebody, at most 1,000 of each kind; what is due most comes first.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Queue {
    /// Cases that lack approvals, the oldest proposal first.
    pub proposed: Vec<Case>,
    /// Cases that may be published.
    pub approved: Vec<Case>,
    /// Published or suspended cases whose day of review has come.
    pub due: Vec<Case>,
    /// Published cases whose time is over and that are still on the list, for it is frozen.
    pub overdue: Vec<Case>,
    /// Staged changes that lack approvals.
    pub staged: Vec<StagedWaiting>,
    /// Publications that went out without approvals.
    pub unreviewed: Vec<Unreviewed>,
    /// Scheduled publications that wait, or did not go out, or not with all of their cases.
    pub schedules: Vec<Schedule>,
    /// Lists whose expired entries could not be taken off.
    #[serde(default)]
    pub expired: Vec<ExpiredWaiting>,
    /// How many there are.
    #[serde(default)]
    pub counts: Counts,
}

impl Queue {
    /// How many wait and are not shown.
    pub fn more(&self) -> usize {
        let Counts { proposed, approved, due, overdue, expired, staged, unreviewed, schedules } = self.counts;
        let cases = [&self.proposed, &self.approved, &self.due, &self.overdue].map(Vec::len).iter().sum::<usize>();
        let shown = cases + self.expired.len() + self.staged.len() + self.unreviewed.len() + self.schedules.len();
        (proposed + approved + due + overdue + expired + staged + unreviewed + schedules).saturating_sub(shown)
    }
}

impl Desk {
    /// What waits on the lists that `shows` names, at most 1,000 of each kind.
    ///
    /// # Errors
    /// Of the store.
    pub fn queue(&self, shows: &dyn Fn(&ListId) -> bool) -> Result<Queue, DeskError> {
        let mut queue = Queue::default();
        self.waiting_cases(&mut queue, shows);
        for view in self.publisher.lists().into_iter().filter(|view| view.staged > 0 && shows(&view.meta.id)) {
            let review = self.publisher.staged_review(&view.meta.id)?;
            if review.approved_by.len() < usize::from(review.needed) {
                let (list, digest, needed) = (view.meta.id, review.digest, review.needed);
                queue.staged.push(StagedWaiting { list, digest, staged_by: review.staged_by, approved_by: review.approved_by, needed });
            }
        }
        queue.counts.staged = cut(&mut queue.staged);
        queue.unreviewed = self.publisher.unreviewed(shows)?;
        queue.counts.unreviewed = cut(&mut queue.unreviewed);
        let waits = |schedule: &Schedule| shows(&schedule.list) && (!schedule.went_out() || !schedule.left_out.is_empty());
        queue.schedules = self.schedules()?.into_iter().filter(waits).collect();
        queue.counts.schedules = cut(&mut queue.schedules);
        for schedule in queue.schedules.iter_mut().filter(|schedule| schedule.outcome.is_empty()) {
            let obstacle = match self.obstacle(schedule) {
                Ok(refusal) => refusal.map(|refusal| format!("{}; {}", refusal.reason, refusal.hint)),
                Err(e) => Some(e.to_string()),
            };
            schedule.outcome = obstacle.map(|why| format!("would not go out now: {why}")).unwrap_or_default();
        }
        let stuck = self.stuck.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        queue.expired = stuck.into_iter().filter(|one| shows(&one.list)).collect();
        queue.expired.sort_by_key(|one| one.since);
        queue.counts.expired = cut(&mut queue.expired);
        Ok(queue)
    }

    fn waiting_cases(&self, queue: &mut Queue, shows: &dyn Fn(&ListId) -> bool) {
        let today = self.clock.now().date();
        let open: Vec<Arc<Case>> = self.read(|cases| cases.all_open(None).filter(|case| shows(&case.list)).cloned().collect());
        let (mut proposed, mut approved, mut due, mut overdue) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for case in open {
            let live = matches!(case.state, CaseState::Published | CaseState::Suspended);
            if live && case.words.review_by.is_some_and(|day| day <= today) {
                due.push(case.clone());
            }
            if live && case.words.over(today).is_some() {
                overdue.push(case.clone());
            }
            match case.state {
                // Somebody who approved it may not any more, or the list demands more by now, or less.
                CaseState::Proposed | CaseState::Approved => match self.approvals(&case) {
                    Ok(approvals) if approvals.enough() => approved.push(case),
                    Err(_) if case.state == CaseState::Approved => approved.push(case),
                    _ => proposed.push(case),
                },
                _ => {}
            }
        }
        proposed.sort_by_key(|case| case.proposed);
        approved.sort_by_key(|case| case.approved);
        due.sort_by_key(|case| case.words.review_by);
        overdue.sort_by_key(|case| case.words.attributes.expires);
        let (counts, shown) = (&mut queue.counts, |mut kind: Vec<Arc<Case>>| {
            let count = cut(&mut kind);
            (count, kind.iter().map(|case| Case::clone(case)).collect::<Vec<_>>())
        });
        (counts.proposed, queue.proposed) = shown(proposed);
        (counts.approved, queue.approved) = shown(approved);
        (counts.due, queue.due) = shown(due);
        (counts.overdue, queue.overdue) = shown(overdue);
    }
}

/// Keeps the first; how many there were.
fn cut<T>(kind: &mut Vec<T>) -> usize {
    let count = kind.len();
    kind.truncate(MOST);
    count
}
