//! Why a target was refused. Every message ends in what to write instead.

use super::{MAX_LINE, MAX_RULE, ids::quoted};

/// Why a target was refused. Texts in the variants are escaped and cut to 80 characters.
///
/// A message is `reason; hint`; [`TargetError::reason_and_hint`] gives the two apart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Nothing there.
    #[error("nothing there, and an empty rule would match everything; write a host, a URL or an address range")]
    Empty,
    /// Only the root of the name space.
    #[error("the root matches every name; write the host that is meant")]
    Root,
    /// One label only.
    #[error("\"{0}\" is a single label, which is a top-level domain or a local name; write a name of at least two labels")]
    SingleLabel(String),
    /// A public suffix of the ICANN section.
    #[error("\"{0}\" is a public suffix and would block a whole registry; write the registered names under it one by one")]
    PublicSuffix(String),
    /// An address where a host is expected.
    #[error("\"{text}\" is an address, not a host; write cidr:{range}")]
    Address {
        /// As written.
        text: String,
        /// The range it stands for.
        range: String,
    },
    /// The last label is a number, yet the whole is no address.
    #[error("\"{0}\" ends in a number, so that clients take it for an address; write a host name, or cidr: and an address")]
    EndsInNumber(String),
    /// Two dots in a row.
    #[error("\"{0}\" has an empty label; write one dot between two labels")]
    EmptyLabel(String),
    /// A leading dot.
    #[error("\"{text}\" begins with a dot; write subtree:{rest} for the name and all names under it, or {rest} for this host alone")]
    LeadingDot {
        /// As written.
        text: String,
        /// What follows the dot.
        rest: String,
    },
    /// `*.` or a star elsewhere.
    #[error("\"{text}\" has a wildcard; write subtree:{rest} if the name and every name under it is meant")]
    Wildcard {
        /// As written.
        text: String,
        /// The name without its first star label.
        rest: String,
    },
    /// More than 63 octets in a label.
    #[error("label \"{0}\" is longer than 63 octets; write the name as it is registered")]
    LabelTooLong(String),
    /// More than 253 octets in a name.
    #[error("the name has {0} octets; write one of at most 253")]
    NameTooLong(usize),
    /// A character that is in no host name.
    #[error("{character:?} in \"{text}\" cannot be part of a host name; write letters, digits, - and _ with dots between")]
    Character {
        /// As written.
        text: String,
        /// The character.
        character: char,
    },
    /// UTS #46 refuses it.
    #[error("\"{0}\" is not a valid internationalised name (UTS #46); write it as it is registered, in letters or as xn--")]
    Idna(String),
    /// A URL where a host is expected.
    #[error("\"{text}\" is a URL, not a host; write url:{rest} for this URL alone, or only the host for all of it")]
    Url {
        /// As written.
        text: String,
        /// Without scheme.
        rest: String,
    },
    /// A host and a port where a host is expected.
    #[error("\"{0}\" has a port; write only the host, or url: with host, port and path")]
    Port(String),
    /// No host in a URL.
    #[error("\"{0}\" has no host; write host and path, such as example.com/path")]
    NoHost(String),
    /// A scheme other than http and https.
    #[error("\"{0}\" has a scheme other than http and https; write a web URL, or the host alone")]
    Scheme(String),
    /// The URL Standard refuses it.
    #[error("\"{text}\" is not a URL ({why}); write host and path, such as example.com/path")]
    UrlSyntax {
        /// As written.
        text: String,
        /// What the URL parser says.
        why: String,
    },
    /// Blanks around it, or control characters in it.
    #[error("\"{0}\" has blanks around it or control characters in it; write it without them")]
    Control(String),
    /// A prefix rule with a fragment or a bare `?`, whose loss would make it wider.
    #[error("\"{0}\" ends in a fragment or an empty query, which a prefix cannot hold; write the path up to a boundary")]
    PrefixEnd(String),
    /// Not `ADDRESS/LENGTH`.
    #[error("\"{0}\" is not an address range; write 192.0.2.0/24, 2001:db8::/32 or one address")]
    Range(String),
    /// Bits beyond the length are set.
    #[error("\"{text}\" has bits set beyond its length; write {network} for the whole range, or {address} for the one address")]
    HostBits {
        /// As written.
        text: String,
        /// The range with these bits cleared.
        network: String,
        /// The single address.
        address: String,
    },
    /// Shorter than /8 or /16.
    #[error("\"{text}\" is too wide; write ranges of at least /{shortest}")]
    RangeTooWide {
        /// As written.
        text: String,
        /// The shortest length that is allowed.
        shortest: u8,
    },
    /// The rule would be too long.
    #[error("the rule has {0} octets; write one of at most {MAX_RULE}")]
    TooLong(usize),
    /// Not a kind of rule.
    #[error("\"{0}\" does not begin with a kind of rule; write domain:, subtree:, url:, prefix: or cidr: before the target")]
    Kind(String),
    /// There is another way to write it, the only one allowed.
    #[error("\"{text}\" is not in canonical form; write {canonical}")]
    NotCanonical {
        /// As written.
        text: String,
        /// As it must be written.
        canonical: String,
    },
}

impl TargetError {
    /// What is wrong, and what to do, as two texts.
    pub fn reason_and_hint(&self) -> (String, String) {
        split(self.to_string())
    }

    /// For a text that is not in canonical form.
    pub(super) fn not_canonical(text: &str, canonical: &str) -> TargetError {
        TargetError::NotCanonical { text: quoted(text), canonical: quoted(canonical) }
    }
}

/// Why an entry line was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// The rule is not one.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A key that the table of section 4 does not have.
    #[error("\"{0}\" is not an attribute; write cat=, ref=, age=, act=, rsn= or exp=")]
    Key(String),
    /// Out of order or twice.
    #[error("attribute \"{0}\" is out of order or there twice; write each at most once, in the order cat ref age act rsn exp")]
    Order(String),
    /// A value that this key cannot have.
    #[error("\"{value}\" is not a value of {key}; write {expected}")]
    Value {
        /// The key.
        key: &'static str,
        /// The value, escaped and cut.
        value: String,
        /// What it can be.
        expected: &'static str,
    },
    /// Categories are not ascending and unique.
    #[error("categories \"{0}\" are not ascending without duplicates; write them sorted, joined by commas")]
    CategoryOrder(String),
    /// More than 16 categories.
    #[error("{0} categories; write at most 16")]
    Categories(usize),
    /// The line would be too long.
    #[error("the entry has {0} octets; write one of at most {MAX_LINE}")]
    TooLong(usize),
}

impl EntryError {
    /// What is wrong, and what to do, as two texts.
    pub fn reason_and_hint(&self) -> (String, String) {
        split(self.to_string())
    }
}

/// Messages are `reason; hint`, and no hint has "; " in it, whatever the quoted text has.
fn split(message: String) -> (String, String) {
    match message.rsplit_once("; ") {
        Some((reason, hint)) => (reason.to_owned(), hint.to_owned()),
        None => (message, String::new()),
    }
}
