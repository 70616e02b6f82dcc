//! The numbers of a zone: which versions of its lists each stands for, and that none is ever given twice.
//!
//! # What a number is
//!
//! The number of a zone is the sum of its lists' serials plus the offset that is kept with its settings ([`super::kept`]).
//! Each serial only grows, so the sum grows with every version of any list, and since no list ever goes back, equal sums of
//! two moments mean equal versions. The SOA serial is the number modulo 2^32 (RFC 1982 arithmetic). Numbers from before the
//! last change of the settings stand for nothing: who has one gets the whole zone.
//!
//! A part of a divided zone has the number of the last version that changed *that part*: a version that does not touch it is
//! no reason to ask for it. Whose part has an older number has the content of the last version before its next change, and
//! the increment begins there: that version's deltas are kept when those of the number itself are long gone.
//!
//! # What is durable
//!
//! Settings, offset and, of a divided zone, the numbers of the parts: before anybody is given a number that follows from
//! them. The combinations that the sums of several lists stand for: at most once in [`PAUSE`] seconds, and when the program
//! stops; to lose one costs a whole transfer, and no serial follows from them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::base::Serial as SoaSerial;
use serde_json::Value;

use crate::list::{ListId, Serial, Timestamp};

use super::kept::{Change, Kept, combinations, highest};
use super::part::Part;
use super::shared::{Shared, Span};
use super::zone::{Newest, Stand, Zone};

/// Earlier combinations of versions that are remembered while the program runs.
const REMEMBERED: usize = 4_096;
/// Between two writings of what a zone's sums stand for, in seconds: a document has hundreds of them, and there may be
/// hundreds of zones over the lists of one publication.
const PAUSE: u64 = 300;
/// Changes of a part that are remembered.
const CHANGES: usize = 16;

/// What a secondary's serial means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Position {
    /// It has the newest version, or says that it has a newer one.
    Current,
    /// It has the content of these versions of the lists; their number.
    At(u64, Vec<Serial>),
    /// Nobody knows any more.
    Unknown,
}

/// What a zone's numbers mean.
#[derive(Debug)]
pub struct Numbers {
    /// As it is kept, but for combinations and changes: those are below.
    kept: Kept,
    /// Number and versions, oldest first; the last is the newest.
    history: VecDeque<(u64, Vec<Serial>)>,
    /// Of a divided zone: changes of each part, oldest first.
    parts: Vec<Vec<Change>>,
    /// When combinations were given away to be written, since the start.
    written: Option<Timestamp>,
    /// Whether there are some that were not.
    unwritten: bool,
}

impl Numbers {
    fn new(mut kept: Kept) -> Numbers {
        let known = std::mem::take(&mut kept.known);
        let parts = std::mem::take(&mut kept.parts);
        let history = known.into_iter().map(|serials| (sum(&serials).wrapping_add(kept.offset), serials)).collect();
        Numbers { kept, history, parts, written: None, unwritten: false }
    }

    fn number(&self, serials: &[Serial]) -> u64 {
        sum(serials).wrapping_add(self.kept.offset)
    }

    fn remember(&mut self, number: u64, serials: Vec<Serial>) {
        self.history.push_back((number, serials));
        if self.history.len() > REMEMBERED {
            self.history.pop_front();
        }
    }

    /// As it is to be kept with these combinations, the newest last, and these changes of parts.
    fn to_keep(&self, newest: Option<&Vec<Serial>>, parts: Vec<Vec<Change>>) -> Kept {
        // The versions of one list follow from the number; only the newest says something more: up to where the changes are known.
        let most = if self.kept.lists.len() == 1 { 1 } else { combinations(self.kept.lists.len()) };
        let all = self.history.iter().map(|(_, serials)| serials).chain(newest);
        let known = all.skip((self.history.len() + usize::from(newest.is_some())).saturating_sub(most)).cloned().collect();
        Kept { known, parts, ..self.kept.clone() }
    }

    /// The versions whose content a secondary with this number has.
    fn versions(&self, part: Part, number: u64) -> Position {
        let changes = self.parts.get(part.at()).map_or(&[][..], Vec::as_slice);
        let known = changes.first().is_some_and(|(first, _)| *first <= number);
        let next = changes.iter().find(|(at, _)| known && *at > number);
        let number = next.map_or(number, |(_, before)| *before);
        if self.kept.lists.len() == 1 {
            let serial = Serial::new(number.wrapping_sub(self.kept.offset));
            return serial.map_or(Position::Unknown, |serial| Position::At(number, vec![serial]));
        }
        match self.history.iter().rev().find(|(known, _)| *known == number) {
            Some((_, serials)) => Position::At(number, serials.clone()),
            None => Position::Unknown,
        }
    }
}

fn sum(serials: &[Serial]) -> u64 {
    serials.iter().fold(0u64, |sum, serial| sum.wrapping_add(serial.get()))
}

fn locked(numbers: &Mutex<Numbers>) -> MutexGuard<'_, Numbers> {
    numbers.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Zone {
    /// The newest version of a part.
    ///
    /// # Errors
    /// In words: why it cannot be served now; secondaries keep what they have.
    pub async fn stand(self: &Arc<Self>, shared: &Shared, part: Part) -> Result<Stand, String> {
        let numbers = self.numbers.get_or_try_init(|| self.begin(shared)).await?;
        if self.parts() > 1 {
            return self.divided(shared, numbers, part).await;
        }
        // Under the lock, so that of two readings one is later in every list.
        let mut numbers = locked(numbers);
        let newest = self.newest(shared.hub.catalog())?;
        let serials = newest.serials();
        let number = numbers.number(&serials);
        if serials.len() > 1 && numbers.history.back().is_none_or(|(known, _)| *known != number) {
            numbers.remember(number, serials);
            numbers.unwritten = true;
            let now = shared.clock.now();
            if numbers.written.is_none_or(|at| now.unix().abs_diff(at.unix()) >= PAUSE) {
                (numbers.written, numbers.unwritten) = (Some(now), false);
                shared.keeper.put_later(&self.key(), numbers.to_keep(None, Vec::new()).document());
            }
        }
        Ok(Stand { number, of_lists: number, newest })
    }

    /// What a secondary at `serial` has, when the newest is `stand`.
    pub fn position(&self, stand: &Stand, part: Part, serial: SoaSerial) -> Position {
        let behind = stand.serial().into_int().wrapping_sub(serial.into_int());
        if behind == 0 || behind >= 1 << 31 {
            return Position::Current;
        }
        let Some(numbers) = self.numbers.get() else { return Position::Unknown };
        let numbers = locked(numbers);
        match stand.number.checked_sub(u64::from(behind)) {
            Some(number) if number >= numbers.kept.floor => numbers.versions(part, number),
            _ => Position::Unknown,
        }
    }

    /// Its document, if what its sums stand for is to be written now or lost with the program.
    pub fn unwritten(&self) -> Option<(String, Value)> {
        let mut numbers = locked(self.numbers.get()?);
        std::mem::take(&mut numbers.unwritten).then(|| (self.key(), numbers.to_keep(None, Vec::new()).document()))
    }

    /// The name under which its document is.
    fn key(&self) -> String {
        self.name.to_string()
    }

    /// Takes up what is kept; begins above it if the settings are others.
    async fn begin(&self, shared: &Shared) -> Result<Mutex<Numbers>, String> {
        let newest = self.newest(shared.hub.catalog())?;
        let settings = self.settings(&newest.target, &shared.soa);
        let parts = self.parts();
        // Its own name first, then those of its parts: somebody else may have had one of them in the meantime.
        let below = self.members().filter(|_| parts > 1).map(|(_, name)| name.to_string());
        let names: Vec<String> = std::iter::once(self.key()).chain(below).collect();
        let (store, looked) = (shared.keeper.store.clone(), names.clone());
        let reading = move || -> Result<_, String> {
            let all = looked.iter().map(|name| Kept::load(&store, name)).collect::<Result<Vec<_>, _>>()?;
            match all.iter().all(|kept| kept.as_ref().is_some_and(|kept| kept.settings == settings)) {
                true => Ok((all.into_iter().flatten().next(), None)),
                false => Ok((None, highest(&store, &looked)?)),
            }
        };
        let read = tokio::task::spawn_blocking(reading).await.map_err(|_| "reading what is kept broke off".to_owned())?;
        let kept = match read? {
            (Some(kept), _) => kept,
            (None, highest) => {
                let kept = begun(&self.lists, settings, &newest, highest, parts);
                let of_part = Kept { known: Vec::new(), parts: Vec::new(), ..kept.clone() };
                for name in &names[1..] {
                    shared.keeper.put(name, of_part.document()).await?;
                }
                // The last: after a crash before it all begins anew, above these.
                shared.keeper.put(&names[0], kept.document()).await?;
                kept
            }
        };
        if parts > 1 && kept.parts.len() != parts as usize {
            return Err("what is kept of its parts does not fit its settings; run bwld check".into());
        }
        Ok(Mutex::new(Numbers::new(kept)))
    }

    /// The newest version of a part of a divided zone. If there is a version whose changes nobody has looked at, finds out
    /// which parts they touch, and has that written.
    async fn divided(self: &Arc<Self>, shared: &Shared, numbers: &Mutex<Numbers>, part: Part) -> Result<Stand, String> {
        let _turn = self.turn.lock().await;
        let newest = self.newest(shared.hub.catalog())?;
        let serials = newest.serials();
        let (number, before) = {
            let numbers = locked(numbers);
            (numbers.number(&serials), numbers.history.back().cloned())
        };
        if before.as_ref().is_none_or(|(known, _)| *known != number) {
            let touched = self.touched(shared, before.as_ref(), number, &newest).await;
            let (changes, kept) = {
                let numbers = locked(numbers);
                let mut changes = numbers.parts.clone();
                for (changes, _) in changes.iter_mut().zip(&touched).filter(|(_, touched)| **touched) {
                    changes.push((number, before.as_ref().map_or(number, |(known, _)| *known)));
                    let old = changes.len().saturating_sub(CHANGES);
                    changes.drain(..old);
                }
                let kept = numbers.to_keep(Some(&serials), changes.clone());
                (changes, kept)
            };
            // If no part is another, the next start finds that out again.
            if touched.contains(&true) {
                shared.keeper.put(&self.key(), kept.document()).await?;
            }
            let mut numbers = locked(numbers);
            numbers.parts = changes;
            numbers.remember(number, serials);
        }
        let numbers = locked(numbers);
        let last = numbers.parts.get(part.at()).and_then(|changes| changes.last());
        let (changed, _) = last.ok_or_else(|| "there is no such part".to_owned())?;
        Ok(Stand { number: *changed, of_lists: number, newest })
    }

    /// Which parts are others than in the versions `before`; all, if that cannot be known.
    async fn touched(self: &Arc<Self>, shared: &Shared, before: Option<&(u64, Vec<Serial>)>, number: u64, newest: &Newest) -> Vec<bool> {
        let all = vec![true; self.parts() as usize];
        let Some((from, versions)) = before else { return all };
        match shared.steps(self, Span { from: *from, versions, to: number, lists: &newest.lists }).await {
            Ok(Some(steps)) => steps.touched(),
            Ok(None) => all,
            Err(error) => {
                tracing::warn!(zone = %self.name, %error, "all parts count as changed");
                all
            }
        }
    }
}

/// A zone with new settings, above the highest number that there can have been.
fn begun(lists: &[ListId], settings: crate::list::Digest, newest: &Newest, highest: Option<u64>, parts: u32) -> Kept {
    let serials = newest.serials();
    let sum = sum(&serials);
    let number = highest.map_or(sum, |highest| highest.wrapping_add(1));
    let several = serials.len() > 1 || parts > 1;
    Kept {
        settings,
        lists: lists.to_vec(),
        offset: number.wrapping_sub(sum),
        // Where nothing else was before, every version of one list is what its serial says.
        floor: if highest.is_none() && !several { 0 } else { number },
        known: if several { vec![serials] } else { Vec::new() },
        parts: if parts > 1 { vec![vec![(number, number)]; parts as usize] } else { Vec::new() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::options::ZoneOptions;
    use crate::dns::policy::Policy;
    use crate::list::Digest;

    fn zone(kept: Kept, parts: u32) -> Zone {
        let options = ZoneOptions { name: "z.example".into(), lists: kept.lists.clone(), parts, ..ZoneOptions::default() };
        let zone = Zone::new(&options).expect("a zone");
        zone.numbers.set(Mutex::new(Numbers::new(kept))).expect("the first");
        zone
    }

    fn at(number: u64) -> Stand {
        Stand { number, of_lists: number, newest: Newest { lists: vec![], target: Policy::NxDomain.target() } }
    }

    fn serial(n: u64) -> Serial {
        Serial::new(n).expect("a serial")
    }

    fn kept(lists: &[&str], offset: u64, floor: u64) -> Kept {
        let lists = lists.iter().map(|list| list.parse().expect("a name")).collect();
        Kept { settings: Digest([0; 32]), lists, offset, floor, known: vec![], parts: vec![] }
    }

    #[test]
    fn serials_wrap() {
        let zone = zone(kept(&["a"], 0, 0), 1);
        let stand = at(0x1_0000_0003);
        assert_eq!(stand.serial(), SoaSerial(3));
        let position = |stand: &Stand, serial| zone.position(stand, Part::WHOLE, SoaSerial(serial));
        assert_eq!(position(&stand, 3), Position::Current);
        assert_eq!(position(&stand, 4), Position::Current, "newer than ours");
        assert_eq!(position(&stand, 0xffff_ffff), Position::At(0xffff_ffff, vec![serial(0xffff_ffff)]));
        assert_eq!(position(&at(3), 0xffff_ffff), Position::Unknown, "before the first");
    }

    #[test]
    fn numbers_before_the_settings_mean_nothing() {
        // A list left: the sum became smaller, the offset makes up for it.
        let more = zone(kept(&["a"], 10, 20), 1);
        let position = |serial| more.position(&at(25), Part::WHOLE, SoaSerial(serial));
        assert_eq!(position(19), Position::Unknown);
        assert_eq!(position(20), Position::At(20, vec![serial(10)]));
        let less = zone(kept(&["a"], 0u64.wrapping_sub(10), 20), 1);
        assert_eq!(less.position(&at(25), Part::WHOLE, SoaSerial(21)), Position::At(21, vec![serial(31)]));
    }

    #[test]
    fn a_part_is_what_it_was_until_its_next_change() {
        let parts = vec![vec![(5, 5), (9, 8), (20, 17)], vec![(5, 5)]];
        let zone = zone(Kept { parts, ..kept(&["a"], 0, 5) }, 2);
        let position = |serial| zone.position(&at(20), Part { number: 0, of: 2 }, SoaSerial(serial));
        assert_eq!(position(5), Position::At(8, vec![serial(8)]));
        assert_eq!(position(9), Position::At(17, vec![serial(17)]));
        assert_eq!(position(4), Position::Unknown);
    }

    #[test]
    fn what_is_kept_is_bounded_and_has_the_newest() {
        let mut numbers = Numbers::new(kept(&["a", "b"], 0, 2));
        for n in 1..2_000 {
            numbers.remember(n + 1, vec![serial(n), serial(1)]);
        }
        let document = numbers.to_keep(None, vec![]);
        assert_eq!((document.known.len(), document.known.last()), (combinations(2), Some(&vec![serial(1_999), serial(1)])));
        let newest = vec![serial(2_000), serial(1)];
        let document = numbers.to_keep(Some(&newest), vec![]);
        assert_eq!((document.known.len(), document.known.last()), (combinations(2), Some(&newest)));
        assert!(document.document().to_string().len() < 8_192);
        assert_eq!(serde_json::from_value::<Kept>(document.document()).expect("its own form"), document);
    }
}
