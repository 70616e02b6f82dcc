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

impl Content {
    /// Hands every entry line that contains the needle to `each`, with its bucket: bucket after bucket from `from` on, each in order of
    /// the rule, until `each` says false. An empty needle is in every line.
    ///
    /// # Errors
    /// Of reading the base.
    pub fn scan(&self, from: u32, needle: &Finder<'_>, each: &mut dyn FnMut(u32, &str) -> bool) -> io::Result<()> {
        self.scan_all(from, std::slice::from_ref(needle), each)
    }

    /// As [`Content::scan`], for lines that contain several: those that contain the rarest of the needles, by a sample, are given, so
    /// the caller still looks whether a line contains the others. Without needles all lines are given.
    ///
    /// # Errors
    /// Of reading the base.
    pub fn scan_all(&self, from: u32, needles: &[Finder<'_>], each: &mut dyn FnMut(u32, &str) -> bool) -> io::Result<()> {
        let count = 1u32 << self.tree.bits();
        let every = Finder::new("");
        let (mut octets, mut rarest) = (Vec::new(), None);
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
                let sample = &octets[..octets.len().min(SAMPLE)];
                // One needle needs no sample.
                let often = |needle: &&Finder<'_>| if needles.len() > 1 { needle.find_iter(sample).count() } else { 0 };
                needles.iter().min_by_key(often).unwrap_or(&every)
            });
            if !self.scan_run(b..end, &octets, needle, each)? {
                return Ok(());
            }
            b = end;
        }
        Ok(())
    }

    /// Searches the buckets of a run, whose lines in the base are `octets`. Whether `each` wants more.
    fn scan_run(&self, run: Range<u32>, octets: &[u8], needle: &Finder<'_>, each: &mut dyn FnMut(u32, &str) -> bool) -> io::Result<bool> {
        let place = |b: u32| self.base.as_ref().map_or(0, |base| base.octets(run.start, b) as usize);
        let mut b = run.start;
        while b < run.end {
            if let Some(patch) = self.overlay.get(b) {
                let base = &octets[place(b)..place(b + 1)];
                if needle.find(base).is_some() || patch.mentions(needle) {
                    let lines = patch.over(text(base)?);
                    if !search(lines.as_bytes(), needle, &mut |_, line| each(b, line))? {
                        return Ok(false);
                    }
                }
                b += 1;
                continue;
            }
            let end = (b + 1..run.end).find(|later| self.overlay.get(*later).is_some()).unwrap_or(run.end);
            let (begin, mut bucket) = (place(b), b);
            let go_on = search(&octets[begin..place(end)], needle, &mut |at, line| {
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

/// Whether `each` wants more. Lines end in LF.
fn search(octets: &[u8], needle: &Finder<'_>, each: &mut dyn FnMut(usize, &str) -> bool) -> io::Result<bool> {
    let mut at = 0;
    while at < octets.len() {
        let Some(found) = needle.find(&octets[at..]) else { break };
        let start = memchr::memrchr(b'\n', &octets[..at + found]).map_or(0, |lf| lf + 1);
        let end = memchr::memchr(b'\n', &octets[at + found..]).map_or(octets.len(), |lf| at + found + lf);
        if !each(start, text(&octets[start..end])?) {
            return Ok(false);
        }
        at = end + 1;
    }
    Ok(true)
}
