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
        ExportFormat::Json => black(ExportFormat::Ndjson),
        ExportFormat::Csv => [
            "domain:a.example,ads,,,,,",
            "subtree:b.example,,,,,,",
            "url:c.example/Path?q=1,,,,,,",
            "prefix:d.example:8080/p/,,,,,,",
            "cidr:192.0.2.0/24,,,,,,",
        ],
        ExportFormat::Domains | ExportFormat::PfblockerngDomains => ["a.example", "", "", "", ""],
        ExportFormat::Urls => ["", "", "c.example/Path?q=1", "", ""],
        ExportFormat::Addresses
        | ExportFormat::FortinetAddresses
        | ExportFormat::PaloaltoAddresses
        | ExportFormat::PfblockerngAddresses => ["", "", "", "", "192.0.2.0/24"],
        ExportFormat::Dnsmasq => ["host-record=a.example,0.0.0.0,::", "address=/b.example/", "", "", ""],
        ExportFormat::DnsmasqServers => ["", "server=/b.example/", "", "", ""],
        ExportFormat::Unbound => [
            "local-data: \"a.example. 60 A 0.0.0.0\"\nlocal-data: \"a.example. 60 AAAA ::\"",
            "local-zone: \"b.example.\" always_nxdomain",
            "",
            "",
            "",
        ],
        ExportFormat::Rpz => ["a.example CNAME .", "b.example CNAME .\n*.b.example CNAME .", "", "", "24.0.2.0.192.rpz-ip CNAME ."],
        ExportFormat::Blocky => ["a.example", "*.b.example", "", "", ""],
        ExportFormat::SquidDomains => ["a.example", ".b.example", "", "", ""],
        ExportFormat::SquidUrls => ["", "", r"^https?://c\.example/Path\?q=1$", r"^https?://d\.example:8080/p/", ""],
        ExportFormat::SquidguardUrls | ExportFormat::E2guardianUrls => ["", "", "", "", ""],
        ExportFormat::Nginx => ["a.example black;", ".b.example black;", "", "", ""],
        ExportFormat::NginxUrls => {
            ["", "", r#""~^https?://c\.example/Path\?q=1$" black;"#, r#""~^https?://d\.example:8080/p/" black;"#, ""]
        }
        ExportFormat::NginxAddresses => ["", "", "", "", "192.0.2.0/24 black;"],
        ExportFormat::Haproxy => ["a.example black", ".b.example black", "", "", ""],
        ExportFormat::HaproxyUrls => ["", "", "c.example/Path?q=1 black", "", ""],
        ExportFormat::HaproxyPrefixes => ["", "", "", "d.example:8080/p/ black", ""],
        ExportFormat::HaproxyAddresses => ["", "", "", "", "192.0.2.0/24 black"],
        ExportFormat::Nftables => ["", "", "", "", "add element inet bwld v4-test { 192.0.2.0/24 }"],
        ExportFormat::Ipset => ["", "", "", "", "add test-n4 192.0.2.0/24 -exist"],
        ExportFormat::FortinetDomains | ExportFormat::PaloaltoDomains => ["a.example", "b.example\n*.b.example", "", "", ""],
        ExportFormat::PaloaltoUrls => ["a.example/", "b.example/\n*.b.example/", "", "", ""],
        ExportFormat::Checkpoint => {
            ["test-1,a.example,Domain,high,high,AB,", "", "", "", "test-1,192.0.2.0-192.0.2.255,IP Range,high,high,AB,"]
        }
        ExportFormat::Mikrotik => [
            r#"/ip dns static add name="a.example" type=NXDOMAIN comment="bwld-test""#,
            r#"/ip dns static add name="b.example" type=NXDOMAIN match-subdomain=yes comment="bwld-test""#,
            "",
            "",
            r#"/ip firewall address-list add list="test" address=192.0.2.0/24"#,
        ],
        ExportFormat::ChromiumPolicy => {
            [r#"".a.example""#, r#""b.example""#, "", "\"http://.d.example:8080/p/\",\n\"https://.d.example:8080/p/\"", ""]
        }
        ExportFormat::FirefoxPolicy => [r#""*://a.example/*""#, r#""*://*.b.example/*""#, "", "", ""],
        ExportFormat::Pac => [r#""a.example":1,"#, r#""b.example":2,"#, "", "", ""],
        ExportFormat::Subtrees | ExportFormat::SquidguardDomains | ExportFormat::E2guardianSites => ["", "b.example", "", "", ""],
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
        ExportFormat::Dnsmasq => ["", "server=/b.example/#", "", "", ""],
        ExportFormat::DnsmasqServers => ["", "server=/b.example/#", "", "", ""],
        ExportFormat::Unbound => ["", "local-zone: \"b.example.\" always_transparent", "", "", ""],
        ExportFormat::Rpz => [
            "a.example CNAME rpz-passthru.",
            "b.example CNAME rpz-passthru.\n*.b.example CNAME rpz-passthru.",
            "",
            "",
            "24.0.2.0.192.rpz-ip CNAME rpz-passthru.",
        ],
        ExportFormat::Nginx => ["a.example white;", ".b.example white;", "", "", ""],
        ExportFormat::NginxUrls => {
            ["", "", r#""~^https?://c\.example/Path\?q=1$" white;"#, r#""~^https?://d\.example:8080/p/" white;"#, ""]
        }
        ExportFormat::NginxAddresses => ["", "", "", "", "192.0.2.0/24 white;"],
        ExportFormat::Haproxy => ["a.example white", ".b.example white", "", "", ""],
        ExportFormat::HaproxyUrls => ["", "", "c.example/Path?q=1 white", "", ""],
        ExportFormat::HaproxyPrefixes => ["", "", "", "d.example:8080/p/ white", ""],
        ExportFormat::HaproxyAddresses => ["", "", "", "", "192.0.2.0/24 white"],
        ExportFormat::Mikrotik => ["", "", "", "", black(format)[4]],
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
                lines.retain(|line| !frame.contains(line) && !line.starts_with("{\"list\"") && !line.starts_with("],\"written\""));
                assert_eq!(lines.join("\n"), row, "{format} {colour} {entry}");
                assert_eq!((report.entries, report.written), (1, u64::from(!row.is_empty())), "{format} {entry}");
                if row.is_empty() {
                    let left: Vec<_> = report.left_out().map(|(kind, _, count)| (kind, count)).collect();
                    assert_eq!(left, [(kind, 1)], "{format} {entry}");
                    assert!(format.says(kind) != Says::All || report.left(Why::Colour) == 1, "{format} {entry}");
                } else {
                    assert_eq!(report.rules, row.lines().count() as u64, "{format} {entry}");
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

/// What only some rules of a kind can say: the very lines, or why not.
#[test]
fn what_is_said_in_part_is_said_exactly() {
    let any = ExportOptions { any_spelling: true, ..ExportOptions::default() };
    let none = ExportOptions::default();
    for (format, options, entry, expected) in [
        (ExportFormat::SquidguardUrls, &any, "prefix:a.example/p/", Ok("a.example/p/")),
        (ExportFormat::SquidguardUrls, &none, "prefix:a.example/p/", Err(Why::Case)),
        (ExportFormat::SquidguardUrls, &any, "prefix:a.example/p", Err(Why::Boundary)),
        (ExportFormat::SquidguardUrls, &any, "prefix:a.example:81/p/", Err(Why::Port)),
        (ExportFormat::E2guardianUrls, &any, "prefix:www2.a.example/p/", Err(Why::Text)),
        (ExportFormat::SquidUrls, &none, "prefix:a.example/p", Ok(r"^https?://a\.example/p([/?&=]|$)")),
        (ExportFormat::SquidUrls, &none, "url:[2001:db8::1]/a+b", Ok(r"^https?://\[2001:db8::1\]/a\+b$")),
        (ExportFormat::Adblock, &none, "prefix:a.example/p", Ok(r"/^https?:\/\/a\.example\/p([\/?&=]|$)/$match-case")),
        (ExportFormat::NginxUrls, &none, "url:a.example/p?\\", Err(Why::Text)),
        (ExportFormat::HaproxyPrefixes, &none, "prefix:a.example/p", Err(Why::Boundary)),
        (ExportFormat::ChromiumPolicy, &none, "prefix:a.example/p?q=", Err(Why::Query)),
        (ExportFormat::ChromiumPolicy, &none, "prefix:a.example/p", Err(Why::Boundary)),
        (ExportFormat::ChromiumPolicy, &none, "prefix:192.0.2.1/", Ok("\"http://192.0.2.1:80/\",\n\"https://192.0.2.1:443/\"")),
        (ExportFormat::Checkpoint, &none, "cidr:2001:db8::/32", Err(Why::Address)),
        (ExportFormat::Checkpoint, &none, "cidr:192.0.2.1/32", Ok("test-1,192.0.2.1,IP,high,high,AB,")),
        (ExportFormat::Nftables, &none, "cidr:2001:db8::/32", Ok("add element inet bwld v6-test { 2001:db8::/32 }")),
        (ExportFormat::Ipset, &none, "cidr:2001:db8::/32", Ok("add test-n6 2001:db8::/32 -exist")),
        (ExportFormat::Mikrotik, &none, "cidr:2001:db8::/32", Ok(r#"/ipv6 firewall address-list add list="test" address=2001:db8::/32"#)),
        (ExportFormat::Rpz, &none, "cidr:2001:db8::/32", Ok("32.zz.db8.2001.rpz-ip CNAME .")),
        (ExportFormat::Hosts, &none, "domain:a.example\tact=log", Err(Why::Action)),
        (ExportFormat::Hosts, &none, "domain:a.example\tact=block", Ok("0.0.0.0 a.example\n:: a.example")),
    ] {
        let (text, report) = exported(format, options, Colour::Black, &[entry]);
        let frame = frame(format, Colour::Black);
        let mut lines = body(format, &text);
        lines.retain(|line| !frame.contains(line));
        match expected {
            Ok(expected) => assert_eq!(lines.join("\n"), expected, "{format} {entry}"),
            Err(why) => {
                assert!(lines.is_empty(), "{format} {entry}: {lines:?}");
                assert_eq!(report.left(why), 1, "{format} {entry}");
            }
        }
    }
}

#[test]
fn a_name_too_long_for_a_zone_is_left_out() {
    let name = format!("domain:{0}.{0}.{0}.example", "a".repeat(63));
    let (_, report) = exported(ExportFormat::Rpz, &ExportOptions::default(), Colour::Black, &[&name]);
    assert_eq!(report.left(Why::Text), 1);
}
