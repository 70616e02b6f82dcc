//! How many cases go into one frame of the journal.
//!
//! Guarantees: whatever texts the cases have, those that are taken by weight leave half of the frame for all else that stands in it.

use std::io::{self, Write};

use serde::Serialize;

use crate::publisher::{PublishError, Refusal};
use crate::store::{MAX_FRAME, StoreError};

use super::DeskError;
use super::case::Case;

/// Octets of cases in the frame of a version. The other half is for the version, for what undoing it takes, and for notices.
pub(super) const ROOM: usize = MAX_FRAME / 2;
/// Octets of an act and of a record but for their texts: names, times, digests.
const AROUND: usize = 600;

/// Octets that a case takes in a frame, with its act for this reason.
pub(super) fn weight(case: &Case, reason: &str) -> usize {
    octets(case) + octets(&case.words.rule) + octets(&reason) + AROUND
}

/// Octets of a value in JSON.
fn octets(value: &impl Serialize) -> usize {
    struct Counted(usize);
    impl Write for Counted {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut counted = Counted(0);
    serde_json::to_writer(&mut counted, value).expect("a case has only text keys and values that JSON can hold");
    counted.0
}

/// A version that does not fit into a frame is refused with what to do about it.
pub(super) fn in_parts(error: PublishError) -> DeskError {
    match error {
        PublishError::Store(StoreError::TooLarge { limit, .. }) if limit == MAX_FRAME as u64 => {
            let reason = "what is written of these changes is too long for one publication".into();
            let hint = "publish them in parts".into();
            DeskError::Refused(vec![Refusal { place: "changes".into(), text: String::new(), reason, hint }])
        }
        other => other.into(),
    }
}
