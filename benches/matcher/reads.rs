//! The limit: reads from a memory as large as the index.

use std::hint::black_box;

use memmap2::{Advice, MmapMut};

use super::corpus::Random;

/// Octets of a line.
const LINE: usize = 64;

/// A buffer of lines.
pub struct Reads {
    lines: MmapMut,
    at: usize,
    random: Vec<u32>,
    next: usize,
}

impl Reads {
    /// A buffer of `size` octets, in which each line says which is read next, in one circle through all; in pages of 2 MiB
    /// where the system has them, or of 4 KiB.
    pub fn new(size: usize, large: bool, random: &mut Random) -> Reads {
        let count = (size / LINE).max(64);
        let mut order: Vec<u32> = (0..count as u32).collect();
        random.shuffle(&mut order);
        let mut lines = MmapMut::map_anon(count * LINE).expect("memory");
        let advice = if large { Advice::HugePage } else { Advice::NoHugePage };
        lines.advise(advice).expect("Linux knows of large pages");
        for (n, place) in order.iter().enumerate() {
            let at = *place as usize * LINE;
            lines[at..at + 8].copy_from_slice(&u64::from(order[(n + 1) % count]).to_le_bytes());
        }
        let random = (0..1 << 20).map(|_| random.below(count) as u32).collect();
        Reads { lines, at: 0, random, next: 0 }
    }

    fn read(&self, place: usize) -> u64 {
        let at = place * LINE;
        u64::from_le_bytes(self.lines[at..at + 8].try_into().expect("eight octets"))
    }

    /// Reads of which each says where the next one is.
    pub fn dependent(&mut self, n: usize) {
        for _ in 0..n {
            self.at = self.read(self.at) as usize;
        }
        black_box(self.at);
    }

    /// Reads whose places are known beforehand.
    pub fn independent(&mut self, n: usize) {
        let mut sum = 0;
        let turn = self.turn(n);
        for place in &self.random[turn] {
            sum ^= self.read(*place as usize);
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
                sum ^= self.read(*place as usize);
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
                _mm_prefetch::<_MM_HINT_T0>((&raw const self.lines[place * LINE]).cast());
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = place;
    }
}
