//! Merges runs of lines in order.

use std::{cmp::Ordering, collections::BinaryHeap, fs::File, io, os::unix::fs::FileExt as _, sync::Arc};

use super::rule_of;
use crate::list::MAX_LINE;

/// Read buffer of a run, in octets, at most.
const BUFFER: usize = 256 << 10;

/// Lines of several runs in order; of equal rules the one of the latest run.
#[derive(Debug)]
pub(super) struct Merge {
    heads: BinaryHeap<Head>,
    /// The line that was handed out last.
    out: Vec<u8>,
}

/// A run with its next line.
#[derive(Debug)]
struct Head {
    line: Vec<u8>,
    run: usize,
    reader: Run,
}

impl Head {
    fn rule(&self) -> &[u8] {
        rule_of(&self.line)
    }
}

/// The greatest is on top of a heap: the least rule, of equal ones the earliest run.
impl Ord for Head {
    fn cmp(&self, other: &Head) -> Ordering {
        other.rule().cmp(self.rule()).then(other.run.cmp(&self.run))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Head) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Head) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

impl Merge {
    /// One run that lies in memory.
    pub(super) fn of_memory(lines: Vec<u8>) -> Merge {
        let filled = lines.len();
        let reader = Run { file: None, at: 0, end: 0, buffer: lines, unread: 0, filled };
        Merge::of(vec![reader]).expect("nothing is read from a file")
    }

    /// Runs in a file, one behind the other, ending at `ends`, read with about `memory` octets.
    pub(super) fn of_runs(file: &Arc<File>, ends: &[u64], memory: usize) -> io::Result<Merge> {
        let size = (memory / ends.len().max(1)).clamp(2 * (MAX_LINE + 2), BUFFER);
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let run = |(at, end): (u64, &u64)| Run { file: Some(file.clone()), at, end: *end, buffer: vec![0; size], unread: 0, filled: 0 };
        Merge::of(starts.zip(ends).map(run).collect())
    }

    fn of(runs: Vec<Run>) -> io::Result<Merge> {
        let mut heads = BinaryHeap::with_capacity(runs.len());
        for (run, mut reader) in runs.into_iter().enumerate() {
            let mut line = Vec::with_capacity(256);
            if reader.next_into(&mut line)? {
                heads.push(Head { line, run, reader });
            }
        }
        Ok(Merge { heads, out: Vec::new() })
    }

    pub(super) fn next(&mut self, duplicates: &mut u64) -> io::Result<Option<&str>> {
        loop {
            let Some(mut top) = self.heads.peek_mut() else { return Ok(None) };
            std::mem::swap(&mut self.out, &mut top.line);
            let Head { line, reader, .. } = &mut *top;
            if reader.next_into(line)? {
                drop(top); // sifts it down
            } else {
                std::collections::binary_heap::PeekMut::pop(top);
            }
            match self.heads.peek() {
                Some(next) if next.rule() == rule_of(&self.out) => *duplicates += 1,
                _ => break,
            }
        }
        std::str::from_utf8(&self.out).map(Some).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
    }
}

/// A run being read.
#[derive(Debug)]
struct Run {
    file: Option<Arc<File>>,
    at: u64,
    end: u64,
    buffer: Vec<u8>,
    unread: usize,
    filled: usize,
}

impl Run {
    /// Reads the next line without its LF; false at the end.
    fn next_into(&mut self, line: &mut Vec<u8>) -> io::Result<bool> {
        line.clear();
        loop {
            if let Some(lf) = memchr::memchr(b'\n', &self.buffer[self.unread..self.filled]) {
                line.extend_from_slice(&self.buffer[self.unread..self.unread + lf]);
                self.unread += lf + 1;
                return Ok(true);
            }
            let Some(file) = &self.file else { return Ok(false) };
            let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
            if left == 0 {
                return Ok(false);
            }
            self.buffer.copy_within(self.unread..self.filled, 0);
            self.filled -= self.unread;
            self.unread = 0;
            let most = left.min(self.buffer.len() - self.filled);
            file.read_exact_at(&mut self.buffer[self.filled..self.filled + most], self.at)?;
            self.at += most as u64;
            self.filled += most;
        }
    }
}
