//! Spreading in time, so that ten thousand subscribers do not come back in the same second.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// A time from `base` to `base` plus `spread`, evenly. Not a secret: the source is the hasher's seed.
pub fn jittered(base: Duration, spread: Duration) -> Duration {
    let share = RandomState::new().build_hasher().finish() >> 32;
    base + Duration::from_nanos(u64::try_from((spread.as_nanos() * u128::from(share)) >> 32).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_stay_in_range_and_differ() {
        let (base, spread) = (Duration::from_secs(10), Duration::from_secs(5));
        let times: Vec<Duration> = (0..64).map(|_| jittered(base, spread)).collect();
        assert!(times.iter().all(|t| *t >= base && *t <= base + spread));
        assert!(times.iter().any(|t| *t != times[0]));
        assert_eq!(jittered(base, Duration::ZERO), base);
    }
}
