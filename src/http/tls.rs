//! TLS of the server: certificate and key from files, read again when they change, and certificates of clients.
//!
//! Guarantees: connections that stand are not disturbed by a new certificate; a pair of files that does not fit together is refused, and the one
//! before stays in force; where certificates of clients are asked for, a connection without a valid one does not come to HTTP.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS13;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio_rustls::TlsAcceptor;

use crate::store::{Watched, read_bounded};

/// Largest file of certificates or keys, in octets.
const MAX_FILE: u64 = 1 << 20;

/// Files in PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The server's certificate, then those that lead to an authority.
    pub certificate: PathBuf,
    /// Its private key (PKCS #8, PKCS #1 or SEC1).
    pub key: PathBuf,
    /// Certificates of the authorities whose clients may connect; none: anybody may.
    pub client_authorities: Option<PathBuf>,
}

/// What is wrong with the files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{path}: {reason}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Certificate and key cannot be used.
    #[error("certificate {certificate} and key {key} cannot be used together: {reason}")]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        reason: String,
    },
}

/// What is spoken over TLS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spoken {
    /// HTTP, over TLS 1.2 and 1.3.
    Http,
    /// Zone transfers, over TLS 1.3 alone (RFC 9103 section 7.1).
    Transfers,
}

impl Spoken {
    /// Names for ALPN (RFC 7301), the preferred one first.
    fn protocols(self) -> Vec<Vec<u8>> {
        match self {
            Spoken::Http => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Spoken::Transfers => vec![b"dot".to_vec()],
        }
    }

    fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            Spoken::Http => rustls::DEFAULT_VERSIONS,
            Spoken::Transfers => ONLY_13,
        }
    }
}

static ONLY_13: &[&SupportedProtocolVersion] = &[&TLS13];

/// The server's side of TLS.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    spoken: Spoken,
    config: RwLock<Arc<ServerConfig>>,
    read: Mutex<Watched>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`] names the file.
    pub fn open(files: TlsFiles, spoken: Spoken) -> Result<Tls, TlsError> {
        let read = Watched::new([&files.certificate, &files.key].into_iter().chain(&files.client_authorities));
        let config = configured(&files, spoken)?;
        Ok(Tls { files, spoken, config: RwLock::new(Arc::new(config)), read: Mutex::new(read) })
    }

    /// Reads the files again if one of them has changed, or `anyway`; `true`: what they say is in force.
    ///
    /// # Errors
    /// [`TlsError`]; what was in force stays, and the files are read again the next time.
    pub fn reload(&self, anyway: bool) -> Result<bool, TlsError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if !(read.changed() || anyway) {
            return Ok(false);
        }
        let config = configured(&self.files, self.spoken).inspect_err(|_| read.read_again())?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        Ok(true)
    }

    /// For the next connection.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn configured(files: &TlsFiles, spoken: Spoken) -> Result<ServerConfig, TlsError> {
    // Fails only if a provider is installed already, which is then used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let chain = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&bounded(&files.key)?).map_err(|e| wrong(&files.key, format!("no private key in PEM: {e}")))?;
    let builder = ServerConfig::builder_with_protocol_versions(spoken.versions());
    let builder = match &files.client_authorities {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|e| wrong(path, e.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().map_err(|e| wrong(path, e.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|e| TlsError::Pair {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
        reason: e.to_string(),
    })?;
    config.alpn_protocols = spoken.protocols();
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = bounded(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(wrong(path, "no certificate in PEM is in it".into())),
        Ok(found) => Ok(found),
        Err(e) => Err(wrong(path, format!("not certificates in PEM: {e}"))),
    }
}

fn bounded(path: &Path) -> Result<Vec<u8>, TlsError> {
    read_bounded(path, MAX_FILE).map_err(|e| wrong(path, e.to_string()))
}

fn wrong(path: &Path, reason: String) -> TlsError {
    TlsError::File { path: path.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_is_read_again_though_it_looks_as_before() {
        let dir = tempfile::tempdir().expect("a folder");
        let (certificate, key) = (dir.path().join("server.pem"), dir.path().join("server.key"));
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("a certificate");
        std::fs::write(&certificate, made.cert.pem()).expect("room");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("room");
        let files = TlsFiles { certificate, key: key.clone(), client_authorities: None };
        let tls = Tls::open(files, Spoken::Http).expect("a pair that fits");
        assert!(!tls.reload(false).expect("nothing is wrong"));
        assert!(tls.reload(true).expect("nothing is wrong"), "who asks for it has it read");
        std::fs::write(&key, "no key").expect("room");
        for _ in 0..3 {
            assert!(matches!(tls.reload(false), Err(TlsError::File { path, .. }) if path == key));
        }
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("room");
        assert!(tls.reload(false).expect("it fits again") && !tls.reload(false).expect("it fits"));
    }
}
