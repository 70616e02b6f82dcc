//! A list as it changes: a compiled base with small overlays on it.
//!
//! Guarantees: a value never changes; a delta makes a new one that shares all but the smallest part, so that look-ups
//! go on over the old. Rules in a newer layer stand for the same rule in an older one, or take it away.
//!
//! The newest overlay is built anew with each delta and kept small; when it is full it goes into the second one. When
//! that has grown too, the list is folded: a new base is built of all, beside the look-ups, while further deltas begin
//! overlays of their own.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::build::{BuildError, IndexBuilder};
use super::index::{Hit, Index, MAX_SUFFIXES, REMOVED};
use super::layout::{About, Fault, IndexError};
use super::question::Question;
use crate::list::{Change, ChangeSet, rule_of};

/// Rules in the newest overlay before it goes into the second.
const NEWEST: u64 = 4_096;
/// Rules in the second overlay before a list is folded, or a 32nd of the base if that is more.
const SECOND: u64 = 65_536;

/// Why a delta could not be laid over a list, or layers not be folded.
#[derive(Debug, thiserror::Error)]
pub enum LayersError {
    /// The layers are damaged.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The changes do not make an index.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// A compiled list and what has changed since it was compiled.
#[derive(Clone, Debug)]
pub struct Layers {
    /// Newest first; the last one is the base.
    layers: Vec<Arc<Index>>,
    /// How many of the oldest are being folded and are not touched.
    folding: usize,
}

/// What a fold reads: hand it to a thread of its own.
#[derive(Debug)]
pub struct Fold(Vec<Arc<Index>>);

impl Layers {
    /// A list as it was compiled.
    pub fn new(base: Arc<Index>) -> Layers {
        Layers { layers: vec![base], folding: 0 }
    }

    /// A base and overlays as they were kept, newest first, the base last; `None` of none, and of layers that do not
    /// belong together: of different lists, in another order than that of their serials, or with different seeds.
    pub fn of(layers: Vec<Arc<Index>>) -> Option<Layers> {
        let together = |newer: &Index, older: &Index| {
            let (a, b) = (newer.about(), older.about());
            (&a.origin, &a.list, a.colour) == (&b.origin, &b.list, b.colour) && a.serial >= b.serial && newer.seed() == older.seed()
        };
        let fit = layers.windows(2).all(|pair| together(&pair[0], &pair[1]));
        (fit && !layers.is_empty()).then_some(Layers { layers, folding: 0 })
    }

    /// The layers, newest first; the last is the base.
    pub fn layers(&self) -> &[Arc<Index>] {
        &self.layers
    }

    /// Which version the list has with all overlays.
    pub fn about(&self) -> &About {
        self.layers[0].about()
    }

    /// Lays the changes of a delta over the list; `about` is the version it leads to.
    ///
    /// # Errors
    /// [`LayersError`]; the layers are as they were.
    pub fn apply(&self, about: About, changes: &ChangeSet) -> Result<Layers, LayersError> {
        let seed = *self.layers[0].seed();
        let overlays = self.layers.len() - self.folding.max(1);
        let mut newest = Rules::default();
        if overlays > 0 {
            newest.take(&self.layers[0])?;
        }
        for change in changes.iter() {
            let line = match change {
                Change::Add(entry) | Change::Replace(entry) => Some(entry.line().to_owned()),
                Change::Remove(_) => None,
            };
            newest.0.insert(change.rule_str().to_owned(), line);
        }
        let mut replaced = overlays.min(1);
        if newest.0.len() as u64 > NEWEST && overlays > 1 {
            let mut both = Rules::default();
            both.take(&self.layers[1])?;
            both.0.append(&mut newest.0);
            newest = both;
            replaced = 2;
        }
        let overlay = newest.build(about, seed)?;
        let mut layers = vec![Arc::new(overlay)];
        if replaced == 2 || layers[0].len() > NEWEST {
            // It is the second now; the next delta finds an empty newest one.
            let empty = IndexBuilder::new(layers[0].about().clone(), seed).finish()?;
            layers.insert(0, Arc::new(empty));
        }
        layers.extend(self.layers[replaced..].iter().cloned());
        Ok(Layers { layers, folding: self.folding })
    }

    /// Whether the overlays have grown so far that the list should be folded.
    pub fn wants_fold(&self) -> bool {
        let overlays: u64 = self.layers[..self.layers.len() - 1].iter().map(|layer| layer.len()).sum();
        let base = self.layers.last().map_or(0, |base| base.len());
        self.folding == 0 && overlays > SECOND.max(base / 32)
    }

    /// Begins a fold of all that is there now. Deltas may be applied to the layers given back meanwhile.
    pub fn begin_fold(&self) -> (Layers, Fold) {
        (Layers { layers: self.layers.clone(), folding: self.layers.len() }, Fold(self.layers.clone()))
    }

    /// Puts the folded base in the place of the layers it was made of. A base that was made of others (the list came anew
    /// as a whole meanwhile, or the fold was given up) is left out, and the layers stay as they are.
    pub fn finish_fold(&self, folded: Arc<Index>) -> Layers {
        let newest = self.layers.len() - self.folding;
        let fits = |made_of: &Arc<Index>| made_of.about() == folded.about() && made_of.seed() == folded.seed();
        if !self.layers.get(newest).is_some_and(fits) {
            return self.clone();
        }
        let mut layers = self.layers[..newest].to_vec();
        layers.push(folded);
        Layers { layers, folding: 0 }
    }

    /// Gives up a fold that failed.
    pub fn abandon_fold(&self) -> Layers {
        Layers { layers: self.layers.clone(), folding: 0 }
    }

    /// The most specific rule that the question meets and `counts` does not leave out, and the layer it stands in.
    #[inline]
    pub(crate) fn best(
        &self,
        question: &Question<'_>,
        hashes: &[u64],
        counts: impl Fn(usize, u32) -> bool,
    ) -> Result<Option<(usize, Hit)>, Fault> {
        let mut best: Option<(usize, Hit)> = None;
        for (n, layer) in self.layers.iter().enumerate() {
            let better_than = best.map_or(0, |(_, hit)| hit.rank());
            let mut fault = None;
            layer.hits(question, hashes, |hit| {
                if hit.rank() <= better_than {
                    return true;
                }
                if hit.attributes == REMOVED || !counts(n, hit.attributes) {
                    return false;
                }
                match if n == 0 { Ok(false) } else { self.replaced(n, question, hashes, &hit) } {
                    Ok(true) => false,
                    Ok(false) => {
                        best = Some((n, hit));
                        true
                    }
                    Err(found) => {
                        fault = Some(found);
                        true
                    }
                }
            })?;
            if let Some(fault) = fault {
                return Err(fault);
            }
        }
        Ok(best)
    }

    /// Whether a layer newer than `n` has the rule of this hit, or takes it away.
    fn replaced(&self, n: usize, question: &Question<'_>, hashes: &[u64], hit: &Hit) -> Result<bool, Fault> {
        for layer in &self.layers[..n] {
            if layer.speaks_of(question, hashes, hit)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Every rule that the question meets, of any layer, most specific first. For explaining.
    pub(crate) fn all(&self, question: &Question<'_>, hashes: &[u64]) -> Result<Vec<(usize, Hit)>, Fault> {
        let mut all = Vec::new();
        for (n, layer) in self.layers.iter().enumerate() {
            let mut met = Vec::new();
            layer.hits(question, hashes, |hit| {
                met.push(hit);
                false
            })?;
            for hit in met {
                if hit.attributes != REMOVED && !self.replaced(n, question, hashes, &hit)? {
                    all.push((n, hit));
                }
            }
        }
        all.sort_by_key(|(_, hit)| std::cmp::Reverse(hit.rank()));
        Ok(all)
    }
}

impl Layers {
    /// Gives every entry that is in force, a line each as in a snapshot, in no order.
    ///
    /// # Errors
    /// [`IndexError`] if a layer is damaged; what was given before is right.
    pub fn each_entry(&self, each: impl FnMut(&str)) -> Result<(), IndexError> {
        each_in_force(&self.layers, each)
    }

    /// The entry of a rule, as its line in a snapshot, if it is among those that the question meets.
    ///
    /// # Errors
    /// [`IndexError`] if a layer is damaged.
    pub fn entry_of(&self, question: &Question<'_>, rule: &str) -> Result<Option<String>, IndexError> {
        let mut room = [0; MAX_SUFFIXES];
        let hashes = &mut room[..question.suffixes().min(MAX_SUFFIXES)];
        question.hashes(self.layers[0].seed(), hashes);
        let mut text = String::new();
        for (n, hit) in self.all(question, hashes)? {
            text.clear();
            self.layers[n].write_line(&hit, &mut text)?;
            if rule_of(&text) == rule {
                return Ok(Some(text));
            }
        }
        Ok(None)
    }
}

impl Fold {
    /// Builds the new base: the old one with what the overlays change.
    ///
    /// # Errors
    /// [`LayersError`] if a layer is damaged.
    pub fn run(&self) -> Result<Index, LayersError> {
        let newest = &self.0[0];
        let mut builder = IndexBuilder::new(newest.about().clone(), *newest.seed());
        let mut built = Ok(());
        each_in_force(&self.0, |line| {
            if built.is_ok() {
                built = builder.push(line);
            }
        })?;
        built?;
        Ok(builder.finish()?)
    }
}

/// Gives every entry of layers, newest first, that no newer one replaces or takes away.
fn each_in_force(layers: &[Arc<Index>], mut each: impl FnMut(&str)) -> Result<(), IndexError> {
    let mut changes = Rules::default();
    let (base, overlays) = layers.split_last().ok_or(IndexError::Contradiction("no layers"))?;
    for overlay in overlays.iter().rev() {
        changes.take(overlay)?;
    }
    base.each_entry(|rule, line| {
        if let Some(line) = line
            && !changes.0.contains_key(rule)
        {
            each(line);
        }
    })?;
    changes.0.values().flatten().for_each(|line| each(line));
    Ok(())
}

/// Rules with the entry each has now, or `None` if it is taken away.
#[derive(Default)]
struct Rules(BTreeMap<String, Option<String>>);

impl Rules {
    /// Adds what a newer layer says.
    fn take(&mut self, layer: &Index) -> Result<(), IndexError> {
        layer.each_entry(|rule, line| {
            self.0.insert(rule.to_owned(), line.map(str::to_owned));
        })
    }

    fn build(&self, about: About, seed: super::hash::Seed) -> Result<Index, BuildError> {
        let mut builder = IndexBuilder::new(about, seed);
        for (rule, line) in &self.0 {
            match line {
                Some(line) => builder.push(line)?,
                None => builder.push_removed(rule)?,
            }
        }
        builder.finish()
    }
}
