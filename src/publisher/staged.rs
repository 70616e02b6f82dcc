//! What is staged: shown with its tag, and thrown away.

use crate::list::{Digest, ListId};
use crate::store::{By, digest_of};

use super::state::State;
use super::{PublishError, Publisher, StagedView};

/// The tag of what is staged: of the changes, and of what is said of them.
fn tag_of(state: &State, view: &StagedView) -> Digest {
    let StagedView { added, removed, replaced, unchanged, lines: _, refused, refused_total, guards, notices } = view;
    let changes = state.staged.as_ref().map(|staged| staged.digest);
    digest_of(&(changes, added, removed, replaced, unchanged, refused, refused_total, guards, notices))
}

impl Publisher {
    /// What is staged, with at most `lines` change lines.
    ///
    /// # Errors
    /// If there is no such list or what is staged cannot be read.
    pub fn staged(&self, id: &ListId, lines: usize) -> Result<StagedView, PublishError> {
        Ok(self.staged_tagged(id, lines)?.0)
    }

    /// The same with its tag, in which the number of lines has no part.
    ///
    /// # Errors
    /// If there is no such list or what is staged cannot be read.
    pub fn staged_tagged(&self, id: &ListId, lines: usize) -> Result<(StagedView, Digest), PublishError> {
        let slot = self.slot(id)?;
        let state = slot.lock();
        let view = self.view_staged(&state, lines)?;
        let tag = tag_of(&state, &view);
        Ok((view, tag))
    }

    /// The digest of what is staged; none: nothing is.
    ///
    /// # Errors
    /// [`PublishError::NoList`].
    pub fn staged_digest(&self, id: &ListId) -> Result<Option<Digest>, PublishError> {
        Ok(self.slot(id)?.lock().staged.as_ref().map(|staged| staged.digest))
    }

    /// The tag of what is staged.
    pub(super) fn staged_tag(&self, state: &State) -> Result<Option<Digest>, PublishError> {
        Ok(Some(tag_of(state, &self.view_staged(state, 0)?)))
    }

    /// What [`Publisher::discard`] would forget, with at most `lines` change lines.
    ///
    /// # Errors
    /// The same.
    pub fn would_discard(&self, id: &ListId, lines: usize, by: &By) -> Result<StagedView, PublishError> {
        let slot = self.slot(id)?;
        let state = slot.lock();
        by.expects(|| self.staged_tag(&state))?;
        self.view_staged(&state, lines)
    }

    /// Forgets what is staged.
    ///
    /// # Errors
    /// If there is no such list, or of the store.
    pub fn discard(&self, id: &ListId, by: impl Into<By>) -> Result<StagedView, PublishError> {
        let (slot, by) = (self.slot(id)?, by.into());
        let mut state = slot.lock();
        by.expects(|| self.staged_tag(&state))?;
        let view = self.view_staged(&state, 0)?;
        if state.staged.is_some() {
            self.commit_staged(&mut state, None, "list.discard", &by)?;
        }
        Ok(view)
    }
}
