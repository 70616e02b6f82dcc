//! Publications of their own: cases that were approved, entries whose time is over, a version undone. They go out beside what is
//! staged, which stays staged and is fitted to the new version in the same frame.
//!
//! Guarantees: every guard holds as for what is staged; `cleared` says that the caller has the approvals of each change and
//! skips only that guard; a refusal leaves everything as it was.

use std::collections::BTreeMap;

use crate::list::{ChangeSet, Entry, ListId, Rule, Serial};
use crate::store::{ArtefactKind, By, DeltaRef, Record};

use super::changes::Staged;
use super::lines::SmallChanges;
use super::loose::Loose;
use super::publish::LISTED;
use super::state::{State, read_delta};
use super::{PublishError, PublishReport, PublishRequest, Publisher, Refusal, StagedView};

/// What is wished of a rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wish {
    /// The list shall have this entry.
    Put(Entry),
    /// The list shall not have this rule.
    Remove(Rule),
    /// The list shall not have this very entry; another one of the same rule stays.
    RemoveThis(Entry),
}

/// How to publish beside what is staged.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// Why, for the log.
    pub reason: String,
    /// Guards to override, by name.
    pub force: Vec<String>,
    /// Each change has the approvals that the list demands.
    pub cleared: bool,
    /// Only say what would happen.
    pub dry_run: bool,
}

/// Hands out the change lines of a version, sign first.
pub type EachChange<'a> = &'a dyn Fn(&mut dyn FnMut(&str)) -> Result<(), PublishError>;

/// Makes the records that go into the frame of the version of this serial with these changes.
pub type Records<'a> = &'a dyn Fn(Serial, EachChange<'_>) -> Result<Vec<Record>, PublishError>;

/// What is published beside what is staged.
pub(super) enum Own {
    /// Change lines by rule.
    Few(SmallChanges),
    /// An artefact of them: too many to fit what is staged to.
    Many(Staged),
}

impl Publisher {
    /// Publishes these wishes and nothing else. No version is made if the list is so already.
    ///
    /// # Errors
    /// [`PublishError::Refused`] by a guard; everything is then as it was, as it is after every other error.
    pub fn publish_beside(
        &self,
        id: &ListId,
        wishes: &[Wish],
        how: &Beside,
        records: Records<'_>,
        by: impl Into<By>,
    ) -> Result<PublishReport, PublishError> {
        super::guards::check_asked(&how.reason, &how.force)?;
        let slot = self.slot(id)?;
        let mut state = slot.lock();
        state.in_service()?;
        let mut lines = SmallChanges::new();
        for wish in wishes {
            if let Some((rule, line)) = change(&state, wish)? {
                lines.insert(rule, line);
            }
        }
        self.beside(&mut state, Own::Few(lines), how, records, (by.into(), &Loose::new(self.store.artefacts())))
    }

    /// What it writes is `loose`, as an artefact of `own` must be.
    pub(super) fn beside(
        &self,
        state: &mut State,
        own: Own,
        how: &Beside,
        records: Records<'_>,
        (by, loose): (By, &Loose<'_>),
    ) -> Result<PublishReport, PublishError> {
        let (fitted, mut own) = match own {
            Own::Few(lines) => {
                let fitted = if how.dry_run { None } else { self.fitted(state, &lines, loose)? };
                let own = Staged::put(self.store.artefacts(), lines)?;
                loose.add(ArtefactKind::Changes, own.digest);
                (fitted, own)
            }
            Own::Many(_) if state.staged.is_some() && !how.dry_run => return Err(in_the_way()),
            Own::Many(staged) => (None, staged),
        };
        if own.tally.total() == 0 {
            return Ok(PublishReport { version: None, changes: StagedView::default() });
        }
        own.screened = false;
        let held = state.staged.replace(own);
        let done = self.pass(state, how).and_then(|(changes, forced)| {
            if how.dry_run {
                return Ok(PublishReport { version: None, changes });
            }
            let by = self.with_notices(by.clone(), &state.meta.id, &changes.notices);
            let by = by.with(fitted.iter().flat_map(|(_, records)| records.iter().cloned()));
            let request = PublishRequest { reason: how.reason.clone(), ..PublishRequest::default() };
            let version = self.publish_staged(state, &request, forced, records, &by)?;
            Ok(PublishReport { version: Some(version), changes })
        });
        state.staged = match &done {
            Ok(report) if report.version.is_some() => fitted.map(|(staged, _)| staged),
            _ => held,
        };
        loose.committed(done)
    }

    /// What a publication beside what is staged changes, and the guards that it overrides.
    fn pass(&self, state: &mut State, how: &Beside) -> Result<(StagedView, Vec<String>), PublishError> {
        let (changes, forced) = self.checked(state, &how.force, LISTED, how.cleared)?;
        if !how.dry_run {
            if !changes.refused.is_empty() {
                return Err(PublishError::Refused(changes.refused));
            }
            if !changes.guards.is_empty() {
                return Err(PublishError::Refused(changes.guards));
            }
        }
        Ok((changes, forced))
    }

    /// What is staged as it is against the version after `lines`, and the records that say so.
    fn fitted(&self, state: &State, lines: &SmallChanges, loose: &Loose<'_>) -> Result<Option<(Staged, Vec<Record>)>, PublishError> {
        let Some(staged) = &state.staged else { return Ok(None) };
        let rules = lines.keys().map(|rule| Rule::trusted(rule));
        let known = self.staged_lines_of(state, &rules.map(|rule| (rule, (None, String::new()))).collect())?;
        let mut overrides = BTreeMap::new();
        for (rule, wanted) in known {
            let after = lines.get(&rule).filter(|line| !line.starts_with('-')).map(|line| &line[1..]);
            let wanted = (!wanted.starts_with('-')).then(|| &wanted[1..]);
            let line: Option<Box<str>> = match (after, wanted) {
                (Some(after), Some(wanted)) if after != wanted => Some(format!("~{wanted}").into()),
                (None, Some(wanted)) => Some(format!("+{wanted}").into()),
                (Some(_), None) => Some(format!("-{rule}").into()),
                _ => None,
            };
            overrides.insert(rule, line);
        }
        let fitted = if overrides.is_empty() {
            staged.clone()
        } else {
            let fitted = self.with_overrides(state, overrides)?;
            loose.add(ArtefactKind::Changes, fitted.digest);
            fitted
        };
        if fitted.tally.total() == 0 {
            return Ok(None);
        }
        let mut records = vec![Record::Staged {
            list: state.meta.id.clone(),
            changes: Some(fitted.digest),
            count: fitted.tally.total(),
            at: self.clock.now(),
            by: "bwld".into(),
        }];
        if fitted.digest != staged.digest {
            records.push(self.staged_by(state, Some(fitted.digest), None)?);
        }
        Ok(Some((fitted, records)))
    }

    /// The changes of a delta that is kept.
    ///
    /// # Errors
    /// Of reading it.
    pub fn changes_of(&self, delta: &DeltaRef) -> Result<ChangeSet, PublishError> {
        Ok(read_delta(self.store.artefacts(), delta)?.changes)
    }

    /// What is staged for these rules: change lines by rule.
    ///
    /// # Errors
    /// [`PublishError::NoList`], or of reading.
    pub fn staged_for(&self, id: &ListId, rules: &[Rule]) -> Result<BTreeMap<Box<str>, Box<str>>, PublishError> {
        let slot = self.slot(id)?;
        let state = slot.lock();
        self.staged_lines_of(&state, &rules.iter().map(|rule| (rule.clone(), (None, String::new()))).collect())
    }
}

fn in_the_way() -> PublishError {
    PublishError::Refused(vec![Refusal {
        place: "staged".into(),
        text: String::new(),
        reason: "so many changes cannot go out beside what is staged".into(),
        hint: "publish or discard what is staged first".into(),
    }])
}

/// A rule and its change line.
type Line = (Box<str>, Box<str>);

/// What a wish comes to against the newest version.
fn change(state: &State, wish: &Wish) -> Result<Option<Line>, PublishError> {
    let rule = match wish {
        Wish::Put(entry) | Wish::RemoveThis(entry) => entry.rule(),
        Wish::Remove(rule) => rule.clone(),
    };
    let now = match &state.published {
        Some(published) => published.content.get(&rule)?,
        None => None,
    };
    let line = match (wish, now) {
        (Wish::Put(entry), Some(now)) if now != *entry => format!("~{}", entry.line()),
        (Wish::Put(entry), None) => format!("+{}", entry.line()),
        (Wish::Remove(_), Some(_)) => format!("-{rule}"),
        (Wish::RemoveThis(entry), Some(now)) if now == *entry => format!("-{rule}"),
        _ => return Ok(None),
    };
    Ok(Some((rule.as_str().into(), line.into())))
}
