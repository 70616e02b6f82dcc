//! The desk: entries under administration from draft to removal, what time does by itself, what is due, what undoes a mistake, and
//! the search over everything.
//!
//! Guarantees: what is decided and what is published are one journal frame, so neither is there without the other; notes and
//! proposers are in nothing that [`Desk::public`] gives out; guards are the publisher's and hold for the desk as for everybody. It
//! does not ask who may call: whoever calls says in [`Hats`] what the caller is on the list.

mod act;
mod case;
mod preview;
mod publish;
mod queue;
mod schedule;
mod scheme;
mod search;
mod states;
mod tick;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::list::{ListId, Timestamp};
use crate::publisher::{By, PublishError, Publisher, Refusal};
use crate::store::{Catalog, Clock, Record, Store, StoreError};
use crate::wire::Act;

pub use act::{CaseEdit, NewCase};
pub use case::{Approval, Case, LegalBasis, PublicEntry, Remark, Words};
pub use preview::{Effect, Preview, PreviewRequest};
pub use publish::PublishCases;
pub use queue::{Queue, StagedWaiting};
pub use schedule::{NewSchedule, Schedule};
pub use scheme::{Scheme, SchemeCode};
pub use search::{Found, Page, Search};
pub use states::{Action, Approvals, CaseState, Hats, NotDone, next};
pub use tick::Ticked;

/// The table of cases, by reference.
const CASES: &str = "case";
/// Documents read at once.
const PAGE: usize = 1_000;

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

/// A case, and all its words in small letters for the search.
#[derive(Debug)]
struct Kept {
    case: Arc<Case>,
    text: Box<str>,
}

/// The cases, in memory as they are in the store.
#[derive(Debug, Default)]
struct Cases {
    all: BTreeMap<String, Kept>,
    /// The cases of each rule that are on their way to a list or on it.
    open: BTreeMap<(ListId, String), String>,
}

impl Cases {
    fn put(&mut self, case: Arc<Case>) {
        let key = (case.list.clone(), case.words.rule.clone());
        if let Some(before) = self.all.get(&case.reference) {
            let old = (before.case.list.clone(), before.case.words.rule.clone());
            if self.open.get(&old) == Some(&case.reference) {
                self.open.remove(&old);
            }
        }
        if !case.state.has_ended() {
            self.open.insert(key, case.reference.clone());
        }
        let text = search::words_of(&case).into();
        self.all.insert(case.reference.clone(), Kept { case, text });
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
    /// Held from reading a case to its being written.
    writing: Mutex<()>,
    /// What is known of when entries expire.
    calendar: Mutex<tick::Calendar>,
}

impl Desk {
    /// Reads the cases from the store.
    ///
    /// # Errors
    /// If the store cannot be read, or one of them does not have its form.
    pub fn open(publisher: Arc<Publisher>, store: Arc<Store>, catalog: Arc<Catalog>, clock: Arc<dyn Clock>) -> Result<Desk, DeskError> {
        let mut cases = Cases::default();
        let mut after = String::new();
        loop {
            let page = store.documents(CASES, &after, PAGE)?;
            let Some((last, _)) = page.last() else { break };
            after = last.clone();
            for (_, value) in page {
                cases.put(Arc::new(serde_json::from_value(value).map_err(|_| DeskError::Form("a case"))?));
            }
        }
        let (cases, writing, calendar) = (RwLock::new(cases), Mutex::default(), Mutex::default());
        Ok(Desk { publisher, store, catalog, clock, cases, writing, calendar })
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

    /// What everybody may know of an entry that is or was on a list, by its reference.
    ///
    /// # Errors
    /// [`DeskError::NoCase`], also for what was never published.
    pub fn public(&self, list: &ListId, reference: &str) -> Result<PublicEntry, DeskError> {
        let case = self.case(reference)?;
        if case.list != *list || !case.state.was_public() {
            return self.case("").map(|case| case.public(String::new()));
        }
        let appeal = self.publisher.policy(list).map(|policy| policy.appeal).unwrap_or_default();
        Ok(case.public(appeal))
    }

    fn read<T>(&self, look: impl FnOnce(&Cases) -> T) -> T {
        look(&self.cases.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, cases: impl IntoIterator<Item = Case>) {
        let mut all = self.cases.write().unwrap_or_else(PoisonError::into_inner);
        cases.into_iter().for_each(|case| all.put(Arc::new(case)));
    }

    /// Commits these records and the act, as one frame.
    fn write(&self, mut records: Vec<Record>, by: &By, what: &str, object: String) -> Result<(), DeskError> {
        records.extend(by.with.iter().cloned());
        records.push(Record::Act { act: by.act(self.clock.now(), what, object) });
        self.store.commit(&Record::All { records })?;
        Ok(())
    }

    /// Commits a case with its act, then shows it.
    fn write_case(&self, case: Case, by: &By, action: Action) -> Result<Arc<Case>, DeskError> {
        self.write(vec![case_record(&case)?], by, &format!("case.{}", action.word()), object(&case))?;
        let reference = case.reference.clone();
        self.keep([case]);
        self.case(&reference)
    }
}

fn object(case: &Case) -> String {
    format!("list:{} ref:{} rule:{}", case.list, case.reference, case.words.rule)
}

fn case_record(case: &Case) -> Result<Record, DeskError> {
    let value = Some(serde_json::to_value(case).map_err(|_| DeskError::Form("a case"))?);
    Ok(Record::Document { table: CASES.into(), key: case.reference.clone(), value })
}

/// The act of doing `action` to a case, as a record for a frame of somebody else.
fn case_act(case: &Case, by: &By, at: Timestamp, action: Action) -> Record {
    Record::Act { act: Act { ..by.act(at, &format!("case.{}", action.word()), object(case)) } }
}

/// 128 random bits as 22 characters.
fn random_reference() -> Result<String, DeskError> {
    let mut bytes = [0; 16];
    let failed = |e: getrandom::Error| PublishError::System(format!("the system gives no random numbers ({e}); try again"));
    getrandom::fill(&mut bytes).map_err(failed)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
