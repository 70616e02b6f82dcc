//! A version undone: its changes reversed by a new one, in one call.
//!
//! A version of few changes is reversed from its delta and from what its entries were before. One of many, or without a delta, is
//! reversed by reading its changes, what its entries were before and the list as it is now side by side; memory does not depend on
//! their size. What is kept for it, and how long, stands in `kept`.
//!
//! Guarantees: an entry that was changed again since is left as it is and named; what cannot be undone any more is refused and says why.

use std::collections::BTreeMap;
use std::io;
use std::thread;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::list::{Change, Entry, ListId, Rule, Serial};
use crate::store::{ArtefactKind, By, DeltaRef, KEPT_CHANGES, KeptChanges, PublishedList, VersionRecord};

use super::base::list_lines;
use super::beside::{Own, Records};
use super::changes::{ChangesReader, write};
use super::chunks::{fan_out, first_cause, join};
use super::error::cut;
use super::kept::{BEFORE, key, unpacked, unreadable};
use super::lines::{Ahead, Lines, NoLines, SmallChanges, least};
use super::loose::Loose;
use super::publish::LISTED;
use super::state::{State, delta_ref, read_delta};
use super::{Beside, PublishError, Publisher, Refusal, StagedView};

/// A version undone, or what undoing it would do.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Undone {
    /// The version that undid it; none on a dry run, or if nothing was left to undo.
    pub version: Option<VersionRecord>,
    /// What it changed or would.
    pub changes: StagedView,
    /// Changes that could not be reversed, for the entry is another one by now, the first 100.
    pub conflicts: Vec<Refusal>,
    /// How many those are.
    pub conflicts_total: u64,
}

/// Changes that cannot be reversed.
#[derive(Default)]
struct Conflicts {
    first: Vec<Refusal>,
    total: u64,
}

impl Conflicts {
    fn push(&mut self, rule: &str) {
        self.total += 1;
        if self.first.len() < LISTED {
            let hint = "change it by hand, or undo the rest with --partial".into();
            self.first.push(Refusal { place: "conflict".into(), text: cut(rule), reason: CHANGED.into(), hint });
        }
    }
}

impl Publisher {
    /// Reverses the changes of a version by a new one. With `partial` those that can be reversed, else all or none.
    ///
    /// # Errors
    /// [`PublishError::Refused`] by a guard, if the version's changes are no longer kept, or if some cannot be reversed.
    pub fn undo(
        &self,
        id: &ListId,
        serial: Serial,
        partial: bool,
        how: &Beside,
        records: Records<'_>,
        by: impl Into<By>,
    ) -> Result<Undone, PublishError> {
        super::guards::check_asked(&how.reason, &how.force)?;
        let slot = self.slot(id)?;
        let mut state = slot.lock();
        state.in_service()?;
        let loose = Loose::new(self.store.artefacts());
        let (own, conflicts) = self.reversed(&state, serial, &loose)?;
        if conflicts.total > 0 && !partial && !how.dry_run {
            return Err(PublishError::Refused(conflicts.first));
        }
        let reason = match how.reason.as_str() {
            "" => format!("undoes version {serial}"),
            reason => format!("undoes version {serial}: {reason}"),
        };
        let report = self.beside(&mut state, own, &Beside { reason, ..how.clone() }, records, (by.into(), &loose))?;
        Ok(Undone { version: report.version, changes: report.changes, conflicts: conflicts.first, conflicts_total: conflicts.total })
    }

    /// Changes that reverse a version, and what cannot be reversed.
    fn reversed(&self, state: &State, serial: Serial, loose: &Loose<'_>) -> Result<(Own, Conflicts), PublishError> {
        let published = state.published.as_ref().ok_or_else(|| gone(serial, "there is no such version"))?;
        let version = self.store.versions(&state.meta.id, serial.next(), 1)?.pop().filter(|v| v.serial == serial);
        let version = version.ok_or_else(|| gone(serial, "there is no such version"))?;
        let not_kept = || gone(serial, "what it changed is not kept any more");
        if let Some(value) = self.store.document(KEPT_CHANGES, &key(&state.meta.id, serial))? {
            return self.by_streams(published, &serde_json::from_value(value).map_err(|_| unreadable())?, loose);
        }
        let delta = delta_ref(&version).filter(|delta| published.deltas.contains(delta)).ok_or_else(not_kept)?;
        let old = if version.removed + version.replaced > 0 {
            self.store.document(BEFORE, &key(&state.meta.id, serial))?.ok_or_else(not_kept)?
        } else {
            Value::String(String::new())
        };
        self.by_delta(published, &delta, &unpacked(&old)?)
    }

    /// From the changes of a large version, what its entries were before, and the list as it is.
    fn by_streams(&self, published: &PublishedList, kept: &KeptChanges, loose: &Loose<'_>) -> Result<(Own, Conflicts), PublishError> {
        let artefacts = self.store.artefacts();
        let (mut conflicts, (mut sender, [receiver])) = (Conflicts::default(), fan_out());
        let [changes, old @ ..] = &kept.changes[..] else { return Err(unreadable()) };
        let staged = thread::scope(|scope| {
            let written = scope.spawn(move || write(artefacts, &receiver));
            let mut read = || {
                let was: Box<dyn Lines> = match old.first() {
                    Some(old) => Box::new(Entries::of(ChangesReader::open(artefacts, *old)?)),
                    None => Box::new(NoLines),
                };
                let made = Entries::of(ChangesReader::open(artefacts, *changes)?);
                let now = list_lines(artefacts, published.bases.last(), &published.content)?;
                Ok(reverse(was, made, now, |sign, body| sender.push([sign, body]), |rule| conflicts.push(rule))?)
            };
            let made = read();
            let made = sender.end(made);
            first_cause(join(written), made).map(|(staged, ())| staged)
        })?;
        loose.add(ArtefactKind::Changes, staged.digest);
        let own = if let Some(small) = staged.small.clone() { Own::Few(small) } else { Own::Many(staged) };
        Ok((own, conflicts))
    }

    /// From the version's delta and what its entries were before.
    fn by_delta(&self, published: &PublishedList, delta: &DeltaRef, old: &BTreeMap<Rule, Entry>) -> Result<(Own, Conflicts), PublishError> {
        let (mut lines, mut conflicts) = (SmallChanges::new(), Conflicts::default());
        for change in read_delta(self.store.artefacts(), delta)?.changes.iter() {
            let rule = Rule::trusted(change.rule_str());
            let was = if let Change::Add(_) = change { None } else { old.get(&rule).cloned() };
            let made = match change {
                Change::Add(entry) | Change::Replace(entry) => Some(entry.clone()),
                Change::Remove(_) => None,
            };
            let now = published.content.get(&rule)?;
            let texts = [&was, &made, &now].map(|entry| entry.as_ref().map(Entry::line));
            match back(texts) {
                Back::Nothing => {}
                Back::Conflict => conflicts.push(rule.as_str()),
                Back::Change(sign) => {
                    let body = texts[0].unwrap_or(rule.as_str());
                    lines.insert(rule.as_str().into(), format!("{sign}{body}").into());
                }
            }
        }
        Ok((Own::Few(lines), conflicts))
    }
}

/// The entry lines among change lines, without their signs.
struct Entries<L> {
    lines: L,
    line: String,
}

impl<L> Entries<L> {
    fn of(lines: L) -> Entries<L> {
        Entries { lines, line: String::new() }
    }
}

impl<L: Lines> Lines for Entries<L> {
    fn next_line(&mut self) -> io::Result<Option<&str>> {
        while let Some(line) = self.lines.next_line()? {
            if !line.starts_with('-') {
                self.line.clear();
                self.line.push_str(&line[1..]);
                return Ok(Some(&self.line));
            }
        }
        Ok(None)
    }
}

const CHANGED: &str = "it was changed again since";

fn gone(serial: Serial, reason: &str) -> PublishError {
    let hint = "`bwld log` shows the versions; how long one can be undone stands in OPERATIONS.md, else make the changes anew".into();
    PublishError::Refused(vec![Refusal { place: "serial".into(), text: serial.to_string(), reason: reason.into(), hint }])
}

/// What leads a rule back to what it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Back {
    /// The version left it alone, or it is as it was already.
    Nothing,
    /// A change of this sign.
    Change(&'static str),
    /// It is another one by now.
    Conflict,
}

/// Of a rule's entry before the version, after it, and now.
fn back([was, made, now]: [Option<&str>; 3]) -> Back {
    if was == made || now == was {
        return Back::Nothing;
    }
    if now != made {
        return Back::Conflict;
    }
    Back::Change(match (was, now) {
        (Some(_), Some(_)) => "~",
        (Some(_), None) => "+",
        _ => "-",
    })
}

/// Changes that undo what led from `was` to `made`, against what there is `now`; streams of entry lines by rule.
fn reverse(
    was: impl Lines,
    made: impl Lines,
    now: impl Lines,
    mut out: impl FnMut(&str, &str) -> io::Result<()>,
    mut conflict: impl FnMut(&str),
) -> io::Result<()> {
    let (mut was, mut made, mut now) = (Ahead::new(was, false)?, Ahead::new(made, false)?, Ahead::new(now, false)?);
    let mut rule = String::new();
    while let Some(next) = least([was.rule(), made.rule(), now.rule()]) {
        rule.clear();
        rule.push_str(next);
        let texts = [was.at(&rule), made.at(&rule), now.at(&rule)];
        match back(texts) {
            Back::Nothing => {}
            Back::Conflict => conflict(&rule),
            Back::Change(sign) => out(sign, texts[0].unwrap_or(&rule))?,
        }
        let [w, m, n] = texts.map(|text| text.is_some());
        if w {
            was.advance()?;
        }
        if m {
            made.advance()?;
        }
        if n {
            now.advance()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Model = BTreeMap<String, String>;

    fn model() -> impl Strategy<Value = Model> {
        proptest::collection::btree_map(0u8..12, 0u8..3, 0..12).prop_map(|map| {
            map.into_iter().map(|(n, c)| (format!("domain:{n:02}.example"), format!("domain:{n:02}.example\tcat=c{c}"))).collect()
        })
    }

    proptest! {
        #[test]
        fn three_streams_give_what_three_maps_would(was in model(), made in model(), now in model()) {
            let lines = |model: &Model| model.values().cloned().collect::<Vec<_>>().into_iter();
            let (mut after, mut conflicts) = (now.clone(), Vec::new());
            let mut signs_fit = true;
            reverse(
                lines(&was),
                lines(&made),
                lines(&now),
                |sign, body| {
                    let rule = crate::list::rule_of(body).to_owned();
                    signs_fit &= (sign == "+") != after.contains_key(&rule);
                    if sign == "-" { after.remove(&rule); } else { after.insert(rule, body.to_owned()); }
                    Ok(())
                },
                |rule| conflicts.push(rule.to_owned()),
            ).unwrap();
            prop_assert!(signs_fit);
            for rule in was.keys().chain(made.keys()).chain(now.keys()) {
                let (w, m, n) = (was.get(rule), made.get(rule), now.get(rule));
                let goes_back = w != m && n == m;
                prop_assert_eq!(after.get(rule), if goes_back { w } else { n });
                prop_assert_eq!(conflicts.contains(rule), w != m && n != m && n != w);
            }
        }
    }

    #[test]
    fn what_the_version_changed_and_nobody_since_goes_back() {
        let table = [
            ([None, None, Some("x")], Back::Nothing),
            ([Some("a"), Some("a"), None], Back::Nothing),
            ([Some("a"), Some("b"), Some("a")], Back::Nothing),
            ([None, Some("b"), Some("b")], Back::Change("-")),
            ([Some("a"), None, None], Back::Change("+")),
            ([Some("a"), Some("b"), Some("b")], Back::Change("~")),
            ([Some("a"), Some("b"), Some("c")], Back::Conflict),
            ([Some("a"), Some("b"), None], Back::Conflict),
            ([None, Some("b"), None], Back::Nothing),
            ([None, Some("b"), Some("c")], Back::Conflict),
        ];
        for (texts, expected) in table {
            assert_eq!(back(texts), expected, "{texts:?}");
        }
    }
}
