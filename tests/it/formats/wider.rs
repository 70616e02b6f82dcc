//! No rule of browsers' filters comes out wider: what our entries cover, Brave's engine blocks by the rules they come from.

use adblock::lists::ParseOptions;
use adblock::request::Request;
use adblock::url_parser::{ResolvesDomain, set_domain_resolver};
use adblock::{Engine, FilterSet};
use bwld::formats::Format;
use bwld::list::{Kind, canonical_url};
use proptest::prelude::*;

use super::{as_format, read};

struct Suffixes;

impl ResolvesDomain for Suffixes {
    fn get_host_domain(&self, host: &str) -> (usize, usize) {
        let domain = psl::domain(host.as_bytes()).map_or(host.len(), |domain| domain.as_bytes().len());
        (host.len() - domain, host.len())
    }
}

/// Has the engine know public suffixes as bwld does; once for the process.
pub(crate) fn suffixes() {
    // A second call says that it is done already.
    let _ = set_domain_resolver(Box::new(Suffixes));
}

const HOSTS: [&str; 9] =
    ["a.example", "b.a.example", "ba.example", "a.example.test", "a.example2.test", "a-a.example", "c.test", "192.0.2.1", "192.0.2.11"];
const PATHS: [&str; 14] = ["/", "/a", "/ab", "/a/", "/a/b", "/a/b/c", "/a?b=c", "/a?b=", "/a?bb=c", "/a.js", "/A", "/x/a", "/.a", "/a/.b"];
const PORTS: [&str; 3] = ["", ":8080", ":80801"];

/// Whether an entry covers the URL, by the words of docs/PROTOCOL.md section 3.
fn covers(entry: &str, host: &str, url: &str) -> bool {
    let (kind, target) = Kind::split(entry).expect("an entry");
    match kind {
        Kind::Domain => host == target,
        Kind::Subtree => host == target || host.ends_with(&format!(".{target}")),
        Kind::Cidr => target.strip_suffix("/32") == Some(host),
        Kind::Url => url == target,
        Kind::Prefix => url
            .strip_prefix(target)
            .is_some_and(|rest| rest.is_empty() || target.ends_with(['/', '?', '&', '=']) || rest.starts_with(['/', '?', '&', '='])),
    }
}

/// Without ports, which the engine takes for part of the name.
fn filter() -> impl Strategy<Value = String> {
    let begin = prop::sample::select(vec!["||", "||", "||", "|https://", "|http://", "", "|", "://", "*", "||*."]);
    let host = prop::sample::select(vec![
        "a.example",
        "b.a.example",
        "example",
        "a.exam",
        "a",
        "c.test",
        "192.0.2.1",
        "192.0.2",
        "a.example.",
        "A.Example",
        "*.example",
    ]);
    let tail = prop::sample::select(vec![
        "", "^", "^", "|", "^|", "*", "^*", "/", "/^", "/a", "/a^", "/a|", "/a*", "/a/", "/a/|", "/a?b=", "/a?b=c", "/*", "/*a", "/a*b",
        "?b", "/a/..", "/a/.", "/.", "/a^b", "^a", "/a?", "/A", "#a", "\\a",
    ]);
    let options = prop::sample::select(vec![
        "",
        "",
        "",
        "$all",
        "$document",
        "$important",
        "$third-party",
        "$script",
        "$~script",
        "$script,document",
        "$domain=c.test",
        "$badfilter",
        "$popup",
    ]);
    (begin, host, tail, options).prop_map(|(begin, host, tail, options)| [begin, host, tail, options].concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn adblock_rules_block_what_comes_of_them(filters in prop::collection::vec(filter(), 1..4)) {
        let text = filters.join("\n");
        let (entries, _) = read(text.as_bytes(), &as_format(Format::Adblock)).expect("read");
        if entries.is_empty() {
            return Ok(());
        }
        suffixes();
        let mut set = FilterSet::new(false);
        // The engine knows rules for a host as text, and no `|name^`.
        set.add_filter_list(text.clone(), ParseOptions::default());
        let engine = Engine::new_with_filter_set(set);
        let exact: Vec<String> = filters.iter().filter_map(|f| f.split('$').next()?.strip_prefix('|')?.strip_suffix('^').filter(|f| !f.contains(['|', '/'])).map(str::to_ascii_lowercase)).collect();
        for host in HOSTS {
            for (port, path) in PORTS.iter().flat_map(|port| PATHS.iter().map(move |path| (port, path))) {
                let Ok(url) = canonical_url(&format!("{host}{port}{path}")) else { continue };
                let Some(entry) = entries.iter().map(|line| &line[1..]).find(|entry| covers(entry, host, &url)) else { continue };
                // bwld's URLs have no scheme.
                // And a rule without a type is not for the page itself, as browsers have it, but for all in it.
                let blocked = [("http", "other"), ("https", "other"), ("http", "document"), ("https", "document")].iter().any(|(scheme, kind)| {
                    let url = format!("{scheme}://{host}{port}{path}");
                    let request = Request::new(&url, &url, kind, "GET").expect("a request");
                    engine.check_network_request(&request).filter.is_some()
                });
                prop_assert!(blocked || exact.iter().any(|name| name == host), "{entry} of {filters:?} covers {url}");
            }
        }
    }
}
