//! Why the store could not do something.

use crate::list::Digest;

use super::FrameId;

/// Why the store could not do something. [`StoreError::class`] says which of the three classes of the house it is.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk said no.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: String,
        /// The system's words.
        source: std::io::Error,
    },
    /// Another process has the folder.
    #[error("another bwld is running on {folder}; stop it, or name another folder")]
    Locked {
        /// The folder.
        folder: String,
    },
    /// A restore into the folder was interrupted.
    #[error("a restore into {folder} was not finished; empty it and run bwld restore again")]
    Unfinished {
        /// The folder.
        folder: String,
    },
    /// A file or folder that must be new or empty is not.
    #[error("{path} exists already and is left as it is; move it away first if you mean to replace it")]
    Exists {
        /// The file.
        path: String,
    },
    /// A secret file that others can read.
    #[error("{path} can be read by others (mode {mode:o}); run: chmod 600 {path}")]
    SecretIsOpen {
        /// The file.
        path: String,
        /// Its mode.
        mode: u32,
    },
    /// More than its bound.
    #[error("{what} is larger than its limit of {limit} octets")]
    TooLarge {
        /// What was read or written.
        what: String,
        /// The limit, in octets.
        limit: u64,
    },
    /// The journal is damaged before its tail.
    #[error(
        "the journal is damaged: {segment}, offset {offset}, frame {frame}: {reason}; nothing was changed; \
         use bwld restore with a backup, or put the segment back from one"
    )]
    Damaged {
        /// The segment's file.
        segment: String,
        /// Octets from its beginning.
        offset: u64,
        /// Number of the frame that should be there.
        frame: FrameId,
        /// What is wrong.
        reason: String,
    },
    /// A journal of something else, or of a later bwld.
    #[error("{segment} is not a journal segment that this bwld can read: {reason}")]
    NotAJournal {
        /// The segment's file.
        segment: String,
        /// What is wrong.
        reason: String,
    },
    /// A frame that says something this bwld does not understand, or that does not fit what came before.
    #[error("frame {frame} of the journal cannot be applied: {reason}")]
    BadFrame {
        /// Its number.
        frame: FrameId,
        /// What is wrong.
        reason: String,
    },
    /// A record that does not fit the state; nothing was written.
    #[error("refused: {reason}")]
    Refused {
        /// What does not fit.
        reason: String,
    },
    /// What was to be changed is not as expected; nothing was written.
    #[error("it is not what it was when you read it; read it again, then decide")]
    Changed {
        /// The tag of what is there; none: there is nothing.
        current: Option<Digest>,
    },
    /// The journal could not be written; it is as it was before.
    #[error("the journal could not be written, nothing was committed ({action}: {source}); make room on the disk and try again")]
    NotCommitted {
        /// What failed.
        action: &'static str,
        /// The system's words.
        source: std::io::Error,
    },
    /// A write of unknown outcome.
    #[error("whether the last write to the journal is durable is unknown ({reason}); restart to repair")]
    Poisoned {
        /// What failed first.
        reason: String,
    },
    /// The index failed.
    #[error("the index failed: {reason}; restart to rebuild it from the journal")]
    Index {
        /// What it said.
        reason: String,
    },
    /// An artefact is not what its name says.
    #[error("{path} does not have the content its name says: {reason}; restore it from a backup or a mirror")]
    BadArtefact {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// A backup is not whole.
    #[error("the backup in {folder} cannot be used: {reason}")]
    BadBackup {
        /// The folder.
        folder: String,
        /// What is wrong.
        reason: String,
    },
}

/// What a caller does about an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Bad input: everything is as it was.
    Reject,
    /// It may work later: everything is as it was.
    Retry,
    /// State unknown or damaged: stop; start-up repairs or says what to do.
    Fatal,
}

impl StoreError {
    /// The class.
    pub const fn class(&self) -> Class {
        match self {
            StoreError::Refused { .. }
            | StoreError::Changed { .. }
            | StoreError::Exists { .. }
            | StoreError::TooLarge { .. }
            | StoreError::SecretIsOpen { .. }
            | StoreError::BadBackup { .. } => Class::Reject,
            StoreError::Io { .. } | StoreError::NotCommitted { .. } | StoreError::Locked { .. } => Class::Retry,
            StoreError::Damaged { .. }
            | StoreError::NotAJournal { .. }
            | StoreError::BadFrame { .. }
            | StoreError::Poisoned { .. }
            | StoreError::Index { .. }
            | StoreError::Unfinished { .. }
            | StoreError::BadArtefact { .. } => Class::Fatal,
        }
    }
}
