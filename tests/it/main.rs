//! The one integration binary.
mod config;
mod layers;
mod lists;
mod publisher;
mod signed;
mod store;
mod trust;
