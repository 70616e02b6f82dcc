//! What the foreign formats say, and what of it is taken.

use bwld::formats::{Exceptions, Format, ReadError, ReadOptions, Summary, Wildcards};

use super::{as_format, plain, read};

/// Entries of a file that must have no issues.
fn entries(format: Format, text: &str) -> Vec<String> {
    let (lines, summary) = read(text.as_bytes(), &as_format(format)).unwrap_or_else(|e| panic!("{text}: {e}"));
    assert_eq!(summary.issues, [], "{text}");
    lines
}

/// What a line alone becomes: its entries, or the sort of what was left out, or the reason of the issue.
fn outcome(format: Format, line: &str) -> String {
    let (lines, summary) = read(line.as_bytes(), &as_format(format)).unwrap_or_else(|e| panic!("{line}: {e}"));
    let left = summary.left_out.keys().map(|sort| format!("left out: {sort}"));
    lines.into_iter().chain(left).chain(summary.issues.into_iter().map(|i| format!("issue: {}", i.reason))).collect::<Vec<_>>().join(" ")
}

pub(super) fn table(format: Format, rows: &[(&str, &str)]) {
    for (line, expected) in rows {
        let outcome = outcome(format, line);
        let matches = if expected.starts_with('+') || expected.is_empty() { outcome == *expected } else { outcome.contains(expected) };
        assert!(matches, "{line}\n  became   {outcome}\n  expected {expected}");
    }
}

#[test]
fn adblock_rules_are_never_wider() {
    table(
        Format::Adblock,
        &[
            ("||a.example^", "+subtree:a.example"),
            ("||a.example^$all", "+subtree:a.example"),
            ("||a.example$document", "+subtree:a.example"),
            ("||a.example^$doc,popup", "+subtree:a.example"),
            ("||a.example^$important", "+subtree:a.example"),
            ("||A.example^*", "+subtree:a.example"),
            ("||a.example/x/$all", "+prefix:a.example/x/"),
            ("||a.example/x?y=1$all", "+prefix:a.example/x?y=1"),
            ("||a.example/x^", "+prefix:a.example/x"),
            ("||a.example/x*", "+prefix:a.example/x"),
            ("||a.example/x|", "+url:a.example/x"),
            ("||a.example/", "+prefix:a.example/"),
            ("||a.example:8080", "+prefix:a.example:8080/"),
            ("|https://a.example/x", "+prefix:a.example/x"),
            ("|http://a.example^", "+prefix:a.example/"),
            ("|https://a.example", "+prefix:a.example/"),
            ("|http://a.example^\n|https://a.example^", "+domain:a.example"),
            ("|http://a.example^\n@@|https://a.example^", "+prefix:a.example/ left out: exception"),
            ("|a.example^", "+domain:a.example"),
            ("a.example", "+domain:a.example"),
            ("192.0.2.1", "+cidr:192.0.2.1/32"),
            ("127.0.0.1 a.example b.example # c", "+domain:a.example +domain:b.example"),
            ("/^https?:\\/\\/a\\.example\\/x$/$match-case", "+url:a.example/x"),
            ("/^https?:\\/\\/a\\.example\\/x([\\/?&=]|$)/", "+prefix:a.example/x"),
            ("! c", ""),
            ("# c", ""),
            ("##### c", ""),
            ("[AdGuard]", ""),
            // Narrower or other than the pattern alone.
            ("||a.example^$third-party", "$third-party"),
            ("||a.example^$script", "$script"),
            ("||a.example^$~script", "$script"),
            ("||a.example^$all,~third-party", "$third-party"),
            ("||a.example^$popup", "sorts of requests"),
            ("||a.example^$document,domain=b.example", "$domain"),
            ("||a.example^$domain=/x$/", "left out: pattern"),
            ("||a.example^$removeparam=x", "changes pages"),
            ("||a.example^$badfilter", "issue: switches another rule off"),
            ("||a.example^$all,badfilter", "issue: switches another rule off"),
            ("@@||a.example^", "left out: exception"),
            ("@@||a.example^$elemhide", "changes pages"),
            ("a.example##.ad", "elements of pages"),
            ("##.ad", "elements of pages"),
            ("a.example#@#.ad", "elements of pages"),
            ("a.example#$?#body { x }", "elements of pages"),
            ("a.example$$script[x]", "elements of pages"),
            ("[$domain=a.example]##.ad", "elements of pages"),
            // Text that goes on: a name's or a path's beginning is no rule.
            ("||google.", "left out: pattern"),
            ("||google.com.", "left out: pattern"),
            ("|https://a.example.", "left out: pattern"),
            ("||a.example^|", "left out: pattern"),
            ("||a.example|", "left out: pattern"),
            ("||a.example/^", "left out: pattern"),
            ("||a.example/x?y=^", "left out: pattern"),
            ("||a.example^x", "left out: pattern"),
            ("||a.ex*mple^", "left out: pattern"),
            ("||a.example/x*y", "left out: pattern"),
            ("||a.example:443/x", "port that browsers do not write"),
            ("||a.example/x/..", "issue:"),
            ("||a.example/%2e%2E/", "issue:"),
            ("||a.example/x?", "issue:"),
            ("||a.example/#x", "issue:"),
            ("||user@a.example/x", "issue:"),
            ("-ad-banner.", "without an anchor"),
            ("/ads/", "regular expression"),
            ("a.example/ads", "without an anchor"),
            ("://a.example/", "without an anchor"),
            ("||co.uk^", "issue: \"co.uk\" is a public suffix"),
            ("||com^", "issue:"),
            ("||^", "issue:"),
            ("||", "issue:"),
            ("|", "issue:"),
            ("*", "issue:"),
            ("*$third-party", "$third-party"),
            ("@@", "issue:"),
        ],
    );
}

#[test]
fn conditions_leave_rules_out() {
    let text =
        "||a.example^\n!#if x\n||b.example^\n!#if y\n||c.example^\n!#endif\n||d.example^\n!#else\n||e.example^\n!#endif\n||f.example^\n";
    let (lines, summary) = read(text.as_bytes(), &as_format(Format::Adblock)).expect("read");
    assert_eq!(lines, ["+subtree:a.example", "+subtree:f.example"]);
    assert_eq!(summary.left_out["rule under a condition (!#if)"].count, 4);
    let (_, summary) = read(b"||a.example^\n!#if x\n||b.example^\n", &as_format(Format::Adblock)).expect("read");
    assert_eq!(summary.issues[0].line, 2);
}

#[test]
fn exceptions_alone_are_for_a_list_that_allows() {
    let only = |format, text: &str| {
        let options = ReadOptions { exceptions: Exceptions::Only, ..as_format(format) };
        read(text.as_bytes(), &options).map(|(lines, summary)| (lines.join(" "), summary.left_out))
    };
    for (format, text, expected) in [
        (
            Format::Adblock,
            "||a.example^\n@@||b.example^\n@@||c.example^$third-party\n@@d.example\n",
            "+subtree:b.example +domain:d.example",
        ),
        (Format::Rpz, "a.example CNAME .\nb.example CNAME rpz-passthru.\n*.b.example CNAME rpz-passthru.\n", "+subtree:b.example"),
        (Format::Rpz, "24.0.2.0.192.rpz-ip CNAME rpz-passthru.\nc.example CNAME c.example.\n", "+cidr:192.0.2.0/24 +domain:c.example"),
        (Format::Dnsmasq, "address=/a.example/\nserver=/b.example/#\n", "+subtree:b.example"),
        (Format::Unbound, "local-zone: a.example refuse\nlocal-zone: b.example always_transparent\n", "+subtree:b.example"),
    ] {
        let (lines, left) = only(format, text).expect("read");
        assert_eq!(lines, expected, "{format}");
        assert!(text.starts_with("24.") || left["rule that blocks"].count == 1, "{format}: {left:?}");
    }
    assert!(matches!(only(Format::Hosts, "0.0.0.0 a.example\n"), Err(ReadError::NoExceptions(Format::Hosts))));
    let detected = ReadOptions { exceptions: Exceptions::Only, ..plain() };
    assert!(matches!(read(b"a.example\n", &detected), Err(ReadError::NoExceptions(Format::Domains))));
}

#[test]
fn zones_need_to_say_what_names_are_relative_to() {
    let soa = "@ SOA . . 1 1 1 1 1\n";
    for (text, expected) in [
        ("a.example CNAME .\n".to_owned(), "+domain:a.example"),
        (format!("{soa}a.example CNAME .\n"), "+domain:a.example"),
        (format!("$ORIGIN rpz.test.\n{soa}a.example CNAME .\nb.example.rpz.test. CNAME .\n"), "+domain:a.example +domain:b.example"),
        (
            format!("$ORIGIN rpz.test.\n{soa}$ORIGIN example.rpz.test.\na CNAME .\n@ CNAME .\n$ORIGIN x\nb CNAME .\n"),
            "+domain:a.example +domain:b.x.example issue: \"example\" is a single label",
        ),
        ("rpz.test. 60 IN SOA . . (1\n 1 1 1 1)\na.example.RPZ.test. IN 60 CNAME .\n".to_owned(), "+domain:a.example"),
        // The zone's name is not known: nothing under $ORIGIN can be told.
        (format!("{soa}$ORIGIN uk.rpz.test.\nfoo.co CNAME .\n"), "issue: it cannot be told"),
        ("$ORIGIN rpz.test.\na.example CNAME .\n".to_owned(), "issue: it cannot be told"),
        (format!("{soa}a.example.rpz.test. CNAME .\n"), "issue: it cannot be told"),
        (format!("$ORIGIN rpz.test.\n{soa}xrpz.test. CNAME .\n"), "issue: a name that is not in the zone"),
        ("* CNAME .\n".to_owned(), "issue: the root"),
        ("*.a.example CNAME .\n".to_owned(), "left out: wildcard without the name itself"),
        ("*.a.example CNAME .\na.example CNAME *.\n".to_owned(), "+subtree:a.example"),
        ("a.example CNAME .\n*.a.example CNAME rpz-passthru.\n".to_owned(), "+domain:a.example left out: exception"),
        ("a.example A 0.0.0.0\na.example AAAA ::\n*.a.example A 0.0.0.0\n*.a.example AAAA ::\n".to_owned(), "+subtree:a.example"),
        ("co.uk CNAME .\n*.co.uk CNAME .\n".to_owned(), "issue: \"co.uk\" is a public suffix"),
        ("0.0.0.0.0.rpz-ip CNAME .\n".to_owned(), "issue: \"0.0.0.0/0\" is too wide"),
        ("24.1.2.0.192.rpz-ip CNAME .\n".to_owned(), "issue:"),
        ("48.zz.db8.2001.rpz-ip CNAME .\n".to_owned(), "+cidr:2001:db8::/48"),
        ("a.example ( CNAME\n\n ; c\n . )\n".to_owned(), "+domain:a.example"),
        ("a.example ( CNAME\n".to_owned(), "issue: the file ends inside"),
        ("a.example CNAME . )\n".to_owned(), "issue: a parenthesis"),
        ("a.example TXT \"x\n".to_owned(), "issue: a quote"),
        ("a.example CNAME\n".to_owned(), "issue: not a record"),
        (" CNAME .\n".to_owned(), ""),
    ] {
        let seen = outcome(Format::Rpz, &text);
        assert!(seen == expected || (expected.contains("issue") && seen.starts_with(expected)), "{text}\n  {seen}\n  {expected}");
    }
    let endless = format!("a.example (\n{}b.example CNAME .\n", "x\n".repeat(200));
    let (lines, summary) = read(endless.as_bytes(), &as_format(Format::Rpz)).expect("read");
    assert!(summary.issues[0].reason.contains("does not end") && lines == ["+domain:b.example"], "{lines:?} {summary:?}");
}

#[test]
fn wildcards_are_subtrees_if_it_is_said() {
    for (format, text) in [
        (Format::Rpz, "*.a.example CNAME .\n"),
        (Format::Adblock, "||*.a.example^\n"),
        (Format::Subtrees, "*.a.example\n"),
        (Format::Subtrees, ".a.example\n"),
    ] {
        let refused = read(text.as_bytes(), &as_format(format)).expect("read");
        assert!(refused.0.is_empty(), "{format}");
        let (lines, _) = read(text.as_bytes(), &ReadOptions { wildcards: Wildcards::Subtree, ..as_format(format) }).expect("read");
        assert_eq!(lines, ["+subtree:a.example"], "{format}");
    }
}

#[test]
fn settings_of_resolvers() {
    table(
        Format::Unbound,
        &[
            ("server:", ""),
            ("local-zone: \"a.example.\" always_nxdomain # c", "+subtree:a.example"),
            ("local-zone: 'a.example' static", "+subtree:a.example"),
            ("  local-zone: a.example deny", "+subtree:a.example"),
            ("local-data: \"a.example 60 IN A 0.0.0.0\"", "+domain:a.example"),
            ("local-data: 'a.example. AAAA ::'", "+domain:a.example"),
            ("local-zone: a.example redirect\nlocal-data: \"a.example. A 0.0.0.0\"", "+subtree:a.example"),
            ("local-zone: a.example redirect\nlocal-data: \"a.example CNAME safe.example\"", "left out: redirected zone"),
            (
                "local-zone: a.example redirect\nlocal-data: \"a.example A 0.0.0.0\"\nlocal-data: \"a.example AAAA 2001:db8::1\"",
                "left out: redirected",
            ),
            ("local-zone: a.example redirect", "left out: redirected zone"),
            ("local-zone: a.example transparent", "left out: zone of another type"),
            ("local-zone: a.example always_transparent", "left out: exception"),
            ("local-zone: . refuse", "issue:"),
            ("local-zone: a.example", "issue:"),
            ("local-data: \"a.example A 192.0.2.1\"", "left out: answer with an address"),
            ("local-data: \"a.example TXT x\"", "left out: record of another type"),
            ("do-ip6: no", "left out: other setting"),
            ("a.example", "issue:"),
        ],
    );
    table(
        Format::Dnsmasq,
        &[
            ("address=/a.example/", "+subtree:a.example"),
            ("address = /a.example/#", "+subtree:a.example"),
            ("local=/a.example/b.example/", "+subtree:a.example +subtree:b.example"),
            ("server=/a.example/", "+subtree:a.example"),
            ("address=/#/", "issue: the root"),
            ("address=//", "names without a dot"),
            ("address=/com/", "issue:"),
            ("address=/*.a.example/", "issue:"),
            ("address=/*a.example/", "left out: pattern"),
            ("address=/a.example/192.0.2.1", "left out: answer"),
            ("server=192.0.2.1", "left out: other setting"),
            ("conf-file=/etc/x", "left out: other setting"),
            ("", ""),
        ],
    );
    table(
        Format::Bind,
        &[
            ("zone \"a.example\" { type master; notify no; file \"null\"; };", "+subtree:a.example"),
            ("zone \"a.example\" {type primary;};", "+subtree:a.example"),
            ("zone \"a.example\" { type forward; forwarders { 192.0.2.1; }; };", "left out: zone of another type"),
            ("zone \".\" { type master; };", "issue:"),
            ("zone \"a.example\" {", "issue: a zone over several lines"),
            ("// c", ""),
        ],
    );
}

#[test]
fn files_of_categories() {
    assert_eq!(
        entries(Format::Subtrees, "a.example\n192.0.2.1\n[2001:db8::1]\n# c\n"),
        ["+subtree:a.example", "+cidr:192.0.2.1/32", "+cidr:2001:db8::1/128"]
    );
    table(
        Format::Prefixes,
        &[
            ("a.example/x", "+prefix:a.example/x"),
            ("http://a.example/x/~y", "+prefix:a.example/x/~y"),
            ("a.example", "+prefix:a.example/"),
            ("a.example/x/../y", "issue:"),
            ("a.example/x y", "issue: more than one word"),
            ("com/", "issue:"),
        ],
    );
}

/// Archives made here, of any headers.
mod archives {
    use super::*;

    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, path, *content).expect("memory takes it");
        }
        builder.into_inner().expect("memory takes it")
    }

    fn tree(files: &[(&str, &[u8])]) -> (Vec<String>, Summary) {
        read(&archive(files), &plain()).expect("read")
    }

    #[test]
    fn folders_are_categories() {
        let (lines, summary) = tree(&[
            ("./ads/domains", b"a.example\n192.0.2.1\nco.uk\n"),
            ("ads/urls", b"b.example/x/\n"),
            ("ads/expressions", b"x\n"),
            ("ads/domains.diff", b"+c.example\n"),
            ("blacklists/Games/Online/domains", b"d.example"),
            ("bad name/domains", b"e.example\n"),
            ("domains", b"f.example\n"),
            ("README", b"x\n"),
        ]);
        assert_eq!(summary.format, Some(Format::Tree));
        assert_eq!(
            lines,
            [
                "+subtree:a.example\tcat=ads",
                "+cidr:192.0.2.1/32\tcat=ads",
                "+prefix:b.example/x/\tcat=ads",
                "+subtree:d.example\tcat=games.online",
                "+subtree:f.example"
            ]
        );
        assert_eq!(summary.lines, 6);
        let issues: Vec<(&str, u64)> = summary.issues.iter().map(|i| (i.file.as_str(), i.line)).collect();
        assert_eq!(issues, [("ads/domains", 3), ("bad name/domains", 1)]);
        let left: Vec<&str> = summary.left_out.keys().map(String::as_str).collect();
        assert_eq!(left, ["file of changes (.diff)", "file of expressions", "other file in the archive"]);
        let options = ReadOptions { only: vec!["games".parse().expect("code")], ..plain() };
        let files: [(&str, &[u8]); 2] = [("ads/domains", b"a.example\n"), ("games/domains", b"b.example\n")];
        assert_eq!(read(&archive(&files), &options).expect("read").0, ["+subtree:b.example\tcat=games"]);
    }

    #[test]
    fn long_names_and_links() {
        let long = format!("{}/domains", "x/".repeat(80));
        let (lines, summary) = tree(&[(&long, b"a.example\n"), ("ok/domains", b"b.example\n")]);
        assert_eq!((lines, summary.issues_total), (vec!["+subtree:b.example\tcat=ok".to_owned()], 1));
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        builder.append_link(&mut header, "ads/domains", "/etc/passwd").expect("memory takes it");
        let (lines, summary) = read(&builder.into_inner().expect("memory"), &plain()).expect("read");
        assert!(lines.is_empty() && summary.left_out["link or special file in the archive"].count == 1);
    }

    #[test]
    fn damage_is_an_error_and_headers_cost_nothing() {
        let whole = archive(&[("ads/domains", &b"a.example\n".repeat(200))]);
        for cut in [600, 1_000, 2_000] {
            let error = read(&whole[..cut], &plain()).expect_err("cut off");
            assert!(matches!(error, ReadError::Archive(_)), "{cut}: {error}");
        }
        let mut flipped = whole.clone();
        flipped[0] ^= 1;
        assert!(matches!(read(&flipped, &plain()), Err(ReadError::Archive(_))));
        // A long name of a gigabyte.
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::GNULongName);
        header.set_size(1 << 30);
        header.set_path("././@LongLink").expect("short");
        header.set_cksum();
        let input = [header.as_bytes().as_slice(), &[b'x'; 10_000]].concat();
        assert!(matches!(read(&input, &plain()), Err(ReadError::Archive(reason)) if reason.contains("too large")));
        assert!(matches!(read(b"a.example\n", &as_format(Format::Tree)), Err(ReadError::Archive(_))));
        assert!(matches!(read(&whole, &as_format(Format::Domains)), Err(ReadError::Packed("a tar archive"))));
    }
}
