//! The table of all formats and all kinds of rules: the very lines, or that there are none.

use bwld::formats::write::{ExportFormat, ExportOptions, Says, Why};
use bwld::list::{Colour, Kind};

use super::{body, exported};

/// One entry of each kind, in the order of `Kind::ALL`.
const ENTRIES: [&str; 5] =
    ["domain:a.example\tcat=ads", "subtree:b.example", "url:c.example/Path?q=1", "prefix:d.example:8080/p/", "cidr:192.0.2.0/24"];

/// The lines that each of [`ENTRIES`] becomes; empty: it is left out. A new format does not compile without its row.
fn black(format: ExportFormat) -> [&'static str; 5] {
    match format {
        ExportFormat::Bwld => ENTRIES,
        ExportFormat::Ndjson => [
            r#"{"rule":"domain:a.example","cat":["ads"]}"#,
            r#"{"rule":"subtree:b.example"}"#,
            r#"{"rule":"url:c.example/Path?q=1"}"#,
            r#"{"rule":"prefix:d.example:8080/p/"}"#,
            r#"{"rule":"cidr:192.0.2.0/24"}"#,
        ],
        ExportFormat::Domains => ["a.example", "", "", "", ""],
        ExportFormat::Subtrees => ["", "b.example", "", "", ""],
        ExportFormat::Hosts => ["0.0.0.0 a.example\n:: a.example", "", "", "", ""],
        ExportFormat::Adblock => [
            "|http://a.example^\n|https://a.example^",
            "||b.example^",
            r"/^https?:\/\/c\.example\/Path\?q=1$/$match-case",
            r"/^https?:\/\/d\.example:8080\/p\//$match-case",
            "",
        ],
        ExportFormat::AdguardDns => ["a.example", "||b.example^", "", "", ""],
    }
}

/// The same of a white list, where it differs.
fn white(format: ExportFormat) -> [&'static str; 5] {
    match format {
        ExportFormat::Adblock => [
            "@@|http://a.example^\n@@|https://a.example^",
            "@@||b.example^",
            r"@@/^https?:\/\/c\.example\/Path\?q=1$/$match-case",
            r"@@/^https?:\/\/d\.example:8080\/p\//$match-case",
            "",
        ],
        ExportFormat::AdguardDns => ["@@|a.example^", "@@||b.example^", "", "", ""],
        other => black(other),
    }
}

/// The lines of a list without entries: what stands around them.
fn frame(format: ExportFormat, colour: Colour) -> Vec<String> {
    body(format, &exported(format, &ExportOptions::default(), colour, &[]).0)
}

#[test]
fn every_format_says_of_every_kind_what_the_table_has() {
    for &format in ExportFormat::ALL {
        for (colour, rows) in [(Colour::Black, black(format)), (Colour::White, white(format))] {
            let frame = frame(format, colour);
            for ((kind, entry), row) in Kind::ALL.into_iter().zip(ENTRIES).zip(rows) {
                let (text, report) = exported(format, &ExportOptions::default(), colour, &[entry]);
                let mut lines = body(format, &text);
                // The line with the number of entries is of the frame.
                lines.retain(|line| !frame.contains(line) && !line.starts_with("{\"list\""));
                assert_eq!(lines.join("\n"), row, "{format} {colour} {entry}");
                assert_eq!((report.entries, report.written), (1, u64::from(!row.is_empty())), "{format} {entry}");
                if row.is_empty() {
                    let left: Vec<_> = report.left_out().map(|(kind, _, count)| (kind, count)).collect();
                    assert_eq!(left, [(kind, 1)], "{format} {entry}");
                    assert_ne!(format.says(kind), Says::All, "{format} {entry}");
                } else {
                    assert_ne!(format.says(kind), Says::None, "{format} {entry}");
                }
                assert_eq!(report.left(Why::Kind) == 1, format.says(kind) == Says::None, "{format} {colour} {entry}");
            }
        }
    }
}

#[test]
fn names_are_unique_and_lead_back() {
    for &format in ExportFormat::ALL {
        assert_eq!(format.name().parse(), Ok(format));
        assert!(!format.about().is_empty() && format.name().bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-'));
    }
    assert!("no-such".parse::<ExportFormat>().unwrap_err().to_string().contains("domains"));
}
