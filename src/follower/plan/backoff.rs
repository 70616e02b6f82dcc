//! Waiting longer after each failure, never beyond a bound, never in step with others; and the jitter for it.

use std::time::Duration;

/// A small deterministic sequence of numbers in 0..1, seeded by the caller. For spreading load, not for secrets.
#[derive(Clone, Debug)]
pub struct Jitter(u64);

impl Jitter {
    /// A sequence of its own for each seed.
    pub fn new(seed: u64) -> Self {
        // splitmix64 accepts every seed, 0 included.
        Jitter(seed)
    }

    /// The next number, at least 0 and below 1.
    pub fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        // 53 bits fill the mantissa exactly.
        (z >> 11) as f64 / (1u64 << 53) as f64
    }

    /// `wait` plus up to `share` of it.
    pub fn stretch(&mut self, wait: Duration, share: f64) -> Duration {
        wait + wait.mul_f64(share * self.next())
    }
}

/// Exponential back-off. Step n waits between half and all of `first * 2^n`, at most `most`; so each step waits at
/// least as long as the one before, whatever the jitter.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    failures: u32,
}

impl Backoff {
    /// Begins at `first` and stays at or below `most`.
    pub const fn new(first: Duration, most: Duration) -> Self {
        Backoff { first, most, failures: 0 }
    }

    /// Counts a failure and says how long to wait after it.
    pub fn fail(&mut self, jitter: &mut Jitter) -> Duration {
        let whole = self.first.saturating_mul(1u32.checked_shl(self.failures).unwrap_or(u32::MAX)).min(self.most);
        self.failures = self.failures.saturating_add(1);
        whole.mul_f64(0.5 + 0.5 * jitter.next())
    }

    /// It worked: begin anew.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Failures since the last success.
    pub const fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn waits_grow_and_stay_within_the_bound(seed: u64, first in 1u64..10_000, factor in 1u64..10_000, steps in 1usize..80) {
            let (first, most) = (Duration::from_millis(first), Duration::from_millis(first * factor));
            let mut jitter = Jitter::new(seed);
            let mut backoff = Backoff::new(first, most);
            let mut whole = first;
            let mut last = Duration::ZERO;
            for _ in 0..steps {
                let wait = backoff.fail(&mut jitter);
                prop_assert!(wait <= most && wait >= (whole.min(most)) / 2);
                // Growing until the bound is reached; from there on within its upper half.
                prop_assert!(wait + Duration::from_nanos(1) >= last.min(most / 2));
                whole = whole.saturating_mul(2);
                last = wait;
            }
            backoff.reset();
            prop_assert!(backoff.fail(&mut jitter) <= first);
        }

        #[test]
        fn jitter_stays_in_its_range(seed: u64) {
            let mut jitter = Jitter::new(seed);
            for _ in 0..100 {
                let r = jitter.next();
                prop_assert!((0.0..1.0).contains(&r));
            }
        }
    }
}
