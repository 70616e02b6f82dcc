//! The one integration binary.
mod layers;
