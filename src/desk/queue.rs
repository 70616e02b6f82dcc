//! What waits for somebody: to be approved, published, looked at again, or reviewed after the fact.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::list::{Digest, ListId};
use crate::publisher::Unreviewed;

use super::case::Case;
use super::schedule::Schedule;
use super::states::CaseState;
use super::{Desk, DeskError};

/// Cases shown of each kind.
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

/// What waits for somebody.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Queue {
    /// Cases that lack approvals.
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
    /// Scheduled publications that wait, or did not go out.
    pub schedules: Vec<Schedule>,
}

impl Desk {
    /// What waits on the lists that `shows` names, at most 1,000 of each kind.
    ///
    /// # Errors
    /// Of the store.
    pub fn queue(&self, shows: &dyn Fn(&ListId) -> bool) -> Result<Queue, DeskError> {
        let mut queue = Queue::default();
        let today = self.clock.now().date();
        let open: Vec<Arc<Case>> = self.read(|cases| {
            let open = cases.open.iter().filter(|((list, _), _)| shows(list)).filter_map(|(_, reference)| cases.all.get(reference));
            open.map(|kept| kept.case.clone()).collect()
        });
        for case in open {
            let live = matches!(case.state, CaseState::Published | CaseState::Suspended);
            let over = case.words.attributes.expires.is_some_and(|day| day < today);
            let due = live && case.words.review_by.is_some_and(|day| day <= today);
            let kinds = [
                (case.state == CaseState::Proposed, &mut queue.proposed),
                (case.state == CaseState::Approved, &mut queue.approved),
                (due, &mut queue.due),
                (live && over, &mut queue.overdue),
            ];
            for (belongs, kind) in kinds {
                if belongs && kind.len() < MOST {
                    kind.push(Case::clone(&case));
                }
            }
        }
        queue.due.sort_by_key(|case| case.words.review_by);
        for view in self.publisher.lists().into_iter().filter(|view| view.staged > 0 && shows(&view.meta.id)) {
            let review = self.publisher.staged_review(&view.meta.id)?;
            if review.approved_by.len() < usize::from(review.needed) {
                let (list, digest, needed) = (view.meta.id, review.digest, review.needed);
                queue.staged.push(StagedWaiting { list, digest, staged_by: review.staged_by, approved_by: review.approved_by, needed });
            }
        }
        queue.unreviewed = self.publisher.unreviewed()?.into_iter().filter(|one| shows(&one.list)).collect();
        let waits = |schedule: &Schedule| shows(&schedule.list) && !schedule.outcome.starts_with("version");
        queue.schedules = self.schedules()?.into_iter().filter(waits).take(MOST).collect();
        Ok(queue)
    }
}
