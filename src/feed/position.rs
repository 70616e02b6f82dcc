//! Where a subscriber stands: `a:1041,b`, in the query, in `Last-Event-ID` and in the `id` of events (docs/PROTOCOL.md section 12).

use std::fmt;

use crate::list::{IdError, ListId, Serial};

/// Most lists one subscription may name.
pub const MAX_LISTS: usize = 64;

/// Longest text read: 64 names of 63 octets, each with a serial of 19 digits.
const MAX_TEXT: usize = MAX_LISTS * (63 + 1 + 19 + 1);

/// Why a position was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PositionError {
    /// No list named.
    #[error("no list is named; ask as lists=adult:1041,malware (a list, and behind a colon the serial you have)")]
    Empty,
    /// More lists, or more text, than one subscription may name.
    #[error("more than {MAX_LISTS} lists in one subscription; open a second one for the rest")]
    TooMany,
    /// The same list twice.
    #[error("list {0} is named twice; name it once")]
    Twice(ListId),
    /// A name or a serial is none.
    #[error(transparent)]
    Form(#[from] IdError),
}

/// Lists, each with the serial the subscriber has, if it has one; at least one, at most [`MAX_LISTS`], none twice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Position(Vec<(ListId, Option<Serial>)>);

impl Position {
    /// Reads `a:1041,b`.
    ///
    /// # Errors
    /// [`PositionError`]; nothing is repaired.
    pub fn parse(text: &str) -> Result<Position, PositionError> {
        if text.is_empty() {
            return Err(PositionError::Empty);
        }
        if text.len() > MAX_TEXT {
            return Err(PositionError::TooMany);
        }
        let mut lists: Vec<(ListId, Option<Serial>)> = Vec::new();
        for part in text.split(',') {
            if lists.len() == MAX_LISTS {
                return Err(PositionError::TooMany);
            }
            let (id, serial) = match part.split_once(':') {
                Some((id, serial)) => (id, Some(serial.parse()?)),
                None => (part, None),
            };
            let id: ListId = id.parse()?;
            if lists.iter().any(|(other, _)| *other == id) {
                return Err(PositionError::Twice(id));
            }
            lists.push((id, serial));
        }
        Ok(Position(lists))
    }

    /// A position whose form the caller vouches for.
    pub(super) fn of(lists: Vec<(ListId, Option<Serial>)>) -> Position {
        Position(lists)
    }

    /// The lists in the order they were named.
    pub fn lists(&self) -> &[(ListId, Option<Serial>)] {
        &self.0
    }

    /// Takes serials from `later` (a `Last-Event-ID`) for the lists that are named here; others are passed over, so
    /// that a subscriber may reconnect with fewer lists.
    pub fn overridden_by(mut self, later: &Position) -> Position {
        for (id, serial) in &mut self.0 {
            if let Some((_, newer)) = later.0.iter().find(|(other, _)| other == id) {
                *serial = *newer;
            }
        }
        self
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (id, serial)) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            write!(f, "{id}")?;
            if let Some(serial) = serial {
                write!(f, ":{serial}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_position_is_read_and_written_back() {
        let position = Position::parse("a:1041,b,c-2:1").expect("a position");
        assert_eq!(position.lists().len(), 3);
        assert_eq!(position.lists()[0].1.map(Serial::get), Some(1041));
        assert_eq!(position.lists()[1].1, None);
        assert_eq!(position.to_string(), "a:1041,b,c-2:1");
    }

    #[test]
    fn what_is_no_position_is_refused_by_its_own_error() {
        assert_eq!(Position::parse(""), Err(PositionError::Empty));
        assert!(matches!(Position::parse("a,a:1"), Err(PositionError::Twice(_))));
        for text in ["a:0", "a:01", "a:", "a:+1", "a:9223372036854775808", "a:1:2", ",", "a,", ",a", "A", "a b", "-a", "a\n"] {
            assert!(matches!(Position::parse(text), Err(PositionError::Form(_))), "{text:?}");
        }
        let many = |n: usize| (0..n).map(|i| format!("l{i}")).collect::<Vec<_>>().join(",");
        assert!(Position::parse(&many(MAX_LISTS)).is_ok());
        assert_eq!(Position::parse(&many(MAX_LISTS + 1)), Err(PositionError::TooMany));
        assert_eq!(Position::parse(&"a".repeat(MAX_TEXT + 1)), Err(PositionError::TooMany));
    }

    #[test]
    fn the_later_position_overrides_only_lists_that_are_asked_for() {
        let asked = Position::parse("a:1,b:2,c").expect("a position");
        let last = Position::parse("b:7,d:9,c:3").expect("a position");
        assert_eq!(asked.overridden_by(&last).to_string(), "a:1,b:7,c:3");
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_comes_back_the_same(text in "[a-c0-9:,-]{0,40}|\\PC{0,60}") {
            if let Ok(position) = Position::parse(&text) {
                prop_assert_eq!(position.to_string(), text);
            }
        }
    }
}
