//! What must survive a crash: the journal (the truth), sled (its index; only `index.rs` sees it), immutable artefacts
//! named by digest, and a list's content on disk.
//!
//! Guarantees: what [`Store::commit`] acknowledged is there after SIGKILL and after power loss; what it did not
//! acknowledge is either whole or absent. It knows nothing of HTTP or of who may do what.

mod acts;
mod artefacts;
mod backup;
mod by;
mod catalog;
mod check;
mod clock;
mod commit;
mod content;
mod disk;
mod error;
mod expected;
pub mod failing;
pub mod faults;
mod frame;
mod index;
mod journal;
mod lock;
mod meta;
mod open;
mod records;
mod secrets;
mod segment;
mod segments;
mod sort;
mod state;
mod watched;

pub use acts::ACTS_PER_SEAL;
pub use artefacts::{ArtefactKind, ArtefactName, ArtefactWriter, Artefacts, SweepReport};
pub use backup::{BackupReport, RestoreOptions, RestoreReport, restore};
pub use by::{By, digest_of};
pub use catalog::{Catalog, DeltaRef, PublishedList};
pub use check::{Checked, counted};
pub use clock::{Clock, FakeClock, SystemClock};
pub use commit::{IndexKind, Maintenance, Store, StoreOptions};
pub use content::{ApplyError, Base, BaseWriter, Built, Content, Needle, OwnSnapshot, SortedLines, VersionLines};
pub use disk::{Disk, RealDisk, create_folder, read_bounded, sweep_temporary, write_file_atomic};
pub use error::{Class, StoreError};
pub use expected::Expected;
pub use frame::{FrameError, MAX_FRAME, RawFrame, decode_frame, encode_frame};
pub use journal::{FrameId, Journal, JournalOptions, JournalRecovery};
pub use lock::FolderLock;
pub use meta::ListMeta;
pub use open::{IndexRecovery, Progress, Recovery, Stage};
pub use records::{BaseRef, DeltaRecord, KEPT_CHANGES, KeptChanges, ListState, Newest, Owner, Record, SealedActs, VersionRecord};
pub use secrets::{create_secret, read_secret};
pub use segment::{Frame, Torn};
pub use sort::{Sorted, Sorter};
pub use watched::Watched;
