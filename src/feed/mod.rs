//! Serving subscribers: from a position to the newest version, by events or by deltas over any kept span.
//!
//! Guarantees: a wake-up is never lost (subscribe first, then compare); a subscriber costs a position and a receiver,
//! never a queue, so a slow one is given the newest version instead of all that it missed; an event is built once a
//! version and shared. Only what the [`Catalog`](crate::store::Catalog) holds is served, and that holds only what is
//! durable. It knows nothing of HTTP, verifies nothing, and remembers of a subscriber nothing that outlives its stream.

mod cache;
mod deltas;
mod event;
mod hub;
mod jitter;
mod metrics;
mod position;
mod subscription;

pub use deltas::{Deltas, DeltasOptions, Span, SpanError};
pub use event::{MAX_INLINE, comment};
pub use hub::{Changes, Hub, HubOptions, Slot};
pub use jitter::jittered;
pub use metrics::FeedMetrics;
pub use position::{MAX_LISTS, Position, PositionError};
pub use subscription::Subscription;
