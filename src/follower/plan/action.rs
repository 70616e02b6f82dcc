//! What a follower is to do, as the plan says.

/// What to do. Every action but [`Action::ClosePush`], [`Action::SayStale`] and [`Action::SayFresh`] is answered by exactly one event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Open the event stream. Answered by `PushOpened` or `PushLost`, and at its end by `PushLost`.
    OpenPush {
        /// At which address.
        mirror: usize,
    },
    /// Close it; no `PushLost` follows.
    ClosePush,
    /// Ask for the newest head.
    Ask {
        /// Of which list.
        list: usize,
        /// Which address.
        mirror: usize,
        /// As a long poll.
        wait: bool,
    },
    /// Fetch key sets newer than the newest known.
    FetchKeys {
        /// From which address.
        mirror: usize,
    },
    /// Apply the delta that came with the newest verified head.
    ApplyInline {
        /// Of which list.
        list: usize,
        /// To this serial.
        to: u64,
    },
    /// Fetch a delta and apply it.
    FetchDelta {
        /// Of which list.
        list: usize,
        /// From which address.
        mirror: usize,
        /// From this serial.
        from: u64,
        /// To this one.
        to: u64,
        /// Octets it may cost on the wire; more is [`TooBig`](super::JobEnd::TooBig).
        at_most: u64,
    },
    /// Ask how large the compressed snapshot is.
    MeasureSnapshot {
        /// Of which list.
        list: usize,
        /// Which address.
        mirror: usize,
        /// The version of the head that names it.
        to: u64,
    },
    /// Fetch the snapshot (and the delta from there) and take it.
    FetchSnapshot {
        /// Of which list.
        list: usize,
        /// From which address.
        mirror: usize,
        /// To this serial.
        to: u64,
    },
    /// Fetch the bucket digests and the buckets that differ.
    Repair {
        /// Of which list.
        list: usize,
        /// From which address.
        mirror: usize,
        /// To this serial.
        to: u64,
    },
    /// Fold the log into a new base.
    Fold {
        /// Of which list.
        list: usize,
    },
    /// Write an output file.
    WriteOutput {
        /// Which output.
        output: usize,
    },
    /// Have a filter take in what was written: run its reload command, or hand it over.
    Reload {
        /// Which one.
        reload: usize,
    },
    /// Say that the list is stale from now on.
    SayStale {
        /// Which list.
        list: usize,
    },
    /// Say that it is no longer stale.
    SayFresh {
        /// Which list.
        list: usize,
    },
}
