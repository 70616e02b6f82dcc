//! What everybody may know of an entry: by the reference that it bears in the list or, if it bears none, by the one that follows from
//! its rule.
//!
//! Guarantees: nothing of notes, proposers, approvers or evidence is in it, and of what was never published nothing at all. A reference
//! tells of one entry; there is no way to ask for all of them here. Whoever asks without end holds up nobody: a list is gone through
//! for few questions at a time, and the others are turned away at once.

use std::collections::BTreeMap;

use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::list::{Code, Date, Entry, ListId, Timestamp, derived_reference, read_derived_reference};
use crate::store::PublishedList;

use super::case::{Case, LegalBasis};
use super::states::CaseState;
use super::{Desk, DeskError};

/// What everybody may know of an entry that is or was on a list.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct PublicEntry {
    /// Its reference.
    pub reference: String,
    /// The list.
    pub list: ListId,
    /// Whether it is on the list now, and if not, why not.
    pub state: CaseState,
    /// The rule.
    pub rule: String,
    /// Reason code.
    pub reason: Option<Code>,
    /// Reasons by language.
    pub reasons: BTreeMap<String, String>,
    /// The law.
    pub basis: Option<LegalBasis>,
    /// Categories as the list has them.
    pub categories: Vec<Code>,
    /// Categories by scheme.
    pub schemes: BTreeMap<String, Vec<Code>>,
    /// When it came onto the list; unknown of entries that came in bulk.
    pub published: Option<Timestamp>,
    /// When it left.
    pub ended: Option<Timestamp>,
    /// The day on which it is looked at again.
    pub review_by: Option<Date>,
    /// The day after which it leaves the list.
    pub expires: Option<Date>,
    /// How to appeal.
    pub appeal: String,
}

impl Desk {
    /// What everybody may know of an entry that is or was on a list, by its reference: the one it bears, or the derived one.
    ///
    /// # Errors
    /// [`DeskError::NoCase`], also for what was never published; [`DeskError::Busy`] if the list would have to be gone through and
    /// that is being done for others; of reading.
    pub fn public(&self, list: &ListId, reference: &str) -> Result<PublicEntry, DeskError> {
        let appeal = self.publisher.appeal(list).unwrap_or_default();
        let known = |reference: &str| self.case(reference).ok().filter(|case| case.list == *list && case.state.was_public());
        if let Some(case) = known(reference) {
            let mut shown = case.public(appeal);
            // The list itself is not offered any more.
            if shown.state == CaseState::Published && self.catalog.get(list).is_none() {
                shown.state = CaseState::Removed;
            }
            return Ok(shown);
        }
        let Some(published) = self.catalog.get(list) else { return self.unknown(reference) };
        let entry = match read_derived_reference(reference) {
            Some(digest) => published.content.get_by_digest(&digest)?,
            None => self.bearing(&published, reference)?,
        };
        let Some(entry) = entry else { return self.unknown(reference) };
        match entry.attributes().reference.as_deref().and_then(known) {
            Some(case) if case.words.rule == entry.rule_str() => Ok(case.public(appeal)),
            // It bears what tells of another entry: it is told of by the reference that follows from its rule alone.
            Some(_) => Ok(PublicEntry { reference: derived_reference(entry.rule_str()), ..PublicEntry::of(list, &entry, appeal) }),
            None => Ok(PublicEntry::of(list, &entry, appeal)),
        }
    }

    fn unknown(&self, reference: &str) -> Result<PublicEntry, DeskError> {
        Err(DeskError::NoCase(reference.chars().take(43).collect::<String>().escape_debug().to_string()))
    }

    /// The entry of a list that bears this reference.
    fn bearing(&self, published: &PublishedList, reference: &str) -> Result<Option<Entry>, DeskError> {
        let plain = reference.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-'));
        if !plain || !(8..=32).contains(&reference.len()) {
            return Ok(None);
        }
        // Nobody waits for a turn: those who wait would hold the threads that everybody else's calls run on.
        let Ok(_place) = self.searching.try_acquire() else { return Err(DeskError::Busy) };
        let (needle, mut rule) = (format!("\tref={reference}"), None);
        published.content.scan(0, &Finder::new(&needle), &mut |_, line| {
            let entry = Entry::trusted(line);
            let bears = entry.attributes().reference.as_deref() == Some(reference);
            rule = bears.then(|| entry.rule());
            !bears
        })?;
        // What the scan found is read again with its digest compared.
        Ok(rule.map_or(Ok(None), |rule| published.content.get(&rule))?)
    }
}

impl PublicEntry {
    /// Of an entry that has no case: what stands in the list, which everybody may read.
    fn of(list: &ListId, entry: &Entry, appeal: String) -> PublicEntry {
        let (rule, attributes) = (entry.rule().as_str().to_owned(), entry.attributes());
        PublicEntry {
            reference: attributes.reference.unwrap_or_else(|| derived_reference(&rule)),
            list: list.clone(),
            state: CaseState::Published,
            rule,
            reason: attributes.reason,
            reasons: BTreeMap::new(),
            basis: None,
            categories: attributes.categories,
            schemes: BTreeMap::new(),
            published: None,
            ended: None,
            review_by: None,
            expires: attributes.expires,
            appeal,
        }
    }
}

impl Case {
    /// What everybody may know of it.
    pub fn public(&self, appeal: String) -> PublicEntry {
        let words = &self.words;
        PublicEntry {
            reference: self.reference.clone(),
            list: self.list.clone(),
            state: self.state,
            rule: words.rule.clone(),
            reason: words.attributes.reason.clone(),
            reasons: words.reasons.clone(),
            basis: words.basis.clone(),
            categories: words.attributes.categories.clone(),
            schemes: words.schemes.clone(),
            published: self.published,
            ended: self.ended,
            review_by: words.review_by,
            expires: words.attributes.expires,
            appeal,
        }
    }
}
