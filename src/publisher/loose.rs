//! Artefacts that were written and that no record names yet.
//!
//! Guarantees: when this is dropped, the next sweep removes those that no record names by then, so that nothing is left of what was
//! refused; unless it is unknown whether a record names them, for then the next start decides.

use std::cell::RefCell;

use crate::list::Digest;
use crate::store::{ArtefactKind, ArtefactName, Artefacts};

use super::{Class, PublishError};

/// What somebody has written and is about to name.
pub(super) struct Loose<'a> {
    artefacts: &'a Artefacts,
    names: RefCell<Vec<ArtefactName>>,
}

impl<'a> Loose<'a> {
    pub(super) fn new(artefacts: &'a Artefacts) -> Loose<'a> {
        Loose { artefacts, names: RefCell::default() }
    }

    /// This was written: once for each time that it was.
    pub(super) fn add(&self, kind: ArtefactKind, digest: Digest) {
        self.names.borrow_mut().push((kind, digest));
    }

    /// Hands on what came of the commit that names them, or did not.
    pub(super) fn committed<T, E: Into<PublishError>>(&self, done: Result<T, E>) -> Result<T, PublishError> {
        let done = done.map_err(Into::into);
        if done.as_ref().is_err_and(|error| error.class() == Class::Fatal) {
            // The record may be in the journal.
            self.names.borrow_mut().clear();
        }
        done
    }
}

impl Drop for Loose<'_> {
    fn drop(&mut self) {
        // Of those that a record names this changes nothing.
        self.names.get_mut().iter().for_each(|(kind, digest)| self.artefacts.let_go(*kind, digest));
    }
}
