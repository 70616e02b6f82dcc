//! Deltas (docs/PROTOCOL.md section 7).

use crate::list::{ChangeSet, Colour, ListId, Origin, Serial};

use super::WireError;

/// What a delta leads from and to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeltaHeader {
    /// The publisher.
    pub origin: Origin,
    /// The list.
    pub list: ListId,
    /// Its colour.
    pub colour: Colour,
    /// The serial it must be applied to.
    pub from: Serial,
    /// The serial it leads to; later than `from`.
    pub to: Serial,
}

/// A delta.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delta {
    /// From where to where.
    pub header: DeltaHeader,
    /// What changes.
    pub changes: ChangeSet,
}

impl Delta {
    /// The uncompressed bytes.
    pub fn encode(&self) -> Vec<u8> {
        todo!()
    }

    /// Reads uncompressed bytes.
    ///
    /// # Errors
    /// [`WireError::Line`] names the line.
    pub fn parse(bytes: &[u8]) -> Result<Delta, WireError> {
        let _ = bytes;
        todo!()
    }
}
