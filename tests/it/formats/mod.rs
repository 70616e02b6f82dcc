//! Reading lists: formats, options, issues.

mod foreign;
mod programs;
mod properties;
mod round;
mod torture;
pub(crate) mod wider;

use std::{io::BufReader, io::Read as _};

use bwld::{
    formats::{self, Format, Item, ReadError, ReadOptions, Summary, Wildcards},
    list::{Attributes, Entry},
};
/// What was handed on, each with `+` or `-` before it, and the summary.
fn read(bytes: &[u8], options: &ReadOptions) -> Result<(Vec<String>, Summary), ReadError> {
    read_by(bytes, options, 8 * 1024)
}

fn read_by(bytes: &[u8], options: &ReadOptions, capacity: usize) -> Result<(Vec<String>, Summary), ReadError> {
    let mut seen = Vec::new();
    let summary = formats::read::<ReadError>(BufReader::with_capacity(capacity, bytes), options, |handed| {
        seen.push(match handed {
            Item::Put(line) => format!("+{line}"),
            Item::Remove(rule) => format!("-{rule}"),
        });
        Ok(())
    })?;
    let (puts, removals): (Vec<&String>, Vec<&String>) = seen.iter().partition(|line| line.starts_with('+'));
    assert_eq!((puts.len() as u64, removals.len() as u64), (summary.entries, summary.removals), "the counts are true");
    assert_eq!(summary.issues.len() as u64, summary.issues_total.min(formats::ISSUES_KEPT as u64));
    for put in puts {
        let entry: Entry = put[1..].parse().unwrap_or_else(|e| panic!("{put}: {e}"));
        entry.rule().check_suffix().unwrap_or_else(|e| panic!("{put}: {e}"));
    }
    for issue in &summary.issues {
        assert!(issue.line >= 1 && issue.column >= 1 && !issue.reason.is_empty() && !issue.hint.is_empty(), "{issue:?}");
        assert!(issue.text.chars().count() <= 81 * 10 && !issue.text.contains(char::is_control), "{issue:?}");
    }
    Ok((seen, summary))
}

fn plain() -> ReadOptions {
    ReadOptions::default()
}

fn as_format(format: Format) -> ReadOptions {
    ReadOptions { format: Some(format), ..plain() }
}

#[test]
fn a_cut_last_line_is_said() {
    assert!(read(b"a.example\nb.exam", &plain()).expect("read").1.unterminated);
    assert!(!read(b"a.example\nb.example\n", &plain()).expect("read").1.unterminated);
}

#[test]
fn options_say_what_bare_names_mean() {
    let text = b"a.example\n*.b.example\n.c.example\nsubtree:d.example\nurl:e.example/x\tcat=own\n";
    let (lines, summary) = read(text, &plain()).expect("read");
    assert_eq!(lines, ["+domain:a.example", "+subtree:d.example", "+url:e.example/x\tcat=own"]);
    assert_eq!(summary.issues_total, 2);
    assert_eq!(summary.issues[0].hint, "write subtree:b.example if the name and every name under it is meant");
    let attributes = Attributes { categories: vec!["ads".parse().expect("code")], age: Some(12), ..Attributes::default() };
    let options = ReadOptions { subtree: true, wildcards: Wildcards::Subtree, attributes, ..plain() };
    let (lines, summary) = read(text, &options).expect("read");
    let expected = [
        "+subtree:a.example\tcat=ads\tage=12",
        "+subtree:b.example\tcat=ads\tage=12",
        "+subtree:c.example\tcat=ads\tage=12",
        "+subtree:d.example\tcat=ads\tage=12",
        "+url:e.example/x\tcat=own",
    ];
    assert_eq!((lines.as_slice(), summary.issues_total), (expected.map(str::to_owned).as_slice(), 0));
    let (lines, summary) = read(b"0.0.0.0 a.example *.b.example\n", &options).expect("read");
    assert_eq!(lines, ["+domain:a.example\tcat=ads\tage=12"], "a hosts file is exact, whatever the options say");
    assert_eq!(summary.issues_total, 1);
    let bad = ReadOptions { attributes: Attributes { age: Some(99), ..Attributes::default() }, ..plain() };
    assert!(matches!(read(b"a.example\n", &bad), Err(ReadError::Attributes(_))));
}

#[test]
fn csv_with_a_header_line() {
    let text = "# exported\nDomain,Scope,Categories,Ref,Age,Action,Reason,Expires,Note\r\n\
        A.example,,\"Ads, tracking\",Abcd-1234,18,WARN,court,2030-01-31,\"a \"\"quoted\"\" note\nover two lines\"\n\
        b.example,subtree,,,,,,,\n\
        # a comment\n\
        \n\
        ,exact,,,,,,,\n\
        co.uk,subtree,,,,,,,\n\
        c.example,prefix,,,,,,,\n\
        d.example,,,short,,,,,\n\
        e.example,,,,99,,,,\n\
        f.example,,,,,,,,,too,many\n\
        g.example\n\
        *.h.example,,,,,,,,\n";
    let (lines, summary) = read(text.as_bytes(), &plain()).expect("read");
    assert_eq!(summary.format, Some(Format::Csv));
    assert_eq!(
        lines,
        [
            "+domain:a.example\tcat=ads,tracking\tref=Abcd-1234\tage=18\tact=warn\trsn=court\texp=2030-01-31",
            "+subtree:b.example",
            "+domain:g.example"
        ]
    );
    let issues: Vec<(u64, &str)> = summary.issues.iter().map(|i| (i.line, i.reason.as_str())).collect();
    let parts = [
        (2, "left aside"),
        (8, "nothing there"),
        (9, "public suffix"),
        (10, "scope does not fit"),
        (11, "ref"),
        (12, "age"),
        (13, "more columns"),
        (14 + 1, "wildcard"),
    ];
    assert_eq!(issues.len(), parts.len(), "{issues:?}");
    for ((line, reason), (expected, part)) in issues.iter().zip(parts) {
        assert!(*line == expected && reason.contains(part), "{line} {reason}, expected {expected} {part}");
    }
}

#[test]
fn csv_of_other_shapes() {
    let lines = |text: &str| read(text.as_bytes(), &plain()).map(|(lines, summary)| (lines, summary.issues_total));
    let own = |lines: &[&str]| lines.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        lines("url;scope\nhttp://A.example/x;\na.example/y/;prefix\nb.example;subtree\n").expect("read"),
        (own(&["+url:a.example/x", "+prefix:a.example/y/"]), 1)
    );
    assert_eq!(lines("address\n192.0.2.0/24\n192.0.2.1/24\na.example\n").expect("read"), (own(&["+cidr:192.0.2.0/24"]), 2));
    assert_eq!(
        lines("cat\ttarget\nx\tsubtree:a.example\n\tb.example\ny\tb.example/z\nz\t2001:db8::1\n").expect("read"),
        (own(&["+subtree:a.example\tcat=x", "+domain:b.example", "+url:b.example/z\tcat=y", "+cidr:2001:db8::1/128\tcat=z"]), 0)
    );
    assert!(matches!(read(b"note,cat\na,b\n", &as_format(Format::Csv)), Err(ReadError::NoTargetColumn(_))));
    assert!(matches!(read(b"domain,url\na,b\n", &plain()), Err(ReadError::TwoColumns("target"))));
    assert_eq!(read(b"", &as_format(Format::Csv)).expect("empty").1.entries, 0);
}

#[test]
fn a_quote_that_is_never_closed_is_one_issue_and_bounded() {
    let mut text = String::from("domain,note\na.example,\"open\n");
    for n in 0..2_000 {
        text.push_str(&format!("h{n}.example,x\n"));
    }
    let (lines, summary) = read(text.as_bytes(), &plain()).expect("read");
    let quote = &summary.issues[1];
    assert!(quote.line == 2 && quote.reason.contains("quote"), "{quote:?}");
    assert!(lines.len() > 1_000 && lines.len() < 2_000, "reading goes on behind the bound: {}", lines.len());
    let (lines, summary) = read(b"domain\n\"a.example\n", &plain()).expect("read");
    assert!(lines.is_empty() && summary.issues[0].reason.contains("inside quotes"));
}

#[test]
fn own_text_with_signs_snapshots_and_deltas() {
    let text = "\u{feff}# id: x\n# colour: black\n\n+domain:A.example\tcat=b # note\r\n~subtree:b.example\n-domain:c.example\n-url:HTTP://d.example\n-subtree:co.uk\n\
        domain:e.example\tcat=b,a\ndomain:f.example x\ng.example\n-domain:h.example\tcat=x\nsubtree:com\n";
    let (lines, summary) = read(text.as_bytes(), &plain()).expect("read");
    assert_eq!(summary.format, Some(Format::Bwld));
    assert_eq!(lines, ["+domain:a.example\tcat=b", "+subtree:b.example", "-domain:c.example", "-url:d.example/", "-subtree:co.uk"]);
    assert_eq!(summary.issues.iter().map(|i| i.line).collect::<Vec<_>>(), [9, 10, 11, 12, 13]);

    let snapshot = "bwld snapshot v1\norigin lists.example.org\nlist x\ncolour black\nserial 3\nentries 2\n\ndomain:a.example\tcat=x\nsubtree:b.example\n";
    let (lines, summary) = read(snapshot.as_bytes(), &plain()).expect("read");
    assert_eq!((lines.len(), summary.issues_total, summary.comments), (2, 0, 7));
    let cut = snapshot.strip_suffix("subtree:b.example\n").expect("a suffix");
    let (_, summary) = read(cut.as_bytes(), &plain()).expect("read");
    assert!(summary.issues[0].reason.contains("the header says 2 lines, the file has 1"), "{:?}", summary.issues);
    let delta = "bwld delta v1\norigin o\nlist x\ncolour black\nfrom 1\nto 2\nchanges 2\n\n+domain:a.example\n-domain:b.example\n";
    let (lines, summary) = read(delta.as_bytes(), &plain()).expect("read");
    assert_eq!((lines, summary.issues_total), (vec!["+domain:a.example".to_owned(), "-domain:b.example".to_owned()], 0));
}

#[test]
fn issues_are_counted_and_the_first_kept() {
    let text = "com\n".repeat(1_000) + "a.example\n";
    let (lines, summary) = read(text.as_bytes(), &plain()).expect("read");
    assert_eq!((lines.len(), summary.issues_total, summary.issues.len()), (1, 1_000, formats::ISSUES_KEPT));
    assert_eq!(summary.issues[99].line, 100);
}

#[test]
fn a_sink_that_refuses_ends_the_reading() {
    #[derive(Debug)]
    struct Full;
    impl From<ReadError> for Full {
        fn from(_: ReadError) -> Self {
            panic!("the file is fine")
        }
    }
    let mut seen = 0;
    let end = formats::read(&b"a.example\nb.example\nc.example\n"[..], &plain(), |_| {
        seen += 1;
        if seen == 2 { Err(Full) } else { Ok(()) }
    });
    assert!(matches!((end, seen), (Err(Full), 2)));
}

/// Lines are made as they are read: nothing holds the file.
#[test]
fn long_streams_are_read_as_streams() {
    let text = (0..200_000_u64).map(|n| format!("h{n}.example\n")).flat_map(String::into_bytes);
    struct Bytes<I>(I);
    impl<I: Iterator<Item = u8>> std::io::Read for Bytes<I> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let mut n = 0;
            for (slot, byte) in into.iter_mut().zip(&mut self.0) {
                *slot = byte;
                n += 1;
            }
            Ok(n)
        }
    }
    let endless_line = std::io::repeat(b'x').take(8 << 20);
    let input = BufReader::new(Bytes(text).chain(endless_line).chain(&b"\nlast.example\n"[..]));
    let mut last = String::new();
    let summary = formats::read::<ReadError>(input, &plain(), |handed| {
        if let Item::Put(line) = handed {
            last.clear();
            last.push_str(line);
        }
        Ok(())
    })
    .expect("read");
    assert_eq!((summary.lines, summary.entries, summary.issues_total), (200_002, 200_001, 1));
    assert_eq!(last, "domain:last.example");
}

#[test]
fn every_format_is_in_the_operators_table() {
    let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/OPERATIONS.md")).expect("the docs");
    let table: Vec<&str> = docs.lines().filter(|line| line.starts_with("| `")).filter_map(|line| line.split(" | ").next()).collect();
    for format in Format::ALL {
        assert!(table.iter().any(|row| row.contains(&format!("`{format}`"))), "{format} is not in docs/OPERATIONS.md");
        assert_eq!(format.name().parse(), Ok(*format));
        assert!(!format.about().is_empty());
    }
}
