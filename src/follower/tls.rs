//! Whom a client of HTTP believes, and what it shows of itself, when it speaks TLS.

use std::path::{Path, PathBuf};

use reqwest::{Certificate, ClientBuilder, Identity};

use crate::store::read_bounded;

use super::FollowError;

/// Largest file in octets.
const MAX_FILE: u64 = 1 << 20;

/// Files in PEM. The default: the authorities of this machine, and no certificate of its own.
#[derive(Clone, Debug, Default)]
pub struct ClientTls {
    /// Certificates of the only authorities that are believed.
    pub authorities: Option<PathBuf>,
    /// A certificate with those that lead to its authority, and its private key, in one file.
    pub identity: Option<PathBuf>,
}

impl ClientTls {
    /// From settings in which an empty text means that there is none.
    pub fn from_texts(authorities: &str, identity: &str) -> ClientTls {
        let path = |text: &str| (!text.is_empty()).then(|| PathBuf::from(text));
        ClientTls { authorities: path(authorities), identity: path(identity) }
    }

    /// Has a client do so.
    ///
    /// # Errors
    /// [`FollowError::Options`] names the file.
    pub fn apply(&self, mut builder: ClientBuilder) -> Result<ClientBuilder, FollowError> {
        // Fails only if a provider is installed already, which is then used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        if let Some(path) = &self.authorities {
            let found = Certificate::from_pem_bundle(&bounded(path)?).map_err(|e| wrong(path, e))?;
            if found.is_empty() {
                return Err(wrong(path, "no certificate in PEM is in it"));
            }
            builder = builder.tls_certs_only(found);
        }
        if let Some(path) = &self.identity {
            builder = builder.identity(Identity::from_pem(&bounded(path)?).map_err(|e| wrong(path, e))?);
        }
        Ok(builder)
    }
}

fn bounded(path: &Path) -> Result<Vec<u8>, FollowError> {
    read_bounded(path, MAX_FILE).map_err(|e| wrong(path, e))
}

fn wrong(path: &Path, reason: impl std::fmt::Display) -> FollowError {
    FollowError::Options(format!("{}: {reason}", path.display()))
}
