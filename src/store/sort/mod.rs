//! External sort of change lines with bounded memory: sorted runs in an unnamed file, then a merge.
//!
//! A line is a sign (`+` or `-`) and an entry line or a rule; the order is that of the rules, and of equal rules the one
//! pushed last wins. Input that is already in order is one run and is never sorted; input that is in order but for a few
//! places makes few runs. It does not check what a line says.

mod merge;

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::list::MAX_LINE;

use super::content::unnamed_file;
use merge::Merge;

/// Least memory that makes sense, in octets: two lines.
const LEAST: usize = 2 * (MAX_LINE + 2);

/// The rule of a line with sign.
fn rule_of(line: &[u8]) -> &[u8] {
    let end = memchr::memchr(b'\t', line).unwrap_or(line.len());
    &line[1..end]
}

/// Takes lines in any order.
#[derive(Debug)]
pub struct Sorter {
    dir: PathBuf,
    memory: usize,
    /// Lines with LF.
    buffer: Vec<u8>,
    /// Where the last line of the buffer begins, and how long its rule is.
    last: (usize, usize),
    /// Whether the buffer is in order without duplicates.
    ordered: bool,
    /// Ascending ends of runs in the spill file; each begins where the one before ends.
    runs: Vec<u64>,
    file: Option<Arc<File>>,
    /// The last rule of the last run.
    last_of_run: Vec<u8>,
    duplicates: u64,
}

impl Sorter {
    /// A sorter that holds at most about `memory` octets of lines (three times that while it sorts), the rest in an unnamed
    /// file in `dir`.
    pub fn new(dir: &Path, memory: usize) -> Sorter {
        Sorter {
            dir: dir.to_owned(),
            memory: memory.max(LEAST),
            buffer: Vec::new(),
            last: (0, 0),
            ordered: true,
            runs: Vec::new(),
            file: None,
            last_of_run: Vec::new(),
            duplicates: 0,
        }
    }

    /// Takes a line: `sign` and an entry line (for `+`) or a rule, without LF.
    ///
    /// # Errors
    /// Of the spill file; `InvalidInput` if the line is longer than [`MAX_LINE`].
    pub fn push(&mut self, sign: u8, body: &str) -> io::Result<()> {
        if body.len() > MAX_LINE {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "an entry line is longer than 4096 octets"));
        }
        if self.buffer.len() + body.len() + 2 > self.memory {
            self.spill()?;
        }
        let rule_len = memchr::memchr(b'\t', body.as_bytes()).unwrap_or(body.len());
        if self.ordered && !self.buffer.is_empty() {
            let last_rule = &self.buffer[self.last.0 + 1..][..self.last.1];
            match body.as_bytes()[..rule_len].cmp(last_rule) {
                std::cmp::Ordering::Greater => {}
                std::cmp::Ordering::Equal => {
                    self.buffer.truncate(self.last.0);
                    self.duplicates += 1;
                }
                std::cmp::Ordering::Less => self.ordered = false,
            }
        }
        self.last = (self.buffer.len(), rule_len);
        self.buffer.push(sign);
        self.buffer.extend_from_slice(body.as_bytes());
        self.buffer.push(b'\n');
        Ok(())
    }

    /// All lines in order.
    ///
    /// # Errors
    /// Of the spill file.
    pub fn finish(mut self) -> io::Result<Sorted> {
        let merge = if self.file.is_none() {
            self.order();
            Merge::of_memory(self.buffer)
        } else {
            self.spill()?;
            self.buffer = Vec::new();
            let file = self.file.take().expect("was just looked at");
            Merge::of_runs(&file, &self.runs, self.memory)?
        };
        Ok(Sorted { merge, duplicates: self.duplicates })
    }

    /// Puts the buffer in order, the last of equal rules staying.
    fn order(&mut self) {
        if self.ordered {
            return;
        }
        // The first 16 octets of the rule as a number decide nearly always, without a look at the text.
        let mut index: Vec<(u128, u32, u32)> = Vec::new();
        let mut at = 0;
        for lf in memchr::memchr_iter(b'\n', &self.buffer) {
            let rule = rule_of(&self.buffer[at..lf]);
            let mut key = [0; 16];
            let known = rule.len().min(16);
            key[..known].copy_from_slice(&rule[..known]);
            let start = u32::try_from(at).expect("memory is less than 4 GiB");
            index.push((u128::from_be_bytes(key), start, (lf + 1 - at) as u32));
            at = lf + 1;
        }
        let line = |start: u32, len: u32| &self.buffer[start as usize..][..len as usize - 1];
        let same = |a: &(u128, u32, u32), b: &(u128, u32, u32)| a.0 == b.0 && rule_of(line(a.1, a.2)) == rule_of(line(b.1, b.2));
        // Equal rules by place, so that the last one is the one to keep.
        index.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| rule_of(line(a.1, a.2)).cmp(rule_of(line(b.1, b.2)))).then(a.1.cmp(&b.1)));
        let mut ordered = Vec::with_capacity(self.buffer.len());
        for (i, row) in index.iter().enumerate() {
            if index.get(i + 1).is_some_and(|next| same(row, next)) {
                self.duplicates += 1;
                continue;
            }
            self.last = (ordered.len(), rule_of(line(row.1, row.2)).len());
            ordered.extend_from_slice(&self.buffer[row.1 as usize..][..row.2 as usize]);
        }
        self.buffer = ordered;
        self.ordered = true;
    }

    fn spill(&mut self) -> io::Result<()> {
        self.order();
        let Some(lf) = memchr::memchr(b'\n', &self.buffer) else { return Ok(()) };
        let first = rule_of(&self.buffer[..lf]);
        let continues = !self.runs.is_empty() && first > &self.last_of_run[..];
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(Arc::new(unnamed_file(&self.dir)?)),
        };
        let at = self.runs.last().copied().unwrap_or(0);
        file.write_all_at(&self.buffer, at)?;
        let end = at + self.buffer.len() as u64;
        match self.runs.last_mut() {
            Some(run) if continues => *run = end,
            _ => self.runs.push(end),
        }
        self.last_of_run.clear();
        self.last_of_run.extend_from_slice(&self.buffer[self.last.0 + 1..][..self.last.1]);
        self.buffer.clear();
        Ok(())
    }
}

/// Gives lines back in order of the rule, each rule once.
#[derive(Debug)]
pub struct Sorted {
    merge: Merge,
    duplicates: u64,
}

impl Sorted {
    /// The next line, sign first, without LF.
    ///
    /// # Errors
    /// Of the spill file.
    pub fn next_line(&mut self) -> io::Result<Option<&str>> {
        self.merge.next(&mut self.duplicates)
    }

    /// How many lines had a rule that came again later; complete when `next_line` has returned `None`.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn all(mut sorted: Sorted) -> (Vec<String>, u64) {
        let mut lines = Vec::new();
        while let Some(line) = sorted.next_line().unwrap() {
            lines.push(line.to_owned());
        }
        (lines, sorted.duplicates())
    }

    #[test]
    fn input_in_order_is_one_run() {
        let dir = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::new(dir.path(), 1);
        let lines: Vec<String> = (0..20_000).map(|n| format!("domain:host{n:06}.example")).collect();
        for line in &lines {
            sorter.push(b'+', line).unwrap();
        }
        assert_eq!(sorter.runs.len(), 1);
        let (out, duplicates) = all(sorter.finish().unwrap());
        assert_eq!(duplicates, 0);
        assert_eq!(out.len(), lines.len());
        assert!(out.iter().zip(&lines).all(|(o, l)| o[1..] == **l));
    }

    #[test]
    fn nothing_gives_nothing_and_a_line_too_long_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::new(dir.path(), 1);
        assert!(sorter.push(b'+', &"x".repeat(MAX_LINE + 1)).is_err());
        assert!(all(sorter.finish().unwrap()).0.is_empty());
    }

    proptest! {
        /// Runs are tiny here (two lines' worth), so that the merge has much to do.
        #[test]
        fn sorts_as_a_map_does(lines in proptest::collection::vec((any::<bool>(), 0u16..400, 0u8..3, 0usize..2000), 0..300)) {
            let dir = tempfile::tempdir().unwrap();
            let mut sorter = Sorter::new(dir.path(), 1);
            let mut model = BTreeMap::new();
            for (put, number, category, padding) in &lines {
                // Rules that are prefixes of each other, and lines of very different length.
                let rule = format!("url:{}.example/{}", number % 20, "a".repeat(usize::from(number / 20)));
                let body = if *put { format!("{rule}\tcat=c{category}{}", "x".repeat(*padding)) } else { rule.clone() };
                let sign = if *put { b'+' } else { b'-' };
                sorter.push(sign, &body).unwrap();
                model.insert(rule, format!("{}{body}", char::from(sign)));
            }
            let unique = model.len() as u64;
            let (out, duplicates) = all(sorter.finish().unwrap());
            prop_assert_eq!(out, model.into_values().collect::<Vec<_>>());
            prop_assert_eq!(duplicates, lines.len() as u64 - unique);
        }
    }
}
