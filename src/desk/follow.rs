//! Cases follow what is published by other ways than the desk's own: by staged changes, by an import, by undoing a version.
//!
//! Guarantees: a case and the version that changed its entry are one frame. An entry that is taken off closes its case, one that comes
//! back under its reference opens it again and closes another one of its rule, one with other attributes changes its words.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::list::{Attributes, Entry, ListId, Serial, rule_of};
use crate::publisher::{Beside, By, EachChange, PublishError, PublishReport, PublishRequest, Records, Undone};
use crate::store::Record;

use super::case::Case;
use super::states::{Action, CaseState};
use super::{Cases, Desk, DeskError};

/// Cases as they are after a version, with what was done to each.
type Followed = BTreeMap<String, (Case, Action)>;

impl Desk {
    /// Publishes what is staged for a list; the cases of the entries that change follow in the same frame.
    ///
    /// # Errors
    /// By a guard of the publisher; of the store. Nothing is published then.
    pub fn publish_staged(&self, list: &ListId, request: &PublishRequest, by: &By) -> Result<PublishReport, DeskError> {
        let _writing = self.lock(list);
        let by = by.clone().because(&*request.reason);
        self.followed(list, &[], &|_| Ok(Vec::new()), &by, |records| self.publisher.publish_with(list, request, records, &by))
    }

    /// Reverses the changes of a version by a new one, as [`crate::publisher::Publisher::undo`] does; the cases follow.
    ///
    /// # Errors
    /// As there.
    pub fn undo(&self, list: &ListId, serial: Serial, partial: bool, how: &Beside, by: &By) -> Result<Undone, DeskError> {
        let _writing = self.lock(list);
        let by = by.clone().because(&*how.reason);
        self.followed(list, &[], &|_| Ok(Vec::new()), &by, |records| self.publisher.undo(list, serial, partial, how, records, &by))
    }

    /// Publishes by `publish`, with `own` records and those of the cases that follow; `but` are the caller's own.
    pub(super) fn followed<T>(
        &self,
        list: &ListId,
        but: &[Case],
        own: &dyn Fn(Serial) -> Result<Vec<Record>, DeskError>,
        by: &By,
        publish: impl FnOnce(Records<'_>) -> Result<T, PublishError>,
    ) -> Result<T, DeskError> {
        let followed = RefCell::new(Followed::new());
        let failed = |e: DeskError| PublishError::System(e.to_string());
        let made = |serial: Serial, each: EachChange<'_>| {
            let mut all = own(serial).map_err(failed)?;
            let after = self.after(list, serial, but, each)?;
            for (case, action) in after.values() {
                all.extend(self.records(std::slice::from_ref(case), by, self.clock.now(), *action).map_err(failed)?);
            }
            followed.replace(after);
            Ok(all)
        };
        let done = publish(&made)?;
        self.keep(followed.into_inner().into_values().map(|(case, _)| case));
        Ok(done)
    }

    /// The cases that these changes concern, as they are after the version.
    fn after(&self, list: &ListId, serial: Serial, but: &[Case], each: EachChange<'_>) -> Result<Followed, PublishError> {
        let mut after = Followed::new();
        let mut all = Vec::new();
        self.read(|cases| {
            if cases.all.is_empty() {
                return Ok(());
            }
            each(&mut |line| all.extend(concerned(cases, list, line)))
        })?;
        for (mut case, entry) in all.into_iter().filter(|(case, _)| but.iter().all(|own| own.reference != case.reference)) {
            let replaced = || format!("version {serial} put an earlier entry of its rule back onto the list");
            let (state, action, decision) = match (&entry, case.state) {
                (None, CaseState::Draft | CaseState::Proposed | CaseState::Approved) => (CaseState::Rejected, Action::Reject, replaced()),
                (None, CaseState::Suspended) => (CaseState::Removed, Action::Remove, replaced()),
                (None, _) => (CaseState::Removed, Action::Remove, format!("version {serial} took it off the list")),
                (_, CaseState::Published) => (CaseState::Published, Action::Edit, format!("version {serial} changed its attributes")),
                _ => (CaseState::Published, Action::Resume, format!("version {serial} put it back onto the list")),
            };
            match entry {
                Some(attributes) => (case.words.attributes, case.ended, case.serial) = (attributes, None, Some(serial)),
                None if case.state.was_public() => case.ended = Some(self.clock.now()),
                None => {}
            }
            case.decision = decision;
            case.revision += 1;
            self.enter(&mut case, state);
            after.insert(case.reference.clone(), (case, action));
        }
        Ok(after)
    }
}

/// The cases that a change line concerns, with the attributes that the entry has after it; none: it is off the list.
fn concerned(cases: &Cases, list: &ListId, line: &str) -> Vec<(Case, Option<Attributes>)> {
    let (sign, body) = line.split_at(1);
    let (rule, mut concerned) = (rule_of(body), Vec::new());
    let entry = (sign != "-" && body.contains("\tref=")).then(|| Entry::trusted(body).attributes());
    let reference = entry.as_ref().and_then(|attributes| attributes.reference.as_deref());
    if let Some(case) = cases.open(list, rule)
        && case.state == CaseState::Published
        && reference != Some(&*case.reference)
    {
        concerned.push((Case::clone(case), None));
    }
    let named = reference.and_then(|reference| cases.all.get(reference)).map(|kept| &kept.case);
    if let Some(case) = named.filter(|case| case.list == *list && case.words.rule == rule && case.state.was_public()) {
        let attributes = Attributes { reference: None, ..entry.unwrap_or_default() };
        if case.state != CaseState::Published || case.words.attributes != attributes {
            // One rule has one case at a time: it takes the place of one that has begun since.
            if let Some(other) = cases.open(list, rule)
                && other.state != CaseState::Published
                && other.reference != case.reference
            {
                concerned.push((Case::clone(other), None));
            }
            concerned.push((Case::clone(case), Some(attributes)));
        }
    }
    concerned
}
