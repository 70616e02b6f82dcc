//! Why an account was not changed, and why somebody was not let in.

use crate::store::StoreError;

/// Why something about accounts or tokens was not done. Nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    /// A name that none can have.
    #[error("\"{0}\" is no name for an account; use 1 to 64 of a-z, 0-9, . _ @ and -, beginning with a letter or digit")]
    BadName(String),
    /// Out of range.
    #[error("{0}")]
    Refused(String),
    /// There is no such account.
    #[error("there is no account \"{0}\"; `bwld account list` names those there are")]
    NoAccount(String),
    /// There is one.
    #[error("there is an account \"{0}\" already; change it with `bwld account set`")]
    Exists(String),
    /// There is no such token.
    #[error("there is no token \"{0}\"; `bwld token list` names those there are")]
    NoToken(String),
    /// Of the store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No randomness, or a failure of an algorithm.
    #[error("{0}")]
    System(&'static str),
}

/// Why somebody was not let in. Says nothing of whether the account exists.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Unknown, wrong, expired, revoked or disabled: which of them is nobody's business.
    #[error("not accepted: it is wrong, expired or revoked")]
    NotAccepted,
    /// The name and the password fit; a code is needed as well.
    #[error("a code of the second factor is needed; send it as `code`")]
    CodeNeeded,
    /// Too many tries.
    #[error("too many tries; come back in {seconds} seconds")]
    TooMany {
        /// How long to wait.
        seconds: u64,
    },
    /// Too many passwords are being checked.
    #[error("too many log-ins at one time; try again in a moment")]
    Busy,
    /// It could not be looked into.
    #[error(transparent)]
    Failed(#[from] PeopleError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Refused {
        Refused::Failed(error.into())
    }
}
