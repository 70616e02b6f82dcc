//! A small cache that keeps what was used last, bounded by weight and by number.

use std::collections::HashMap;
use std::hash::Hash;

/// Keeps the most recently used values. Looking for the oldest is linear: it is meant for some hundred of them.
#[derive(Debug)]
pub struct Cache<K, V> {
    kept: HashMap<K, (V, u64, u64)>,
    weight: u64,
    tick: u64,
    max_weight: u64,
    max_len: usize,
}

impl<K: Eq + Hash + Clone, V: Clone> Cache<K, V> {
    /// Keeps at most `max_len` values of together at most `max_weight`.
    pub fn new(max_len: usize, max_weight: u64) -> Self {
        Cache { kept: HashMap::new(), weight: 0, tick: 0, max_weight, max_len }
    }

    /// The value of `key`, which counts as used now.
    pub fn get(&mut self, key: &K) -> Option<V> {
        self.tick += 1;
        let tick = self.tick;
        self.kept.get_mut(key).map(|(value, _, used)| {
            *used = tick;
            value.clone()
        })
    }

    /// Puts a value in and drops what has not been used for longest. One that alone is too heavy is not kept.
    pub fn put(&mut self, key: K, value: V, weight: u64) {
        self.tick += 1;
        if let Some((_, old, _)) = self.kept.remove(&key) {
            self.weight -= old;
        }
        if weight > self.max_weight || self.max_len == 0 {
            return;
        }
        while self.kept.len() >= self.max_len || self.weight + weight > self.max_weight {
            let Some(oldest) = self.kept.iter().min_by_key(|(_, (_, _, used))| *used).map(|(key, _)| key.clone()) else { break };
            if let Some((_, old, _)) = self.kept.remove(&oldest) {
                self.weight -= old;
            }
        }
        self.weight += weight;
        self.kept.insert(key, (value, weight, self.tick));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_used_last_stays() {
        let mut cache = Cache::new(2, 100);
        cache.put(1, "a", 10);
        cache.put(2, "b", 10);
        assert_eq!(cache.get(&1), Some("a"));
        cache.put(3, "c", 10);
        assert_eq!((cache.get(&1), cache.get(&2), cache.get(&3)), (Some("a"), None, Some("c")));
        cache.put(4, "d", 95);
        assert_eq!((cache.get(&1), cache.get(&3), cache.get(&4)), (None, None, Some("d")));
        cache.put(5, "e", 101);
        assert_eq!(cache.get(&5), None);
    }

    proptest! {
        #[test]
        fn it_never_holds_more_than_its_bounds(puts in proptest::collection::vec((0u8..20, 0u64..40), 0..200)) {
            let mut cache = Cache::new(5, 100);
            for (key, weight) in puts {
                cache.put(key, key, weight);
                let sum: u64 = cache.kept.values().map(|(_, weight, _)| weight).sum();
                prop_assert_eq!(sum, cache.weight);
                prop_assert!(cache.kept.len() <= 5 && sum <= 100);
            }
        }
    }
}
