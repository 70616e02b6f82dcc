//! An entry: a rule and its attributes, one line (docs/PROTOCOL.md section 4).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Code, Date, Rule, TargetError};

/// Why an entry line was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// The rule is not one.
    #[error(transparent)]
    Target(#[from] TargetError),
}

/// What a filter is to do, where that differs from what the list's colour says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Block.
    Block,
    /// Show a warning that the user can pass.
    Warn,
    /// Only log.
    Log,
}

/// The attributes of an entry. Empty and `None` mean: not set.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Attributes {
    /// Category codes; ascending and unique in the line, whatever the order here.
    pub categories: Vec<Code>,
    /// Public reference, `[A-Za-z0-9_-]{8,32}`.
    pub reference: Option<String>,
    /// Minimum age in years, 1 to 21.
    pub age: Option<u8>,
    /// What to do.
    pub action: Option<Action>,
    /// Reason code.
    pub reason: Option<Code>,
    /// When it is to leave the list.
    pub expires: Option<Date>,
}

/// An entry as one canonical line without its LF, at most [`super::MAX_LINE`] octets. Ordered as lists are.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry(Box<str>);

impl Entry {
    /// Makes an entry.
    ///
    /// # Errors
    /// [`EntryError`] if an attribute is out of range or the line would be too long.
    pub fn new(rule: &Rule, attributes: &Attributes) -> Result<Entry, EntryError> {
        let _ = (rule, attributes);
        todo!()
    }

    /// The whole line, without LF.
    pub fn line(&self) -> &str {
        &self.0
    }

    /// The rule's text: the line up to the first TAB.
    pub fn rule_str(&self) -> &str {
        self.0.split_once('\t').map_or(&self.0, |(rule, _)| rule)
    }

    /// The rule.
    pub fn rule(&self) -> Rule {
        Rule::trusted(self.rule_str())
    }

    /// The attributes, read from the line.
    pub fn attributes(&self) -> Attributes {
        todo!()
    }

    /// An entry whose canonical form the caller vouches for (a line of a verified snapshot or of this process's own making).
    pub(crate) fn trusted(line: &str) -> Entry {
        Entry(line.into())
    }
}

/// Reads a line that must already be canonical.
impl FromStr for Entry {
    type Err = EntryError;
    fn from_str(line: &str) -> Result<Self, EntryError> {
        let _ = line;
        todo!()
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
