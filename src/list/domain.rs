//! The canonical form of host names (docs/PROTOCOL.md section 3.1).

use super::TargetError;

/// Brings a host name to canonical form: UTS #46 to A-labels, lower case, no trailing dot, public suffixes refused.
///
/// # Errors
/// [`TargetError`] says why the name cannot be a target.
pub fn canonical_domain(text: &str) -> Result<String, TargetError> {
    let _ = text;
    todo!()
}
