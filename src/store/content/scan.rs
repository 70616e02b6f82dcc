//! Every line that contains a text, found without an index: runs of buckets are read as they lie in the file and searched as
//! octets, so that a million entries take some ten milliseconds from the page cache. What a caller acts upon it must read
//! again with [`Content::get`], which compares the digest; this does not.

use std::io;

use memchr::memmem::Finder;

use super::Content;

/// Octets of buckets read together.
const RUN: u64 = 1 << 20;

impl Content {
    /// Hands every entry line that contains the needle to `each`, with its bucket: bucket after bucket from `from` on, each in order of
    /// the rule, until `each` says false. An empty needle is in every line.
    ///
    /// # Errors
    /// Of reading the base.
    pub fn scan(&self, from: u32, needle: &Finder<'_>, each: &mut dyn FnMut(u32, &str) -> bool) -> io::Result<()> {
        let count = 1u32 << self.tree.bits();
        let mut octets = Vec::new();
        let mut b = from;
        while b < count {
            if let Some(patch) = self.overlay.get(b) {
                let lines = patch.over(&self.base_bucket(b)?);
                if !search(lines.as_bytes(), needle, &mut |_, line| each(b, line))? {
                    return Ok(());
                }
                b += 1;
                continue;
            }
            let mut end = b + 1;
            let Some(base) = &self.base else {
                b = end;
                continue;
            };
            while end < count && self.overlay.get(end).is_none() && base.octets(b, end + 1) <= RUN {
                end += 1;
            }
            base.raw(b, end, &mut octets)?;
            let mut bucket = b;
            let go_on = search(&octets, needle, &mut |at, line| {
                while base.octets(b, bucket + 1) <= at {
                    bucket += 1;
                }
                each(bucket, line)
            })?;
            if !go_on {
                return Ok(());
            }
            b = end;
        }
        Ok(())
    }
}

/// Whether `each` wants more. Lines end in LF.
fn search(text: &[u8], needle: &Finder<'_>, each: &mut dyn FnMut(u64, &str) -> bool) -> io::Result<bool> {
    let mut at = 0;
    while at < text.len() {
        let Some(found) = needle.find(&text[at..]) else { break };
        let start = memchr::memrchr(b'\n', &text[..at + found]).map_or(0, |lf| lf + 1);
        let end = memchr::memchr(b'\n', &text[at + found..]).map_or(text.len(), |lf| at + found + lf);
        let line = std::str::from_utf8(&text[start..end]).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        if !each(start as u64, line) {
            return Ok(false);
        }
        at = end + 1;
    }
    Ok(true)
}
