//! Random secrets as text, and their comparison.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::list::Digest;

use super::PeopleError;

/// Digits and letters that cannot be taken for one another.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Random octets.
pub(super) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, PeopleError> {
    let mut bits = Zeroizing::new([0; N]);
    getrandom::fill(bits.as_mut()).map_err(|_| PeopleError::System("the system has no randomness; try again"))?;
    Ok(bits)
}

/// 256 random bits as text, in base64url.
///
/// # Errors
/// [`PeopleError::System`] without randomness.
pub fn random_text() -> Result<Zeroizing<String>, PeopleError> {
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(random::<32>()?.as_ref())))
}

/// `N` random letters, 5 bits each.
pub(super) fn random_letters<const N: usize>() -> Result<String, PeopleError> {
    Ok(random::<N>()?.iter().map(|octet| char::from(LETTERS[usize::from(octet & 31)])).collect())
}

/// Whether two digests are the same; takes as long whatever the answer.
pub(super) fn same(a: &Digest, b: &Digest) -> bool {
    a.0.ct_eq(&b.0).into()
}
