//! Entries with all that those who administer them know: a JSON object or a line of CSV each, written as they are found.
//!
//! Guarantees: no more than a page is held in memory; notes are in neither form, for a file goes on travels. In CSV a cell that a
//! spreadsheet would take for a formula begins with an apostrophe; who wants each text to the letter takes NDJSON.

use std::borrow::Cow;
use std::io::{self, Write};

use serde_json::Value;

use crate::formats::write::quoted;
use crate::list::Code;

use super::search::{Found, Search};
use super::{Desk, DeskError};

/// The form of an export.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExportForm {
    /// A JSON object a line, as the search shows an entry, without notes.
    Ndjson,
    /// Comma-separated values with a line of names (RFC 4180).
    Csv,
}

/// The columns, in order.
const COLUMNS: &str = "list,state,rule,categories,reason,age,action,expires,reference,proposer,authors,approvers,created,proposed,\
    approved,published,ended,serial,review_by,jurisdiction,instrument,authority,number,date,texts,schemes,evidence,decision\r\n";

impl Desk {
    /// Writes all entries that are meant, cursor and limit aside. Returns how many.
    ///
    /// # Errors
    /// As of [`Desk::search`]; of `out`.
    pub fn export(&self, search: &Search, form: ExportForm, out: &mut dyn Write) -> Result<u64, DeskError> {
        match form {
            ExportForm::Ndjson => self.every(search, &mut |found| object(found, out)),
            ExportForm::Csv => {
                out.write_all(COLUMNS.as_bytes())?;
                self.every(search, &mut |found| row(found, out))
            }
        }
    }
}

fn object(found: &Found, out: &mut dyn Write) -> io::Result<()> {
    let mut value = serde_json::to_value(found)?;
    if let Some(case) = value.get_mut("case").and_then(Value::as_object_mut) {
        case.remove("notes");
    }
    serde_json::to_writer(&mut *out, &value)?;
    out.write_all(b"\n")
}

fn row(found: &Found, out: &mut dyn Write) -> io::Result<()> {
    let (attributes, case) = (&found.attributes, found.case.as_ref());
    let words = case.map(|case| &case.words);
    let basis = words.and_then(|words| words.basis.as_ref());
    let of_basis = |part: fn(&super::LegalBasis) -> &String| basis.map(part).cloned().unwrap_or_default();
    let text = |value: Option<&dyn std::fmt::Display>| value.map(ToString::to_string).unwrap_or_default();
    fn shown<T: std::fmt::Display>(value: &Option<T>) -> Option<&dyn std::fmt::Display> {
        value.as_ref().map(|value| value as &dyn std::fmt::Display)
    }
    let json = |value: Value| if value.as_object().is_none_or(serde_json::Map::is_empty) { String::new() } else { value.to_string() };
    let names = |names: &[String]| names.join(" ");
    let cells: [String; 28] = [
        found.list.to_string(),
        found.state.word().to_owned(),
        found.rule.clone(),
        attributes.categories.iter().map(Code::as_str).collect::<Vec<_>>().join(" "),
        text(shown(&attributes.reason)),
        text(shown(&attributes.age)),
        attributes.action.map(|action| action.word().to_owned()).unwrap_or_default(),
        text(shown(&attributes.expires)),
        attributes.reference.clone().unwrap_or_default(),
        case.map(|case| case.proposer.clone()).unwrap_or_default(),
        case.map(|case| names(&case.authors)).unwrap_or_default(),
        case.map(|case| names(&case.approvals.iter().map(|one| one.by.clone()).collect::<Vec<_>>())).unwrap_or_default(),
        text(shown(&case.map(|case| case.created))),
        text(shown(&case.and_then(|case| case.proposed))),
        text(shown(&case.and_then(|case| case.approved))),
        text(shown(&case.and_then(|case| case.published))),
        text(shown(&case.and_then(|case| case.ended))),
        text(shown(&case.and_then(|case| case.serial))),
        text(shown(&words.and_then(|words| words.review_by))),
        of_basis(|basis| &basis.jurisdiction),
        of_basis(|basis| &basis.instrument),
        of_basis(|basis| &basis.authority),
        of_basis(|basis| &basis.number),
        text(shown(&basis.and_then(|basis| basis.date))),
        words.map(|words| json(serde_json::to_value(&words.reasons).unwrap_or_default())).unwrap_or_default(),
        words.map(|words| json(serde_json::to_value(&words.schemes).unwrap_or_default())).unwrap_or_default(),
        text(shown(&words.and_then(|words| words.evidence))),
        case.map(|case| case.decision.clone()).unwrap_or_default(),
    ];
    let line: Vec<String> = cells.iter().map(|cell| quoted(&harmless(cell)).into_owned()).collect();
    write!(out, "{}\r\n", line.join(","))
}

/// A cell that no spreadsheet takes for a formula: one that might begin one gets an apostrophe before it.
fn harmless(cell: &str) -> Cow<'_, str> {
    match cell.trim_start().chars().next() {
        Some('=' | '+' | '-' | '@' | '\u{ff1d}' | '\u{ff0b}' | '\u{ff0d}' | '\u{ff20}') => Cow::Owned(format!("'{cell}")),
        // A tab or a return at the beginning is taken off by some before they look.
        _ if cell.starts_with(['\t', '\r', '\n']) => Cow::Owned(format!("'{cell}")),
        _ => Cow::Borrowed(cell),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for (cell, written) in [
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            (" =1", "' =1"),
            ("\t=1", "'\t=1"),
            ("\u{ff1d}1", "'\u{ff1d}1"),
            ("domain:a.example", "domain:a.example"),
            ("2026-11-24", "2026-11-24"),
            ("", ""),
        ] {
            assert_eq!(harmless(cell), written);
        }
        assert_eq!(quoted(&harmless("=1;\"x\"")), "\"'=1;\"\"x\"\"\"");
    }

    #[test]
    fn each_row_has_a_cell_for_each_column() {
        let found = Found {
            list: "test".parse().expect("a name"),
            rule: "domain:a.example".into(),
            state: super::super::CaseState::Published,
            attributes: Default::default(),
            case: None,
        };
        let mut out = Vec::new();
        row(&found, &mut out).expect("memory");
        let line = String::from_utf8(out).expect("text");
        assert_eq!(line.matches(',').count(), COLUMNS.matches(',').count());
        assert!(line.starts_with("test,published,domain:a.example,,"));
    }
}
