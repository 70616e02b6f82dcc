//! A filter of one list, from the publisher's files to verdicts: what a maker of filters does with this library, without
//! the daemon, a runtime or a network of bwld's.
//!
//! ```text
//! U=https://lists.example.org/v1
//! curl -s $U/keyset > keyset; curl -s $U/lists/adult/head > head
//! curl -s $U/lists/adult/snapshot/$(sed -n 's/^snapshot [0-9]* sha256:\([0-9a-f]*\).*/\1/p' head) > snapshot
//! cargo run --no-default-features --example filter -- sha256:PINNED adult keyset head snapshot -- www.example.com
//! ```
//!
//! Further files follow in the order in which they came: the next key sets, newer heads, deltas that lead to them.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

use bwld::list::{Change, ChangeSet, ListId, Serial, Timestamp};
use bwld::matcher::{About, IndexBuilder, Layers, ListState, Lists, Matcher, Seed, Verdict};
use bwld::trust::{Accepted, Trusted, VerifiedHead};
use bwld::wire::{Delta, SnapshotReader, TreeBuilder, decompress};

/// The most that this filter takes of one document, uncompressed.
const MOST: u64 = 1 << 30;

/// A list that is kept current, and the matcher that answers from it.
pub struct Filter {
    list: ListId,
    trusted: Trusted,
    /// The newest head that was verified.
    head: Option<VerifiedHead>,
    /// The content: an entry line a rule, and which version that is.
    content: BTreeMap<String, String>,
    serial: Option<Serial>,
    layers: Option<Layers>,
    seed: Seed,
    /// Look-ups may go on in other threads while this one takes documents.
    matcher: Matcher,
}

impl Filter {
    /// Pins a publisher by the fingerprint of a key set, got by telephone or letter, not from where the files came from.
    pub fn new(fingerprint: &str, list: &str, keyset: &[u8], seed: Seed) -> Result<Filter, Box<dyn Error>> {
        let trusted = Trusted::pin(keyset, &fingerprint.parse()?)?;
        let matcher = Matcher::new(Lists::new());
        Ok(Filter { list: list.parse()?, trusted, head: None, content: BTreeMap::new(), serial: None, layers: None, seed, matcher })
    }

    /// Takes a document as it came. On an error nothing has changed for those who ask.
    pub fn take(&mut self, octets: &[u8], now: Timestamp) -> Result<(), Box<dyn Error>> {
        let plain;
        let octets = if octets.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            plain = decompress("document", octets, MOST)?;
            &plain
        } else {
            octets
        };
        match octets.split(|octet| *octet == b'\n').next() {
            Some(b"bwld keyset v1") => self.trusted = self.trusted.advance(octets)?,
            Some(b"bwld head v1") => {
                // What was accepted before is remembered for ever: nobody may offer less (docs/PROTOCOL.md section 10).
                let before = self.head.as_ref().map(Accepted::from);
                self.head = Some(self.trusted.verify_head(octets, &self.list, None, before.as_ref(), now)?);
            }
            Some(b"bwld snapshot v1") => self.take_snapshot(octets)?,
            Some(b"bwld delta v1") => self.take_delta(octets)?,
            _ => return Err("neither key set nor head, snapshot or delta".into()),
        }
        self.announce()
    }

    fn take_snapshot(&mut self, octets: &[u8]) -> Result<(), Box<dyn Error>> {
        let promised = self.head.as_ref().ok_or("a snapshot before its head")?.head().snapshot;
        let mut reader = SnapshotReader::new(octets, promised.size)?;
        let mut content = BTreeMap::new();
        while let Some(line) = reader.next_line()? {
            content.insert(line.split('\t').next().unwrap_or(line).to_owned(), line.to_owned());
        }
        if reader.digest() != (promised.digest, promised.size) {
            return Err("not the snapshot that the head names".into());
        }
        self.accept(content, promised.serial, None)
    }

    fn take_delta(&mut self, octets: &[u8]) -> Result<(), Box<dyn Error>> {
        let delta = Delta::parse(octets)?;
        if Some(delta.header.from) != self.serial {
            return Err("a delta that does not begin at the version that is here".into());
        }
        let mut content = self.content.clone();
        for change in delta.changes.iter() {
            let rule = change.rule_str();
            let fits = match change {
                Change::Add(entry) => content.insert(rule.to_owned(), entry.line().to_owned()).is_none(),
                Change::Replace(entry) => content.insert(rule.to_owned(), entry.line().to_owned()).is_some(),
                Change::Remove(_) => content.remove(rule).is_some(),
            };
            if !fits {
                return Err("a delta that does not fit".into());
            }
        }
        self.accept(content, delta.header.to, Some(&delta.changes))
    }

    /// Takes content of a version: for those who ask only if it is what the head signs. A snapshot older than its head is
    /// completed by the delta that comes next.
    fn accept(&mut self, content: BTreeMap<String, String>, serial: Serial, changes: Option<&ChangeSet>) -> Result<(), Box<dyn Error>> {
        let head = self.head.as_ref().ok_or("content before its head")?.head();
        if serial == head.serial {
            let mut tree = TreeBuilder::new(head.root.bits);
            content.values().for_each(|line| tree.push(line));
            if tree.finish().1 != head.root || content.len() as u64 != head.entries {
                return Err("not the content that the head signs".into());
            }
            let root = head.root.digest;
            let about = About { origin: head.origin.clone(), list: head.list.clone(), colour: head.colour, serial, root };
            self.layers = Some(match (&self.layers, changes) {
                (Some(layers), Some(changes)) if Some(layers.about().serial) == self.serial => layers.apply(about, changes)?,
                _ => {
                    let mut builder = IndexBuilder::new(about, self.seed);
                    content.values().try_for_each(|line| builder.push(line))?;
                    Layers::new(builder.finish()?.into())
                }
            });
        }
        (self.content, self.serial) = (content, Some(serial));
        Ok(())
    }

    /// Shows those who ask what is here now. Without content they hear "no data", never "not listed".
    fn announce(&self) -> Result<(), Box<dyn Error>> {
        let Some(head) = self.head.as_ref().map(VerifiedHead::head) else { return Ok(()) };
        let state = ListState {
            origin: head.origin.clone(),
            list: head.list.clone(),
            colour: head.colour,
            serial: self.layers.as_ref().map(|layers| layers.about().serial),
            expires: Some(head.expires),
            local: false,
        };
        Ok(self.matcher.update(|lists| lists.with_list(state, self.layers.clone()))?)
    }

    /// What a filter does for each connection.
    pub fn ask(&self, question: &str, now: Timestamp) -> Result<String, Box<dyn Error>> {
        let lists = self.matcher.load();
        let verdict = match lists.ask(question, now) {
            Ok(verdict) => verdict,
            // No lawful client asks so: refuse it.
            Err(error) => return Ok(format!("{question}: invalid: {error}")),
        };
        let stale = if verdict.stale() { ", stale" } else { "" };
        Ok(match &verdict {
            Verdict::Block(by) | Verdict::Allow(by) => {
                let serial = by.list().serial.map_or(0, |serial| serial.get());
                format!("{question}: {} by {} of {} {serial}{stale}", verdict.word(), by.rule()?, by.list().list)
            }
            Verdict::Unlisted { .. } | Verdict::NoData(_) => format!("{question}: {}{stale}", verdict.word()),
        })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut parts = arguments.split(|argument| argument == "--");
    let (Some([fingerprint, list, keyset, files @ ..]), Some(questions)) = (parts.next(), parts.next()) else {
        return Err("usage: filter FINGERPRINT LIST KEYSET FILE... -- QUESTION...".into());
    };
    let now = Timestamp::from_unix(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs());
    let mut seed = [0; 16];
    getrandom::fill(&mut seed)?;
    let mut filter = Filter::new(fingerprint, list, &std::fs::read(keyset)?, Seed::new(seed))?;
    for file in files {
        filter.take(&std::fs::read(file)?, now).map_err(|e| format!("{file}: {e}"))?;
    }
    for question in questions {
        println!("{}", filter.ask(question, now)?);
    }
    Ok(())
}
