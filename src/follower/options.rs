//! What a follower is told.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::formats::write::{ExportFormat, ExportOptions};
use crate::list::{Colour, Digest, ListId};

use super::ClientTls;
use super::plan::Timings;

/// On what trust rests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trust {
    /// This key set's fingerprint, and the chain from there on.
    Pinned(Digest),
    /// The first key set that an address shows. From then on it is pinned as if it had been named.
    FirstUse,
}

/// One list to follow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListChoice {
    /// Its name.
    pub id: ListId,
    /// The colour it must have; `None`: what the first head says.
    pub colour: Option<Colour>,
    /// Where to write it as a sorted text file; `None`: nowhere.
    pub output: Option<PathBuf>,
}

/// A file for a filter, in the format that it reads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutputChoice {
    /// The format.
    pub format: ExportFormat,
    /// What is selected, and how it is written.
    pub export: ExportOptions,
    /// The lists it holds: followed ones, at least one, of one colour (of both where the format says itself which rules allow).
    pub lists: Vec<ListId>,
    /// The file.
    pub file: PathBuf,
    /// How the filter takes it in; `None`: it sees by itself that the file has changed, or somebody else tells it.
    pub deliver: Option<Deliver>,
}

/// How a filter takes in a file that was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Deliver {
    /// Program and arguments to run; no shell is involved.
    Command(Vec<String>),
    /// The content of the file becomes that of a map of a running HAProxy, in one step.
    HaproxySocket {
        /// Its runtime socket, of level admin.
        socket: PathBuf,
        /// The map as its configuration names it.
        map: String,
        /// The file.
        file: PathBuf,
    },
    /// The file is a script of nftables: `nft -f FILE` runs it as one transaction.
    Nft {
        /// The file.
        file: PathBuf,
    },
}

/// What is waited for and taken in at most. Sizes are octets as they come over the wire unless said otherwise.
#[derive(Clone, Debug)]
pub struct Limits {
    /// To connect.
    pub connect: Duration,
    /// From a request to the beginning of its answer (a long poll's waiting comes on top).
    pub answer: Duration,
    /// A body must bring `least_bytes` in every such span, or the address is left.
    pub rate_span: Duration,
    /// See `rate_span`.
    pub least_bytes: u64,
    /// For a whole small answer: head, key set, delta, bucket.
    pub small: Duration,
    /// For a whole snapshot.
    pub snapshot: Duration,
    /// An event stream over which nothing came for so long is dead.
    pub silence: Duration,
    /// How long a long poll may wait; the protocol's most is 60 s.
    pub long_poll: Duration,
    /// A reload command, or handing a change over to a running filter, is ended after this.
    pub reload: Duration,
    /// The largest snapshot that is taken at all, uncompressed, whatever a head says.
    pub snapshot_size: u64,
    /// For the whole of [`super::Follower::pull`].
    pub pull: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(20),
            rate_span: Duration::from_secs(30),
            least_bytes: 30 << 10,
            small: Duration::from_secs(120),
            snapshot: Duration::from_secs(2 * 3_600),
            silence: Duration::from_secs(65),
            long_poll: Duration::from_secs(50),
            reload: Duration::from_secs(60),
            snapshot_size: 8 << 30,
            pull: Duration::from_secs(3 * 3_600),
        }
    }
}

/// What a follower is told.
#[derive(Clone, Debug)]
pub struct FollowerOptions {
    /// Addresses of one origin, tried in this order; `http://HOST:PORT/` or `https://…`, with a path if the publisher lies below one.
    pub urls: Vec<Url>,
    /// On what trust rests.
    pub trust: Trust,
    /// The lists, at least one, at most 64.
    pub lists: Vec<ListChoice>,
    /// Files for filters.
    pub outputs: Vec<OutputChoice>,
    /// Program and arguments to run after a list's text file changed; no shell is involved.
    pub reload: Option<Vec<String>>,
    /// Whether to use the event stream; `false`: plain polling.
    pub push: bool,
    /// Whether to keep a compiled index of each list for look-ups (`index/` in the folder, and [`super::Follower::matcher`]).
    pub index: bool,
    /// TLS towards the addresses.
    pub tls: ClientTls,
    /// Limits.
    pub limits: Limits,
    /// How often things happen.
    pub timings: Timings,
}

impl FollowerOptions {
    /// Options with defaults for everything that has one.
    pub fn new(urls: Vec<Url>, trust: Trust, lists: Vec<ListChoice>) -> FollowerOptions {
        FollowerOptions {
            urls,
            trust,
            lists,
            outputs: Vec::new(),
            reload: None,
            push: true,
            index: true,
            tls: ClientTls::default(),
            limits: Limits::default(),
            timings: Timings::default(),
        }
    }
}
