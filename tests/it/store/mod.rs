//! The data folder: commits, recovery, faults, checkpoints, backup.

mod commits;
mod faults;
pub(crate) mod made;
