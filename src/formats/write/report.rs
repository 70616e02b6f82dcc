//! What became of the entries of an export.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::list::Kind;

/// Why an entry was left out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// The format has no rules of this kind.
    Kind,
    /// The entry asks for a warning or a log line only, and the format can only block.
    Action,
    /// The name or the URL has what the format cannot hold.
    Text,
    /// The format cannot say which port, and would match all.
    Port,
    /// The prefix ends where the format would match beyond it.
    Boundary,
    /// The format would match other spellings of the path, too.
    Case,
    /// The format would match more than this URL.
    Query,
    /// The format has no such addresses.
    Address,
    /// The format can block such a target, but not allow exactly it.
    Colour,
    /// It did not fit within the limit.
    Limit,
}

impl Why {
    /// All of them.
    pub const ALL: [Why; 10] =
        [Why::Kind, Why::Action, Why::Text, Why::Port, Why::Boundary, Why::Case, Why::Query, Why::Address, Why::Colour, Why::Limit];

    /// The reason for people.
    pub const fn text(self) -> &'static str {
        match self {
            Why::Kind => "the format has no such rules",
            Why::Action => "asks for less than to block",
            Why::Text => "has what the format cannot hold",
            Why::Port => "any port would match",
            Why::Boundary => "more paths would match",
            Why::Case => "other spellings would match",
            Why::Query => "more URLs would match",
            Why::Address => "the format has no such addresses",
            Why::Colour => "cannot be allowed alone",
            Why::Limit => "did not fit",
        }
    }
}

/// What became of the entries.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct ExportReport {
    /// Entries of the version.
    pub entries: u64,
    /// Entries that the options do not select.
    pub not_selected: u64,
    /// Entries that are written.
    pub written: u64,
    /// Rules of the format they became.
    pub rules: u64,
    /// Entries left away because another rule of the export covers them.
    pub folded: u64,
    /// Entries left out, by kind and reason.
    #[serde(serialize_with = "as_rows")]
    left_out: BTreeMap<(Kind, Why), u64>,
}

impl ExportReport {
    pub(super) fn leave(&mut self, kind: Kind, why: Why) {
        *self.left_out.entry((kind, why)).or_default() += 1;
    }

    /// Entries left out, by kind and reason.
    pub fn left_out(&self) -> impl Iterator<Item = (Kind, Why, u64)> {
        self.left_out.iter().map(|((kind, why), count)| (*kind, *why, *count))
    }

    /// All entries left out.
    pub fn left_out_total(&self) -> u64 {
        self.left_out.values().sum()
    }

    /// Entries left out for this reason.
    pub fn left(&self, why: Why) -> u64 {
        self.left_out().filter(|(_, other, _)| *other == why).map(|(_, _, count)| count).sum()
    }
}

fn as_rows<S: serde::Serializer>(left_out: &BTreeMap<(Kind, Why), u64>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Row {
        kind: Kind,
        why: Why,
        count: u64,
    }
    serializer.collect_seq(left_out.iter().map(|((kind, why), count)| Row { kind: *kind, why: *why, count: *count }))
}
