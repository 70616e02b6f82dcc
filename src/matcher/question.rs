//! A question: a host, a URL or an address, brought to the form in which rules are written.
//!
//! Guarantees: questions and rules are read by the same code (`list`), so that they cannot disagree about a spelling;
//! a name in plain ASCII and a URL that is canonical already are taken without an allocation; every invalid text is an
//! error with its reason. It resolves nothing.

use std::borrow::Cow;
use std::io::Write as _;
use std::net::IpAddr;

use super::hash::{PADDING, Seed, SuffixHash};
use crate::list::domain::{Shape, push_host, scan_host};
use crate::list::{TargetError, canonical_url, quoted};

/// Longest URL that is taken, in octets.
pub const MAX_QUESTION: usize = 8_192;
/// Longest host name, in octets.
const MAX_NAME: usize = 253;

/// Why a text is no question. The caller should refuse what was asked for: no lawful client asks so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// Longer than any question.
    #[error("the question has {0} octets; ask with at most {MAX_QUESTION}")]
    TooLong(usize),
    /// Not UTF-8.
    #[error("octet {0} is not UTF-8; write the host in ASCII (xn--) or UTF-8, and encode other octets of a URL with %")]
    NotUtf8(usize),
    /// Behind the host stands what is no port.
    #[error("{0:?} is no port; ask with a number from 0 to 65535, or without")]
    Port(String),
    /// No host, URL or address.
    #[error(transparent)]
    Target(#[from] TargetError),
}

/// A host, a URL or an address that is asked about. It borrows the text of a URL where it can.
#[derive(Clone)]
pub struct Question<'a> {
    /// The host in lower case, with room behind it; an address as it stands in a URL rule.
    name: [u8; 256 + PADDING],
    len: u8,
    /// Where labels start, leftmost first; empty for an address.
    starts: [u8; 128],
    labels: u8,
    address: Option<IpAddr>,
    /// `[:PORT]PATH[?QUERY]`, if a URL was asked about.
    rest: Option<Cow<'a, str>>,
}

impl<'a> Question<'a> {
    /// Reads what a person or a filter has: a URL (`scheme://` or anything with a `/`), an address, or a host, with or
    /// without a port (`example.com:8443` asks about the host).
    ///
    /// # Errors
    /// [`QuestionError`] says what is wrong with the text.
    pub fn parse(text: &'a str) -> Result<Question<'a>, QuestionError> {
        if text.len() > MAX_QUESTION {
            return Err(QuestionError::TooLong(text.len()));
        }
        if text.as_bytes().contains(&b'/') {
            return Question::url(text);
        }
        let bare = without_port(text)?;
        match address(bare) {
            Some(address) => Ok(Question::address(address)),
            None => Question::host(bare),
        }
    }

    /// As [`Question::parse`], of octets.
    ///
    /// # Errors
    /// [`QuestionError`], also if the octets are not UTF-8.
    pub fn parse_octets(octets: &'a [u8]) -> Result<Question<'a>, QuestionError> {
        if octets.len() > MAX_QUESTION {
            return Err(QuestionError::TooLong(octets.len()));
        }
        Question::parse(std::str::from_utf8(octets).map_err(|e| QuestionError::NotUtf8(e.valid_up_to()))?)
    }

    /// A host name, or an address in any spelling a client would take for one. A name of one label is a question too,
    /// which no rule answers.
    ///
    /// # Errors
    /// [`QuestionError`] if no client would take the text for a host.
    #[inline]
    pub fn host(text: &str) -> Result<Question<'a>, QuestionError> {
        let mut question = Question::empty();
        match question.set_ascii(text.strip_suffix('.').unwrap_or(text)) {
            Some(Shape::Canonical | Shape::Single) => Ok(question),
            _ => Question::host_slow(text),
        }
    }

    #[cold]
    fn host_slow(text: &str) -> Result<Question<'a>, QuestionError> {
        if let Some(address) = address(text) {
            return Ok(Question::address(address));
        }
        let mut name = String::new();
        match push_host(text, &mut name) {
            Ok(()) => Ok(Question::named(&name)),
            // A top-level domain, local names: valid to ask, never listed.
            Err(TargetError::SingleLabel(_)) => Ok(Question::empty()),
            Err(error @ (TargetError::Address { .. } | TargetError::EndsInNumber(_))) => match url::Host::parse(text) {
                Ok(url::Host::Ipv4(v4)) => Ok(Question::address(v4.into())),
                _ => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// An address. An IPv4-mapped IPv6 address asks about the IPv4 address in it.
    pub fn address(address: IpAddr) -> Question<'a> {
        let mut question = Question::empty();
        let mut room = &mut question.name[..];
        let written = match address {
            IpAddr::V4(v4) => write!(room, "{v4}"),
            IpAddr::V6(v6) => write!(room, "{}", url::Host::<&str>::Ipv6(v6)),
        };
        written.expect("an address has at most 41 octets");
        let left = room.len();
        question.len = (question.name.len() - left) as u8;
        question.address = Some(address.to_canonical());
        question
    }

    /// A URL, with or without `http://` or `https://` before it.
    ///
    /// # Errors
    /// [`QuestionError`] if it is no URL of the web.
    pub fn url(text: &'a str) -> Result<Question<'a>, QuestionError> {
        if text.len() > MAX_QUESTION {
            return Err(QuestionError::TooLong(text.len()));
        }
        match Question::url_fast(text) {
            Some(question) => Ok(question),
            None => Question::url_slow(text),
        }
    }

    /// A URL that is in canonical form but for the scheme, the case of its host and a default port; `None` sends the
    /// caller the slow way.
    fn url_fast(text: &'a str) -> Option<Question<'a>> {
        let rest = ["https://", "http://"].iter().find_map(|s| text.strip_prefix(s)).unwrap_or(text);
        let path = rest.find('/')?;
        let authority = &rest[..path];
        let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
        let dropped = matches!(port, "" | "80" | "443");
        if !dropped && (port.starts_with('0') || !is_port(port)) || authority.ends_with(':') {
            return None;
        }
        if !is_plain(&rest.as_bytes()[path..]) {
            return None;
        }
        let mut question = Question::empty();
        match question.set_ascii(host)? {
            Shape::Canonical => {}
            // An address as it is written in rules.
            Shape::Wrong => question = Question::address(IpAddr::V4(host.parse().ok()?)),
            Shape::Single | Shape::NeedsIdna => return None,
        }
        question.rest = Some(Cow::Borrowed(if dropped { &rest[path..] } else { &rest[host.len()..] }));
        Some(question)
    }

    #[cold]
    fn url_slow(text: &str) -> Result<Question<'a>, QuestionError> {
        let url = match canonical_url(text) {
            // As a host of one label is.
            Err(TargetError::SingleLabel(_)) => return Ok(Question::empty()),
            url => url?,
        };
        let end = match url.strip_prefix('[') {
            Some(rest) => rest.find(']').map_or(url.len(), |at| at + 2),
            None => url.find([':', '/']).unwrap_or(url.len()),
        };
        let (host, rest) = url.split_at(end);
        let mut question = match address(host) {
            Some(address) => Question::address(address),
            None => Question::named(host),
        };
        question.rest = Some(Cow::Owned(rest.to_owned()));
        Ok(question)
    }

    fn empty() -> Question<'a> {
        Question { name: [0; 256 + PADDING], len: 0, starts: [0; 128], labels: 0, address: None, rest: None }
    }

    /// Takes a name that is canonical already.
    fn named(name: &str) -> Question<'a> {
        let mut question = Question::empty();
        question.set_ascii(name);
        question
    }

    /// Lowers and scans; `None` if it is too long.
    #[inline]
    fn set_ascii(&mut self, text: &str) -> Option<Shape> {
        let n = text.len();
        if n > MAX_NAME || n == 0 {
            return None;
        }
        self.len = n as u8;
        self.name[..n].copy_from_slice(text.as_bytes());
        self.name[..n].make_ascii_lowercase();
        let (starts, mut labels) = (&mut self.starts, 0_u8);
        let shape = scan_host(&self.name[..n], |start| {
            starts[usize::from(labels & 127)] = start as u8;
            labels = labels.saturating_add(1);
        });
        self.labels = labels;
        Some(shape)
    }

    /// The host as rules write it.
    pub fn name(&self) -> &str {
        std::str::from_utf8(self.name_octets()).expect("a host is ASCII")
    }

    #[inline]
    pub(crate) fn name_octets(&self) -> &[u8] {
        &self.name[..usize::from(self.len)]
    }

    /// The address, if the host is one.
    pub fn as_address(&self) -> Option<IpAddr> {
        self.address
    }

    /// `[:PORT]PATH[?QUERY]`, if a URL was asked about.
    pub fn rest(&self) -> Option<&str> {
        self.rest.as_deref()
    }

    /// How many names are to be looked up: the host and those above it of at least two labels. An address is looked
    /// up as one name, for the URLs under it.
    #[inline]
    pub(crate) fn suffixes(&self) -> usize {
        match self.labels {
            0 => usize::from(self.len > 0),
            labels => usize::from(labels) - 1,
        }
    }

    /// The octets of suffix `n`: 0 is the whole host, each further one has a label less.
    #[inline]
    pub(crate) fn suffix(&self, n: usize) -> &[u8] {
        &self.name[usize::from(self.starts[n & 127])..usize::from(self.len)]
    }

    /// Hashes of the suffixes into `into`, `into[0]` being that of the whole host. Only as many as fit are computed,
    /// from the right: the caller gives room for [`Question::suffixes`].
    #[inline]
    pub(crate) fn hashes(&self, seed: Seed, into: &mut [u64]) {
        let mut hash = SuffixHash::new(seed);
        let mut end = usize::from(self.len);
        if self.labels == 0 {
            // An address is one name, yet hashed as the builder does: cut at its dots.
            if let Some(first) = into.first_mut() {
                *first = super::hash::hash_name(self.name_octets(), seed);
            }
            return;
        }
        for n in (0..usize::from(self.labels)).rev() {
            let start = usize::from(self.starts[n & 127]);
            let value = hash.label(&self.name, start, end);
            if let Some(slot) = into.get_mut(n) {
                *slot = value;
            }
            end = start.saturating_sub(1);
        }
    }
}

impl std::fmt::Debug for Question<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.name(), self.rest().unwrap_or_default())
    }
}

impl std::fmt::Display for Question<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.name(), self.rest().unwrap_or_default())
    }
}

fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).filter(|t| t.contains(':')).unwrap_or(text);
    if bare.len() > 45 {
        return None;
    }
    bare.parse().ok()
}

/// `host:port` and `[address]:port` without the port.
fn without_port(text: &str) -> Result<&str, QuestionError> {
    match text.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|c| c.is_ascii_digit()) && (!host.contains(':') || host.ends_with(']')) => {
            if is_port(port) {
                Ok(host)
            } else {
                Err(QuestionError::Port(quoted(port)))
            }
        }
        _ => Ok(text),
    }
}

/// Digits alone, up to 65535.
fn is_port(text: &str) -> bool {
    text.len() <= 5 && text.bytes().all(|c| c.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// Whether the URL parser and the normalisation of rules leave these octets, a path and query, as they are.
fn is_plain(octets: &[u8]) -> bool {
    let mut before = 0;
    for &c in octets {
        let kept = match c {
            b'.' => before != b'/',
            b'?' | b'!' | b'$' | b'&' | b'(' | b')' | b'*' | b'+' | b',' | b'-' | b'/' | b':' | b';' | b'=' | b'@' | b'_' | b'~' => true,
            _ => c.is_ascii_alphanumeric(),
        };
        if !kept {
            return false;
        }
        before = c;
    }
    // An empty query is dropped.
    before != b'?'
}
