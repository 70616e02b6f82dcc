//! Folding of overlaps, limits and priorities, selection, and what is told of what is left out.

use std::collections::BTreeSet;
use std::net::IpAddr;

use bwld::formats::write::{ExportError, ExportFormat, ExportOptions, Why, export, list_left_out};
use bwld::list::{Colour, Kind};
use proptest::prelude::*;

use super::{body, exported, header};

fn options() -> ExportOptions {
    ExportOptions::default()
}

#[test]
fn what_a_parent_covers_is_folded_where_the_program_refuses_it() {
    let lines = [
        "cidr:192.0.2.0/24",
        "cidr:192.0.2.1/32",
        "cidr:198.51.100.1/32",
        "cidr:2001:db8::/32",
        "cidr:2001:db8:1::/48",
        "domain:a.b.example",
        "domain:b.example",
        "domain:notb.example",
        "subtree:b.example",
        "subtree:c.b.example",
        "subtree:e.example\tact=log",
        "subtree:f.e.example",
    ];
    let (text, report) = exported(ExportFormat::SquidDomains, &options(), Colour::Black, &lines);
    // A parent that is itself left out covers nothing.
    assert_eq!(body(ExportFormat::SquidDomains, &text), ["notb.example", ".b.example", ".f.e.example"]);
    assert_eq!(report.folded, 3);
    let (text, report) = exported(ExportFormat::Nftables, &options(), Colour::Black, &lines);
    assert!(text.contains("v4-test { 192.0.2.0/24, 198.51.100.1/32 }") && text.contains("v6-test { 2001:db8::/32 }"), "{text}");
    assert_eq!(report.folded, 2);
    let (text, _) = exported(ExportFormat::Blocky, &options(), Colour::Black, &lines);
    assert_eq!(body(ExportFormat::Blocky, &text).len(), 6);
}

#[test]
fn a_limit_is_filled_by_priority_and_says_what_did_not_fit() {
    let lines =
        ["domain:a.example", "domain:b.example\tcat=low", "domain:c.example\tcat=high", "domain:d.example\tcat=low", "url:e.example/"];
    let limited =
        ExportOptions { limit: Some(2), priority: vec!["high".parse().unwrap(), "low".parse().unwrap()], ..ExportOptions::default() };
    let (text, report) = exported(ExportFormat::Domains, &limited, Colour::Black, &lines);
    assert_eq!(body(ExportFormat::Domains, &text), ["c.example", "b.example"]);
    assert_eq!((report.left(Why::Limit), report.left(Why::Kind), report.entries), (2, 1, 5));
    assert!(text.contains("# Left out: 2 domain: did not fit\n"), "{text}");
    let mut told = Vec::new();
    list_left_out(ExportFormat::Domains, &limited, &header(Colour::Black, 5), &mut &lines[..], &mut told).unwrap();
    let told = String::from_utf8(told).unwrap();
    let rows: Vec<serde_json::Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows[0]["rule"], "domain:d.example");
    assert_eq!((&rows[0]["why"], &rows[1]["rule"]), (&"limit".into(), &"domain:a.example".into()));
    assert_eq!((rows.len(), &rows[3]["left_out"][0]["kind"]), (4, &"domain".into()));
    // An entry of two rules does not fit where there is room for one.
    let one = ExportOptions { limit: Some(1), ..options() };
    assert_eq!(exported(ExportFormat::Hosts, &one, Colour::Black, &lines).1.written, 0);
}

#[test]
fn a_policy_of_more_than_the_browser_takes_is_refused_before_anything_is_written() {
    let lines: Vec<String> = (0..1001).map(|n| format!("domain:h{n:04}.example")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let mut out = Vec::new();
    let refused = export(ExportFormat::ChromiumPolicy, &options(), &header(Colour::Black, 1001), &mut &lines[..], &mut out);
    assert!(matches!(refused, Err(ExportError::TooMany { most: 1000, .. })), "{refused:?}");
    assert!(out.is_empty());
    assert_eq!(exported(ExportFormat::ChromiumPolicy, &options(), Colour::Black, &lines[..1000]).1.written, 1000);
    let limited = ExportOptions { limit: Some(1000), ..options() };
    let (text, report) = exported(ExportFormat::ChromiumPolicy, &limited, Colour::Black, &lines);
    assert_eq!((report.written, report.left(Why::Limit)), (1000, 1));
    let policy: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(policy["URLBlocklist"].as_array().unwrap().len(), 1000);
}

#[test]
fn names_of_sets_are_held_to_and_made_unique() {
    let named = |name: &str| ExportOptions { name: Some(name.into()), ..ExportOptions::default() };
    for wrong in ["", "A", "1a", "a b", "a;b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
        let refused = export(ExportFormat::Nftables, &named(wrong), &header(Colour::Black, 0), &mut &[""; 0][..], &mut Vec::new());
        assert!(matches!(refused, Err(ExportError::Name(_))), "{wrong:?}");
    }
    assert!(exported(ExportFormat::Ipset, &named("school"), Colour::Black, &[]).0.contains("swap school-n4 school-v4\n"));
}

/// Entries with many overlaps.
fn lines() -> impl Strategy<Value = Vec<String>> {
    let name = proptest::collection::vec("[ab]", 1..4).prop_map(|labels| format!("{}.example", labels.join(".")));
    let entry = prop_oneof![
        name.clone().prop_map(|name| format!("domain:{name}")),
        name.clone().prop_map(|name| format!("subtree:{name}")),
        (name.clone(), "[A-Za-z0-9./?&=$()|+%]{0,6}").prop_filter_map("a URL", |(name, path)| {
            bwld::list::Rule::new(Kind::Url, &format!("{name}/{path}")).ok().map(|rule| rule.to_string())
        }),
        (name, "[A-Za-z0-9./&=-]{0,6}").prop_filter_map("a prefix", |(name, path)| {
            bwld::list::Rule::new(Kind::Prefix, &format!("{name}/{path}")).ok().map(|rule| rule.to_string())
        }),
        (0u32..16, 20u8..=32).prop_map(|(bits, length)| {
            let address = (0xC000_0200u32 | bits << 4) & (u32::MAX << (32 - u32::from(length)));
            format!("cidr:{}/{length}", std::net::Ipv4Addr::from(address))
        }),
    ];
    proptest::collection::vec((entry, prop_oneof![Just(""), Just("\tcat=a"), Just("\tcat=b"), Just("\tact=log")]), 0..40).prop_map(
        |entries| {
            let by_rule: std::collections::BTreeMap<String, &str> = entries.into_iter().collect();
            by_rule.into_iter().map(|(rule, rest)| rule + rest).collect()
        },
    )
}

fn covers(parent: &str, rule: &str) -> bool {
    match (parent.split_once(':').unwrap(), rule.split_once(':').unwrap()) {
        _ if parent == rule => false,
        (("subtree", parent), ("domain" | "subtree", name)) => name == parent || name.ends_with(&format!(".{parent}")),
        (("cidr", parent), ("cidr", range)) => {
            let net = |text: &str| {
                let (address, length) = text.split_once('/').unwrap();
                let IpAddr::V4(address) = address.parse().unwrap() else { unreachable!("only IPv4 here") };
                (u32::from(address), length.parse::<u32>().unwrap())
            };
            let ((parent, length), (range, longer)) = (net(parent), net(range));
            length < longer && (parent ^ range).checked_shr(32 - length).unwrap_or(0) == 0
        }
        _ => false,
    }
}

proptest! {
    /// Folding leaves exactly the rules that no other one covers.
    #[test]
    fn folds_what_a_naive_look_folds(lines in lines()) {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let counts = |line: &&&str| !line.contains("act=log");
        let rule = |line: &str| line.split('\t').next().unwrap_or_default().to_owned();
        let left: BTreeSet<String> = lines
            .iter()
            .filter(counts)
            .map(|line| rule(line))
            .filter(|one| !lines.iter().filter(counts).any(|other| covers(&rule(other), one)))
            .collect();
        let names = |kind: &str| left.iter().filter_map(|rule| rule.strip_prefix(kind)).map(str::to_owned).collect::<Vec<_>>();
        let (text, _) = exported(ExportFormat::SquidDomains, &options(), Colour::Black, &lines);
        let mut expected = names("domain:");
        expected.extend(names("subtree:").into_iter().map(|name| format!(".{name}")));
        prop_assert_eq!(body(ExportFormat::SquidDomains, &text), expected);
        let (_, report) = exported(ExportFormat::Nftables, &options(), Colour::Black, &lines);
        prop_assert_eq!(report.written, names("cidr:").len() as u64);
    }

    /// Every entry is accounted for, whatever the format and the options; the same arguments give the same octets.
    #[test]
    fn every_entry_is_accounted_for(
        lines in lines(), at in 0..ExportFormat::ALL.len(), white in any::<bool>(), any_spelling in any::<bool>(),
        limit in proptest::option::of(1u64..20), only in any::<bool>(), priority in any::<bool>(),
    ) {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let codes = |on: bool| if on { vec!["a".parse().unwrap()] } else { Vec::new() };
        let options = ExportOptions { limit, any_spelling, categories: codes(only), priority: codes(priority), ..ExportOptions::default() };
        let (format, colour) = (ExportFormat::ALL[at], if white { Colour::White } else { Colour::Black });
        let (text, report) = exported(format, &options, colour, &lines);
        prop_assert_eq!(&exported(format, &options, colour, &lines), &(text, report.clone()));
        prop_assert_eq!(report.entries, lines.len() as u64);
        prop_assert_eq!(report.written + report.folded + report.not_selected + report.left_out_total(), report.entries);
        prop_assert!(limit.is_none_or(|limit| report.rules <= limit));
        let mut told = Vec::new();
        let again = list_left_out(format, &options, &header(colour, lines.len()), &mut &lines[..], &mut told).unwrap();
        prop_assert_eq!(memchr::memchr_iter(b'\n', &told).count() as u64, report.left_out_total() + 1);
        prop_assert_eq!(again, report);
    }
}
