//! The subscriber's side: hears of heads, verifies them, brings its content to the version they name, writes it out.
//!
//! ```text
//! plan  decides what to do next (no I/O)          client  asks addresses, everything bounded
//! keyring  key sets and the pinned fingerprint     state   a list on disk: base + log
//! jobs  delta, repair, snapshot                    output  files for filters, reload commands, runtime sockets
//! index  the compiled list for look-ups
//! ```
//!
//! Guarantees: nothing is applied, kept or written out that `trust` has not verified and whose root is not the signed one;
//! it never goes back in serial; it filters on with what it has whatever happens, and says when that is stale; a crash at
//! any moment leaves a folder that the next start continues from. It never imports the publisher.

mod client;
mod engine;
mod error;
mod events;
mod fetch;
mod index;
mod jobs;
mod keyring;
mod options;
mod output;
mod plan;
mod run;
mod shared;
mod sse;
mod state;
mod status;
mod tls;
mod verify;

pub use error::FollowError;
pub use events::decode_head_event;
pub use options::{Deliver, FollowerOptions, Limits, ListChoice, OutputChoice, Trust};
pub use output::HeldVersion;
pub use plan::{Mode, Timings};
pub use run::{Follower, PullReport, PulledList};
pub use sse::{MAX_EVENT, SseError, SseEvent, SseFrame, SseParser};
pub use state::{BaseMeta, Frame as LogFrame, delta_limit};
pub use status::{Health, LastError, ListStatus, OutputStatus, Status, status};
pub use tls::ClientTls;
pub use verify::{FolderReport, VerifiedList, verify_folder};
