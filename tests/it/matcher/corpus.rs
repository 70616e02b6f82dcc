//! Millions of questions over the real corpus, each put to the matching core and to a naive model with code of its own.
//!
//! The short form always runs; `BWLD_LONG=1` puts ten million: `BWLD_LONG=1 cargo test --release --test it -- corpus --nocapture`.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::{Ipv4Addr, Ipv6Addr};

use bwld::list::{Colour, canonical_url};
use bwld::matcher::{Buffer, Index, Layers, ListState, Lists, Question, Verdict};

use super::made::{about_of, build_as, now, state};
use crate::shared_data;

/// Small, fast and the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }
}

/// The rules of one list in maps, one a kind.
#[derive(Default)]
struct Naive {
    domains: HashSet<String>,
    subtrees: HashSet<String>,
    /// By host: everything behind it, and whether it is an exact URL.
    urls: HashMap<String, Vec<(String, bool)>>,
    ranges: Vec<(bool, u128, u32)>,
}

/// A question taken apart, canonical already.
#[derive(Clone)]
struct Asked {
    host: String,
    rest: Option<String>,
    address: Option<(bool, u128)>,
}

impl Naive {
    fn of<'a>(rules: impl IntoIterator<Item = &'a String>) -> Naive {
        let mut naive = Naive::default();
        for rule in rules {
            let (kind, target) = rule.split_once(':').expect("a kind");
            match kind {
                "domain" => naive.domains.extend([target.to_owned()]),
                "subtree" => naive.subtrees.extend([target.to_owned()]),
                "cidr" => {
                    let (address, length) = target.split_once('/').expect("a length");
                    let number = |v6: bool| match v6 {
                        true => u128::from(address.parse::<Ipv6Addr>().expect("an address")),
                        false => u128::from(u32::from(address.parse::<Ipv4Addr>().expect("an address"))),
                    };
                    let v6 = address.contains(':');
                    naive.ranges.push((v6, number(v6), length.parse().expect("a number")));
                }
                kind => {
                    let host = target.find([':', '/']).expect("a path");
                    naive.urls.entry(target[..host].to_owned()).or_default().push((target[host..].to_owned(), kind == "url"));
                }
            }
        }
        naive
    }

    /// The most specific rule.
    fn best(&self, asked: &Asked) -> Option<String> {
        if let (Some(rest), Some(rules)) = (&asked.rest, self.urls.get(&asked.host)) {
            let exact = rules.iter().find(|(text, exact)| *exact && text == rest);
            if let Some((text, _)) = exact {
                return Some(format!("url:{}{text}", asked.host));
            }
            let covers = |text: &str| {
                rest.strip_prefix(text)
                    .is_some_and(|more| more.is_empty() || text.ends_with(['/', '?', '&', '=']) || more.starts_with(['/', '?', '&', '=']))
            };
            if let Some((text, _)) = rules.iter().filter(|(text, exact)| !exact && covers(text)).max_by_key(|(text, _)| text.len()) {
                return Some(format!("prefix:{}{text}", asked.host));
            }
        }
        if let Some((v6, address)) = asked.address {
            let bits = if v6 { 128 } else { 32 };
            let holds = |range: &&(bool, u128, u32)| range.0 == v6 && (range.2 == 0 || (range.1 ^ address) >> (bits - range.2) == 0);
            let (v6, network, length) = self.ranges.iter().filter(holds).max_by_key(|range| range.2)?;
            return Some(match v6 {
                true => format!("cidr:{}/{length}", Ipv6Addr::from(*network)),
                false => format!("cidr:{}/{length}", Ipv4Addr::from(*network as u32)),
            });
        }
        if self.domains.contains(&asked.host) {
            return Some(format!("domain:{}", asked.host));
        }
        let starts = std::iter::once(0).chain(asked.host.match_indices('.').map(|(at, _)| at + 1));
        starts.map(|at| &asked.host[at..]).find(|name| self.subtrees.contains(*name)).map(|name| format!("subtree:{name}"))
    }
}

/// All that is asked about and asked with.
struct Corpus {
    hosts: Vec<String>,
    listed: Vec<String>,
    urls: Vec<String>,
    black: Vec<String>,
    white: Vec<String>,
    local: Vec<String>,
    ranges: Vec<String>,
}

fn is_plain(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    let labels = host.split('.').all(|label| (1..=63).contains(&label.len()) && !label.starts_with("xn--"));
    labels
        && host.contains('.')
        && host.len() <= 253
        && host.bytes().all(|c| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.'))
        && last.bytes().any(|c| c.is_ascii_alphabetic())
        && !last.starts_with("0x")
}

fn corpus(share: usize) -> Option<Corpus> {
    let lines = |file: &str| Some(shared_data::load_text(file)?.lines().map(str::to_owned).collect::<Vec<_>>());
    let mut listed = lines("big/domains-1120k.txt.zst")?;
    listed.retain(|host| is_plain(host));
    let listed: Vec<String> = listed.into_iter().step_by(share).collect();
    let mut hosts = lines("queries/opendns-all-2014.txt.zst")?;
    hosts.retain(|host| is_plain(host));
    // Pages that were asked for, and pages that spread malware: as rules and as questions, in canonical form.
    let canonical = |file: &str| {
        Some(lines(file)?.iter().filter_map(|line| canonical_url(line.trim_start_matches('\u{feff}')).ok()).collect::<Vec<_>>())
    };
    let with_path = |url: &String| {
        !url.starts_with('[') && url.len() < 1_000 && !url[..url.find('/').unwrap_or(0)].starts_with("xn--") && !url.contains(".xn--")
    };
    let mut urls = canonical("queries/kasztp-48k-urls.txt.zst")?;
    urls.extend(canonical("history/urlhaus-online-2022/base.txt.zst")?);
    urls.retain(with_path);
    let mut random = Random(1);
    let mut black = BTreeSet::new();
    let mut rule = |rule: String| black.extend([rule]);
    for (n, host) in listed.iter().enumerate() {
        match n % 5 {
            0 => rule(format!("domain:{host}")),
            4 => {
                rule(format!("domain:{host}"));
                rule(format!("subtree:{host}"));
            }
            _ => rule(format!("subtree:{host}")),
        }
    }
    for (n, url) in urls.iter().enumerate() {
        let cut = url.match_indices(['/', '?', '&', '=']).map(|(at, _)| at + random.below(2)).filter(|at| *at > url.find('/').unwrap_or(0));
        let cuts: Vec<usize> = cut.collect();
        match n % 3 {
            0 => rule(format!("url:{url}")),
            1 if !cuts.is_empty() => {
                // Canonical: no query that is empty, no dot segment that the cut has made.
                let text = &url[..cuts[random.below(cuts.len())]];
                if canonical_url(text).as_deref() == Ok(text) {
                    rule(format!("prefix:{text}"));
                }
            }
            _ => {}
        }
    }
    let mut ranges = Vec::new();
    for _ in 0..150 {
        let (v4, length) = (random.next() as u32 & 0x0f0f_ffff | 0x1000_0000, 8 + random.below(25) as u32);
        ranges.push(format!("cidr:{}/{length}", Ipv4Addr::from(v4 & u32::MAX << (32 - length))));
        let (v6, length) =
            (0x2001_0db8_u128 << 96 | u128::from(random.next() & 0x0f0f) << 80 | u128::from(random.next()), 20 + random.below(109) as u32);
        ranges.push(format!("cidr:{}/{length}", Ipv6Addr::from(v6 & u128::MAX << (128 - length))));
    }
    ranges.iter().for_each(|range| rule(range.clone()));
    let every = |step: usize, kind: &str| listed.iter().step_by(step).map(|host| format!("{kind}:{host}")).collect::<Vec<_>>();
    let mut white = every(37, "subtree");
    white.extend(urls.iter().step_by(11).map(|url| format!("url:{url}")));
    white.extend(ranges.iter().step_by(9).cloned());
    white.sort();
    white.dedup();
    let (black, local) = (black.into_iter().collect(), every(101, "domain"));
    Some(Corpus { hosts, listed, urls, black, white, local, ranges })
}

/// A question as somebody writes it, what it is, and of which kind it is.
fn question(corpus: &Corpus, random: &mut Random, text: &mut String) -> (Asked, &'static str) {
    text.clear();
    let some = |all: &Vec<String>, random: &mut Random| all[random.below(all.len())].clone();
    let labels = ["www", "a", "cdn", "mail", "x-y_z", "0", "longer-label-than-most"];
    let plain = |host: String| Asked { host, rest: None, address: None };
    let (asked, kind) = match random.below(12) {
        0 => (plain(some(&corpus.listed, random)), "listed name"),
        1 | 2 => (plain(format!("{}.{}", random.of(&labels), some(&corpus.listed, random))), "under a listed name"),
        3 => {
            let deep: Vec<&str> = (0..1 + random.below(30)).map(|_| random.of(&labels)).collect();
            let mut host = format!("{}.{}", deep.join("."), some(&corpus.listed, random));
            if host.len() > 253 {
                host = host.split_off(host.len() - 253).trim_start_matches('.').to_owned();
            }
            (plain(host), "deep under a listed name")
        }
        4 => {
            let host = some(&corpus.listed, random);
            let parent = host.split_once('.').map(|(_, parent)| parent.to_owned()).filter(|parent| is_plain(parent));
            (plain(parent.unwrap_or(host)), "above a listed name")
        }
        5 => {
            let mut host = some(&corpus.listed, random).into_bytes();
            let at = random.below(host.len());
            if host[at] != b'.' {
                host[at] = b'a' + random.below(26) as u8;
            }
            let host = String::from_utf8(host).expect("ASCII");
            (plain(if is_plain(&host) { host } else { "a.example".to_owned() }), "a letter beside a listed name")
        }
        6 | 7 => (plain(some(&corpus.hosts, random)), "asked in life"),
        8 | 9 => {
            let mut url = some(&corpus.urls, random);
            match random.below(4) {
                0 => url.push('x'),
                1 => url.push_str(if url.contains('?') { "&x=1" } else { "/x" }),
                2 => {
                    let from = url.find('/').unwrap_or(0) + 1;
                    let cut = from + random.below(url.len() - from + 1);
                    url.truncate(cut);
                }
                _ => {}
            }
            let url = canonical_url(&url).expect("a URL");
            let end = url.find([':', '/']).expect("a path");
            let (host, rest) = (url[..end].to_owned(), Some(url[end..].to_owned()));
            let address = host.parse::<Ipv4Addr>().ok().map(|v4| (false, u128::from(u32::from(v4))));
            (Asked { host, rest, address }, "URL")
        }
        10 => {
            let near = some(&corpus.ranges, random);
            let address = near["cidr:".len()..].split_once('/').expect("a length").0.to_owned();
            match address.parse::<Ipv4Addr>() {
                Ok(v4) => {
                    let v4 = Ipv4Addr::from(u32::from(v4) ^ (random.next() as u32 >> random.below(32)));
                    (Asked { host: v4.to_string(), rest: None, address: Some((false, u128::from(u32::from(v4)))) }, "IPv4 address")
                }
                Err(_) => {
                    let bits = u128::from(address.parse::<Ipv6Addr>().expect("an address"));
                    let v6 = Ipv6Addr::from(bits ^ (u128::from(random.next()) << 30 >> random.below(94)));
                    (Asked { host: v6.to_string(), rest: None, address: Some((true, u128::from(v6))) }, "IPv6 address")
                }
            }
        }
        _ => (plain(format!("{:x}.{}.example", random.next(), random.of(&labels))), "made-up name"),
    };
    spell(&asked, random, text);
    (asked, kind)
}

/// Writes a question in one of its spellings.
fn spell(asked: &Asked, random: &mut Random, text: &mut String) {
    let Some(rest) = &asked.rest else {
        match (random.below(4), asked.address) {
            (0, None) => text.push_str(&asked.host.to_ascii_uppercase()),
            (1, None) => text.extend([asked.host.as_str(), "."]),
            (2, None | Some((false, _))) => text.extend([asked.host.as_str(), ":8443"]),
            (0, Some((true, _))) => text.extend(["[", asked.host.as_str(), "]:443"]),
            _ => text.push_str(&asked.host),
        }
        return;
    };
    match random.below(4) {
        0 => text.extend(["http://", &asked.host, rest]),
        1 => text.extend(["HTTPS://u:p@", &asked.host.to_ascii_uppercase(), rest, "#f"]),
        2 if rest.starts_with('/') => text.extend(["https://", &asked.host, ":443", rest]),
        _ => text.extend([asked.host.as_str(), rest]),
    }
}

/// What the three lists come to, by the naive models: a filter's own rules, then white, then black.
fn verdict(local: &Naive, white: &Naive, black: &Naive, asked: &Asked) -> (&'static str, Option<String>) {
    if let Some(rule) = local.best(asked) {
        return ("block", Some(rule));
    }
    match (white.best(asked), black.best(asked)) {
        (Some(rule), _) => ("allow", Some(rule)),
        (None, Some(rule)) => ("block", Some(rule)),
        (None, None) => ("unlisted", None),
    }
}

#[test]
fn the_corpus_is_answered_as_the_naive_model_answers() {
    let long = std::env::var_os("BWLD_LONG").is_some();
    let (share, count) = if long { (1, 10_000_000) } else { (40, 200_000) };
    let Some(corpus) = corpus(share) else { return };
    let models = [&corpus.local, &corpus.white, &corpus.black].map(Naive::of);
    let mut lists = Lists::new();
    for (name, colour, local, lines) in [
        ("own", Colour::Black, true, &corpus.local),
        ("white", Colour::White, false, &corpus.white),
        ("black", Colour::Black, false, &corpus.black),
    ] {
        let about = about_of(name, colour, 1);
        let built = build_as(about.clone(), *b"drawn at random?", lines.iter().map(String::as_str));
        // As it is opened from a file.
        let index = Index::open(Buffer::from(built.octets())).expect("it opens");
        index.verify().expect("it is whole");
        lists = lists.with_list(ListState { local, ..state(&about) }, Some(Layers::new(index.into()))).expect("lists");
    }
    // One more list that never arrived: what is not listed is not known then.
    let absent = ListState { serial: None, ..state(&about_of("absent", Colour::White, 1)) };
    let lacking = lists.with_list(absent, None).expect("lists");

    let mut random = Random(20_261_124);
    let mut outcomes: BTreeMap<(&str, &str, &str), u64> = BTreeMap::new();
    let mut text = String::new();
    for n in 0..count {
        let (asked, kind) = question(&corpus, &mut random, &mut text);
        let question = Question::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let (word, rule) = verdict(&models[0], &models[1], &models[2], &asked);
        let lists = if n % 16 == 0 { &lacking } else { &lists };
        let given = lists.look_up(&question, now());
        let decided = given.decided_by().map(|by| by.rule().expect("a whole index").to_string());
        assert_eq!(decided, rule, "{text}");
        match given {
            Verdict::NoData(missing) => assert!(word == "unlisted" && n % 16 == 0 && missing.list.list.as_str() == "absent", "{text}"),
            Verdict::Unlisted { .. } => assert!(word == "unlisted" && n % 16 != 0, "{text}"),
            _ => assert_eq!(given.word(), word, "{text}"),
        }
        let by = given.decided_by().map_or("", |by| by.kind().word());
        *outcomes.entry((kind, given.word(), by)).or_default() += 1;
    }
    println!(
        "{count} questions over {} rules, all answered as the naive model does:",
        corpus.black.len() + corpus.white.len() + corpus.local.len()
    );
    for ((kind, word, by), times) in &outcomes {
        println!("{times:>9}  {kind}: {word} {by}");
    }
    for word in ["block", "allow", "unlisted", "no-data"] {
        assert!(outcomes.keys().any(|(_, given, _)| *given == word), "{word} never came");
    }
    for kind in ["domain", "subtree", "url", "prefix", "cidr"] {
        assert!(outcomes.keys().any(|(_, _, by)| *by == kind), "no {kind} rule decided");
    }
}
