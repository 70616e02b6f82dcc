//! A list's content on disk: a base (immutable bucket file beside its snapshot) and the changes since, in memory.
//!
//! Guarantees: applying a delta costs by the delta, not by the list; a value is never changed, applying gives a new one
//! that shares the base, so readers need no lock; what is read from the base is compared with its bucket digest before
//! it is used. It does not decide when to fold the changes into a new base, and it verifies no signature.

mod base;
mod build;
mod lines;
mod patch;

use std::{io, path::Path, sync::Arc};

use crate::list::{Change, ChangeSet, Digest, Entry, Rule};
use crate::wire::{Root, Tree, bucket_digest, bucket_of};

use super::StoreError;

pub use base::Base;
pub(super) use build::unnamed_file;
pub use build::{BaseWriter, Built};
pub use lines::{OwnSnapshot, SortedLines};
use patch::{Overlay, Patch};

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

    /// The whole line of the entry with this rule, without LF.
    fn line_of(&self, rule: &str) -> io::Result<Option<String>> {
        let b = bucket_of(rule, self.tree.bits());
        if let Some(patch) = self.overlay.get(b)
            && let Some(change) = patch.find(rule)
        {
            return Ok(change.map(str::to_owned));
        }
        let lines = self.base_bucket(b)?;
        Ok(patch::lines_of(&lines).find(|line| patch::rule_of(line) == rule).map(str::to_owned))
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
        lines.sort_unstable_by(|a, b| patch::rule_of(&a[1..]).cmp(patch::rule_of(&b[1..])));
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
