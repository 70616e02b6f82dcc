//! The data folder: commits, recovery, faults, checkpoints, backup.

mod commits;
pub(crate) mod made;
