//! bwld distributes black and white lists of domains, URLs and addresses from the bodies that decide about them to
//! the filters that enforce them: signed, as small deltas, within moments.
//!
//! # The journey of one change
//!
//! An operator stages changes; *publish* takes them through guards to the next serial, writes delta and (when due)
//! snapshot as files, signs the head, and appends one journal frame: the commit point. Only then are the index
//! updated and subscribers told. On the other side a follower verifies the head, applies the delta, compares the
//! root digest with the signed one, and swaps its files.
//!
//! # Layers
//!
//! A module imports only modules with a smaller number; `tests/it/layers.rs` holds the table.
//!
//! | layer | modules |
//! |---|---|
//! | 0 | [`list`] |
//! | 1 | [`wire`], [`formats`], [`matcher`] |
//! | 2 | [`trust`], [`indexes`] |
//! | 3 | `store` |
//! | 4 | `publisher`, `feed`, `follower`, `people` |
//! | 5 | `desk` |
//! | 6 | `http`, `dns` |
//! | 7 | `cmd` |
//!
//! Without the feature `daemon` only layers 0 to 2 are built, and the dependency tree has neither tokio nor hyper
//! nor sled in it.

pub mod formats;
pub mod indexes;
pub mod list;
pub mod matcher;
pub mod trust;
pub mod wire;

#[cfg(feature = "daemon")]
pub mod cmd;
#[cfg(feature = "daemon")]
pub mod desk;
#[cfg(feature = "daemon")]
pub mod dns;
#[cfg(feature = "daemon")]
pub mod feed;
#[cfg(feature = "daemon")]
pub mod follower;
#[cfg(feature = "daemon")]
pub mod http;
#[cfg(feature = "daemon")]
pub mod people;
#[cfg(feature = "daemon")]
pub mod publisher;
#[cfg(feature = "daemon")]
pub mod store;
