//! How often may be tried: per source of requests, and per account with a delay that grows.
//!
//! Guarantees: what is remembered is bounded; names that no account has are treated as those that one has; nobody can keep somebody
//! else out for ever: the long delays belong to the source that failed, the delay of the account as a whole is a minute at most, and
//! does not hold for sources from which the account has come in before. Only in memory: a restart forgets it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::Clock as Ticks;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::list::Timestamp;
use crate::store::Clock;

use super::Refused;

/// Lanes remembered at one time.
const MAX_LANES: usize = 20_000;
/// Sources at one time before those that have been quiet are forgotten.
const MAX_SOURCES: usize = 20_000;
/// Sources remembered of an account that has come in from them.
const MAX_KNOWN: usize = 16;
/// A lane without a new try for this many seconds is forgotten.
const FORGET: u64 = 86_400;
/// Tries of one source that have no delay, and its longest delay in seconds.
const SOURCE: (u32, u64) = (5, 900);
/// The same for all sources of an account together.
const ACCOUNT: (u32, u64) = (30, 60);

/// The clock of the house, for the rate limiter.
#[derive(Clone, Debug)]
pub(super) struct HouseClock(Arc<dyn Clock>);

impl Ticks for HouseClock {
    type Instant = Duration;
    fn now(&self) -> Duration {
        Duration::from_secs(self.0.now().unix())
    }
}

type Limiter = RateLimiter<IpAddr, HashMapStateStore<IpAddr>, HouseClock, NoOpMiddleware<Duration>>;

#[derive(Clone, Copy, Debug)]
struct Lane {
    failed: u32,
    until: Timestamp,
    last: Timestamp,
}

#[derive(Debug, Default)]
struct Lanes {
    /// By account, and source; without one: all sources that are not known.
    lanes: HashMap<(String, Option<IpAddr>), Lane>,
    known: HashMap<String, Vec<IpAddr>>,
}

/// Who has tried how often.
#[derive(Debug)]
pub(super) struct Tries {
    clock: Arc<dyn Clock>,
    log_ins: Limiter,
    wrong_tokens: Limiter,
    lanes: Mutex<Lanes>,
}

/// The source of a request; those of which no address is known are one.
fn source(from: Option<IpAddr>) -> IpAddr {
    super::source(from.unwrap_or(Ipv6Addr::UNSPECIFIED.into()))
}

/// Seconds to wait after `failed` failures.
fn delay(failed: u32, (free, most): (u32, u64)) -> u64 {
    match failed.checked_sub(free) {
        None | Some(0) => 0,
        Some(over) => 1u64.checked_shl(over - 1).unwrap_or(most).min(most),
    }
}

impl Tries {
    /// So many a minute of one source, and as many at once.
    pub(super) fn new(clock: Arc<dyn Clock>, log_ins: NonZeroU32, wrong_tokens: NonZeroU32) -> Tries {
        let limiter = |count| RateLimiter::hashmap_with_clock(Quota::per_minute(count), HouseClock(clock.clone()));
        Tries { log_ins: limiter(log_ins), wrong_tokens: limiter(wrong_tokens), lanes: Mutex::default(), clock }
    }

    fn count(&self, limiter: &Limiter, from: Option<IpAddr>) -> Result<(), Refused> {
        if limiter.len() > MAX_SOURCES {
            limiter.retain_recent();
        }
        let now = HouseClock(self.clock.clone()).now();
        limiter.check_key(&source(from)).map_err(|until| Refused::TooMany { seconds: until.wait_time_from(now).as_secs() + 1 })
    }

    /// Counts a request that may cost a hash.
    pub(super) fn request(&self, from: Option<IpAddr>) -> Result<(), Refused> {
        self.count(&self.log_ins, from)
    }

    /// Counts a token that was none.
    pub(super) fn wrong_token(&self, from: Option<IpAddr>) -> Result<(), Refused> {
        self.count(&self.wrong_tokens, from)
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a try, which counts as one that failed until [`Tries::fitted`]: however many begin at once, they are counted.
    pub(super) fn begin(&self, account: &str, from: Option<IpAddr>) -> Result<(), Refused> {
        let (now, source) = (self.clock.now(), source(from));
        let mut all = self.lanes();
        let known = all.known.get(account).is_some_and(|known| known.contains(&source));
        let mut mine = vec![(Some(source), SOURCE)];
        if !known {
            mine.push((None, ACCOUNT));
        }
        let until = |lane: &Option<IpAddr>| all.lanes.get(&(account.to_owned(), *lane)).map_or(0, |lane| lane.until.since(now));
        let seconds = mine.iter().map(|(lane, _)| until(lane)).max().unwrap_or(0);
        if seconds > 0 {
            return Err(Refused::TooMany { seconds });
        }
        if all.lanes.len() >= MAX_LANES {
            all.lanes.retain(|_, lane| now.since(lane.last) < FORGET);
            if all.lanes.len() >= MAX_LANES {
                // What has been quiet for longest goes; a delay that runs is an hour younger than that at most.
                let mut last: Vec<_> = all.lanes.values().map(|lane| lane.last).collect();
                last.sort_unstable();
                let half = last[last.len() / 2];
                all.lanes.retain(|_, lane| lane.last > half);
            }
        }
        for (lane, limits) in mine {
            let lane = all.lanes.entry((account.to_owned(), lane)).or_insert(Lane { failed: 0, until: now, last: now });
            lane.failed = if now.since(lane.last) >= FORGET { 1 } else { lane.failed.saturating_add(1) };
            (lane.last, lane.until) = (now, now.plus(delay(lane.failed, limits)));
        }
        Ok(())
    }

    /// A try that had begun came in.
    pub(super) fn fitted(&self, account: &str, from: Option<IpAddr>) {
        let source = source(from);
        let mut all = self.lanes();
        all.lanes.remove(&(account.to_owned(), Some(source)));
        all.lanes.remove(&(account.to_owned(), None));
        let known = all.known.entry(account.to_owned()).or_default();
        known.retain(|one| *one != source);
        known.push(source);
        if known.len() > MAX_KNOWN {
            known.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::store::FakeClock;

    use super::*;

    fn tries(clock: &Arc<FakeClock>) -> Tries {
        let number = |n| NonZeroU32::new(n).expect("not zero");
        Tries::new(clock.clone(), number(10), number(20))
    }

    fn from(address: &str) -> Option<IpAddr> {
        Some(address.parse().expect("an address"))
    }

    fn wait(result: Result<(), Refused>) -> u64 {
        match result {
            Ok(()) => 0,
            Err(Refused::TooMany { seconds }) => seconds,
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn the_delay_of_a_source_grows_and_ends() {
        let clock = Arc::new(FakeClock::at(Timestamp::from_unix(1_800_000_000)));
        let tries = tries(&clock);
        let mut waits = Vec::new();
        while waits.len() < 12 {
            // One that is turned away is not counted as a try.
            let seconds = wait(tries.begin("anna", from("192.0.2.1")));
            if seconds > 0 {
                waits.push(seconds);
                clock.advance(seconds);
                assert_eq!(wait(tries.begin("anna", from("192.0.2.1"))), 0, "after the delay");
            }
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
        tries.fitted("anna", from("192.0.2.1"));
        assert_eq!(wait(tries.begin("anna", from("192.0.2.1"))), 0);
    }

    #[test]
    fn nobody_can_keep_somebody_else_out_for_ever() {
        let clock = Arc::new(FakeClock::at(Timestamp::from_unix(1_800_000_000)));
        let tries = tries(&clock);
        tries.begin("anna", from("198.51.100.1")).expect("the first");
        tries.fitted("anna", from("198.51.100.1"));
        // A thousand addresses try her name.
        for n in 0..1_000u32 {
            let address = Some(IpAddr::from([10, 0, (n >> 8) as u8, n as u8]));
            let _ = tries.begin("anna", address);
            assert_eq!(wait(tries.begin("anna", from("198.51.100.1"))), 0, "from where she has come in before");
            tries.fitted("anna", from("198.51.100.1"));
            for _ in 0..40 {
                let _ = tries.begin("anna", address);
            }
        }
        // And from where she has not: a minute at most.
        let seconds = wait(tries.begin("anna", from("203.0.113.9")));
        assert!(seconds <= 60, "{seconds}");
        clock.advance(seconds);
        assert_eq!(wait(tries.begin("anna", from("203.0.113.9"))), 0);
    }

    #[test]
    fn requests_and_wrong_tokens_are_limited_by_source() {
        let clock = Arc::new(FakeClock::at(Timestamp::from_unix(1_800_000_000)));
        let tries = tries(&clock);
        let allowed = |address: &str| (0..100).filter(|_| tries.request(from(address)).is_ok()).count();
        assert_eq!((allowed("192.0.2.1"), allowed("192.0.2.2")), (10, 10));
        assert_eq!((allowed("2001:db8::1"), allowed("2001:db8::2"), allowed("2001:db8:0:1::2")), (10, 0, 10));
        assert!(wait(tries.request(from("192.0.2.1"))) > 0);
        clock.advance(60);
        assert_eq!(allowed("192.0.2.1"), 10);
        assert_eq!((0..100).filter(|_| tries.wrong_token(from("192.0.2.1")).is_ok()).count(), 20);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let clock = Arc::new(FakeClock::at(Timestamp::from_unix(1_800_000_000)));
        let tries = tries(&clock);
        for n in 0..MAX_LANES {
            if n % 100 == 0 {
                clock.advance(1);
            }
            let _ = tries.begin(&format!("name{n}"), from("192.0.2.1"));
        }
        assert!(tries.lanes().lanes.len() <= MAX_LANES + 2);
    }
}
