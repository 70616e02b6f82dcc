//! Cases follow what is published by other ways than the desk's own: by staged changes, by an import, by undoing a version.
//!
//! Guarantees: a case and the version that changed its entry are one frame, as many as find room in it; the others are written at once
//! behind it, and what a stop in between left is found by the next tick, which compares cases with lists. An entry that is taken off
//! closes its case, one that comes back under its reference opens it again and closes another one of its rule, one with other
//! attributes changes its words. While a version's lines are read nobody waits for the cases.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{PoisonError, RwLock};

use memchr::memmem::Finder;

use crate::list::{Attributes, Entry, ListId, Rule, Serial, rule_of};
use crate::publisher::{Beside, By, EachChange, PublishError, PublishReport, PublishRequest, Records, Undone};
use crate::store::Record;

use super::case::Case;
use super::room::{ROOM, in_parts, weight};
use super::states::{Action, CaseState};
use super::{Cases, Desk, DeskError};

/// Cases as they are after a version, with what was done to each; those of one rule stand together.
type Followed = Vec<(Case, Action)>;
/// A case and the attributes that its entry has; none: it is off the list.
type Concerned = (Case, Option<Attributes>);

/// Change lines that are looked at before those who wait for the cases have their turn.
const LINES: usize = 1_000;
/// What stands before a reference in an entry line.
const REFERENCE: &str = "\tref=";

impl Desk {
    /// Publishes what is staged for a list; the cases of the entries that change follow in the same frame.
    ///
    /// # Errors
    /// By a guard of the publisher; of the store. Nothing is published then.
    pub fn publish_staged(&self, list: &ListId, request: &PublishRequest, by: &By) -> Result<PublishReport, DeskError> {
        self.publish_staged_with(list, request, by, &|_| Ok(Vec::new()))
    }

    /// The same with more records in the version's frame.
    pub(super) fn publish_staged_with(
        &self,
        list: &ListId,
        request: &PublishRequest,
        by: &By,
        also: &dyn Fn(Serial) -> Result<Vec<Record>, DeskError>,
    ) -> Result<PublishReport, DeskError> {
        let _writing = self.lock(list);
        let by = by.clone().because(&*request.reason);
        self.followed(list, &[], also, &by, |records| self.publisher.publish_with(list, request, records, &by))
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
        let (together, behind) = (RefCell::new(Followed::new()), RefCell::new(Followed::new()));
        let failed = |e: DeskError| PublishError::System(e.to_string());
        let made = |serial: Serial, each: EachChange<'_>| {
            let mut all = own(serial).map_err(failed)?;
            let mut after = self.after(list, serial, but, each)?;
            let taken: usize = but.iter().map(|case| weight(case, &by.reason)).sum();
            let rest = after.split_off(fitting(&after, &by.reason, ROOM.saturating_sub(taken)));
            for (case, action) in &after {
                all.extend(self.records(std::slice::from_ref(case), by, self.clock.now(), *action).map_err(failed)?);
            }
            together.replace(after);
            behind.replace(rest);
            Ok(all)
        };
        let done = publish(&made).map_err(in_parts)?;
        self.keep(together.into_inner().into_iter().map(|(case, _)| case));
        // The version is out, whatever comes of this.
        if let Err(error) = self.write_behind(behind.into_inner(), by) {
            tracing::warn!(%list, %error, "not all entries under administration have followed the version yet; the next tick goes on");
        }
        Ok(done)
    }

    /// The cases that these changes concern, as they are after the version.
    fn after(&self, list: &ListId, serial: Serial, but: &[Case], each: EachChange<'_>) -> Result<Followed, PublishError> {
        let own: BTreeSet<&str> = but.iter().map(|case| case.reference.as_str()).collect();
        let mut all = all_concerned(&self.cases, list, each)?;
        all.retain(|(case, _)| !own.contains(case.reference.as_str()));
        Ok(self.following(serial, all, false))
    }

    /// Cases as they are after a version that concerns them; `late`: it may have been one before it.
    fn following(&self, serial: Serial, all: Vec<Concerned>, late: bool) -> Followed {
        let said = |then: &str, now: &str| if late { format!("{now} in version {serial}") } else { format!("version {serial} {then}") };
        let mut after = Followed::with_capacity(all.len());
        for (mut case, entry) in all {
            let replaced =
                || said("put an earlier entry of its rule back onto the list", "an earlier entry of its rule was back on the list");
            let (state, action, decision) = match (&entry, case.state) {
                (None, CaseState::Draft | CaseState::Proposed | CaseState::Approved) => (CaseState::Rejected, Action::Reject, replaced()),
                (None, CaseState::Suspended) => (CaseState::Removed, Action::Remove, replaced()),
                (None, _) => (CaseState::Removed, Action::Remove, said("took it off the list", "it was not on the list any more")),
                (_, CaseState::Published) => {
                    (CaseState::Published, Action::Edit, said("changed its attributes", "it had other attributes"))
                }
                _ => (CaseState::Published, Action::Resume, said("put it back onto the list", "it was back on the list")),
            };
            match entry {
                Some(attributes) => (case.words.attributes, case.ended, case.serial) = (attributes, None, Some(serial)),
                None if case.state.was_public() => case.ended = Some(self.clock.now()),
                None => {}
            }
            case.decision = decision;
            case.revision += 1;
            self.enter(&mut case, state);
            after.push((case, action));
        }
        after
    }

    /// Writes cases that have followed a version which is out already, frame by frame.
    fn write_behind(&self, mut rest: Followed, by: &By) -> Result<(), DeskError> {
        while !rest.is_empty() {
            // One that is longer than all the room goes alone.
            let more = rest.split_off(fitting(&rest, &by.reason, ROOM).max(of_one_rule(&rest)));
            let mut records = Vec::with_capacity(rest.len() * 2);
            for (case, action) in &rest {
                records.extend(self.records(std::slice::from_ref(case), by, self.clock.now(), *action)?);
            }
            self.store.commit(&Record::All { records })?;
            self.keep(rest.into_iter().map(|(case, _)| case));
            rest = more;
        }
        Ok(())
    }

    /// Lets cases follow what is on a list now, wherever they have not: it was published in another way, or there was a stop before
    /// all of a version's were written. `changed` are change lines by rule; without them the whole list is read.
    pub(super) fn catch_up(&self, list: &ListId, changed: Option<&BTreeMap<String, String>>) -> Result<(), DeskError> {
        let _writing = self.lock(list);
        let Some(published) = self.catalog.get(list) else { return Ok(()) };
        let mut rules = BTreeSet::new();
        let found = match changed {
            Some(changed) => all_concerned(&self.cases, list, &|out| {
                changed.values().for_each(|line| out(line));
                Ok(())
            })?,
            None => {
                let on_it = |cases: &Cases| {
                    let open = cases.all_open(Some(list)).filter(|case| case.state == CaseState::Published);
                    open.map(|case| case.words.rule.clone()).collect::<BTreeSet<_>>()
                };
                rules = self.read(on_it);
                all_concerned(&self.cases, list, &|out| {
                    Ok(published.content.scan(0, &Finder::new(REFERENCE), &mut |_, line| {
                        out(&format!("~{line}"));
                        true
                    })?)
                })?
            }
        };
        rules.extend(found.into_iter().map(|(case, _)| case.words.rule));
        let now = |out: &mut dyn FnMut(&str)| {
            for rule in &rules {
                match published.content.get(&Rule::trusted(rule))? {
                    Some(entry) => out(&format!("~{}", entry.line())),
                    None => out(&format!("-{rule}")),
                }
            }
            Ok(())
        };
        let after = self.following(published.head.serial, all_concerned(&self.cases, list, &now)?, true);
        self.write_behind(after, &By::new("bwld", "local"))
    }
}

/// How many of these go into so much room, all of a rule or none.
fn fitting(followed: &[(Case, Action)], reason: &str, room: usize) -> usize {
    let (mut taken, mut octets) = (0, 0);
    for of_rule in followed.chunk_by(|(a, _), (b, _)| a.words.rule == b.words.rule) {
        octets += of_rule.iter().map(|(case, _)| weight(case, reason)).sum::<usize>();
        if octets > room {
            break;
        }
        taken += of_rule.len();
    }
    taken
}

/// How many of the first rule there are.
fn of_one_rule(followed: &[(Case, Action)]) -> usize {
    followed.chunk_by(|(a, _), (b, _)| a.words.rule == b.words.rule).next().map_or(0, <[_]>::len)
}

/// The cases that these change lines concern. They are locked for some lines at a time, never while a line is read.
fn all_concerned(cases: &RwLock<Cases>, list: &ListId, each: EachChange<'_>) -> Result<Vec<Concerned>, PublishError> {
    let locked = || cases.read().unwrap_or_else(PoisonError::into_inner);
    let (mut found, mut lines, mut count) = (Vec::new(), String::new(), 0);
    if locked().all.is_empty() {
        return Ok(found);
    }
    let look = |lines: &mut String, found: &mut Vec<Concerned>| {
        let cases = locked();
        lines.split_terminator('\n').for_each(|line| found.extend(concerned(&cases, list, line)));
        lines.clear();
    };
    each(&mut |line| {
        lines.push_str(line);
        lines.push('\n');
        count += 1;
        if count == LINES {
            look(&mut lines, &mut found);
            count = 0;
        }
    })?;
    look(&mut lines, &mut found);
    Ok(found)
}

/// The cases that a change line concerns, with the attributes that the entry has after it; none: it is off the list.
fn concerned(cases: &Cases, list: &ListId, line: &str) -> Vec<Concerned> {
    let (sign, body) = line.split_at(1);
    let (rule, mut concerned) = (rule_of(body), Vec::new());
    let entry = (sign != "-" && body.contains(REFERENCE)).then(|| Entry::trusted(body).attributes());
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
        // Lines are compared, not attributes: in those somebody may have written categories in another order.
        if case.state != CaseState::Published || case.entry().ok().as_ref().map(Entry::line) != Some(body) {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A writer that waits lets nobody read who comes after it: so whoever holds the cases must not be reading a disk.
    #[test]
    fn nobody_holds_the_cases_while_lines_are_read() {
        let list: ListId = "test".parse().expect("a list");
        let at = "2026-11-24T12:00:00Z";
        let cases = RwLock::new(Cases::default());
        let rule = |n: usize| format!("domain:n{n:05}.example");
        for n in [0, LINES - 1, LINES, 3 * LINES + 7] {
            let words = json!({"rule": rule(n)});
            let case = json!({"reference": format!("{n:022}"), "list": "test", "state": "published", "words": words, "notes": [],
                "proposer": "ed", "authors": ["ed"], "approvals": [], "decision": "", "created": at, "serial": 1, "revision": 1});
            cases.write().expect("nobody panics").put(std::sync::Arc::new(serde_json::from_value(case).expect("a case")));
        }
        let lines = |out: &mut dyn FnMut(&str)| {
            for n in 0..4 * LINES {
                assert!(cases.try_write().is_ok(), "somebody holds the cases at line {n}");
                out(&format!("-{}", rule(n)));
            }
            Ok(())
        };
        let found = all_concerned(&cases, &list, &lines).expect("lines");
        let rules: Vec<String> = found.into_iter().map(|(case, _)| case.words.rule).collect();
        assert_eq!(rules, [0, LINES - 1, LINES, 3 * LINES + 7].map(rule));
    }
}
