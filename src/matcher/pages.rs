//! Checks a page of an index when it is first read, so that opening reads none and a damaged one never answers.
//!
//! Guarantees: an octet is handed out only after the checksum of its page has been compared; afterwards that costs one
//! bit. The checksum is CRC-32 started with the page's number: every damage of up to 32 bits in a row is found, as is a
//! page in another's place. It is against accidents; against forgery stands the root digest of the list.

use std::sync::atomic::{AtomicU64, Ordering};

/// Size of a page, in octets: that of the machine, so that nothing is read that is not asked for.
pub(crate) const PAGE: usize = 4_096;

/// Which pages have been found whole.
pub(crate) struct Pages {
    /// One bit a page; empty if the index was made in this process and needs no check.
    seen: Box<[AtomicU64]>,
}

/// A page that is not what was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct DamagedPage(pub(crate) usize);

impl Pages {
    /// Nothing has been checked of `pages` pages.
    pub(crate) fn unseen(pages: usize) -> Pages {
        Pages { seen: (0..pages.div_ceil(64)).map(|_| AtomicU64::new(0)).collect() }
    }

    /// All is of this process's own making.
    pub(crate) fn trusted() -> Pages {
        Pages { seen: Box::new([]) }
    }

    /// Checks the pages that hold `start..end` of `octets`; `sums` is the table of checksums, four octets a page.
    #[inline(always)]
    pub(crate) fn check(&self, octets: &[u8], sums: &[u8], start: usize, end: usize) -> Result<(), DamagedPage> {
        // Of nothing no page is needed: it may stand behind the last one.
        if self.seen.is_empty() || start == end {
            return Ok(());
        }
        for page in start / PAGE..=end.saturating_sub(1) / PAGE {
            let seen = self.seen.get(page / 64).is_some_and(|word| word.load(Ordering::Relaxed) >> (page % 64) & 1 == 1);
            if !seen {
                self.read(octets, sums, page)?;
            }
        }
        Ok(())
    }

    #[cold]
    fn read(&self, octets: &[u8], sums: &[u8], page: usize) -> Result<(), DamagedPage> {
        let expected = sums.get(4 * page..4 * page + 4).ok_or(DamagedPage(page))?;
        if page_sum(octets, page).to_le_bytes() != expected {
            return Err(DamagedPage(page));
        }
        if let Some(word) = self.seen.get(page / 64) {
            // Two threads may both have compared it: the bit says the same.
            word.fetch_or(1 << (page % 64), Ordering::Relaxed);
        }
        Ok(())
    }
}

/// The checksum of a page; the last one may be short.
pub(crate) fn page_sum(octets: &[u8], page: usize) -> u32 {
    let start = (page * PAGE).min(octets.len());
    let end = (start + PAGE).min(octets.len());
    let mut sum = crc32fast::Hasher::new_with_initial(page as u32);
    sum.update(&octets[start..end]);
    sum.finalize()
}
