//! A zone: which lists, which of their entries, what is said of them, who may have it; and which versions a serial means.
//!
//! # Serials
//!
//! The SOA serial of a zone of one list is the list's serial modulo 2^32 (RFC 1982 arithmetic). Over several lists it is
//! the sum of their serials modulo 2^32: each only grows, so the sum grows with every version of any of them, and since
//! no list ever goes back, equal sums of two moments mean equal versions. Which versions an earlier sum stood for is
//! remembered for as long as the program runs; a secondary with a sum that is not remembered gets the whole zone.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use domain::base::Name;
use domain::base::Serial as SoaSerial;
use ipnet::IpNet;

use crate::list::{Colour, ListId, Serial};
use crate::store::{Catalog, PublishedList};

use super::DnsError;
use super::options::ZoneOptions;
use super::owner::{Counts, Selection};
use super::policy::{Policy, absolute};

/// Earlier combinations of versions that are remembered.
const REMEMBERED: usize = 4_096;

/// What one zone is, but for its content.
#[derive(Debug)]
pub struct Zone {
    /// Its name.
    pub name: Name<Bytes>,
    /// Lists in it.
    pub lists: Vec<ListId>,
    /// Entries of them.
    pub selection: Selection,
    /// As configured: word and garden. What it means depends on the lists' colour.
    policy: (Option<String>, Option<String>),
    /// Who may have it.
    pub access: Access,
    /// The versions that were served, oldest first; the last is the newest.
    history: Mutex<VecDeque<(u64, Vec<Serial>)>>,
    /// What the last whole walk found: records, and entries left out.
    found: Mutex<Option<(u64, Counts)>>,
}

/// Who may have a zone.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Names of keys in wire form, lower case.
    pub keys: Vec<Name<Bytes>>,
    /// Networks.
    pub allow: Vec<IpNet>,
}

impl Access {
    /// From the options.
    ///
    /// # Errors
    /// What is wrong with a key's name, in words.
    pub fn new(options: &ZoneOptions) -> Result<Access, String> {
        let keys = options.keys.iter().map(|key| absolute(key)).collect::<Result<_, _>>()?;
        Ok(Access { keys, allow: options.allow.clone() })
    }

    /// Whether a request from `source`, signed with `key`, may have it.
    pub fn allows(&self, source: IpAddr, key: Option<&Name<Bytes>>) -> bool {
        let source = source.to_canonical();
        let from_there = match (self.allow.is_empty(), self.keys.is_empty()) {
            (true, true) => source.is_loopback(),
            (true, false) => true,
            (false, _) => self.allow.iter().any(|net| net.contains(&source)),
        };
        from_there && (self.keys.is_empty() || key.is_some_and(|key| self.keys.contains(key)))
    }
}

/// A zone at one moment: versions that never change.
#[derive(Clone, Debug)]
pub struct Stand {
    /// Sum of the lists' serials.
    pub sum: u64,
    /// The lists, in the order of the zone.
    pub lists: Vec<Arc<PublishedList>>,
    /// What is said of every name.
    pub target: Name<Bytes>,
}

impl Stand {
    /// As in the SOA.
    pub fn serial(&self) -> SoaSerial {
        soa_serial(self.sum)
    }
}

/// A sum as an SOA serial: modulo 2^32.
pub fn soa_serial(sum: u64) -> SoaSerial {
    SoaSerial(u32::try_from(sum & 0xffff_ffff).unwrap_or_default())
}

/// What a secondary's serial means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Position {
    /// It has the newest version, or says that it has a newer one.
    Current,
    /// It has these versions of the lists; their sum.
    At(u64, Vec<Serial>),
    /// Nobody knows any more.
    Unknown,
}

impl Zone {
    /// A zone from its options.
    ///
    /// # Errors
    /// [`DnsError::Zone`].
    pub fn new(options: &ZoneOptions) -> Result<Zone, DnsError> {
        let wrong = |reason: String| DnsError::Zone { zone: options.name.clone(), reason };
        if options.lists.is_empty() || options.lists.len() > 64 {
            return Err(wrong("name 1 to 64 lists in \"list\" or \"lists\"".into()));
        }
        let mut lists = options.lists.clone();
        lists.sort();
        lists.dedup();
        Ok(Zone {
            name: absolute(&options.name).map_err(wrong)?,
            lists,
            selection: Selection { categories: options.categories.iter().map(|c| c.as_str().to_owned()).collect() },
            policy: (options.policy.clone(), options.garden.clone()),
            access: Access::new(options).map_err(wrong)?,
            history: Mutex::default(),
            found: Mutex::default(),
        })
    }

    /// Octets of its name on the wire.
    pub fn name_len(&self) -> usize {
        self.name.as_slice().len()
    }

    /// What is said of the names, for lists of this colour.
    ///
    /// # Errors
    /// In words.
    pub fn policy(&self, colour: Colour) -> Result<Policy, String> {
        Policy::new(self.policy.0.as_deref(), self.policy.1.as_deref(), colour)
    }

    /// The newest versions.
    ///
    /// # Errors
    /// In words: a list is not published, or the lists and the policy do not go together. The zone cannot be served then;
    /// secondaries keep what they have.
    pub fn stand(&self, catalog: &Catalog) -> Result<Stand, String> {
        // Under the lock, so that of two readings one is later in every list.
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lists = Vec::with_capacity(self.lists.len());
        for id in &self.lists {
            lists.push(catalog.get(id).ok_or_else(|| format!("list {id} is not published"))?);
        }
        let colour = lists[0].head.colour;
        if lists.iter().any(|list| list.head.colour != colour) {
            return Err("it takes from black and from white lists; make one zone for each colour".into());
        }
        let target = self.policy(colour)?.target();
        let serials: Vec<Serial> = lists.iter().map(|list| list.head.serial).collect();
        let sum = serials.iter().fold(0u64, |sum, serial| sum.wrapping_add(serial.get()));
        if history.back().is_none_or(|(newest, _)| *newest != sum) {
            history.push_back((sum, serials));
            if history.len() > REMEMBERED {
                history.pop_front();
            }
        }
        Ok(Stand { sum, lists, target })
    }

    /// Records but for SOA and NS, as the last whole walk counted them.
    pub fn records(&self) -> Option<u64> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).map(|(records, _)| records)
    }

    /// Notes what a whole walk found. Whether other entries than before were left out: then it is worth a line in the log.
    pub fn walked(&self, records: u64, counts: Counts) -> bool {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let before = found.map_or(Counts::default(), |(_, counts)| counts);
        *found = Some((records, counts));
        before != counts && counts.total() > 0
    }

    /// What a secondary at `serial` has, when the newest is `stand`.
    pub fn position(&self, stand: &Stand, serial: SoaSerial) -> Position {
        let behind = stand.serial().into_int().wrapping_sub(serial.into_int());
        if behind == 0 || behind >= 1 << 31 {
            return Position::Current;
        }
        let Some(sum) = stand.sum.checked_sub(u64::from(behind)) else { return Position::Unknown };
        if self.lists.len() == 1 {
            return Serial::new(sum).map_or(Position::Unknown, |serial| Position::At(sum, vec![serial]));
        }
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        match history.iter().rev().find(|(known, _)| *known == sum) {
            Some((_, serials)) => Position::At(sum, serials.clone()),
            None => Position::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_needs_both_where_both_are_set() {
        let key: Name<Bytes> = "isp-a.".parse().expect("a name");
        let other: Name<Bytes> = "isp-b.".parse().expect("a name");
        let far: IpAddr = "192.0.2.9".parse().expect("an address");
        let near: IpAddr = "::ffff:127.0.0.1".parse().expect("an address");
        let net: Vec<IpNet> = vec!["192.0.2.0/24".parse().expect("a network")];
        let nobody = Access::default();
        assert!(nobody.allows(near, None) && !nobody.allows(far, None));
        let keyed = Access { keys: vec![key.clone()], allow: vec![] };
        assert!(keyed.allows(far, Some(&key)) && !keyed.allows(far, Some(&other)) && !keyed.allows(near, None));
        let both = Access { keys: vec![key.clone()], allow: net.clone() };
        assert!(both.allows(far, Some(&key)) && !both.allows(far, None) && !both.allows(near, Some(&key)));
        let listed = Access { keys: vec![], allow: net };
        assert!(listed.allows(far, None) && !listed.allows(near, None));
    }

    #[test]
    fn serials_wrap() {
        assert_eq!(soa_serial(0x1_0000_0003), SoaSerial(3));
        let options = ZoneOptions { name: "a.example".into(), lists: vec!["a".parse().expect("a name")], ..ZoneOptions::default() };
        let zone = Zone::new(&options).expect("a zone");
        let stand = Stand { sum: 0x1_0000_0003, lists: vec![], target: Policy::NxDomain.target() };
        assert_eq!(zone.position(&stand, SoaSerial(3)), Position::Current);
        assert_eq!(zone.position(&stand, SoaSerial(4)), Position::Current, "newer than ours");
        let before = Serial::new(0xffff_ffff).expect("a serial");
        assert_eq!(zone.position(&stand, SoaSerial(0xffff_ffff)), Position::At(0xffff_ffff, vec![before]));
        let small = Stand { sum: 3, ..stand };
        assert_eq!(zone.position(&small, SoaSerial(0xffff_ffff)), Position::Unknown, "before the first");
    }
}
