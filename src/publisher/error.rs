//! Why the publisher did not do something.

use std::io;

use crate::formats::ReadError;
use crate::list::{ListId, TargetError};
use crate::store::{ApplyError, StoreError};
use crate::trust::TrustError;
use crate::wire::WireError;

use super::Refusal;

/// What a caller does about an error; decides the HTTP status and the exit code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Bad input: everything is as it was.
    Reject,
    /// There is no such list.
    NotFound,
    /// It does not fit what is there: everything is as it was.
    Conflict,
    /// It may work later (a full disk, say): everything is as it was.
    Retry,
    /// State unknown or damaged: stop; the next start repairs it or says what to do.
    Fatal,
}

/// Why the publisher did not do something. Whatever the class, no half of it was done.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Refused by form or by a guard, each with its place.
    #[error("{}", refused_text(.0))]
    Refused(Vec<Refusal>),
    /// No list of this name.
    #[error("there is no list \"{0}\"; `bwld list show` names those there are")]
    NoList(ListId),
    /// There is one already.
    #[error("there is a list \"{0}\" already; choose another name, or change it with `bwld list set`")]
    ListExists(ListId),
    /// A list whose content on disk is not what its head says. It is not served until repaired.
    #[error("list \"{list}\" is out of service: {reason}; run `bwld check`, then `bwld restore`")]
    OutOfService {
        /// The list.
        list: ListId,
        /// What was found.
        reason: String,
    },
    /// No key set, or the signing key may not sign.
    #[error("cannot sign: {0}")]
    Signing(String),
    /// A key set was refused.
    #[error("the key set was refused: {0}")]
    KeySet(#[from] TrustError),
    /// An import as a whole was refused.
    #[error(transparent)]
    Read(ReadError),
    /// Something the publisher wrote itself does not have its form: a defect, or a damaged file.
    #[error("what was written before cannot be read: {0}; run `bwld check`")]
    Wire(#[from] WireError),
    /// Staged changes do not fit the list: a defect, or a damaged file.
    #[error("the staged changes do not fit the list: {0}; run `bwld check`, and discard them with `bwld publish --discard`")]
    Apply(#[from] ApplyError),
    /// Of the store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Of the disk.
    #[error("reading or writing failed: {0}; look for room on the disk, then try again")]
    Io(#[from] io::Error),
    /// No serial is left, or there is no randomness.
    #[error("{0}")]
    System(String),
}

fn refused_text(refusals: &[Refusal]) -> String {
    match refusals {
        [] => "refused".into(),
        [first, rest @ ..] => {
            let more = if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
            format!("{}: {}; {}{more}", first.place, first.reason, first.hint)
        }
    }
}

impl PublishError {
    /// The class.
    pub fn class(&self) -> Class {
        match self {
            PublishError::Refused(_) | PublishError::Read(_) | PublishError::KeySet(_) => Class::Reject,
            PublishError::NoList(_) => Class::NotFound,
            PublishError::ListExists(_) | PublishError::Signing(_) => Class::Conflict,
            PublishError::Io(_) | PublishError::System(_) => Class::Retry,
            PublishError::Store(e) => match e.class() {
                crate::store::Class::Reject => Class::Reject,
                crate::store::Class::Retry => Class::Retry,
                crate::store::Class::Fatal => Class::Fatal,
            },
            PublishError::OutOfService { .. } | PublishError::Wire(_) | PublishError::Apply(_) => Class::Fatal,
        }
    }

    /// What was refused, place by place; empty if that is not what went wrong.
    pub fn refusals(&self) -> &[Refusal] {
        match self {
            PublishError::Refused(refusals) => refusals,
            _ => &[],
        }
    }
}

impl Refusal {
    /// From a target that is none: its message is reason and hint.
    pub(super) fn of_target(place: String, text: &str, error: &TargetError) -> Refusal {
        let (reason, hint) = error.reason_and_hint();
        Refusal { place, text: cut(text), reason, hint }
    }
}

/// Cuts what a refusal quotes to 80 characters.
pub(super) fn cut(text: &str) -> String {
    if text.chars().count() <= 80 {
        text.escape_debug().to_string()
    } else {
        format!("{}…", text.chars().take(80).collect::<String>().escape_debug())
    }
}
