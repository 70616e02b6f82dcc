//! Other people's list formats, read as streams.
//!
//! Guarantees: memory is bounded whatever the input; a line that cannot be understood becomes an [`Issue`] with its
//! place and a hint, never a wider rule. It fetches nothing.

use std::io::BufRead;

use crate::list::{Attributes, Entry, Rule};

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
    /// Longest line in octets; a longer one is one issue and is skipped to its end.
    pub max_line: usize,
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

/// What a reader hands on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Item {
    /// An entry to put.
    Put(Entry),
    /// A rule to remove (only in bwld's own text, as a `-rule` line).
    Remove(Rule),
}

/// Reads `input` to its end, handing each entry to `sink` in the order of the file.
///
/// # Errors
/// Of the input, or of the sink; bad lines are not errors but issues in the [`Summary`].
pub fn read<E: From<std::io::Error>>(
    input: impl BufRead,
    options: &ReadOptions,
    sink: impl FnMut(Item) -> Result<(), E>,
) -> Result<Summary, E> {
    let _ = (input, options, sink);
    todo!()
}
