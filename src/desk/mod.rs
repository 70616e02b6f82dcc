//! The desk: entries under administration from draft to removal, what time does by itself, what is due, what undoes a mistake, and
//! the search over everything.
//!
//! Guarantees: what is decided and what is published are one journal frame, so neither is there without the other; notes and
//! proposers are in nothing that [`Desk::public`] gives out; guards are the publisher's and hold for the desk as for everybody. It
//! does not ask who may call: whoever calls says in [`Hats`] what the caller is on the list. Of what takes effect later, an approval or a
//! schedule, it asks the accounts whether that still holds.

mod act;
mod case;
mod conflicts;
mod export;
mod follow;
mod preview;
mod public;
mod publish;
mod queue;
mod register;
mod room;
mod schedule;
mod scheme;
mod search;
mod states;
mod tick;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::sync::Semaphore;

use crate::list::{Digest, ListId, Timestamp};
use crate::people::{People, Role};
use crate::publisher::{By, PublishError, Publisher, Refusal};
use crate::store::{Catalog, Clock, Record, Store, StoreError, digest_of};
use crate::wire::Act;

use register::Register;

pub use act::{CaseEdit, NewCase};
pub use case::{Approval, Case, LegalBasis, Remark, Words};
pub use conflicts::{Conflict, Conflicts};
pub use export::ExportForm;
pub use preview::{Effect, Preview, PreviewRequest};
pub use public::PublicEntry;
pub use publish::PublishCases;
pub use queue::{Counts, ExpiredWaiting, Queue, StagedWaiting};
pub use schedule::{NewSchedule, Schedule};
pub use scheme::{Scheme, SchemeCode};
pub use search::{Found, Page, Search};
pub use states::{Action, Approvals, CaseState, Hats, NotDone, next};
pub use tick::Ticked;

/// The table of cases, by reference.
const CASES: &str = "case";
/// Locks for lists.
const LOCKS: usize = 64;
/// Lists that are gone through at once for a reference that anybody asks about.
const SEARCHING: usize = 2;

/// Digests of a document before and after an act.
type Changed = (Option<Digest>, Option<Digest>);

/// Why the desk did not do something. Whatever the reason, no half of it was done.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// Refused by form.
    #[error("{}", refused_text(.0))]
    Refused(Vec<Refusal>),
    /// No case of this reference on this list.
    #[error("there is no entry with the reference \"{0}\"; `bwld search` finds those there are")]
    NoCase(String),
    /// The table of states says no.
    #[error(transparent)]
    NotDone(#[from] NotDone),
    /// Somebody changed it in between.
    #[error("the entry was changed meanwhile (it is at revision {0} now); read it again, then decide")]
    Changed(u64),
    /// No place for it now.
    #[error("many are asking for entries by their references just now; ask again later")]
    Busy,
    /// Something kept here does not have its form.
    #[error("{0} cannot be read or written; run `bwld check`")]
    Form(&'static str),
    /// Of the publisher, with its guards.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// Of the store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl DeskError {
    /// Whether only a new start helps.
    fn is_fatal(&self) -> bool {
        match self {
            // Of one list, and said wherever lists are shown.
            DeskError::Publish(PublishError::OutOfService { .. }) => false,
            DeskError::Publish(e) => e.class() == crate::publisher::Class::Fatal,
            DeskError::Store(e) => e.class() == crate::store::Class::Fatal,
            _ => false,
        }
    }
}

impl From<std::io::Error> for DeskError {
    fn from(error: std::io::Error) -> DeskError {
        DeskError::Publish(error.into())
    }
}

fn refused_text(refusals: &[Refusal]) -> String {
    match refusals.first() {
        Some(first) => format!("{}: {}; {}", first.place, first.reason, first.hint),
        None => "refused".into(),
    }
}

/// A case, and where it is in the register.
#[derive(Debug)]
struct Kept {
    case: Arc<Case>,
    at: usize,
}

/// The cases, in memory as they are in the store.
#[derive(Debug, Default)]
struct Cases {
    all: BTreeMap<String, Kept>,
    /// Of each list the cases that are on their way to it or on it, by rule.
    open: BTreeMap<ListId, BTreeMap<String, String>>,
    /// All of them, for the search, in the order in which they were begun.
    register: Register,
    /// The number of the one that was begun last.
    last: u64,
}

impl Cases {
    fn put(&mut self, case: Arc<Case>) {
        if let Some(before) = self.all.get(&case.reference)
            && let Some(rules) = self.open.get_mut(&before.case.list)
            && rules.get(&before.case.words.rule) == Some(&case.reference)
        {
            rules.remove(&before.case.words.rule);
        }
        if !case.state.has_ended() {
            self.open.entry(case.list.clone()).or_default().insert(case.words.rule.clone(), case.reference.clone());
        }
        self.last = self.last.max(case.number);
        let at = self.register.put(self.all.get(&case.reference).map(|kept| kept.at), &case);
        self.all.insert(case.reference.clone(), Kept { case, at });
    }
}

impl Cases {
    /// The case of a rule that is on its way to a list or on it.
    fn open(&self, list: &ListId, rule: &str) -> Option<&Arc<Case>> {
        self.all.get(self.open.get(list)?.get(rule)?).map(|kept| &kept.case)
    }

    /// Those of a list, or of all lists.
    fn all_open<'a>(&'a self, list: Option<&'a ListId>) -> impl Iterator<Item = &'a Arc<Case>> {
        let of = self.open.iter().filter(move |(id, _)| list.is_none_or(|list| list == *id));
        of.flat_map(|(_, rules)| rules.values()).filter_map(|reference| self.all.get(reference)).map(|kept| &kept.case)
    }
}

/// The desk.
#[derive(Debug)]
pub struct Desk {
    publisher: Arc<Publisher>,
    store: Arc<Store>,
    catalog: Arc<Catalog>,
    clock: Arc<dyn Clock>,
    cases: RwLock<Cases>,
    /// Held from reading a case of a list to its being written: the lock at the place that the list's name hashes to.
    writing: [Mutex<()>; LOCKS],
    /// Places for going through a list for a reference that is not one of a case.
    searching: Semaphore,
    /// Held from giving a new case its number to its being in the register, whatever its list.
    beginning: Mutex<()>,
    /// Held from reading a schedule or a scheme to its being written.
    documents: Mutex<()>,
    /// What is known of when entries expire.
    calendar: Mutex<tick::Calendar>,
    /// Lists whose expired entries the last tick could not take off.
    stuck: Mutex<Vec<ExpiredWaiting>>,
    /// Who may do what now; none: whatever somebody was allowed once counts for ever.
    people: Option<Arc<People>>,
}

/// Who decides about what others propose.
pub const JUDGES: &[Role] = &[Role::Owner, Role::Reviewer];

impl Desk {
    /// Reads the cases from the store.
    ///
    /// # Errors
    /// If the store cannot be read, or one of them does not have its form.
    pub fn open(publisher: Arc<Publisher>, store: Arc<Store>, catalog: Arc<Catalog>, clock: Arc<dyn Clock>) -> Result<Desk, DeskError> {
        let mut read = Vec::<Arc<Case>>::new();
        store.each_document(CASES, |_, value| {
            read.push(Arc::new(serde_json::from_value(value).map_err(|_| DeskError::Form("a case"))?));
            Ok::<_, DeskError>(())
        })?;
        // The order of the register, and so of searches, is the one in which they were begun, after every start.
        read.sort_by(|a, b| (a.number, a.created, &a.reference).cmp(&(b.number, b.created, &b.reference)));
        let mut cases = Cases::default();
        read.into_iter().for_each(|case| cases.put(case));
        let (cases, writing) = (RwLock::new(cases), std::array::from_fn(|_| Mutex::default()));
        let (searching, beginning) = (Semaphore::new(SEARCHING), Mutex::default());
        let (documents, calendar, stuck, people) = (Mutex::default(), Mutex::default(), Mutex::default(), None);
        Ok(Desk { publisher, store, catalog, clock, cases, writing, searching, beginning, documents, calendar, stuck, people })
    }

    /// With the accounts: an approval counts, and a scheduled publication goes out, only as long as the account may still do that.
    #[must_use]
    pub fn with_people(self, people: Arc<People>) -> Desk {
        let asked = people.clone();
        self.publisher.count_approvals_by(Box::new(move |who, list| asked.bars(who, JUDGES, list).is_none()));
        Desk { people: Some(people), ..self }
    }

    /// Why an account may not do now what takes one of these roles.
    fn bars(&self, who: &str, roles: &[Role], list: &ListId) -> Option<&'static str> {
        self.people.as_ref().and_then(|people| people.bars(who, roles, list))
    }

    /// The publisher it works with.
    pub fn publisher(&self) -> &Arc<Publisher> {
        &self.publisher
    }

    /// A case.
    ///
    /// # Errors
    /// [`DeskError::NoCase`].
    pub fn case(&self, reference: &str) -> Result<Arc<Case>, DeskError> {
        let found = self.read(|cases| cases.all.get(reference).map(|kept| kept.case.clone()));
        found.ok_or_else(|| DeskError::NoCase(reference.chars().take(40).collect::<String>().escape_debug().to_string()))
    }

    fn read<T>(&self, look: impl FnOnce(&Cases) -> T) -> T {
        look(&self.cases.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A large publication of one list does not hold up the others. Nobody holds two.
    fn lock(&self, list: &ListId) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        list.hash(&mut hasher);
        let at = usize::try_from(hasher.finish() % LOCKS as u64).unwrap_or(0);
        self.writing[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, cases: impl IntoIterator<Item = Case>) {
        let mut all = self.cases.write().unwrap_or_else(PoisonError::into_inner);
        cases.into_iter().for_each(|case| all.put(Arc::new(case)));
    }

    /// Commits these records and the act, as one frame.
    fn write(&self, mut records: Vec<Record>, by: &By, what: &str, object: String, (before, after): Changed) -> Result<(), DeskError> {
        records.extend(by.with.iter().cloned());
        records.push(Record::Act { act: Act { before, after, ..by.act(self.clock.now(), what, object) } });
        self.store.commit(&Record::All { records })?;
        Ok(())
    }

    /// Digests of a case as it is and as it will be, each of what `GET` shows.
    fn changed(&self, case: &Case) -> Changed {
        (self.case(&case.reference).ok().map(|before| digest_of(&*before)), Some(digest_of(case)))
    }

    /// Records and acts of cases with what a publication makes of them, for its frame.
    fn records(&self, cases: &[Case], by: &By, at: Timestamp, action: Action) -> Result<Vec<Record>, DeskError> {
        let mut records = Vec::with_capacity(cases.len() * 2);
        for case in cases {
            let ((before, after), what) = (self.changed(case), format!("case.{}", action.word()));
            records.extend([case_record(case)?, Record::Act { act: Act { before, after, ..by.act(at, &what, object(case)) } }]);
        }
        Ok(records)
    }

    /// Commits a case with its act, then shows it.
    fn write_case(&self, case: Case, by: &By, action: Action) -> Result<Arc<Case>, DeskError> {
        let mut records = vec![case_record(&case)?];
        if matches!(action, Action::Edit | Action::Propose | Action::Approve) {
            records.extend(case.notices.iter().map(|notice| {
                let act = by.act(self.clock.now(), "case.notice", format!("{} {}", object(&case), notice.place));
                Record::Act { act: Act { reason: notice.reason.clone(), ..act } }
            }));
        }
        self.write(records, by, &format!("case.{}", action.word()), object(&case), self.changed(&case))?;
        let reference = case.reference.clone();
        self.keep([case]);
        self.case(&reference)
    }
}

/// Whether a case is still what `by` expects.
fn expected(by: &By, case: &Case) -> Result<(), DeskError> {
    by.expects(|| Ok(Some(digest_of(case))))
}

fn object(case: &Case) -> String {
    format!("list:{} ref:{} rule:{}", case.list, case.reference, case.words.rule)
}

fn case_record(case: &Case) -> Result<Record, DeskError> {
    let value = Some(serde_json::to_value(case).map_err(|_| DeskError::Form("a case"))?);
    Ok(Record::Document { table: CASES.into(), key: case.reference.clone(), value })
}

/// 128 random bits as 22 characters, the first of which is no hyphen: it can be an argument of a command.
fn random_reference() -> Result<String, DeskError> {
    Ok(crate::publisher::random_reference::<16>().map_err(PublishError::System)?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_reference_is_not_taken_for_an_option_of_a_command() {
        assert!((0..2_000).all(|_| !super::random_reference().unwrap().starts_with('-')));
    }
}
