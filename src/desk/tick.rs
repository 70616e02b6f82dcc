//! What time does by itself: expired entries leave in a publication of their own, scheduled publications go out, cases that have not
//! followed a version do so.
//!
//! Guarantees: the cost of a tick at which nothing is due does not depend on the size of the lists: of each version it is known when
//! the first of its entries expires, from its deltas where they are kept, else from one scan. Approvals are not asked again for an
//! expiry, for it stood in what was approved; a frozen list keeps its entries until it is thawed.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use memchr::memmem::Finder;

use crate::list::{Change, Date, Entry, ListId, Rule, Serial};
use crate::publisher::{Beside, By, Wish};
use crate::store::PublishedList;

use super::case::Case;
use super::publish::{Moved, nothing};
use super::room::{ROOM, weight};
use super::states::{Action, CaseState};
use super::{Desk, DeskError, ExpiredWaiting};

/// Entries that leave in one publication; the next tick goes on.
const MOST: usize = 50_000;
/// Octets of their lines: what undoing it takes stands in the version's frame.
const MOST_OCTETS: usize = 4 << 20;
/// As long a reason as an expiry has.
const REASON: &str = "expired: 50000 entries";
/// Octets of deltas that are rather read than the list scanned.
const MOST_DELTAS: u64 = 8 << 20;
/// What stands before a date of expiry in an entry line.
pub(super) const EXPIRES: &str = "\texp=";

/// Of each list the version that was looked at, and the earliest date of expiry in it.
pub(super) type Calendar = BTreeMap<ListId, (Serial, Option<Date>)>;

/// What a tick did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ticked {
    /// Lists, versions and how many expired entries left in each.
    pub expired: Vec<(ListId, Serial, u64)>,
    /// Scheduled publications that went out.
    pub published: Vec<(ListId, Serial)>,
    /// What could not be done, in words.
    pub failed: Vec<String>,
}

impl Desk {
    /// Does what is due. What cannot be done of one list holds up neither the others nor what is scheduled.
    ///
    /// # Errors
    /// The first one after which only a new start helps, and those of the store that concern no list; all else is in the report.
    pub fn tick(&self) -> Result<Ticked, DeskError> {
        let (mut ticked, mut stuck, mut worst) = (Ticked::default(), Vec::new(), None);
        let today = self.clock.now().date();
        for published in self.catalog.all() {
            let list = published.meta.id.clone();
            let (since, what, done) = match self.first_expiry(&published) {
                Ok(Some(day)) if day < today => (day, "expired entries stay", self.expire(&published, today)),
                Ok(_) => continue,
                Err(e) => {
                    let since = self.known_expiry(&list).filter(|day| *day < today).unwrap_or(today);
                    (since, "nobody knows whether entries have expired", Err(e))
                }
            };
            match done {
                Ok(Some((serial, count))) => ticked.expired.push((list, serial, count)),
                Ok(None) => {}
                Err(e) => {
                    ticked.failed.push(format!("{list}: {what}: {e}"));
                    stuck.push(ExpiredWaiting { list, since, reason: e.to_string() });
                    worst = worst.or(e.is_fatal().then_some(e));
                }
            }
        }
        *self.stuck.lock().unwrap_or_else(PoisonError::into_inner) = stuck;
        let suspended = self.expire_suspended(today).err();
        let schedules = self.run_schedules(&mut ticked).err();
        match worst.or(suspended).or(schedules) {
            None => Ok(ticked),
            Some(e) => {
                // Nobody gets the report then.
                ticked.failed.iter().for_each(|reason| tracing::warn!(reason, "what was due was not done"));
                Err(e)
            }
        }
    }

    /// The earliest date of expiry in a list as it was looked at last.
    fn known_expiry(&self, list: &ListId) -> Option<Date> {
        self.calendar.lock().unwrap_or_else(PoisonError::into_inner).get(list).and_then(|(_, due)| *due)
    }

    /// The earliest date of expiry in a version.
    pub(super) fn first_expiry(&self, published: &Arc<PublishedList>) -> Result<Option<Date>, DeskError> {
        let (list, serial) = (&published.meta.id, published.head.serial);
        let known = self.calendar.lock().unwrap_or_else(PoisonError::into_inner).get(list).copied();
        let due = match known {
            Some((before, due)) if before == serial => return Ok(due),
            Some((before, due)) => match self.by_deltas(published, before, due)? {
                Some(due) => due,
                None => self.by_scan(published)?,
            },
            None => self.by_scan(published)?,
        };
        self.calendar.lock().unwrap_or_else(PoisonError::into_inner).insert(list.clone(), (serial, due));
        Ok(due)
    }

    /// From the date of the version `before`, if few deltas lead on from it.
    fn by_deltas(&self, published: &PublishedList, before: Serial, mut due: Option<Date>) -> Result<Option<Option<Date>>, DeskError> {
        let deltas: Vec<_> = published.deltas.iter().filter(|delta| delta.from >= before).collect();
        let whole = deltas.first().is_some_and(|delta| delta.from == before);
        if !whole || deltas.iter().map(|delta| delta.size).sum::<u64>() > MOST_DELTAS {
            return Ok(None);
        }
        let mut changed = BTreeMap::new();
        for delta in deltas {
            let changes = match self.publisher.changes_of(delta) {
                Ok(changes) => changes,
                // The list itself says the same.
                Err(error) => {
                    tracing::warn!(list = %published.meta.id, %error, "a delta cannot be read; the whole list is looked through");
                    return Ok(None);
                }
            };
            for change in changes.iter() {
                if let Change::Add(entry) | Change::Replace(entry) = change {
                    due = earlier(due, expiry(entry.line()));
                }
                changed.insert(change.rule_str().to_owned(), format!("{}{}", change.sign(), change.body()));
            }
        }
        self.catch_up(&published.meta.id, Some(&changed))?;
        Ok(Some(due))
    }

    fn by_scan(&self, published: &PublishedList) -> Result<Option<Date>, DeskError> {
        let mut due = None;
        published.content.scan(0, &Finder::new(EXPIRES), &mut |_, line| {
            due = earlier(due, expiry(line));
            true
        })?;
        self.catch_up(&published.meta.id, None)?;
        Ok(due)
    }

    /// Takes what has expired off a list. Version and number of entries; none if nothing had.
    fn expire(&self, published: &PublishedList, today: Date) -> Result<Option<(Serial, u64)>, DeskError> {
        let list = &published.meta.id;
        let (mut over, mut octets, mut rest) = (Vec::new(), 0, None);
        published.content.scan(0, &Finder::new(EXPIRES), &mut |_, line| {
            match expiry(line) {
                Some(day) if day < today && over.len() < MOST && octets < MOST_OCTETS => {
                    octets += line.len();
                    over.push(Entry::trusted(line));
                }
                other => rest = earlier(rest, other),
            }
            true
        })?;
        let _writing = self.lock(list);
        let (wishes, cases) = self.leaving(published, over, &mut rest)?;
        let reason = format!("expired: {} entries", wishes.len());
        let how = Beside { reason, force: vec!["max-removed".into()], cleared: true, dry_run: false };
        let by = By::new("bwld", "local");
        let report = self.together(list, &wishes, Moved { cases, action: Action::Expire, also: &nothing }, &how, &by)?;
        let serial = report.version.as_ref().map_or(published.head.serial, |version| version.serial);
        // A version in between may have brought others: then it is looked at again.
        let direct = report.version.as_ref().is_none_or(|version| published.head.serial.next() == Some(version.serial));
        if direct {
            self.calendar.lock().unwrap_or_else(PoisonError::into_inner).insert(list.clone(), (serial, rest));
        }
        Ok(report.version.map(|version| (version.serial, version.removed)))
    }

    /// What of the expired entries of a version leaves in one publication, with their cases: as many as find room in its frame, and
    /// none that is another one in the newest version. Of those that find no room the earliest date goes into `rest`. For who holds
    /// the lock of the list: until it is released no entry changes.
    fn leaving(&self, seen: &PublishedList, over: Vec<Entry>, rest: &mut Option<Date>) -> Result<(Vec<Wish>, Vec<Case>), DeskError> {
        let list = &seen.meta.id;
        let (mut wishes, mut cases, mut octets) = (Vec::with_capacity(over.len()), Vec::new(), 0);
        let Some(newest) = self.catalog.get(list) else { return Ok((wishes, cases)) };
        for entry in over {
            // It was published again meanwhile, with a later date say: its time is not over, nor is that of its case.
            if newest.head.serial != seen.head.serial && newest.content.get(&entry.rule())?.as_ref() != Some(&entry) {
                continue;
            }
            let reference = entry.attributes().reference;
            let case = self.published_case(list, &entry.rule()).filter(|case| reference.as_ref() == Some(&case.reference));
            let more = case.as_ref().map_or(0, |case| weight(case, REASON));
            // One that is longer than all the room goes alone.
            if more > 0 && octets + more > ROOM && !cases.is_empty() {
                *rest = earlier(*rest, expiry(entry.line()));
                continue;
            }
            octets += more;
            cases.extend(case);
            wishes.push(Wish::RemoveThis(entry));
        }
        Ok((wishes, cases))
    }

    /// The case of an entry that is on the list.
    pub(super) fn published_case(&self, list: &ListId, rule: &Rule) -> Option<Case> {
        self.read(|cases| cases.open(list, rule.as_str()).filter(|case| case.state == CaseState::Published).map(|case| Case::clone(case)))
    }

    /// Suspended entries expire as well; no list changes.
    fn expire_suspended(&self, today: Date) -> Result<(), DeskError> {
        let over = |case: &Case| case.state == CaseState::Suspended && case.words.over(today).is_some();
        let cases: Vec<Case> = self.read(|cases| cases.all_open(None).filter(|case| over(case)).map(|case| Case::clone(case)).collect());
        for case in cases {
            let _writing = self.lock(&case.list);
            let mut case = Case::clone(&*self.case(&case.reference)?);
            if !over(&case) {
                continue;
            }
            self.enter(&mut case, CaseState::Expired);
            case.revision += 1;
            self.write_case(case, &By::new("bwld", "local"), Action::Expire)?;
        }
        Ok(())
    }
}

fn earlier(a: Option<Date>, b: Option<Date>) -> Option<Date> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// The date of expiry in an entry line, which is its last attribute.
fn expiry(line: &str) -> Option<Date> {
    line.rsplit_once(EXPIRES)?.1.parse().ok()
}
