//! The second factor: one-time passwords (RFC 6238), each taken once, and recovery codes.
//!
//! Guarantees: the secret is in no file that a backup without keys has. What is kept is a random salt; the secret is the keyed BLAKE2b
//! (RFC 7693) of it under a key of the data folder, so the journal alone makes no codes.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use blake2::Blake2bMac512;
use blake2::digest::{FixedOutput as _, KeyInit as _, Update as _};
use serde::{Deserialize, Serialize};
use totp_rs::{Algorithm, Builder, Secret, Totp};
use zeroize::Zeroizing;

use crate::list::{Digest, Timestamp};

use super::secret::{random, random_letters, same};
use super::{PeopleError, Refused};

/// Recovery codes of an account.
const RECOVERY: usize = 10;
/// Letters of a recovery code: 80 bits.
const LETTERS: usize = 16;
/// Octets of a secret: 160 bits, what every authenticator takes.
const SECRET: usize = 20;

/// A second factor as it is kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Factor {
    salt: String,
    /// The newest time step of which a code was taken.
    step: u64,
    /// Of the recovery codes that are left.
    recovery: Vec<Digest>,
}

/// What is offered to somebody who wants a second factor. Shown once.
#[derive(Debug)]
pub struct FactorOffer {
    /// The secret in base32, for typing.
    pub secret: Zeroizing<String>,
    /// The same as an `otpauth:` URI, for a QR code.
    pub uri: Zeroizing<String>,
    pub(super) salt: String,
}

fn totp(key: &[u8; 32], account: &str, salt: &str) -> Result<Totp, PeopleError> {
    const FAILED: PeopleError = PeopleError::System("the second factor cannot be computed");
    let mut mac = Blake2bMac512::new_from_slice(key).map_err(|_| FAILED)?;
    mac.update(b"bwld second factor\0");
    mac.update(account.as_bytes());
    mac.update(b"\0");
    mac.update(salt.as_bytes());
    let secret = Zeroizing::new(<[u8; 64]>::from(mac.finalize_fixed()));
    let builder = Builder::new().with_algorithm(Algorithm::SHA1).with_secret(Secret::new(secret[..SECRET].into()));
    builder.with_account_name(account).with_issuer(Some("bwld")).build().map_err(|_| FAILED)
}

/// A new secret.
pub(super) fn offer(key: &[u8; 32], account: &str) -> Result<FactorOffer, PeopleError> {
    let salt = URL_SAFE_NO_PAD.encode(random::<16>()?.as_ref());
    let totp = totp(key, account, &salt)?;
    let uri = totp.to_url().map_err(|_| PeopleError::System("the second factor cannot be written as a URI"))?;
    Ok(FactorOffer { secret: Zeroizing::new(totp.secret().to_base32()), uri: Zeroizing::new(uri), salt })
}

/// A factor from an offer, if the code shows that it has arrived; with its recovery codes, shown once.
pub(super) fn confirm(key: &[u8; 32], account: &str, salt: &str, code: &str, now: Timestamp) -> Result<(Factor, Vec<String>), Refused> {
    let step = totp(key, account, salt)?.check(code.trim(), now.unix()).ok_or(Refused::NotAccepted)?;
    let codes: Vec<String> = (0..RECOVERY).map(|_| random_letters::<LETTERS>()).collect::<Result<_, _>>()?;
    let recovery = codes.iter().map(Digest::of).collect();
    let grouped = codes.iter().map(|code| format!("{}-{}-{}-{}", &code[..4], &code[4..8], &code[8..12], &code[12..]));
    Ok((Factor { salt: salt.into(), step, recovery }, grouped.collect()))
}

impl Factor {
    /// The factor after this code was taken; none: it does not fit, or was taken before.
    pub(super) fn take(&self, key: &[u8; 32], account: &str, code: &str, now: Timestamp) -> Result<Option<Factor>, PeopleError> {
        let plain: String = code.trim().chars().filter(|c| *c != '-' && *c != ' ').take(LETTERS + 1).collect();
        if plain.len() == LETTERS {
            let offered = Digest::of(plain.to_ascii_lowercase());
            // Every one is looked at, whichever fits.
            let fits: Vec<bool> = self.recovery.iter().map(|kept| same(kept, &offered)).collect();
            return Ok(fits.iter().position(|fits| *fits).map(|at| {
                let mut next = self.clone();
                next.recovery.remove(at);
                next
            }));
        }
        let step = totp(key, account, &self.salt)?.check(&plain, now.unix());
        Ok(step.filter(|step| *step > self.step).map(|step| Factor { step, ..self.clone() }))
    }

    /// Recovery codes that are left.
    pub(super) fn recovery_left(&self) -> usize {
        self.recovery.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn code(account: &str, salt: &str, at: u64) -> String {
        totp(&KEY, account, salt).expect("a factor").generate(at).to_string()
    }

    #[test]
    fn a_code_is_taken_once_and_none_of_before() {
        let now = 1_800_000_000;
        let at = Timestamp::from_unix;
        let offer = offer(&KEY, "anna").expect("an offer");
        assert!(offer.uri.starts_with("otpauth://totp/bwld:anna?") && offer.uri.contains(offer.secret.as_str()), "{}", offer.uri.as_str());
        let fits = code("anna", &offer.salt, now);
        assert!(confirm(&KEY, "anna", &offer.salt, "000000x", at(now)).is_err());
        let (factor, codes) = confirm(&KEY, "anna", &offer.salt, &fits, at(now)).expect("confirmed");
        let take = |factor: &Factor, code: &str, now: u64| factor.take(&KEY, "anna", code, at(now)).expect("computed");
        assert_eq!(take(&factor, &fits, now), None, "the code that confirmed it");
        let later = now + 60;
        let next = take(&factor, &code("anna", &offer.salt, later), later).expect("taken");
        for (step, why) in [(0, "again"), (30, "the one before"), (90, "too old")] {
            assert_eq!(take(&next, &code("anna", &offer.salt, later - step), later), None, "{why}");
        }
        assert_eq!(take(&factor, &code("anna", &offer.salt, later + 300), later), None, "of the future");
        assert_eq!(take(&factor, &code("boris", &offer.salt, later), later), None, "of somebody else");
        assert!(factor.take(&[8; 32], "anna", &code("anna", &offer.salt, later), at(later)).expect("computed").is_none(), "another key");

        assert_eq!(codes.len(), RECOVERY);
        let after = take(&factor, &codes[3], now).expect("taken");
        assert_eq!((after.recovery_left(), take(&after, &codes[3], now)), (RECOVERY - 1, None));
        assert!(take(&after, &codes[4].to_uppercase().replace('-', " "), now).is_some());
        for wrong in ["", "-", "123456789", "aaaa-aaaa-aaaa-aaaa", "äääääääääääääääää"] {
            assert_eq!(take(&after, wrong, now), None, "{wrong}");
        }
    }
}
