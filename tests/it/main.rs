//! The one integration binary.
mod config;
mod layers;
mod lists;
mod protocol;
mod publisher;
mod signed;
mod store;
mod trust;
mod vectors;
