//! Why the store could not do something.

/// Why the store could not do something, in the three classes of the house: reject, retry, fatal.
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
}
