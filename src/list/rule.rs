//! A rule: target and scope as one line of canonical ASCII (docs/PROTOCOL.md section 3).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{MAX_RULE, TargetError, canonical_cidr, domain, ids::quoted, url};

/// What a rule matches.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `domain:` exactly this host.
    Domain,
    /// `subtree:` this host and every host under it.
    Subtree,
    /// `url:` exactly this URL.
    Url,
    /// `prefix:` every URL that begins so.
    Prefix,
    /// `cidr:` addresses.
    Cidr,
}

impl Kind {
    /// All kinds, in the order of the protocol's table.
    pub const ALL: [Kind; 5] = [Kind::Domain, Kind::Subtree, Kind::Url, Kind::Prefix, Kind::Cidr];

    /// The word before the colon.
    pub const fn word(self) -> &'static str {
        match self {
            Kind::Domain => "domain",
            Kind::Subtree => "subtree",
            Kind::Url => "url",
            Kind::Prefix => "prefix",
            Kind::Cidr => "cidr",
        }
    }

    /// Splits `kind:rest`; `None` if the text does not begin with one of the five words.
    pub fn split(text: &str) -> Option<(Kind, &str)> {
        let (word, rest) = text.split_once(':')?;
        Kind::ALL.into_iter().find(|kind| kind.word() == word).map(|kind| (kind, rest))
    }
}

/// A rule in canonical form, at most [`super::MAX_RULE`] octets. Ordered by its octets, as lists are.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule(Box<str>);

impl Rule {
    /// Makes the rule of this kind for a target as people write it; the target is brought to canonical form.
    ///
    /// # Errors
    /// [`TargetError`] if there is no such rule.
    pub fn new(kind: Kind, target: &str) -> Result<Rule, TargetError> {
        let mut text = String::with_capacity(kind.word().len() + 1 + target.len());
        Rule::write(kind, target, &mut text)?;
        Ok(Rule(text.into_boxed_str()))
    }

    /// As [`Rule::new`], the rule's text appended to `out`: for reading in bulk without an allocation a rule.
    ///
    /// # Errors
    /// [`TargetError`] if there is no such rule; `out` is then as it was.
    pub fn write(kind: Kind, target: &str, out: &mut String) -> Result<(), TargetError> {
        push(kind, target, out, domain::push_domain)
    }

    /// Reads what a person wrote: `kind:target`, or a bare address or range, URL or host, which means exactly that
    /// (`cidr:`, `url:`, `domain:`). The target is brought to canonical form.
    ///
    /// # Errors
    /// [`TargetError`] if there is no such rule.
    pub fn interpret(text: &str) -> Result<Rule, TargetError> {
        if let Some((kind, target)) = Kind::split(text) {
            return Rule::new(kind, target);
        }
        Rule::new(Rule::interpret_kind(text), text)
    }

    /// The kind a text without `kind:` before it means: an address or a range, then what has a `/`, then a host.
    pub fn interpret_kind(text: &str) -> Kind {
        // 192.0.2.1/24 is a range with a mistake in it, 192.0.2.1/a is a URL.
        let (address, length) = text.split_once('/').unwrap_or((text, ""));
        if length.bytes().all(|c| c.is_ascii_digit()) && !text.ends_with('/') && canonical_cidr(address).is_ok() {
            Kind::Cidr
        } else if text.contains('/') {
            Kind::Url
        } else {
            Kind::Domain
        }
    }

    /// Whether the publisher may make this rule: a host that is a public suffix is refused. The text form alone
    /// ([`FromStr`]) does not look at the suffix list, so that a follower with another edition of it reads the same lists.
    ///
    /// # Errors
    /// [`TargetError::PublicSuffix`].
    pub fn check_suffix(&self) -> Result<(), TargetError> {
        match self.kind() {
            Kind::Domain | Kind::Subtree => domain::check_suffix(self.target()),
            Kind::Url | Kind::Prefix | Kind::Cidr => Ok(()),
        }
    }

    /// The whole rule, `kind:target`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it matches.
    pub fn kind(&self) -> Kind {
        Kind::split(&self.0).expect("a rule begins with its kind").0
    }

    /// The part behind the colon.
    pub fn target(&self) -> &str {
        Kind::split(&self.0).expect("a rule begins with its kind").1
    }

    /// A rule whose canonical form the caller vouches for (a line of a verified snapshot of this process's own making).
    pub(crate) fn trusted(text: &str) -> Rule {
        Rule(text.into())
    }
}

fn push(kind: Kind, target: &str, out: &mut String, host: fn(&str, &mut String) -> Result<(), TargetError>) -> Result<(), TargetError> {
    let start = out.len();
    out.push_str(kind.word());
    out.push(':');
    let done = match kind {
        Kind::Domain | Kind::Subtree => host(target, out),
        Kind::Url => url::push_url(target, out),
        // A dropped fragment or bare `?` would make a prefix wider than it was written.
        Kind::Prefix if target.contains('#') || target.ends_with('?') => Err(TargetError::PrefixEnd(quoted(target))),
        Kind::Prefix => url::push_url(target, out),
        Kind::Cidr => canonical_cidr(target).map(|range| out.push_str(&range)),
    };
    let done = match out.len() - start {
        octets if done.is_ok() && octets > MAX_RULE => Err(TargetError::TooLong(octets)),
        _ => done,
    };
    if done.is_err() {
        out.truncate(start);
    }
    done
}

/// Reads a rule that must already be canonical; anything else is refused, not repaired. Public suffixes pass, see
/// [`Rule::check_suffix`].
impl FromStr for Rule {
    type Err = TargetError;
    fn from_str(text: &str) -> Result<Self, TargetError> {
        let (kind, target) = Kind::split(text).ok_or_else(|| TargetError::Kind(quoted(text)))?;
        let mut canonical = String::with_capacity(text.len());
        push(kind, target, &mut canonical, domain::push_host)?;
        if canonical == text { Ok(Rule(canonical.into_boxed_str())) } else { Err(TargetError::not_canonical(text, &canonical)) }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_becomes_an_exact_rule() {
        for (text, rule) in [
            ("Example.com", "domain:example.com"),
            ("subtree:Example.com", "subtree:example.com"),
            ("https://example.com/a/../b", "url:example.com/b"),
            ("example.com/", "url:example.com/"),
            ("prefix:example.com/a", "prefix:example.com/a"),
            ("192.0.2.1", "cidr:192.0.2.1/32"),
            ("2001:db8::/32", "cidr:2001:db8::/32"),
            ("192.0.2.1/a", "url:192.0.2.1/a"),
            ("192.0.2.1/", "url:192.0.2.1/"),
            ("http://192.0.2.1/24", "url:192.0.2.1/24"),
        ] {
            let made = Rule::interpret(text).expect(text);
            assert_eq!(made.as_str(), rule);
            assert_eq!(rule.parse(), Ok(made.clone()), "its text reads back");
            assert_eq!(format!("{}:{}", made.kind().word(), made.target()), rule);
        }
        assert!(matches!(Rule::interpret("192.0.2.1/24"), Err(TargetError::HostBits { .. })));
        assert!(matches!(Rule::interpret("example.com:443"), Err(TargetError::Port(_))));
        assert!(matches!(Rule::interpret("*.example.com"), Err(TargetError::Wildcard { .. })));
    }

    #[test]
    fn reading_is_strict() {
        for text in [
            "domain:Example.com",
            "domain:example.com.",
            "url:example.com",
            "cidr:192.0.2.1",
            "url:https://example.com/",
            "prefix:a.example/%61",
        ] {
            assert!(matches!(text.parse::<Rule>(), Err(TargetError::NotCanonical { .. })), "{text}");
        }
        for text in ["", "example.com", "host:example.com", "Domain:example.com", "domain"] {
            assert!(matches!(text.parse::<Rule>(), Err(TargetError::Kind(_))), "{text}");
        }
        let suffix: Rule = "subtree:co.uk".parse().expect("the form allows it");
        assert!(matches!(suffix.check_suffix(), Err(TargetError::PublicSuffix(_))));
        assert!(matches!(Rule::new(Kind::Subtree, "co.uk"), Err(TargetError::PublicSuffix(_))));
    }

    #[test]
    fn a_prefix_never_grows() {
        for text in ["example.com/a?", "example.com/a#b", "example.com/a?x=1#b"] {
            assert!(matches!(Rule::new(Kind::Prefix, text), Err(TargetError::PrefixEnd(_))), "{text}");
        }
    }

    #[test]
    fn a_rule_has_at_most_2048_octets() {
        let rule = Rule::new(Kind::Url, &format!("a.example/{}", "p".repeat(MAX_RULE - 14))).expect("just fits");
        assert_eq!(rule.as_str().len(), MAX_RULE);
        assert_eq!(Rule::new(Kind::Url, &format!("a.example/{}", "p".repeat(MAX_RULE - 13))), Err(TargetError::TooLong(2049)));
    }

    #[test]
    fn every_message_says_what_to_do() {
        for text in [
            "",
            "domain:",
            "domain:.",
            "domain:com",
            "domain:co.uk",
            "domain:a; b.example",
            "url:ftp://x/",
            "cidr:x",
            "cidr:0.0.0.0/0",
            "x",
        ] {
            let error = Rule::interpret(text).expect_err(text);
            let (reason, hint) = error.reason_and_hint();
            assert!(hint.starts_with("write "), "{text}: {reason} / {hint}");
        }
    }
}
