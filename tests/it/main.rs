//! The one integration binary.
mod config;
mod layers;
mod lists;
mod signed;
mod trust;
mod store;
