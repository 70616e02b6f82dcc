//! Keys, key sets, signatures, and the one path on which anything is verified. The only room that sees ed25519-dalek.
//!
//! Guarantees: a [`VerifiedHead`] or a [`Trusted`] key set exists only if every check of docs/PROTOCOL.md section 10
//! that concerns it has passed. It reads no file and no clock.

mod error;
mod minisign;
mod signatures;
mod signer;
mod verify;

pub use error::TrustError;
pub use minisign::MinisignHash;
pub use signer::SecretKey;
pub use verify::{Accepted, CLOCK_SKEW, Freshness, MAX_LIFETIME, Trusted, VerifiedHead};
