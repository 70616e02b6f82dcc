//! The limit: reads from a memory as large as the index.

use std::hint::black_box;

use super::corpus::Random;

/// A buffer of lines of 64 octets, in 4 KiB pages where the system does not decide otherwise.
pub struct Reads {
    lines: Vec<[u64; 8]>,
    at: usize,
    random: Vec<u32>,
    next: usize,
}

impl Reads {
    /// A buffer of `size` octets, in which each line says which is read next, in one circle through all.
    pub fn new(size: usize, random: &mut Random) -> Reads {
        let count = (size / 64).max(64);
        let mut order: Vec<u32> = (0..count as u32).collect();
        random.shuffle(&mut order);
        let mut lines = vec![[0; 8]; count];
        for pair in order.windows(2) {
            lines[pair[0] as usize][0] = u64::from(pair[1]);
        }
        lines[order[count - 1] as usize][0] = u64::from(order[0]);
        let random = (0..1 << 20).map(|_| random.below(count) as u32).collect();
        Reads { lines, at: 0, random, next: 0 }
    }

    /// Reads of which each says where the next one is.
    pub fn dependent(&mut self, n: usize) {
        for _ in 0..n {
            self.at = self.lines[self.at][0] as usize;
        }
        black_box(self.at);
    }

    /// Reads whose places are known beforehand.
    pub fn independent(&mut self, n: usize) {
        let mut sum = 0;
        let turn = self.turn(n);
        for place in &self.random[turn] {
            sum ^= self.lines[*place as usize][1];
        }
        black_box(sum);
    }

    /// The same, 32 begun before the first is waited for.
    pub fn prefetched(&mut self, n: usize) {
        let mut sum = 0;
        let turn = self.turn(n);
        for some in self.random[turn].chunks(32) {
            some.iter().for_each(|place| self.begin(*place as usize));
            for place in some {
                sum ^= self.lines[*place as usize][1];
            }
        }
        black_box(sum);
    }

    /// Which of the random places are next.
    fn turn(&mut self, n: usize) -> std::ops::Range<usize> {
        self.next = (self.next + n) % (self.random.len() - n);
        self.next..self.next + n
    }

    fn begin(&self, place: usize) {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: the instruction faults at no address, and this one lies within the buffer.
            #[allow(unsafe_code)]
            unsafe {
                _mm_prefetch::<_MM_HINT_T0>((&raw const self.lines[place]).cast());
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = place;
    }
}
