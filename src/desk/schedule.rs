//! Publications at a time to come: of what is staged or approved now, and of nothing that comes to be staged or approved later.
//!
//! Guarantees: at its time a publication goes out only if who scheduled it could still ask for it; of its cases those go out that are
//! still what they were, and which do not is said; what did not go out is in the audit chain, and in the queue until it is taken off
//! or a hundred others of its list are over. That it went out is in the frame of its version: there if and only if the version is.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::list::{Digest, ListId, Serial, Timestamp};
use crate::people::Role;
use crate::publisher::{Beside, By, Class, PublishError, PublishReport, PublishRequest, Refusal, check_asked, forces_approvals};
use crate::store::{Class as StoreClass, Record, digest_of};
use crate::wire::Act;

use super::case::Case;
use super::publish::{MAX_CASES, Moved};
use super::room::{ROOM, weight};
use super::states::{Action, CaseState, Hats, next};
use super::tick::Ticked;
use super::{Desk, DeskError, random_reference};

/// The table of documents.
const TABLE: &str = "schedule";
/// Most that wait.
const MOST: usize = 1_000;
/// Those of a list that are over and are kept, the newest.
const OVER: usize = 100;
/// Removed in one frame.
const GONE: usize = 1_000;
/// Cases that are named when they did not go out.
const NAMED: usize = 100;

/// A publication to schedule.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSchedule {
    /// When, at the earliest.
    pub at: Timestamp,
    /// The cases that are approved now; else what is staged now.
    #[serde(default)]
    pub cases: bool,
    /// Why, for the log.
    #[serde(default)]
    pub reason: String,
    /// Guards to override, by name.
    #[serde(default)]
    pub force: Vec<String>,
}

/// A scheduled publication.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Schedule {
    /// Its name.
    pub id: String,
    /// The list.
    pub list: ListId,
    /// When, at the earliest.
    pub at: Timestamp,
    /// Digest of what was staged; none: cases.
    pub staged: Option<Digest>,
    /// References of the cases.
    pub cases: Vec<String>,
    /// Digests of the words of the cases as they were then, in the same order.
    #[serde(default)]
    pub words: Vec<Digest>,
    /// Why.
    pub reason: String,
    /// Guards to override.
    pub force: Vec<String>,
    /// Who scheduled it.
    pub by: String,
    /// Why it did not go out, or that it did; empty while it waits. In the queue also why it would not go out as things are.
    pub outcome: String,
    /// Cases that did not go out with the others, each with why, the first 100.
    #[serde(default)]
    pub left_out: Vec<String>,
}

/// What became of one that was due.
struct Done {
    /// It, with its outcome.
    over: Schedule,
    version: Option<Serial>,
    /// Its outcome is in the frame of what was published.
    written: bool,
}

impl Schedule {
    /// Whether it went out, whole or in part.
    pub(super) fn went_out(&self) -> bool {
        self.outcome.starts_with("version")
    }

    /// As it is when it is over.
    fn over(&self, outcome: String, mut left_out: Vec<String>) -> Schedule {
        let more = left_out.len().saturating_sub(NAMED);
        if more > 0 {
            left_out.truncate(NAMED);
            left_out.push(format!("and {more} more"));
        }
        Schedule { outcome, left_out, ..self.clone() }
    }

    /// As it is when it went out in this version; none: the list was so already.
    fn out(&self, version: Option<Serial>, left_out: &[String]) -> Schedule {
        let outcome = version.map_or("there was nothing left to publish".into(), |serial| format!("version {serial}"));
        self.over(outcome, left_out.to_vec())
    }

    /// What is said of it when it is over and did not go out, or not with all of its cases.
    fn said(&self) -> Option<String> {
        let whole = self.went_out() && self.left_out.is_empty();
        (!whole).then(|| [std::slice::from_ref(&self.outcome), &self.left_out].concat().join("; "))
    }

    fn record(&self) -> Result<Record, DeskError> {
        let value = Some(serde_json::to_value(self).map_err(|_| DeskError::Form("a schedule"))?);
        Ok(Record::Document { table: TABLE.into(), key: self.id.clone(), value })
    }
}

impl Desk {
    /// Schedules the publication of what is staged, or of the cases that are approved.
    ///
    /// # Errors
    /// [`DeskError::Refused`] if there is nothing to publish, the time is past or too many wait; of the store.
    pub fn schedule(&self, list: &ListId, new: NewSchedule, by: &By) -> Result<Schedule, DeskError> {
        let refuse = |place: &str, reason: &str, hint: &str| {
            let (text, reason, hint) = (new.at.to_string(), reason.into(), hint.into());
            Err(DeskError::Refused(vec![Refusal { place: place.into(), text, reason, hint }]))
        };
        check_asked(&new.reason, &new.force)?;
        if new.at <= self.clock.now() {
            return refuse("at", "the time is past", "name one to come, or publish now");
        }
        let _running = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        if self.schedules()?.iter().filter(|schedule| schedule.outcome.is_empty()).count() >= MOST {
            return refuse("at", "1,000 publications wait already", "cancel some");
        }
        let staged = if new.cases { None } else { self.publisher.staged_digest(list)? };
        let open = |cases: &super::Cases| {
            let waits = |case: &&Arc<Case>| matches!(case.state, CaseState::Proposed | CaseState::Approved);
            cases.all_open(Some(list)).filter(|case| new.cases && waits(case)).cloned().collect::<Vec<_>>()
        };
        let (mut cases, mut words, mut octets) = (Vec::<String>::new(), Vec::<Digest>::new(), 0);
        for case in self.read(open) {
            if self.is_cleared(&case)? {
                cases.push(case.reference.clone());
                words.push(digest_of(&case.words));
                octets += weight(&case, &new.reason);
            }
        }
        if staged.is_none() && cases.is_empty() {
            return refuse("cases", "there is nothing to publish", "stage or approve it first");
        }
        if cases.len() > MAX_CASES {
            return refuse("cases", "more than 10,000 cases in one publication", "publish some of them now");
        }
        if octets > ROOM {
            return refuse("cases", "what is written of them is too long for one publication", "publish some of them now");
        }
        let id = random_reference()?;
        let (list, at, reason, force, by_name) = (list.clone(), new.at, new.reason, new.force, by.who.clone());
        let (outcome, left_out) = (String::new(), Vec::new());
        let schedule = Schedule { id, list, at, staged, cases, words, reason, force, by: by_name, outcome, left_out };
        let object = format!("list:{} schedule:{} at:{}", schedule.list, schedule.id, schedule.at);
        self.write(vec![schedule.record()?], by, "list.schedule", object, (None, Some(digest_of(&schedule))))?;
        Ok(schedule)
    }

    /// All of them, also those whose time is past.
    ///
    /// # Errors
    /// Of the store.
    pub fn schedules(&self) -> Result<Vec<Schedule>, DeskError> {
        let mut all = Vec::<Schedule>::new();
        self.store.each_document(TABLE, |_, value| {
            all.extend(serde_json::from_value::<Schedule>(value));
            Ok::<_, DeskError>(())
        })?;
        all.sort_by_key(|schedule| schedule.at);
        Ok(all)
    }

    /// One of a list's.
    ///
    /// # Errors
    /// [`DeskError::NoCase`]; of the store.
    pub fn scheduled(&self, list: &ListId, id: &str) -> Result<Schedule, DeskError> {
        let found = self.schedules()?.into_iter().find(|schedule| schedule.id == id && schedule.list == *list);
        found.ok_or_else(|| DeskError::NoCase(id.chars().take(40).collect()))
    }

    /// Takes one off, be it waiting or over.
    ///
    /// # Errors
    /// [`DeskError::NoCase`] if there is none of this name on the list; of the store.
    pub fn cancel(&self, list: &ListId, id: &str, by: &By) -> Result<(), DeskError> {
        let _running = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        let schedule = self.scheduled(list, id)?;
        let before = Some(digest_of(&schedule));
        by.expects(|| Ok::<_, DeskError>(before))?;
        self.write(vec![gone(id)], by, "list.unschedule", format!("list:{list} schedule:{id}"), (before, None))
    }

    /// Publishes what is due, and forgets what has been over for long.
    pub(super) fn run_schedules(&self, ticked: &mut Ticked) -> Result<(), DeskError> {
        let _running = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, mut all, mut failed) = (self.clock.now(), self.schedules()?, None);
        for schedule in all.iter_mut().filter(|schedule| schedule.outcome.is_empty() && schedule.at <= now) {
            if let Err(e) = self.run_due(schedule, ticked) {
                ticked.failed.push(format!("{}: {e}", schedule.list));
                failed = failed.or(Some(e));
            }
        }
        failed.map_or_else(|| self.forget(&all), Err)
    }

    /// Publishes one that is due, and writes down what became of it: in the frame of the version, if there is one.
    fn run_due(&self, schedule: &mut Schedule, ticked: &mut Ticked) -> Result<(), DeskError> {
        let done = match self.run(schedule) {
            Ok(done) => done,
            Err(DeskError::Publish(e)) if e.class() == Class::Retry => {
                ticked.failed.push(format!("{}: {e}", schedule.list));
                return Ok(());
            }
            // Whether it went out stands in the journal, which the next start reads.
            Err(DeskError::Publish(PublishError::Store(e))) if e.class() == StoreClass::Fatal => return Err(e.into()),
            Err(DeskError::Store(e)) => return Err(e.into()),
            Err(e) => Done { over: schedule.over(format!("not published: {e}"), Vec::new()), version: None, written: false },
        };
        if !done.written {
            self.store.commit(&Record::All { records: self.last_words(schedule, &done.over)? })?;
        }
        *schedule = done.over;
        ticked.published.extend(done.version.map(|serial| (schedule.list.clone(), serial)));
        ticked.failed.extend(schedule.said().map(|said| format!("{}: {said}", schedule.list)));
        Ok(())
    }

    /// What is written of one when it is over, with a line of the audit chain for what did not go out.
    fn last_words(&self, before: &Schedule, over: &Schedule) -> Result<Vec<Record>, DeskError> {
        let mut records = vec![over.record()?];
        if let Some(said) = over.said() {
            let what = if over.went_out() { "list.left-out" } else { "list.schedule-failed" };
            let object = format!("list:{} schedule:{} by:{}", over.list, over.id, over.by);
            let act = By::new("bwld", "").because(said).act(self.clock.now(), what, object);
            records.push(Record::Act { act: Act { before: Some(digest_of(before)), after: Some(digest_of(over)), ..act } });
        }
        Ok(records)
    }

    /// Removes those that are over, but for the newest of each list; `all` are in the order of their time.
    fn forget(&self, all: &[Schedule]) -> Result<(), DeskError> {
        let mut over = BTreeMap::<&ListId, usize>::new();
        let mut old = Vec::new();
        for schedule in all.iter().rev().filter(|schedule| !schedule.outcome.is_empty()) {
            let count = over.entry(&schedule.list).or_default();
            *count += 1;
            old.extend((*count > OVER).then(|| gone(&schedule.id)));
        }
        for records in old.chunks(GONE) {
            self.store.commit(&Record::All { records: records.to_vec() })?;
        }
        Ok(())
    }

    /// Why one that waits would not go out as things are.
    pub(super) fn obstacle(&self, schedule: &Schedule) -> Result<Option<Refusal>, DeskError> {
        let refusal = |place: &str, text: String, reason: &str, hint: &str| {
            Ok(Some(Refusal { place: place.into(), text, reason: reason.into(), hint: hint.into() }))
        };
        let roles: &[Role] = if forces_approvals(&schedule.force) { &[Role::Owner] } else { &[Role::Owner, Role::Editor] };
        if let Some(reason) = self.bars(&schedule.by, roles, &schedule.list) {
            let reason = format!("{}: {reason}", schedule.by);
            return refusal("by", schedule.by.clone(), &reason, "somebody who may do it schedules it again");
        }
        match schedule.staged {
            Some(digest) if self.publisher.staged_digest(&schedule.list)? != Some(digest) => {
                refusal("staged", digest.to_string(), "something else is staged by now, or nothing", "schedule it again")
            }
            _ => Ok(None),
        }
    }

    fn run(&self, schedule: &Schedule) -> Result<Done, DeskError> {
        if let Some(refusal) = self.obstacle(schedule)? {
            return Err(DeskError::Refused(vec![refusal]));
        }
        let by = By::new(schedule.by.clone(), "schedule");
        let (reason, force) = (schedule.reason.clone(), schedule.force.clone());
        let done = |report: PublishReport, left_out: &[String]| {
            let version = report.version.map(|version| version.serial);
            Done { over: schedule.out(version, left_out), version, written: true }
        };
        if schedule.staged.is_some() {
            let also = |serial| self.last_words(schedule, &schedule.out(Some(serial), &[]));
            let request = PublishRequest { reason, force, dry_run: false };
            let done = done(self.publish_staged_with(&schedule.list, &request, &by, &also)?, &[]);
            return Ok(Done { written: done.version.is_some(), ..done });
        }
        let _writing = self.lock(&schedule.list);
        let (mut cases, mut left_out, mut cleared) = (Vec::new(), Vec::new(), true);
        for (at, reference) in schedule.cases.iter().enumerate() {
            match self.still(schedule, reference, schedule.words.get(at))? {
                Ok(case) => {
                    cleared &= self.approvals(&case)?.enough();
                    cases.push(case);
                }
                Err(why) => left_out.push(format!("{reference}: {why}")),
            }
        }
        if cases.is_empty() {
            let outcome = "not published: no case is any more what was scheduled".into();
            return Ok(Done { over: schedule.over(outcome, left_out), version: None, written: false });
        }
        let how = Beside { reason, force, cleared, dry_run: false };
        let also = |version| self.last_words(schedule, &schedule.out(version, &left_out));
        let moved = Moved { cases, action: Action::Publish, also: &also };
        Ok(done(self.onto_with(&schedule.list, moved, &how, &by)?, &left_out))
    }

    /// A case that was scheduled, if it may go out as it was then; else why not.
    fn still(&self, schedule: &Schedule, reference: &str, words: Option<&Digest>) -> Result<Result<Case, String>, DeskError> {
        let Some(case) = self.case(reference).ok().filter(|case| case.list == schedule.list) else {
            return Ok(Err("there is no such entry any more".into()));
        };
        if words.is_some_and(|words| *words != digest_of(&case.words)) {
            return Ok(Err("it was changed after it was scheduled".into()));
        }
        if !self.is_cleared(&case)? {
            return Ok(Err(format!("it is {}", case.state.word())));
        }
        if case.words.over(self.clock.now().date()).is_some() {
            return Ok(Err("its time is over".into()));
        }
        // An owner's emergency bears the name of the guard, and waits for a review.
        if !forces_approvals(&schedule.force)
            && let Err(e) = next(case.state, Action::Publish, Hats { clock: true, ..Hats::default() }, self.approvals(&case)?)
        {
            return Ok(Err(e.to_string()));
        }
        let entry = case.entry().map_err(|_| DeskError::Form("an entry"))?;
        Ok(match self.publisher.would_refuse(&schedule.list, &entry)? {
            Some(refusal) => Err(refusal.reason),
            None => Ok(Case::clone(&case)),
        })
    }
}

/// The record that one is no more.
fn gone(id: &str) -> Record {
    Record::Document { table: TABLE.into(), key: id.to_owned(), value: None }
}
