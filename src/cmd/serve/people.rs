//! How those who administer lists come in, from the configuration.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use zeroize::Zeroizing;

use crate::follower::ClientTls;
use crate::http::{Oidc, OidcOptions};
use crate::people::PeopleOptions;
use crate::store::{Clock, read_secret};

use super::super::config::Config;
use super::super::exit::Ended;
use super::home;

/// For accounts, sessions and second factors. Makes the key of second factors where there is none.
pub fn options(settings: &Config, data: &Path) -> anyhow::Result<PeopleOptions> {
    let count = |n: u64| u32::try_from(n).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
    let people = &settings.people;
    Ok(PeopleOptions {
        log_ins_per_minute: count(people.log_ins_per_minute),
        idle_seconds: people.idle_seconds,
        session_seconds: people.session_seconds,
        factor_key: Some(home::people_key(data)?),
        ..PeopleOptions::default()
    })
}

/// Log-in by a provider of identities, if one is set.
pub fn oidc(settings: &Config, clock: &Arc<dyn Clock>) -> anyhow::Result<Option<Arc<Oidc>>> {
    let oidc = &settings.oidc;
    if oidc.issuer.is_empty() {
        return Ok(None);
    }
    let secret = match oidc.client_secret_file.as_str() {
        "" => None,
        file => Some(Zeroizing::new(read_secret(Path::new(file)).context("oidc.client_secret_file")?.trim().to_owned())),
    };
    let options = OidcOptions {
        issuer: oidc.issuer.clone(),
        client_id: oidc.client_id.clone(),
        client_secret: secret,
        redirect: oidc.redirect.clone(),
        tls: ClientTls::from_texts(&oidc.authorities, ""),
    };
    let made = Oidc::new(options, clock.clone()).map_err(|e| Ended::Usage(e.to_string()))?;
    Ok(Some(Arc::new(made)))
}
