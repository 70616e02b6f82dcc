//! The canonical form of address ranges (docs/PROTOCOL.md section 3.3).

use super::TargetError;

/// Brings an address or a range to canonical `ADDRESS/LENGTH`.
///
/// # Errors
/// [`TargetError`] says why it cannot be a target; host bits that are set are an error, not cut off.
pub fn canonical_cidr(text: &str) -> Result<String, TargetError> {
    let _ = text;
    todo!()
}
