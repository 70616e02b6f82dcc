//! Review of what is staged: who staged it, who else approved exactly that.
//!
//! Guarantees: an approval is of the staged changes as they are, by their digest, falls with the next change to them, and
//! counts only while its account may still approve; whoever staged any part of them cannot approve them; publishing without
//! the approvals that the list demands is possible only by the name of this guard, which the version then bears, and is kept
//! as a document until somebody has looked at it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::list::{Digest, ListId, Serial, Timestamp};
use crate::store::{By, Record, VersionRecord};

use super::error::cut;
use super::guards::check_asked;
use super::lines::Lines as _;
use super::state::State;
use super::{Counts, PublishError, Publisher, Refusal};

/// Documents of what is staged, by the list's name.
const TABLE: &str = "review";
/// Documents of publications that went out before they were reviewed, by list and serial.
pub(super) const UNREVIEWED: &str = "unreviewed";
/// The guard's name.
const GUARD: &str = "approvals";

/// Whether a publication that overrides these guards goes out without the approvals that its list demands: an owner's, in an emergency.
pub fn forces_approvals(force: &[String]) -> bool {
    force.iter().any(|name| name == GUARD)
}

/// Who stands behind what is staged.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct StagedReview {
    /// Digest of what is staged; none: nothing is.
    pub digest: Option<Digest>,
    /// Who staged any part of it.
    pub staged_by: Vec<String>,
    /// Who approved it.
    pub approved_by: Vec<String>,
    /// Approvals it needs.
    pub needed: u8,
    /// Popular names that it would block, the first few.
    pub popular: Vec<String>,
}

/// A publication that went out before it was reviewed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Unreviewed {
    /// Which list.
    pub list: ListId,
    /// Which version.
    pub serial: Serial,
    /// When.
    pub at: Timestamp,
    /// Who published it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Who staged or wrote any part of it.
    #[serde(default)]
    pub staged_by: Vec<String>,
}

impl Unreviewed {
    pub(super) fn key(list: &ListId, serial: Serial) -> String {
        format!("{list}/{:020}", serial.get())
    }
}

impl Publisher {
    /// Who stands behind what is staged for a list, and what is missing.
    ///
    /// # Errors
    /// [`PublishError::NoList`], or of the store.
    pub fn staged_review(&self, id: &ListId) -> Result<StagedReview, PublishError> {
        let slot = self.slot(id)?;
        let state = slot.lock();
        self.review_of(&state)
    }

    /// Approves what is staged, if it is still that of `digest`.
    ///
    /// # Errors
    /// [`PublishError::Refused`] if something else is staged or `by` had a hand in it.
    pub fn approve_staged(&self, id: &ListId, digest: Digest, by: impl Into<By>) -> Result<StagedReview, PublishError> {
        let slot = self.slot(id)?;
        let state = slot.lock();
        let (by, mut review) = (by.into(), self.review_of(&state)?);
        check_asked(&by.reason, &[])?;
        let refuse = |text: String, reason: &str, hint: &str| {
            let refusal = Refusal { place: "digest".into(), text, reason: reason.into(), hint: hint.into() };
            Err(PublishError::Refused(vec![refusal]))
        };
        if review.digest != Some(digest) {
            return refuse(digest.to_string(), "something else is staged now", "look at it with `bwld diff`, then approve that");
        }
        if review.staged_by.contains(&by.who) {
            return refuse(cut(&by.who), "who staged a change cannot approve it", "somebody else approves it");
        }
        let mut kept = self.kept_review(&state, digest)?;
        if kept.approved_by.contains(&by.who) {
            return Ok(review);
        }
        // Beside those that do not count just now: they count again when their accounts get back what they lack.
        kept.approved_by.push(by.who.clone());
        let act = by.act(self.clock.now(), "list.approve", format!("list:{id}"));
        by.commit(&self.store, document(id, &kept)?, crate::wire::Act { after: Some(digest), ..act })?;
        review.approved_by.push(by.who);
        Ok(review)
    }

    /// From now on approvals of what is staged count only as long as `counts` says so. To be called once.
    pub fn count_approvals_by(&self, counts: Counts) {
        let _ = self.counts.set(counts);
    }

    /// Publications of the lists that `shows` names that went out before they were reviewed, oldest first.
    ///
    /// # Errors
    /// Of the store.
    pub fn unreviewed(&self, shows: &dyn Fn(&ListId) -> bool) -> Result<Vec<Unreviewed>, PublishError> {
        let mut all = Vec::<Unreviewed>::new();
        self.store.each_document(UNREVIEWED, |_, value| {
            all.extend(serde_json::from_value::<Unreviewed>(value).ok().filter(|one| shows(&one.list)));
            Ok::<_, PublishError>(())
        })?;
        all.sort_by_key(|one| one.at);
        Ok(all)
    }

    /// Says that somebody else has looked at such a publication.
    ///
    /// # Errors
    /// [`PublishError::Refused`] if there is none of this serial, or `by` staged a part of it or published it.
    pub fn reviewed(&self, id: &ListId, serial: Serial, by: impl Into<By>) -> Result<(), PublishError> {
        let (by, key) = (by.into(), Unreviewed::key(id, serial));
        check_asked(&by.reason, &[])?;
        let refuse = |reason: &str| {
            let hint = "`bwld queue` shows those that wait".into();
            Err(PublishError::Refused(vec![Refusal { place: "serial".into(), text: serial.to_string(), reason: reason.into(), hint }]))
        };
        let Some(value) = self.store.document(UNREVIEWED, &key)? else { return refuse("no such publication waits for a review") };
        let waits: Unreviewed = serde_json::from_value(value).map_err(|e| PublishError::System(e.to_string()))?;
        if waits.by == by.who {
            return refuse("who published it cannot be the one who reviews it");
        }
        if waits.staged_by.contains(&by.who) {
            return refuse("who staged or wrote a part of it cannot be the one who reviews it");
        }
        let act = by.act(self.clock.now(), "list.reviewed", format!("list:{id} serial:{serial}"));
        Ok(by.commit(&self.store, Record::Document { table: UNREVIEWED.into(), key, value: None }, act)?)
    }

    /// The document that keeps a publication without approvals in the queue.
    pub(super) fn unreviewed_record(&self, state: &State, version: &VersionRecord, hands: &[String]) -> Result<Record, PublishError> {
        let (list, serial, at) = (&state.meta.id, version.serial, version.at);
        let (by, reason, mut staged_by) = (version.by.clone(), version.reason.clone(), self.review_of(state)?.staged_by);
        staged_by.extend_from_slice(hands);
        staged_by.sort_unstable();
        staged_by.dedup();
        let unreviewed = Unreviewed { list: list.clone(), serial, at, by, reason, staged_by };
        let value = serde_json::to_value(&unreviewed).map_err(|e| PublishError::System(e.to_string()))?;
        Ok(Record::Document { table: UNREVIEWED.into(), key: Unreviewed::key(list, serial), value: Some(value) })
    }

    /// As the store has it of what is staged, that of `digest`.
    fn kept_review(&self, state: &State, digest: Digest) -> Result<StagedReview, PublishError> {
        let kept = self.store.document(TABLE, state.meta.id.as_str())?;
        let kept: Option<StagedReview> = kept.and_then(|value| serde_json::from_value(value).ok());
        let kept = kept.filter(|kept| kept.digest == Some(digest)).unwrap_or_default();
        Ok(StagedReview { digest: Some(digest), ..kept })
    }

    /// As the store has it, of the approvals those that count now, with what the list demands now.
    pub(super) fn review_of(&self, state: &State) -> Result<StagedReview, PublishError> {
        let Some(staged) = &state.staged else { return Ok(StagedReview::default()) };
        let mut review = self.kept_review(state, staged.digest)?;
        if let Some(counts) = self.counts.get() {
            review.approved_by.retain(|who| counts(who, &state.meta.id));
        }
        review.popular = self.popular_in(state)?;
        let policy = &state.demands.policy;
        review.needed = policy.approvals + if review.popular.is_empty() { 0 } else { policy.popular_approvals };
        Ok(review)
    }

    /// The guard: what is staged has the approvals it needs.
    pub(super) fn unapproved(&self, state: &State) -> Result<Option<Refusal>, PublishError> {
        let review = self.review_of(state)?;
        if review.approved_by.len() >= usize::from(review.needed) {
            return Ok(None);
        }
        let popular = match review.popular.first() {
            Some(name) => format!(" ({} of them because of popular names, as {name})", state.demands.policy.popular_approvals),
            None => String::new(),
        };
        Ok(Some(Refusal {
            place: format!("guard:{GUARD}"),
            text: review.digest.map(|digest| digest.to_string()).unwrap_or_default(),
            reason: format!("it has {} of {} approvals{popular}", review.approved_by.len(), review.needed),
            hint:
                "somebody who did not stage it approves it with `bwld approve`; in an emergency an owner publishes with --force approvals"
                    .into(),
        }))
    }

    /// Popular names that the staged changes would block, the first ten.
    fn popular_in(&self, state: &State) -> Result<Vec<String>, PublishError> {
        let mut found = Vec::new();
        let Some(staged) = &state.staged else { return Ok(found) };
        let Some(popular) = state.demands.popular(state.meta.colour, &self.options.popular) else { return Ok(found) };
        let mut lines = staged.lines(self.store.artefacts())?;
        while found.len() < 10
            && let Some(line) = lines.next_line()?
        {
            let rule = crate::list::rule_of(&line[1..]);
            if !line.starts_with('-') && popular.has(rule) {
                found.push(cut(rule));
            }
        }
        Ok(found)
    }

    /// The document that goes with a new state of what is staged: who had a hand in it so far.
    pub(super) fn staged_by(&self, state: &State, digest: Option<Digest>, who: Option<&str>) -> Result<Record, PublishError> {
        let mut staged_by = match state.staged {
            Some(_) => self.review_of(state)?.staged_by,
            None => Vec::new(),
        };
        if let Some(who) = who.filter(|who| !staged_by.iter().any(|name| name == who)) {
            staged_by.push(who.to_owned());
        }
        document(&state.meta.id, &StagedReview { digest, staged_by, ..StagedReview::default() })
    }
}

fn document(list: &ListId, review: &StagedReview) -> Result<Record, PublishError> {
    let value = match review.digest {
        Some(_) => Some(serde_json::to_value(review).map_err(|e| PublishError::System(e.to_string()))?),
        None => None,
    };
    Ok(Record::Document { table: TABLE.into(), key: list.to_string(), value })
}
