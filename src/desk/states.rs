//! The life of an entry as a table: state, action and who acts, to the next state or the reason why not. Pure.
//!
//! Guarantees: nothing that was not approved as often as its list demands becomes published; nobody approves what they wrote; only
//! time lets an entry expire; what has ended stays ended. It knows nothing of lists or of how changes are kept.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where an entry stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CaseState {
    /// Being written.
    Draft,
    /// Waits for approvals.
    Proposed,
    /// May be published.
    Approved,
    /// On the list.
    Published,
    /// Taken off the list for a while.
    Suspended,
    /// Left the list because its time was over.
    Expired,
    /// Taken off the list for good.
    Removed,
    /// Not approved.
    Rejected,
    /// Taken back by who proposed it.
    Withdrawn,
}

impl CaseState {
    /// All of them.
    pub const ALL: [CaseState; 9] = [
        CaseState::Draft,
        CaseState::Proposed,
        CaseState::Approved,
        CaseState::Published,
        CaseState::Suspended,
        CaseState::Expired,
        CaseState::Removed,
        CaseState::Rejected,
        CaseState::Withdrawn,
    ];

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            CaseState::Draft => "draft",
            CaseState::Proposed => "proposed",
            CaseState::Approved => "approved",
            CaseState::Published => "published",
            CaseState::Suspended => "suspended",
            CaseState::Expired => "expired",
            CaseState::Removed => "removed",
            CaseState::Rejected => "rejected",
            CaseState::Withdrawn => "withdrawn",
        }
    }

    /// Whether it was on the list at some time, so that everybody may know of it.
    pub const fn was_public(self) -> bool {
        matches!(self, CaseState::Published | CaseState::Suspended | CaseState::Expired | CaseState::Removed)
    }

    /// Whether nothing more will come of it.
    pub const fn has_ended(self) -> bool {
        matches!(self, CaseState::Expired | CaseState::Removed | CaseState::Rejected | CaseState::Withdrawn)
    }
}

impl std::str::FromStr for CaseState {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let words = || CaseState::ALL.map(CaseState::word).join(", ");
        CaseState::ALL.into_iter().find(|state| state.word() == text).ok_or_else(|| format!("no such state; write one of {}", words()))
    }
}

/// What is done to an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Its words are changed.
    Edit,
    /// It is put before those who approve.
    Propose,
    /// One approval.
    Approve,
    /// It is refused.
    Reject,
    /// Its author takes it back.
    Withdraw,
    /// It goes onto the list.
    Publish,
    /// It leaves the list for a while.
    Suspend,
    /// It goes back onto the list.
    Resume,
    /// It leaves the list for good.
    Remove,
    /// Its time is over.
    Expire,
}

impl Action {
    /// All of them.
    pub const ALL: [Action; 10] = [
        Action::Edit,
        Action::Propose,
        Action::Approve,
        Action::Reject,
        Action::Withdraw,
        Action::Publish,
        Action::Suspend,
        Action::Resume,
        Action::Remove,
        Action::Expire,
    ];

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Action::Edit => "edit",
            Action::Propose => "propose",
            Action::Approve => "approve",
            Action::Reject => "reject",
            Action::Withdraw => "withdraw",
            Action::Publish => "publish",
            Action::Suspend => "suspend",
            Action::Resume => "resume",
            Action::Remove => "remove",
            Action::Expire => "expire",
        }
    }
}

/// Who acts, as far as it matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Hats {
    /// Owner of the list: everything that its roles may.
    pub owner: bool,
    /// Changes entries.
    pub editor: bool,
    /// Approves changes of others.
    pub reviewer: bool,
    /// It is nobody; time acts.
    pub clock: bool,
    /// Wrote or changed the words of this entry.
    pub author: bool,
    /// Approved it already.
    pub approved: bool,
}

/// Approvals that are there and that are needed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Approvals {
    /// Of the words as they are.
    pub given: usize,
    /// By the list, and one more for a popular name.
    pub needed: usize,
}

impl Approvals {
    /// Whether there are as many as are needed.
    pub const fn enough(self) -> bool {
        self.given >= self.needed
    }
}

/// Why an action is not done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotDone {
    /// Not from this state.
    #[error("an entry that is {} cannot be changed by \"{}\"; {}", .0.word(), .1.word(), ahead(*.0, *.1))]
    NotFrom(CaseState, Action),
    /// Not with these roles.
    #[error("\"{}\" takes another role on this list; an owner of all lists can give it", .0.word())]
    Role(Action),
    /// The author approves.
    #[error("who wrote an entry cannot approve it; somebody else approves it")]
    Own,
    /// One approves twice.
    #[error("you have approved it already; somebody else approves it as well")]
    Twice,
    /// Looked at again by one of its authors alone.
    #[error("who wrote an entry cannot be the one who looks at it again where the list demands approvals; somebody else does")]
    OwnReview,
    /// Not on the list, so there is nothing to look at again.
    #[error("an entry that is {} is not looked at again; `bwld case edit` changes what is written of it", .0.word())]
    NoReview(CaseState),
    /// Too few approvals.
    #[error("it has {given} of {needed} approvals; others approve it first", given = .0.given, needed = .0.needed)]
    TooFew(Approvals),
}

/// What to do with an entry of this state instead.
const fn ahead(state: CaseState, action: Action) -> &'static str {
    match (state, action) {
        (CaseState::Proposed | CaseState::Approved, Action::Approve) => {
            "it has all the approvals that its list demands: publish it (`bwld publish LIST --cases`)"
        }
        (CaseState::Draft, Action::Approve) => "who wrote it puts it forward first (`bwld case submit`)",
        _ => "look at it with `bwld case show`",
    }
}

/// The state after `action`.
///
/// # Errors
/// [`NotDone`] says why nothing is done.
pub fn next(state: CaseState, action: Action, who: Hats, approvals: Approvals) -> Result<CaseState, NotDone> {
    use CaseState::{Approved, Draft, Expired, Proposed, Published, Rejected, Removed, Suspended, Withdrawn};
    let (writes, judges) = (who.owner || who.editor, who.owner || who.reviewer);
    let role = |may: bool| if may { Ok(()) } else { Err(NotDone::Role(action)) };
    let enough = approvals.enough();
    let waiting = if approvals.needed == 0 { Approved } else { Proposed };
    match (action, state) {
        (Action::Edit, Draft | Rejected | Withdrawn) => role(writes).map(|()| Draft),
        (Action::Edit, Proposed | Approved) => role(writes || judges).map(|()| waiting),
        (Action::Propose, Draft | Withdrawn) => role(writes).map(|()| waiting),
        // The list may demand more by now than when it was approved.
        (Action::Approve, Proposed | Approved | Suspended) if state == Proposed || !enough => {
            role(judges)?;
            match (who.author, who.approved) {
                // The list may demand less by now: who waits for approvals that nobody needs to give is told what to do.
                (true, _) | (_, true) if enough => Err(NotDone::NotFrom(state, action)),
                (true, _) => Err(NotDone::Own),
                (_, true) => Err(NotDone::Twice),
                _ if state == Suspended => Ok(Suspended),
                _ if approvals.given + 1 >= approvals.needed => Ok(Approved),
                _ => Ok(Proposed),
            }
        }
        (Action::Reject, Proposed | Approved) => role(judges).map(|()| Rejected),
        (Action::Withdraw, Draft | Proposed | Approved) => role(who.author || who.owner).map(|()| Withdrawn),
        // What was proposed while the list demanded more than now has all it needs.
        (Action::Publish, Proposed | Approved) => {
            role(writes || who.clock).and(if enough { Ok(Published) } else { Err(NotDone::TooFew(approvals)) })
        }
        (Action::Suspend, Published) => role(writes || judges).map(|()| Suspended),
        (Action::Resume, Suspended) => role(judges).and(if enough { Ok(Published) } else { Err(NotDone::TooFew(approvals)) }),
        (Action::Remove, Published | Suspended) => role(writes || judges || who.clock).map(|()| Removed),
        (Action::Expire, Published | Suspended) => role(who.clock).map(|()| Expired),
        _ => Err(NotDone::NotFrom(state, action)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A person: roles by bits.
    fn hats(bits: u8) -> Hats {
        Hats { owner: bits & 1 != 0, editor: bits & 2 != 0, reviewer: bits & 4 != 0, clock: bits & 8 != 0, ..Hats::default() }
    }

    #[test]
    fn words_are_read_back() {
        for state in CaseState::ALL {
            assert_eq!(state.word().parse(), Ok(state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.word());
        }
        assert!(Action::ALL.iter().all(|action| serde_json::to_value(action).unwrap() == action.word()));
    }

    #[test]
    fn what_has_ended_stays_ended_unless_its_author_begins_anew() {
        let all = Hats { owner: true, editor: true, reviewer: true, clock: true, ..Hats::default() };
        for state in CaseState::ALL.into_iter().filter(|state| state.has_ended()) {
            for action in Action::ALL {
                if let Ok(next) = next(state, action, all, Approvals::default()) {
                    assert!(matches!(state, CaseState::Rejected | CaseState::Withdrawn) && !next.was_public(), "{state:?} {action:?}");
                }
            }
        }
    }

    proptest! {
        /// People with roles do what they can in any order; a naive book-keeping of who wrote and approved what must agree.
        #[test]
        fn nothing_is_published_without_the_approvals_of_others(
            people in proptest::collection::vec(0u8..16, 1..6),
            steps in proptest::collection::vec((0usize..6, 0usize..10, 0usize..4), 0..60),
        ) {
            let mut state = CaseState::Draft;
            let (mut authors, mut approvers) = (vec![0], Vec::new());
            for (person, action, needed) in steps {
                let (person, action) = (person % people.len(), Action::ALL[action]);
                let who = Hats { author: authors.contains(&person), approved: approvers.contains(&person), ..hats(people[person]) };
                let Ok(after) = next(state, action, who, Approvals { given: approvers.len(), needed }) else { continue };
                match action {
                    Action::Edit => {
                        approvers.clear();
                        authors.push(person);
                    }
                    // What was put forward before was another proposal.
                    Action::Propose => approvers.clear(),
                    Action::Approve => approvers.push(person),
                    _ => {}
                }
                if matches!(after, CaseState::Published | CaseState::Approved) {
                    prop_assert!(approvers.len() >= needed);
                }
                if after == CaseState::Suspended && action == Action::Approve {
                    prop_assert_eq!(state, CaseState::Suspended);
                }
                if matches!(after, CaseState::Published | CaseState::Approved) {
                    prop_assert!(approvers.iter().all(|approver| !authors.contains(approver)));
                }
                if after == CaseState::Expired {
                    prop_assert!(who.clock);
                }
                if after.was_public() && !state.was_public() {
                    prop_assert_eq!(action, Action::Publish);
                    prop_assert!(state == CaseState::Approved || state == CaseState::Proposed && approvers.len() >= needed);
                }
                state = after;
            }
        }
    }
}
