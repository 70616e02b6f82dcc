//! Cases onto the list and off it: case and version in one frame.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::list::{ListId, Serial};
use crate::publisher::{Beside, By, PublishError, PublishReport, Refusal, Wish};
use crate::store::Record;

use super::act::{hats, records};
use super::case::Case;
use super::states::{Action, CaseState, Hats, next};
use super::{Desk, DeskError};

/// Most cases in one publication.
const MAX_CASES: usize = 10_000;

/// Which cases to publish, and how.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PublishCases {
    /// Their references; empty: all of the list that are approved.
    pub references: Vec<String>,
    /// Why, for the log.
    pub reason: String,
    /// Guards to override, by name.
    pub force: Vec<String>,
    /// Only say what would happen.
    pub dry_run: bool,
}

impl Desk {
    /// Publishes approved cases of a list in one version.
    ///
    /// # Errors
    /// [`DeskError::NotDone`] if one has too few approvals; by a guard of the publisher; of the store. Nothing is published then.
    pub fn publish(&self, list: &ListId, request: &PublishCases, who: Hats, by: &By) -> Result<PublishReport, DeskError> {
        let _writing = self.lock();
        let mut cases: Vec<Case> = match request.references.is_empty() {
            true => self.read(|cases| {
                let approved =
                    cases.all.values().map(|kept| &kept.case).filter(|case| case.list == *list && case.state == CaseState::Approved);
                approved.take(MAX_CASES).map(|case| Case::clone(case)).collect()
            }),
            false => self.named(list, &request.references)?,
        };
        cases.retain(|case| case.words.attributes.expires.is_none_or(|day| day >= self.clock.now().date()));
        for case in &mut cases {
            next(case.state, Action::Publish, hats(case, who, by), self.approvals(case)?)?;
        }
        let how = Beside { reason: request.reason.clone(), force: request.force.clone(), cleared: true, dry_run: request.dry_run };
        self.onto(list, cases, Action::Publish, &how, by)
    }

    /// Puts suspended cases back, takes published ones off the list for a while or for good.
    ///
    /// # Errors
    /// As of [`Desk::publish`].
    pub fn change(&self, reference: &str, action: Action, reason: &str, who: Hats, by: &By) -> Result<PublishReport, DeskError> {
        let _writing = self.lock();
        let mut case = Case::clone(&*self.case(reference)?);
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

    fn onto(&self, list: &ListId, cases: Vec<Case>, action: Action, how: &Beside, by: &By) -> Result<PublishReport, DeskError> {
        let mut wishes = Vec::with_capacity(cases.len());
        for case in &cases {
            let entry = case.entry().map_err(|_| DeskError::Form("an entry"))?;
            wishes.push(Wish::Put(entry));
        }
        self.together(list, &wishes, cases, action, how, by)
    }

    pub(super) fn off(&self, list: &ListId, cases: Vec<Case>, action: Action, how: &Beside, by: &By) -> Result<PublishReport, DeskError> {
        let wishes: Vec<Wish> = cases.iter().map(|case| Wish::Remove(case.rule())).collect();
        self.together(list, &wishes, cases, action, how, by)
    }

    /// Publishes the wishes with the cases as they are after it, in one frame.
    pub(super) fn together(
        &self,
        list: &ListId,
        wishes: &[Wish],
        mut cases: Vec<Case>,
        action: Action,
        how: &Beside,
        by: &By,
    ) -> Result<PublishReport, DeskError> {
        let at = self.clock.now();
        for case in &mut cases {
            self.settle(case, action);
        }
        let made = |serial: Serial| -> Vec<Record> {
            let mut with = cases.clone();
            if matches!(action, Action::Publish | Action::Resume) {
                with.iter_mut().for_each(|case| case.serial = Some(serial));
            }
            records(&with, by, at, action).unwrap_or_default()
        };
        let report = self.publisher.publish_beside(list, wishes, how, &made, by.clone().because(how.reason.clone()))?;
        if how.dry_run {
            return Ok(report);
        }
        match &report.version {
            Some(version) if matches!(action, Action::Publish | Action::Resume) => {
                cases.iter_mut().for_each(|case| case.serial = Some(version.serial));
            }
            Some(_) => {}
            None if cases.is_empty() => return Ok(report),
            // The list is so already: what was decided is written all the same.
            None => {
                self.store.commit(&Record::All { records: records(&cases, by, at, action)? }).map(|_| ()).map_err(PublishError::from)?
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
