//! Publications at a time to come: of what is staged or approved now, and of nothing that comes to be staged or approved later.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::list::{Digest, ListId, Timestamp};
use crate::publisher::{By, PublishReport, PublishRequest, Refusal};
use crate::store::Record;

use super::publish::PublishCases;
use super::states::{CaseState, Hats};
use super::tick::Ticked;
use super::{Desk, DeskError, random_reference};

/// The table of documents.
const TABLE: &str = "schedule";
/// Most that wait.
const MOST: usize = 1_000;

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
    /// Why.
    pub reason: String,
    /// Guards to override.
    pub force: Vec<String>,
    /// Who scheduled it.
    pub by: String,
    /// Why it did not go out, or that it did; empty while it waits.
    pub outcome: String,
}

impl Schedule {
    fn record(&self) -> Result<Record, DeskError> {
        let value = Some(serde_json::to_value(self).map_err(|_| DeskError::Form("a schedule"))?);
        Ok(Record::Document { table: TABLE.into(), key: self.id.clone(), value })
    }
}

impl Desk {
    /// Schedules the publication of what is staged, or of the cases that are approved.
    ///
    /// # Errors
    /// [`DeskError::Refused`] if there is nothing to publish or the time is past; of the store.
    pub fn schedule(&self, list: &ListId, new: NewSchedule, by: &By) -> Result<Schedule, DeskError> {
        let refuse = |place: &str, reason: &str, hint: &str| {
            let (text, reason, hint) = (new.at.to_string(), reason.into(), hint.into());
            Err(DeskError::Refused(vec![Refusal { place: place.into(), text, reason, hint }]))
        };
        if new.at <= self.clock.now() {
            return refuse("at", "the time is past", "name one to come, or publish now");
        }
        if self.schedules()?.iter().filter(|schedule| schedule.outcome.is_empty()).count() >= MOST {
            return refuse("at", "1,000 publications wait already", "cancel some");
        }
        let staged = if new.cases { None } else { self.publisher.staged_review(list)?.digest };
        let approved = |cases: &super::Cases| {
            let cases = cases.all.values().map(|kept| &kept.case);
            let approved = cases.filter(|case| new.cases && case.list == *list && case.state == CaseState::Approved);
            approved.map(|case| case.reference.clone()).collect::<Vec<_>>()
        };
        let cases = self.read(approved);
        if staged.is_none() && cases.is_empty() {
            return refuse("cases", "there is nothing to publish", "stage or approve it first");
        }
        let id = random_reference()?;
        let (reason, force, by_name) = (new.reason, new.force, by.who.clone());
        let schedule = Schedule { id, list: list.clone(), at: new.at, staged, cases, reason, force, by: by_name, outcome: String::new() };
        self.write(vec![schedule.record()?], by, "list.schedule", format!("list:{list} schedule:{} at:{}", schedule.id, schedule.at))?;
        Ok(schedule)
    }

    /// All of them, also those whose time is past.
    ///
    /// # Errors
    /// Of the store.
    pub fn schedules(&self) -> Result<Vec<Schedule>, DeskError> {
        let rows = self.store.documents(TABLE, "", 10 * MOST)?;
        let mut all: Vec<Schedule> = rows.into_iter().filter_map(|(_, value)| serde_json::from_value(value).ok()).collect();
        all.sort_by_key(|schedule| schedule.at);
        Ok(all)
    }

    /// Takes one off, be it waiting or over.
    ///
    /// # Errors
    /// [`DeskError::Refused`] if there is none of this name on the list; of the store.
    pub fn cancel(&self, list: &ListId, id: &str, by: &By) -> Result<(), DeskError> {
        if !self.schedules()?.iter().any(|schedule| schedule.id == id && schedule.list == *list) {
            return Err(DeskError::NoCase(id.chars().take(40).collect()));
        }
        let gone = Record::Document { table: TABLE.into(), key: id.to_owned(), value: None };
        self.write(vec![gone], by, "list.unschedule", format!("list:{list} schedule:{id}"))
    }

    /// Publishes what is due.
    pub(super) fn run_schedules(&self, ticked: &mut Ticked) -> Result<(), DeskError> {
        let now = self.clock.now();
        for mut schedule in self.schedules()?.into_iter().filter(|schedule| schedule.outcome.is_empty() && schedule.at <= now) {
            let by = By::new(schedule.by.clone(), "schedule");
            match self.run(&schedule, &by) {
                Ok(report) => {
                    let serial = report.version.as_ref().map(|version| version.serial);
                    schedule.outcome = serial.map_or("there was nothing left to publish".into(), |serial| format!("version {serial}"));
                    ticked.published.extend(serial.map(|serial| (schedule.list.clone(), serial)));
                }
                Err(DeskError::Publish(e)) if e.class() == crate::publisher::Class::Retry => {
                    ticked.failed.push(format!("{}: {e}", schedule.list));
                    continue;
                }
                Err(e) => {
                    schedule.outcome = format!("not published: {e}");
                    ticked.failed.push(format!("{}: {}", schedule.list, schedule.outcome));
                }
            }
            self.store.commit(&schedule.record()?)?;
        }
        Ok(())
    }

    fn run(&self, schedule: &Schedule, by: &By) -> Result<PublishReport, DeskError> {
        let Some(digest) = schedule.staged else {
            let references = schedule.cases.clone();
            let request = PublishCases { references, reason: schedule.reason.clone(), force: schedule.force.clone(), dry_run: false };
            return self.publish(&schedule.list, &request, Hats { clock: true, ..Hats::default() }, by);
        };
        if self.publisher.staged_review(&schedule.list)?.digest != Some(digest) {
            return Err(DeskError::Refused(vec![Refusal {
                place: "staged".into(),
                text: digest.to_string(),
                reason: "something else is staged by now".into(),
                hint: "schedule it again".into(),
            }]));
        }
        let request = PublishRequest { reason: schedule.reason.clone(), force: schedule.force.clone(), dry_run: false };
        Ok(self.publisher.publish(&schedule.list, &request, by)?)
    }
}
