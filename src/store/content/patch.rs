//! What differs from the base, bucket by bucket, as text: compact, shared between versions, and merged line by line.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::list::{Change, Rule, rule_of};

use super::ApplyError;
use super::scan::Needle;

/// The lines of a text in which each ends in LF.
pub(super) fn lines_of(text: &str) -> impl Iterator<Item = &str> {
    text.split_terminator('\n')
}

fn put(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// Two texts of lines without the whole lines they have in common at beginning and end: most of a bucket, mostly.
fn without_common_lines<'a>(a: &'a str, b: &'a str) -> (&'a str, &'a str) {
    let same = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let begin = memchr::memrchr(b'\n', &a.as_bytes()[..same]).map_or(0, |lf| lf + 1);
    let (a, b) = (&a[begin..], &b[begin..]);
    let same = a.bytes().rev().zip(b.bytes().rev()).take_while(|(a, b)| a == b).count();
    // What follows the first LF in the common end are whole lines; the line before that LF may differ at its beginning.
    let end = memchr::memchr(b'\n', &a.as_bytes()[a.len() - same..]).map_or(0, |lf| same - lf - 1);
    (&a[..a.len() - end], &b[..b.len() - end])
}

/// The changes of one bucket since the base: change lines in order of the rule, each with its LF.
#[derive(Debug)]
pub(super) struct Patch {
    text: Box<str>,
    count: usize,
}

impl Patch {
    /// What leads from `base` to `after`, both lines in order; `None` if nothing.
    pub(super) fn between(base: &str, after: &str) -> Option<Patch> {
        let (base, after) = without_common_lines(base, after);
        let (mut text, mut count) = (String::new(), 0);
        let mut change = |sign: char, body: &str| {
            text.push(sign);
            put(&mut text, body);
            count += 1;
        };
        let (mut old, mut new) = (lines_of(base).peekable(), lines_of(after).peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(o), Some(n)) => rule_of(o).cmp(rule_of(n)),
            };
            let gone = if order.is_le() { old.next() } else { None };
            let came = if order.is_ge() { new.next() } else { None };
            match (gone, came) {
                (Some(o), Some(n)) if o == n => {}
                (Some(_), Some(n)) => change('~', n),
                (Some(o), None) => change('-', rule_of(o)),
                (None, Some(n)) => change('+', n),
                (None, None) => {}
            }
        }
        (count > 0).then(|| Patch { text: text.into_boxed_str(), count })
    }

    /// The change lines.
    pub(super) fn changes(&self) -> impl Iterator<Item = &str> {
        lines_of(&self.text)
    }

    /// Whether the needle stands in a change line.
    pub(super) fn mentions(&self, needle: &Needle<'_>) -> bool {
        needle.is_in(&self.text)
    }

    /// What the patch says of `rule`: `Some(Some(line))` it is this, `Some(None)` it is gone, `None` nothing.
    pub(super) fn find(&self, rule: &str) -> Option<Option<&str>> {
        self.changes().find(|c| rule_of(&c[1..]) == rule).map(|c| (!c.starts_with('-')).then(|| &c[1..]))
    }

    /// The lines of the bucket: `base` with the changes. The patch was made against this base, so it fits.
    pub(super) fn over(&self, base: &str) -> String {
        let mut out = String::with_capacity(base.len() + self.text.len());
        let mut old = lines_of(base).peekable();
        for change in self.changes() {
            let (sign, body) = change.split_at(1);
            while let Some(line) = old.next_if(|line| rule_of(line) < rule_of(body)) {
                put(&mut out, line);
            }
            old.next_if(|line| rule_of(line) == rule_of(body));
            if sign != "-" {
                put(&mut out, body);
            }
        }
        for line in old {
            put(&mut out, line);
        }
        out
    }
}

/// `current` after `changes` (in order of the rule), with how many lines came and went.
pub(super) fn apply_strict<'a>(current: &str, changes: impl Iterator<Item = &'a Change>) -> Result<(String, u64, u64), ApplyError> {
    let mut out = String::with_capacity(current.len() + 256);
    let (mut added, mut removed) = (0, 0);
    let mut old = lines_of(current).peekable();
    for change in changes {
        let rule = change.rule_str();
        while let Some(line) = old.next_if(|line| rule_of(line) < rule) {
            put(&mut out, line);
        }
        let present = old.next_if(|line| rule_of(line) == rule).is_some();
        match change {
            Change::Add(_) if present => return Err(ApplyError::Present(Rule::trusted(rule))),
            Change::Replace(_) | Change::Remove(_) if !present => return Err(ApplyError::Absent(Rule::trusted(rule))),
            Change::Add(entry) => {
                put(&mut out, entry.line());
                added += 1;
            }
            Change::Replace(entry) => put(&mut out, entry.line()),
            Change::Remove(_) => removed += 1,
        }
    }
    for line in old {
        put(&mut out, line);
    }
    Ok((out, added, removed))
}

/// Buckets per chunk of the overlay.
const CHUNK: usize = 16;

type Chunk = [Option<Arc<Patch>>; CHUNK];

/// The patches of all buckets, shared between versions: a new version copies one pointer a chunk and the chunks it touches.
#[derive(Clone, Debug)]
pub(super) struct Overlay {
    chunks: Vec<Option<Arc<Chunk>>>,
    len: usize,
}

impl Overlay {
    pub(super) fn new(bits: u8) -> Overlay {
        Overlay { chunks: vec![None; (1usize << bits).div_ceil(CHUNK)], len: 0 }
    }

    pub(super) fn get(&self, b: u32) -> Option<&Patch> {
        self.chunks[b as usize / CHUNK].as_ref()?[b as usize % CHUNK].as_deref()
    }

    pub(super) fn set(&mut self, b: u32, patch: Option<Patch>) {
        let chunk = self.chunks[b as usize / CHUNK].get_or_insert_with(|| Arc::new(Chunk::default()));
        let slot = &mut Arc::make_mut(chunk)[b as usize % CHUNK];
        self.len -= slot.as_ref().map_or(0, |p| p.count);
        self.len += patch.as_ref().map_or(0, |p| p.count);
        *slot = patch.map(Arc::new);
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn patches(&self) -> impl Iterator<Item = &Patch> {
        self.chunks.iter().flatten().flat_map(|chunk| chunk.iter().flatten()).map(Arc::as_ref)
    }
}
