//! Lists written in the formats that filters read.
//!
//! Guarantees: a rule is written as what it says or not at all, never wider: an entry that a format cannot say is left out,
//! counted by kind and reason, and told on demand ([`list_left_out`]). The same version and options give the same octets.
//! Memory does not grow with the list, but for one bit an entry where overlaps are folded, and a table of fixed size.
//!
//! What counts as wider: more names, more addresses, more URLs (another port and another case included), or a stronger
//! action: an entry with `act=warn` or `act=log` is left out of formats that can only block. It reads nothing back: that is
//! [`crate::formats::read`].

mod adblock;
mod browsers;
mod entry;
mod firewalls;
mod fold;
mod format;
mod head;
mod left;
mod names;
mod own;
mod proxies;
mod regex;
mod report;
mod resolvers;

use std::io::{self, Write};

use crate::list::{Code, Colour, ListId, Origin, Serial, Timestamp};

use entry::EntryRef;
use fold::Covered;
use format::{Fold, Spec};

pub use format::{ExportFormat, NoSuchFormat, Says, White};
pub use left::list_left_out;
pub use own::quoted;
pub use report::{ExportReport, Why};

/// Octets gathered before they are written.
const PIECE: usize = 64 << 10;

/// What is exported, as its first lines say it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExportHeader {
    /// The publisher, if known.
    pub origin: Option<Origin>,
    /// The list.
    pub list: ListId,
    /// Whether it blocks or allows.
    pub colour: Colour,
    /// One line for people.
    pub title: String,
    /// Who decides about it; may be empty.
    pub owner: String,
    /// Its licence; may be empty.
    pub licence: String,
    /// Where it comes from; may be empty.
    pub source: String,
    /// The version.
    pub serial: Serial,
    /// When this version was published: not the time of the export, so that the same version gives the same octets.
    pub updated: Timestamp,
    /// Number of entries of the version.
    pub entries: u64,
}

/// What of a list is exported, and how.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ExportOptions {
    /// Entries of one of these categories, and those of none; empty: all.
    pub categories: Vec<Code>,
    /// Age in years of those who ask: entries of a black list with a minimum age up to it are not selected.
    pub age: Option<u8>,
    /// Most rules of the format that are written; what does not fit is left out and counted.
    pub limit: Option<u64>,
    /// Where not all fits: entries of the first of these categories come first, then of the second; then the others. Within
    /// one, canonical order.
    pub priority: Vec<Code>,
    /// For programs that match a URL whatever its port and case, and with `www.` before its host: the reader accepts that. Without
    /// it such programs get no URLs.
    pub any_spelling: bool,
    /// Refuse an export without a single rule: a filter that takes an empty list for the truth opens everything.
    pub refuse_empty: bool,
    /// The name of the set, zone or group, where a format has one; none: made from the list's.
    pub name: Option<String>,
}

/// Entry lines of one version in canonical order, which can be gone through more than once.
pub trait Lines {
    /// Hands each entry line, without LF, to `take`, from the first on; the same ones every time.
    ///
    /// # Errors
    /// Of reading them, or what `take` says, at once.
    fn pass(&mut self, take: &mut dyn FnMut(&str) -> io::Result<()>) -> io::Result<()>;
}

impl<S: AsRef<str>> Lines for &[S] {
    fn pass(&mut self, take: &mut dyn FnMut(&str) -> io::Result<()>) -> io::Result<()> {
        self.iter().try_for_each(|line| take(line.as_ref()))
    }
}

/// Why there is no export. What was written before is not whole and must not be used.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Reading the list or writing the export failed.
    #[error("exporting broke off: {0}; what was written is not the whole list")]
    Io(#[from] io::Error),
    /// The program does not take so many.
    #[error(
        "the list gives more than {most} rules, and {format} takes no more; select categories, or say limit={most} to have what fits by priority"
    )]
    TooMany {
        /// The format.
        format: ExportFormat,
        /// Its most.
        most: u64,
    },
    /// Nothing would be in it.
    #[error("not one rule of the list can be said in {format} with these options: an empty list would open the filter that takes it")]
    Empty {
        /// The format.
        format: ExportFormat,
    },
    /// A name for a set or zone that cannot be one.
    #[error("\"{0}\" cannot name a set, zone or group; use 1 to 31 of a-z, 0-9, _ and -, beginning with a letter")]
    Name(String),
}

/// What a format's functions work on.
pub(super) struct Cx<'a> {
    header: &'a ExportHeader,
    name: String,
    black: bool,
    loose: bool,
    /// What is to be written next.
    out: Vec<u8>,
    /// Rules of the format written so far.
    rules: u64,
    /// What a format gathers before it writes: of IPv4, and of IPv6.
    gathered: [Vec<u8>; 2],
}

impl Cx<'_> {
    fn put(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// The parts and an LF.
    fn line<const N: usize>(&mut self, parts: [&str; N]) {
        for part in parts {
            self.out.extend_from_slice(part.as_bytes());
        }
        self.out.push(b'\n');
    }
}

/// Who is told of each entry that is left out.
type Told<'t> = &'t mut dyn FnMut(&EntryRef<'_>, Why) -> io::Result<()>;

/// Writes the entries of `lines` to `out` in this format.
///
/// Goes through `lines` once; more often where overlaps are folded ([`ExportFormat::folds`]) or a limit makes an order of
/// priority necessary. The header is written before anything is read.
///
/// # Errors
/// [`ExportError`]; what has been written by then must be thrown away.
pub fn export(
    format: ExportFormat,
    options: &ExportOptions,
    header: &ExportHeader,
    lines: &mut dyn Lines,
    out: &mut dyn Write,
) -> Result<ExportReport, ExportError> {
    run(format, options, header, lines, out, &mut |_, _| Ok(()))
}

fn run(
    format: ExportFormat,
    options: &ExportOptions,
    header: &ExportHeader,
    lines: &mut dyn Lines,
    out: &mut dyn Write,
    told: Told<'_>,
) -> Result<ExportReport, ExportError> {
    let spec = format.spec();
    let name = head::set_name(options, header)?;
    let black = header.colour == Colour::Black;
    let mut cx = Cx {
        header,
        name,
        black,
        loose: options.any_spelling,
        out: Vec::with_capacity(PIECE + 8192),
        rules: 0,
        gathered: [Vec::new(), Vec::new()],
    };
    if options.refuse_empty {
        has_any(spec, options, &mut cx, lines)?.then_some(()).ok_or(ExportError::Empty { format })?;
    }
    head::begin(&mut cx, format, options);
    (spec.begin)(&mut cx);
    // Where more than so many are refused, nothing is written before it is known that there are not.
    let held = spec.most.is_some() && options.limit.is_none();
    if !held {
        flush(&mut cx, out)?;
        out.flush()?;
    }
    let covered = match spec.fold {
        Fold::No => Covered::default(),
        fold => fold::covered(fold, lines, header.entries, |entry| entry.is_selected(options, black) && !entry.asks_for_less(black))?,
    };
    let limit = options.limit.unwrap_or(u64::MAX).min(spec.most.unwrap_or(u64::MAX));
    let mut report = ExportReport::default();
    // Each entry is written in the pass of its priority; without need for an order all have the same.
    let ordered = limit < header.entries.saturating_mul(head::MOST_RULES) && !options.priority.is_empty();
    let ranks = if ordered { options.priority.len() } else { 0 };
    for rank in 0..=ranks {
        let mut at = 0;
        let mut full = false;
        lines
            .pass(&mut |line| {
                let place = at;
                at += 1;
                let Some(entry) = EntryRef::of(line) else { return Err(broken(line)) };
                if ordered && rank_of(&entry, options) != rank {
                    return Ok(());
                }
                one(spec, options, &mut cx, &entry, covered.contains(place), limit, &mut report, told)?;
                full = held && report.left(Why::Limit) > 0;
                if full {
                    return Err(io::ErrorKind::StorageFull.into());
                }
                if cx.out.len() >= PIECE && !held { flush(&mut cx, out) } else { Ok(()) }
            })
            .map_err(|error| match spec.most {
                Some(most) if full => ExportError::TooMany { format, most },
                _ => ExportError::Io(error),
            })?;
    }
    report.rules = cx.rules;
    (spec.end)(&mut cx);
    head::end(&mut cx, format, &report);
    flush(&mut cx, out)?;
    out.flush()?;
    Ok(report)
}

/// One entry: written, or counted for what it is.
#[expect(clippy::too_many_arguments, reason = "what a loop body has in scope, so that the loop stays short")]
fn one(
    spec: &Spec,
    options: &ExportOptions,
    cx: &mut Cx<'_>,
    entry: &EntryRef<'_>,
    covered: bool,
    limit: u64,
    report: &mut ExportReport,
    told: Told<'_>,
) -> io::Result<()> {
    report.entries += 1;
    if !entry.is_selected(options, cx.black) {
        report.not_selected += 1;
        return Ok(());
    }
    let start = cx.out.len();
    let said = if !spec.attributes && entry.asks_for_less(cx.black) {
        Err(Why::Action)
    } else if covered {
        report.folded += 1;
        return Ok(());
    } else if cx.rules >= limit {
        // What could not be said anyway is not told as what did not fit.
        let said = (spec.entry)(cx, entry).and(Err(Why::Limit));
        cx.out.truncate(start);
        said
    } else {
        (spec.entry)(cx, entry)
    };
    match said {
        Ok(rules) if cx.rules + rules <= limit => {
            cx.rules += rules;
            report.written += 1;
            Ok(())
        }
        said => {
            cx.out.truncate(start);
            let why = said.err().unwrap_or(Why::Limit);
            report.leave(entry.kind, why);
            told(entry, why)
        }
    }
}

/// Whether one rule at least can be said. Ends with the first.
fn has_any(spec: &Spec, options: &ExportOptions, cx: &mut Cx<'_>, lines: &mut dyn Lines) -> io::Result<bool> {
    let mut found = false;
    let done = lines.pass(&mut |line| {
        let entry = EntryRef::of(line).ok_or_else(|| broken(line))?;
        let wanted = entry.is_selected(options, cx.black) && (spec.attributes || !entry.asks_for_less(cx.black));
        found = wanted && (spec.entry)(cx, &entry).is_ok();
        cx.out.clear();
        cx.gathered.iter_mut().for_each(Vec::clear);
        if found { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
    });
    if found { Ok(true) } else { done.map(|()| false) }
}

/// Which of the priorities an entry has; the last: none of them.
fn rank_of(entry: &EntryRef<'_>, options: &ExportOptions) -> usize {
    let ranks = entry.categories().filter_map(|code| options.priority.iter().position(|wanted| wanted.as_str() == code));
    ranks.min().unwrap_or(options.priority.len())
}

fn flush(cx: &mut Cx<'_>, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(&cx.out)?;
    cx.out.clear();
    Ok(())
}

fn broken(line: &str) -> io::Error {
    let reason = format!("\"{}\" is not an entry; the list is damaged, run check", crate::list::quoted(line));
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
