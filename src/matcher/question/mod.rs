//! A question: a host, a URL or an address, brought to the form in which rules are written.
//!
//! Guarantees: questions and rules are read by the same code (`list`), so that they cannot disagree about a spelling;
//! a name in plain ASCII and a URL that is canonical already are taken without an allocation; every invalid text is an
//! error with its reason. It resolves nothing.

mod scan;
mod text;

use std::borrow::Cow;
use std::io::Write as _;
use std::net::IpAddr;

use self::text::{address, plain_url, without_port};
use super::hash::{PADDING, Seed, SuffixHash};
use crate::list::domain::push_host;
use crate::list::{TargetError, canonical_url};

/// Longest URL that is taken, in octets.
pub const MAX_QUESTION: usize = 8_192;
/// Longest host name and longest label, in octets.
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

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
///
/// A value can be used again with [`Question::set`]: that spares the making of 400 octets for each question.
#[derive(Clone)]
pub struct Question<'a> {
    /// The host in lower case, zeros behind it; an address as it stands in a URL rule.
    name: [u8; 256 + PADDING],
    /// Where labels start, leftmost first.
    starts: [u8; 128],
    len: u8,
    /// How many labels; 0 of an address.
    labels: u8,
    address: Option<IpAddr>,
    /// `[:PORT]PATH[?QUERY]`, if a URL was asked about.
    rest: Option<Cow<'a, str>>,
}

impl Default for Question<'_> {
    fn default() -> Self {
        Question::new()
    }
}

impl<'a> Question<'a> {
    /// A question about nothing, which no rule answers: to be [`Question::set`].
    pub const fn new() -> Question<'a> {
        Question { name: [0; 256 + PADDING], starts: [0; 128], len: 0, labels: 0, address: None, rest: None }
    }

    /// Reads what a person or a filter has: a URL (`scheme://` or anything with a `/`), an address, or a host, with or
    /// without a port (`example.com:8443` asks about the host).
    ///
    /// # Errors
    /// [`QuestionError`] says what is wrong with the text.
    pub fn parse(text: &'a str) -> Result<Question<'a>, QuestionError> {
        let mut question = Question::new();
        question.set(text)?;
        Ok(question)
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

    /// Asks about another text from now on, read as by [`Question::parse`]. After an error it asks about nothing.
    ///
    /// # Errors
    /// [`QuestionError`] says what is wrong with the text.
    #[inline]
    pub fn set(&mut self, text: &'a str) -> Result<(), QuestionError> {
        self.rest = None;
        self.address = None;
        // By far the most questions are plain names.
        if self.set_plain(text.as_bytes()) {
            return Ok(());
        }
        self.set_slow(text).inspect_err(|_| *self = Question::new())
    }

    #[cold]
    fn set_slow(&mut self, text: &'a str) -> Result<(), QuestionError> {
        if text.len() > MAX_QUESTION {
            return Err(QuestionError::TooLong(text.len()));
        }
        if text.as_bytes().contains(&b'/') {
            return self.set_url(text);
        }
        let bare = without_port(text)?;
        match address(bare) {
            Some(address) => self.set_address(address),
            None if self.set_plain(bare.as_bytes()) => {}
            None => return self.set_host(bare),
        }
        Ok(())
    }

    /// Asks about a host name, or an address in any spelling a client would take for one. A name of one label is a question
    /// too, which no rule answers.
    fn set_host(&mut self, text: &str) -> Result<(), QuestionError> {
        let mut name = String::new();
        match push_host(text, &mut name) {
            Ok(()) => self.set_canonical(&name),
            // A top-level domain, local names: valid to ask, never listed.
            Err(TargetError::SingleLabel(_)) if url::Host::parse(text).is_ok() => *self = Question::new(),
            Err(error @ (TargetError::Address { .. } | TargetError::EndsInNumber(_))) => match url::Host::parse(text) {
                Ok(url::Host::Ipv4(v4)) => self.set_address(v4.into()),
                _ => return Err(error.into()),
            },
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Asks about an address. An IPv4-mapped IPv6 address asks about the IPv4 address in it.
    fn set_address(&mut self, address: IpAddr) {
        self.name.fill(0);
        let mut room = &mut self.name[..];
        let written = match address {
            IpAddr::V4(v4) => write!(room, "{v4}"),
            IpAddr::V6(v6) => write!(room, "{}", url::Host::<&str>::Ipv6(v6)),
        };
        written.expect("an address has at most 41 octets");
        let left = room.len();
        self.len = (self.name.len() - left) as u8;
        self.labels = 0;
        self.address = Some(address.to_canonical());
    }

    /// A question about a host name, or about an address in any spelling a client would take for one.
    ///
    /// # Errors
    /// [`QuestionError`] if no client would take the text for a host.
    pub fn host(text: &str) -> Result<Question<'a>, QuestionError> {
        let mut question = Question::new();
        if !question.set_plain(text.as_bytes()) {
            match address(text) {
                Some(address) => question.set_address(address),
                None => question.set_host(text)?,
            }
        }
        Ok(question)
    }

    /// A question about a URL, with or without `http://` or `https://` before it.
    ///
    /// # Errors
    /// [`QuestionError`] if it is no URL of the web.
    pub fn url(text: &'a str) -> Result<Question<'a>, QuestionError> {
        let mut question = Question::new();
        question.set_url(text)?;
        Ok(question)
    }

    /// Asks about an address: for callers that have one, not its text.
    pub fn address(address: IpAddr) -> Question<'a> {
        let mut question = Question::new();
        question.set_address(address);
        question
    }

    fn set_url(&mut self, text: &'a str) -> Result<(), QuestionError> {
        if text.len() > MAX_QUESTION {
            return Err(QuestionError::TooLong(text.len()));
        }
        if let Some((host, rest)) = plain_url(text) {
            // A host, or an address as it is written in rules.
            let taken = if self.set_plain(host.as_bytes()) {
                self.labels > 1
            } else if let Ok(v4) = host.parse() {
                self.set_address(IpAddr::V4(v4));
                true
            } else {
                false
            };
            if taken {
                self.rest = Some(Cow::Borrowed(rest));
                return Ok(());
            }
        }
        let url = match canonical_url(text) {
            // As a host of one label is.
            Err(TargetError::SingleLabel(_)) => {
                *self = Question::new();
                return Ok(());
            }
            url => url?,
        };
        let end = match url.strip_prefix('[') {
            Some(rest) => rest.find(']').map_or(url.len(), |at| at + 2),
            None => url.find([':', '/']).unwrap_or(url.len()),
        };
        let (host, rest) = url.split_at(end);
        match address(host) {
            Some(address) => self.set_address(address),
            None => self.set_canonical(host),
        }
        self.rest = Some(Cow::Owned(rest.to_owned()));
        Ok(())
    }

    /// Takes a name that is canonical already.
    fn set_canonical(&mut self, name: &str) {
        let taken = self.scan(name.as_bytes());
        debug_assert!(taken.is_some(), "a canonical name has labels of letters, digits, - and _: {name}");
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

    /// Hashes of the suffixes into `into`, `into[0]` being that of the whole host. The caller gives room for
    /// [`Question::suffixes`]; what finds no room is not given.
    #[inline]
    pub(crate) fn hashes(&self, seed: &Seed, into: &mut [u64]) {
        if self.labels == 0 {
            if let Some(first) = into.first_mut() {
                *first = super::hash::hash_name(&self.name, usize::from(self.len), seed);
            }
            return;
        }
        let mut hash = SuffixHash::new(seed);
        let mut end = usize::from(self.len);
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
