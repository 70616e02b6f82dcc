//! Lists as response policy zones: resolvers subscribe by zone transfer, with IXFR, NOTIFY and TSIG.
//!
//! Guarantees: what is served is a version that was published, whole, or the exact difference between two of them; never
//! wider than the rules; a name never twice. A zone costs no memory of its own: transfers are read from the lists'
//! snapshots and deltas as they are sent. A serial is never given twice with different content, over restarts and changes of
//! settings. What is asked from outside is bounded in size, number and time.
//!
//! It writes no DNS wire form by hand: messages, names, compression, framing and TSIG are the `domain` crate's. The
//! sockets' loops are here, since the crate's servers know no limit per source and no pause when a peer does not read,
//! and its transfer service wants a tree of records in memory. It answers for the zones' tops only and resolves nothing.

mod catalog;
mod content;
mod count;
mod diff;
mod error;
mod keeper;
mod kept;
mod keys;
mod local;
mod message;
mod metrics;
mod notify;
mod numbers;
mod options;
mod owner;
mod part;
mod policy;
mod room;
mod server;
mod service;
mod shared;
mod transfer;
mod turns;
mod zone;
mod zones;

pub use content::{Owner, Owners, Said, owners, walk};
pub use diff::{Diff, diff};
pub use error::DnsError;
pub use keys::no_key;
pub use metrics::DnsMetrics;
pub use numbers::Position;
pub use options::{DnsOptions, KeyOptions, Limits, ZoneOptions};
pub use owner::{Counts, LeftOut};
pub use part::{MOST_PARTS, Part, part_of};
pub use policy::Policy;
pub use server::{Bound, TlsAccept, bind};
pub use service::{Messages, Reply, Service, Transport};
pub use zone::{Newest, Stand, Zone, soa_serial};
