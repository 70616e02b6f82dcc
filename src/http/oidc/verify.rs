//! Verifies an ID token (OpenID Connect Core 1.0 section 3.1.3.7; RFC 8725).

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde::Deserialize;

use crate::list::{Digest, Timestamp};

use super::OidcError;

/// Longest ID token in octets, and longest subject.
const MAX: (usize, usize) = (64 << 10, 255);
/// Seconds by which the provider's clock and this one may differ.
const LEEWAY: u64 = 60;

/// Somebody for whom the provider vouches.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::http) struct Person {
    pub(in crate::http) issuer: String,
    pub(in crate::http) subject: String,
}

/// What the token must answer.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    pub(super) now: Timestamp,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: u64,
    #[serde(default)]
    nbf: Option<u64>,
    iat: u64,
    #[serde(default)]
    nonce: Option<String>,
    #[serde(default)]
    azp: Option<String>,
}

/// The token's header, if its algorithm is one of those allowed. `none` is not even an algorithm here.
pub(super) fn header(token: &str, allowed: &[Algorithm]) -> Result<Header, OidcError> {
    if token.len() > MAX.0 {
        return Err(OidcError::Refused("the ID token is too long"));
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| OidcError::Refused("the ID token has no header that is known"))?;
    if !allowed.contains(&header.alg) {
        return Err(OidcError::Refused("the ID token is signed by an algorithm that the provider does not offer, or that is not accepted"));
    }
    Ok(header)
}

/// Whether a key is for this algorithm.
fn is_for(key: &Jwk, algorithm: Algorithm) -> bool {
    let kind = match (&key.algorithm, algorithm) {
        (AlgorithmParameters::RSA(_), Algorithm::RS256) => true,
        (AlgorithmParameters::EllipticCurve(key), Algorithm::ES256) => key.curve == EllipticCurve::P256,
        (AlgorithmParameters::OctetKeyPair(key), Algorithm::EdDSA) => key.curve == EllipticCurve::Ed25519,
        _ => false,
    };
    let said = key.common.key_algorithm.is_none_or(|said| format!("{said:?}") == format!("{algorithm:?}"));
    let signs = key.common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature);
    kind && said && signs
}

/// Whom the token names, after everything about it was checked.
pub(super) fn verify(token: &str, header: &Header, keys: &[Jwk], asked: &Asked<'_>) -> Result<Person, OidcError> {
    let refused = |what| Err(OidcError::Refused(what));
    let mut fitting = keys.iter().filter(|key| is_for(key, header.alg) && (header.kid.is_none() || key.common.key_id == header.kid));
    let (Some(key), None) = (fitting.next(), fitting.next()) else {
        return refused("the ID token is signed by a key that the provider does not have, or does not say which");
    };
    let key = DecodingKey::from_jwk(key).map_err(|_| OidcError::Refused("the provider's key cannot be used"))?;
    let mut validation = Validation::new(header.alg);
    // Times are checked below, by the clock of the house; the others here and once more below.
    (validation.validate_exp, validation.validate_nbf) = (false, false);
    validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
    validation.set_audience(&[asked.client_id]);
    validation.set_issuer(&[asked.issuer]);
    let decoded = jsonwebtoken::decode::<Claims>(token, &key, &validation);
    let claims = decoded.map_err(|_| OidcError::Refused("the ID token does not hold: signature, issuer, audience or form"))?.claims;
    let now = asked.now.unix();
    let audience = match &claims.aud {
        Audience::One(one) => std::slice::from_ref(one),
        Audience::Many(many) => many.as_slice(),
    };
    if claims.iss != asked.issuer || !audience.iter().any(|one| one == asked.client_id) {
        return refused("the ID token is of another issuer, or for another audience");
    }
    let azp = claims.azp.as_deref();
    if (audience.len() > 1 && azp.is_none()) || azp.is_some_and(|azp| azp != asked.client_id) {
        return refused("the ID token was issued to another client");
    }
    if claims.exp.saturating_add(LEEWAY) <= now {
        return refused("the ID token has expired");
    }
    if claims.nbf.is_some_and(|from| from > now + LEEWAY) || claims.iat > now + LEEWAY {
        return refused("the ID token is of the future; compare the clocks");
    }
    if claims.nonce.is_none_or(|nonce| Digest::of(nonce) != Digest::of(asked.nonce)) {
        return refused("the ID token answers another log-in");
    }
    if claims.sub.is_empty() || claims.sub.len() > MAX.1 {
        return refused("the ID token names nobody");
    }
    Ok(Person { issuer: claims.iss, subject: claims.sub })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Modulus of an RSA key of which the private part was thrown away.
    const MODULUS: &str = "\
        -SGQ-JACLoLKE7SbadP8NQF8lWwHG9Lc3J86duMMMPfT4XLdStELUmd8a3VtV-86ZCUfm6GB07bsacqHsHRUWaY_c7rwRSsoA4elHltRpnVTe8\
        4YGjeT8ZgliRoKUHaJEB78_-OaaFsc5IY8MdKm-mEkP1b3Ql0V8tVsT2vWesPfGZVl0KNM2_WA-ykT0u-83sZL4sreO8ZkMmak9hI7VdXEr4o7\
        cDxA4HWsCbwK4snXDPlI2gW13wcndzsC9pKurGxtDzPHI4s9rPFkTXrBseGqmnx-zoTkHIfUJ8DjsiOrA3GFluiWHD5xlLwULUyC_YmapGVEGu\
        bl0vJMfQD0cw";
    /// Signed by it with RS256.
    const TOKEN: &str = "\
        eyJhbGciOiJSUzI1NiIsImtpZCI6InIxIn0.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJzdWIiOiIyNDgyODk3NjEwMDEiLCJhdWQiOi\
        Jid2xkIiwiZXhwIjoxODAwMDAwMzAwLCJpYXQiOjE4MDAwMDAwMDAsIm5vbmNlIjoibi0wUzZfV3pBMk1qIn0.X3_TcxLW7hVSWgSU9N8E6_Vd\
        drNn65NtQtUar5Fh1k-pnaYluSagxQJP9fvmZnyoJy1EykkMjclQ-Pk1CfDmrpOFAGYyj3asEpZEJAxXOe_xpccZQySDNjER2iIXqJe0Yog07e\
        xmfA_gMB3OvHkYKDDtkgh2ejqq2tKZnPq0_4gbxQObL_vjQX0DKVvxkcTayMclZcQCwHVlDPe-g10TxdzTeAoX5SD4ZbfW7yk6Fi3abx47GssF\
        f0COiLB--_WoDz4S8Ng0UJyQ3yMYDusz-aeQUhJYun4ukeKHOGtwxoMTSTNsZ3UV4MtJt4yGehVVOlJbT41MtXIxz0XTfDPA3g";

    fn keys(alg: &str) -> Vec<Jwk> {
        let key = serde_json::json!({"kty": "RSA", "kid": "r1", "use": "sig", "alg": alg, "n": MODULUS, "e": "AQAB"});
        vec![serde_json::from_value(key).expect("a key")]
    }

    fn verified(token: &str, keys: &[Jwk], change: impl FnOnce(&mut Asked<'_>)) -> Result<Person, OidcError> {
        let now = Timestamp::from_unix(1_800_000_010);
        let mut asked = Asked { issuer: "https://id.example", client_id: "bwld", nonce: "n-0S6_WzA2Mj", now };
        change(&mut asked);
        verify(token, &header(token, &[Algorithm::RS256])?, keys, &asked)
    }

    #[test]
    fn a_token_of_rs256_holds_only_as_it_was_asked_for() {
        let person = verified(TOKEN, &keys("RS256"), |_| ()).expect("it holds");
        assert_eq!((person.issuer.as_str(), person.subject.as_str()), ("https://id.example", "248289761001"));
        assert!(verified(TOKEN, &keys("RS256"), |asked| asked.issuer = "https://id.example/").is_err());
        assert!(verified(TOKEN, &keys("RS256"), |asked| asked.client_id = "other").is_err());
        assert!(verified(TOKEN, &keys("RS256"), |asked| asked.nonce = "").is_err());
        assert!(verified(TOKEN, &keys("RS256"), |asked| asked.now = Timestamp::from_unix(1_800_000_359)).is_ok(), "within the leeway");
        assert!(verified(TOKEN, &keys("RS256"), |asked| asked.now = Timestamp::from_unix(1_800_000_360)).is_err());
        assert!(verified(TOKEN, &keys("RS256"), |asked| asked.now = Timestamp::from_unix(1_799_999_000)).is_err());
        assert!(verified(TOKEN, &keys("RS512"), |_| ()).is_err(), "a key for another algorithm");
        assert!(verified(TOKEN, &[], |_| ()).is_err());
        assert!(verified(TOKEN, &[keys("RS256"), keys("RS256")].concat(), |_| ()).is_err(), "two keys of one name");
        assert!(header(TOKEN, &[Algorithm::ES256]).is_err() && header("", &[Algorithm::RS256]).is_err());
    }

    #[test]
    fn no_changed_octet_goes_unnoticed() {
        for at in (0..TOKEN.len()).step_by(7) {
            let mut octets = TOKEN.as_bytes().to_vec();
            octets[at] = if octets[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(octets).expect("ASCII");
            assert!(verified(&changed, &keys("RS256"), |_| ()).is_err(), "octet {at}");
        }
    }
}
