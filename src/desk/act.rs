//! What people do to a case before and beside its publication: propose, edit, approve, reject, withdraw, note.

use std::sync::{Arc, PoisonError};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::list::{Date, Entry, ListId, Rule};
use crate::publisher::{By, Refusal};

use super::case::{Approval, Case, Words, note};
use super::states::{Action, Approvals, CaseState, Hats, NotDone, next};
use super::{Desk, DeskError, expected, random_reference};

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
        let _writing = self.lock(list);
        let at = self.clock.now();
        let mut words = new.words;
        let mut refusals = words.settle();
        refusals.extend(self.settle_schemes(&mut words)?);
        self.is_free(list, &words, None, &mut refusals);
        self.is_in_time(&words, &mut refusals);
        self.would_take(list, &words, &mut refusals)?;
        let mut case = Case {
            reference: random_reference()?,
            list: list.clone(),
            state: CaseState::Draft,
            words,
            number: 0,
            notes: Vec::new(),
            proposer: by.who.clone(),
            authors: vec![by.who.clone()],
            approvals: Vec::new(),
            notices: Vec::new(),
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
        case.notices = self.notices(&case)?;
        // A draft takes what a proposal takes.
        let proposed = next(case.state, Action::Propose, hats, self.approvals(&case)?)?;
        if !new.draft {
            self.enter(&mut case, proposed);
        }
        let _beginning = self.beginning.lock().unwrap_or_else(PoisonError::into_inner);
        case.number = self.read(|cases| cases.last) + 1;
        self.write_case(case, by, if new.draft { Action::Edit } else { Action::Propose })
    }

    /// Does something to a case that needs no publication. New words go with `Edit`, a note with everything.
    ///
    /// # Errors
    /// [`DeskError::NotDone`] by the table of states; [`DeskError::Changed`]; by form; of the store.
    pub fn act(&self, reference: &str, action: Action, edit: CaseEdit, who: Hats, by: &By) -> Result<Arc<Case>, DeskError> {
        let _writing = self.lock(&self.case(reference)?.list);
        let mut case = Case::clone(&*self.case(reference)?);
        expected(by, &case)?;
        if edit.revision.is_some_and(|revision| revision != case.revision) {
            return Err(DeskError::Changed(case.revision));
        }
        crate::publisher::check_asked(&edit.reason, &[])?;
        let at = self.clock.now();
        let mut refusals = Vec::new();
        if let (Action::Edit, Some(mut words)) = (action, edit.words) {
            refusals.extend(words.settle());
            refusals.extend(self.settle_schemes(&mut words)?);
            self.is_free(&case.list, &words, Some(reference), &mut refusals);
            self.is_in_time(&words, &mut refusals);
            self.would_take(&case.list, &words, &mut refusals)?;
            case.words = words;
        }
        refusals.extend(note(&mut case, at, &by.who, &edit.note).err());
        if !refusals.is_empty() {
            return Err(DeskError::Refused(refusals));
        }
        let after = next(case.state, action, hats(&case, who, by), self.approvals(&case)?)?;
        if case.state.has_ended() && !after.has_ended() {
            // Somebody may have begun another one of its rule since it ended.
            self.is_free(&case.list, &case.words, Some(reference), &mut refusals);
            if !refusals.is_empty() {
                return Err(DeskError::Refused(refusals));
            }
        }
        match action {
            Action::Edit => {
                case.approvals.clear();
                if !case.authors.contains(&by.who) {
                    case.authors.push(by.who.clone());
                }
            }
            // What comes back is another proposal: with the approvals of the one before, those who gave them could not give them again.
            Action::Propose => case.approvals.clear(),
            Action::Approve => case.approvals.push(Approval { by: by.who.clone(), at }),
            Action::Publish | Action::Suspend | Action::Resume | Action::Remove | Action::Expire => {
                return Err(DeskError::Form("this action"));
            }
            Action::Reject | Action::Withdraw => {}
        }
        if matches!(action, Action::Edit | Action::Propose | Action::Approve) {
            case.notices = self.notices(&case)?;
        }
        if !edit.reason.is_empty() {
            case.decision = edit.reason.chars().take(1_000).collect();
        }
        self.enter(&mut case, after);
        case.revision += 1;
        self.write_case(case, &by.clone().because(edit.reason), action)
    }

    /// Adds a note, if there is a text, whatever the state; `reviewed` says that a published entry was looked at, and the day on
    /// which somebody is to look at it again. Both or neither.
    ///
    /// # Errors
    /// [`DeskError::NotDone`] if there is nothing to look at again, or the list demands approvals and `by` wrote the entry; by form; of
    /// the store.
    pub fn note(&self, reference: &str, text: &str, reviewed: Option<Option<Date>>, by: &By) -> Result<Arc<Case>, DeskError> {
        let _writing = self.lock(&self.case(reference)?.list);
        let mut case = Case::clone(&*self.case(reference)?);
        expected(by, &case)?;
        if text.is_empty() && reviewed.is_none() {
            return self.case(reference);
        }
        note(&mut case, self.clock.now(), &by.who, text).map_err(|refusal| DeskError::Refused(vec![refusal]))?;
        if let Some(next_day) = reviewed {
            if !matches!(case.state, CaseState::Published | CaseState::Suspended) {
                return Err(NotDone::NoReview(case.state).into());
            }
            if case.authors.contains(&by.who) && self.approvals(&case)?.needed > 0 {
                return Err(NotDone::OwnReview.into());
            }
            case.words.review_by = next_day;
        }
        case.revision += 1;
        let what = if reviewed.is_some() { "case.review" } else { "case.note" };
        self.write(vec![super::case_record(&case)?], by, what, super::object(&case), self.changed(&case))?;
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
        let (needed, _) = self.publisher.approvals_for(&case.list, &case.words.rule)?;
        // What was on the list once was decided then; before that only those count who may still decide.
        let counts = |by: &str| case.state.was_public() || self.bars(by, super::JUDGES, &case.list).is_none();
        Ok(Approvals { given: case.approvals.iter().filter(|approval| counts(&approval.by)).count(), needed })
    }

    /// Whether a case waits for its publication alone: it is approved, or was proposed while the list demanded more than it does now.
    pub(super) fn is_cleared(&self, case: &Case) -> Result<bool, DeskError> {
        Ok(match case.state {
            CaseState::Approved => true,
            CaseState::Proposed => self.approvals(case)?.enough(),
            _ => false,
        })
    }

    /// What no approval would bring onto the list is refused when it is written, not only when it is published.
    fn would_take(&self, list: &ListId, words: &Words, refusals: &mut Vec<Refusal>) -> Result<(), DeskError> {
        if !refusals.is_empty() {
            return Ok(());
        }
        let entry = Entry::new(&Rule::trusted(&words.rule), &words.attributes).map_err(|_| DeskError::Form("an entry"))?;
        if let Some(refusal) = self.publisher.would_refuse(list, &entry)? {
            let place = if refusal.place == "categories" { "words.attributes.categories" } else { "words.rule" };
            refusals.push(Refusal { place: place.into(), ..refusal });
        }
        Ok(())
    }

    /// What those who approve should know of it beside its words.
    fn notices(&self, case: &Case) -> Result<Vec<Refusal>, DeskError> {
        let mut notices = self.publisher.on_both_colours(&case.list, &[case.rule()])?;
        let (_, more) = self.publisher.approvals_for(&case.list, &case.words.rule)?;
        if more > 0 {
            notices.push(Refusal {
                place: "popular".into(),
                text: case.words.rule.chars().take(80).collect(),
                reason: format!("it would block a popular name, so it needs {more} approvals more"),
                hint: "look twice; propose the page or the part that is meant instead of the whole name".into(),
            });
        }
        notices.truncate(10);
        Ok(notices)
    }

    /// What would leave the list on the day on which it comes is a mistake in the date.
    fn is_in_time(&self, words: &Words, refusals: &mut Vec<Refusal>) {
        let today = self.clock.now().date();
        if let Some(day) = words.over(today) {
            refusals.push(Refusal {
                place: "words.attributes.expires".into(),
                text: day.to_string(),
                reason: format!("it is before today, {today}: the entry would never be on the list"),
                hint: "write a later day, or leave it out".into(),
            });
        }
    }

    /// One rule has one case at a time.
    fn is_free(&self, list: &ListId, words: &Words, own: Option<&str>, refusals: &mut Vec<Refusal>) {
        let other = self.read(|cases| cases.open(list, &words.rule).map(|case| case.reference.clone()));
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
