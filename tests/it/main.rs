//! The one integration binary.
mod config;
mod layers;
mod lists;
mod protocol;
mod signed;
mod store;
mod trust;
mod vectors;
