//! The one integration binary.
mod config;
mod docs;
mod layers;
mod lists;
mod protocol;
mod publisher;
mod readme;
mod signed;
mod store;
mod trust;
mod vectors;
