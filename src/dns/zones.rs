//! All zones by name: the configured ones, or one for each list when none is configured; and the catalog of them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use domain::base::{Name, Serial as SoaSerial};
use serde_json::Value;

use crate::list::ListId;
use crate::store::Catalog;

use super::DnsError;
use super::catalog::CatalogZone;
use super::keys::Keys;
use super::message::Apex;
use super::options::{DnsOptions, ZoneOptions};
use super::part::Part;
use super::policy::absolute;
use super::shared::Shared;
use super::zone::{Access, Zone};

/// A zone that was found.
#[derive(Clone, Debug)]
pub enum Found {
    /// Of entries, or a part of one.
    Zone(Arc<Zone>, Part),
    /// Of the zones' names (RFC 9432), and these.
    Catalog(Arc<CatalogZone>, Vec<Name<Bytes>>),
}

impl Found {
    /// Its name.
    pub fn name(&self) -> &Name<Bytes> {
        match self {
            Found::Zone(zone, part) => zone.name_of(*part),
            Found::Catalog(catalog, _) => &catalog.name,
        }
    }

    /// The name under which it is configured: of a part that of the zone.
    pub fn configured(&self) -> &Name<Bytes> {
        match self {
            Found::Zone(zone, _) => &zone.name,
            Found::Catalog(catalog, _) => &catalog.name,
        }
    }

    /// Who may have it.
    pub fn access(&self) -> &Access {
        match self {
            Found::Zone(zone, _) => &zone.access,
            Found::Catalog(catalog, _) => &catalog.access,
        }
    }

    /// Its newest serial.
    ///
    /// # Errors
    /// In words, if it cannot be served now.
    pub async fn serial(&self, shared: &Shared) -> Result<SoaSerial, String> {
        match self {
            Found::Zone(zone, part) => zone.stand(shared, *part).await.map(|stand| stand.serial()),
            Found::Catalog(catalog, names) => catalog.serial(shared, names).await,
        }
    }
}

/// Whom to notify of a zone: address and key's name.
pub type Secondary = (std::net::SocketAddr, Option<String>);

/// All zones.
#[derive(Debug)]
pub struct Zones {
    configured: HashMap<Name<Bytes>, (Arc<Zone>, Part)>,
    /// `rpz.ORIGIN.`, when every list has a zone below it.
    below: Option<Name<Bytes>>,
    /// Zones that came to be because somebody asked for a list.
    made: Mutex<HashMap<Name<Bytes>, Arc<Zone>>>,
    /// The catalog.
    pub catalog: Option<Arc<CatalogZone>>,
    /// Whom to notify of what.
    pub notify: Vec<(Name<Bytes>, Vec<Secondary>)>,
    primary: Name<Bytes>,
    refresh: u32,
}

impl Zones {
    /// From what the operator configured.
    ///
    /// # Errors
    /// [`DnsError::Zone`].
    pub fn new(options: &DnsOptions, keys: &Keys) -> Result<Zones, DnsError> {
        let wrong = |zone: &ZoneOptions, reason: String| DnsError::Zone { zone: zone.name.clone(), reason };
        let mut zones = Zones {
            configured: HashMap::new(),
            below: None,
            made: Mutex::default(),
            catalog: None,
            notify: Vec::new(),
            primary: absolute(options.origin.as_str()).map_err(|reason| DnsError::Zone { zone: "the origin".into(), reason })?,
            refresh: options.refresh,
        };
        // Under the configured name it is kept who may have it, and what its serials mean: also of a zone that is only there
        // as its parts.
        let mut sections = HashSet::new();
        for zone in &options.zones {
            let made = Arc::new(Zone::new(zone)?);
            keys.has_those_of(zone)?;
            if !sections.insert(made.name.clone()) {
                return Err(wrong(zone, format!("there are two zones of the name {}", made.name)));
            }
            for (part, name) in made.members() {
                zones.notify.push((name.clone(), zone.notify.clone()));
                if zones.configured.insert(name.clone(), (made.clone(), part)).is_some() {
                    return Err(wrong(zone, format!("there are two zones of the name {name}")));
                }
            }
        }
        if options.zones.is_empty() {
            zones.below =
                Some(absolute(&format!("rpz.{}", options.origin)).map_err(|reason| DnsError::Zone { zone: "rpz".into(), reason })?);
        }
        if let Some(catalog) = &options.catalog {
            let made = CatalogZone::new(catalog)?;
            if sections.contains(&made.name) || zones.configured.contains_key(&made.name) {
                return Err(wrong(catalog, "the catalog zone has the name of another zone".into()));
            }
            keys.has_those_of(catalog)?;
            zones.notify.push((made.name.clone(), catalog.notify.clone()));
            zones.catalog = Some(Arc::new(made));
        }
        Ok(zones)
    }

    /// The zone of this name.
    pub fn find(&self, name: &Name<Bytes>, lists: &Catalog) -> Option<Found> {
        if let Some(catalog) = self.catalog.as_ref().filter(|catalog| catalog.name == *name) {
            return Some(Found::Catalog(catalog.clone(), self.names(lists)));
        }
        match self.configured.get(name) {
            Some((zone, part)) => Some(Found::Zone(zone.clone(), *part)),
            None => self.of_list(name, lists).map(|zone| Found::Zone(zone, Part::WHOLE)),
        }
    }

    /// The zone that is configured under this name, which need not be that of its parts.
    pub fn configured_as(&self, name: &Name<Bytes>, lists: &Catalog) -> Option<Arc<Zone>> {
        let mut configured = self.configured.values().map(|(zone, _)| zone);
        configured.find(|zone| zone.name == *name).cloned().or_else(|| self.of_list(name, lists))
    }

    /// `LIST.rpz.ORIGIN`, if there is such a list.
    fn of_list(&self, name: &Name<Bytes>, lists: &Catalog) -> Option<Arc<Zone>> {
        let below = self.below.as_ref()?;
        let (first, rest) = name.split_first()?;
        if rest != *below {
            return None;
        }
        let id: ListId = std::str::from_utf8(first.as_slice()).ok()?.to_ascii_lowercase().parse().ok()?;
        lists.get(&id)?;
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(zone) = made.get(name) {
            return Some(zone.clone());
        }
        let options = ZoneOptions { name: format!("{}", name.fmt_with_dot()), lists: vec![id], ..ZoneOptions::default() };
        let zone = Arc::new(Zone::new(&options).ok()?);
        // As many as there are lists: names are only made of lists that are published.
        made.insert(name.clone(), zone.clone());
        Some(zone)
    }

    /// What is to be written before the program stops: documents by the names of their zones. Zones of one list alone, as
    /// those that nobody configured, have none.
    pub fn unwritten(&self) -> Vec<(String, Value)> {
        self.configured.values().filter_map(|(zone, _)| zone.unwritten()).collect()
    }

    /// Names of all zones but the catalog, in order.
    pub fn names(&self, lists: &Catalog) -> Vec<Name<Bytes>> {
        let mut names: Vec<Name<Bytes>> = match &self.below {
            None => self.configured.keys().cloned().collect(),
            Some(below) => {
                let below = format!("{}", below.fmt_with_dot());
                lists.all().iter().filter_map(|list| absolute(&format!("{}.{below}", list.meta.id)).ok()).collect()
            }
        };
        names.sort();
        names
    }

    /// What all SOA records say alike.
    pub fn soa(&self) -> String {
        format!("{} {}", self.primary, self.refresh)
    }

    /// What stands in the SOA of a zone.
    pub fn apex(&self, zone: &Name<Bytes>) -> Apex {
        Apex { zone: zone.clone(), primary: self.primary.clone(), refresh: self.refresh }
    }
}
