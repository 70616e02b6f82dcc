//! An entry line as a format sees it, borrowed: no allocation an entry.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::list::{Action, Kind};

use super::ExportOptions;

/// An entry line, taken apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct EntryRef<'a> {
    /// The whole line.
    pub(super) line: &'a str,
    /// What the rule matches.
    pub(super) kind: Kind,
    /// The rule's part behind the colon.
    pub(super) target: &'a str,
    /// `key=value`, joined by TAB; empty: none.
    pub(super) attributes: &'a str,
}

/// A URL of a rule, taken apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct UrlRef<'a> {
    /// Without port; IPv6 in brackets.
    pub(super) host: &'a str,
    /// The port, if it is neither 80 nor 443.
    pub(super) port: Option<&'a str>,
    /// From its `/`, with the query if there is one.
    pub(super) path: &'a str,
}

/// A range of addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Range {
    /// IPv4 and length.
    V4(Ipv4Addr, u8),
    /// IPv6 and length.
    V6(Ipv6Addr, u8),
}

impl<'a> EntryRef<'a> {
    /// Takes a canonical line apart; `None` if it does not begin with a kind.
    pub(super) fn of(line: &'a str) -> Option<EntryRef<'a>> {
        let (rule, attributes) = match memchr::memchr(b'\t', line.as_bytes()) {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, ""),
        };
        let (kind, target) = Kind::split(rule)?;
        Some(EntryRef { line, kind, target, attributes })
    }

    /// The rule, `kind:target`.
    pub(super) fn rule(&self) -> &'a str {
        &self.line[..self.kind.word().len() + 1 + self.target.len()]
    }

    /// The value of an attribute.
    pub(super) fn attribute(&self, key: &str) -> Option<&'a str> {
        if self.attributes.is_empty() {
            return None;
        }
        self.attributes.split('\t').find_map(|part| part.strip_prefix(key)?.strip_prefix('='))
    }

    /// Its categories.
    pub(super) fn categories(&self) -> impl Iterator<Item = &'a str> {
        self.attribute("cat").into_iter().flat_map(|codes| codes.split(','))
    }

    /// Whether `options` take it: as a filter with such a policy counts a rule.
    pub(super) fn is_selected(&self, options: &ExportOptions, black: bool) -> bool {
        if self.attributes.is_empty() {
            return true;
        }
        if let Some(age) = options.age.filter(|_| black)
            && self.attribute("age").and_then(|text| text.parse::<u8>().ok()).is_some_and(|least| age >= least)
        {
            return false;
        }
        let mut categories = self.categories().peekable();
        options.categories.is_empty()
            || categories.peek().is_none()
            || categories.any(|code| options.categories.iter().any(|wanted| wanted.as_str() == code))
    }

    /// Whether a format that can only do what the list's colour says would do more than it asks for.
    pub(super) fn asks_for_less(&self, black: bool) -> bool {
        match self.attribute("act") {
            None => false,
            Some(word) => !(black && word == Action::Block.word()),
        }
    }

    /// The parts of a `url:` or `prefix:` target.
    pub(super) fn url(&self) -> UrlRef<'a> {
        let slash = memchr::memchr(b'/', self.target.as_bytes()).unwrap_or(self.target.len());
        let (authority, path) = self.target.split_at(slash);
        // The colons of an IPv6 address stand before the bracket.
        let (host, port) = match authority.rfind(':') {
            Some(at) if !authority[at..].contains(']') => (&authority[..at], Some(&authority[at + 1..])),
            _ => (authority, None),
        };
        UrlRef { host, port, path }
    }

    /// The range of a `cidr:` target; `None` if it is none.
    pub(super) fn range(&self) -> Option<Range> {
        let (address, length) = self.target.split_once('/')?;
        let length = length.parse().ok()?;
        match address.parse().ok()? {
            std::net::IpAddr::V4(address) => Some(Range::V4(address, length)),
            std::net::IpAddr::V6(address) => Some(Range::V6(address, length)),
        }
    }
}

impl UrlRef<'_> {
    /// Whether a prefix of this text ends at a boundary of itself (docs/PROTOCOL.md section 3.2), so that whatever begins
    /// with it is covered.
    pub(super) fn ends_at_boundary(&self) -> bool {
        self.path.ends_with(['/', '?', '&', '='])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_apart() {
        let entry = EntryRef::of("url:example.com:8080/a?b=c:d\tcat=a,b\tage=16\tact=warn").unwrap();
        assert_eq!((entry.rule(), entry.attribute("age")), ("url:example.com:8080/a?b=c:d", Some("16")));
        assert_eq!(entry.categories().collect::<Vec<_>>(), ["a", "b"]);
        let url = entry.url();
        assert_eq!((url.host, url.port, url.path), ("example.com", Some("8080"), "/a?b=c:d"));
        assert!(entry.asks_for_less(true));
        let url = EntryRef::of("prefix:[2001:db8::1]/").unwrap().url();
        assert_eq!((url.host, url.port, url.path), ("[2001:db8::1]", None, "/"));
        let url = EntryRef::of("prefix:[2001:db8::1]:81/").unwrap().url();
        assert_eq!((url.host, url.port), ("[2001:db8::1]", Some("81")));
        assert_eq!(EntryRef::of("cidr:192.0.2.0/24").unwrap().range(), Some(Range::V4([192, 0, 2, 0].into(), 24)));
        assert!(EntryRef::of("example.com").is_none());
    }

    #[test]
    fn selection_is_as_a_policy_has_it() {
        let options = |categories: &[&str], age| ExportOptions {
            categories: categories.iter().map(|c| c.parse().unwrap()).collect(),
            age,
            ..ExportOptions::default()
        };
        let selected = |line, options: &ExportOptions| EntryRef::of(line).unwrap().is_selected(options, true);
        assert!(selected("domain:a.example\tcat=a", &options(&["a"], None)));
        assert!(!selected("domain:a.example\tcat=b", &options(&["a"], None)));
        assert!(selected("domain:a.example\tref=12345678", &options(&["a"], None)));
        assert!(selected("domain:a.example\tage=18", &options(&[], Some(16))));
        assert!(!selected("domain:a.example\tage=16", &options(&[], Some(16))));
    }
}
