//! What an operator says of zones, as plain values: `cmd` reads them from the configuration.

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;
use zeroize::Zeroizing;

use crate::list::{Code, ListId, Origin};

/// Everything the DNS server is told.
#[derive(Clone, Debug)]
pub struct DnsOptions {
    /// UDP and TCP.
    pub listen: Vec<SocketAddr>,
    /// Transfers over TLS (RFC 9103).
    pub tls_listen: Vec<SocketAddr>,
    /// The publisher: its name is in every SOA, and default zones are `LIST.rpz.ORIGIN`.
    pub origin: Origin,
    /// Zones; none: each list as `LIST.rpz.ORIGIN`, to loopback.
    pub zones: Vec<ZoneOptions>,
    /// TSIG keys.
    pub keys: Vec<KeyOptions>,
    /// The catalog zone; its list and policy mean nothing.
    pub catalog: Option<ZoneOptions>,
    /// SOA refresh and retry, in seconds: how often secondaries ask that no notification reaches.
    pub refresh: u32,
    /// Bounds.
    pub limits: Limits,
}

/// One zone.
#[derive(Clone, Debug, Default)]
pub struct ZoneOptions {
    /// Its name, with or without the dot at the end.
    pub name: String,
    /// Lists whose entries are in it; all of one colour.
    pub lists: Vec<ListId>,
    /// Only entries of these categories; empty: all.
    pub categories: Vec<Code>,
    /// A word of `Policy::WORDS`.
    pub policy: Option<String>,
    /// For `walled-garden`.
    pub garden: Option<String>,
    /// Names of keys, of which a request must be signed with one; empty: need not be signed.
    pub keys: Vec<String>,
    /// Networks from which it may be asked for; empty: anywhere if there are keys, else loopback.
    pub allow: Vec<IpNet>,
    /// In how many zones its rules are offered: 2 to [`MOST_PARTS`](super::MOST_PARTS): as `0.NAME` and so on; 0 and 1: as one.
    pub parts: u32,
    /// Whom to notify, and with which key.
    pub notify: Vec<(SocketAddr, Option<String>)>,
}

impl ZoneOptions {
    /// Names of the keys that it takes or with which it notifies.
    pub fn named_keys(&self) -> impl Iterator<Item = &String> {
        self.keys.iter().chain(self.notify.iter().filter_map(|(_, key)| key.as_ref()))
    }
}

/// One TSIG key.
#[derive(Clone)]
pub struct KeyOptions {
    /// A host name.
    pub name: String,
    /// `hmac-sha1`, `hmac-sha256`, `hmac-sha384` or `hmac-sha512`.
    pub algorithm: String,
    /// The secret's octets, at least 16.
    pub secret: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for KeyOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyOptions").field("name", &self.name).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// Bounds of the server.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at one time.
    pub connections: usize,
    /// Connections at one time from one address.
    pub per_source: usize,
    /// A connection without a request is closed after this, and one whose request does not come on.
    pub idle: Duration,
    /// A peer that takes nothing of what is sent to it for this long is cut off.
    pub stall: Duration,
    /// Requests over one connection.
    pub requests: u32,
    /// Transfers at one time, a quarter of them for one source; further ones wait, each for at most `idle`.
    pub transfers: usize,
    /// While others wait for a turn, a transfer that moves too slowly for so long is ended.
    pub slow_after: Duration,
    /// Octets a second that are not too slow, times the number of transfers that its source has at one time.
    pub slow_rate: u64,
    /// Octets that the system takes for a connection before its peer has them. A third of them must go within `stall`.
    pub send_buffer: u32,
    /// Datagrams worked on at one time, a quarter of them for one source; further ones are dropped, their senders ask again.
    pub datagrams: usize,
    /// Changed names in one incremental transfer; beyond that the whole zone is sent.
    pub changes: usize,
    /// What a zone holds is counted again after a publication, at most once in this time.
    pub count_pause: Duration,
    /// A notification is sent again after this, then after twice that and so on.
    pub notify_first: Duration,
    /// Longest pause between two notifications.
    pub notify_pause: Duration,
    /// Notifications of one version to one secondary, at most.
    pub notify_tries: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 1_000,
            per_source: 32,
            idle: Duration::from_secs(30),
            stall: Duration::from_secs(30),
            requests: 10_000,
            transfers: 64,
            slow_after: Duration::from_secs(10),
            slow_rate: 32_768,
            send_buffer: 131_072,
            datagrams: 256,
            changes: 200_000,
            count_pause: Duration::from_secs(300),
            notify_first: Duration::from_secs(1),
            notify_pause: Duration::from_secs(60),
            notify_tries: 20,
        }
    }
}
