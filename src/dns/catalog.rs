//! The catalog zone (RFC 9432): the names of all other zones, so that secondaries configure themselves.
//!
//! Its serial is the time at which the set of names last changed, in seconds since 1970 (modulo 2^32), at least one more
//! than before; after a start it is that of the start. It is small, so an increment is always the whole.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use domain::base::iana::Class;
use domain::base::name::RelativeName;
use domain::base::record::ComposeRecord;
use domain::base::{Name, Serial as SoaSerial, Ttl};
use domain::rdata::{Ptr, Txt};
use sha2::{Digest as _, Sha256};

use super::DnsError;
use super::options::ZoneOptions;
use super::policy::absolute;
use super::zone::{Access, soa_serial};

const TTL: Ttl = Ttl::from_secs(60);

/// The catalog.
#[derive(Debug)]
pub struct CatalogZone {
    /// Its name.
    pub name: Name<Bytes>,
    /// Who may have it.
    pub access: Access,
    state: Mutex<(u64, Vec<Name<Bytes>>)>,
}

impl CatalogZone {
    /// A catalog of no zones, at this time in seconds.
    ///
    /// # Errors
    /// [`DnsError::Zone`].
    pub fn new(options: &ZoneOptions, now: u64) -> Result<CatalogZone, DnsError> {
        let wrong = |reason: String| DnsError::Zone { zone: options.name.clone(), reason };
        let access = Access::new(options).map_err(wrong)?;
        Ok(CatalogZone { name: absolute(&options.name).map_err(wrong)?, access, state: Mutex::new((now, Vec::new())) })
    }

    /// Takes the names that are there now; another set is another version.
    pub fn renew(&self, names: Vec<Name<Bytes>>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.1 != names {
            *state = (state.0.saturating_add(1), names);
        }
    }

    /// Its serial.
    pub fn serial(&self) -> SoaSerial {
        soa_serial(self.state.lock().unwrap_or_else(PoisonError::into_inner).0)
    }

    /// Serial and the zones' names.
    pub fn content(&self) -> (SoaSerial, Vec<Name<Bytes>>) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (soa_serial(state.0), state.1.clone())
    }

    /// `version.CATALOG TXT "2"`.
    ///
    /// # Errors
    /// If the catalog's name is too long for it.
    pub fn version(&self) -> Result<impl ComposeRecord, DnsError> {
        let txt = Txt::<Vec<u8>>::build_from_slice(b"2").map_err(|e| DnsError::Message(e.to_string()))?;
        Ok((self.below(b"\x07version")?, Class::IN, TTL, txt))
    }

    /// `HEX.zones.CATALOG PTR ZONE`: HEX is the beginning of the SHA-256 of the zone's name, so it stays what it was.
    ///
    /// # Errors
    /// If the catalog's name is too long for it.
    pub fn member(&self, zone: &Name<Bytes>) -> Result<impl ComposeRecord, DnsError> {
        let digest = Sha256::digest(zone.as_slice());
        let mut relative = vec![16];
        for octet in &digest[..8] {
            relative.extend_from_slice(format!("{octet:02x}").as_bytes());
        }
        relative.extend_from_slice(b"\x05zones");
        Ok((self.below(&relative)?, Class::IN, TTL, Ptr::new(zone.clone())))
    }

    fn below(&self, relative: &[u8]) -> Result<impl domain::base::ToName + use<>, DnsError> {
        let relative = RelativeName::from_octets(relative.to_vec()).map_err(|e| DnsError::Message(e.to_string()))?;
        relative.chain(self.name.clone()).map_err(|e| DnsError::Message(e.to_string()))
    }
}
