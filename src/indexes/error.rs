//! Why indexes could not be read from a folder, or written into it.

use std::io;
use std::path::{Path, PathBuf};

use crate::matcher::IndexError;

/// Why indexes could not be read from a folder, or written into it.
#[derive(Debug, thiserror::Error)]
pub enum IndexesError {
    /// Nobody keeps indexes there.
    #[error("there are no indexes in {0}; name the folder of a follower that keeps them (index = true)")]
    NoFolder(PathBuf),
    /// The system could not do it.
    #[error("{action} {path}: {source}; check the folder, then restart the follower")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// `current.json` cannot be used.
    #[error("{path} is damaged ({reason}); restart the follower, which writes it anew")]
    Current {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An index file cannot be used.
    #[error("{path}: {source}; restart the follower, which does so")]
    Index {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: IndexError,
    },
    /// An index file is not the one that was named.
    #[error("{path} is not the index that current.json names ({reason}); restart the follower, which builds it again")]
    Another {
        /// Which file.
        path: PathBuf,
        /// In what they differ.
        reason: &'static str,
    },
    /// The files changed each time they were read.
    #[error("{0} changed each time it was read; try again")]
    Restless(PathBuf),
}

impl IndexesError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> IndexesError + use<> {
        let path = path.to_owned();
        move |source| IndexesError::Io { action, path, source }
    }
}
