//! Compiled lists in a folder: written by the follower, opened by whoever asks.
//!
//! ```text
//! FOLDER/index/seed.bin            16 random octets that all indexes of the folder are built with
//! FOLDER/index/LIST/current.json   what the list is made of now
//! FOLDER/index/LIST/*.idx          its base and overlays, never changed once they are there
//! ```
//!
//! [`IndexFolder`] reads, [`IndexWriter`] writes. Any number of processes may read while one writes; who may write is the
//! caller's business (the follower holds its folder's lock).
//!
//! Guarantees: a reader sees a list as it was or as it is, never between; a list that is wanted and whose content never
//! arrived, or whose files are damaged, is there without content, so that look-ups say `no-data`; one list's damage leaves the
//! others alone; everything read is bounded, and is what `current.json` names or an error. It verifies no signature: what is written
//! here was verified by the writer. It holds no list of its own and asks no clock what is stale.
//!
//! ```no_run
//! use bwld::indexes::IndexFolder;
//! use bwld::list::Timestamp;
//! use bwld::matcher::{Matcher, Verdict};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut folder = IndexFolder::open("/var/lib/bwld".as_ref())?;
//! let matcher = Matcher::new(folder.load()?);
//! // Now and then, in one thread; look-ups in the others go on.
//! folder.refresh(&matcher)?;
//! for (list, problem) in folder.problems() {
//!     eprintln!("{list}: {problem}");
//! }
//! let now = Timestamp::from_unix(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs());
//! if let Verdict::Block(by) = matcher.load().ask("www.example.com", now)? {
//!     println!("{}", by.rule()?);
//! }
//! # Ok(())
//! # }
//! ```

mod current;
mod error;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use error::IndexesError;
pub use read::IndexFolder;
pub use write::{IndexWriter, ListFiles};

use std::path::{Path, PathBuf};

use crate::list::Origin;

/// The origin of a list of which it is not known whose it is: nobody's (RFC 2606).
pub(crate) fn nobody() -> Origin {
    "unknown.invalid".parse().expect("a lower-case host name")
}

/// The folder of indexes below a follower's folder.
pub(crate) fn folder_in(followed: &Path) -> PathBuf {
    followed.join("index")
}
