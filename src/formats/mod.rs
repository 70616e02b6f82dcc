//! Other people's list formats, read as streams.
//!
//! Guarantees: memory is bounded whatever the input; a line that cannot be understood becomes an [`Issue`] with its
//! place and a hint, never a wider rule. It fetches nothing.

use std::{
    collections::BTreeMap,
    io::{self, BufRead},
};

use crate::list::Attributes;

/// A format of a file of rules.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One domain a line.
    Domains,
    /// `/etc/hosts` lines.
    Hosts,
    /// Comma-separated with a header line.
    Csv,
    /// bwld's own text: entry lines, with or without snapshot header; also the header block of `lists/`.
    Bwld,
}

/// How to read.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// The format; `None`: detect from the first 64 KiB.
    pub format: Option<Format>,
    /// Scope of plain domains: `false` exact (`domain:`), `true` `subtree:`. Hosts files are always exact.
    pub subtree: bool,
    /// Attributes for entries that bring none of their own.
    pub attributes: Attributes,
    /// What `*.name` and `.name` in plain lists and CSV mean.
    pub wildcards: Wildcards,
    /// Longest line in octets; a longer one is one issue and is skipped to its end.
    pub max_line: usize,
}

impl Default for ReadOptions {
    fn default() -> Self {
        ReadOptions { format: None, subtree: false, attributes: Attributes::default(), wildcards: Wildcards::Refuse, max_line: 8 * 1024 }
    }
}

/// What `*.name` and `.name` mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wildcards {
    /// An issue: nothing wider than what is written.
    #[default]
    Refuse,
    /// `subtree:name`, because the caller says so.
    Subtree,
}

/// One thing that was wrong.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Issue {
    /// Line number, from 1.
    pub line: u64,
    /// Column in octets, from 1.
    pub column: u32,
    /// What is wrong.
    pub reason: String,
    /// What to do.
    pub hint: String,
    /// The offending text, escaped and cut to 80 characters.
    pub text: String,
}

/// What was read: counts, and the first 100 issues.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Summary {
    /// The format that was read.
    pub format: Option<Format>,
    /// Lines read.
    pub lines: u64,
    /// Entries handed on.
    pub entries: u64,
    /// Comment and empty lines.
    pub comments: u64,
    /// All issues, counted.
    pub issues_total: u64,
    /// The first 100.
    pub issues: Vec<Issue>,
}

/// What a reader hands on: canonical text, borrowed from the reader's own buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Item<'a> {
    /// An entry to put: its canonical line without LF. Checked as a publisher must (public suffixes refused).
    Put(&'a str),
    /// A rule to remove, canonical (only in bwld's own text, as a `-rule` line).
    Remove(&'a str),
}

/// Why a file as a whole was refused: nothing of it may become a list.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The input could not be read.
    #[error("reading the file failed: {0}; try again or take another copy")]
    Io(#[from] io::Error),
    /// UTF-16 or UTF-32.
    #[error("the file is encoded in {0}; save it as UTF-8")]
    Encoding(&'static str),
    /// A web page, such as the login page of a network.
    #[error("the file is a web page, not a list (a network's login page?); fetch it again and look at it first")]
    WebPage,
    /// Something compressed or otherwise binary.
    #[error("the file is {0}; unpack it first")]
    Binary(&'static str),
    /// A CSV header line without a column that names a target.
    #[error("the header line has no column for the target; name one of rule, domain, url, address or target (it has: {0})")]
    Columns(String),
}

/// Reads `input` to its end, handing each entry to `sink` in the order of the file.
///
/// # Errors
/// [`ReadError`] if the file as a whole is refused (the sink may have seen entries by then only if reading itself
/// failed), or what the sink says; bad lines are not errors but issues in the [`Summary`].
pub fn read<E: From<ReadError>>(
    input: impl BufRead,
    options: &ReadOptions,
    sink: impl FnMut(Item<'_>) -> Result<(), E>,
) -> Result<Summary, E> {
    let _ = (input, options, sink);
    todo!()
}

/// The header block of a file in `lists/`: `# key: value` lines before the first entry.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Header(pub BTreeMap<String, String>);

/// Why a header block was refused.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// The input could not be read.
    #[error("reading the file failed: {0}; try again or take another copy")]
    Io(#[from] io::Error),
    /// A key that is not in the table.
    #[error("line {line}: \"{key}\" is not a header key; write one of id, colour, title, categories, owner, licence, source, review")]
    Key {
        /// Line, from 1.
        line: u64,
        /// The key, escaped and cut.
        key: String,
    },
    /// A key twice.
    #[error("line {line}: \"{key}\" is there twice; write it once")]
    Twice {
        /// Line, from 1.
        line: u64,
        /// The key.
        key: String,
    },
    /// A value that is empty or that the key cannot have.
    #[error("line {line}: {key}: {reason}")]
    Value {
        /// Line, from 1.
        line: u64,
        /// The key.
        key: String,
        /// What is wrong and what to write.
        reason: String,
    },
    /// Longer than 64 KiB.
    #[error("the header block is longer than 64 KiB; shorten it or end it with an empty line")]
    TooLong,
}

/// Reads the header block at the top of `input`; stops at the first line that is no `#` comment.
///
/// # Errors
/// [`HeaderError`] names line and key.
pub fn header(input: impl BufRead) -> Result<Header, HeaderError> {
    let _ = input;
    todo!()
}
