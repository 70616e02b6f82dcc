//! The one integration binary.
mod canonical;
mod config;
mod docs;
mod formats;
mod fuzz_standin;
mod layers;
mod lists;
mod protocol;
mod publisher;
mod readme;
mod shared_data;
mod signed;
mod store;
mod trust;
mod vectors;
