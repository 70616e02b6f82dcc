//! Questions from a stream, a line each: read in blocks, answered on all cores, printed in their order.
//!
//! Guarantees: as many blocks as there are places for are under way, whatever comes; of a line no more is kept than a question may have;
//! what has come is answered without waiting for more, so that a pipe that never ends gets its answers.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write as _};
use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use anyhow::Context as _;
use crossbeam_channel::{Receiver, Sender, bounded};
use indicatif::{ProgressBar, ProgressStyle};

use super::answer::{Asked, Counts, Form, answer};
use super::sources::Sources;
use crate::list::Timestamp;
use crate::matcher::{MAX_QUESTION, Matcher};

/// Octets read at a time.
const READ: usize = 256 << 10;
/// Octets of a line that are kept: a question that is too long, and blanks around one that is not.
const KEPT: usize = MAX_QUESTION + 64;
/// Blocks under way for each thread.
const PLACES: usize = 4;

/// Lines that came together.
#[derive(Debug, Default)]
struct Block {
    number: u64,
    text: Vec<u8>,
    /// Where each line ends in `text`, and how long it was.
    lines: Vec<(usize, usize)>,
    now: Option<Timestamp>,
}

/// Cuts octets into lines, keeping the beginning of one that goes on.
#[derive(Debug, Default)]
struct Cutter {
    begun: Vec<u8>,
    length: usize,
}

impl Cutter {
    /// Takes the octets of one read, and gives the lines that they end.
    fn take(&mut self, octets: &[u8], block: &mut Block) {
        let mut rest = octets;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            if self.length == 0 {
                block.push(&rest[..end.min(KEPT)], end);
            } else {
                self.keep(&rest[..end]);
                self.end(block);
            }
            rest = &rest[end + 1..];
        }
        self.keep(rest);
    }

    fn keep(&mut self, octets: &[u8]) {
        let room = KEPT.saturating_sub(self.begun.len());
        self.begun.extend_from_slice(&octets[..octets.len().min(room)]);
        self.length += octets.len();
    }

    /// Ends the line that was begun.
    fn end(&mut self, block: &mut Block) {
        block.push(&self.begun, self.length);
        self.begun.clear();
        self.length = 0;
    }
}

impl Block {
    fn push(&mut self, line: &[u8], length: usize) {
        self.text.extend_from_slice(line);
        self.lines.push((self.text.len(), length));
    }

    fn asked(&self) -> Vec<Asked<'_>> {
        let starts = std::iter::once(0).chain(self.lines.iter().map(|(end, _)| *end));
        starts.zip(&self.lines).map(|(start, (end, length))| Asked { octets: &self.text[start..*end], length: *length }).collect()
    }
}

/// What became of a block.
struct Done {
    number: u64,
    answered: anyhow::Result<(String, Counts)>,
}

/// Answers all lines of `input`.
///
/// # Errors
/// Of the input or the output, or if an index is damaged where a rule stands.
pub fn run(sources: &mut Sources, form: &Form, input: impl Read) -> anyhow::Result<Counts> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let places = PLACES * threads;
    let (give, take) = bounded::<Block>(places);
    let (done, finished) = bounded::<Done>(places);
    let (free, place) = bounded::<()>(places);
    let bar = progress()?;
    thread::scope(|scope| {
        for _ in 0..threads {
            let (take, done, matcher) = (take.clone(), done.clone(), sources.matcher.clone());
            scope.spawn(move || work(&take, &done, &matcher, form));
        }
        drop((take, done));
        // Its ends of the channels go with it, so that an output that fails ends the others too.
        let (finished, place, counted) = (finished, place, bar.clone());
        let writer = scope.spawn(move || write(finished, place, &counted));
        let read = read(sources, input, &give, &free);
        drop((give, free));
        let written = writer.join().map_err(|_| anyhow::anyhow!("a part of this program failed"))?;
        bar.finish_and_clear();
        read.and(written)
    })
}

/// A line that says how far it is, on a terminal.
fn progress() -> anyhow::Result<ProgressBar> {
    let bar = ProgressBar::new_spinner();
    bar.set_style(ProgressStyle::with_template("{human_pos} questions {per_sec}").context("the template of the progress bar")?);
    Ok(bar)
}

/// Reads blocks until the input or the writer ends.
fn read(sources: &mut Sources, mut input: impl Read, give: &Sender<Block>, free: &Sender<()>) -> anyhow::Result<()> {
    let mut octets = vec![0; READ];
    let mut cutter = Cutter::default();
    let mut number = 0;
    loop {
        let n = match input.read(&mut octets) {
            Ok(n) => n,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).context("reading the standard input"),
        };
        let mut block = Block { number, now: Some(sources.now()), ..Block::default() };
        match n {
            0 if cutter.length > 0 => cutter.end(&mut block),
            0 => return Ok(()),
            n => cutter.take(&octets[..n], &mut block),
        }
        if block.lines.is_empty() {
            continue;
        }
        sources.refresh();
        // Closed only when the writer has ended, which says why.
        if free.send(()).is_err() || give.send(block).is_err() {
            return Ok(());
        }
        number += 1;
    }
}

fn work(take: &Receiver<Block>, done: &Sender<Done>, matcher: &Arc<Matcher>, form: &Form) {
    for block in take {
        let mut text = String::new();
        let now = block.now.unwrap_or(Timestamp::from_unix(0));
        let answered = answer(&matcher.load(), &block.asked(), now, form, &mut text).map(|counts| (text, counts));
        if done.send(Done { number: block.number, answered }).is_err() {
            return;
        }
    }
}

/// Prints what is done, in order. A place is free again only when its block has been printed.
#[allow(clippy::needless_pass_by_value)]
fn write(finished: Receiver<Done>, place: Receiver<()>, bar: &ProgressBar) -> anyhow::Result<Counts> {
    let mut out = io::stdout().lock();
    let mut waiting = BTreeMap::new();
    let mut next = 0;
    let mut counts = Counts::default();
    for done in finished {
        waiting.insert(done.number, done.answered);
        while let Some(answered) = waiting.remove(&next) {
            let (text, some) = answered?;
            match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
                Err(e) if e.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
                result => result.context("writing to the standard output")?,
            }
            counts.take(&some);
            bar.inc(some.total());
            next += 1;
            let _ = place.recv();
        }
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(parts: &[&[u8]]) -> Vec<(Vec<u8>, usize)> {
        let mut cutter = Cutter::default();
        let mut lines = Vec::new();
        let mut take = |block: Block| lines.extend(block.asked().into_iter().map(|asked| (asked.octets.to_vec(), asked.length)));
        for part in parts {
            let mut block = Block::default();
            cutter.take(part, &mut block);
            take(block);
        }
        let mut block = Block::default();
        if cutter.length > 0 {
            cutter.end(&mut block);
        }
        take(block);
        lines
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_they_are_read(text in "[a-c\n]{0,200}", at in proptest::collection::vec(0..200_usize, 0..8)) {
            let octets = text.as_bytes();
            let mut cuts: Vec<usize> = at.into_iter().map(|at| at.min(octets.len())).collect();
            cuts.sort_unstable();
            cuts.push(octets.len());
            let mut before = 0;
            let parts: Vec<&[u8]> = cuts.into_iter().map(|cut| &octets[std::mem::replace(&mut before, cut)..cut]).collect();
            let expected: Vec<(Vec<u8>, usize)> = text.lines().map(|line| (line.as_bytes().to_vec(), line.len())).collect();
            prop_assert_eq!(cut(&parts), expected);
        }
    }

    #[test]
    fn of_a_line_without_end_only_the_beginning_is_kept() {
        let part = vec![b'x'; 100_000];
        let lines = cut(&[&part, &part, b"y\nshort\n", &part]);
        assert_eq!(
            lines.iter().map(|(kept, length)| (kept.len(), *length)).collect::<Vec<_>>(),
            [(KEPT, 200_001), (5, 5), (KEPT, 100_000)]
        );
    }
}
