//! What the log holds behind a version, for who has that version and wants to catch up.

use crate::list::{Digest, Serial};
use crate::store::StoreError;
use crate::wire::Head;

use super::{FollowError, Frame, ListState, head_of};

/// A delta as the log holds it.
#[derive(Debug)]
pub struct LoggedDelta {
    /// The head it leads to.
    pub head: Head,
    /// The delta, compressed.
    pub zstd: Vec<u8>,
}

impl ListState {
    /// The compressed deltas in the log that lead on from this version to the content's, oldest first;
    /// `None` if the log does not come by this version.
    ///
    /// # Errors
    /// [`FollowError`] if the log cannot be read.
    pub fn deltas_since(&self, serial: Serial, root: Digest) -> Result<Option<Vec<LoggedDelta>>, FollowError> {
        let Some(current) = &self.current else { return Ok(None) };
        let mut found = (current.meta.serial, current.meta.root().digest) == (serial, root);
        let mut deltas = Vec::new();
        current.journal.read(&mut |frame| {
            let bad = |reason| StoreError::BadFrame { frame: frame.id, reason };
            if let (Frame::Delta { note }, delta) = Frame::decode(frame.content).map_err(bad)? {
                let head = head_of(&note).map_err(bad)?;
                if found {
                    deltas.push(LoggedDelta { head, zstd: delta.to_vec() });
                } else {
                    found = (head.serial, head.root.digest) == (serial, root);
                }
            }
            Ok(())
        })?;
        Ok(found.then_some(deltas))
    }
}
