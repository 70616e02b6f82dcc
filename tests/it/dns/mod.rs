//! Zones: what they hold, how they are transferred, signed, notified of and refused.

mod model;
mod notify;
mod programs;
mod reload;
mod serials;
mod shares;
mod sockets;
mod storms;
mod wire;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use bwld::dns::{DnsOptions, KeyOptions, Limits, Reply, Service, Transport, ZoneOptions};
use bwld::feed::{Hub, HubOptions};
use bwld::list::{Attributes, Colour, Entry, ListId};
use bwld::publisher::{ChangeRequest, NewList, PublishRequest, Publisher, PublisherOptions, PutEntry};
use bwld::store::{Catalog, FakeClock, IndexKind, RealDisk, Store, StoreOptions};
use domain::base::iana::Class;
use domain::base::{Message, MessageBuilder, Name, Rtype, Serial, ToName, Ttl};
use domain::rdata::{AllRecordData, Soa};

use crate::signed;

/// A publisher whose lists are zones.
pub struct World {
    pub publisher: Publisher,
    pub hub: Arc<Hub>,
    pub store: Arc<Store>,
    pub clock: Arc<FakeClock>,
    dir: tempfile::TempDir,
}

pub const SECRET: [u8; 32] = [7; 32];

impl World {
    pub fn new(lists: &[(&str, Colour)]) -> World {
        let world = World::open(tempfile::tempdir().unwrap(), Arc::new(FakeClock::at(signed::now())));
        world.publisher.activate_keyset(&signed::note(&signed::keyset_1().to_text(), &["root-a", "root-b"]), "test").unwrap();
        for (id, colour) in lists {
            let none = String::new;
            let (id, title) = (id.parse().unwrap(), (*id).to_owned());
            let new =
                NewList { id, colour: *colour, title, categories: vec![], owner: none(), licence: none(), source: none(), review: none() };
            world.publisher.create_list(new, "test").unwrap();
        }
        world
    }

    /// What lies in a folder, as a start finds it.
    fn open(dir: tempfile::TempDir, clock: Arc<FakeClock>) -> World {
        let store = StoreOptions { index: IndexKind::Memory, ..StoreOptions::default() };
        let (store, _) = Store::open(dir.path(), store, Arc::new(RealDisk), &mut |_| {}).unwrap();
        let (store, catalog) = (Arc::new(store), Arc::new(Catalog::default()));
        let hub = Hub::new(catalog.clone(), store.artefacts().clone(), HubOptions::default());
        let mut options = PublisherOptions::new(signed::origin());
        (options.guard_percent, options.guard_entries) = (10_000, 1_000_000);
        let told = hub.clone();
        let announce = Box::new(move |id: &ListId| told.announce(id));
        let publisher = Publisher::open(store.clone(), catalog, options, signed::key("signing-1"), clock.clone(), announce).unwrap();
        World { publisher, hub, store, clock, dir }
    }

    /// Stops and starts the publisher. Nothing else may hold its store.
    pub fn restarted(self) -> World {
        let World { publisher, hub, store, clock, dir } = self;
        drop((publisher, hub, store));
        World::open(dir, clock)
    }

    /// Stages lines to put and rules to remove, and publishes.
    pub fn publish(&self, list: &str, put: &[impl AsRef<str>], remove: &[impl AsRef<str>]) {
        let put = put.iter().map(|line| {
            let entry: Entry = line.as_ref().parse().unwrap();
            PutEntry {
                rule: entry.rule_str().into(),
                attributes: if entry.line().contains('\t') { entry.attributes() } else { Attributes::default() },
            }
        });
        let request = ChangeRequest { put: put.collect(), remove: remove.iter().map(|r| r.as_ref().into()).collect(), dry_run: false };
        let id = list.parse().unwrap();
        let view = self.publisher.stage(&id, &request, "test").unwrap();
        assert!(view.refused.is_empty(), "{:?}", view.refused);
        self.publisher.publish(&id, &PublishRequest::default(), "test").unwrap();
    }

    pub fn service(&self, options: &DnsOptions) -> Arc<Service> {
        Service::new(options, self.hub.clone(), self.store.clone(), self.clock.clone()).unwrap()
    }
}

pub fn options(zones: Vec<ZoneOptions>) -> DnsOptions {
    DnsOptions {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        tls_listen: vec![],
        origin: signed::origin(),
        zones,
        keys: vec![KeyOptions { name: "isp-a".into(), algorithm: "hmac-sha256".into(), secret: SECRET.to_vec().into() }],
        catalog: None,
        refresh: 60,
        limits: Limits::default(),
    }
}

pub fn zone(name: &str, lists: &[&str], categories: &[&str]) -> ZoneOptions {
    ZoneOptions {
        name: name.into(),
        lists: lists.iter().map(|l| l.parse().unwrap()).collect(),
        categories: categories.iter().map(|c| c.parse().unwrap()).collect(),
        ..ZoneOptions::default()
    }
}

/// How many requests had this outcome.
pub fn counted(service: &Service, outcome: &str) -> u64 {
    let (mut registry, mut text) = (prometheus_client::registry::Registry::default(), String::new());
    service.metrics().register(&mut registry);
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("requests_total{{outcome=\"{outcome}\"}} ")));
    line.map_or(0, |number| number.parse().unwrap())
}

pub fn here() -> SocketAddr {
    "127.0.0.1:4000".parse().unwrap()
}

/// A question, with the serial that an increment is to begin at.
pub fn question(zone: &str, kind: Rtype, serial: Option<u32>) -> Vec<u8> {
    let name: Name<Vec<u8>> = zone.parse().unwrap();
    let mut message = MessageBuilder::new_vec();
    message.header_mut().set_id(4711);
    let mut message = message.question();
    message.push((&name, kind)).unwrap();
    let mut message = message.authority();
    if let Some(serial) = serial {
        let zero = Ttl::ZERO;
        message
            .push((&name, Class::IN, zero, Soa::new(Name::root_ref(), Name::root_ref(), Serial(serial), zero, zero, zero, zero)))
            .unwrap();
    }
    message.finish()
}

/// The answer, all messages of it.
pub async fn ask(service: &Arc<Service>, question: &[u8], transport: Transport) -> Vec<Message<Vec<u8>>> {
    let read = |bytes: Vec<u8>| {
        assert_eq!(usize::from(u16::from_be_bytes([bytes[0], bytes[1]])), bytes.len() - 2, "the length before it");
        Message::from_octets(bytes[2..].to_vec()).unwrap()
    };
    match service.answer(question, here(), transport).await {
        Reply::Nothing => vec![],
        Reply::One(bytes) => vec![read(bytes)],
        Reply::Many(mut messages) => {
            let mut all = Vec::new();
            while let Some(bytes) = messages.recv().await {
                all.push(read(bytes.unwrap()));
            }
            all
        }
    }
}

/// A record of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    Soa(u32),
    Ns,
    /// Owner and target.
    Says(String, String),
}

/// The records of the answer sections.
pub fn records(messages: &[Message<Vec<u8>>]) -> Vec<Record> {
    let mut all = Vec::new();
    for message in messages {
        for record in message.answer().unwrap().limit_to::<AllRecordData<_, _>>() {
            let record = record.unwrap();
            all.push(match record.data() {
                AllRecordData::Soa(soa) => Record::Soa(soa.serial().into_int()),
                AllRecordData::Ns(_) => Record::Ns,
                AllRecordData::Cname(cname) => {
                    Record::Says(record.owner().fmt_with_dot().to_string(), cname.cname().fmt_with_dot().to_string())
                }
                AllRecordData::Ptr(ptr) => Record::Says("member".into(), ptr.ptrdname().fmt_with_dot().to_string()),
                other => Record::Says(record.owner().fmt_with_dot().to_string(), format!("{other:?}")),
            });
        }
    }
    all
}

/// What a secondary has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secondary {
    pub serial: u32,
    pub zone: BTreeSet<(String, String)>,
}

/// How a transfer answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Got {
    Current,
    Whole,
    Step,
}

impl Secondary {
    /// Takes a transfer in, as strictly as name servers do: what is deleted must be there, what is added must not.
    pub fn take(&mut self, messages: &[Message<Vec<u8>>]) -> Got {
        let all = records(messages);
        let Some(Record::Soa(newest)) = all.first().cloned() else { panic!("{all:?}") };
        if all.len() == 1 {
            return Got::Current;
        }
        assert_eq!(all.last(), Some(&Record::Soa(newest)), "the end");
        let inner = &all[1..all.len() - 1];
        self.serial = if let Some(Record::Soa(from)) = inner.first() {
            assert_eq!(*from, self.serial);
            let middle = inner.iter().rposition(|r| matches!(r, Record::Soa(_))).unwrap();
            assert_eq!(inner[middle], Record::Soa(newest));
            for record in &inner[1..middle] {
                let Record::Says(owner, target) = record else { panic!("{record:?} in the middle") };
                assert!(self.zone.remove(&(owner.clone(), target.clone())), "{owner} is deleted and was not there");
            }
            self.add(&inner[middle + 1..]);
            self.serial = newest;
            return Got::Step;
        } else {
            newest
        };
        self.zone.clear();
        assert_eq!(inner[0], Record::Ns);
        self.add(&inner[1..]);
        Got::Whole
    }

    fn add(&mut self, records: &[Record]) {
        for record in records {
            let Record::Says(owner, target) = record else { panic!("{record:?} among the names") };
            assert!(self.zone.insert((owner.clone(), target.clone())), "{owner} comes twice");
        }
    }
}
