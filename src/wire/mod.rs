//! Bytes: the text forms of snapshot, delta, head and key set, the signed note, the root digest, bounded compression.
//!
//! Guarantees: parse and print are inverse and there is one encoding per value; nothing larger than its limit is read
//! (docs/PROTOCOL.md sections 5 to 9). It verifies no signature (that is `trust`) and touches no file or socket.

mod audit;
mod compress;
mod delta;
mod error;
mod head;
mod keyset;
mod lines;
mod note;
mod root;
mod snapshot;

pub use audit::{Act, AuditChain, AuditLine, AuditTip, MAX_AUDIT_LINE};
pub use compress::{WINDOW_LOG, ZstdReader, ZstdWriter, compress, decompress};
pub use delta::{Delta, DeltaHeader};
pub use error::WireError;
pub use head::{Head, SnapshotRef};
pub use keyset::{KeySet, ListSelection, MAX_THRESHOLD, RootKey, SigningKeyLine, is_key_name};
pub use note::{MAX_SIGNATURES, Note, NoteSignature};
pub use root::{Root, Tree, TreeBuilder, bits_for, bucket_digest, bucket_of, keep_bits};
pub use snapshot::{SnapshotHeader, SnapshotReader, SnapshotWriter};

/// Largest head note, in octets.
pub const MAX_HEAD: usize = 4_096;
/// Largest key set note, in octets.
pub const MAX_KEYSET: usize = 65_536;
/// Largest bucket as lines, in octets.
pub const MAX_BUCKET: usize = 4 << 20;
/// Largest k (docs/PROTOCOL.md section 5).
pub const MAX_BITS: u8 = 20;
