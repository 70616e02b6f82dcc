//! Exports: what each format says of each kind of rule, and that it never says more.

mod agree;
mod http;
mod matrix;
mod order;
mod table;

use bwld::formats::write::{ExportFormat, ExportHeader, ExportOptions, ExportReport, export};
use bwld::list::{Colour, Serial};

pub(crate) fn header(colour: Colour, entries: usize) -> ExportHeader {
    ExportHeader {
        origin: Some("lists.example.org".parse().expect("an origin")),
        list: "test".parse().expect("a list name"),
        colour,
        title: "A list\nof two lines".into(),
        owner: "The owner".into(),
        licence: "CC0-1.0".into(),
        source: String::new(),
        serial: Serial::FIRST,
        updated: "2026-11-24T12:00:00Z".parse().expect("a time"),
        entries: entries as u64,
    }
}

pub(crate) fn exported(format: ExportFormat, options: &ExportOptions, colour: Colour, lines: &[&str]) -> (String, ExportReport) {
    let mut out = Vec::new();
    let report = export(format, options, &header(colour, lines.len()), &mut &*lines, &mut out).expect("exported to memory");
    (String::from_utf8(out).expect("text"), report)
}

/// What is between the header and the trailer.
pub(crate) fn body(format: ExportFormat, text: &str) -> Vec<String> {
    let comment = |line: &&str| format.comment().is_none_or(|mark| !line.starts_with(mark));
    text.lines().filter(comment).map(str::to_owned).collect()
}

#[test]
fn a_header_says_what_it_is_and_the_trailer_what_is_missing() {
    let lines = ["domain:a.example\tcat=ads", "domain:b.example\tact=warn", "subtree:c.example", "url:d.example/x"];
    let (text, report) = exported(ExportFormat::Domains, &ExportOptions::default(), Colour::Black, &lines);
    assert_eq!(
        text,
        "# Title: A list of two lines\n# List: test of lists.example.org, black\n# Serial: 1\n# Updated: 2026-11-24T12:00:00Z\n\
         # Owner: The owner\n# Licence: CC0-1.0\n# Format: domains; cannot say subtree, url, prefix, cidr\na.example\n\
         # Entries: 4; written 1 as 1 rules\n# Left out: 1 domain: asks for less than to block\n\
         # Left out: 1 subtree: the format has no such rules\n# Left out: 1 url: the format has no such rules\n# End of list\n"
    );
    assert_eq!((report.entries, report.written, report.left_out_total()), (4, 1, 3));
}
