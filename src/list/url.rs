//! The canonical form of URL targets (docs/PROTOCOL.md section 3.2).

use super::TargetError;

/// Brings a URL, with or without scheme, to the scheme-less canonical form of a rule.
///
/// # Errors
/// [`TargetError`] says why the URL cannot be a target.
pub fn canonical_url(text: &str) -> Result<String, TargetError> {
    let _ = text;
    todo!()
}
