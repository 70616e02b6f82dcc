//! Cases onto the list and off it: case and version in one frame.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::list::{ListId, Serial};
use crate::publisher::{Beside, By, PublishError, PublishReport, Refusal, Wish, forces_approvals};
use crate::store::Record;

use super::act::hats;
use super::case::Case;
use super::room::{ROOM, weight};
use super::states::{Action, Approvals, CaseState, Hats, NotDone, next};
use super::{Desk, DeskError, expected};

/// Most cases in one publication.
pub(super) const MAX_CASES: usize = 10_000;

/// Which cases to publish, and how.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PublishCases {
    /// Their references; empty: all of the list that are approved as often as it demands now.
    pub references: Vec<String>,
    /// Why, for the log.
    pub reason: String,
    /// Guards to override, by name. With `approvals` the references are published as they are, in an emergency; an owner's.
    pub force: Vec<String>,
    /// Only say what would happen.
    pub dry_run: bool,
}

/// Makes more records for the frame of cases: of the version of this serial; none, if the list was so already.
pub(super) type Also<'a> = &'a dyn Fn(Option<Serial>) -> Result<Vec<Record>, DeskError>;

/// Cases, what is done to them, and what is written with it.
pub(super) struct Moved<'a> {
    pub(super) cases: Vec<Case>,
    pub(super) action: Action,
    pub(super) also: Also<'a>,
}

/// Nothing else.
pub(super) fn nothing(_: Option<Serial>) -> Result<Vec<Record>, DeskError> {
    Ok(Vec::new())
}

impl Desk {
    /// Publishes approved cases of a list in one version.
    ///
    /// # Errors
    /// [`DeskError::NotDone`] if one of those named has too few approvals, or all have; by a guard of the publisher; of
    /// the store. Nothing is published then.
    pub fn publish(&self, list: &ListId, request: &PublishCases, who: Hats, by: &By) -> Result<PublishReport, DeskError> {
        let _writing = self.lock(list);
        let cases =
            if request.references.is_empty() { self.all_ready(list, &request.reason)? } else { self.named(list, &request.references)? };
        let emergency = !request.references.is_empty() && forces_approvals(&request.force);
        for case in &cases {
            self.in_time(case)?;
            let approvals = self.approvals(case)?;
            match case.state {
                // The publication bears the name of the guard, and waits for a review.
                CaseState::Proposed | CaseState::Approved if emergency && who.owner => {}
                state => drop(next(state, Action::Publish, hats(case, who, by), approvals)?),
            }
        }
        let how = Beside { reason: request.reason.clone(), force: request.force.clone(), cleared: !emergency, dry_run: request.dry_run };
        self.onto(list, cases, Action::Publish, &how, by)
    }

    /// Puts suspended cases back, takes published ones off the list for a while or for good.
    ///
    /// # Errors
    /// As of [`Desk::publish`].
    pub fn change(&self, reference: &str, action: Action, reason: &str, who: Hats, by: &By) -> Result<PublishReport, DeskError> {
        let _writing = self.lock(&self.case(reference)?.list);
        let mut case = Case::clone(&*self.case(reference)?);
        expected(by, &case)?;
        next(case.state, action, hats(&case, who, by), self.approvals(&case)?)?;
        if !reason.is_empty() {
            case.decision = reason.chars().take(1_000).collect();
        }
        let list = case.list.clone();
        let how = Beside { reason: reason.to_owned(), cleared: true, ..Beside::default() };
        match action {
            Action::Resume => self.onto(&list, vec![case], action, &how, by),
            Action::Suspend | Action::Remove => self.off(&list, vec![case], action, &how, by),
            _ => Err(DeskError::Form("this action")),
        }
    }

    /// What a publication of all that are approved takes for this reason: those whose time is not over, with the approvals that the
    /// list demands by now, also if they were proposed while it demanded more, as many as find room in its frame; and what one of those
    /// that were approved lacks.
    pub(super) fn ready(&self, list: &ListId, reason: &str) -> Result<(Vec<Case>, Option<Approvals>), DeskError> {
        let (mut ready, mut lacking, mut room) = (Vec::new(), None, ROOM);
        let waits = |case: &&Arc<Case>| matches!(case.state, CaseState::Proposed | CaseState::Approved);
        let waiting: Vec<Arc<Case>> = self.read(|cases| cases.all_open(Some(list)).filter(waits).cloned().collect());
        for case in waiting {
            let approvals = self.approvals(&case)?;
            if !approvals.enough() {
                lacking = if case.state == CaseState::Approved { Some(approvals) } else { lacking };
            } else if ready.len() < MAX_CASES && self.in_time(&case).is_ok() {
                let octets = weight(&case, reason);
                // One that is longer than all the room goes alone.
                if octets <= room || ready.is_empty() {
                    room = room.saturating_sub(octets);
                    ready.push(Case::clone(&case));
                }
            }
        }
        Ok((ready, lacking))
    }

    /// All that are ready, if any is or none is approved.
    pub(super) fn all_ready(&self, list: &ListId, reason: &str) -> Result<Vec<Case>, DeskError> {
        match self.ready(list, reason)? {
            (ready, Some(lacking)) if ready.is_empty() => Err(NotDone::TooFew(lacking).into()),
            (ready, _) => Ok(ready),
        }
    }

    fn in_time(&self, case: &Case) -> Result<(), DeskError> {
        let over = case.words.over(self.clock.now().date());
        over.map_or(Ok(()), |day| {
            Err(DeskError::Refused(vec![Refusal {
                place: "references".into(),
                text: case.reference.clone(),
                reason: format!("its time was over on {day}, before it was published"),
                hint: "edit its date of expiry, or withdraw it".into(),
            }]))
        })
    }

    fn named(&self, list: &ListId, references: &[String]) -> Result<Vec<Case>, DeskError> {
        if references.len() > MAX_CASES {
            return Err(DeskError::Refused(vec![Refusal {
                place: "references".into(),
                text: references.len().to_string(),
                reason: format!("more than {MAX_CASES} cases in one publication"),
                hint: "publish them in parts".into(),
            }]));
        }
        let cases: Result<Vec<Case>, DeskError> = references.iter().map(|reference| Ok(Case::clone(&*self.case(reference)?))).collect();
        let cases = cases?;
        match cases.iter().find(|case| case.list != *list) {
            Some(case) => Err(DeskError::NoCase(case.reference.clone())),
            None => Ok(cases),
        }
    }

    pub(super) fn onto(&self, list: &ListId, cases: Vec<Case>, action: Action, how: &Beside, by: &By) -> Result<PublishReport, DeskError> {
        self.onto_with(list, Moved { cases, action, also: &nothing }, how, by)
    }

    pub(super) fn onto_with(&self, list: &ListId, moved: Moved<'_>, how: &Beside, by: &By) -> Result<PublishReport, DeskError> {
        let cases = &moved.cases;
        let mut wishes = Vec::with_capacity(cases.len());
        for case in cases {
            let entry = case.entry().map_err(|_| DeskError::Form("an entry"))?;
            wishes.push(Wish::Put(entry));
        }
        self.together(list, &wishes, moved, how, by)
    }

    pub(super) fn off(&self, list: &ListId, cases: Vec<Case>, action: Action, how: &Beside, by: &By) -> Result<PublishReport, DeskError> {
        // What stands under the rule of a suspended entry is somebody else's.
        let on_it = cases.iter().filter(|case| case.state != CaseState::Suspended);
        let wishes: Vec<Wish> = on_it.map(|case| Wish::Remove(case.rule())).collect();
        self.together(list, &wishes, Moved { cases, action, also: &nothing }, how, by)
    }

    /// Publishes the wishes with the cases as they are after it, in one frame.
    pub(super) fn together(
        &self,
        list: &ListId,
        wishes: &[Wish],
        moved: Moved<'_>,
        how: &Beside,
        by: &By,
    ) -> Result<PublishReport, DeskError> {
        let Moved { mut cases, action, also } = moved;
        let at = self.clock.now();
        for case in &mut cases {
            self.settle(case, action);
        }
        let hands = cases.iter().flat_map(|case| case.authors.clone());
        let why = by.clone().because(how.reason.clone()).with_hands(hands);
        let own = |serial: Serial| {
            let mut with = cases.clone();
            if matches!(action, Action::Publish | Action::Resume) {
                with.iter_mut().for_each(|case| case.serial = Some(serial));
            }
            let mut records = self.records(&with, &why, at, action)?;
            records.extend(also(Some(serial))?);
            Ok(records)
        };
        let report = self.followed(list, &cases, &own, &why, |made| self.publisher.publish_beside(list, wishes, how, made, &why))?;
        if how.dry_run {
            return Ok(report);
        }
        match &report.version {
            Some(version) if matches!(action, Action::Publish | Action::Resume) => {
                cases.iter_mut().for_each(|case| case.serial = Some(version.serial));
            }
            Some(_) => {}
            None if cases.is_empty() => return Ok(report),
            // The list is so already: what was decided is written all the same, with what the caller has written beside it.
            None => {
                let records = [self.records(&cases, &why, at, action)?, also(None)?, why.with.clone()].concat();
                self.store.commit(&Record::All { records }).map_err(PublishError::from)?;
            }
        }
        self.keep(cases);
        Ok(report)
    }

    /// State and dates after `action`, which the table of states has allowed.
    fn settle(&self, case: &mut Case, action: Action) {
        let at = self.clock.now();
        let state = match action {
            Action::Publish | Action::Resume => CaseState::Published,
            Action::Suspend => CaseState::Suspended,
            Action::Expire => CaseState::Expired,
            _ => CaseState::Removed,
        };
        self.enter(case, state);
        if state == CaseState::Published {
            case.published.get_or_insert(at);
            case.ended = None;
        } else {
            case.ended = Some(at);
        }
        case.revision += 1;
    }
}
