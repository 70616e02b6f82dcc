//! Log-in by a provider of identities (OpenID Connect Core 1.0): authorization code with PKCE (RFC 7636), state and nonce.
//!
//! Guarantees: a log-in that comes back was begun here, by the same browser, within minutes, and counts once; the ID token is signed
//! by a key of the provider with an algorithm that is pinned, for this client, unexpired, and answers this log-in; everything fetched
//! is bounded. It makes no accounts: an owner links them.

mod provider;
mod verify;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use url::Url;
use zeroize::Zeroizing;

use crate::follower::ClientTls;
use crate::list::{Digest, Timestamp};
use crate::people::random_text;
use crate::store::Clock;

use provider::Provider;
pub(super) use verify::Person;

/// Seconds in which a log-in must come back.
const PENDING: u64 = 600;
/// Log-ins that are under way at one time; the oldest one is forgotten.
const MAX_PENDING: usize = 1_000;

/// Which provider, and what this publisher is to it.
#[derive(Clone)]
pub struct OidcOptions {
    /// The provider, exactly as it calls itself.
    pub issuer: String,
    /// What it calls this publisher.
    pub client_id: String,
    /// The secret it has given this publisher; none: a public client.
    pub client_secret: Option<Zeroizing<String>>,
    /// `https://THIS-HOST/v1/admin/oidc/return`, as the provider knows it.
    pub redirect: String,
    /// Authorities that vouch for the provider's host.
    pub tls: ClientTls,
}

impl std::fmt::Debug for OidcOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OidcOptions").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// Why a log-in by a provider came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// What is set is of no use.
    #[error("{0}")]
    Options(String),
    /// The provider did not answer as it should.
    #[error("the provider of identities: {0}")]
    Provider(String),
    /// What came back is not what was asked for. Which part is in the log.
    #[error("{0}")]
    Refused(&'static str),
}

#[derive(Debug)]
struct Pending {
    nonce: String,
    verifier: Zeroizing<String>,
    at: Timestamp,
}

/// Where somebody is sent, and what their browser must bring back.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) to: String,
    pub(super) state: Zeroizing<String>,
}

/// Log-in by one provider.
#[derive(Debug)]
pub struct Oidc {
    options: OidcOptions,
    provider: Provider,
    clock: Arc<dyn Clock>,
    pending: Mutex<HashMap<String, Pending>>,
}

impl Oidc {
    /// Nothing is fetched before somebody wants to come in.
    ///
    /// # Errors
    /// [`OidcError::Options`]: an address is none, or not https beyond this machine.
    pub fn new(options: OidcOptions, clock: Arc<dyn Clock>) -> Result<Oidc, OidcError> {
        provider::address("oidc.issuer", &options.issuer)?;
        provider::address("oidc.redirect", &options.redirect)?;
        if options.client_id.is_empty() {
            return Err(OidcError::Options("oidc.client_id: name what the provider calls this publisher".into()));
        }
        let http = options.tls.apply(reqwest::Client::builder()).map_err(|e| OidcError::Options(e.to_string()))?;
        let http = http
            .user_agent(concat!("bwld/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(10))
            .build()
            .map_err(|e| OidcError::Options(e.to_string()))?;
        let provider = Provider::new(http, options.issuer.clone());
        Ok(Oidc { options, provider, clock, pending: Mutex::default() })
    }

    /// The provider, as it calls itself.
    pub(super) fn issuer(&self) -> &str {
        &self.options.issuer
    }

    /// Begins a log-in.
    pub(super) async fn begin(&self) -> Result<Begun, OidcError> {
        let now = self.clock.now();
        let known = self.provider.known(now).await?;
        let random = || random_text().map_err(|e| OidcError::Provider(e.to_string()));
        let (state, nonce, verifier) = (random()?, random()?, random()?);
        let mut to = Url::parse(&known.authorization_endpoint).map_err(|e| OidcError::Provider(e.to_string()))?;
        to.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.options.client_id)
            .append_pair("redirect_uri", &self.options.redirect)
            .append_pair("scope", "openid")
            .append_pair("state", &state)
            .append_pair("nonce", &nonce)
            .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(Digest::of(verifier.as_bytes()).0))
            .append_pair("code_challenge_method", "S256");
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.retain(|_, one| now.since(one.at) < PENDING);
        if pending.len() >= MAX_PENDING
            && let Some(oldest) = pending.iter().min_by_key(|(_, one)| one.at).map(|(state, _)| state.clone())
        {
            pending.remove(&oldest);
        }
        pending.insert(state.to_string(), Pending { nonce: nonce.to_string(), verifier, at: now });
        Ok(Begun { to: to.into(), state })
    }

    /// Ends a log-in: whom the provider vouches for. `brought` is what the browser has kept of [`Begun::state`].
    pub(super) async fn end(&self, state: &str, brought: Option<&str>, code: &str) -> Result<Person, OidcError> {
        // Compared as digests: how long it takes says nothing of what was right.
        if brought.is_none_or(|brought| Digest::of(brought) != Digest::of(state)) {
            return Err(OidcError::Refused("this log-in was not begun in this browser; begin again"));
        }
        let now = self.clock.now();
        let pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner).remove(state);
        let pending = pending.filter(|one| now.since(one.at) < PENDING);
        let pending = pending.ok_or(OidcError::Refused("this log-in has come back before, or too late; begin again"))?;
        let known = self.provider.known(now).await?;
        let token = self.provider.redeem(&known, &self.options, code, &pending.verifier).await?;
        let asked = verify::Asked { issuer: &self.options.issuer, client_id: &self.options.client_id, nonce: &pending.nonce, now };
        let header = verify::header(&token, &known.algorithms())?;
        let keys = self.provider.keys(&known, header.kid.as_deref(), self.clock.now()).await?;
        verify::verify(&token, &header, &keys, &asked)
    }
}
