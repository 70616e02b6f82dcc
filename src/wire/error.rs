//! Why bytes were refused.

/// Why bytes were refused. The class is always *reject*: keep what is there, ask elsewhere.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// Larger than its limit.
    #[error("{what} is larger than its limit of {limit} octets")]
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
    /// Not a zstd frame, or a damaged one.
    #[error("{what} cannot be decompressed: {reason}")]
    Compression {
        /// Which document.
        what: &'static str,
        /// The decoder's words.
        reason: String,
    },
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
