//! Room for connections: so many in all, and so many a source.
//!
//! Guarantees: a connection that is being answered is never closed for another one. Where there is no room, the one that
//! has waited longest for a request makes room for the new one: of the same source if that has all its places, else of
//! anybody. So connections that are opened and never used, thousands of them, keep nobody out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::people::source;

/// Places for connections.
#[derive(Debug)]
pub struct Room {
    most: usize,
    per_source: usize,
    places: Mutex<Places>,
}

#[derive(Debug, Default)]
struct Places {
    open: usize,
    sources: HashMap<IpAddr, Source>,
    /// Those that wait for a request, the longest first.
    waiting: BTreeMap<u64, (IpAddr, Arc<Notify>)>,
    next: u64,
}

#[derive(Debug, Default)]
struct Source {
    open: usize,
    waiting: BTreeSet<u64>,
}

/// A place for one connection, until it is dropped.
#[derive(Debug)]
pub struct Place {
    room: Arc<Room>,
    source: IpAddr,
    leave: Arc<Notify>,
    waiting: Option<u64>,
}

/// What became of a new connection.
#[derive(Debug)]
pub enum Entry {
    /// It has a place.
    Free(Place),
    /// It has the place of another one, of this source, which is told to leave.
    InPlaceOf(IpAddr, Place),
    /// There is none, since all are being answered.
    Full,
}

impl Places {
    fn forget(&mut self, order: u64) -> Option<(IpAddr, Arc<Notify>)> {
        let (source, leave) = self.waiting.remove(&order)?;
        if let Some(of) = self.sources.get_mut(&source) {
            of.waiting.remove(&order);
        }
        Some((source, leave))
    }

    fn leave(&mut self, source: IpAddr) {
        self.open -= 1;
        if let Some(of) = self.sources.get_mut(&source) {
            of.open -= 1;
            if of.open == 0 {
                self.sources.remove(&source);
            }
        }
    }
}

impl Room {
    /// Room for `most` connections, at least one, and as many of one source.
    pub fn new(most: usize, per_source: usize) -> Arc<Room> {
        Arc::new(Room { most: most.max(1), per_source: per_source.max(1), places: Mutex::default() })
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection from `address`. It waits for its first request from now on.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Entry {
        let source = source(address);
        let mut places = self.places();
        let of = places.sources.get(&source);
        let longest = match of.filter(|of| of.open >= self.per_source) {
            Some(of) => Some(of.waiting.first().copied()),
            None if places.open >= self.most => Some(places.waiting.first_key_value().map(|(order, _)| *order)),
            None => None,
        };
        let mut instead = None;
        if let Some(longest) = longest {
            let Some((whose, leave)) = longest.and_then(|order| places.forget(order)) else { return Entry::Full };
            places.leave(whose);
            leave.notify_one();
            instead = Some(whose);
        }
        places.open += 1;
        places.sources.entry(source).or_default().open += 1;
        drop(places);
        let mut place = Place { room: self.clone(), source, leave: Arc::default(), waiting: None };
        place.waits();
        match instead {
            None => Entry::Free(place),
            Some(whose) => Entry::InPlaceOf(whose, place),
        }
    }
}

impl Place {
    /// It waits for a request from now on, if it does not already: others may have its place.
    pub fn waits(&mut self) {
        if self.waiting.is_some() {
            return;
        }
        let mut places = self.room.places();
        let order = places.next;
        places.next += 1;
        places.waiting.insert(order, (self.source, self.leave.clone()));
        places.sources.entry(self.source).or_default().waiting.insert(order);
        self.waiting = Some(order);
    }

    /// It has a request: nobody may have its place. `false`: somebody has it already.
    pub fn works(&mut self) -> bool {
        let kept = self.waiting.is_none_or(|order| self.room.places().forget(order).is_some());
        if kept {
            self.waiting = None;
        }
        kept
    }

    /// Returns when somebody else has got its place.
    pub async fn taken(&self) {
        self.leave.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Who lost it was counted out then.
        if self.works() {
            self.room.places().leave(self.source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(n: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, n])
    }

    fn free(entry: Entry) -> Place {
        match entry {
            Entry::Free(place) => place,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn the_longest_wait_makes_room_and_work_does_not() {
        let room = Room::new(3, 2);
        let (mut first, second) = (free(room.enter(at(1))), free(room.enter(at(1))));
        assert!(first.works());
        let Entry::InPlaceOf(whose, mut third) = room.enter(at(1)) else { panic!("the second waits") };
        assert_eq!(whose, at(1));
        second.taken().await;
        drop(second);
        assert!(third.works());
        assert!(matches!(room.enter(at(1)), Entry::Full), "two of one source that work");
        let other = free(room.enter(at(2)));
        let Entry::InPlaceOf(whose, mut fourth) = room.enter(at(3)) else { panic!("three in all") };
        assert_eq!(whose, at(2));
        drop(other);
        assert!(fourth.works());
        assert!(matches!(room.enter(at(4)), Entry::Full));
        first.waits();
        assert!(matches!(room.enter(at(4)), Entry::InPlaceOf(..)));
        assert!(!first.works(), "its place is another's");
        drop((first, third, fourth));
        let places = room.places();
        assert!(places.open == 0 && places.sources.is_empty() && places.waiting.is_empty(), "{places:?}");
    }
}
