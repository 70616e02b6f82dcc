//! One list file, compiled: bwld's own text, a snapshot (also compressed), or any format that `formats` reads.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;

use anyhow::Context as _;

use crate::formats::{self, Item, ReadError, ReadOptions, Summary};
use crate::list::{Colour, Digest, ListId, Origin, Serial, rule_of};
use crate::matcher::{About, IndexBuilder, Layers, Seed};
use crate::wire::ZstdReader;

use super::super::exit::Ended;

/// Largest file that is taken, uncompressed, in octets.
const MOST: u64 = 64 << 30;
/// How a zstd frame begins.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Lines at the beginning of a file that may say what it is.
const HEADER_LINES: usize = 64;

/// Entries of one or several files, in one run of text.
#[derive(Debug, Default)]
pub struct Entries {
    text: String,
    ends: Vec<usize>,
}

impl Entries {
    fn push(&mut self, line: &str) {
        self.text.push_str(line);
        self.ends.push(self.text.len());
    }

    /// Compiles them. Of a rule that comes more than once the first entry counts.
    ///
    /// # Errors
    /// If they are more than an index holds.
    pub fn compile(&self, about: About, seed: Seed) -> anyhow::Result<Layers> {
        let starts = std::iter::once(&0).chain(&self.ends);
        let mut lines: Vec<&str> = starts.zip(&self.ends).map(|(start, end)| &self.text[*start..*end]).collect();
        lines.sort_by(|a, b| rule_of(a).cmp(rule_of(b)));
        lines.dedup_by(|later, first| rule_of(later) == rule_of(first));
        let mut builder = IndexBuilder::new(about, seed);
        for line in lines {
            builder.push(line)?;
        }
        Ok(Layers::new(builder.finish()?.into()))
    }
}

/// What a file says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Described {
    pub origin: Option<Origin>,
    pub list: Option<ListId>,
    pub colour: Option<Colour>,
    pub serial: Option<Serial>,
    pub root: Option<Digest>,
}

impl Described {
    /// Reads the header of a snapshot, or the `# key value` and `# key: value` lines at the beginning.
    fn read(beginning: &[u8]) -> Described {
        let text = String::from_utf8_lossy(beginning);
        let mut lines = text.trim_start_matches('\u{feff}').lines().take(HEADER_LINES).peekable();
        let snapshot = lines.next_if(|line| *line == "bwld snapshot v1").is_some();
        let mut described = Described::default();
        for line in lines {
            let line = match (snapshot, line.strip_prefix('#')) {
                (true, _) if line.is_empty() => break,
                (true, _) => line,
                (false, Some(comment)) => comment.trim(),
                (false, None) => break,
            };
            let Some((key, value)) = line.split_once(' ') else { continue };
            let value = value.trim();
            match key.trim_end_matches(':') {
                "origin" => described.origin = value.parse().ok(),
                "list" | "id" => described.list = value.parse().ok(),
                "colour" => described.colour = value.parse().ok(),
                "serial" => described.serial = value.parse::<u64>().ok().and_then(Serial::new),
                "root" => described.root = value.split(' ').next().and_then(|digest| digest.parse().ok()),
                _ => {}
            }
        }
        described
    }
}

/// Reads a list file into `entries`.
///
/// # Errors
/// Of the disk; [`Ended::Usage`] if it is no list.
pub fn read(path: &Path, subtree: bool, entries: &mut Entries) -> anyhow::Result<(Described, Summary)> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let mut plain = BufReader::with_capacity(64 << 10, file);
    let reading = || format!("reading {}", path.display());
    let compressed = plain.fill_buf().with_context(reading)?.starts_with(&ZSTD);
    let octets: Box<dyn Read> = if compressed { Box::new(ZstdReader::new("snapshot", plain, MOST)?) } else { Box::new(plain.take(MOST)) };
    let mut input = BufReader::with_capacity(256 << 10, octets);
    let beginning = input.fill_buf().with_context(reading)?;
    if beginning.starts_with(b"bwld delta v1\n") {
        return Err(Ended::Usage(format!("{} is a delta, not a list; give a snapshot or a text file", path.display())).into());
    }
    let described = Described::read(beginning);
    let options = ReadOptions { subtree, ..ReadOptions::default() };
    let summary = formats::read(input, &options, |item| {
        if let Item::Put(line) = item {
            entries.push(line);
        }
        Ok::<(), ReadError>(())
    });
    Ok((described, summary.with_context(|| path.display().to_string())?))
}

/// The first bad line, for people.
pub fn first_issue(path: &Path, summary: &Summary) -> Option<String> {
    let issue = summary.issues.first()?;
    let hint = if issue.hint.is_empty() { String::new() } else { format!("; {}", issue.hint) };
    Some(format!("{}, line {}, column {}: {}{hint}", path.display(), issue.line, issue.column, issue.reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says_of_itself_is_read_in_every_form() {
        let all = |text: &str| {
            let d = Described::read(text.as_bytes());
            (d.origin.map(|o| o.to_string()), d.list.map(|l| l.to_string()), d.colour, d.serial.map(Serial::get))
        };
        let origin = Some("o.example".to_owned());
        assert_eq!(
            all("bwld snapshot v1\norigin o.example\nlist a\ncolour white\nserial 7\nentries 0\n\nlist b\n"),
            (origin.clone(), Some("a".into()), Some(Colour::White), Some(7))
        );
        assert_eq!(
            all("# bwld list\n# origin o.example\n# list a\n# colour black\n# serial 7\ndomain:x.example\n# list b\n"),
            (origin, Some("a".into()), Some(Colour::Black), Some(7))
        );
        assert_eq!(all("\u{feff}# id: a\n# colour: white\n"), (None, Some("a".into()), Some(Colour::White), None));
        assert_eq!(all("0.0.0.0 colour white\n"), (None, None, None, None));
        assert_eq!(all("# colour: red\n# a\n"), (None, None, None, None));
    }

    #[test]
    fn the_first_entry_of_a_rule_counts() {
        let mut entries = Entries::default();
        ["domain:b.example\tcat=x", "domain:a.example", "domain:b.example"].into_iter().for_each(|line| entries.push(line));
        let about = About {
            origin: "file".parse().unwrap(),
            list: "a".parse().unwrap(),
            colour: Colour::Black,
            serial: Serial::FIRST,
            root: Digest::of(""),
        };
        let layers = entries.compile(about, Seed::new([1; 16])).unwrap();
        assert_eq!(layers.layers()[0].len(), 2);
        let mut lines = Vec::new();
        layers.each_entry(|line| lines.push(line.to_owned())).unwrap();
        lines.sort();
        assert_eq!(lines, ["domain:a.example", "domain:b.example\tcat=x"]);
    }
}
