//! A name in one pass: lower case, labels, what may not stand in it.
//!
//! The same names are taken as by `list`, which is held by a property test; only faster, and without an allocation.

use super::{MAX_LABEL, MAX_NAME, PADDING, Question};

impl Question<'_> {
    /// Takes a name that certainly is canonical but for its case and a dot at its end; says whether it did.
    #[inline]
    pub(super) fn set_plain(&mut self, text: &[u8]) -> bool {
        let text = text.strip_suffix(b".").unwrap_or(text);
        match self.scan(text) {
            // xn-- must be checked by UTS #46; what ends in a number may be an address, or nothing.
            Some(a_labels) => !a_labels && !self.name[usize::from(self.starts[usize::from(self.labels - 1) & 127])].is_ascii_digit(),
            None => false,
        }
    }

    /// Copies a name in lower case and finds its labels; `None` if it has an octet that is in no name, or a label or a
    /// length that is none. Says whether a label begins with `xn--`.
    #[inline]
    pub(super) fn scan(&mut self, text: &[u8]) -> Option<bool> {
        let n = text.len();
        if n == 0 || n > MAX_NAME {
            return None;
        }
        // Dots, a bit each. Blocks are taken from the text and never read back: a read that spans two fresh writes waits.
        let mut dots = [0_u64; 4];
        let mut wrong = false;
        let mut block = |name: &mut [u8; 256 + PADDING], at: usize, octets: [u8; 16]| {
            let (lower, right) = lower_case(octets);
            wrong |= !right;
            name[at..at + 16].copy_from_slice(&lower);
            let found = u64::from(dots_of(lower));
            dots[at / 64] |= found << (at % 64);
            if at % 64 > 48 && at / 64 < 3 {
                dots[at / 64 + 1] |= found >> (64 - at % 64);
            }
        };
        match (text.first_chunk::<16>(), text.last_chunk::<16>()) {
            (Some(first), Some(last)) => {
                block(&mut self.name, 0, *first);
                // Most names end here: in two blocks that may overlap, whatever their length, so that nothing is guessed wrong.
                for (k, octets) in text.as_chunks::<16>().0.iter().enumerate().take(n.div_ceil(16) - 1).skip(1) {
                    block(&mut self.name, 16 * k, *octets);
                }
                block(&mut self.name, n - 16, *last);
            }
            _ => block(&mut self.name, 0, short_block(text)),
        }
        self.name[n..n + PADDING].fill(0);
        if wrong {
            return None;
        }
        // The end of the name closes its last label as a dot would.
        dots[n / 64] |= 1 << (n % 64);
        let (mut start, mut labels, mut a_labels) = (0, 0_usize, false);
        for (k, word) in dots.iter().enumerate().take(n / 64 + 1) {
            let mut found = *word;
            while found != 0 {
                let end = 64 * k + found.trailing_zeros() as usize;
                found &= found - 1;
                if end.wrapping_sub(start).wrapping_sub(1) >= MAX_LABEL {
                    return None;
                }
                a_labels |= text[start] | 0x20 == b'x' && begins_with_xn(&text[start..end]);
                self.starts[labels & 127] = start as u8;
                labels += 1;
                start = end + 1;
            }
        }
        self.len = n as u8;
        self.labels = labels as u8;
        Some(a_labels)
    }
}

#[cold]
fn begins_with_xn(label: &[u8]) -> bool {
    label.get(..4).is_some_and(|four| four.eq_ignore_ascii_case(b"xn--"))
}

/// Sixteen octets in lower case, and whether all of them may stand in a name.
#[inline(always)]
fn lower_case(octets: [u8; 16]) -> ([u8; 16], bool) {
    let mut lower = octets;
    let mut wrong = 0_u8;
    for octet in &mut lower {
        *octet |= u8::from(octet.wrapping_sub(b'A') < 26) << 5;
        let letter = octet.wrapping_sub(b'a') < 26;
        let digit = octet.wrapping_sub(b'0') < 10;
        wrong |= u8::from(!(letter | digit | (*octet == b'-') | (*octet == b'.') | (*octet == b'_')));
    }
    (lower, wrong == 0)
}

/// At most fifteen octets with letters behind them; without a copy whose length the processor would have to guess.
#[inline(always)]
fn short_block(text: &[u8]) -> [u8; 16] {
    let n = text.len();
    let filler = u128::from_le_bytes([b'a'; 16]);
    let octets = match (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        (Some(first), Some(last)) => {
            let (first, last) = (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
            u128::from(first) | u128::from(last) << (8 * (n - 8))
        }
        _ => text.iter().rev().fold(0, |octets, octet| octets << 8 | u128::from(*octet)),
    };
    (octets | filler << (8 * n)).to_le_bytes()
}

/// Which of sixteen octets are dots, the first in the lowest bit.
#[inline(always)]
fn dots_of(octets: [u8; 16]) -> u16 {
    let eight = |word: u64| {
        // Octets that are a dot become zero, and the highest bit of each zero octet is set. '/', which alone could be mistaken for a
        // dot behind a dot, is in no name.
        let zeroed = word ^ 0x2e2e_2e2e_2e2e_2e2e;
        let high = zeroed.wrapping_sub(0x0101_0101_0101_0101) & !zeroed & 0x8080_8080_8080_8080;
        // Gathers the eight high bits into the highest octet.
        ((high >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u16
    };
    let both = u128::from_le_bytes(octets);
    eight(both as u64) | eight((both >> 64) as u64) << 8
}
