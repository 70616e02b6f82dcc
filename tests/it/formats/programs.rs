//! Files of programs and registers: proxies, firewalls, policies, JSON, XML.

use bwld::formats::{Format, ReadError, ReadOptions, Wildcards, XmlNames};

use super::foreign::table;
use super::{as_format, plain, read};

#[test]
fn proxies() {
    table(
        Format::Dstdomain,
        &[
            (".a.example", "+subtree:a.example"),
            ("a.example", "+domain:a.example"),
            ("192.0.2.1", "+cidr:192.0.2.1/32"),
            ("*.a.example", "left out: wildcard"),
            (".co.uk", "issue: \"co.uk\" is a public suffix"),
            (".", "issue:"),
            ("..a.example", "issue:"),
            ("# c", ""),
        ],
    );
    table(
        Format::Urls,
        &[
            ("http://a.example/x", "+url:a.example/x"),
            ("a.example/x", "+url:a.example/x"),
            ("^https?://a\\.example/x$", "+url:a.example/x"),
            ("^https?://a\\.example/x([/?&=]|$)", "+prefix:a.example/x"),
            ("^https?://a\\.example/x/../y", "left out: regular expression"),
            ("^https?://a\\.example/x/\\.\\./y", "issue:"),
            ("^https?://.*", "left out: regular expression"),
            ("ftp://a.example/", "issue:"),
        ],
    );
    table(
        Format::Nginx,
        &[
            ("map $host $blocked {", ""),
            ("    hostnames;", ""),
            ("default 0;", ""),
            ("default 1;", "issue: everything that is not named"),
            (".a.example 1;", "+subtree:a.example"),
            ("\"a.example\" 1; # c", "+domain:a.example"),
            ("a.example \"black\";", "+domain:a.example"),
            ("*.a.example 1;", "left out: wildcard"),
            ("a.example 0;", "left out: exception"),
            ("\"~^https?://a\\.example/x$\" 1;", "+url:a.example/x"),
            ("~a.example 1;", "left out: regular expression"),
            ("a.example/x 1;", "+url:a.example/x"),
            ("192.0.2.0/24 1;", "+cidr:192.0.2.0/24"),
            ("include other.map;", "left out: other setting"),
            ("a.example 1; b.example 1;", "issue: more than one setting"),
            ("a.example 1", "issue: no key and value"),
            ("}", ""),
        ],
    );
    table(
        Format::Haproxy,
        &[
            ("a.example 1", "+domain:a.example"),
            ("a.example", "+domain:a.example"),
            ("a.example 0", "left out: exception"),
            (".a.example 1", "issue: \".a.example\" begins with a dot"),
            ("192.0.2.0/24 1", "+cidr:192.0.2.0/24"),
            ("a.example/x 1", "+url:a.example/x"),
            ("# c", ""),
        ],
    );
}

#[test]
fn firewalls() {
    table(
        Format::Firewall,
        &[
            ("a.example", "+domain:a.example"),
            ("a.example/x", "+url:a.example/x"),
            ("192.0.2.1", "+cidr:192.0.2.1/32"),
            ("2001:db8::/32", "+cidr:2001:db8::/32"),
            ("192.0.2.4-192.0.2.11", "+cidr:192.0.2.4/30 +cidr:192.0.2.8/30"),
            ("192.0.2.255 - 192.0.3.0", "+cidr:192.0.2.255/32 +cidr:192.0.3.0/32"),
            ("2001:db8::-2001:db8::ffff", "+cidr:2001:db8::/112"),
            ("0.0.0.0-255.255.255.255", "issue: \"0.0.0.0/0\" is too wide"),
            ("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "issue: \"::/0\" is too wide"),
            ("192.0.2.9-192.0.2.1", "issue: a range that ends"),
            ("192.0.2.1-2001:db8::1", "issue: a range that ends"),
            ("0.0.0.0/0", "issue:"),
            ("*.a.example", "issue:"),
            ("a.example\n*.a.example", "+subtree:a.example"),
            ("a.example\n*.b.example", "+domain:a.example issue: \"*.b.example\" has a wildcard"),
            ("b.example\na.example\n*.a.example", "+domain:b.example +subtree:a.example"),
        ],
    );
    table(
        Format::Mikrotik,
        &[
            ("/ip firewall address-list\nadd list=x address=192.0.2.1 comment=\"y z\"", "+cidr:192.0.2.1/32"),
            ("/ip firewall address-list add list=\"x\" address=a.example", "+domain:a.example"),
            ("/ip dns static add name=\"a.example\" type=NXDOMAIN match-subdomain=yes", "+subtree:a.example"),
            ("/ip dns static\nadd name=a.example address=0.0.0.0", "+domain:a.example"),
            ("/ip dns static add name=a.example address=192.0.2.1", "left out: answer with an address"),
            ("/ip dns static add regexp=\".*\" address=0.0.0.0", "left out: regular expression"),
            ("/ip firewall address-list remove [find list=\"x\"]", ""),
            ("add list=x", "issue:"),
        ],
    );
    table(
        Format::PaloaltoUrls,
        &[
            ("a.example/", "+domain:a.example"),
            ("a.example/\n*.a.example/", "+subtree:a.example"),
            ("a.example/x", "+url:a.example/x"),
            ("a.example", "+url:a.example/"),
            ("*.a.example/", "issue:"),
        ],
    );
    table(
        Format::Checkpoint,
        &[
            ("x,a.example,Domain,high,high,AB,", "+domain:a.example"),
            ("x,192.0.2.0-192.0.2.255,IP Range", "+cidr:192.0.2.0/24"),
            ("x,00112233445566778899aabbccddeeff,MD5", "left out: indicator of another type"),
            ("x", "issue:"),
        ],
    );
    let pac = "var listed = {\n\"a.example\":1,\n\".\":0};\nvar yes = \"DIRECT\", no = \"PROXY 127.0.0.1:9\";\n";
    assert!(read(pac.as_bytes(), &as_format(Format::Pac)).is_err(), "it allows");
    assert!(read(&pac.as_bytes()[..40], &as_format(Format::Pac)).is_err(), "it is cut off");
    table(
        Format::Ipset,
        &[
            ("create x hash:net family inet", ""),
            ("add x 192.0.2.0/24", "+cidr:192.0.2.0/24"),
            ("add x 192.0.2.1 timeout 60 comment \"y\"", "+cidr:192.0.2.1/32"),
            ("add x 192.0.2.1-192.0.2.2", "+cidr:192.0.2.1/32 +cidr:192.0.2.2/32"),
            ("add x 192.0.2.1 nomatch", "left out: exception"),
            ("add x 192.0.2.1,tcp:80", "left out: element with ports"),
            ("del x 192.0.2.1", "left out: element taken out"),
            ("add x", "issue:"),
            ("x", "issue:"),
        ],
    );
    table(
        Format::Nft,
        &[
            ("add element inet t s { 192.0.2.1, 192.0.2.8-192.0.2.11 }", "+cidr:192.0.2.1/32 +cidr:192.0.2.8/30"),
            (
                "table inet t {\n set s {\n type ipv4_addr\n flags interval\n elements = { 192.0.2.0/24,\n 198.51.100.1 timeout 1h }\n }\n}",
                "+cidr:192.0.2.0/24 +cidr:198.51.100.1/32",
            ),
            ("delete element inet t s { 192.0.2.1 }\nadd element inet t s {192.0.2.2}", "+cidr:192.0.2.2/32 left out: element taken out"),
            ("add element inet t s { 192.0.2.1 comment \"x, 192.0.2.9, # y\", 192.0.2.2 } # c", "+cidr:192.0.2.1/32 +cidr:192.0.2.2/32"),
            ("add element inet t s { 192.0.2.1 . 80 }", "left out: element with ports"),
            ("add element inet t s { 192.0.2.1 : drop }", "left out: element with ports"),
            ("add element inet t s { 22, ssh }", "left out: element that is no address"),
            ("add rule inet t c ip saddr { 192.0.2.1 } drop", ""),
            ("add element inet t s { 192.0.2.1,", "+cidr:192.0.2.1/32 issue: the file ends inside elements"),
        ],
    );
}

#[test]
fn ranges_cover_exactly_their_addresses() {
    for (first, last) in [(0_u32, 0), (1, 1000), (7, 8), (255, 256), (0xffff_fff0, u32::MAX), (0x0a00_0001, 0x0b00_0000)] {
        let text = format!("{}-{}", std::net::Ipv4Addr::from(first), std::net::Ipv4Addr::from(last));
        let (lines, summary) = read(text.as_bytes(), &as_format(Format::Firewall)).expect("read");
        assert_eq!(summary.issues, [], "{text}");
        let mut next = u64::from(first);
        for line in lines {
            let (address, length) = line.strip_prefix("+cidr:").and_then(|r| r.split_once('/')).expect("a range");
            assert_eq!(u64::from(u32::from(address.parse::<std::net::Ipv4Addr>().expect("an address"))), next);
            next += 1 << (32 - length.parse::<u32>().expect("a length"));
        }
        assert_eq!(next, u64::from(last) + 1, "{text}");
    }
}

#[test]
fn json_in_lines_and_as_a_document() {
    let own = "{\"list\":\"x\",\"colour\":\"black\",\"serial\":3}\n\
        {\"rule\":\"domain:a.example\",\"cat\":[\"x\",\"y\"],\"age\":16,\"act\":\"warn\",\"exp\":\"2030-01-31\"}\n\
        {\"domain\":\"b.example\",\"scope\":\"subtree\",\"more\":1}\n\"c.example/x\"\n[1]\n{\"rule\":\"domain:d.example\",\"cat\":\"BAD CODE!\"}\n{\"cut";
    let (lines, summary) = read(own.as_bytes(), &plain()).expect("read");
    assert_eq!(summary.format, Some(Format::Ndjson));
    assert_eq!(lines, ["+domain:a.example\tcat=x,y\tage=16\tact=warn\texp=2030-01-31", "+subtree:b.example", "+url:c.example/x"]);
    assert_eq!(summary.issues.iter().map(|i| i.line).collect::<Vec<_>>(), [5, 6, 7]);
    assert_eq!(summary.left_out["member that is not known"].count, 1);
    table(
        Format::Json,
        &[
            ("[\"a.example\", \"subtree:b.example\", \"192.0.2.1\"]", "+domain:a.example +subtree:b.example +cidr:192.0.2.1/32"),
            ("{\"title\":{\"x\":[\"no.example\"]},\"entries\":[{\"url\":\"http://a.example/x\"}]}", "+url:a.example/x"),
            ("[{\"domain\":\"a.example\",\"url\":\"b.example/\"}]", "issue: two members for one thing"),
            ("{\"error\":\"x\"}", "issue: no list in it"),
            ("[[\"a.example\"]]", "issue:"),
            ("[null, 3]", "issue:"),
            (
                "{\"URLBlocklist\":[\"a.example\",\".b.example\",\"https://c.example\",\".d.example/x\",\"e.example:8080\",\"192.0.2.1\"]}",
                "+subtree:a.example +domain:b.example +prefix:c.example/ +prefix:d.example/x +prefix:e.example:8080/ +cidr:192.0.2.1/32",
            ),
            ("{\"URLBlocklist\":[\"*\"]}", "issue: the root"),
            ("{\"URLBlocklist\":[\"a.example/x?y=1\"]}", "left out: pattern"),
            ("{\"URLBlocklist\":[\"javascript://*\"]}", "left out: pattern"),
            ("{\"URLAllowlist\":[\"a.example\"]}", "left out: exception"),
            (
                "{\"policies\":{\"WebsiteFilter\":{\"Block\":[\"*://*.a.example/*\",\"*://b.example/*\",\"*://c.example/x*\",\"*://d.example/x\",\"https://*.e.example/*\"],\"Exceptions\":[\"*://*.f.example/*\"]}}}",
                "+subtree:a.example +domain:b.example +prefix:c.example/x +url:d.example/x +prefix:e.example/ left out: exception",
            ),
            ("{\"policies\":{\"WebsiteFilter\":{\"Block\":[\"<all_urls>\"]}}}", "issue: the root"),
            ("{\"policies\":{\"WebsiteFilter\":{\"Block\":[\"*://*/x\"]}}}", "left out: pattern"),
        ],
    );
    for text in ["[\"a.example\"", "[\"a.example\"] x", "{\"entries\":[", "nothing", ""] {
        assert!(matches!(read(text.as_bytes(), &as_format(Format::Json)), Err(ReadError::Json(_))), "{text}");
    }
    let long = format!("[\"a.example\",\"{}\"]", "x".repeat(100_000));
    assert!(matches!(read(long.as_bytes(), &as_format(Format::Json)), Err(ReadError::Json(why)) if why.contains("longer than")));
    let deep = "[".repeat(100_000);
    assert!(matches!(read(deep.as_bytes(), &as_format(Format::Json)), Err(ReadError::Json(_))));
}

#[test]
fn csv_of_citizen_lab() {
    let text = "url,category_code,category_description,date_added,source,notes\nhttps://a.example/,ANON,Anonymizers,2014-04-15,x,\"a, b\"\nhttp://b.example/x,GMB,Gambling,2017-04-12,,\n";
    let (lines, summary) = read(text.as_bytes(), &plain()).expect("read");
    assert_eq!(lines, ["+url:a.example/\tcat=anon", "+url:b.example/x\tcat=gmb"]);
    assert_eq!((summary.format, summary.issues_total), (Some(Format::Csv), 0));
}

fn xml(records: &str) -> Result<(Vec<String>, bwld::formats::Summary), ReadError> {
    let text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<reg:register xmlns:reg=\"x\">\n{records}</reg:register>\n");
    read(text.as_bytes(), &as_format(Format::Xml))
}

#[test]
fn a_register_means_the_narrowest_that_a_record_names() {
    let (lines, summary) = xml("<content id=\"1\"><decision date=\"x\"/><url><![CDATA[http://a.example/x?y=1&z]]></url><domain>a.example</domain><ip>192.0.2.1</ip></content>\n\
        <content id=\"2\" blockType=\"domain\"><url>http://b.example/x</url><domain><![CDATA[b.example]]></domain><ip>192.0.2.2</ip></content>\n\
        <content blockType=\"ip\"><domain>c.example</domain><ip>192.0.2.3</ip><ipSubnet>198.51.100.0/24</ipSubnet><ipv6>2001:db8::1</ipv6></content>\n\
        <content><ip>192.0.2.4</ip></content>\n\
        <content><domain>d.example</domain><ip>192.0.2.5</ip></content>\n\
        <content><url>http://e.example/x&amp;y&#47;z</url><url> http://f.example/ </url></content>\n\
        <content blockType=\"domain-mask\"><domain>*.g.example</domain></content>\n\
        <content blockType=\"everything\"><domain>h.example</domain></content>\n\
        <content></content>\n<domain>outside.example</domain>\n")
    .expect("read");
    assert_eq!(
        lines,
        [
            "+url:a.example/x?y=1&z",
            "+domain:b.example",
            "+cidr:192.0.2.3/32",
            "+cidr:198.51.100.0/24",
            "+cidr:2001:db8::1/128",
            "+cidr:192.0.2.4/32",
            "+domain:d.example",
            "+url:e.example/x&y/z",
            "+url:f.example/"
        ]
    );
    let issues: Vec<(u64, &str)> = summary.issues.iter().map(|i| (i.line, i.reason.split(' ').next_back().unwrap_or_default())).collect();
    assert_eq!(issues, [(9, "wildcard"), (10, "known"), (11, "blocked")]);
    let options = ReadOptions { wildcards: Wildcards::Subtree, ..as_format(Format::Xml) };
    let mask = b"<r><content blockType=\"domain-mask\"><domain>*.g.example</domain></content></r>";
    assert_eq!(read(mask, &options).expect("read").0, ["+subtree:g.example"]);
}

#[test]
fn names_of_elements_can_be_said_and_cyrillic_is_read() {
    let names: XmlNames = "record=entry,domain=host|name,block-type=kind".parse().expect("names");
    let options = ReadOptions { xml: names, ..as_format(Format::Xml) };
    let mut text = b"<?xml version='1.0' encoding='windows-1251'?><r><entry><host>".to_vec();
    text.extend_from_slice(
        b"\xef\xf0\xe8\xec\xe5\xf0.example</host></entry><entry kind='ip'><name>x.example</name><ip>192.0.2.1</ip></entry></r>",
    );
    assert_eq!(read(&text, &options).expect("read").0, ["+domain:xn--e1afmkfd.example", "+cidr:192.0.2.1/32"]);
    for wrong in ["x=y", "record", "record=", "domain=a||b"] {
        assert!(wrong.parse::<XmlNames>().is_err(), "{wrong}");
    }
}

#[test]
fn bad_xml_is_refused_as_a_whole() {
    let billion =
        "<?xml version=\"1.0\"?>\n<!DOCTYPE r [<!ENTITY a \"x\"><!ENTITY b \"&a;&a;\">]>\n<r><content><domain>&b;</domain></content></r>";
    let outside = "<!DOCTYPE r SYSTEM \"file:///etc/passwd\"><r/>";
    for (text, part) in [
        (billion, "document type definition"),
        (outside, "document type definition"),
        ("<r><content><domain>&x;</domain></content></r>", "entity"),
        ("<r><content><domain>a.example</domain></content>", "ends inside"),
        ("<r><content></r>", ""),
        ("<r", ""),
        (&"<a>".repeat(100), "deeper than"),
        (&format!("<r><content><domain>{}", "x".repeat(200_000)), "longer than"),
        (&format!("<r {}", "x".repeat(200_000)), "longer than"),
    ] {
        let error = read(text.as_bytes(), &as_format(Format::Xml)).expect_err(part);
        assert!(matches!(&error, ReadError::Xml { why, .. } if why.contains(part)), "{part}: {error}");
    }
    assert!(read(b"<r>\xff</r>", &as_format(Format::Xml)).is_err());
    assert!(matches!(read(b"<?xml version=\"1.0\" encoding=\"koi8-r\"?><r/>", &as_format(Format::Xml)), Err(ReadError::Encoding(_))));
    let (_, summary) = read(b"<html><body>x</body></html>", &as_format(Format::Xml)).expect("read");
    assert!(summary.issues[0].reason.contains("no record"));
    assert!(matches!(read(b"<?xml version=\"1.0\"?><r/>", &plain()), Err(ReadError::NotAList(_))), "only by name");
    // A record without end is one issue, and the others are read.
    let many = "<ip>192.0.2.1</ip>".repeat(200_000);
    let (lines, summary) =
        read(format!("<r><content>{many}</content><content><ip>192.0.2.2</ip></content></r>").as_bytes(), &as_format(Format::Xml))
            .expect("read");
    assert_eq!((lines, summary.issues_total), (vec!["+cidr:192.0.2.2/32".to_owned()], 1));
}
