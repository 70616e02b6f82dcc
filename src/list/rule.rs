//! A rule: target and scope as one line of canonical ASCII (docs/PROTOCOL.md section 3).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Why a target was refused. The message says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Nothing there.
    #[error("empty target; an empty rule would match everything")]
    Empty,
}

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
        let _ = (kind, target);
        todo!()
    }

    /// The whole rule, `kind:target`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it matches.
    pub fn kind(&self) -> Kind {
        todo!()
    }

    /// The part behind the colon.
    pub fn target(&self) -> &str {
        todo!()
    }

    /// A rule whose canonical form the caller vouches for (a line of a verified snapshot of this process's own making).
    pub(crate) fn trusted(text: &str) -> Rule {
        Rule(text.into())
    }
}

/// Reads a rule that must already be canonical; anything else is refused, not repaired.
impl FromStr for Rule {
    type Err = TargetError;
    fn from_str(text: &str) -> Result<Self, TargetError> {
        let _ = text;
        todo!()
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
