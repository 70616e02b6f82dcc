//! What people do to a case before and beside its publication: propose, edit, approve, reject, withdraw, note.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::list::{Colour, ListId};
use crate::publisher::{By, Refusal};

use super::case::{Approval, Case, Words, note};
use super::states::{Action, Approvals, CaseState, Hats, next};
use super::{Desk, DeskError, case_act, random_reference};

/// A case to begin.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewCase {
    /// What is written of it.
    pub words: Words,
    /// A note for those who work on it.
    pub note: String,
    /// Leave it a draft for now.
    pub draft: bool,
}

/// What to do to a case.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CaseEdit {
    /// New words, all of them; none: as they are. Approvals fall.
    pub words: Option<Words>,
    /// A note for those who work on it.
    pub note: String,
    /// Why, for those who work on it and for the audit chain.
    pub reason: String,
    /// Only if the case is still at this revision.
    pub revision: Option<u64>,
}

impl Desk {
    /// Begins a case, and puts it before those who approve unless it is to stay a draft.
    ///
    /// # Errors
    /// [`DeskError::Refused`] by form, or if another case of this rule is under way; of the store.
    pub fn propose(&self, list: &ListId, new: NewCase, who: Hats, by: &By) -> Result<Arc<Case>, DeskError> {
        self.publisher.view(list)?;
        let _writing = self.lock();
        let at = self.clock.now();
        let mut words = new.words;
        let mut refusals = words.settle();
        refusals.extend(self.settle_schemes(&mut words)?);
        self.is_free(list, &words, None, &mut refusals);
        let mut case = Case {
            reference: random_reference()?,
            list: list.clone(),
            state: CaseState::Draft,
            words,
            notes: Vec::new(),
            proposer: by.who.clone(),
            authors: vec![by.who.clone()],
            approvals: Vec::new(),
            decision: String::new(),
            created: at,
            proposed: None,
            approved: None,
            published: None,
            ended: None,
            serial: None,
            revision: 1,
        };
        refusals.extend(note(&mut case, at, &by.who, &new.note).err());
        if !refusals.is_empty() {
            return Err(DeskError::Refused(refusals));
        }
        let hats = Hats { author: true, ..who };
        // A draft takes what a proposal takes.
        let proposed = next(case.state, Action::Propose, hats, self.approvals(&case)?)?;
        if !new.draft {
            self.enter(&mut case, proposed);
        }
        self.write_case(case, by, if new.draft { Action::Edit } else { Action::Propose })
    }

    /// Does something to a case that needs no publication. New words go with `Edit`, a note with everything.
    ///
    /// # Errors
    /// [`DeskError::NotDone`] by the table of states; [`DeskError::Changed`]; by form; of the store.
    pub fn act(&self, reference: &str, action: Action, edit: CaseEdit, who: Hats, by: &By) -> Result<Arc<Case>, DeskError> {
        let _writing = self.lock();
        let mut case = Case::clone(&*self.case(reference)?);
        if edit.revision.is_some_and(|revision| revision != case.revision) {
            return Err(DeskError::Changed(case.revision));
        }
        let at = self.clock.now();
        let mut refusals = Vec::new();
        if let (Action::Edit, Some(mut words)) = (action, edit.words) {
            refusals.extend(words.settle());
            refusals.extend(self.settle_schemes(&mut words)?);
            self.is_free(&case.list, &words, Some(reference), &mut refusals);
            case.words = words;
        }
        refusals.extend(note(&mut case, at, &by.who, &edit.note).err());
        if !refusals.is_empty() {
            return Err(DeskError::Refused(refusals));
        }
        let after = next(case.state, action, hats(&case, who, by), self.approvals(&case)?)?;
        match action {
            Action::Edit => {
                case.approvals.clear();
                if !case.authors.contains(&by.who) {
                    case.authors.push(by.who.clone());
                }
            }
            Action::Approve => case.approvals.push(Approval { by: by.who.clone(), at }),
            Action::Publish | Action::Suspend | Action::Resume | Action::Remove | Action::Expire => {
                return Err(DeskError::Form("this action"));
            }
            Action::Propose | Action::Reject | Action::Withdraw => {}
        }
        if !edit.reason.is_empty() {
            case.decision = edit.reason.chars().take(1_000).collect();
        }
        self.enter(&mut case, after);
        case.revision += 1;
        self.write_case(case, &by.clone().because(edit.reason), action)
    }

    /// Adds a note, whatever the state.
    ///
    /// # Errors
    /// By form; of the store.
    pub fn note(&self, reference: &str, text: &str, by: &By) -> Result<Arc<Case>, DeskError> {
        let _writing = self.lock();
        let mut case = Case::clone(&*self.case(reference)?);
        note(&mut case, self.clock.now(), &by.who, text).map_err(|refusal| DeskError::Refused(vec![refusal]))?;
        case.revision += 1;
        self.write(vec![super::case_record(&case)?], by, "case.note", super::object(&case))?;
        self.keep([case]);
        self.case(reference)
    }

    /// Sets the day on which somebody is to look at a published entry again: it was looked at.
    ///
    /// # Errors
    /// Of the store.
    pub fn review(&self, reference: &str, next_day: Option<crate::list::Date>, by: &By) -> Result<Arc<Case>, DeskError> {
        let _writing = self.lock();
        let mut case = Case::clone(&*self.case(reference)?);
        case.words.review_by = next_day;
        case.revision += 1;
        self.write(vec![super::case_record(&case)?], by, "case.review", super::object(&case))?;
        self.keep([case]);
        self.case(reference)
    }

    /// Sets state and dates.
    pub(super) fn enter(&self, case: &mut Case, state: CaseState) {
        let at = self.clock.now();
        if matches!(state, CaseState::Proposed | CaseState::Approved) {
            case.proposed.get_or_insert(at);
        }
        case.approved = match state {
            CaseState::Draft | CaseState::Proposed => None,
            CaseState::Approved => Some(case.approved.unwrap_or(at)),
            _ => case.approved,
        };
        case.state = state;
    }

    /// Approvals of a case, and how many it needs.
    pub(super) fn approvals(&self, case: &Case) -> Result<Approvals, DeskError> {
        let policy = self.publisher.policy(&case.list)?;
        let black = self.publisher.view(&case.list)?.meta.colour == Colour::Black;
        let popular = black && policy.popular && self.publisher.options().popular.forbids(&case.words.rule);
        Ok(Approvals { given: case.approvals.len(), needed: usize::from(policy.approvals) + usize::from(popular) })
    }

    /// One rule has one case at a time.
    fn is_free(&self, list: &ListId, words: &Words, own: Option<&str>, refusals: &mut Vec<Refusal>) {
        let other = self.read(|cases| cases.open.get(&(list.clone(), words.rule.clone())).cloned());
        if let Some(other) = other.filter(|other| Some(&**other) != own) {
            refusals.push(Refusal {
                place: "words.rule".into(),
                text: words.rule.chars().take(80).collect(),
                reason: format!("there is a case of this rule already: {other}"),
                hint: "go on with that one".into(),
            });
        }
    }
}

/// Who acts, with what they have to do with this case.
pub(super) fn hats(case: &Case, who: Hats, by: &By) -> Hats {
    Hats { author: case.authors.contains(&by.who), approved: case.approvals.iter().any(|approval| approval.by == by.who), ..who }
}

/// A case with what a publication makes of it, and its records.
pub(super) fn records(cases: &[Case], by: &By, at: crate::list::Timestamp, action: Action) -> Result<Vec<crate::store::Record>, DeskError> {
    let mut records = Vec::with_capacity(cases.len() * 2);
    for case in cases {
        records.push(super::case_record(case)?);
        records.push(case_act(case, by, at, action));
    }
    Ok(records)
}
