//! From a rule to the owner names that say it in a response policy zone.
//!
//! Guarantees: never wider than the rule. `domain:` gives the name alone, `subtree:` the name and its wildcard, `cidr:` the
//! `rpz-ip` name of the range. What a zone cannot say (URLs, names that would be too long under the zone's name, names
//! that a policy zone reads as something else, entries that are only to be logged or warned about) is left out, with the
//! reason.

use std::net::IpAddr;

use crate::list::{Kind, rule_of};

/// Why an entry is not in a zone that selects it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LeftOut {
    /// `url:` and `prefix:`: a policy zone knows names, not paths.
    Url,
    /// The name would have more than 255 octets under the zone's.
    TooLong,
    /// It ends in a label that policy zones reserve, `rpz-ip` for example.
    Reserved,
    /// `act=` asks for something other than what the zone's policy does.
    Action,
}

impl LeftOut {
    /// All, in the order of [`Counts`].
    pub const ALL: [LeftOut; 4] = [LeftOut::Url, LeftOut::TooLong, LeftOut::Reserved, LeftOut::Action];

    /// In metrics and logs.
    pub const fn word(self) -> &'static str {
        match self {
            LeftOut::Url => "url",
            LeftOut::TooLong => "too-long",
            LeftOut::Reserved => "reserved-name",
            LeftOut::Action => "action",
        }
    }
}

/// How many entries were left out, by [`LeftOut::ALL`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts(pub [u64; 4]);

impl Counts {
    /// One more.
    pub fn add(&mut self, why: LeftOut) {
        self.0[why as usize] += 1;
    }

    /// Of all reasons.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

impl std::fmt::Display for Counts {
    /// `3 url, 1 action`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let some = LeftOut::ALL.into_iter().filter(|why| self.0[*why as usize] > 0);
        let words: Vec<String> = some.map(|why| format!("{} {}", self.0[why as usize], why.word())).collect();
        f.write_str(&words.join(", "))
    }
}

/// Labels whose meaning in a policy zone is not that of a name.
const RESERVED: [&str; 4] = ["rpz-ip", "rpz-client-ip", "rpz-nsip", "rpz-nsdname"];

/// Longest name on the wire, root label included.
const MAX_NAME: usize = 255;

/// Owner name of a host, relative to the zone, in wire form without a root label, put into `out`. `zone` is the length of
/// the zone's name on the wire.
///
/// # Errors
/// Why there is none. With `wildcard` the name must leave room for the wildcard too: a subtree that could be said by half
/// is left out whole.
pub fn host(target: &str, wildcard: bool, zone: usize, out: &mut Vec<u8>) -> Result<(), LeftOut> {
    out.clear();
    let last = target.rsplit('.').next().unwrap_or(target);
    if RESERVED.contains(&last) {
        return Err(LeftOut::Reserved);
    }
    labels(target.split('.'), out);
    let more = if wildcard { 2 } else { 0 };
    if out.len() + more + zone > MAX_NAME { Err(LeftOut::TooLong) } else { Ok(()) }
}

/// The owner name of a range, likewise: `32.1.2.0.192.rpz-ip`, `48.zz.2.db8.2001.rpz-ip`.
///
/// # Errors
/// Why there is none.
pub fn range(target: &str, zone: usize, out: &mut Vec<u8>) -> Result<(), LeftOut> {
    out.clear();
    let (address, length) = target.split_once('/').ok_or(LeftOut::Reserved)?;
    match address.parse::<IpAddr>().map_err(|_| LeftOut::Reserved)? {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets().map(|octet| octet.to_string());
            labels([length, &d, &c, &b, &a].into_iter(), out);
        }
        IpAddr::V6(v6) => {
            let words = words_of(v6.segments());
            labels(std::iter::once(length).chain(words.iter().map(String::as_str)), out);
        }
    }
    labels(["rpz-ip"].into_iter(), out);
    if out.len() + zone > MAX_NAME { Err(LeftOut::TooLong) } else { Ok(()) }
}

/// Hexadecimal words from the last to the first; the longest run of at least two zero words (the first of equally long
/// ones) is `zz`, as `::` is in an address. Name servers compare the spelling with their own and refuse another.
fn words_of(segments: [u16; 8]) -> Vec<String> {
    let (mut best, mut run) = (0..0, 0..0);
    for (at, word) in segments.iter().enumerate() {
        if *word != 0 {
            run = at + 1..at + 1;
            continue;
        }
        run.end = at + 1;
        if run.len() > best.len() {
            best = run.clone();
        }
    }
    if best.len() < 2 {
        best = 0..0;
    }
    let mut words = Vec::with_capacity(8);
    for (at, word) in segments.iter().enumerate() {
        if !best.contains(&at) {
            words.push(format!("{word:x}"));
        } else if at == best.start {
            words.push("zz".to_owned());
        }
    }
    words.reverse();
    words
}

fn labels<'a>(texts: impl Iterator<Item = &'a str>, out: &mut Vec<u8>) {
    for label in texts {
        // A canonical target has labels of 1 to 63 octets.
        out.push(u8::try_from(label.len()).unwrap_or(63));
        out.extend_from_slice(label.as_bytes());
    }
}

/// Which entries of a list a zone takes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Selection {
    /// Of these categories; empty: all, also those without a category.
    pub categories: Vec<String>,
}

impl Selection {
    /// Whether the line's entry is one of the selection.
    pub fn has(&self, line: &str) -> bool {
        if self.categories.is_empty() {
            return true;
        }
        let Some(categories) = attribute(line, "cat=") else { return false };
        categories.split(',').any(|category| self.categories.iter().any(|wanted| wanted == category))
    }
}

/// Whether the entry asks to be blocked, or to be allowed, as its list's colour says: `act=warn` and `act=log` do not, and
/// in DNS a name is held back or it is not.
pub fn enforced(line: &str) -> bool {
    attribute(line, "act=").is_none_or(|action| action == "block")
}

fn attribute<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line[rule_of(line).len()..].split('\t').find_map(|part| part.strip_prefix(key))
}

/// The kind and the target of a line's rule.
pub fn rule_parts(line: &str) -> Option<(Kind, &str)> {
    Kind::split(rule_of(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(wire: &[u8]) -> String {
        let mut text = String::new();
        let mut rest = wire;
        while let [length, tail @ ..] = rest {
            let (label, after) = tail.split_at(usize::from(*length));
            text.push_str(std::str::from_utf8(label).expect("text"));
            text.push('.');
            rest = after;
        }
        text
    }

    #[test]
    fn ranges_are_spelt_as_name_servers_want_them() {
        for (target, owner) in [
            ("192.0.2.1/32", "32.1.2.0.192.rpz-ip."),
            ("10.0.0.0/8", "8.0.0.0.10.rpz-ip."),
            ("2001:db8::1/128", "128.1.zz.db8.2001.rpz-ip."),
            ("2001:db8::/32", "32.zz.db8.2001.rpz-ip."),
            ("2001:db8:0:1:0:2:0:3/128", "128.3.0.2.0.1.0.db8.2001.rpz-ip."),
            ("2001:0:0:1:0:0:0:1/128", "128.1.zz.1.0.0.2001.rpz-ip."),
            ("1:0:0:2:3:0:0:4/128", "128.4.0.0.3.2.zz.1.rpz-ip."),
            ("::1/128", "128.1.zz.rpz-ip."),
        ] {
            let mut out = Vec::new();
            range(target, 10, &mut out).expect(target);
            assert_eq!(shown(&out), owner, "{target}");
        }
    }

    #[test]
    fn what_cannot_be_said_is_left_out() {
        let mut out = Vec::new();
        assert_eq!(host("a.rpz-ip", false, 10, &mut out), Err(LeftOut::Reserved));
        assert_eq!(host("rpz-ip.example", false, 10, &mut out), Ok(()));
        let label = "a".repeat(63);
        let long = format!("{label}.{label}.{label}.{}", "b".repeat(44));
        // 3 * 64 + 45 = 237 octets; with a zone of 18 that is just 255.
        assert_eq!(host(&long, false, 18, &mut out), Ok(()));
        assert_eq!(host(&long, true, 18, &mut out), Err(LeftOut::TooLong), "no room for the wildcard");
        assert_eq!(host(&long, false, 19, &mut out), Err(LeftOut::TooLong));
    }

    #[test]
    fn selections_go_by_category_and_action() {
        let selection = Selection { categories: vec!["adult".into(), "dating".into()] };
        assert!(selection.has("domain:a.example\tcat=adult,zoo\tage=18"));
        assert!(!selection.has("domain:a.example\tcat=adults"));
        assert!(!selection.has("domain:cat=adult.example"));
        assert!(Selection::default().has("domain:a.example"));
        assert!(enforced("domain:a.example\tact=block") && enforced("domain:a.example"));
        assert!(!enforced("domain:a.example\tact=warn") && !enforced("domain:a.example\tcat=a\tact=log"));
    }
}
