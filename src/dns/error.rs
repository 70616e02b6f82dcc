//! What can be wrong with zones and with serving them.

use std::io;

/// Why zones cannot be set up or a transfer cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// A zone's settings contradict each other or name what is not there.
    #[error("dns.zone \"{zone}\": {reason}")]
    Zone {
        /// As configured.
        zone: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A key cannot be used.
    #[error("dns.key \"{key}\": {reason}")]
    Key {
        /// As configured.
        key: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A port cannot be had.
    #[error("cannot listen on {address} for dns: {source}; choose another address in dns.listen")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// The system's word.
        source: io::Error,
    },
    /// A list's content could not be read; the transfer is broken off, the secondary keeps what it has.
    #[error("reading the list for a transfer failed: {0}; run bwld check on the publisher")]
    Read(#[from] io::Error),
    /// The same, from the store.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    /// Whoever asked is gone.
    #[error("the connection was closed before the transfer was complete")]
    Gone,
    /// A message could not be assembled: a record alone exceeds a message, which no zone that was set up has.
    #[error("a message could not be assembled: {0}")]
    Message(String),
}
