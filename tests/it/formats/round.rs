//! What a format can say of a list comes back as it was: import(export(x)) is the expressible part of x, for every format.

use std::collections::{BTreeMap, BTreeSet};

use bwld::formats::write::{ExportFormat, ExportOptions, Says, White, list_left_out};
use bwld::formats::{Exceptions, Format, ReadOptions, Wildcards};
use bwld::list::{Attributes, Colour, Entry, Kind, Rule};
use proptest::prelude::*;

use super::{as_format, read};
use crate::export::{exported, header};

/// How what this format writes is read.
fn reader(format: ExportFormat, colour: Colour) -> ReadOptions {
    let read = match format.name() {
        "adguard-dns" => Format::Adblock,
        "addresses" | "fortinet-addresses" | "paloalto-addresses" | "pfblockerng-addresses" => Format::Firewall,
        "fortinet-domains" | "paloalto-domains" => Format::Firewall,
        "pfblockerng-domains" | "blocky" => Format::Domains,
        "dnsmasq-servers" => Format::Dnsmasq,
        "squid-domains" => Format::Dstdomain,
        "squid-urls" => Format::Urls,
        "squidguard-domains" | "e2guardian-sites" => Format::Subtrees,
        "squidguard-urls" | "e2guardian-urls" => Format::Prefixes,
        "nginx-urls" | "nginx-addresses" => Format::Nginx,
        "haproxy-addresses" => Format::Haproxy,
        "nftables" => Format::Nft,
        "chromium-policy" | "firefox-policy" => Format::Json,
        name => name.parse().unwrap_or_else(|e| panic!("{format} is written, but {e}; say here what reads it")),
    };
    // The list's own colour is not in rules that carry it: there what allows are exceptions. Our own JSON has neither.
    let exceptions = match colour {
        Colour::White if format.white() != White::Plain && read.has_exceptions() && format.name() != "json" => Exceptions::Only,
        _ => Exceptions::LeaveOut,
    };
    // Where a star or a dot is the host and all under it, but elsewhere is not.
    let wildcards = if matches!(format.name(), "blocky" | "haproxy") { Wildcards::Subtree } else { Wildcards::Refuse };
    ReadOptions { exceptions, wildcards, ..as_format(read) }
}

/// A name that begins with `-` alone on a line is no name for the readers of lists: it may be meant as a removal.
fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-c]{1,2}\\.(example|test)",
        2 => "[ab]\\.[ab]\\.(example|test)",
        1 => "[a-z0-9_][a-z0-9_-]{0,12}\\.[a-z]{2,6}\\.example",
        1 => "(xn--bcher-kva|_dmarc|a-|1|0x1|www|all|default)\\.example",
    ]
}

fn url() -> impl Strategy<Value = String> {
    let authority = prop_oneof![
        4 => host(),
        1 => host().prop_map(|host| format!("{host}:8080")),
        1 => Just("192.0.2.1".to_owned()),
        1 => Just("[2001:db8::1]:81".to_owned()),
    ];
    let path = prop_oneof![
        3 => "/[a-cA-C]{0,3}(/[a-c]{0,2})?",
        1 => "/[a-c]/\\?[a-c]=[a-z0-9&=]{0,6}",
        1 => "/[!\"$%&'()*+,;:=@^_`{|}~\\[\\]\\\\./a-z0-9?-]{0,12}",
        1 => "/%C3%BC(/|\\?x=%20)?",
    ];
    (authority, path).prop_map(|(authority, path)| format!("{authority}{path}"))
}

fn rule() -> impl Strategy<Value = Rule> {
    let text = prop_oneof![
        3 => host().prop_map(|host| (Kind::Domain, host)),
        3 => host().prop_map(|host| (Kind::Subtree, host)),
        2 => url().prop_map(|url| (Kind::Url, url)),
        2 => url().prop_map(|url| (Kind::Prefix, url)),
        1 => (0u32..=3, 24u32..=32).prop_map(|(n, length)| {
            let bits = (0xC000_0200 | n << 6) & (u32::MAX << (32 - length));
            (Kind::Cidr, format!("{}/{length}", std::net::Ipv4Addr::from(bits)))
        }),
        1 => (0u128..=3, 100u32..=128).prop_map(|(n, length)| {
            let bits = (0x2001_0db8_u128 << 96 | n << 24) & (u128::MAX << (128 - length));
            (Kind::Cidr, format!("{}/{length}", std::net::Ipv6Addr::from(bits)))
        }),
    ];
    text.prop_filter_map("a rule", |(kind, target)| Rule::new(kind, &target).ok())
}

fn entry() -> impl Strategy<Value = Entry> {
    let attributes = prop_oneof![
        4 => Just(Attributes::default()),
        1 => prop::collection::btree_set("[a-c]{1,3}", 1..3).prop_map(|codes| Attributes {
            categories: codes.iter().map(|code| code.parse().expect("a code")).collect(),
            ..Attributes::default()
        }),
        1 => (1u8..=21, "(block|warn|log)").prop_map(|(age, action)| Attributes {
            age: Some(age),
            action: Some(action.parse().expect("an action")),
            reason: Some("court".parse().expect("a code")),
            reference: Some("Abcd-1234".into()),
            expires: Some("2030-01-31".parse().expect("a date")),
            ..Attributes::default()
        }),
    ];
    (rule(), attributes).prop_map(|(rule, attributes)| Entry::new(&rule, &attributes).expect("in range"))
}

fn rule_of(line: &str) -> &str {
    line.split('\t').next().unwrap_or_default()
}

/// Whether a rule of the set covers this one, which it is not.
fn is_covered(rule: &str, by: &BTreeSet<&str>) -> bool {
    by.iter().filter(|other| **other != rule).any(|other| {
        let (Some((Kind::Subtree, name)), Some((kind, target))) = (Kind::split(other), Kind::split(rule)) else {
            let (Some((Kind::Cidr, wide)), Some((Kind::Cidr, narrow))) = (Kind::split(other), Kind::split(rule)) else { return false };
            let (wide, narrow): (ipnet::IpNet, ipnet::IpNet) = (wide.parse().expect("a range"), narrow.parse().expect("a range"));
            return wide.contains(&narrow);
        };
        matches!(kind, Kind::Domain | Kind::Subtree) && (target == name || target.ends_with(&format!(".{name}")))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn what_a_format_can_say_comes_back(entries in prop::collection::vec(entry(), 0..14), white: bool) {
        let colour = if white { Colour::White } else { Colour::Black };
        let lines: BTreeMap<&str, &str> = entries.iter().map(|entry| (entry.rule_str(), entry.line())).collect();
        let lines: Vec<&str> = lines.into_values().collect();
        for format in ExportFormat::ALL.iter().copied() {
            let (text, report) = exported(format, &ExportOptions::default(), colour, &lines);
            let mut told = Vec::new();
            list_left_out(format, &ExportOptions::default(), &header(colour, lines.len()), &mut &*lines, &mut told).expect("told");
            let told = String::from_utf8(told).expect("text");
            let left: BTreeSet<String> = told
                .lines()
                .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["rule"].as_str().map(str::to_owned))
                .collect();
            // A kind that the format says is not left out, but for an action that it cannot do; one that it does not is.
            for line in &lines {
                let kind = Kind::split(line).expect("an entry").0;
                let less = line.contains("act=warn") || line.contains("act=log") || (white && line.contains("act="));
                // What such a format says of a white list, its own table says.
                if white && matches!(format.white(), White::Some(_)) {
                    continue;
                }
                match format.says(kind) {
                    Says::All if format.has_attributes() || !less => prop_assert!(!left.contains(rule_of(line)), "{format} leaves out {line}"),
                    Says::None => prop_assert!(left.contains(rule_of(line)), "{format} has {line}"),
                    _ => {}
                }
            }
            let (back, summary) = read(text.as_bytes(), &reader(format, colour)).unwrap_or_else(|e| panic!("{format}: {e}\n{text}"));
            prop_assert!(summary.issues.is_empty() && summary.left_out.is_empty(), "{format}: {:?} {:?}\n{text}", summary.issues, summary.left_out);
            let back: BTreeSet<&str> = back.iter().map(|line| &line[1..]).collect();
            let expected: BTreeSet<&str> = lines.iter().copied().filter(|line| !left.contains(rule_of(line)))
                .map(|line| if format.has_attributes() { line } else { rule_of(line) }).collect();
            if format.folds() {
                prop_assert!(back.is_subset(&expected), "{format}: {:?} of {:?}\n{text}", back, expected);
                for rule in expected.difference(&back) {
                    prop_assert!(is_covered(rule, &back), "{format} lost {rule}\n{text}");
                }
                prop_assert_eq!(expected.len() as u64, back.len() as u64 + report.folded, "{}", format);
            } else {
                prop_assert_eq!(back, expected, "{}\n{}", format, text);
            }
        }
    }
}

/// What random lists have found once: signs that mean something in a format must not come back as something else.
#[test]
fn signs_with_a_meaning_do_not_get_lost() {
    for rule in ["url:a.example/$", "prefix:a.example/$@$/", "url:a.example/$$?x=$"] {
        let (text, report) = exported(ExportFormat::Adblock, &ExportOptions::default(), Colour::Black, &[rule]);
        let (entries, _) = read(text.as_bytes(), &as_format(Format::Adblock)).expect("read");
        let back: Vec<&str> = entries.iter().map(|line| &line[1..]).collect();
        assert_eq!((report.written, back), (1, vec![rule]), "{text}");
    }
    for rule in ["prefix:a.example/@/", "prefix:a.example/*/"] {
        let (_, report) = exported(ExportFormat::ChromiumPolicy, &ExportOptions::default(), Colour::Black, &[rule]);
        assert_eq!((report.written, report.left_out_total()), (0, 1), "{rule}");
    }
}
