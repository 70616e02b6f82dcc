//! Lists, rules and questions from few labels, so that rules and questions meet.

use std::collections::BTreeMap;

use bwld::list::{Colour, Digest, Serial, Timestamp};
use bwld::matcher::{About, Index, IndexBuilder, ListState, Seed, Verdict};
use proptest::prelude::*;

pub const SEED: [u8; 16] = *b"fixed for a test";

pub fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().expect("a time")
}

pub fn about_of(list: &str, colour: Colour, serial: u64) -> About {
    About {
        origin: "lists.example.org".parse().expect("an origin"),
        list: list.parse().expect("a list"),
        colour,
        serial: Serial::new(serial).expect("a serial"),
        root: Digest::of("root"),
    }
}

pub fn about(serial: u64) -> About {
    about_of("test", Colour::Black, serial)
}

pub fn state(about: &About) -> ListState {
    ListState {
        origin: about.origin.clone(),
        list: about.list.clone(),
        colour: about.colour,
        serial: Some(about.serial),
        expires: None,
        local: false,
    }
}

pub fn build_as<'a>(about: About, seed: [u8; 16], lines: impl IntoIterator<Item = &'a str>) -> Index {
    let mut builder = IndexBuilder::new(about, Seed::new(seed));
    for line in lines {
        builder.push(line).expect(line);
    }
    builder.finish().expect("an index")
}

pub fn build<'a>(lines: impl IntoIterator<Item = &'a str>) -> Index {
    build_as(about(1), SEED, lines)
}

/// The last line of each rule.
pub fn one_a_rule(lines: &[String]) -> BTreeMap<String, String> {
    lines.iter().map(|line| (line.split('\t').next().expect("a rule").to_owned(), line.clone())).collect()
}

/// All that a verdict says, as text.
pub fn said(verdict: &Verdict<'_>) -> String {
    let word = verdict.word();
    match verdict {
        Verdict::Block(by) | Verdict::Allow(by) => {
            let entry = by.entry().map_or_else(|error| error.to_string(), |entry| entry.line().to_owned());
            assert_eq!(by.rule().ok().map(|rule| rule.kind()), Some(by.kind()));
            format!("{word} by {entry} of {} {:?} stale={} incomplete={}", by.list().list, by.list().serial, by.stale, by.incomplete)
        }
        Verdict::Unlisted { stale } => format!("{word} stale={stale}"),
        Verdict::NoData(missing) => format!("{word} {} damaged={}", missing.list.list, missing.damaged),
    }
}

pub fn name() -> impl Strategy<Value = String> {
    (
        proptest::collection::vec(prop_oneof![Just("a"), Just("b"), Just("www"), Just("longer-label")], 0..4),
        prop_oneof![Just("example.com"), Just("example.org"), Just("a.example"), Just("xn--bcher-kva.example")],
    )
        .prop_map(|(labels, end)| labels.into_iter().chain([end]).collect::<Vec<_>>().join("."))
}

pub fn path() -> impl Strategy<Value = String> {
    (
        prop_oneof![4 => Just(""), 1 => Just(":8080")],
        proptest::collection::vec(prop_oneof![Just("a"), Just("b"), Just("ab")], 0..4),
        prop_oneof![
            3 => Just(""), 1 => Just("?x=1"), 1 => Just("?x=1&y"), 1 => Just("?x"), 1 => Just("?x="), 1 => Just("/")
        ],
    )
        .prop_map(|(port, parts, end)| format!("{port}/{}{end}", parts.join("/")))
}

fn v4() -> impl Strategy<Value = u32> {
    (0_u32..4, 0_u32..4, 0_u32..3).prop_map(|(b, c, d)| 10 << 24 | b << 16 | c << 8 | d)
}

pub fn rule() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => name().prop_map(|n| format!("domain:{n}")),
        4 => name().prop_map(|n| format!("subtree:{n}")),
        3 => (name(), path()).prop_map(|(n, p)| format!("url:{n}{p}")),
        4 => (name(), path()).prop_map(|(n, p)| format!("prefix:{n}{p}")),
        1 => (v4(), path()).prop_map(|(a, p)| format!("prefix:{}{p}", std::net::Ipv4Addr::from(a))),
        2 => (v4(), 8_u32..=32).prop_map(|(a, n)| format!("cidr:{}/{n}", std::net::Ipv4Addr::from(a & (u32::MAX << (32 - n))))),
        1 => (v4(), 16_u32..=128).prop_map(|(a, n)| {
            let address = (u128::from(a) << 96) & (u128::MAX << (128 - n));
            format!("cidr:{}/{n}", std::net::Ipv6Addr::from(address))
        }),
    ]
}

pub fn line() -> impl Strategy<Value = String> {
    let attributes = prop_oneof![
        3 => Just(""),
        1 => Just("\tcat=adult"),
        1 => Just("\tcat=ads,adult\tage=18"),
        1 => Just("\tcat=news\tage=12\tact=warn"),
        1 => Just("\tref=Abcdefgh1"),
        1 => Just("\tcat=ads\tref=Zyxwvuts\trsn=x"),
        1 => Just("\tage=12"),
    ];
    (rule(), attributes).prop_map(|(rule, attributes)| format!("{rule}{attributes}"))
}

pub fn question() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => name(),
        3 => (name(), path()).prop_map(|(n, p)| format!("{n}{p}")),
        1 => v4().prop_map(|a| std::net::Ipv4Addr::from(a).to_string()),
        1 => (v4(), path()).prop_map(|(a, p)| format!("http://{}{p}", std::net::Ipv4Addr::from(a))),
        1 => v4().prop_map(|a| std::net::Ipv6Addr::from(u128::from(a) << 96).to_string()),
        1 => v4().prop_map(|a| std::net::Ipv4Addr::from(a).to_ipv6_mapped().to_string()),
    ]
}
