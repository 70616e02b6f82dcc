//! Reads a file of rules with several threads and hands on what it says, in the order of the file.
//!
//! Guarantees: the same lines in the same order, the same counts and the same places of issues as one thread would give;
//! memory is bounded by a few lots for each thread. What a lot says beside its lines ([`Lot::is_plain`]) spares the one
//! who takes the lots a look at each line, where nothing has to be looked at.

use std::io::{self, BufRead};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::formats::{self, Item, Opened, PIECE, Piece, ReadOptions, Summary};
use crate::list::rule_of;

use super::guards::Screen;
use super::{ImportProgress, PublishError};

/// Threads that read, at most.
const READERS: usize = 4;
/// Lots that may wait, for each thread.
const WAITING: usize = 2;
/// Octets of a lot of a file that is read by one thread, about.
const LOT: usize = 64 << 10;

/// Change lines in the order of the file.
#[derive(Debug)]
pub(super) struct Lot {
    /// Lines with sign and LF.
    text: String,
    count: u64,
    /// Where the last line begins, and how long its rule is.
    last: (usize, usize),
    plain: bool,
}

impl Lot {
    fn new() -> Lot {
        Lot { text: String::with_capacity(LOT + LOT / 2), count: 0, last: (0, 0), plain: true }
    }

    /// Whether all lines put an entry that the screen lets pass, each rule coming after the one before.
    pub(super) fn is_plain(&self) -> bool {
        self.plain
    }

    /// How many lines.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    fn push(&mut self, item: Item<'_>, screen: &mut Option<Screen<'_>>) {
        let (sign, body, puts) = match item {
            Item::Put(line) => ('+', line, true),
            Item::Remove(rule) => ('-', rule, false),
        };
        let rule = rule_of(body);
        let last = &self.text[self.last.0..];
        let ascends = self.count == 0 || *rule > last[1..][..self.last.1];
        self.plain = self.plain && puts && ascends && screen.as_mut().is_none_or(|screen| screen.refuses(body).is_none());
        self.last = (self.text.len(), rule.len());
        self.text.push(sign);
        self.text.push_str(body);
        self.text.push('\n');
        self.count += 1;
    }

    /// Sign and body of each line.
    pub(super) fn lines(&self) -> impl Iterator<Item = (u8, &str)> {
        self.text.split_terminator('\n').map(|line| (line.as_bytes()[0], &line[1..]))
    }

    /// The first and the last rule; `None` if there is no line.
    pub(super) fn rules(&self) -> Option<(&str, &str)> {
        let text = self.text.strip_suffix('\n')?;
        let first = text.split('\n').next()?;
        let last = text.rsplit('\n').next()?;
        Some((rule_of(&first[1..]), rule_of(&last[1..])))
    }

    /// Takes the last line off and puts its body into `into`. Once only.
    pub(super) fn pop(&mut self, into: &mut String) {
        let line = self.text[self.last.0..].trim_end_matches('\n');
        into.clear();
        into.push_str(line.get(1..).unwrap_or_default());
        self.text.truncate(self.last.0);
        self.count = self.count.saturating_sub(1);
    }

    /// The lines, each with its sign and LF.
    pub(super) fn into_text(self) -> String {
        self.text
    }
}

/// Reads `input` to its end. `screen`, if there is one, decides which lots are plain; what it refuses is in them nevertheless.
///
/// # Errors
/// [`PublishError::Read`] if the file as a whole is refused; of the input; of `each`.
pub(super) fn read_lots<'a>(
    input: &mut dyn BufRead,
    options: &ReadOptions,
    progress: &ImportProgress,
    screen: impl Fn() -> Option<Screen<'a>> + Sync,
    each: impl FnMut(Lot) -> Result<(), PublishError>,
) -> Result<Summary, PublishError> {
    let summary = match formats::open(input, options)? {
        Opened::Whole(file) => read_whole(file, options, progress, screen(), each),
        Opened::Pieces(pieces) => read_pieces(pieces, options, progress, screen, each),
    }?;
    progress.reached(&summary);
    Ok(summary)
}

fn read_whole<R: BufRead>(
    file: formats::Whole<R>,
    options: &ReadOptions,
    progress: &ImportProgress,
    mut screen: Option<Screen<'_>>,
    mut each: impl FnMut(Lot) -> Result<(), PublishError>,
) -> Result<Summary, PublishError> {
    let mut lot = Lot::new();
    let summary = file.read::<PublishError>(options, |item| {
        lot.push(item, &mut screen);
        if lot.text.len() < LOT {
            return Ok(());
        }
        progress.more_entries(lot.count);
        each(std::mem::replace(&mut lot, Lot::new()))
    })?;
    if lot.count > 0 {
        each(lot)?;
    }
    Ok(summary)
}

/// What a thread gives back for a piece.
type Reading = Result<(Lot, Summary), PublishError>;

fn read_pieces<'a, R: BufRead>(
    mut pieces: formats::Pieces<R>,
    options: &ReadOptions,
    progress: &ImportProgress,
    screen: impl Fn() -> Option<Screen<'a>> + Sync,
    mut each: impl FnMut(Lot) -> Result<(), PublishError>,
) -> Result<Summary, PublishError> {
    let size = piece_size(options)?;
    let readers = thread::available_parallelism().map_or(1, usize::from).min(READERS);
    thread::scope(|scope| {
        let threads: Vec<(SyncSender<Piece>, Receiver<Reading>)> = (0..readers)
            .map(|_| {
                let (to, pieces) = sync_channel::<Piece>(WAITING);
                let (give, from) = sync_channel(WAITING);
                let screen = &screen;
                scope.spawn(move || {
                    let mut screen = screen();
                    for piece in pieces {
                        if give.send(read_piece(&piece, options, &mut screen)).is_err() {
                            // Whoever takes the lots has given up.
                            return;
                        }
                    }
                });
                (to, from)
            })
            .collect();
        // A reader that is gone has panicked, which goes on in this thread when the scope ends.
        let gone = || PublishError::from(io::Error::from(io::ErrorKind::BrokenPipe));
        let mut summary = Summary { format: Some(pieces.format()), ..Summary::default() };
        // The piece of number n goes to thread n modulo their number, and comes back from there.
        let (mut sent, mut taken, mut ended) = (0, 0, false);
        while !ended || taken < sent {
            match if ended { None } else { pieces.next_piece(size)? } {
                Some(piece) => {
                    threads[sent % readers].0.send(piece).map_err(|_| gone())?;
                    sent += 1;
                }
                None => ended = true,
            }
            if taken < sent && (ended || sent - taken == readers * WAITING) {
                let (lot, read) = threads[taken % readers].1.recv().map_err(|_| gone())??;
                taken += 1;
                summary.append(read);
                progress.reached(&summary);
                if lot.count > 0 {
                    each(lot)?;
                }
            }
        }
        Ok(summary)
    })
}

fn read_piece(piece: &Piece, options: &ReadOptions, screen: &mut Option<Screen<'_>>) -> Reading {
    let mut lot = Lot::new();
    let summary = piece.read::<PublishError>(options, |item| {
        lot.push(item, screen);
        Ok(())
    })?;
    Ok((lot, summary))
}

/// The longer the attributes that every line gets, the smaller the pieces, so that lots stay small.
fn piece_size(options: &ReadOptions) -> Result<usize, PublishError> {
    let mut attributes = String::new();
    options.attributes.write(&mut attributes).map_err(formats::ReadError::from)?;
    // A line of a list has some 20 octets.
    Ok((PIECE * 20 / (20 + attributes.len())).max(4 << 10))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::list::{Attributes, Colour, Timestamp};
    use crate::publisher::{Protected, PublisherOptions};
    use crate::store::ListMeta;

    fn meta() -> ListMeta {
        let (title, owner) = (String::new(), String::new());
        let (licence, source, review) = (String::new(), String::new(), String::new());
        let (id, created) = ("test".parse().unwrap(), Timestamp::from_unix(0));
        ListMeta { id, colour: Colour::Black, title, categories: Vec::new(), owner, licence, source, review, created }
    }

    /// One thread, one line after the other.
    fn one_by_one(input: &[u8], options: &ReadOptions) -> (Vec<String>, Summary) {
        let mut lines = Vec::new();
        let summary = formats::read::<PublishError>(input, options, |item| {
            lines.push(match item {
                Item::Put(line) => format!("+{line}"),
                Item::Remove(rule) => format!("-{rule}"),
            });
            Ok(())
        });
        (lines, summary.unwrap())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn lots_say_what_the_file_says(
            blocks in proptest::collection::vec((0u32..4, 0u32..6_000, 1u32..8_000), 1..5),
            own: bool,
            categories: bool,
        ) {
            let mut text = String::new();
            for (kind, from, count) in blocks {
                for n in from..from + count {
                    text.push_str(&match kind {
                        0 => format!("host{:06}.example", (n * 7_919) % 9_001),
                        1 if n % 5_000 == 17 => "not a name".to_owned(),
                        2 if n % 5_000 == 17 => "bank.example".to_owned(),
                        3 if n % 5_000 == 17 && own => "-domain:host000017.example".to_owned(),
                        _ => format!("host{n:06}.example"),
                    });
                    text.push('\n');
                }
            }
            let mut options = ReadOptions { format: Some(if own { formats::Format::Bwld } else { formats::Format::Domains }), ..Default::default() };
            if own {
                text = text.lines().map(|l| if l.starts_with('-') { format!("{l}\n") } else { format!("domain:{l}\n") }).collect();
            }
            if categories {
                options.attributes = Attributes { categories: vec!["ads".parse().unwrap()], ..Default::default() };
            }
            let mut publisher = PublisherOptions::new("lists.example.org".parse().unwrap());
            let demands = crate::publisher::policy::Demands::default();
            publisher.protected = Protected::parse("bank.example").unwrap();
            let meta = meta();
            let (mut lines, mut plain_lots) = (Vec::new(), 0);
            let screen = || Some(Screen::new(&meta, &publisher, &demands));
            let summary = read_lots(&mut text.as_bytes(), &options, &ImportProgress::default(), screen, |mut lot| {
                let these: Vec<String> = lot.lines().map(|(sign, body)| format!("{}{body}", char::from(sign))).collect();
                assert_eq!(lot.count(), these.len() as u64);
                let mut screen = Screen::new(&meta, &publisher, &demands);
                let ascends = these.windows(2).all(|pair| rule_of(&pair[0][1..]) < rule_of(&pair[1][1..]));
                let plain = ascends && these.iter().all(|line| line.starts_with('+') && screen.refuses(&line[1..]).is_none());
                assert_eq!(lot.is_plain(), plain);
                plain_lots += u32::from(plain);
                lines.extend_from_slice(&these);
                assert_eq!(lot.rules(), these.first().zip(these.last()).map(|(a, b)| (rule_of(&a[1..]), rule_of(&b[1..]))));
                let mut last = String::new();
                lot.pop(&mut last);
                assert_eq!(Some(&*last), these.last().map(|line| &line[1..]));
                assert_eq!(lot.into_text(), these[..these.len() - 1].iter().map(|line| format!("{line}\n")).collect::<String>());
                Ok(())
            }).unwrap();
            prop_assert_eq!((lines, summary), one_by_one(text.as_bytes(), &options));
        }
    }

    #[test]
    fn whoever_takes_the_lots_can_stop() {
        let text = "a.example\n".repeat(200_000);
        let mut seen = 0;
        let result = read_lots(
            &mut text.as_bytes(),
            &ReadOptions::default(),
            &ImportProgress::default(),
            || None,
            |_| {
                seen += 1;
                if seen == 3 { Err(PublishError::System("enough".into())) } else { Ok(()) }
            },
        );
        assert!(matches!(result, Err(PublishError::System(text)) if text == "enough"));
        assert_eq!(seen, 3);
    }
}
