//! What must survive a crash: the journal (the truth), sled (its index; only `index.rs` sees it), immutable artefacts
//! named by digest, and a list's content on disk.
//!
//! Guarantees: what [`Store::commit`] acknowledged is there after SIGKILL and after power loss; what it did not
//! acknowledge is either whole or absent. It knows nothing of HTTP or of who may do what.

mod artefacts;
mod catalog;
mod clock;
mod content;
mod disk;
mod error;
mod index;
mod journal;
mod meta;
mod records;
mod sort;

pub use artefacts::{ArtefactWriter, Artefacts};
pub use catalog::{Catalog, DeltaRef, PublishedList};
pub use clock::{Clock, FakeClock, SystemClock};
pub use content::{ApplyError, Base, BaseWriter, Built, Content, OwnSnapshot, SortedLines};
pub use disk::{Disk, RealDisk};
pub use error::StoreError;
pub use journal::{FrameId, Journal};
pub use meta::ListMeta;
pub use records::{BaseRef, DeltaRecord, Record, VersionRecord};
pub use sort::{Sorted, Sorter};
