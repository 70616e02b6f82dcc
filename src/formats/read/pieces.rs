//! A file in pieces of whole lines, which several threads can read beside each other.
//!
//! Guarantees: the pieces one after the other say what the file says as a whole, line by line and place by place; memory is
//! bounded whatever the input. Only formats of which every line stands for itself come in pieces: domains and hosts.
//! Which thread reads which piece, and that their order is kept, is the caller's business.

use std::io::{BufRead, Read};

use super::{Format, ISSUES_KEPT, Item, ReadError, ReadOptions, Summary, lines::Lines, out::Out, plain};

/// A good size of a piece, in octets: it stays in the caches of a processor.
pub const PIECE: usize = 64 << 10;

/// Cuts the input into pieces.
pub struct Pieces<R> {
    input: R,
    format: Format,
    max_line: usize,
    /// The beginning of a line whose end has not been read.
    carry: Vec<u8>,
    ended: bool,
}

/// Some whole lines of a file; the last one of the file may lack its end.
#[derive(Debug)]
pub struct Piece {
    text: Vec<u8>,
    format: Format,
}

impl<R: BufRead> Pieces<R> {
    pub(super) fn new(input: R, format: Format, max_line: usize) -> Self {
        Pieces { input, format, max_line: max_line.max(64), carry: Vec::new(), ended: false }
    }

    /// The format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The next piece, of about `size` octets; `None` after the last.
    ///
    /// # Errors
    /// Of the input.
    pub fn next_piece(&mut self, size: usize) -> Result<Option<Piece>, ReadError> {
        while !self.ended {
            let mut text = Vec::with_capacity(self.carry.len() + size);
            text.append(&mut self.carry);
            let begin = text.len();
            self.ended = self.input.by_ref().take(size.max(1) as u64).read_to_end(&mut text)? == 0;
            if self.ended {
                return Ok((!text.is_empty()).then_some(Piece { text, format: self.format }));
            }
            let whole = memchr::memrchr(b'\n', &text[begin..]).map_or(0, |lf| begin + lf + 1);
            self.carry.extend_from_slice(&text[whole..]);
            // So much tells that the line is too long; the rest of it is never looked at.
            self.carry.truncate(self.max_line + 2);
            text.truncate(whole);
            if whole > 0 {
                return Ok(Some(Piece { text, format: self.format }));
            }
        }
        Ok(None)
    }
}

impl Piece {
    /// Reads the piece as [`super::read`] reads a file. Line numbers count from the beginning of the piece;
    /// [`Summary::append`] sets that right.
    ///
    /// # Errors
    /// What the sink says, or [`ReadError::Attributes`].
    pub fn read<E: From<ReadError>>(&self, options: &ReadOptions, sink: impl FnMut(Item<'_>) -> Result<(), E>) -> Result<Summary, E> {
        let mut out = Out::new(options, sink)?;
        let mut lines = Lines::new(&self.text[..], options.max_line, false);
        match self.format {
            Format::Hosts => plain::hosts(&mut lines, &mut out)?,
            _ => plain::domains(&mut lines, &mut out)?,
        }
        out.summary.format = Some(self.format);
        out.summary.lines = lines.number();
        out.summary.unterminated = lines.unterminated();
        Ok(out.summary)
    }

    /// Octets of it.
    pub fn size(&self) -> usize {
        self.text.len()
    }
}

impl Summary {
    /// How many rules were left out, of all sorts.
    pub fn left_out_total(&self) -> u64 {
        self.left_out.values().map(|left| left.count).sum()
    }

    /// Adds what was read next of the same file.
    pub fn append(&mut self, next: Summary) {
        let before = self.lines;
        let room = ISSUES_KEPT.saturating_sub(self.issues.len());
        self.issues.extend(next.issues.into_iter().take(room).map(|mut issue| {
            issue.line += before;
            issue
        }));
        self.format = next.format.or(self.format);
        self.lines += next.lines;
        self.entries += next.entries;
        self.removals += next.removals;
        self.comments += next.comments;
        for (sort, mut left) in next.left_out {
            left.line += before;
            self.left_out.entry(sort).and_modify(|first| first.count += left.count).or_insert(left);
        }
        self.issues_total += next.issues_total;
        self.unterminated = next.unterminated;
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::prelude::*;

    use super::super::{Opened, Wildcards, open, read};
    use super::*;

    /// What a reader handed on, and its summary.
    type Seen = (Vec<String>, Summary);

    fn whole(input: &[u8], options: &ReadOptions) -> Result<Seen, String> {
        let mut lines = Vec::new();
        let summary = read::<ReadError>(input, options, |item| {
            lines.push(format!("{item:?}"));
            Ok(())
        });
        summary.map(|summary| (lines, summary)).map_err(|e| e.to_string())
    }

    fn in_pieces(input: &[u8], options: &ReadOptions, capacity: usize) -> Result<(Seen, usize), String> {
        let mut lines = Vec::new();
        let mut sink = |item: Item<'_>| {
            lines.push(format!("{item:?}"));
            Ok::<(), ReadError>(())
        };
        let mut count = 0;
        let summary = match open(BufReader::with_capacity(capacity, input), options).map_err(|e| e.to_string())? {
            Opened::Whole(file) => file.read(options, sink).map_err(|e| e.to_string())?,
            Opened::Pieces(mut pieces) => {
                let mut summary = Summary { format: Some(pieces.format), ..Summary::default() };
                while let Some(piece) = pieces.next_piece(PIECE).map_err(|e| e.to_string())? {
                    count += 1;
                    assert!(piece.size() <= 2 * PIECE + options.max_line.max(64) + 2, "{}", piece.size());
                    summary.append(piece.read(options, &mut sink).map_err(|e| e.to_string())?);
                }
                summary
            }
        };
        Ok(((lines, summary), count))
    }

    fn a_line() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            8 => "[a-z]{1,12}\\.(com|example|co\\.uk)".prop_map(String::into_bytes),
            1 => "[A-Z0-9.*_#;! \t-]{0,20}".prop_map(String::into_bytes),
            1 => "0\\.0\\.0\\.0 [a-z]{1,8}\\.example( [a-z.]{1,8})?".prop_map(String::into_bytes),
            1 => "(subtree|domain|url|x):[a-z]{1,6}\\.example(/|\tcat=ads)?".prop_map(String::into_bytes),
            1 => "[ab]{50,200}".prop_map(String::into_bytes),
            1 => proptest::collection::vec(any::<u8>().prop_filter("a line", |c| *c != b'\n'), 0..12),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn pieces_say_what_the_whole_says(
            lines in proptest::collection::vec((a_line(), prop_oneof![6 => Just(&b"\n"[..]), 1 => Just(&b"\r\n"[..]), 1 => Just(&b"\r\r\n"[..])]), 0..60),
            // Repeated until it fills several pieces, at a length that moves the cuts.
            times in 1usize..400,
            long in 0usize..3,
            cut_off: bool,
            format in prop_oneof![Just(None), Just(Some(Format::Domains)), Just(Some(Format::Hosts)), Just(Some(Format::Bwld))],
            subtree: bool,
            capacity in 1usize..100_000,
        ) {
            let mut input: Vec<u8> = lines.into_iter().flat_map(|(line, end)| [&line[..], end].concat()).collect::<Vec<u8>>().repeat(times);
            input.truncate(200_000);
            // Lines longer than a piece, with CRs where the bound and the pieces end.
            for n in 0..long {
                input.extend_from_slice(&[b"x".repeat(63 + n), b"\r".repeat(PIECE * n), b"y".repeat(n), b"\n".to_vec()].concat());
            }
            if cut_off { input.pop(); }
            let options = ReadOptions { format, subtree, max_line: 64, wildcards: Wildcards::Subtree, ..ReadOptions::default() };
            let expected = whole(&input, &options);
            prop_assert_eq!(in_pieces(&input, &options, capacity).map(|(seen, _)| seen), expected);
        }
    }

    #[test]
    fn a_file_comes_in_several_pieces_and_an_endless_line_in_one() {
        let text = "a.example\n".repeat(50_000);
        let ((lines, summary), pieces) = in_pieces(text.as_bytes(), &ReadOptions::default(), 1000).expect("reads");
        assert_eq!((lines.len(), summary.lines, summary.entries), (50_000, 50_000, 50_000));
        assert!(pieces >= text.len() / PIECE, "{pieces}");
        let text = [&b"x".repeat(10 * PIECE)[..], b"\nb.example"].concat();
        let ((lines, summary), pieces) = in_pieces(&text, &ReadOptions::default(), 1000).expect("reads");
        assert_eq!((lines.len(), summary.lines, summary.issues_total, summary.unterminated), (1, 2, 1, true));
        assert!(pieces <= 2, "{pieces}");
    }
}
