//! Why something was not trusted.

use crate::list::{Colour, Digest, ListId, Serial, Timestamp};

/// Why something was not trusted. Every refusal of section 10 has its own variant.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The serial is lower than one accepted before.
    #[error("rollback: serial {offered} of list {list} was offered after {accepted} had been accepted; ask another address, and report it")]
    Rollback {
        /// The list.
        list: ListId,
        /// What was offered.
        offered: Serial,
        /// The highest accepted.
        accepted: Serial,
    },
    /// TODO: the other variants.
    #[error("TODO {0:?} {1:?} {2:?}")]
    Todo(Option<Colour>, Option<Digest>, Option<Timestamp>),
}
