//! How much an account may have kept for its idempotency keys.
//!
//! Guarantees: of the keys used within the time for which they are kept, and of the octets of their answers, no account has more than it
//! may, so that none fills the store by writes that cost nothing else. Counted since the start, not over restarts: nobody who has no more
//! than an account can bring one about.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::list::Timestamp;

use super::KEPT;

/// Octets of answers that are kept for an account. Of what is beyond them only that it was done is kept.
const MAX_ANSWERS: usize = 64 << 20;

/// What is kept, by account.
#[derive(Debug, Default)]
pub(super) struct Room(Mutex<HashMap<String, Used>>);

/// What an account has used.
#[derive(Debug, Default)]
struct Used {
    /// Keys in the order in which they were used: when, and the octets of the answer.
    keys: BTreeMap<u64, (Timestamp, usize)>,
    next: u64,
    octets: usize,
}

/// A key's place; given back when it is dropped before [`Place::keep`].
#[derive(Debug)]
pub(super) struct Place<'a> {
    room: &'a Room,
    account: String,
    number: Option<u64>,
}

impl Room {
    /// A place for one more key of this account, of which `most` may be kept at one time.
    ///
    /// # Errors
    /// There is none; so many seconds are left until there is.
    pub(super) fn take(&self, account: &str, now: Timestamp, most: usize) -> Result<Place<'_>, u64> {
        let mut accounts = self.lock();
        accounts.retain(|_, used| {
            used.forget(now);
            !used.keys.is_empty()
        });
        let used = accounts.entry(account.to_owned()).or_default();
        if used.keys.len() >= most {
            let oldest = used.keys.first_key_value().map_or(now, |(_, (at, _))| *at);
            return Err(KEPT.saturating_sub(now.unix().saturating_sub(oldest.unix())).max(1));
        }
        let number = used.next;
        used.next += 1;
        used.keys.insert(number, (now, 0));
        Ok(Place { room: self, account: account.to_owned(), number: Some(number) })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Used>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Used {
    /// Forgets the keys whose time is over.
    fn forget(&mut self, now: Timestamp) {
        while let Some(oldest) = self.keys.first_entry().filter(|key| now.unix().saturating_sub(key.get().0.unix()) >= KEPT) {
            self.octets -= oldest.remove().1;
        }
    }
}

impl Place<'_> {
    /// The key is kept. Says whether its answer of so many octets may be as well.
    pub(super) fn keep(mut self, octets: usize) -> bool {
        let number = self.number.take();
        let mut accounts = self.room.lock();
        let Some(used) = accounts.get_mut(&self.account) else { return false };
        let Some((_, answer)) = number.and_then(|number| used.keys.get_mut(&number)) else { return false };
        let fits = used.octets + octets <= MAX_ANSWERS;
        if fits {
            *answer = octets;
            used.octets += octets;
        }
        fits
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        if let Some(used) = self.room.lock().get_mut(&self.account) {
            used.keys.remove(&number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix(1_000_000 + seconds)
    }

    #[test]
    fn an_account_has_so_many_keys_and_no_more_until_the_first_is_over() {
        let room = Room::default();
        assert!(room.take("anna", at(0), 2).expect("a place").keep(10));
        let failed = room.take("anna", at(5), 2).expect("a place");
        assert_eq!(room.take("anna", at(5), 2).expect_err("none is left"), KEPT - 5);
        assert!(room.take("bert", at(5), 2).is_ok(), "another account's are its own");
        // What was not done gives its place back.
        drop(failed);
        assert!(room.take("anna", at(6), 2).expect("a place").keep(10));
        assert_eq!(room.take("anna", at(KEPT - 1), 2).expect_err("none is left"), 1);
        assert!(room.take("anna", at(KEPT), 2).expect("the first is over").keep(10));
        assert_eq!(room.take("anna", at(KEPT), 2).expect_err("the second is not"), 6);
        drop(room.take("bert", at(3 * KEPT), 2));
        assert!(!room.lock().contains_key("anna"), "who has no keys is not remembered");
    }

    #[test]
    fn answers_have_so_much_room_and_no_more_until_the_first_is_over() {
        let room = Room::default();
        let keep = |seconds: u64, octets: usize| room.take("anna", at(seconds), 9).expect("a place").keep(octets);
        assert!(keep(0, MAX_ANSWERS - 10));
        assert!(!keep(1, 11) && keep(1, 10) && !keep(2, 1));
        assert!(keep(KEPT, MAX_ANSWERS - 10) && !keep(KEPT, 1));
    }
}
