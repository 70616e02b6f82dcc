//! The torture set and real lists: each file has a stated outcome.

use std::collections::BTreeSet;

use bwld::formats::{self, Format, ReadError, ReadOptions, Wildcards};

use super::{as_format, plain, read};
use crate::shared_data;

/// An outcome: the format, then entries, comments and issues; lines that must be handed on; issues by line, column
/// and part of the reason.
struct Outcome {
    format: Format,
    counts: (u64, u64, u64),
    lines: &'static [&'static str],
    issues: &'static [(u64, u32, &'static str)],
    /// What is left out, by sort.
    left: &'static [(&'static str, u64)],
}

/// Nothing to say.
const NONE: Outcome = Outcome { format: Format::Domains, counts: (0, 0, 0), lines: &[], issues: &[], left: &[] };

const HANDMADE: &[(&str, Outcome)] = &[
    (
        "plain-mixed.txt",
        Outcome {
            format: Format::Domains,
            counts: (22, 2, 32),
            lines: &[
                "+domain:example.com",
                "+domain:xn--bcher-kva.example",
                "+domain:xn--fa-hia.example",
                "+domain:fass.example",
                "+domain:www.ideographic-dot.example",
                "+domain:hyphen-.example",
            ],
            issues: &[
                (8, 1, "more than one word"),
                (9, 1, "wildcard"),
                (10, 1, "begins with a dot"),
                (11, 1, "cannot be part of a host name"),
                (12, 1, "browser's filter"),
                (14, 1, "begins with -"),
                (29, 1, "internationalised"),
                (34, 1, "empty label"),
                (36, 1, "root"),
                (38, 1, "is an address"),
                (39, 1, "is an address"),
                (41, 1, "is an address"),
                (47, 1, "single label"),
                (48, 1, "has a port"),
                (50, 1, "is a URL"),
                (54, 3, "'%'"),
                (56, 1, "not UTF-8"),
            ],
            ..NONE
        },
    ),
    (
        "hosts-mixed.txt",
        Outcome {
            format: Format::Hosts,
            counts: (21, 8, 18),
            lines: &[
                "+domain:track.example.com",
                "+domain:c.example.org",
                "+domain:v6null.example.org",
                "+domain:zero.example.org",
                "+domain:-lead.example.org",
                "+domain:crlast.example",
                "+domain:no-newline-at-end.example",
            ],
            issues: &[
                (21, 9, "internationalised"),
                (22, 9, "not UTF-8"),
                (24, 9, "begins with a dot"),
                (25, 9, "wildcard"),
                (27, 9, "longer than 63"),
                (29, 9, "254 octets"),
                (30, 9, "is a URL"),
                (31, 13, "':'"),
                (32, 1, "an address and no name"),
                (33, 1, "real address"),
                (34, 1, "not an address"),
                (35, 9, "single label"),
                (36, 9, "public suffix"),
                (38, 9, "is an address"),
                (42, 12, "'\\0'"),
                (43, 12, "'\\u{1b}'"),
            ],
            ..NONE
        },
    ),
    ("hosts-empty.txt", Outcome { format: Format::Domains, counts: (0, 0, 0), lines: &[], issues: &[], ..NONE }),
    ("hosts-only-bom.txt", Outcome { format: Format::Domains, counts: (0, 0, 0), lines: &[], issues: &[], ..NONE }),
    ("hosts-only-comments.txt", Outcome { format: Format::Domains, counts: (0, 5, 0), lines: &[], issues: &[], ..NONE }),
    (
        "hosts-old-mac-cr-only.txt",
        Outcome { format: Format::Hosts, counts: (2, 1, 0), lines: &["+domain:a.example", "+domain:b.example"], issues: &[], ..NONE },
    ),
    ("truncated-download.txt", Outcome { format: Format::Domains, counts: (3, 1, 0), lines: &["+domain:b.example"], issues: &[], ..NONE }),
    (
        "one-line-2MiB.txt.zst",
        Outcome {
            format: Format::Domains,
            counts: (2, 0, 1),
            lines: &["+domain:a.example", "+domain:b.example"],
            issues: &[(2, 1, "too long")],
            ..NONE
        },
    ),
    (
        "abp-mixed.txt",
        Outcome {
            format: Format::Adblock,
            counts: (14, 8, 7),
            lines: &[
                "+subtree:example.com",
                "+subtree:example.net",
                "+subtree:opt.example",
                "+prefix:cdn.example/path/file.js",
                "+prefix:start.example/",
                "+url:example.com/ends",
                "+subtree:xn--bcher-kva.example",
                "+cidr:192.0.2.1/32",
                "+cidr:2001:db8::1/128",
                "+subtree:noclose.example",
                "+prefix:port.example:8080/",
                "+domain:hosts-in-abp.example",
                "+domain:plain-in-abp.example",
            ],
            issues: &[
                (16, 1, "switches another rule off"),
                (34, 1, "wildcard"),
                (38, 1, "single label"),
                (39, 1, "would match everything"),
                (40, 1, "would match everything"),
                (41, 1, "would match everything"),
                (42, 1, "would match everything"),
            ],
            left: &[
                ("!#include of another file", 1),
                ("exception", 2),
                ("pattern with wildcards", 3),
                ("regular expression", 3),
                ("rule for elements of pages", 5),
                ("rule for own or foreign requests ($third-party)", 1),
                ("rule for some clients ($client, $ctag)", 1),
                ("rule for some sites ($domain, $denyallow)", 2),
                ("rule for some sorts of requests ($script, $image)", 1),
                ("rule that changes pages or answers", 1),
                ("rule under a condition (!#if)", 2),
                ("rule with an option that is not known", 1),
            ],
        },
    ),
    (
        "urls-mixed.txt",
        Outcome {
            format: Format::Urls,
            counts: (33, 1, 14),
            lines: &[
                "+url:example.com/",
                "+url:example.com/a/c",
                "+url:example.com/a%2Fc",
                "+url:example.com/a/c?y=2&x=1",
                "+url:evil.example/a",
                "+url:127.0.0.1/",
                "+url:46.105.81.76/payload.exe",
                "+url:[::ffff:7f00:1]:8080/x",
                "+url:xn--bcher-kva.example/%C3%BC?q=%C3%BC",
                "+url:example.com/no-scheme/path",
            ],
            issues: &[
                (33, 1, "not a URL"),
                (35, 1, "no host"),
                (36, 1, "no host"),
                (37, 1, "scheme other than"),
                (38, 1, "not a URL"),
                (39, 1, "not a URL"),
                (40, 1, "before the path"),
                (42, 1, "no host"),
                (43, 1, "more than one word"),
                (44, 1, "more than one word"),
                (45, 1, "more than one word"),
                (46, 1, "control characters"),
                (47, 1, "4014 octets"),
                (48, 1, "8015 octets"),
            ],
            ..NONE
        },
    ),
    (
        "dnsmasq-mixed.conf",
        Outcome {
            format: Format::Dnsmasq,
            counts: (12, 2, 2),
            lines: &[
                "+subtree:ads.example",
                "+subtree:ads6.example",
                "+subtree:nx.example",
                "+subtree:nx2.example",
                "+subtree:a.example",
                "+subtree:b.example",
                "+subtree:c.example",
                "+subtree:local.example",
                "+subtree:local2.example",
                "+subtree:upper.example",
                "+subtree:xn--bcher-kva.example",
                "+subtree:indented.example",
            ],
            issues: &[(20, 1, "no name between slashes"), (21, 1, "no name between slashes")],
            left: &[
                ("answer with an address", 1),
                ("exception", 1),
                ("name asked of another server", 2),
                ("other setting", 4),
                ("pattern with wildcards", 1),
            ],
        },
    ),
    (
        "rpz-mixed.zone",
        Outcome {
            format: Format::Rpz,
            counts: (9, 6, 5),
            lines: &[
                "+subtree:nx.example",
                "+domain:nodata.example",
                "+domain:drop.example",
                "+domain:upper.example",
                "+cidr:192.0.2.1/32",
                "+cidr:2001:db8::1/128",
                "+domain:fqdn.example",
                "+domain:xn--bcher-kva.example",
                "+domain:multi.example",
            ],
            issues: &[
                (18, 1, "not in the zone"),
                (25, 1, "an escape"),
                (26, 1, "an escape"),
                (32, 1, "not a record"),
                (33, 1, "longer than 63"),
            ],
            left: &[
                ("$GENERATE", 1),
                ("$INCLUDE of another file", 1),
                ("answer with an address", 2),
                ("answer with another name", 1),
                ("exception", 2),
                ("record of another type", 1),
                ("rpz-tcp-only", 1),
                ("trigger rpz-client-ip", 1),
                ("trigger rpz-nsdname", 1),
                ("trigger rpz-nsip", 1),
            ],
        },
    ),
    // Files of a tree, each alone: without the name of a format they are lists of names, exactly those.
    (
        "squidguard-tree/ads/domains",
        Outcome {
            counts: (2, 0, 2),
            lines: &["+domain:ads.test"],
            issues: &[(2, 1, "begins with a dot"), (4, 1, "is an address")],
            ..NONE
        },
    ),
    ("squidguard-tree/ads/domains.diff", Outcome { counts: (0, 0, 2), issues: &[(1, 1, "'+'"), (2, 1, "begins with -")], ..NONE }),
    ("squidguard-tree/ads/expressions", Outcome { counts: (0, 0, 1), ..NONE }),
    ("squidguard-tree/mixed/domains", Outcome { counts: (3, 0, 0), lines: &["+domain:dup.test"], ..NONE }),
    ("squidguard-tree/empty/domains", NONE),
];

#[test]
fn every_handmade_file_has_its_outcome() {
    for (file, expected) in HANDMADE {
        let Some(bytes) = shared_data::load(&format!("torture/handmade/{file}")) else { return };
        let (lines, summary) = read(&bytes, &plain()).unwrap_or_else(|e| panic!("{file}: {e}"));
        assert_eq!(summary.format, Some(expected.format), "{file}");
        assert_eq!((summary.entries, summary.comments, summary.issues_total), expected.counts, "{file}: {:#?}", summary.issues);
        for line in expected.lines {
            assert!(lines.iter().any(|l| l == line), "{file}: no {line}");
        }
        for (line, column, reason) in expected.issues {
            let found = summary.issues.iter().find(|i| i.line == *line).unwrap_or_else(|| panic!("{file}: no issue on line {line}"));
            assert!(found.column == *column && found.reason.contains(reason), "{file}: {found:?}, expected {column} {reason}");
        }
        if matches!(expected.format, Format::Domains | Format::Hosts) {
            assert!(lines.iter().all(|line| line.starts_with("+domain:")), "{file}: only exact hosts come of it");
        }
        let left: Vec<(&str, u64)> = summary.left_out.iter().map(|(sort, left)| (sort.as_str(), left.count)).collect();
        assert_eq!(left, expected.left, "{file}");
    }
}

#[test]
fn files_that_are_no_lists_are_refused_whole() {
    for (file, reason) in [("not-a-list-captive-portal.html", "web page"), ("hosts-utf16le.txt", "UTF-16")] {
        let Some(bytes) = shared_data::load(&format!("torture/handmade/{file}")) else { return };
        for options in [plain(), as_format(Format::Domains), as_format(Format::Csv)] {
            let error = read(&bytes, &options).expect_err("refused").to_string();
            assert!(error.contains(reason), "{file}: {error}");
        }
    }
    // The rules above hold without the torture set too.
    assert!(matches!(read(b" \r\n<!doctype html>", &plain()), Err(ReadError::NotAList(_))));
    assert!(matches!(read(b"\x1f\x8b\x08\0", &plain()), Err(ReadError::Packed(_))));
}

/// The tree as a whole, as the archive that the command makes of it.
#[test]
fn the_tree_has_its_outcome() {
    let mut archive = tar::Builder::new(Vec::new());
    for file in ["ads/domains", "ads/domains.diff", "ads/expressions", "ads/urls", "empty/domains", "mixed/domains"] {
        let Some(bytes) = shared_data::load(&format!("torture/handmade/squidguard-tree/{file}")) else { return };
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, file, &bytes[..]).expect("memory takes it");
    }
    let (lines, summary) = read(&archive.into_inner().expect("memory takes it"), &plain()).expect("read");
    assert_eq!(
        lines,
        [
            "+subtree:ads.test\tcat=ads",
            "+subtree:www.sub.test\tcat=ads",
            "+cidr:192.0.2.5/32\tcat=ads",
            "+prefix:site.test/path/\tcat=ads",
            "+prefix:www.site.test/~user\tcat=ads",
            "+prefix:site.test:8080/x\tcat=ads",
            "+prefix:site.test/y\tcat=ads",
            "+subtree:dup.test\tcat=mixed",
            "+subtree:dup.test\tcat=mixed",
            "+subtree:ads.test\tcat=mixed",
        ]
    );
    let issues: Vec<(&str, u64, &str)> = summary.issues.iter().map(|i| (i.file.as_str(), i.line, i.text.as_str())).collect();
    assert_eq!(issues, [("ads/domains", 2, ".dot.test")]);
    let left: Vec<(&str, u64)> = summary.left_out.iter().map(|(sort, left)| (sort.as_str(), left.count)).collect();
    assert_eq!(left, [("file of changes (.diff)", 1), ("file of expressions", 1)]);
}

/// Targets of the lines of some kinds, as a set.
fn targets<'l>(lines: &'l [String], kinds: &[&str]) -> BTreeSet<&'l str> {
    lines.iter().filter_map(|line| line[1..].split_once(':')).filter(|(kind, _)| kinds.contains(kind)).map(|(_, target)| target).collect()
}

/// One list, one day, in twelve forms: what two forms can both say is the same.
#[test]
fn the_same_list_in_other_forms_is_the_same_list() {
    let load = |form: &str| shared_data::load(&format!("torture/real-same-list-12-formats/urlhaus-filter{form}.zst"));
    const NAMES: &[&str] = &["domain", "subtree"];
    /// File, format that is found, entries, issues, left out.
    const FORMS: [(&str, Format, u64, u64, u64); 11] = [
        ("-domains.txt", Format::Domains, 6_091, 128_129, 0),
        ("-hosts.txt", Format::Hosts, 6_091, 6, 0),
        ("-dnscrypt-blocked-names.txt", Format::Domains, 6_091, 6, 0),
        ("-bind.conf", Format::Bind, 6_091, 6, 0),
        ("-dnsmasq.conf", Format::Dnsmasq, 6_091, 6, 0),
        ("-rpz.conf", Format::Rpz, 6_091, 6, 0),
        ("-unbound.conf", Format::Unbound, 6_091, 6, 0),
        ("-agh.txt", Format::Adblock, 134_210, 10, 0),
        ("-ag.txt", Format::Adblock, 138_457, 13, 4),
        ("-vivaldi.txt", Format::Adblock, 138_457, 13, 4),
        // 0x5bf076a8 alone on a line may stand for anything.
        (".txt", Format::Adblock, 138_457, 8, 9),
    ];
    let Some(hosts) = load("-hosts.txt") else { return };
    let (hosts, _) = read(&hosts, &plain()).expect("hosts");
    let names = targets(&hosts, NAMES);
    assert_eq!(names.len(), 6_091);
    let Some(addresses) = load("-dnscrypt-blocked-ips.txt") else { return };
    let (addresses, summary) = read(&addresses, &as_format(Format::Firewall)).expect("addresses");
    assert_eq!((summary.entries, summary.issues_total), (128_119, 4));
    let addresses = targets(&addresses, &["cidr"]);
    let mut urls: Option<Vec<String>> = None;
    for (form, format, entries, issues, left) in FORMS {
        let Some(bytes) = load(form) else { return };
        // Most of one of them are addresses, alone on a line: by its lines it is a list of names.
        let options = if form == ".txt" { as_format(format) } else { plain() };
        let (lines, summary) = read(&bytes, &options).expect(form);
        let seen = (summary.format, summary.entries, summary.issues_total, summary.left_out_total());
        assert_eq!(seen, (Some(format), entries, issues, left), "{form}");
        assert!(targets(&lines, NAMES) == names, "{form} has other names");
        if format == Format::Adblock {
            assert!(targets(&lines, &["cidr"]) == addresses, "{form} has other addresses");
            let of_this: Vec<String> = targets(&lines, &["prefix", "url"]).into_iter().map(str::to_owned).collect();
            if !of_this.is_empty() {
                assert!(*urls.get_or_insert_with(|| of_this.clone()) == of_this, "{form} has other URLs");
            }
        }
        let octal = summary.issues.iter().find(|i| i.text.contains("0056.0151.0121.0114")).expect("the octal address");
        assert_eq!(octal.hint, "write cidr:46.105.81.76/32", "{form}");
    }
    assert!(urls.is_some_and(|urls| urls.len() > 4_000));
    let Some(wild) = load("-wildcard-2025.txt") else { return };
    let (none, summary) = read(&wild, &plain()).expect("wildcards");
    assert!(none.is_empty() && summary.issues_total == 25_768, "not without being asked");
    let (subtrees, summary) = read(&wild, &ReadOptions { wildcards: Wildcards::Subtree, ..plain() }).expect("wildcards");
    assert!(subtrees.iter().all(|line| line.starts_with("+subtree:")) && summary.entries + summary.issues_total == 25_768);
}

#[test]
fn a_million_real_names() {
    let Some(text) = shared_data::load("big/domains-1120k.txt.zst") else { return };
    let mut entries = 0_u64;
    let summary = formats::read::<ReadError>(&text[..], &plain(), |_| {
        entries += 1;
        Ok(())
    })
    .expect("read");
    println!("{summary:?}");
    assert_eq!(entries, summary.entries);
    assert_eq!(summary.lines, 1_120_582);
    assert!(summary.issues_total < 2_000 && summary.entries + summary.issues_total == summary.lines);
}
