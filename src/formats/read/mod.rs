//! The readers, all of them streams.
//!
//! Guarantees: memory is bounded whatever the input; a line that cannot be understood becomes an [`Issue`] with its
//! place and a hint, never a wider rule; a file that is no list at all is refused as a whole before anything is handed
//! on. It fetches nothing.
//!
//! In every format a line beginning with `#`, `!` or `;` is a comment, and `#` or `;` behind a blank begins one. `#` and
//! `;` without a blank before them are part of the word, and in a host name an issue: nothing is dropped silently.

mod adblock;
mod appliances;
mod csv;
mod detect;
mod dnsmasq;
mod filters;
mod format;
mod header;
mod json;
mod lines;
mod out;
mod own;
mod pieces;
mod plain;
mod policy;
mod ranges;
mod regex;
mod row;
mod rpz;
mod source;
mod tree;
mod unbound;
mod xml;
mod zone;

use std::collections::BTreeMap;
use std::io::{self, BufRead};

use crate::list::{Attributes, Code, EntryError, Kind};

pub use format::{Format, NotAFormat};
pub use header::{Header, HeaderError, header};
pub use pieces::{PIECE, Piece, Pieces};
pub use xml::{XmlNames, XmlNamesError};

/// How many issues a [`Summary`] keeps; all are counted.
pub const ISSUES_KEPT: usize = 100;

/// How to read.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// The format; `None`: detect from the first 64 KiB.
    pub format: Option<Format>,
    /// Scope of plain domains: `false` exact (`domain:`), `true` `subtree:`. Hosts files are always exact.
    pub subtree: bool,
    /// Attributes for entries that bring none of their own.
    pub attributes: Attributes,
    /// What `*.name` and `.name` in plain lists and CSV mean.
    pub wildcards: Wildcards,
    /// What becomes of what a file allows in spite of its other rules.
    pub exceptions: Exceptions,
    /// Of a tree of categories only these; empty: all.
    pub only: Vec<Code>,
    /// What the elements of a dump in XML are called.
    pub xml: XmlNames,
    /// Longest line in octets, at least 64; a longer one is one issue and is skipped to its end.
    pub max_line: usize,
}

impl Default for ReadOptions {
    fn default() -> Self {
        ReadOptions {
            format: None,
            subtree: false,
            attributes: Attributes::default(),
            wildcards: Wildcards::Refuse,
            exceptions: Exceptions::LeaveOut,
            only: Vec::new(),
            xml: XmlNames::default(),
            max_line: 8 * 1024,
        }
    }
}

/// What `*.name` and `.name` mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wildcards {
    /// An issue: nothing wider than what is written.
    #[default]
    Refuse,
    /// `subtree:name`, because the caller says so.
    Subtree,
}

/// What becomes of exceptions: rules of a file that blocks which allow something nevertheless (`@@||name^`, `rpz-passthru.`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exceptions {
    /// Left out and counted: an entry of a list that blocks cannot allow.
    #[default]
    LeaveOut,
    /// Only they are taken, for a list that allows; what blocks is left out and counted.
    Only,
}

/// Rules of one sort that a list cannot hold, or that would come out wider than they are.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "daemon", derive(utoipa::ToSchema))]
pub struct LeftOut {
    /// How many.
    pub count: u64,
    /// Line of the first, from 1.
    pub line: u64,
    /// The file in the archive, where the first is in one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub file: String,
    /// The first one's text, escaped and cut to 80 characters.
    pub text: String,
}

/// One thing that was wrong.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "daemon", derive(utoipa::ToSchema))]
pub struct Issue {
    /// The file in the archive, where it is in one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub file: String,
    /// Line number, from 1.
    pub line: u64,
    /// Column in octets, from 1.
    pub column: u32,
    /// What is wrong.
    pub reason: String,
    /// What to do.
    pub hint: String,
    /// The offending text, escaped and cut to 80 characters.
    pub text: String,
}

/// What was read: counts, and the first [`ISSUES_KEPT`] issues.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "daemon", derive(utoipa::ToSchema))]
pub struct Summary {
    /// The format that was read.
    pub format: Option<Format>,
    /// Lines read.
    pub lines: u64,
    /// Entries handed on.
    pub entries: u64,
    /// Removals handed on.
    #[serde(default)]
    pub removals: u64,
    /// Comment, header and empty lines, and lines of a hosts file that name only this machine.
    pub comments: u64,
    /// What the format can say and a list cannot hold, by sort: none of it is wrong, and none of it became an entry.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out: BTreeMap<String, LeftOut>,
    /// The last line has no line end: the file may have been cut off.
    #[serde(default)]
    pub unterminated: bool,
    /// All issues, counted.
    pub issues_total: u64,
    /// The first of them.
    pub issues: Vec<Issue>,
}

/// What a reader hands on: canonical text, borrowed from the reader's own buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Item<'a> {
    /// An entry to put: its canonical line without LF. Checked as a publisher must (public suffixes refused).
    Put(&'a str),
    /// A rule to remove, canonical (only in bwld's own text, as a `-rule` line).
    Remove(&'a str),
}

/// Why a file as a whole was refused: nothing of it may become a list.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The input could not be read.
    #[error("reading the file failed: {0}; try again or take another copy")]
    Io(#[from] io::Error),
    /// UTF-16 or UTF-32.
    #[error("the file is encoded in {0}; save it as UTF-8")]
    Encoding(&'static str),
    /// A web page, such as the login page of a network, or the answer of an API.
    #[error("the file is {0}, not a list; fetch it again and look at it first")]
    NotAList(&'static str),
    /// Something compressed or otherwise packed.
    #[error("the file is {0}; unpack it first")]
    Packed(&'static str),
    /// A CSV header line without a column that names a target.
    #[error("the header line has no column for the target (it has: {0}); name one column rule, domain, url, address or target")]
    NoTargetColumn(String),
    /// A CSV header line with two columns for one thing.
    #[error("the header line has two columns for the {0}; leave one of them")]
    TwoColumns(&'static str),
    /// Only exceptions were asked for, and the format has none.
    #[error("{0} has no exceptions; read it without asking for exceptions only")]
    NoExceptions(Format),
    /// JSON that is not well-formed, cut off, or beyond bounds.
    #[error("the JSON is no good: {0}; fetch it again and look at it first")]
    Json(String),
    /// XML that is not well-formed, cut off, or beyond bounds.
    #[error("the XML is no good, line {line}: {why}; fetch it again and look at it first")]
    Xml {
        /// Line, from 1.
        line: u64,
        /// What is wrong.
        why: String,
    },
    /// An archive that is damaged, cut off, or beyond bounds.
    #[error("the archive is no good: {0}; fetch or make it again")]
    Archive(String),
    /// The attributes of [`ReadOptions`] are out of range.
    #[error("attributes for all entries: {0}")]
    Attributes(#[from] EntryError),
}

/// A file whose beginning has been looked at, ready to be read.
pub enum Opened<R> {
    /// Its lines stand for themselves: the pieces can be read beside each other.
    Pieces(Pieces<R>),
    /// What a line says may depend on those before it.
    Whole(Whole<R>),
}

/// A file to be read from beginning to end.
pub struct Whole<R> {
    input: R,
    format: Format,
    /// A single CR ends a line.
    cr: bool,
}

/// The input behind the beginning that was looked at.
pub type Rest<R> = io::Chain<io::Cursor<Vec<u8>>, R>;

/// Looks at the beginning of `input`.
///
/// # Errors
/// [`ReadError`] if the file as a whole is refused, or could not be read.
pub fn open<R: BufRead>(input: R, options: &ReadOptions) -> Result<Opened<Rest<R>>, ReadError> {
    let detect::Opened { input, format, cr } = detect::open(input, options)?;
    Ok(match format {
        // Where a single CR ends a line, LF is not where to cut.
        Format::Domains | Format::Hosts if !cr => Opened::Pieces(Pieces::new(input, format, options.max_line)),
        format => Opened::Whole(Whole { input, format, cr }),
    })
}

impl<R: BufRead> Whole<R> {
    /// Reads it to its end, handing each entry to `sink` in the order of the file.
    ///
    /// # Errors
    /// As [`read`].
    pub fn read<E: From<ReadError>>(self, options: &ReadOptions, sink: impl FnMut(Item<'_>) -> Result<(), E>) -> Result<Summary, E> {
        let mut out = out::Out::new(options, sink)?;
        out.summary.format = Some(self.format);
        match self.format {
            Format::Tree => tree::read(self.input, options, &mut out)?,
            Format::Json => json::document(self.input, options, &mut out)?,
            Format::Xml => xml::read(self.input, options, &mut out)?,
            format => {
                let mut lines = lines::Lines::new(self.input, options.max_line, self.cr);
                of_lines(format, &mut lines, &mut out)?;
                out.summary.lines = lines.number();
                out.summary.unterminated = lines.unterminated();
            }
        }
        Ok(out.summary)
    }
}

/// Reads a format that consists of lines.
fn of_lines<R: BufRead, E: From<ReadError>, F>(format: Format, lines: &mut lines::Lines<R>, out: &mut out::Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    match format {
        Format::Domains | Format::Tree | Format::Json | Format::Xml => plain::domains(lines, out),
        Format::Subtrees => plain::subtrees(lines, out),
        Format::Prefixes => plain::prefixes(lines, out),
        Format::Hosts => plain::hosts(lines, out),
        Format::Bwld => own::read(lines, out),
        Format::Csv => csv::read(lines, out),
        Format::Ndjson => json::lines(lines, out),
        Format::Dstdomain => filters::dstdomain(lines, out),
        Format::Urls => filters::urls(lines, out),
        Format::Nginx => filters::nginx(lines, out),
        Format::Haproxy => filters::haproxy(lines, None, out),
        Format::HaproxyUrls => filters::haproxy(lines, Some(Kind::Url), out),
        Format::HaproxyPrefixes => filters::haproxy(lines, Some(Kind::Prefix), out),
        Format::Firewall => appliances::firewall(lines, out),
        Format::PaloaltoUrls => appliances::paloalto_urls(lines, out),
        Format::Checkpoint => appliances::checkpoint(lines, out),
        Format::Mikrotik => appliances::mikrotik(lines, out),
        Format::Pac => appliances::pac(lines, out.exceptions, out),
        Format::Ipset => filters::ipset(lines, out),
        Format::Nft => ranges::nft(lines, out),
        Format::Adblock => adblock::read(lines, out),
        Format::Rpz => rpz::read(lines, out),
        Format::Dnsmasq => dnsmasq::read(lines, out),
        Format::Unbound => unbound::read(lines, out),
        Format::Bind => dnsmasq::bind(lines, out),
    }
}

/// Reads `input` to its end, handing each entry to `sink` in the order of the file.
///
/// # Errors
/// [`ReadError`] if the file as a whole is refused, before the sink has seen anything (but a read error, and a damaged
/// archive, can come at any time), or what the sink says; bad lines are not errors but issues in the [`Summary`].
pub fn read<E: From<ReadError>>(
    input: impl BufRead,
    options: &ReadOptions,
    sink: impl FnMut(Item<'_>) -> Result<(), E>,
) -> Result<Summary, E> {
    let detect::Opened { input, format, cr } = detect::open(input, options)?;
    Whole { input, format, cr }.read(options, sink)
}
