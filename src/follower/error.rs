//! Why a follower could not do something.

use crate::list::ListId;
use crate::store::{ApplyError, StoreError};
use crate::trust::TrustError;
use crate::wire::WireError;

use super::sse::SseError;

/// Why a follower could not do something.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The options cannot be used.
    #[error("{0}")]
    Options(String),
    /// Trust is refused: a signature, a history, a time.
    #[error("{0}")]
    Trust(#[from] TrustError),
    /// Bytes are not what they should be.
    #[error("{0}")]
    Wire(#[from] WireError),
    /// A delta does not fit.
    #[error("the delta does not fit: {0}")]
    Apply(#[from] ApplyError),
    /// The event stream is not one.
    #[error("{0}")]
    Stream(#[from] SseError),
    /// What came does not lead to what was signed.
    #[error("{what} does not lead to the root that was signed for serial {serial} of list {list}; ask another address")]
    NotAsSigned {
        /// What came.
        what: &'static str,
        /// Of which list.
        list: ListId,
        /// The version that was asked for.
        serial: u64,
    },
    /// Something else than was asked for.
    #[error("{0}")]
    Unexpected(String),
    /// The address does not have it, or no longer.
    #[error("{url} answers {status}; it does not have that (any longer)")]
    Gone {
        /// What was asked.
        url: String,
        /// The answer.
        status: u16,
    },
    /// The address could not be reached or failed.
    #[error("{url}: {reason}; check the address and the network")]
    Transport {
        /// What was asked.
        url: String,
        /// What happened.
        reason: String,
        /// It asked to be left alone for so many seconds.
        retry_after: Option<u64>,
    },
    /// Larger than allowed.
    #[error("{url}: more than the {limit} octets that are allowed here")]
    TooBig {
        /// What was asked.
        url: String,
        /// The limit.
        limit: u64,
        /// The size, if it was said.
        size: Option<u64>,
    },
    /// Too slow.
    #[error("{url}: too slow, gave up after {seconds} s; ask another address")]
    TooSlow {
        /// What was asked.
        url: String,
        /// How long it took until then.
        seconds: u64,
    },
    /// The follower's own files.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The follower's own files are damaged.
    #[error("the files of list {list} are damaged ({reason}); they will be repaired from the publisher")]
    Damaged {
        /// Of which list.
        list: ListId,
        /// What was found.
        reason: String,
    },
    /// This machine could not do it.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: String,
        /// The system's words.
        source: std::io::Error,
    },
}

impl FollowError {
    pub(super) fn io(action: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> FollowError + use<> {
        let path = path.display().to_string();
        move |source| FollowError::Io { action, path, source }
    }

    /// Whether somebody showed something that is not genuine, or not what is trusted here (exit code 3).
    pub const fn is_verification(&self) -> bool {
        match self {
            FollowError::Trust(e) => !e.is_superseded(),
            FollowError::Wire(_) | FollowError::Apply(_) | FollowError::NotAsSigned { .. } | FollowError::Unexpected(_) => true,
            _ => false,
        }
    }
}
