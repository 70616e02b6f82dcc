//! Spellings of questions, and texts that are none.

use bwld::list::{TargetError, canonical_url};
use bwld::matcher::{MAX_QUESTION, Question, QuestionError};
use proptest::prelude::*;

use super::made::build;
use super::{alone, decided};
use crate::shared_data;

/// `Question::url` and the canonical form of rules, of any text, must say the same: the fast way has no say of its own.
fn same_as_a_rule(text: &str) {
    let asked = Question::url(text).map(|question| question.to_string());
    match canonical_url(text) {
        Ok(canonical) => assert_eq!(asked.as_deref(), Ok(canonical.as_str()), "{text:?}"),
        Err(TargetError::SingleLabel(_)) => assert_eq!(asked.as_deref(), Ok(""), "{text:?}"),
        Err(error) => match asked {
            Err(QuestionError::Target(other)) => assert_eq!(other, error, "{text:?}"),
            other => assert_eq!((other, text.len() > MAX_QUESTION), (Err(QuestionError::TooLong(text.len())), true)),
        },
    }
}

/// Host alone and host in a URL are one host.
fn same_in_a_url(host: &str) {
    let alone = Question::host(host);
    let url = format!("http://{host}/");
    match (&alone, Question::url(&url)) {
        // A single label is no host of a URL rule.
        (Ok(_), Ok(of)) if of.name().is_empty() => {}
        (Ok(question), Ok(of)) => assert_eq!((question.name(), question.as_address()), (of.name(), of.as_address()), "{host:?}"),
        (Err(_), Err(_)) => {}
        (question, of) => panic!("{host:?}: {question:?}, {of:?}"),
    }
}

fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "http://",
        "https://",
        "HTTP://",
        "ftp://",
        "//",
        "/",
        "/",
        "/",
        ".",
        ".",
        "..",
        "/./",
        "/../",
        "/..",
        "%2e",
        "%2E%2e",
        "%2f",
        "%zz",
        "%",
        "%41",
        "%7e",
        "?",
        "#",
        "&",
        "=",
        ":",
        ":80",
        ":443",
        ":080",
        ":8080",
        ":65536",
        ":+80",
        ":-1",
        ":",
        "@",
        "user@",
        "u:p@",
        "\\",
        "a",
        "B",
        "example",
        "example.com",
        "EXAMPLE.org",
        "a.example",
        "www.",
        "xn--bcher-kva",
        "xn--a",
        "bücher",
        "ß",
        "ü",
        "。",
        "．",
        "１",
        "1",
        "0x7f",
        "127.0.0.1",
        "0177.1",
        "[::1]",
        "[2001:DB8::1]",
        "[::ffff:1.2.3.4]",
        "[",
        "]",
        "_",
        "-",
        "~",
        "!",
        "$",
        "'",
        "(",
        ")",
        "*",
        "+",
        ",",
        ";",
        "|",
        "^",
        "`",
        "{",
        "}",
        "<",
        ">",
        "\"",
        " ",
        "\t",
        "\n",
        "\0",
        "\u{ad}",
        "\u{301}",
        "😀",
        "x",
        "longer-label.",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn a_url_is_read_as_a_rule_is(pieces in proptest::collection::vec(piece(), 0..10)) {
        same_as_a_rule(&pieces.concat());
    }

    #[test]
    fn a_url_with_a_host_is_read_as_a_rule_is(
        scheme in prop::sample::select(vec!["", "http://", "https://"]),
        host in prop::sample::select(vec!["a.example", "WWW.a.example", "192.0.2.1", "a.example."]),
        pieces in proptest::collection::vec(piece(), 0..10),
    ) {
        same_as_a_rule(&format!("{scheme}{host}{}", pieces.concat()));
        same_as_a_rule(&format!("{scheme}{host}/{}", pieces.concat()));
    }

    #[test]
    fn any_text_is_a_question_or_an_error(text in any::<String>()) {
        same_as_a_rule(&text);
        let _ = (Question::parse(&text), Question::host(&text));
        prop_assert_eq!(Question::parse_octets(text.as_bytes()).is_ok(), Question::parse(&text).is_ok());
    }

    #[test]
    fn a_host_is_the_same_in_a_url(pieces in proptest::collection::vec(
        prop::sample::select(vec![
            ".", ".", "a", "B", "example", "com", "www", "xn--bcher-kva", "XN--BCHER-KVA", "xn--a", "bücher", "BÜCHER", "ß", "。", "．", "１", "1", "0",
            "0x7f", "09", "0177", "_", "-", "--", "ab--c", "\u{ad}", "\u{301}", "ǅ", "Ⅷ", "ａ", "127.0.0.1",
        ]), 1..7)) {
        same_in_a_url(&pieces.concat());
    }
}

#[test]
fn real_urls_are_read_as_rules_are() {
    for file in ["queries/kasztp-48k-urls.txt.zst", "history/urlhaus-urls-2020/base.txt.zst", "vectors/urltestdata.json.zst"] {
        let Some(text) = shared_data::load_text(file) else { return };
        for line in text.lines() {
            let line = line.trim_start_matches('\u{feff}').trim();
            same_as_a_rule(line);
            // The inputs of the URL Standard's vectors stand in JSON.
            if let Some(input) = line.strip_prefix("\"input\": ")
                && let Ok(input) = serde_json::from_str::<String>(input.trim_end_matches(','))
            {
                same_as_a_rule(&input);
                let _ = Question::parse(&input);
            }
        }
    }
}

#[test]
fn every_spelling_gets_the_verdict_of_its_canonical_form() {
    let lines = [
        "subtree:xn--bcher-kva.example",
        "prefix:a.example/x/y",
        "prefix:a.example:8080/",
        "cidr:127.0.0.0/8",
        "cidr:2001:db8::/32",
        "prefix:192.0.2.1/x",
        "prefix:[2001:db9::1]:8080/x",
        "domain:a.example",
    ];
    let lists = alone(build(lines));
    for (rule, questions) in [
        (
            0,
            &[
                "bücher.example",
                "BÜCHER.Example.",
                "xn--bcher-kva.example",
                "XN--BCHER-KVA.EXAMPLE",
                "www。bücher。example",
                "bu\u{308}cher.example",
                "http://u:p@bücher.example:8443/x?y#z",
                "www.bücher.example:443",
            ][..],
        ),
        (
            1,
            &[
                "a.example/x/y",
                "HTTPS://A.EXAMPLE:443/x/y?z",
                "a.example:80/x/./y/z",
                "http://a.example./x/q/../y#f",
                "http://user:pw@a.example/%78/y",
                "http://a.example\\x\\y",
                "http://a.example/x/%2e/y",
            ],
        ),
        (2, &["a.example:8080/", "http://a.example:08080/any", "https://a.example:8080"]),
        (
            3,
            &[
                "127.0.0.1",
                "0x7f.1",
                "0x7f000001",
                "2130706433",
                "0177.0.0.1",
                "127.1:80",
                "http://0x7f.1/x",
                "http://127.0.0.1:8080/",
                "[::ffff:127.0.0.1]",
                "::ffff:7f00:1",
                "１２７.0.0.1",
                "127.0.0.1.",
                "http://[::ffff:127.0.0.1]:80/",
            ],
        ),
        (4, &["2001:db8::1", "[2001:DB8:0:0::1]", "[2001:db8::1]:443", "http://[2001:db8::1]/x", "https://u@[2001:db8:0::1]:8080/"]),
        (5, &["192.0.2.1/x", "http://0xc0.0.2.1/x", "https://192.0.2.1:443/x/y", "http://3221225985/x?y"]),
        (6, &["[2001:db9::1]:8080/x", "http://[2001:DB9:0::1]:8080/x/y"]),
        (7, &["a.example", "A.Example.", "a.example:1", "http://a.example", "a.example/", "a.example/xx/y", "ａ.example"]),
    ] {
        for question in questions {
            assert_eq!(decided(&lists, question).as_deref(), Some(lines[rule]), "{question}");
        }
    }
    for question in
        ["localhost", "localhost:8080", "http://localhost/x", "com", "bücher", "b.a.example", "fe80::1", "a.example2/x/y", "co.uk"]
    {
        assert_eq!(decided(&lists, question), None, "{question}");
    }
}

#[test]
fn what_is_no_question_says_why() {
    type Check = fn(&QuestionError) -> bool;
    let long = format!("a.example/{}", "x".repeat(MAX_QUESTION));
    let (label, name, stars) = (format!("{}.example", "x".repeat(64)), "a.".repeat(127) + "aa", "*.".repeat(MAX_QUESTION / 2));
    let url_of_stars = format!("http://{}x/", "*.".repeat(MAX_QUESTION / 2 - 10));
    let table: [(&[u8], Check); 25] = [
        (b"", |e| matches!(e, QuestionError::Target(TargetError::Empty))),
        (b".", |e| matches!(e, QuestionError::Target(TargetError::Root))),
        (b"a..example", |e| matches!(e, QuestionError::Target(TargetError::EmptyLabel(_)))),
        (b"a.example..", |e| matches!(e, QuestionError::Target(TargetError::EmptyLabel(_)))),
        (long.as_bytes(), |e| matches!(e, QuestionError::TooLong(n) if *n == MAX_QUESTION + 10)),
        (label.as_bytes(), |e| matches!(e, QuestionError::Target(TargetError::LabelTooLong(_)))),
        (name.as_bytes(), |e| matches!(e, QuestionError::Target(TargetError::NameTooLong(256)))),
        (stars.as_bytes(), |e| matches!(e, QuestionError::Target(TargetError::Wildcard { .. }))),
        (url_of_stars.as_bytes(), |e| matches!(e, QuestionError::Target(_))),
        (b"a.example\xff", |e| *e == QuestionError::NotUtf8(9)),
        (b"\xc3", |e| *e == QuestionError::NotUtf8(0)),
        (b"a b.example", |e| matches!(e, QuestionError::Target(TargetError::Character { character: ' ', .. }))),
        (b"a\0.example", |e| matches!(e, QuestionError::Target(TargetError::Character { character: '\0', .. }))),
        (b"*.a.example", |e| matches!(e, QuestionError::Target(TargetError::Wildcard { .. }))),
        (b"xn--a.example", |e| matches!(e, QuestionError::Target(TargetError::Idna(_)))),
        (b"a.09", |e| matches!(e, QuestionError::Target(TargetError::EndsInNumber(_)))),
        (b"1.2.3.4.5", |e| matches!(e, QuestionError::Target(TargetError::EndsInNumber(_)))),
        (b"[::1", |e| matches!(e, QuestionError::Target(_))),
        (b"fe80::1%eth0", |e| matches!(e, QuestionError::Target(_))),
        (b"a.example:65536", |e| matches!(e, QuestionError::Port(port) if port == "65536")),
        (b"a.example:", |e| matches!(e, QuestionError::Port(_))),
        (b"a.example:65536/x", |e| matches!(e, QuestionError::Target(TargetError::UrlSyntax { .. }))),
        (b"a.example:+80/x", |e| matches!(e, QuestionError::Target(TargetError::UrlSyntax { .. }))),
        (b"ftp://a.example/", |e| matches!(e, QuestionError::Target(TargetError::Scheme(_)))),
        (b"http:///x", |e| matches!(e, QuestionError::Target(TargetError::NoHost(_)))),
    ];
    for (octets, check) in table {
        let shown = String::from_utf8_lossy(&octets[..octets.len().min(60)]).into_owned();
        let error = Question::parse_octets(octets).expect_err(&shown);
        assert!(check(&error), "{shown}: {error:?}");
        let text = error.to_string();
        assert!(text.len() < 1_000 && text.starts_with(|c: char| !c.is_uppercase()), "{text}");
    }
    // The longest that are questions.
    let name = "a.".repeat(126) + "a";
    assert_eq!(Question::parse(&name).map(|question| question.name().len()), Ok(253));
    let url = format!("a.example/{}", "x".repeat(MAX_QUESTION - 10));
    assert_eq!(Question::parse(&url).map(|question| question.to_string()), Ok(url.clone()));
}

/// Where the fast way must give up, or must not.
#[test]
fn edges_of_the_fast_way() {
    for rest in [
        "/",
        "/?",
        "/??",
        "/?x",
        "/x?",
        "/x?y?",
        "/x?y??",
        "/.",
        "/..",
        "/.x",
        "/x/.",
        "/x/..",
        "/x./",
        "/x../y",
        "/x?/.",
        "/x?./..",
        "//",
        "//.",
        "/:/",
        "/@",
        "/a://b.example/",
        "/%41",
        "/x'y",
        "/x;y=1",
        "/#",
        "/x#",
        "/x\\y",
        "/ü",
        ":0/",
        ":00/",
        ":080/",
        ":80/",
        ":443/x",
        ":0443/",
        ":65535/",
        ":65536/",
        ":99999/",
        ":100000/",
        ":/",
        ":+1/",
        ":-1/",
        ": 1/",
        ":1x/",
        "?x",
        "#x",
        "",
        ":8080",
        ":8080?x/y",
    ] {
        for host in [
            "a.example",
            "A.Example",
            "a.example.",
            "192.0.2.1",
            "192.0.2.01",
            "192.0.2.256",
            "xn--bcher-kva.example",
            "localhost",
            "[2001:db8::1]",
        ] {
            for scheme in ["", "http://", "https://", "HTTP://", "http://u:p@", "https://https://"] {
                same_as_a_rule(&format!("{scheme}{host}{rest}"));
            }
        }
    }
}
