//! Passwords: argon2id (RFC 9106), and how many are hashed at once.
//!
//! Guarantees: whoever asks for a log-in costs one hash of the same size, whether there is such an account, whether it has a password,
//! and whether it fits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use argon2::{Algorithm, Argon2, Params, Version};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::secret::random;
use super::{PeopleError, Refused};

/// Shortest password in characters, and longest in octets.
const LENGTH: (usize, usize) = (12, 1_024);

/// What a hash costs (RFC 9106 section 4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HashCost {
    /// Memory in KiB.
    pub memory: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Default for HashCost {
    /// The second recommended option of RFC 9106: 64 MiB, three passes, four lanes.
    fn default() -> Self {
        HashCost { memory: 64 << 10, passes: 3, lanes: 4 }
    }
}

/// A password as it is kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Password {
    cost: HashCost,
    salt: String,
    hash: String,
}

/// Where passwords are hashed.
#[derive(Debug)]
pub(super) struct Hasher {
    cost: HashCost,
    at_once: usize,
    /// How many are being hashed, and how many wait for that.
    busy: Mutex<(usize, usize)>,
    free: Condvar,
    /// KiB times passes that were ever hashed.
    work: AtomicU64,
}

/// A place at work.
struct Turn<'a>(&'a Hasher);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.busy.lock().unwrap_or_else(PoisonError::into_inner).0 -= 1;
        self.0.free.notify_one();
    }
}

impl Hasher {
    /// `at_once` at one time; eight times as many may wait.
    pub(super) fn new(cost: HashCost, at_once: usize) -> Hasher {
        Hasher { cost, at_once: at_once.max(1), busy: Mutex::default(), free: Condvar::new(), work: AtomicU64::new(0) }
    }

    /// KiB times passes that were ever hashed.
    pub(super) fn work(&self) -> u64 {
        self.work.load(Ordering::Relaxed)
    }

    fn turn(&self) -> Result<Turn<'_>, Refused> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if busy.0 >= self.at_once {
            if busy.1 >= self.at_once * 8 {
                return Err(Refused::Busy);
            }
            busy.1 += 1;
            while busy.0 >= self.at_once {
                busy = self.free.wait(busy).unwrap_or_else(PoisonError::into_inner);
            }
            busy.1 -= 1;
        }
        busy.0 += 1;
        Ok(Turn(self))
    }

    fn hash(&self, password: &str, salt: &[u8], cost: HashCost) -> Result<Zeroizing<[u8; 32]>, Refused> {
        let failed = || Refused::Failed(PeopleError::System("a password could not be hashed; is there memory for it?"));
        let params = Params::new(cost.memory, cost.passes, cost.lanes, Some(32)).map_err(|_| failed())?;
        let _turn = self.turn()?;
        self.work.fetch_add(u64::from(cost.memory) * u64::from(cost.passes), Ordering::Relaxed);
        let mut out = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(password.as_bytes(), salt, out.as_mut())
            .map_err(|_| failed())?;
        Ok(out)
    }

    /// A new password, as it is kept.
    pub(super) fn keep(&self, password: &str) -> Result<Password, Refused> {
        let refused = |reason: String| Refused::Failed(PeopleError::Refused(reason));
        if password.chars().count() < LENGTH.0 || password.len() > LENGTH.1 {
            return Err(refused(format!("a password has at least {} characters and at most {} octets", LENGTH.0, LENGTH.1)));
        }
        let salt = random::<16>()?;
        let hash = self.hash(password, salt.as_ref(), self.cost)?;
        Ok(Password { cost: self.cost, salt: URL_SAFE_NO_PAD.encode(salt.as_ref()), hash: URL_SAFE_NO_PAD.encode(hash.as_ref()) })
    }

    /// Whether the password fits. Without one to compare it with the same work is done, and nothing fits.
    pub(super) fn fits(&self, password: &str, kept: Option<&Password>) -> Result<bool, Refused> {
        let password = if password.len() > LENGTH.1 { "" } else { password };
        let decoded = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
        let (salt, cost) = kept.map_or((vec![0; 16], self.cost), |kept| (decoded(&kept.salt), kept.cost));
        let hash = self.hash(password, &salt, cost)?;
        let known = kept.map_or_else(Vec::new, |kept| decoded(&kept.hash));
        Ok(known.len() == hash.len() && bool::from(known.ct_eq(hash.as_ref())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: HashCost = HashCost { memory: 32, passes: 1, lanes: 1 };

    #[test]
    fn only_the_password_itself_fits_and_every_question_costs_the_same() {
        let hasher = Hasher::new(CHEAP, 2);
        let kept = hasher.keep("correct horse battery").expect("kept");
        let mut last = hasher.work();
        let mut cost = || {
            let spent = hasher.work() - last;
            last += spent;
            spent
        };
        let mut fits = |password: &str, kept| (hasher.fits(password, kept).expect("hashed"), cost());
        assert_eq!(fits("correct horse battery", Some(&kept)), (true, 32));
        let long = "x".repeat(5_000);
        for (password, kept) in
            [("correct horse batterx", Some(&kept)), ("", Some(&kept)), (&long, Some(&kept)), ("correct horse battery", None), ("", None)]
        {
            assert_eq!(fits(password, kept), (false, 32), "{password}");
        }
        for bad in ["short", "elevenchars", &long] {
            assert!(hasher.keep(bad).is_err());
        }
        let again = hasher.keep("correct horse battery").expect("kept");
        assert!(again.salt != kept.salt && again.hash != kept.hash);
    }

    #[test]
    fn so_many_at_once_and_no_more() {
        let hasher = Hasher::new(CHEAP, 1);
        let turn = hasher.turn().expect("free");
        std::thread::scope(|scope| {
            let waiting: Vec<_> = (0..8).map(|_| scope.spawn(|| hasher.fits("x", None).is_ok())).collect();
            while hasher.busy.lock().expect("no panic").1 < 8 {
                std::thread::yield_now();
            }
            assert!(matches!(hasher.fits("x", None), Err(Refused::Busy)), "the queue is bounded");
            drop(turn);
            assert!(waiting.into_iter().all(|one| one.join().expect("no panic")));
        });
        assert_eq!(*hasher.busy.lock().expect("no panic"), (0, 0));
    }
}
