//! What happens to a follower, as the plan is told.

use std::time::Duration;

/// How a head arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Via {
    /// By the event stream.
    Push,
    /// As an answer to [`Action::Ask`](super::Action::Ask).
    Answer {
        /// How long the answer may be taken as current, if it said so.
        max_age: Option<Duration>,
    },
}

/// What the plan must know of a head that passed every check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeadFacts {
    /// Its serial.
    pub serial: u64,
    /// Uncompressed size of the snapshot it names.
    pub snapshot_size: u64,
    /// Until it is stale; zero: it is.
    pub fresh_for: Duration,
    /// A delta came with it, from this serial.
    pub inline_from: Option<u64>,
    /// What was accepted before has lost its claim with the key that signed it (docs/PROTOCOL.md section 10, check 5), and
    /// this head does not follow it: the content that is there may be a thief's, and its serial counts for nothing.
    pub restart: bool,
}

/// Why a head was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// It names a key set that must be fetched first.
    NeedsKeys,
    /// Anything else: the address serves what is wrong, older, or of somebody else.
    Wrong,
}

/// How a job for a list's content ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JobEnd {
    /// The content is now that of `serial`, verified and durable.
    Applied {
        /// The version.
        serial: u64,
        /// The log has outgrown the base.
        fold: bool,
    },
    /// The delta would cost more than was allowed; its size if known.
    TooBig(Option<u64>),
    /// Size of the compressed snapshot, if the address said.
    SnapshotSize(Option<u64>),
    /// The address does not keep it (any longer).
    Gone,
    /// What came was not what the head says.
    Wrong,
    /// The address could not be reached, or was too slow.
    Transport {
        /// It asked to be left alone this long.
        wait: Option<Duration>,
    },
    /// This machine could not: disk full, file unreadable. Another address would not help.
    Local,
    /// The files of this list turned out to be damaged.
    Damaged,
}

/// How an output was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Written {
    /// It was what it is to be: nothing was written.
    Unchanged,
    /// Replaced.
    Changed,
    /// Not possible now.
    Failed,
    /// Not possible, because a list's own files are damaged and must be repaired first.
    Damaged {
        /// Which list's.
        list: usize,
    },
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// The moment [`Plan::wake`](super::Plan::wake) named has come (or any other).
    Timer,
    /// The stream was accepted.
    PushOpened,
    /// Something came over the stream, be it a comment.
    PushHeard,
    /// The stream could not be opened, or ended.
    PushLost {
        /// The publisher said when to come back.
        wait: Option<Duration>,
    },
    /// A head was verified.
    Head {
        /// Of which list.
        list: usize,
        /// From which address.
        mirror: usize,
        /// How it came.
        via: Via,
        /// What it says.
        facts: HeadFacts,
    },
    /// A head was refused.
    HeadRefused {
        /// Of which list.
        list: usize,
        /// From which address.
        mirror: usize,
        /// Whether it came by the stream.
        push: bool,
        /// Why.
        why: Refused,
    },
    /// The answer to [`Action::Ask`](super::Action::Ask): nothing new.
    Same {
        /// Of which list.
        list: usize,
        /// How long the answer may be taken as current.
        max_age: Option<Duration>,
    },
    /// [`Action::Ask`](super::Action::Ask) failed.
    AskFailed {
        /// Of which list.
        list: usize,
        /// From which address.
        mirror: usize,
        /// It asked to be left alone this long.
        wait: Option<Duration>,
    },
    /// [`Action::FetchKeys`](super::Action::FetchKeys) ended: `Some(true)` there is a newer key set in force, `Some(false)` there is none, `None` failed.
    Keys(Option<bool>),
    /// A job ended.
    Job {
        /// Of which list.
        list: usize,
        /// How.
        end: JobEnd,
    },
    /// [`Action::Fold`](super::Action::Fold) ended.
    Folded {
        /// Of which list.
        list: usize,
        /// Whether it worked.
        ok: bool,
    },
    /// [`Action::WriteOutput`](super::Action::WriteOutput) ended.
    Written {
        /// Which output.
        output: usize,
        /// How.
        how: Written,
        /// How long it took.
        took: Duration,
    },
    /// [`Action::Reload`](super::Action::Reload) ended, well or not.
    Reloaded {
        /// Which one.
        reload: usize,
        /// How long it took.
        took: Duration,
        /// It failed, and is to be tried again after a while even if nothing changes.
        again: bool,
    },
}
