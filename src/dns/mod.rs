//! Lists as response policy zones: resolvers subscribe by zone transfer, with IXFR, NOTIFY and TSIG.
//!
//! Guarantees: what is served is a version that was published, whole, or the exact difference between two of them; never
//! wider than the rules; a name never twice. A zone costs no memory of its own: transfers are read from the lists'
//! snapshots and deltas as they are sent. What is asked from outside is bounded in size, number and time.
//!
//! It writes no DNS wire form by hand: messages, names, compression, framing and TSIG are the `domain` crate's. The
//! sockets' loops are here, since the crate's servers know no limit per source and no pause when a peer does not read,
//! and its transfer service wants a tree of records in memory. It answers for the zones' tops only and resolves nothing.

mod catalog;
mod content;
mod diff;
mod error;
mod keys;
mod message;
mod metrics;
mod notify;
mod options;
mod owner;
mod policy;
mod server;
mod service;
mod transfer;
mod zone;
mod zones;

pub use content::{Owner, Owners, Said, owners, walk};
pub use diff::{Diff, diff};
pub use error::DnsError;
pub use metrics::DnsMetrics;
pub use options::{DnsOptions, KeyOptions, Limits, ZoneOptions};
pub use owner::{Counts, LeftOut};
pub use policy::Policy;
pub use server::{Bound, TlsAccept, bind};
pub use service::{Reply, Service, Transport};
pub use zone::{Position, Stand, Zone, soa_serial};
