//! The journal: an append-only, fsynced, hash-chained sequence of frames in segments. The truth.
//! Generic over what a frame holds, so that the follower's per-list log is the same code.

/// Place of a frame: its number from 1, which never repeats.
pub type FrameId = u64;

/// An open journal.
#[derive(Debug)]
pub struct Journal {}
