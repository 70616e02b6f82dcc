//! Which one, two and three letters stand next to each other in a text, as bits: a text that asks for others is not in it. And
//! which values stand in columns beside it.
//!
//! Guarantees: never says no of a text that is there; says yes of others sometimes (one letter combination in five or ten of those
//! that are not there, so that longer texts are sifted well). 4 KiB, whatever is put in.

/// Bits, as a power of two.
const BITS: u32 = 15;

/// The letter combinations of some texts.
#[derive(Debug)]
pub(super) struct Grams(Box<[u64; 1 << (BITS - 6)]>);

impl Default for Grams {
    fn default() -> Self {
        Grams(Box::new([0; 1 << (BITS - 6)]))
    }
}

/// The place of up to three letters: one that is not there is 0.
fn place(letters: [char; 3]) -> (usize, u64) {
    place_of(letters.iter().fold(0, |sum, letter| sum << 21 | u64::from(*letter)))
}

/// The place of a value of a column.
fn mark(column: u8, value: &str) -> (usize, u64) {
    place_of(value.bytes().fold(u64::from(column) + 1, |sum, octet| (sum ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)))
}

fn place_of(together: u64) -> (usize, u64) {
    let bit = together.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - BITS);
    ((bit >> 6) as usize, 1 << (bit & 63))
}

impl Grams {
    /// Takes a text in. Combinations do not go over the end of a line.
    pub(super) fn add(&mut self, text: &str) {
        let (mut first, mut second) = ('\0', '\0');
        for third in text.chars() {
            if third == '\n' {
                (first, second) = ('\0', '\0');
                continue;
            }
            for letters in [['\0', '\0', third], ['\0', second, third], [first, second, third]] {
                let (word, bit) = place(letters);
                self.0[word] |= bit;
            }
            (first, second) = (second, third);
        }
    }

    /// Takes a value of a column in.
    pub(super) fn add_mark(&mut self, column: u8, value: &str) {
        let (word, bit) = mark(column, value);
        self.0[word] |= bit;
    }

    /// Whether the value may be one that was taken in for this column.
    pub(super) fn may_have_mark(&self, column: u8, value: &str) -> bool {
        let (word, bit) = mark(column, value);
        self.0[word] & bit != 0
    }

    /// Whether the text may be in one of those that were taken in. The text is one line.
    pub(super) fn may_have(&self, text: &str) -> bool {
        let has = |letters: [char; 3]| {
            let (word, bit) = place(letters);
            self.0[word] & bit != 0
        };
        let mut letters = text.chars();
        match (letters.next(), letters.next(), letters.next()) {
            (None, ..) => true,
            (Some(one), None, _) => has(['\0', '\0', one]),
            (Some(one), Some(two), None) => has(['\0', one, two]),
            (Some(mut one), Some(mut two), Some(mut three)) => loop {
                if !has([one, two, three]) {
                    return false;
                }
                (one, two) = (two, three);
                match letters.next() {
                    Some(next) => three = next,
                    None => return true,
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_there_may_be_there(texts in proptest::collection::vec("[a-zа-я\\n.]{0,40}", 0..20), from in 0usize..40, len in 0usize..12) {
            let mut grams = Grams::default();
            texts.iter().for_each(|text| grams.add(text));
            for line in texts.iter().flat_map(|text| text.lines()) {
                let part: String = line.chars().skip(from).take(len).collect();
                prop_assert!(grams.may_have(&part), "{part:?} of {line:?}");
            }
        }
    }

    #[test]
    fn what_is_not_there_is_mostly_said_not_to_be() {
        let mut grams = Grams::default();
        (0..128).for_each(|n| grams.add(&format!("domain:name-{n}.example\nanna")));
        assert!(grams.may_have("name-12") && !grams.may_have("z"));
        let wrong = (0..1_000).filter(|n| grams.may_have(&format!("qz{n:03}w"))).count();
        assert!(wrong < 10, "{wrong} of 1,000");
    }
}
