//! The vocabulary: targets, rules, entries, changes, serials, digests. Pure values in canonical form; no I/O, no clock.
//!
//! Guarantees: a value that exists is canonical; there is one encoding per value (docs/PROTOCOL.md sections 2 to 4).
//! It does not read foreign formats (that is `formats`) and knows nothing of files or signatures.

mod change;
mod cidr;
mod digest;
pub(crate) mod domain;
mod entry;
mod ids;
mod reference;
mod rule;
#[cfg(feature = "daemon")]
mod schema;
mod target;
mod time;
mod url;

pub use change::{Change, ChangeSet, ComposeError};
pub use cidr::canonical_cidr;
pub use digest::{Digest, DigestError};
pub use domain::canonical_domain;
pub(crate) use entry::rule_of;
pub use entry::{Action, Attributes, Entry};
pub(crate) use ids::quoted;
pub use ids::{Code, Colour, IdError, ListId, Origin, Serial};
pub use reference::{derived_reference, read_derived_reference};
pub use rule::{Kind, Rule};
pub use target::{EntryError, TargetError};
pub use time::{Date, TimeError, Timestamp};
pub use url::canonical_url;

/// Longest rule, in octets.
pub const MAX_RULE: usize = 2_048;
/// Longest entry line without its LF, in octets.
pub const MAX_LINE: usize = 4_096;
