//! TSIG (RFC 8945): who signed a request, and what to answer when a signature is not good.
//!
//! Guarantees: a request whose signature was seen before is refused with BADTIME, for as long as its time would let it
//! pass; the one exception is the same datagram from the same socket, which is how clients repeat a lost one. Section 5.2.3
//! would also refuse whatever was signed earlier than the newest request of the same key; this does not, since several
//! secondaries of one subscriber share a key, and their clocks differ. Keys may be exchanged while requests are answered.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;
use domain::base::iana::{Rcode, TsigRcode};
use domain::base::{Message, Name, ToName};
use domain::rdata::tsig::{Time48, Tsig};
use domain::tsig::{Algorithm, Key, KeyName, ServerSequence};

use super::DnsError;
use super::message::{builder, finished};
use super::options::{KeyOptions, ZoneOptions};
use super::policy::absolute;

/// Signatures that are remembered; beyond that the oldest are forgotten.
const REMEMBERED: usize = 65_536;
/// Shortest secret, in octets.
const SHORTEST: usize = 16;

/// Keys by name and algorithm.
type Known = HashMap<(KeyName, Algorithm), Arc<Key>>;

/// The keys that are in force. They may be exchanged; what was seen stays seen.
#[derive(Debug, Default)]
pub struct Keys {
    known: RwLock<Arc<Known>>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    by_mac: HashMap<Box<[u8]>, Sighting>,
    order: VecDeque<Box<[u8]>>,
}

#[derive(Clone, Copy, Debug)]
struct Sighting {
    /// After this the request is too old anyhow.
    until: u64,
    /// Who sent it, if it was a datagram.
    datagram: Option<SocketAddr>,
}

/// What a request's signature is.
#[derive(Debug)]
pub enum Signature {
    /// There is none.
    None,
    /// Good. The request is now without it.
    Good(Box<ServerSequence<Arc<Key>>>, Name<Bytes>),
    /// Not good: the answer, and the reason for the log.
    Bad(Vec<u8>, TsigRcode),
}

impl Keys {
    /// From what the operator configured.
    ///
    /// # Errors
    /// [`DnsError::Key`].
    pub fn new(options: &[KeyOptions]) -> Result<Keys, DnsError> {
        let mut made = Known::default();
        for key in options {
            let wrong = |reason: String| DnsError::Key { key: key.name.clone(), reason };
            let algorithm = match key.algorithm.as_str() {
                "hmac-sha1" => Algorithm::Sha1,
                "hmac-sha256" => Algorithm::Sha256,
                "hmac-sha384" => Algorithm::Sha384,
                "hmac-sha512" => Algorithm::Sha512,
                _ => return Err(wrong("algorithm is hmac-sha256, hmac-sha384, hmac-sha512 or hmac-sha1".into())),
            };
            if key.secret.len() < SHORTEST {
                return Err(wrong(format!(
                    "the secret has fewer than {SHORTEST} octets; make one with tsig-keygen or openssl rand -base64 32"
                )));
            }
            let name: KeyName = absolute(&key.name).map_err(wrong)?.try_to_name().map_err(|_| wrong("its name is too long".into()))?;
            let one = Key::new(algorithm, &key.secret, name.clone(), None, None).map_err(|e| wrong(e.to_string()))?;
            if made.keys().any(|(known, _)| *known == name) {
                return Err(wrong("there are two keys of this name".into()));
            }
            made.insert((name, algorithm), Arc::new(one));
        }
        Ok(Keys { known: RwLock::new(Arc::new(made)), seen: Mutex::default() })
    }

    /// Takes the keys of `new` in place of these.
    pub fn exchange(&self, new: Keys) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = new.known.into_inner().unwrap_or_else(PoisonError::into_inner);
    }

    fn known(&self) -> Arc<Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The key of this name.
    pub fn get(&self, name: &str) -> Option<Arc<Key>> {
        let name: KeyName = absolute(name).ok()?.try_to_name().ok()?;
        self.known().iter().find(|((known, _), _)| *known == name).map(|(_, key)| key.clone())
    }

    /// Whether all keys that a zone names are here.
    ///
    /// # Errors
    /// [`DnsError::Zone`] names the first that is not.
    pub fn has_those_of(&self, zone: &ZoneOptions) -> Result<(), DnsError> {
        match zone.named_keys().find(|key| self.get(key).is_none()) {
            None => Ok(()),
            Some(key) => Err(DnsError::Zone { zone: zone.name.clone(), reason: no_key(key) }),
        }
    }

    /// Verifies the request's signature and takes it off. `datagram`: whether it came in one.
    ///
    /// # Errors
    /// [`DnsError::Message`] if the answer to a bad one cannot be assembled.
    pub fn verify(&self, request: &mut Message<Vec<u8>>, now: Time48, source: SocketAddr, datagram: bool) -> Result<Signature, DnsError> {
        let (whole, known) = (request.clone(), self.known());
        let said = whole.get_last_additional::<Tsig<_, _>>().map(|record| record.into_data());
        match ServerSequence::request(&*known, request, now) {
            Ok(None) => Ok(Signature::None),
            Err(error) => {
                let reason = error.error();
                let answer = error.build_message(&whole, builder()).map_err(wrong)?;
                // The crate answers a signature that does not match with the TSIG error FORMERR; RFC 8945 section 5.2.2
                // wants BADSIG.
                if answer.header().rcode() == Rcode::NOTAUTH && reason == TsigRcode::FORMERR {
                    return Ok(Signature::Bad(bad_signature(&whole)?, TsigRcode::BADSIG));
                }
                Ok(Signature::Bad(finished(answer), reason))
            }
            Ok(Some(signer)) => {
                let Some(said) = said else { return Err(DnsError::Message("a signed request without a signature".into())) };
                let (signed, fudge) = (seconds(said.time_signed()), u64::from(said.fudge()));
                let until = signed.saturating_add(fudge);
                if self.replayed(said.mac_slice(), until, seconds(now), datagram.then_some(source)) {
                    let mut again = whole.clone();
                    // The crate alone can sign this error; asked at a time that is too late, it does.
                    return match ServerSequence::request(&*known, &mut again, Time48::from_u64(until.saturating_add(1))) {
                        Err(late) => {
                            Ok(Signature::Bad(finished(late.build_message(&whole, builder()).map_err(wrong)?), TsigRcode::BADTIME))
                        }
                        Ok(_) => Err(DnsError::Message("a replayed request passed".into())),
                    };
                }
                // What was signed is the original ID; what is answered is the one that came.
                request.header_mut().set_id(whole.header().id());
                let key = signer.key().name().to_bytes();
                Ok(Signature::Good(Box::new(signer), key))
            }
        }
    }

    /// Whether this signature was seen before; remembers it.
    fn replayed(&self, mac: &[u8], until: u64, now: u64, datagram: Option<SocketAddr>) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = seen.by_mac.get(mac) {
            return datagram.is_none() || before.datagram != datagram;
        }
        while let Some(oldest) = seen.order.front() {
            let passed = seen.by_mac.get(oldest).is_none_or(|sighting| sighting.until < now);
            if !passed && seen.order.len() < REMEMBERED {
                break;
            }
            if let Some(oldest) = seen.order.pop_front() {
                seen.by_mac.remove(&oldest);
            }
        }
        seen.by_mac.insert(mac.into(), Sighting { until, datagram });
        seen.order.push_back(mac.into());
        false
    }
}

fn seconds(time: Time48) -> u64 {
    let octets = time.into_octets();
    octets.iter().fold(0, |sum, octet| sum << 8 | u64::from(*octet))
}

fn wrong(e: domain::base::message_builder::PushError) -> DnsError {
    DnsError::Message(e.to_string())
}

/// NOTAUTH with the TSIG error BADSIG, unsigned.
fn bad_signature(request: &Message<Vec<u8>>) -> Result<Vec<u8>, DnsError> {
    let Some(record) = request.get_last_additional::<Tsig<_, _>>() else {
        return Err(DnsError::Message("a bad signature that is not there".into()));
    };
    let said = record.data();
    let error = Tsig::new(said.algorithm(), said.time_signed(), said.fudge(), b"", request.header().id(), TsigRcode::BADSIG, b"")
        .map_err(|e| DnsError::Message(e.to_string()))?;
    let mut answer = builder().start_error(request, Rcode::NOTAUTH).additional();
    answer.push((record.owner(), record.class(), record.ttl(), error)).map_err(wrong)?;
    Ok(finished(answer))
}
/// What is said of a key that a zone names and that is not there.
pub fn no_key(name: &str) -> String {
    format!("there is no dns.key \"{name}\"; add it, or correct the name")
}
