//! Heads: made, signed, and signed again.

use std::sync::{Arc, PoisonError};

use crate::list::{Digest, ListId, Timestamp};
use crate::store::{BaseRef, By, PublishedList, Record};
use crate::trust::{CLOCK_SKEW, Trusted};
use crate::wire::{Act, Head, MAX_KEYSET, Note, SnapshotRef};

use super::state::State;
use super::{PublishError, Publisher, Signed};

/// How `Head` names a base.
pub(super) fn snapshot_ref(base: &BaseRef) -> SnapshotRef {
    SnapshotRef { serial: base.serial, digest: base.snapshot, size: base.snapshot_size }
}

impl Publisher {
    /// Signs `head` with the newest key set, as of now; its `keyset`, `issued` and `expires` are set here.
    /// `before`: when the same version was signed last, which this signing must not be earlier than.
    pub(super) fn sign_head(&self, mut head: Head, before: Option<Timestamp>) -> Result<(Arc<str>, Arc<Head>), PublishError> {
        let trusted = self.trusted()?;
        let now = self.clock.now();
        // A clock set back a little must not make followers pass over the new head; one set back much must not make a
        // head that they refuse as coming from the future.
        head.issued = before.filter(|b| b.since(now) < CLOCK_SKEW).map_or(now, |b| b.max(now));
        head.expires = head.issued.plus(self.options.lifetime);
        head.audit = self.store.act_tip()?;
        head.keyset = trusted.keyset().number;
        self.may_sign(&trusted, &head.list, head.issued)?;
        let note = self.signer.sign_note(head.to_text()).encode();
        Ok((note.into(), Arc::new(head)))
    }

    fn trusted(&self) -> Result<Trusted, PublishError> {
        let keyset = self.keyset.read().unwrap_or_else(PoisonError::into_inner);
        keyset.clone().ok_or_else(|| {
            PublishError::Signing("there is no key set yet; make one with `bwld keys set new` and hand it to the daemon".into())
        })
    }

    /// A head that no follower accepts is worse than none: refused before anything is written.
    fn may_sign(&self, trusted: &Trusted, list: &ListId, at: Timestamp) -> Result<(), PublishError> {
        let keyset = trusted.keyset();
        let (name, number) = (self.signer.name(), keyset.number);
        let refuse = |what: String| Err(PublishError::Signing(what));
        let Some(line) = keyset.signing.iter().find(|line| line.name == name && line.key == self.signer.public()) else {
            return refuse(format!("key set {number} does not name the signing key \"{name}\"; make a key set that does"));
        };
        if !line.lists.allows(list) {
            return refuse(format!("key set {number} does not allow \"{name}\" to sign list \"{list}\"; make a key set that does"));
        }
        if at < line.from || at >= line.until {
            let (from, until) = (line.from, line.until);
            return refuse(format!("\"{name}\" may sign from {from} until {until}, now is {at}; make a key set with a later time"));
        }
        Ok(())
    }

    /// Signs the newest version of a list again, with its base as it is or another.
    pub(super) fn sign_again(&self, state: &mut State, kind: Signed, change: impl FnOnce(&mut PublishedList)) -> Result<(), PublishError> {
        let Some(published) = &state.published else { return Ok(()) };
        let mut next = PublishedList::clone(published);
        change(&mut next);
        let base = next.bases.last().expect("a published list has a base").clone();
        let head = Head { snapshot: snapshot_ref(&base), ..Head::clone(&next.head) };
        let before = head.issued;
        (next.note, next.head) = self.sign_head(head, Some(before))?;
        let list = next.meta.id.clone();
        // Crash before: the head before stays in force until it expires; the next heartbeat does this again.
        self.store.commit(&Record::Head { list: list.clone(), head: next.note.to_string(), base, at: self.clock.now() })?;
        // Crash after: the start reads the record and serves this head.
        let next = Arc::new(next);
        state.published = Some(next.clone());
        self.catalog.set(next);
        self.metrics.signed(&list, kind);
        (self.announce)(&list);
        Ok(())
    }

    /// Signs again every head that is due: of an older key set, or with more than `renew_after` seconds behind it.
    /// Returns when to call next; a failure concerns one list and does not keep the others from being signed.
    ///
    /// # Errors
    /// The first failure, when all lists have been seen to.
    pub fn heartbeat(&self) -> Result<Timestamp, PublishError> {
        let mut failed = None;
        let mut next = self.clock.now().plus(self.options.renew_after.max(1));
        for slot in self.slots() {
            let mut state = slot.lock();
            if state.due(self) {
                if let Err(e) = self.sign_again(&mut state, Signed::Heartbeat, |_| ()) {
                    tracing::error!(list = %slot.id, error = %e, "a head could not be signed again");
                    failed.get_or_insert(e);
                    continue;
                }
                tracing::debug!(list = %slot.id, "signed again");
            }
            if let Some(published) = &state.published {
                next = next.min(published.head.issued.plus(self.options.renew_after.max(1)));
            }
        }
        failed.map_or(Ok(next), Err)
    }

    /// Puts a signed key set in force, and signs every head again under it. The first one is believed because the
    /// operator hands it over; each further one must follow from the one before (docs/PROTOCOL.md section 9).
    ///
    /// # Errors
    /// [`PublishError::KeySet`] if it is not valid; [`PublishError::Signing`] if this publisher's signing key could not
    /// sign under it: then it is not put in force.
    pub fn activate_keyset(&self, note: &str, by: impl Into<By>) -> Result<u64, PublishError> {
        let at = self.clock.now();
        let number;
        {
            let mut keyset = self.keyset.write().unwrap_or_else(PoisonError::into_inner);
            let next = match &*keyset {
                Some(trusted) => trusted.advance(note.as_bytes())?,
                None => {
                    let parsed = Note::parse(note.as_bytes(), MAX_KEYSET)?;
                    Trusted::pin(note.as_bytes(), &crate::list::Digest::of(&parsed.text))?
                }
            };
            if *next.origin() != self.options.origin {
                let (ours, theirs) = (&self.options.origin, next.origin());
                return Err(PublishError::Signing(format!("the key set is of origin {theirs}, this publisher is {ours}")));
            }
            let lists: Vec<ListId> = self.slots().iter().map(|slot| slot.id.clone()).collect();
            for list in &lists {
                self.may_sign(&next, list, at)?;
            }
            number = next.keyset().number;
            // Crash before: the key set before stays in force; the operator hands the new one over again.
            let by = by.into();
            let digest = |trusted: &Trusted| Digest::of(trusted.note());
            let act = by.act(at, "keyset.activate", format!("keyset:{number}"));
            let act = Act { before: keyset.as_ref().map(digest), after: Some(digest(&next)), ..act };
            by.commit(&self.store, Record::KeySet { number, note: next.note().to_owned(), at }, act)?;
            // Crash after: the start puts it in force and signs what is signed under an older one.
            self.catalog.set_keyset(number, next.note().into());
            *keyset = Some(next);
        }
        self.heartbeat()?;
        Ok(number)
    }
}
