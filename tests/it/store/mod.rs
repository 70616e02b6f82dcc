//! The data folder: commits, recovery, faults, checkpoints, backup.

mod acts;
mod backup;
mod commits;
mod faults;
mod index;
mod journal;
pub(crate) mod made;
mod model;
mod power_loss;
