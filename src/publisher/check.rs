//! Everything that is promised, computed anew and compared.

use crate::list::{Digest, ListId};
use crate::store::{ArtefactKind, PublishedList, counted};
use crate::trust::Trusted;
use crate::wire::{MAX_KEYSET, Note, TreeBuilder};

use super::base::list_lines;
use super::lines::Lines;
use super::state::read_delta;
use super::{CheckReport, PublishError, Publisher};

impl Publisher {
    /// Verifies the chain of key sets, and of every list: the head's signature, the root computed from all its lines and
    /// from all its buckets, every kept delta, the chain of version digests, and what is staged.
    ///
    /// Changes nothing. Takes seconds for millions of entries; publications go on meanwhile.
    pub fn check(&self) -> CheckReport {
        let mut report = CheckReport::default();
        let trusted = self.check_keysets(&mut report);
        match self.store.lists() {
            Ok(lists) => {
                let offered = lists.iter().filter(|l| !l.removed).count();
                report.verified.push(format!("{offered} lists offered, {} removed", lists.len() - offered));
            }
            Err(e) => report.problems.push(format!("the index cannot be read: {e}")),
        }
        for slot in self.slots() {
            // One value of everything, so that it fits together; the lock is not held while it is checked.
            let (published, staged, out) = {
                let state = slot.lock();
                let staged = state.staged.as_ref().map(|s| s.digest);
                (state.published.clone(), staged, state.out_of_service.clone())
            };
            if let Some(reason) = out {
                report.problems.push(format!("list {}: out of service: {reason}; restore it from a backup or a follower", slot.id));
                continue;
            }
            if let Some(published) = published {
                let mut found = Vec::new();
                self.check_list(&published, trusted.as_ref(), &mut found, &mut report.verified);
                report.problems.extend(found.into_iter().map(|problem| format!("list {}: {problem}", slot.id)));
            }
            if let Some(digest) = staged
                && let Err(e) = self.store.artefacts().verify(ArtefactKind::Changes, &digest)
            {
                report.problems.push(format!("list {}: staged changes: {e}; stage them again", slot.id));
            }
        }
        report.problems.extend(self.check_kept());
        report
    }

    fn check_keysets(&self, report: &mut CheckReport) -> Option<Trusted> {
        let keysets = match self.store.keysets() {
            Ok(keysets) => keysets,
            Err(e) => {
                report.problems.push(format!("the key sets cannot be read: {e}"));
                return None;
            }
        };
        let mut trusted: Option<Trusted> = None;
        for (number, note) in &keysets {
            let next = match &trusted {
                Some(before) => before.advance(note.as_bytes()),
                None => Note::parse(note.as_bytes(), MAX_KEYSET)
                    .map_err(Into::into)
                    .and_then(|parsed| Trusted::pin(note.as_bytes(), &Digest::of(&parsed.text))),
            };
            match next {
                Ok(next) => trusted = Some(next),
                Err(e) => {
                    report.problems.push(format!("key set {number}: {e}; restore the store from a backup"));
                    return trusted;
                }
            }
        }
        report.verified.push(format!("{}, each following from the one before", counted(keysets.len() as u64, "key set", "key sets")));
        trusted
    }

    fn check_list(&self, published: &PublishedList, trusted: Option<&Trusted>, problems: &mut Vec<String>, verified: &mut Vec<String>) {
        let before = problems.len();
        let head = &published.head;
        let (id, serial) = (&head.list, head.serial);
        match trusted {
            Some(trusted) => {
                if let Err(e) = trusted.verify_head(published.note.as_bytes(), id, Some(published.meta.colour), None, self.clock.now()) {
                    problems
                        .push(format!("head of version {serial}: {e}; it will be signed again by the heartbeat if the key set allows it"));
                }
            }
            None => problems.push("there is no key set to verify the head with".into()),
        }
        match published.content.recompute() {
            Ok(root) if root == head.root => {}
            Ok(root) => problems.push(format!("its buckets have {}, its head says {}", root.digest, head.root.digest)),
            Err(e) => problems.push(format!("its buckets: {e}")),
        }
        match self.root_of_lines(published) {
            Ok(root) if root == head.root => {}
            Ok(root) => problems.push(format!("its lines have {}, its head says {}", root.digest, head.root.digest)),
            Err(e) => problems.push(format!("its lines: {e}")),
        }
        if let Err(e) = self.check_deltas(published) {
            problems.push(format!("deltas: {e}"));
        }
        if let Err(e) = self.check_log(id, published) {
            problems.push(format!("log: {e}"));
        }
        if problems.len() == before {
            let (entries, deltas) = (counted(head.entries, "entry", "entries"), counted(published.deltas.len() as u64, "delta", "deltas"));
            verified.push(format!("list {id}: version {serial}, {entries}, {deltas}"));
        }
    }

    fn root_of_lines(&self, published: &PublishedList) -> Result<crate::wire::Root, PublishError> {
        let mut lines = list_lines(self.store.artefacts(), published.bases.last(), &published.content)?;
        let mut tree = TreeBuilder::new(published.head.root.bits);
        while let Some(line) = lines.next_line()? {
            tree.push(line);
        }
        Ok(tree.finish().1)
    }

    /// Every kept delta is what its name says, leads one step, and all together lead without a gap to the head.
    fn check_deltas(&self, published: &PublishedList) -> Result<(), PublishError> {
        let mut at = published.deltas.first().map_or(published.head.serial, |d| d.from);
        for delta in published.deltas.iter() {
            let header = read_delta(self.store.artefacts(), delta)?.header;
            let fits = header.from == at && Some(header.to) == at.next() && header.list == published.head.list;
            if !fits {
                return Err(PublishError::System(format!("there is a gap after version {at}")));
            }
            at = header.to;
        }
        if at == published.head.serial { Ok(()) } else { Err(PublishError::System(format!("they end at version {at}"))) }
    }

    /// The log has the version the head is of, and no serial twice.
    fn check_log(&self, id: &ListId, published: &PublishedList) -> Result<(), PublishError> {
        let head = &published.head;
        let mut before = head.serial.next();
        let mut newest = true;
        loop {
            let page = self.store.versions(id, before, 256)?;
            for version in &page {
                if newest && (version.serial != head.serial || version.version != head.version_digest()) {
                    return Err(PublishError::System(format!("version {} in it is not the one the head is of", head.serial)));
                }
                if before.is_some_and(|before| version.serial >= before) {
                    return Err(PublishError::System(format!("version {} is there twice", version.serial)));
                }
                newest = false;
                before = Some(version.serial);
            }
            if page.is_empty() {
                return if newest { Err(PublishError::System("it is empty".into())) } else { Ok(()) };
            }
        }
    }

    /// Lists that are not served, and why. Waits for nobody who changes a list.
    pub fn out_of_service(&self) -> Vec<(ListId, String)> {
        self.slots().iter().filter_map(|slot| Some((slot.id.clone(), slot.out_of_service()?.to_owned()))).collect()
    }
}
