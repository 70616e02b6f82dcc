//! Publications of their own: cases that were approved, entries whose time is over, a version undone. They go out beside what is
//! staged, which stays staged and is fitted to the new version in the same frame.
//!
//! Guarantees: every guard holds as for what is staged; `cleared` says that the caller has the approvals of each change and
//! skips only that guard; a refusal leaves everything as it was.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::list::{Change, ChangeSet, Entry, ListId, Rule, Serial};
use crate::store::{ArtefactKind, By, Content, DeltaRef, PublishedList, Record, VersionRecord};

use super::changes::Staged;
use super::error::cut;
use super::lines::SmallChanges;
use super::publish::{LISTED, place};
use super::state::{State, delta_ref, read_delta, replay};
use super::{PublishError, PublishReport, PublishRequest, Publisher, Refusal, StagedView};

/// Table of what entries were before a version removed or replaced them, by list and serial.
pub(super) const BEFORE: &str = "before";
/// Most entries that are kept so.
const MAX_BEFORE: u64 = 2_000;
/// Most changes of a version that can be undone.
const MAX_UNDO: u64 = 200_000;

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

/// Makes the records that go into the frame of the version of this serial.
pub type Records<'a> = &'a dyn Fn(Serial) -> Vec<Record>;

/// A version undone, or what undoing it would do.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Undone {
    /// The version that undid it; none on a dry run, or if nothing was left to undo.
    pub version: Option<VersionRecord>,
    /// What it changed or would.
    pub changes: StagedView,
    /// Changes that could not be reversed, for the entry is another one by now.
    pub conflicts: Vec<Refusal>,
    /// How many those are.
    pub conflicts_total: u64,
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
        super::publish::check_force(&how.force)?;
        let slot = self.slot(id)?;
        let mut state = slot.lock();
        state.in_service()?;
        let mut lines = SmallChanges::new();
        for wish in wishes {
            if let Some((rule, line)) = change(&state, wish)? {
                lines.insert(rule, line);
            }
        }
        self.beside(&mut state, lines, how, records, by.into())
    }

    fn beside(
        &self,
        state: &mut State,
        lines: SmallChanges,
        how: &Beside,
        records: Records<'_>,
        by: By,
    ) -> Result<PublishReport, PublishError> {
        if lines.is_empty() {
            return Ok(PublishReport { version: None, changes: StagedView::default() });
        }
        let artefacts = self.store.artefacts();
        let fitted = if how.dry_run { None } else { self.fitted(state, &lines)? };
        let mut own = Staged::put(artefacts, lines)?;
        own.screened = false;
        let digest = own.digest;
        let held = state.staged.replace(own);
        let done = self.pass(state, how).and_then(|(changes, forced)| {
            if how.dry_run {
                return Ok(PublishReport { version: None, changes });
            }
            let serial = place(state)?.serial;
            let by = by.clone().with(records(serial)).with(fitted.iter().flat_map(|(_, records)| records.iter().cloned()));
            let request = PublishRequest { reason: how.reason.clone(), ..PublishRequest::default() };
            let version = self.publish_staged(state, &request, forced, &by)?;
            Ok(PublishReport { version: Some(version), changes })
        });
        state.staged = match &done {
            Ok(report) if report.version.is_some() => fitted.map(|(staged, _)| staged),
            _ => held,
        };
        if state.staged.as_ref().is_none_or(|staged| staged.digest != digest) {
            artefacts.let_go(ArtefactKind::Changes, &digest);
        }
        done
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
    fn fitted(&self, state: &State, lines: &SmallChanges) -> Result<Option<(Staged, Vec<Record>)>, PublishError> {
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
        let fitted = if overrides.is_empty() { staged.clone() } else { self.with_overrides(state, overrides)? };
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

    /// Reverses the changes of a version by a new one. With `partial` those that can be reversed, else all or none.
    ///
    /// # Errors
    /// [`PublishError::Refused`] by a guard, if the version's changes are no longer kept, or if some cannot be reversed.
    pub fn undo(&self, id: &ListId, serial: Serial, partial: bool, how: &Beside, by: impl Into<By>) -> Result<Undone, PublishError> {
        super::publish::check_force(&how.force)?;
        let slot = self.slot(id)?;
        let mut state = slot.lock();
        state.in_service()?;
        let (lines, conflicts, conflicts_total) = self.reversed(&state, serial)?;
        if conflicts_total > 0 && !partial && !how.dry_run {
            return Err(PublishError::Refused(conflicts));
        }
        let by = by.into();
        let reason = match how.reason.as_str() {
            "" => format!("undoes version {serial}"),
            reason => format!("undoes version {serial}: {reason}"),
        };
        let report = self.beside(&mut state, lines, &Beside { reason, ..how.clone() }, &|_| Vec::new(), by)?;
        Ok(Undone { version: report.version, changes: report.changes, conflicts, conflicts_total })
    }

    /// Change lines that reverse a version, and what cannot be reversed.
    fn reversed(&self, state: &State, serial: Serial) -> Result<(SmallChanges, Vec<Refusal>, u64), PublishError> {
        let refuse = |reason: &str, hint: &str| {
            let (place, text) = ("serial".into(), serial.to_string());
            PublishError::Refused(vec![Refusal { place, text, reason: reason.into(), hint: hint.into() }])
        };
        let gone = || refuse("its changes are not kept", "`bwld log` shows the versions; make the changes anew");
        let published = state.published.as_ref().ok_or_else(gone)?;
        let version = self.store.versions(&state.meta.id, serial.next(), 1)?.pop().filter(|v| v.serial == serial).ok_or_else(gone)?;
        if version.added + version.removed + version.replaced > MAX_UNDO {
            return Err(refuse("it changed more than 200,000 entries", "import the list as it was, with --replace"));
        }
        let changes = match delta_ref(&version) {
            Some(delta) if published.deltas.contains(&delta) => read_delta(self.store.artefacts(), &delta)?.changes,
            Some(_) => return Err(gone()),
            // A change as large as the list has no delta; its two bases are there for a while.
            None => self.between(published, serial)?.ok_or_else(gone)?,
        };
        let old =
            if version.removed + version.replaced > 0 { self.before(state, published, serial)? } else { Before::Lines(BTreeMap::new()) };
        let (mut lines, mut conflicts, mut total) = (SmallChanges::new(), Vec::new(), 0);
        for change in changes.iter() {
            let rule = Rule::trusted(change.rule_str());
            let now = published.content.get(&rule)?;
            let was = match change {
                Change::Add(_) => None,
                _ => Some(old.get(&rule)?),
            };
            let reversed = match (change, now, was) {
                (Change::Add(_), None, _) => continue,
                (Change::Add(entry), Some(now), _) if now == *entry => format!("-{rule}"),
                (Change::Replace(entry), Some(now), Some(Some(was))) if now == *entry => format!("~{}", was.line()),
                (Change::Replace(_), Some(now), Some(Some(was))) if now == was => continue,
                (Change::Remove(_), None, Some(Some(was))) => format!("+{}", was.line()),
                (Change::Remove(_), Some(now), Some(Some(was))) if now == was => continue,
                (_, _, was) => {
                    total += 1;
                    if conflicts.len() < LISTED {
                        let reason = if was == Some(None) { "what it was before is not kept" } else { "it was changed again since" };
                        let hint = "change it by hand, or undo the rest with --partial".into();
                        conflicts.push(Refusal { place: "conflict".into(), text: cut(rule.as_str()), reason: reason.into(), hint });
                    }
                    continue;
                }
            };
            lines.insert(rule.as_str().into(), reversed.into());
        }
        Ok((lines, conflicts, total))
    }

    /// What a version without a delta changed: its base against the content before it, if both are there.
    fn between(&self, published: &PublishedList, serial: Serial) -> Result<Option<ChangeSet>, PublishError> {
        let artefacts = self.store.artefacts();
        let Some(base) = published.bases.iter().find(|base| base.serial == serial) else { return Ok(None) };
        let Some(before) = self.content_before(published, serial)? else { return Ok(None) };
        let after = Content::open(&artefacts.path(ArtefactKind::Buckets, &base.buckets))?;
        if before.entries().max(after.entries()) > 2 * MAX_UNDO {
            return Ok(None);
        }
        let (old, new) = (entries_of(&before)?, entries_of(&after)?);
        let mut changes = ChangeSet::default();
        let misfit = |_| PublishError::System("two bases do not differ as bases do; run `bwld check`".into());
        for (rule, entry) in &new {
            match old.get(rule) {
                None => changes.push(Change::Add(entry.clone())).map_err(misfit)?,
                Some(other) if other != entry => changes.push(Change::Replace(entry.clone())).map_err(misfit)?,
                Some(_) => {}
            }
        }
        for rule in old.keys().filter(|rule| !new.contains_key(rule)) {
            changes.push(Change::Remove(rule.clone())).map_err(misfit)?;
        }
        Ok(Some(changes))
    }

    /// The content before a version: an older base, and what the versions since changed.
    fn content_before(&self, published: &PublishedList, serial: Serial) -> Result<Option<Content>, PublishError> {
        let artefacts = self.store.artefacts();
        let Some(base) = published.bases.iter().rev().find(|base| base.serial < serial) else { return Ok(None) };
        let count = usize::try_from(serial.get() - base.serial.get() - 1).unwrap_or(usize::MAX);
        let mut since = if count == 0 { Vec::new() } else { self.store.versions(&published.meta.id, Some(serial), count)? };
        since.reverse();
        let deltas: Vec<DeltaRef> = since.iter().filter_map(delta_ref).collect();
        if deltas.len() != count {
            return Ok(None);
        }
        let content = Content::open(&artefacts.path(ArtefactKind::Buckets, &base.buckets))?;
        replay(artefacts, content, deltas.iter()).map(Some)
    }

    /// What the entries that a version removed or replaced were before.
    fn before(&self, state: &State, published: &PublishedList, serial: Serial) -> Result<Before, PublishError> {
        if let Some(value) = self.store.document(BEFORE, &format!("{}/{:020}", state.meta.id, serial.get()))? {
            let lines: Vec<String> = serde_json::from_value(value).map_err(|e| PublishError::System(e.to_string()))?;
            let entries = lines.iter().map(|line| Entry::trusted(line));
            return Ok(Before::Lines(entries.map(|entry| (entry.rule(), entry)).collect()));
        }
        Ok(self.content_before(published, serial)?.map_or_else(|| Before::Lines(BTreeMap::new()), Before::Content))
    }

    /// The document that keeps what the staged changes remove or replace, if they are few.
    pub(super) fn before_record(&self, state: &State, serial: Serial) -> Result<Option<Record>, PublishError> {
        let (Some(published), Some(staged)) = (&state.published, &state.staged) else { return Ok(None) };
        let count = staged.tally.removed + staged.tally.replaced;
        let Some(small) = staged.small.as_ref().filter(|_| count > 0 && count <= MAX_BEFORE) else { return Ok(None) };
        let mut lines = Vec::new();
        for (rule, _) in small.iter().filter(|(_, line)| !line.starts_with('+')) {
            lines.extend(published.content.get(&Rule::trusted(rule))?.map(|entry| entry.line().to_owned()));
        }
        let key = format!("{}/{:020}", state.meta.id, serial.get());
        Ok(Some(Record::Document { table: BEFORE.into(), key, value: Some(lines.into()) }))
    }
}

/// Entries as they were before a version.
enum Before {
    Lines(BTreeMap<Rule, Entry>),
    Content(Content),
}

impl Before {
    fn get(&self, rule: &Rule) -> Result<Option<Entry>, PublishError> {
        match self {
            Before::Lines(lines) => Ok(lines.get(rule).cloned()),
            Before::Content(content) => Ok(content.get(rule)?),
        }
    }
}

/// The entries of a content that is small enough, each bucket compared with its digest.
fn entries_of(content: &Content) -> Result<BTreeMap<Rule, Entry>, PublishError> {
    let mut entries = BTreeMap::new();
    for b in 0..1u32 << content.tree().bits() {
        let lines = String::from_utf8(content.bucket(b)?).map_err(|e| PublishError::System(e.to_string()))?;
        entries.extend(lines.lines().map(Entry::trusted).map(|entry| (entry.rule(), entry)));
    }
    Ok(entries)
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
