//! Shares of what there is little of, a quarter of it for one source; and turns for transfers, which are such shares.
//!
//! Guarantees: who asks for much makes only himself wait. A turn may be kept however slowly its transfer moves while
//! nobody waits for one. While somebody waits, a transfer whose peer has taken too little for a while is told to end, the
//! slowest first, one a look; the more turns its source has, the faster each of them has to move. Only the time in which
//! we wait for the peer counts: that making a transfer takes long is not the fault of who reads it.

use std::collections::HashMap;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::people::source;

use super::options::Limits;

/// Between two looks of one that waits at who is slow.
const LOOK: Duration = Duration::from_secs(1);

/// So many of something at one time, at most a quarter of them for one source.
#[derive(Debug)]
pub struct Shares {
    all: Arc<Semaphore>,
    most: usize,
    sources: Mutex<HashMap<IpAddr, Weak<Semaphore>>>,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub struct Share {
    _all: OwnedSemaphorePermit,
    _own: OwnedSemaphorePermit,
}

impl Shares {
    /// As many, at least one.
    pub fn new(most: usize) -> Shares {
        Shares { all: Arc::new(Semaphore::new(most.max(1))), most: most.div_ceil(4).max(1), sources: Mutex::default() }
    }

    fn own(&self, address: IpAddr) -> Arc<Semaphore> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        // Who holds or awaits one holds its semaphore; there are not more of them than requests at one time.
        sources.retain(|_, own| own.strong_count() > 0);
        let source = source(address);
        if let Some(own) = sources.get(&source).and_then(Weak::upgrade) {
            return own;
        }
        let own = Arc::new(Semaphore::new(self.most));
        sources.insert(source, Arc::downgrade(&own));
        own
    }

    /// One, if there is one now.
    pub fn take(&self, address: IpAddr) -> Option<Share> {
        let own = self.own(address).try_acquire_owned().ok()?;
        let all = self.all.clone().try_acquire_owned().ok()?;
        Some(Share { _all: all, _own: own })
    }

    /// Waits for one; for one of all it looks around again and again. `None` only when there will be none any more.
    async fn wait(&self, address: IpAddr, look: Duration, mut around: impl FnMut()) -> Option<Share> {
        let own = self.own(address).acquire_owned().await.ok()?;
        let mut all = pin!(self.all.clone().acquire_owned());
        let mut pause = Duration::ZERO;
        loop {
            if let Ok(all) = timeout(pause, &mut all).await {
                return Some(Share { _all: all.ok()?, _own: own });
            }
            around();
            pause = look;
        }
    }
}

/// How a transfer moves: its turn and the connection over which it is sent have one together.
#[derive(Debug, Default)]
pub struct Pace {
    octets: AtomicU64,
    /// How long the peer was waited for, but for the wait that goes on now; and since when that goes on.
    waited: Mutex<(Duration, Option<Instant>)>,
    end: Notify,
}

/// A wait for the peer, until it is dropped.
struct Wait<'a>(&'a Pace);

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut waited = self.0.locked();
        if let Some(since) = waited.1.take() {
            waited.0 += since.elapsed();
        }
    }
}

impl Pace {
    /// So many octets more were taken from us.
    pub fn moved(&self, octets: usize) {
        self.octets.fetch_add(octets as u64, Ordering::Relaxed);
    }

    /// Does this, and counts the time in which it is not ready as one in which the peer was waited for.
    pub async fn waiting<Output>(&self, moving: impl Future<Output = Output>) -> Output {
        let (mut moving, mut wait) = (pin!(moving), None);
        poll_fn(|context| {
            let polled = moving.as_mut().poll(context);
            if polled.is_pending() {
                wait.get_or_insert_with(|| self.wait());
            }
            polled
        })
        .await
    }

    fn wait(&self) -> Wait<'_> {
        self.locked().1 = Some(Instant::now());
        Wait(self)
    }

    /// How long the peer was waited for.
    fn waited(&self) -> Duration {
        let (before, since) = *self.locked();
        before + since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn locked(&self) -> MutexGuard<'_, (Duration, Option<Instant>)> {
        self.waited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when the turn is wanted for somebody else.
    pub async fn ended(&self) {
        self.end.notified().await;
    }
}

/// A turn as all others see it.
#[derive(Debug)]
struct Held {
    source: IpAddr,
    pace: Arc<Pace>,
    /// Where measuring began: how long its peer had been waited for, and the octets moved. None once it was told to end.
    mark: Option<(Duration, u64)>,
}

type AllHeld = Arc<Mutex<Vec<Held>>>;

/// Turns for transfers.
#[derive(Debug)]
pub struct Turns {
    shares: Shares,
    held: AllHeld,
    after: Duration,
    rate: u64,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    held: AllHeld,
    /// How what is done in it moves.
    pub pace: Arc<Pace>,
    _share: Share,
}

fn locked(held: &AllHeld) -> MutexGuard<'_, Vec<Held>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Turns {
    /// As many as the limits say, at least one.
    pub fn new(limits: &Limits) -> Turns {
        Turns { shares: Shares::new(limits.transfers), held: AllHeld::default(), after: limits.slow_after, rate: limits.slow_rate }
    }

    /// Waits for a turn. `None` only when there will be none any more.
    pub async fn turn(&self, address: IpAddr) -> Option<Turn> {
        let share = self.shares.wait(address, self.after.min(LOOK), || self.end_slowest()).await?;
        let pace = Arc::new(Pace::default());
        locked(&self.held).push(Held { source: source(address), pace: pace.clone(), mark: Some((Duration::ZERO, 0)) });
        Some(Turn { held: self.held.clone(), pace, _share: share })
    }

    /// Tells the slowest of those to end that were too slow for long enough.
    fn end_slowest(&self) {
        let mut held = locked(&self.held);
        let mut of_source: HashMap<IpAddr, u64> = HashMap::new();
        for one in held.iter() {
            *of_source.entry(one.source).or_default() += 1;
        }
        let mut slowest: Option<(u64, usize)> = None;
        for (at, one) in held.iter_mut().enumerate() {
            let waited = one.pace.waited();
            let Some((since, before)) = one.mark.filter(|(since, _)| waited - *since >= self.after) else { continue };
            let octets = one.pace.octets.load(Ordering::Relaxed);
            let milliseconds = u64::try_from((waited - since).as_millis()).unwrap_or(u64::MAX).max(1);
            let rate = (octets - before).saturating_mul(1_000) / milliseconds / of_source.get(&one.source).copied().unwrap_or(1).max(1);
            if rate >= self.rate {
                one.mark = Some((waited, octets));
            } else if slowest.is_none_or(|(least, _)| rate < least) {
                slowest = Some((rate, at));
            }
        }
        if let Some((_, at)) = slowest {
            held[at].mark = None;
            held[at].pace.end.notify_one();
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        locked(&self.held).retain(|one| !Arc::ptr_eq(&one.pace, &self.pace));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(n: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, n])
    }

    fn turns(transfers: usize, slow_after: Duration) -> Turns {
        Turns::new(&Limits { transfers, slow_after, slow_rate: 1_000, ..Limits::default() })
    }

    #[tokio::test]
    async fn a_source_has_a_quarter_of_the_turns() {
        let turns = turns(8, Duration::from_secs(60));
        let held = (turns.turn(at(1)).await.expect("a turn"), turns.turn(at(1)).await.expect("a turn"));
        let third = Box::pin(turns.turn(at(1)));
        let early = tokio::select! { biased; _ = third => true, _ = turns.turn(at(2)) => false };
        assert!(!early, "the third of one source waits while another has one");
        drop(held);
        assert!(turns.turn(at(1)).await.is_some());
        let _more = turns.turn(at(9)).await;
        assert_eq!(turns.shares.sources.lock().expect("unpoisoned").len(), 1, "who has none is forgotten");
    }

    #[test]
    fn a_source_has_a_quarter_of_what_is_taken_at_once() {
        let shares = Shares::new(4);
        let one = shares.take(at(1)).expect("the first");
        assert!(shares.take(at(1)).is_none());
        let others: Vec<Share> = (2..5).filter_map(|n| shares.take(at(n))).collect();
        assert_eq!(others.len(), 3);
        assert!(shares.take(at(5)).is_none(), "all are taken");
        drop(one);
        assert!(shares.take(at(5)).is_some());
    }

    /// Which of these turns are told to end, one look each.
    async fn told(turns: &Turns, held: &[Turn]) -> Vec<usize> {
        let mut told = Vec::new();
        for _ in held {
            turns.end_slowest();
            for (at, turn) in held.iter().enumerate() {
                let now = tokio::select! { biased; () = turn.pace.ended() => true, () = std::future::ready(()) => false };
                told.extend(now.then_some(at));
            }
        }
        told
    }

    #[tokio::test]
    async fn the_slowest_make_room_for_who_waits() {
        let all = turns(16, Duration::from_secs(5));
        let mut held = Vec::new();
        for n in [1, 2, 3, 4, 4] {
            held.push(all.turn(at(n)).await.expect("a turn"));
        }
        // Far above the rate, nothing at all, not begun, and twice what would be enough for a source that had one turn.
        for (at, octets) in [(0, 1_000_000), (1, 0), (3, 15_000), (4, 15_000)] {
            held[at].pace.moved(octets);
            held[at].pace.locked().0 = Duration::from_secs(10);
        }
        assert!(told(&all, &held[..1]).await.is_empty(), "only one a look, and not the first");
        assert!(locked(&all.held)[1].mark.is_none());
        held[1].pace.ended().await;
        assert_eq!(told(&all, &held).await, [3, 4]);
        let turns = turns(1, Duration::ZERO);
        let slow = turns.turn(at(1)).await.expect("a turn");
        let gives_way = async {
            slow.pace.ended().await;
            drop(slow);
        };
        let (got, ()) = tokio::join!(turns.turn(at(2)), gives_way);
        assert!(got.is_some());
    }

    #[tokio::test]
    async fn only_the_time_in_which_the_peer_is_waited_for_counts() {
        let all = turns(4, Duration::from_secs(5));
        let held = [all.turn(at(1)).await.expect("a turn")];
        let pace = &held[0].pace;
        // A peer that takes at once what there is, however little, and however long it takes to be made.
        pace.waiting(std::future::ready(())).await;
        assert_eq!(pace.waited(), Duration::ZERO);
        assert!(told(&all, &held).await.is_empty());
        // A wait that goes on counts up to now; one that is broken off as long as it lasted.
        let begun = |ago| Instant::now().checked_sub(Duration::from_secs(ago)).expect("the machine runs longer");
        for (ago, at_least) in [(3, 3), (1, 4)] {
            {
                let mut waiting = pin!(pace.waiting(std::future::pending::<()>()));
                assert!(futures_util::poll!(&mut waiting).is_pending());
                pace.locked().1 = Some(begun(ago));
                assert!(pace.waited() >= Duration::from_secs(at_least));
            }
            assert!(pace.locked().1.is_none() && pace.waited() < Duration::from_secs(at_least + 1));
            assert!(told(&all, &held).await.is_empty());
        }
        let mut waiting = pin!(pace.waiting(std::future::pending::<()>()));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        pace.locked().1 = Some(begun(2));
        assert_eq!(told(&all, &held).await, [0]);
    }
}
