//! New bases out of what is there: folding the log into one, repairing single buckets, mending a file from the other.
//!
//! Guarantees those of [`ListState`]: each takes the place of the old base only once its content has the signed root.

use std::collections::BTreeMap;

use crate::store::{Content, Sorter};
use crate::trust::VerifiedHead;
use crate::wire::{Delta, Tree, bucket_digest, decompress};

use super::{
    FollowError, Frame, ListState, NewBase, View, buckets_in, delta_limit, generation, head_of,
    view::{SORT_MEMORY, from_sorter, header_of, push_lines},
};

impl ListState {
    /// Begins a fold: give the view to [`super::fold`], without holding this list, and what that made to [`ListState::end_fold`].
    pub fn begin_fold(&mut self) -> Option<View> {
        let view = self.view()?;
        self.current.as_mut()?.since_fold = Some(Vec::new());
        Some(view)
    }

    /// Ends a fold: the new base takes the place of the old one and of the log up to it; what was applied meanwhile stays.
    ///
    /// # Errors
    /// [`FollowError`]; everything is as it was.
    pub fn end_fold(&mut self, base: NewBase) -> Result<(), FollowError> {
        // No frames: another base came meanwhile, and the fold is of no more use.
        let Some(since) = self.current.as_mut().and_then(|c| c.since_fold.take()) else { return Ok(()) };
        let Some(accepted) = &self.accepted else { return Ok(()) };
        let mut content = Content::open(&buckets_in(&base.folder))?;
        let mut serial = base.meta.serial;
        let of_content = self.current.as_ref().and_then(|c| c.head.clone());
        // The head of the content and the newest one, whatever came between.
        let mut frames: Vec<Vec<u8>> = of_content.iter().map(|(_, note)| Frame::Head { note: note.clone() }.encode(&[])).collect();
        frames.push(Frame::Head { note: accepted.note.clone() }.encode(&[]));
        let mut logged = 0;
        for bytes in since {
            let (frame, delta) = Frame::decode(&bytes).map_err(FollowError::Unexpected)?;
            if let Frame::Delta { note } = frame {
                let head = head_of(&note).map_err(FollowError::Unexpected)?;
                let parsed = Delta::parse(&decompress("delta", delta, delta_limit(&head))?)?;
                content = content.apply(&parsed.changes)?;
                serial = parsed.header.to;
                logged += delta.len() as u64;
            }
            frames.push(bytes);
        }
        let now = self.current.as_ref().map(|c| (c.content.root(), c.content.entries(), c.serial));
        if now != Some((content.root(), content.entries(), serial)) {
            return Err(FollowError::Damaged { list: self.id.clone(), reason: "a folded base came out different".into() });
        }
        self.enthrone(base, of_content, content, &frames, logged)
    }

    /// Compares this list's buckets with digests that belong to the signed root; gives the numbers of those that differ or
    /// cannot be read. `None`: there is nothing to compare, or k differs.
    pub fn differing(&self, remote: &Tree) -> Option<Vec<u32>> {
        let current = self.current.as_ref()?;
        if current.content.tree().bits() != remote.bits() {
            return None;
        }
        let differs = |b: &u32| current.content.bucket(*b).map_or(true, |lines| bucket_digest(&lines) != remote.leaf(*b));
        Some((0..remote.buckets()).filter(differs).collect())
    }

    /// Makes a base of `head`'s version from this list's buckets and those that were fetched.
    ///
    /// # Errors
    /// [`FollowError`]; content and files are as they were.
    pub fn repair(&mut self, head: &VerifiedHead, fetched: &BTreeMap<u32, Vec<u8>>) -> Result<(), FollowError> {
        let current = self.current.as_ref().ok_or_else(|| FollowError::Unexpected("there is nothing to repair".into()))?;
        let content = &current.content;
        let bits = content.tree().bits();
        let mut sorter = Sorter::new(&self.dir, SORT_MEMORY);
        for b in 0..1u32 << bits {
            let own;
            let lines = match fetched.get(&b) {
                Some(lines) => lines,
                None => {
                    own = content.bucket(b).map_err(FollowError::io("read a bucket in", &self.dir))?;
                    &own
                }
            };
            push_lines(&mut sorter, lines).map_err(FollowError::io("sort in", &self.dir))?;
        }
        let base = from_sorter(&*self.disk, &self.dir, sorter, &header_of(head.head(), head.head().serial), bits)?;
        self.install(head, base, None)
    }

    /// Makes bucket file or snapshot anew from the other one after damage was found.
    ///
    /// # Errors
    /// [`FollowError`], if neither can be made from the other: a repair over the network is needed.
    pub fn mend(&mut self) -> Result<(), FollowError> {
        let current = self.current.as_ref().ok_or_else(|| FollowError::Unexpected("there is nothing to mend".into()))?;
        // With a whole snapshot the bucket file can be made anew; then the log is applied again by opening.
        generation::reindex(&*self.disk, &current.folder, &current.meta)?;
        let found = self.load()?;
        match found.damage {
            Some(reason) => Err(FollowError::Damaged { list: self.id.clone(), reason }),
            None => Ok(()),
        }
    }
}
