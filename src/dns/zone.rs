//! A zone: which lists, which of their entries, what is said of them, who may have it.
//!
//! Which versions a serial means, and that no serial is ever given twice, is [`super::numbers`]'s work.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use domain::base::Name;
use domain::base::Serial as SoaSerial;
use ipnet::IpNet;
use tokio::sync::OnceCell;

use crate::list::{Colour, Digest, ListId, Serial};
use crate::store::{Catalog, PublishedList};

use super::DnsError;
use super::numbers::Numbers;
use super::options::ZoneOptions;
use super::owner::{Counts, Selection};
use super::part::{MOST_PARTS, Part};
use super::policy::{Policy, absolute};

/// What one zone is, but for its content.
#[derive(Debug)]
pub struct Zone {
    /// Its name.
    pub name: Name<Bytes>,
    /// Lists in it.
    pub lists: Vec<ListId>,
    /// Entries of them.
    pub selection: Selection,
    /// Names of its parts, if it is divided; else its own.
    names: Vec<Name<Bytes>>,
    /// As configured: word and garden. What it means depends on the lists' colour.
    policy: (Option<String>, Option<String>),
    /// Who may have it.
    pub access: Access,
    /// What its serials mean: known from when it is first asked for.
    pub(super) numbers: OnceCell<Mutex<Numbers>>,
    /// One at a time finds out which parts a new version changes.
    pub(super) turn: tokio::sync::Mutex<()>,
    /// What the last whole walk of each part found: records, and entries left out.
    found: Mutex<Vec<Option<(u64, Counts)>>>,
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

/// The newest versions of a zone's lists.
#[derive(Clone, Debug)]
pub struct Newest {
    /// The lists, in the order of the zone.
    pub lists: Vec<Arc<PublishedList>>,
    /// What is said of every name.
    pub target: Name<Bytes>,
}

impl Newest {
    /// The serials of the lists.
    pub fn serials(&self) -> Vec<Serial> {
        self.lists.iter().map(|list| list.head.serial).collect()
    }
}

/// A zone, or a part of one, at one moment: versions that never change.
#[derive(Clone, Debug)]
pub struct Stand {
    /// Its number: in the SOA modulo 2^32.
    pub number: u64,
    /// The number of these versions of the lists: that of the zone if it is not divided, else not less than the part's.
    pub of_lists: u64,
    /// The versions.
    pub newest: Newest,
}

impl Stand {
    /// As in the SOA.
    pub fn serial(&self) -> SoaSerial {
        soa_serial(self.number)
    }
}

/// A number as an SOA serial: modulo 2^32.
pub fn soa_serial(number: u64) -> SoaSerial {
    SoaSerial(u32::try_from(number & 0xffff_ffff).unwrap_or_default())
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
        if options.parts > MOST_PARTS {
            return Err(wrong(format!("parts is 1 to {MOST_PARTS}")));
        }
        let mut lists = options.lists.clone();
        lists.sort();
        lists.dedup();
        let name = absolute(&options.name).map_err(wrong)?;
        let names = match options.parts {
            0 | 1 => vec![name.clone()],
            parts => (0..parts).map(|number| absolute(&format!("{number}.{name}"))).collect::<Result<_, _>>().map_err(wrong)?,
        };
        Ok(Zone {
            found: Mutex::new(vec![None; names.len()]),
            name,
            lists,
            selection: Selection { categories: options.categories.iter().map(|c| c.as_str().to_owned()).collect() },
            names,
            policy: (options.policy.clone(), options.garden.clone()),
            access: Access::new(options).map_err(wrong)?,
            numbers: OnceCell::new(),
            turn: tokio::sync::Mutex::default(),
        })
    }

    /// Whether the other is told to hold and to say the same, whoever may have it.
    pub fn is_like(&self, other: &Zone) -> bool {
        let sorted = |zone: &Zone| {
            let mut categories = zone.selection.categories.clone();
            categories.sort();
            categories.dedup();
            categories
        };
        self.names == other.names && self.lists == other.lists && self.policy == other.policy && sorted(self) == sorted(other)
    }

    /// How many parts it has; 1: it is not divided.
    pub fn parts(&self) -> u32 {
        u32::try_from(self.names.len()).unwrap_or(MOST_PARTS)
    }

    /// The zones that there are of it: each part and its name.
    pub fn members(&self) -> impl Iterator<Item = (Part, &Name<Bytes>)> {
        let of = self.parts();
        (0..of).zip(&self.names).map(move |(number, name)| (Part { number, of }, name))
    }

    /// The name of a part.
    pub fn name_of(&self, part: Part) -> &Name<Bytes> {
        self.names.get(part.at()).unwrap_or(&self.name)
    }

    /// Octets of its name on the wire; of the longest, if it has parts, so that all of them leave out the same.
    pub fn name_len(&self) -> usize {
        self.names.last().unwrap_or(&self.name).as_slice().len()
    }

    /// What is said of the names, for lists of this colour.
    ///
    /// # Errors
    /// In words.
    pub fn policy(&self, colour: Colour) -> Result<Policy, String> {
        Policy::new(self.policy.0.as_deref(), self.policy.1.as_deref(), colour)
    }

    /// Digest of everything but the lists' content that decides what is in it. `soa` is what its SOA says beside the serial.
    pub fn settings(&self, target: &Name<Bytes>, soa: &str) -> Digest {
        /// To be raised when the same lists and settings come to give other records.
        const FORM: u32 = 1;
        let mut categories = self.selection.categories.clone();
        categories.sort();
        Digest::of(format!("{FORM}\n{:?}\n{categories:?}\n{target}\n{}\n{soa}", self.lists, self.parts()))
    }

    /// The newest versions.
    ///
    /// # Errors
    /// In words: a list is not published, or the lists and the policy do not go together. The zone cannot be served then;
    /// secondaries keep what they have.
    pub fn newest(&self, catalog: &Catalog) -> Result<Newest, String> {
        let mut lists = Vec::with_capacity(self.lists.len());
        for id in &self.lists {
            lists.push(catalog.get(id).ok_or_else(|| format!("list {id} is not published"))?);
        }
        let colour = lists[0].head.colour;
        if lists.iter().any(|list| list.head.colour != colour) {
            return Err("it takes from black and from white lists; make one zone for each colour".into());
        }
        Ok(Newest { lists, target: self.policy(colour)?.target() })
    }

    /// Records but for SOA and NS, as the last whole walk of this part counted them.
    pub fn records(&self, part: Part) -> Option<u64> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.get(part.at()).copied().flatten().map(|(records, _)| records)
    }

    /// Notes what a whole walk found. Whether other entries than before were left out: then it is worth a line in the log.
    pub fn walked(&self, part: Part, records: u64, counts: Counts) -> bool {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(found) = found.get_mut(part.at()) else { return false };
        let before = found.map_or(Counts::default(), |(_, counts)| counts);
        *found = Some((records, counts));
        before != counts && counts.total() > 0
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
}
