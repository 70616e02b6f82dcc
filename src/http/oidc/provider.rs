//! What is fetched from the provider: its description, its keys, an ID token for a code. Bounded, and kept for a while.

use std::sync::{Arc, Mutex, PoisonError};

use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::Jwk;
use reqwest::RequestBuilder;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::{Host, Url};
use zeroize::Zeroizing;

use crate::list::Timestamp;

use super::{OidcError, OidcOptions};

/// Largest answer, in octets.
const MAX_ANSWER: usize = 1 << 20;
/// Seconds after which description and keys are fetched again.
const KEEP: u64 = 3_600;
/// Seconds that pass at least before keys are fetched again because one is missing.
const AGAIN: u64 = 30;

/// That an address may be used: https, or http on this machine.
pub(super) fn address(what: &str, text: &str) -> Result<Url, OidcError> {
    let url = Url::parse(text).map_err(|e| OidcError::Options(format!("{what}: {text} is no address ({e})")))?;
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(v4)) => v4.is_loopback(),
        Some(Host::Ipv6(v6)) => v6.is_loopback(),
        None => false,
    };
    if url.scheme() == "https" || (url.scheme() == "http" && loopback) {
        return Ok(url);
    }
    Err(OidcError::Options(format!("{what}: {text} is not https; tokens would travel in the open")))
}

/// How the provider describes itself (OpenID Connect Discovery 1.0, section 3), as far as it is used.
#[derive(Debug, Deserialize)]
pub(super) struct Known {
    issuer: String,
    pub(super) authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    id_token_signing_alg_values_supported: Vec<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

impl Known {
    /// The algorithms that the provider offers and this accepts. RS256 is what every provider has.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        let ours = [("RS256", Algorithm::RS256), ("ES256", Algorithm::ES256), ("EdDSA", Algorithm::EdDSA)];
        let offered = |name: &str| self.id_token_signing_alg_values_supported.iter().any(|offered| offered == name);
        ours.into_iter().filter(|(name, _)| offered(name)).map(|(_, algorithm)| algorithm).collect()
    }
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Redeemed {
    id_token: String,
}

#[derive(Debug, Default)]
struct Kept {
    known: Option<(Arc<Known>, Timestamp)>,
    keys: Option<(Arc<Vec<Jwk>>, Timestamp)>,
}

/// The provider.
#[derive(Debug)]
pub(super) struct Provider {
    http: reqwest::Client,
    issuer: String,
    kept: Mutex<Kept>,
}

impl Provider {
    pub(super) fn new(http: reqwest::Client, issuer: String) -> Provider {
        Provider { http, issuer, kept: Mutex::default() }
    }

    /// Its description.
    pub(super) async fn known(&self, now: Timestamp) -> Result<Arc<Known>, OidcError> {
        if let Some((known, at)) = &self.kept.lock().unwrap_or_else(PoisonError::into_inner).known
            && now.since(*at) < KEEP
        {
            return Ok(known.clone());
        }
        let url = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let known: Known = json(self.http.get(url)).await?;
        if known.issuer != self.issuer {
            let (theirs, ours) = (known.issuer, &self.issuer);
            return Err(OidcError::Provider(format!("it calls itself {theirs}, and oidc.issuer is {ours}; they must be the same")));
        }
        for (what, text) in [
            ("authorization_endpoint", &known.authorization_endpoint),
            ("token_endpoint", &known.token_endpoint),
            ("jwks_uri", &known.jwks_uri),
        ] {
            address(what, text).map_err(|e| OidcError::Provider(e.to_string()))?;
        }
        let known = Arc::new(known);
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).known = Some((known.clone(), now));
        Ok(known)
    }

    /// Its keys; fetched anew if they are old, or if none has this name.
    pub(super) async fn keys(&self, known: &Known, kid: Option<&str>, now: Timestamp) -> Result<Arc<Vec<Jwk>>, OidcError> {
        if let Some((keys, at)) = &self.kept.lock().unwrap_or_else(PoisonError::into_inner).keys {
            let has = kid.is_none_or(|kid| keys.iter().any(|key| key.common.key_id.as_deref() == Some(kid)));
            if now.since(*at) < if has { KEEP } else { AGAIN } {
                return Ok(keys.clone());
            }
        }
        let set: KeySet = json(self.http.get(&known.jwks_uri)).await?;
        // Keys of a kind that is not known here are none of ours.
        let keys: Arc<Vec<Jwk>> = Arc::new(set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect());
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).keys = Some((keys.clone(), now));
        Ok(keys)
    }

    /// The ID token for a code.
    pub(super) async fn redeem(
        &self,
        known: &Known,
        options: &OidcOptions,
        code: &str,
        verifier: &str,
    ) -> Result<Zeroizing<String>, OidcError> {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", options.redirect.as_str()),
            ("code_verifier", verifier),
            ("client_id", options.client_id.as_str()),
        ];
        let mut request = self.http.post(&known.token_endpoint);
        if let Some(secret) = &options.client_secret {
            let methods = known.token_endpoint_auth_methods_supported.as_deref();
            let basic = methods.is_none_or(|methods| methods.iter().any(|method| method == "client_secret_basic"));
            if basic {
                // RFC 6749 section 2.3.1: both are form-encoded first.
                let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                request = request.basic_auth(encoded(&options.client_id), Some(encoded(secret)));
            } else {
                form.push(("client_secret", secret.as_str()));
            }
        }
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
        Ok(Zeroizing::new(json::<Redeemed>(request).await?.id_token))
    }
}

/// The JSON that comes back. An error names no address: a code may stand in it.
async fn json<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, OidcError> {
    let failed = |e: reqwest::Error| OidcError::Provider(e.without_url().to_string());
    let mut response = request.send().await.map_err(failed)?;
    if !response.status().is_success() {
        return Err(OidcError::Provider(format!("it answered {}", response.status().as_u16())));
    }
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(failed)? {
        if bytes.len() + piece.len() > MAX_ANSWER {
            return Err(OidcError::Provider(format!("its answer is larger than {MAX_ANSWER} octets")));
        }
        bytes.extend_from_slice(&piece);
    }
    // What is wrong is said without what it says.
    serde_json::from_slice(&bytes)
        .map_err(|e| OidcError::Provider(format!("its answer is not understood (line {}, column {})", e.line(), e.column())))
}
