//! What changed in a zone between two versions, from the lists' deltas, condensed to one step (RFC 1995 section 5).
//!
//! Guarantees: exact. A name is deleted only if the older version of the zone had it, and added only if it had not: a
//! secondary refuses an increment that deletes what is not there. A delta says what an entry is now, not what it was, and
//! whether it was in a selection depends on that; so the older line is looked up in the base before it and the deltas
//! from there. Where that is not to be had any more the answer is: send the whole zone.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::feed::{Deltas, SpanError};
use crate::list::{Change, ChangeSet, Kind, Rule, Serial};
use crate::store::{ArtefactKind, Content, PublishedList};
use crate::wire::{Delta, decompress};

use super::DnsError;
use super::content::{Owners, Said, owners};
use super::owner::enforced;
use super::part::part_of;
use super::zone::Zone;

/// Owner names that leave and that come: relative to the zone, in wire form, the wildcard's label included.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Diff {
    /// Names that leave.
    pub removed: Vec<Box<[u8]>>,
    /// Names that come.
    pub added: Vec<Box<[u8]>>,
}

impl Diff {
    /// How many records it is.
    pub fn len(&self) -> usize {
        self.removed.len() + self.added.len()
    }

    /// Octets of its records in messages, at most, but for what comes once a message: each compressed name, its type, class,
    /// TTL and length, and what is said of it.
    pub fn octets(&self) -> usize {
        self.removed.iter().chain(&self.added).map(|wire| wire.len() + 2 + 10 + 3).sum()
    }

    /// Whether the zone is the same.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One list at two moments.
struct Moments {
    list: Arc<PublishedList>,
    /// From the older version to the newest.
    changes: ChangeSet,
    /// From the base to the older version.
    before: ChangeSet,
    /// A base not newer than the older version; none if nothing changed.
    base: Option<Content>,
}

/// Whether a rule is selected: before, and now.
type Selected = (bool, bool);

impl Moments {
    fn selected(&self, zone: &Zone, rule: &Rule) -> Result<Selected, DnsError> {
        let takes = |line: &str| zone.selection.has(line) && enforced(line);
        let now = match self.changes.get(rule) {
            None => {
                let both = self.list.content.get(rule)?.is_some_and(|entry| takes(entry.line()));
                return Ok((both, both));
            }
            Some(Change::Add(entry)) => return Ok((false, takes(entry.line()))),
            Some(Change::Replace(entry)) => takes(entry.line()),
            Some(Change::Remove(_)) => false,
        };
        let before = match (self.before.get(rule), &self.base) {
            (Some(Change::Add(entry) | Change::Replace(entry)), _) => takes(entry.line()),
            (None, Some(base)) => base.get(rule)?.is_some_and(|entry| takes(entry.line())),
            // Removed before the older version, or no base: then the delta could not have removed or replaced it.
            (Some(Change::Remove(_)), _) | (None, None) => false,
        };
        Ok((before, now))
    }
}

/// What leads the zone from the versions `from` of its lists to `lists`, for each of its parts; `None` if only the whole
/// zone does, or does at less cost.
///
/// # Errors
/// Of reading.
pub async fn diff(
    deltas: &Deltas,
    zone: &Arc<Zone>,
    lists: &[Arc<PublishedList>],
    from: &[Serial],
    most: usize,
) -> Result<Option<Vec<Diff>>, DnsError> {
    let mut moments = Vec::with_capacity(lists.len());
    let mut changed = 0;
    for (list, from) in lists.iter().zip(from) {
        let Some(moment) = between(deltas, list, *from).await? else { return Ok(None) };
        changed += moment.changes.len();
        moments.push(moment);
    }
    if changed > most {
        return Ok(None);
    }
    let zone = zone.clone();
    let working = tokio::task::spawn_blocking(move || compare(&zone, &moments));
    let parts = working.await.map_err(|_| std::io::Error::other("comparing two versions broke off"))??;
    Ok((parts.iter().map(Diff::len).sum::<usize>() <= most).then_some(parts))
}

async fn between(deltas: &Deltas, list: &Arc<PublishedList>, from: Serial) -> Result<Option<Moments>, DnsError> {
    let newest = list.head.serial;
    let nothing = ChangeSet::default;
    if from == newest {
        return Ok(Some(Moments { list: list.clone(), changes: nothing(), before: nothing(), base: None }));
    }
    let Some(base) = list.bases.iter().rev().find(|base| base.serial <= from) else { return Ok(None) };
    let Some(changes) = span(deltas, list, from, newest).await? else { return Ok(None) };
    let before = if base.serial == from { Some(nothing()) } else { span(deltas, list, base.serial, from).await? };
    let Some(before) = before else { return Ok(None) };
    let path = deltas.artefacts().path(ArtefactKind::Buckets, &base.buckets);
    let opened = tokio::task::spawn_blocking(move || Content::open(&path)).await;
    // An older base may be swept away in this very moment: then there is no way but the whole zone.
    let Ok(Ok(base)) = opened else { return Ok(None) };
    Ok(Some(Moments { list: list.clone(), changes, before, base: Some(base) }))
}

async fn span(deltas: &Deltas, list: &Arc<PublishedList>, from: Serial, to: Serial) -> Result<Option<ChangeSet>, DnsError> {
    let span = match deltas.span(list, from, to).await {
        Ok(span) => span,
        Err(error @ SpanError::Damaged { .. }) => {
            tracing::error!(%error, "an incremental transfer is answered with the whole zone");
            return Ok(None);
        }
        Err(reason) => {
            tracing::debug!(%reason, "no increment");
            return Ok(None);
        }
    };
    let read = move || {
        let bytes = decompress("a delta", &span.zstd, span.size).ok()?;
        Some(Delta::parse(&bytes).ok()?.changes)
    };
    Ok(tokio::task::spawn_blocking(read).await.unwrap_or_default())
}

fn compare(zone: &Zone, moments: &[Moments]) -> Result<Vec<Diff>, DnsError> {
    let mut targets: BTreeSet<(bool, &str)> = BTreeSet::new();
    for change in moments.iter().flat_map(|moment| moment.changes.iter()) {
        match Kind::split(change.rule_str()) {
            Some((Kind::Cidr, target)) => drop(targets.insert((false, target))),
            Some((Kind::Domain | Kind::Subtree, target)) => drop(targets.insert((true, target))),
            _ => {}
        }
    }
    let mut parts = vec![Diff::default(); zone.parts() as usize];
    let (mut wire, mut text) = (Vec::new(), String::new());
    for (is_name, target) in targets {
        let kinds: &[Kind] = if is_name { &[Kind::Domain, Kind::Subtree] } else { &[Kind::Cidr] };
        let (mut before, mut now) = (Said::default(), Said::default());
        for kind in kinds {
            text.clear();
            text.extend([kind.word(), ":", target]);
            let rule = Rule::trusted(&text);
            for moment in moments {
                let (was, is) = moment.selected(zone, &rule)?;
                match kind {
                    Kind::Subtree => (before.subtree, now.subtree) = (before.subtree | was, now.subtree | is),
                    _ => (before.named, now.named) = (before.named | was, now.named | is),
                }
            }
        }
        if before == now {
            continue;
        }
        // Both give the same name, if they give one.
        let (old, _) = owners(zone.name_len(), target, before, !is_name, &mut wire);
        let spare = if old.name { Some(wire.clone()) } else { None };
        let (new, _) = owners(zone.name_len(), target, now, !is_name, &mut wire);
        let part = part_of(target, zone.parts()) as usize;
        put(&mut parts[part], spare.as_deref().unwrap_or(&wire), old, new);
    }
    Ok(parts)
}

fn put(diff: &mut Diff, wire: &[u8], old: Owners, new: Owners) {
    let wildcard = || [b"\x01*", wire].concat().into_boxed_slice();
    match (old.name, new.name) {
        (true, false) => diff.removed.push(wire.into()),
        (false, true) => diff.added.push(wire.into()),
        _ => {}
    }
    match (old.wildcard, new.wildcard) {
        (true, false) => diff.removed.push(wildcard()),
        (false, true) => diff.added.push(wildcard()),
        _ => {}
    }
}
