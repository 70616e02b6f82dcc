//! The catalog zone (RFC 9432): the names of all other zones, so that secondaries configure themselves.
//!
//! Its serial is the time at which the set of names last changed, in seconds since 1970 (modulo 2^32), at least one more
//! than before. Serial and digest of the set are kept before anybody is given them, so a restart with the same zones
//! changes nothing. It is small, so an increment is always the whole.

use bytes::Bytes;
use domain::base::iana::Class;
use domain::base::name::RelativeName;
use domain::base::record::ComposeRecord;
use domain::base::{Name, Serial as SoaSerial, Ttl};
use domain::rdata::{Ptr, Txt};
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;

use crate::list::Digest;

use super::DnsError;
use super::kept::{Kept, highest};
use super::options::ZoneOptions;
use super::policy::absolute;
use super::shared::Shared;
use super::zone::{Access, soa_serial};

const TTL: Ttl = Ttl::from_secs(60);

/// The catalog.
#[derive(Debug)]
pub struct CatalogZone {
    /// Its name.
    pub name: Name<Bytes>,
    /// Who may have it.
    pub access: Access,
    /// Number and names, once somebody asked.
    state: Mutex<Option<(u64, Vec<Name<Bytes>>)>>,
}

impl CatalogZone {
    /// A catalog.
    ///
    /// # Errors
    /// [`DnsError::Zone`].
    pub fn new(options: &ZoneOptions) -> Result<CatalogZone, DnsError> {
        let wrong = |reason: String| DnsError::Zone { zone: options.name.clone(), reason };
        let access = Access::new(options).map_err(wrong)?;
        Ok(CatalogZone { name: absolute(&options.name).map_err(wrong)?, access, state: Mutex::default() })
    }

    /// The serial of the catalog of these names, which are all that there are now.
    ///
    /// # Errors
    /// In words: what is kept of it cannot be read or written.
    pub async fn serial(&self, shared: &Shared, names: &[Name<Bytes>]) -> Result<SoaSerial, String> {
        let mut state = self.state.lock().await;
        if let Some((number, known)) = &*state
            && known == names
        {
            return Ok(soa_serial(*number));
        }
        let mut text = shared.soa.clone();
        for name in names {
            text.push_str(&format!("\n{name}"));
        }
        let settings = Digest::of(text);
        let (store, key) = (shared.keeper.store.clone(), self.name.to_string());
        let reading = move || Ok::<_, String>((Kept::load(&store, &key)?, highest(&store, &[key])?));
        let read = tokio::task::spawn_blocking(reading).await.map_err(|_| "reading what is kept broke off".to_owned())?;
        let number = match read? {
            (Some(kept), _) if kept.settings == settings && kept.lists.is_empty() => kept.offset,
            (_, highest) => {
                let number = later(highest, shared.clock.now().unix());
                let (lists, known, parts) = (Vec::new(), Vec::new(), Vec::new());
                let kept = Kept { settings, lists, offset: number, floor: number, known, parts };
                shared.keeper.put(&self.name.to_string(), kept.document()).await?;
                number
            }
        };
        *state = Some((number, names.to_vec()));
        Ok(soa_serial(number))
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

/// The time, if that is later than every number before in the arithmetic of serials; else the next number.
fn later(highest: Option<u64>, now: u64) -> u64 {
    match highest {
        Some(highest) if now <= highest || now - highest >= 1 << 31 => highest.wrapping_add(1),
        _ => now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_go_up_whatever_the_clock_says() {
        assert_eq!(later(None, 1_800_000_000), 1_800_000_000);
        assert_eq!(later(Some(1_700_000_000), 1_800_000_000), 1_800_000_000);
        assert_eq!(later(Some(1_800_000_000), 1_800_000_000), 1_800_000_001);
        assert_eq!(later(Some(1_800_000_001), 5), 1_800_000_002);
        assert_eq!(later(Some(7), 7 + (1 << 31)), 8, "a step that secondaries would take for one back");
    }
}
