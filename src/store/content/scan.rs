//! Every line that contains a text, found without an index: runs of buckets are read as they lie in the file and searched as
//! octets, so that a million entries take some ten milliseconds from the page cache. What a caller acts upon it must read
//! again with [`Content::get`], which compares the digest; this does not.

use std::io;
use std::ops::Range;

use memchr::memmem::Finder;

use super::Content;

/// Octets of buckets read together.
const RUN: u64 = 1 << 20;

/// Octets in which the rarest needle is looked for.
const SAMPLE: usize = 64 << 10;

/// A text that is looked for in entry lines, as it is written or in any case.
#[derive(Debug)]
pub struct Needle<'n> {
    finder: Finder<'n>,
    any_case: bool,
}

impl Needle<'_> {
    /// A text as it is written.
    pub fn exact(text: &str) -> Needle<'static> {
        Needle { finder: Finder::new(text).into_owned(), any_case: false }
    }

    /// A text whose letters may be small or capital. Only those of ASCII have both: lines have no others (docs/PROTOCOL.md, section 4).
    pub fn in_any_case(text: &str) -> Needle<'static> {
        let text = text.to_lowercase();
        let any_case = text.bytes().any(|c| c.is_ascii_lowercase());
        Needle { finder: Finder::new(&text).into_owned(), any_case }
    }

    /// Whether the text stands in these lines.
    pub fn is_in(&self, lines: &str) -> bool {
        // Most lines are in small letters: nothing is copied for them.
        self.finder.find(lines.as_bytes()).is_some()
            || self.any_case
                && lines.bytes().any(|c| c.is_ascii_uppercase())
                && self.finder.find(lines.to_ascii_lowercase().as_bytes()).is_some()
    }
}

impl Content {
    /// Hands every entry line that contains the needle to `each`, with its bucket: bucket after bucket from `from` on, each in order of
    /// the rule, until `each` says false. An empty needle is in every line.
    ///
    /// # Errors
    /// Of reading the base.
    pub fn scan(&self, from: u32, needle: &Finder<'_>, each: &mut dyn FnMut(u32, &str) -> bool) -> io::Result<()> {
        self.scan_all(from, &[Needle { finder: needle.as_ref(), any_case: false }], each)
    }

    /// As [`Content::scan`], for lines that contain several: those that contain the rarest of the needles, by a sample, are given, so
    /// the caller still looks whether a line contains the others. Without needles all lines are given.
    ///
    /// # Errors
    /// Of reading the base.
    pub fn scan_all(&self, from: u32, needles: &[Needle<'_>], each: &mut dyn FnMut(u32, &str) -> bool) -> io::Result<()> {
        let count = 1u32 << self.tree.bits();
        let every = Needle::exact("");
        let (mut octets, mut small, mut rarest) = (Vec::new(), Vec::new(), None);
        let mut b = from;
        while b < count {
            let mut end = b + 1;
            if let Some(base) = &self.base {
                while end < count && base.octets(b, end + 1) <= RUN {
                    end += 1;
                }
                base.raw(b, end, &mut octets)?;
            }
            let needle = *rarest.get_or_insert_with(|| {
                // One needle needs no sample.
                let sample = &octets[..if needles.len() > 1 { octets.len().min(SAMPLE) } else { 0 }];
                let in_small = sample.to_ascii_lowercase();
                let often = |needle: &&Needle<'_>| needle.finder.find_iter(if needle.any_case { &in_small } else { sample }).count();
                needles.iter().min_by_key(often).unwrap_or(&every)
            });
            if needle.any_case {
                small.clone_from(&octets);
                small.make_ascii_lowercase();
            }
            let looked_at = if needle.any_case { &small } else { &octets };
            if !self.scan_run(b..end, (&octets, looked_at), needle, each)? {
                return Ok(());
            }
            b = end;
        }
        Ok(())
    }

    /// Searches the buckets of a run, whose lines in the base are `octets`, for the needle in `looked_at`: the same, or the same in small
    /// letters. Whether `each` wants more.
    fn scan_run(
        &self,
        run: Range<u32>,
        (octets, looked_at): (&[u8], &[u8]),
        needle: &Needle<'_>,
        each: &mut dyn FnMut(u32, &str) -> bool,
    ) -> io::Result<bool> {
        let place = |b: u32| self.base.as_ref().map_or(0, |base| base.octets(run.start, b) as usize);
        let mut b = run.start;
        while b < run.end {
            if let Some(patch) = self.overlay.get(b) {
                let place = place(b)..place(b + 1);
                if needle.finder.find(&looked_at[place.clone()]).is_some() || patch.mentions(needle) {
                    let lines = patch.over(text(&octets[place])?);
                    let small = if needle.any_case { lines.to_ascii_lowercase() } else { String::new() };
                    let looked_at = if needle.any_case { &small } else { &lines };
                    if !search((lines.as_bytes(), looked_at.as_bytes()), &needle.finder, &mut |_, line| each(b, line))? {
                        return Ok(false);
                    }
                }
                b += 1;
                continue;
            }
            let end = (b + 1..run.end).find(|later| self.overlay.get(*later).is_some()).unwrap_or(run.end);
            let (begin, mut bucket) = (place(b), b);
            let lines = begin..place(end);
            let go_on = search((&octets[lines.clone()], &looked_at[lines]), &needle.finder, &mut |at, line| {
                while place(bucket + 1) <= begin + at {
                    bucket += 1;
                }
                each(bucket, line)
            })?;
            if !go_on {
                return Ok(false);
            }
            b = end;
        }
        Ok(true)
    }
}

fn text(octets: &[u8]) -> io::Result<&str> {
    std::str::from_utf8(octets).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

/// Gives the lines of `octets` to `each` in which the needle stands, by `looked_at`. Whether `each` wants more. Lines end in LF.
fn search((octets, looked_at): (&[u8], &[u8]), needle: &Finder<'_>, each: &mut dyn FnMut(usize, &str) -> bool) -> io::Result<bool> {
    let mut at = 0;
    while at < octets.len() {
        let Some(found) = needle.find(&looked_at[at..]) else { break };
        let start = memchr::memrchr(b'\n', &octets[..at + found]).map_or(0, |lf| lf + 1);
        let end = memchr::memchr(b'\n', &octets[at + found..]).map_or(octets.len(), |lf| at + found + lf);
        if !each(start, text(&octets[start..end])?) {
            return Ok(false);
        }
        at = end + 1;
    }
    Ok(true)
}
