//! Why bytes were refused.

use std::io;

use crate::list::ComposeError;

/// Why bytes were refused. The class is always *reject*: keep what is there, ask elsewhere.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// Larger than its limit.
    #[error("{what} is larger than its limit of {limit} octets; ask another address")]
    TooLarge {
        /// Which document.
        what: &'static str,
        /// The limit, in octets.
        limit: u64,
    },
    /// A line does not have the form the protocol demands.
    #[error("{what}, line {line}: {reason}")]
    Line {
        /// Which document.
        what: &'static str,
        /// Line number, from 1.
        line: u64,
        /// What is wrong and what was expected.
        reason: String,
    },
    /// Not a zstd frame, a damaged one, or one that wants too much memory.
    #[error("{what} cannot be decompressed: {reason}; fetch it again or ask another address")]
    Compression {
        /// Which document.
        what: &'static str,
        /// The decoder's words.
        reason: String,
    },
    /// Two deltas that do not follow each other: another list, or a gap between them.
    #[error("these deltas cannot be joined: {reason}")]
    Unrelated {
        /// What differs.
        reason: String,
    },
    /// Two deltas that follow each other by their headers, but not by their changes.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// Reading or writing failed.
    #[error(transparent)]
    Io(io::Error),
}

/// A refusal that had to travel through [`io::Read`] (a bounded decompressor below a snapshot reader) comes out as itself.
impl From<io::Error> for WireError {
    fn from(error: io::Error) -> Self {
        error.downcast().unwrap_or_else(WireError::Io)
    }
}

/// The way there: what reading or writing failed of stays itself, a refusal is invalid data.
impl From<WireError> for io::Error {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Io(error) => error,
            refusal => io::Error::new(io::ErrorKind::InvalidData, refusal),
        }
    }
}
