//! A list's content on disk: a base (immutable bucket file beside its snapshot) and the changes since, in memory.
//!
//! Guarantees: applying a delta costs by the delta, not by the list; a value is never changed, applying gives a new one
//! that shares the base, so readers need no lock; what is read from the base is compared with its bucket digest before
//! it is used. It does not decide when to fold the changes into a new base, and it verifies no signature.

mod base;
mod build;
mod lines;
mod patch;
mod scan;

use std::{io, path::Path, sync::Arc};

use crate::list::{Change, ChangeSet, Digest, Entry, Rule, rule_of};
use crate::wire::{Root, Tree, bucket_digest, bucket_of};

use super::StoreError;

pub use base::Base;
pub(super) use build::unnamed_file;
pub use build::{BaseWriter, Built};
pub use lines::{OwnSnapshot, SortedLines, VersionLines};
use patch::{Overlay, Patch};
pub use scan::Needle;

/// Why a delta did not fit the content. The content is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// `+` for a rule that is there.
    #[error("{0}: added, but it is already there")]
    Present(Rule),
    /// `-` or `~` for a rule that is not there.
    #[error("{0}: removed or replaced, but it is not there")]
    Absent(Rule),
    /// Reading the base failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Content of one version.
#[derive(Clone, Debug)]
pub struct Content {
    base: Option<Arc<Base>>,
    overlay: Overlay,
    tree: Arc<Tree>,
    entries: u64,
}

impl Content {
    /// No entries, no base, k = 0.
    pub fn empty() -> Content {
        let tree = Tree::new(&[bucket_digest(b"")]).expect("one leaf is a power of two");
        Content { base: None, overlay: Overlay::new(0), tree: Arc::new(tree), entries: 0 }
    }

    /// The content of a bucket file, with nothing changed since.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be opened or its table is damaged.
    pub fn open(path: &Path) -> Result<Content, StoreError> {
        let base = Arc::new(Base::open(path)?);
        let tree = base.tree().clone();
        Ok(Content { overlay: Overlay::new(tree.bits()), entries: base.entries(), tree, base: Some(base) })
    }

    /// The entry of this rule. Costs one bucket read at most.
    ///
    /// # Errors
    /// Of reading the base.
    pub fn get(&self, rule: &Rule) -> io::Result<Option<Entry>> {
        self.line_of(rule.as_str()).map(|found| found.map(|line| Entry::trusted(&line)))
    }

    /// The entry whose rule has this digest. Costs one bucket read.
    ///
    /// # Errors
    /// Of reading the base.
    pub fn get_by_digest(&self, digest: &Digest) -> io::Result<Option<Entry>> {
        // The bucket of a rule is told by the first bits of its digest.
        let first = digest.0.first_chunk().map_or(0, |first| u32::from_be_bytes(*first));
        let b = first.checked_shr(32 - u32::from(self.tree.bits())).unwrap_or(0);
        let lines = String::from_utf8(self.bucket(b)?).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        Ok(patch::lines_of(&lines).find(|line| Digest::of(rule_of(line)) == *digest).map(Entry::trusted))
    }

    /// The whole line of the entry with this rule, without LF.
    fn line_of(&self, rule: &str) -> io::Result<Option<String>> {
        let b = bucket_of(rule, self.tree.bits());
        if let Some(patch) = self.overlay.get(b)
            && let Some(change) = patch.find(rule)
        {
            return Ok(change.map(str::to_owned));
        }
        let lines = self.base_bucket(b)?;
        Ok(patch::lines_of(&lines).find(|line| rule_of(line) == rule).map(str::to_owned))
    }

    /// The content after `changes`, strictly. k stays as it is; whether it may is the caller's question.
    ///
    /// # Errors
    /// [`ApplyError`]; `self` is as it was in any case.
    pub fn apply(&self, changes: &ChangeSet) -> Result<Content, ApplyError> {
        let bits = self.tree.bits();
        let mut by_bucket: Vec<(u32, &Change)> = changes.iter().map(|c| (bucket_of(c.rule_str(), bits), c)).collect();
        // Stable, so that within a bucket the order of the rules stays.
        by_bucket.sort_by_key(|(b, _)| *b);

        let mut overlay = self.overlay.clone();
        let mut leaves: Vec<(u32, Digest)> = Vec::new();
        let mut entries = self.entries;
        for group in by_bucket.chunk_by(|a, b| a.0 == b.0) {
            let b = group[0].0;
            let base = self.base_bucket(b)?;
            let current = self.overlay.get(b).map(|patch| patch.over(&base));
            let (after, added, removed) = patch::apply_strict(current.as_deref().unwrap_or(&base), group.iter().map(|(_, c)| *c))?;
            entries = entries + added - removed;
            leaves.push((b, bucket_digest(after.as_bytes())));
            overlay.set(b, Patch::between(&base, &after));
        }
        let mut tree = self.tree.clone();
        if !leaves.is_empty() {
            Arc::make_mut(&mut tree).set(&leaves);
        }
        Ok(Content { base: self.base.clone(), overlay, tree, entries })
    }

    /// Root digest.
    pub fn root(&self) -> Root {
        self.tree.root(self.entries)
    }

    /// Number of entries.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// The lines of bucket `b`, each with its LF, in order.
    ///
    /// # Errors
    /// Of reading the base, or if there is no such bucket.
    pub fn bucket(&self, b: u32) -> io::Result<Vec<u8>> {
        if u64::from(b) >= 1 << self.tree.bits() {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("there is no bucket {b}; k is {}", self.tree.bits())));
        }
        let base = self.base_bucket(b)?;
        Ok(match self.overlay.get(b) {
            Some(patch) => patch.over(&base).into_bytes(),
            None => base.into_bytes(),
        })
    }

    /// The digests.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The base, if there is one.
    pub fn base(&self) -> Option<&Arc<Base>> {
        self.base.as_ref()
    }

    /// How many rules differ from the base: when to fold.
    pub fn overlay_len(&self) -> usize {
        self.overlay.len()
    }

    /// Change lines (sign, then the entry or the rule) since the base in order of the rule: 16 octets each of memory of
    /// its own. With [`SortedLines`] and the base's snapshot they give the content in order.
    pub fn changes_since_base(&self) -> Vec<&str> {
        let mut lines: Vec<&str> = self.overlay.patches().flat_map(Patch::changes).collect();
        lines.sort_unstable_by(|a, b| rule_of(&a[1..]).cmp(rule_of(&b[1..])));
        lines
    }

    /// The changes since the base as a set, which may be large; [`Content::changes_since_base`] costs less.
    pub fn since_base(&self) -> ChangeSet {
        let mut set = ChangeSet::default();
        for line in self.overlay.patches().flat_map(Patch::changes) {
            let change = match line.split_at(1) {
                ("+", entry) => Change::Add(Entry::trusted(entry)),
                ("~", entry) => Change::Replace(Entry::trusted(entry)),
                (_, rule) => Change::Remove(Rule::trusted(rule)),
            };
            set.push(change).expect("an overlay holds each rule once");
        }
        set
    }

    /// Reads every bucket and computes the root from scratch, trusting no digest that is kept: for `check`.
    ///
    /// # Errors
    /// Of reading; a bucket of the base that is damaged is one.
    pub fn recompute(&self) -> io::Result<Root> {
        let mut leaves = Vec::with_capacity(1 << self.tree.bits());
        let mut entries = 0;
        for b in 0..1u32 << self.tree.bits() {
            let lines = self.bucket(b)?;
            entries += memchr::memchr_iter(b'\n', &lines).count() as u64;
            leaves.push(bucket_digest(&lines));
        }
        Ok(Tree::new(&leaves).expect("2^k leaves").root(entries))
    }

    fn base_bucket(&self, b: u32) -> io::Result<String> {
        match &self.base {
            Some(base) => base.bucket(b),
            None => Ok(String::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::list::{Colour, Serial};
    use crate::store::RealDisk;
    use crate::wire::{SnapshotHeader, SnapshotWriter, bits_for};

    /// What a list holds, by rule.
    type Model = BTreeMap<String, String>;

    fn entry(number: u16, category: u8) -> (String, String) {
        // Names that are prefixes of each other, so that order by rule and by line must agree.
        let rule = format!("domain:{}{}.example", "a".repeat(usize::from(number % 5)), number / 5);
        let line = if category == 0 { rule.clone() } else { format!("{rule}\tcat=c{category}") };
        (rule, line)
    }

    fn write_base(dir: &Path, model: &Model, bits: u8) -> (Content, Vec<u8>, Digest) {
        let path = dir.join("base.buckets");
        let mut base = BaseWriter::new(bits, dir);
        let header = SnapshotHeader {
            origin: "lists.example.org".parse().unwrap(),
            list: "test".parse().unwrap(),
            colour: Colour::Black,
            serial: Serial::FIRST,
            entries: model.len() as u64,
        };
        let mut snapshot = SnapshotWriter::new(Vec::new(), &header).unwrap();
        for line in model.values() {
            base.push(line).unwrap();
            snapshot.push(line).unwrap();
        }
        let built = base.finish_at(&RealDisk, &path).unwrap();
        assert_eq!(Digest::of(std::fs::read(&path).unwrap()), built.digest);
        let content = Content::open(&path).unwrap();
        assert_eq!(content.root(), built.root);
        let (bytes, digest, _) = snapshot.finish().unwrap();
        (content, bytes, digest)
    }

    /// The root by the words of the protocol.
    fn root_from_scratch(model: &Model, bits: u8) -> Root {
        let mut buckets = vec![String::new(); 1 << bits];
        for (rule, line) in model {
            buckets[bucket_of(rule, bits) as usize].push_str(&format!("{line}\n"));
        }
        let leaves: Vec<Digest> = buckets.iter().map(|b| bucket_digest(b.as_bytes())).collect();
        Tree::new(&leaves).unwrap().root(model.len() as u64)
    }

    fn changes(from: &Model, to: &Model) -> ChangeSet {
        let mut set = ChangeSet::default();
        for (rule, line) in to {
            match from.get(rule) {
                None => set.push(Change::Add(Entry::trusted(line))).unwrap(),
                Some(old) if old != line => set.push(Change::Replace(Entry::trusted(line))).unwrap(),
                Some(_) => {}
            }
        }
        for rule in from.keys().filter(|rule| !to.contains_key(*rule)) {
            set.push(Change::Remove(Rule::trusted(rule))).unwrap();
        }
        set
    }

    fn assert_is(content: &Content, model: &Model, snapshot: &[u8], digest: Digest) {
        let bits = content.tree().bits();
        assert_eq!(content.root(), root_from_scratch(model, bits));
        assert_eq!(content.recompute().unwrap(), content.root());
        assert_eq!(content.entries(), model.len() as u64);
        let base = OwnSnapshot::new(snapshot, digest, snapshot.len() as u64).unwrap();
        let mut lines = SortedLines::new(Some(base), content);
        let mut sorted = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            sorted.push(line.to_owned());
        }
        assert_eq!(sorted, model.values().cloned().collect::<Vec<_>>());
        assert_eq!(content.since_base().len(), content.overlay_len());
    }

    proptest! {
        #[test]
        fn is_what_a_map_would_be(
            first in proptest::collection::vec((0u16..300, 0u8..3), 0..200),
            later in proptest::collection::vec(proptest::collection::vec((0u16..300, 0u8..4), 0..30), 0..5),
            bits in 0u8..9,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let mut model: Model = first.into_iter().map(|(n, c)| entry(n, c)).collect();
            let (mut content, snapshot, digest) = write_base(dir.path(), &model, bits);
            let original = content.clone();
            let original_model = model.clone();
            assert_is(&content, &model, &snapshot, digest);
            for step in later {
                let mut next = model.clone();
                for (number, category) in step {
                    let (rule, line) = entry(number, category);
                    if category == 3 { next.remove(&rule); } else { next.insert(rule, line); }
                }
                content = content.apply(&changes(&model, &next)).unwrap();
                model = next;
                assert_is(&content, &model, &snapshot, digest);
            }
            for number in 0..300 {
                let rule = entry(number, 0).0;
                let found = content.get(&Rule::trusted(&rule)).unwrap();
                prop_assert_eq!(found.as_ref().map(Entry::line), model.get(&rule).map(String::as_str));
            }
            // The version before is untouched by what was applied since.
            assert_is(&original, &original_model, &snapshot, digest);
            // Changes back to the base leave no trace.
            let back = content.apply(&changes(&model, &original_model)).unwrap();
            prop_assert_eq!(back.overlay_len(), 0);
            prop_assert_eq!(back.root(), original.root());
        }
    }

    #[test]
    fn applies_strictly_and_stays_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let model: Model = (0..50).map(|n| entry(n, 0)).collect();
        let (content, ..) = write_base(dir.path(), &model, 3);
        let one = |change| {
            let mut set = ChangeSet::default();
            set.push(change).unwrap();
            content.apply(&set)
        };
        let there = entry(7, 1).1;
        assert!(matches!(one(Change::Add(Entry::trusted(&there))), Err(ApplyError::Present(_))));
        assert!(matches!(one(Change::Replace(Entry::trusted("domain:x.example"))), Err(ApplyError::Absent(_))));
        assert!(matches!(one(Change::Remove(Rule::trusted("domain:x.example"))), Err(ApplyError::Absent(_))));
        assert_eq!(content.root(), root_from_scratch(&model, 3));
    }

    #[test]
    fn begins_empty_without_a_file() {
        let model: Model = (0..20).map(|n| entry(n, 1)).collect();
        let content = Content::empty().apply(&changes(&Model::new(), &model)).unwrap();
        assert_eq!(content.root(), root_from_scratch(&model, 0));
        assert_eq!(content.entries(), 20);
        assert!(content.bucket(1).is_err());
        let mut lines = SortedLines::<&[u8]>::new(None, &content);
        assert_eq!(lines.next_line().unwrap(), model.values().next().map(String::as_str));
    }

    #[test]
    fn a_large_base_spills_and_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let model: Model = (0..60_000)
            .map(|n| {
                let rule = format!("domain:host{n}.{}.example", "x".repeat(60));
                (rule.clone(), rule)
            })
            .collect();
        let bits = bits_for(model.len() as u64);
        let (content, snapshot, digest) = write_base(dir.path(), &model, bits);
        assert_is(&content, &model, &snapshot, digest);
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["base.buckets"]);
    }

    #[test]
    fn damage_is_found_where_it_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let model: Model = (0..300).map(|n| entry(n, 1)).collect();
        let (content, snapshot, _) = write_base(dir.path(), &model, 2);
        let path = dir.path().join("base.buckets");
        let good = std::fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            std::fs::write(&path, &bad).unwrap();
            let Ok(opened) = Content::open(&path) else { continue };
            assert!(opened.recompute().is_err(), "octet {at} of {}", good.len());
        }
        std::fs::write(&path, &good[..good.len() - 1]).unwrap();
        assert!(Content::open(&path).is_err());
        assert!(OwnSnapshot::new(&snapshot[..], Digest::of("another"), snapshot.len() as u64).is_ok_and(|mut own| {
            while let Ok(Some(_)) = own.next_line() {}
            own.next_line().is_err()
        }));
        drop(content);
    }
}
