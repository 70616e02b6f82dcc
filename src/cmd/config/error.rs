//! Why a configuration was refused.

use std::path::PathBuf;

/// Why a configuration was refused. Ends a command with the exit code of wrong usage.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read the configuration {}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// Larger than a configuration can be.
    #[error("{} is larger than {limit} octets; that is no configuration of bwld", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// The limit in octets.
        limit: u64,
    },
    /// Not TOML.
    #[error("{place}: not TOML: {reason}")]
    Syntax {
        /// File and line.
        place: String,
        /// The parser's words.
        reason: String,
    },
    /// A section or key that does not exist.
    #[error("{place}: unknown {what} \"{name}\"{}", suggestion.as_ref().map_or_else(
        || "; `bwld config show` lists all there are".to_owned(),
        |s| format!("; did you mean \"{s}\"?"),
    ))]
    Unknown {
        /// File and line, or the environment variable.
        place: String,
        /// `section` or `key`.
        what: &'static str,
        /// What was written.
        name: String,
        /// The nearest that exists, if one is near.
        suggestion: Option<String>,
    },
    /// A value of the wrong type or out of its range.
    #[error("{place}: {key}: {reason}")]
    Value {
        /// File and line, environment variable, or command line option.
        place: String,
        /// `section.key`.
        key: String,
        /// What is wrong and what is allowed.
        reason: String,
    },
}
