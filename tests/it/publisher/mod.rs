//! The publisher on a store of its own: what it stages, publishes, refuses, keeps and finds again.

mod guards;
mod import;
mod locks;
mod maintain;
mod model;
mod refused;
mod stage;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bwld::list::{Colour, ListId, Timestamp};
use bwld::publisher::{
    ChangeRequest, NewList, Protected, PublishError, PublishReport, PublishRequest, Publisher, PublisherOptions, PutEntry, StagedView,
};
use bwld::store::{Catalog, Disk, FakeClock, IndexKind, PublishedList, RealDisk, Store, StoreOptions};
use bwld::trust::Trusted;
use bwld::wire::{Delta, decompress};

use crate::signed;

const STORE: StoreOptions = StoreOptions { index: IndexKind::Memory, segment_size: 1 << 20, checkpoint_after: 1 << 40, flush_every: 512 };

/// A publisher in a folder, with everything around it that a test looks at.
pub struct House {
    pub publisher: Publisher,
    pub catalog: Arc<Catalog>,
    pub store: Arc<Store>,
    pub clock: Arc<FakeClock>,
    pub announced: Arc<Mutex<Vec<ListId>>>,
}

pub fn options() -> PublisherOptions {
    let mut options = PublisherOptions::new(signed::origin());
    options.protected = Protected::parse("protected.example\n").unwrap();
    options
}

impl House {
    pub fn open(dir: &Path) -> House {
        House::open_on(dir, Arc::new(RealDisk), options(), signed::now()).unwrap()
    }

    pub fn open_on(dir: &Path, disk: Arc<dyn Disk>, options: PublisherOptions, now: Timestamp) -> Result<House, PublishError> {
        House::open_hearing(dir, disk, options, now, |_| ())
    }

    /// `hears` is called behind the commit of each version, before anything else is done.
    pub fn open_hearing(
        dir: &Path,
        disk: Arc<dyn Disk>,
        options: PublisherOptions,
        now: Timestamp,
        hears: impl Fn(&ListId) + Send + Sync + 'static,
    ) -> Result<House, PublishError> {
        let (store, _) = Store::open(dir, STORE, disk, &mut |_| {})?;
        let (store, catalog) = (Arc::new(store), Arc::new(Catalog::default()));
        let clock = Arc::new(FakeClock::at(now));
        let announced: Arc<Mutex<Vec<ListId>>> = Arc::default();
        let heard = announced.clone();
        let publisher = Publisher::open(
            store.clone(),
            catalog.clone(),
            options,
            signed::key("signing-1"),
            clock.clone(),
            Box::new(move |id| {
                heard.lock().unwrap().push(id.clone());
                hears(id);
            }),
        )?;
        if catalog.keyset(None).is_none() {
            publisher.activate_keyset(&signed::note(&signed::keyset_1().to_text(), &["root-a", "root-b"]), "test")?;
        }
        Ok(House { publisher, catalog, store, clock, announced })
    }

    /// With a black list `test`.
    pub fn with_list(dir: &Path) -> House {
        let house = House::open(dir);
        house.create("test", Colour::Black, &[]);
        house
    }

    pub fn create(&self, id: &str, colour: Colour, categories: &[&str]) {
        let new = NewList {
            id: id.parse().unwrap(),
            colour,
            title: format!("List {id}"),
            categories: categories.iter().map(|c| c.parse().unwrap()).collect(),
            owner: String::new(),
            licence: String::new(),
            source: String::new(),
            review: String::new(),
        };
        self.publisher.create_list(new, "test").unwrap();
    }

    pub fn try_stage(&self, put: &[&str], remove: &[&str]) -> Result<StagedView, PublishError> {
        self.publisher.stage(&test(), &request(put, remove), "test")
    }

    pub fn stage(&self, put: &[&str], remove: &[&str]) -> StagedView {
        self.try_stage(put, remove).unwrap()
    }

    pub fn try_publish(&self, force: &[&str]) -> Result<PublishReport, PublishError> {
        let force = force.iter().map(|f| (*f).to_owned()).collect();
        self.publisher.publish(&test(), &PublishRequest { reason: "why".into(), force, dry_run: false }, "test")
    }

    pub fn publish(&self) -> PublishReport {
        self.try_publish(&[]).unwrap()
    }

    pub fn published(&self) -> Arc<PublishedList> {
        self.catalog.get(&test()).unwrap()
    }

    /// The list's lines, by export.
    pub fn lines(&self) -> Vec<String> {
        let mut out = Vec::new();
        self.publisher.export(&test(), &mut out).unwrap();
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    /// Everything that must hold after any publication: head verified as a follower does, content and exports agree,
    /// deltas lead without gap to the head, and `check` finds nothing.
    pub fn assert_sound(&self) {
        for published in self.catalog.all() {
            let (number, note) = self.catalog.keyset(None).unwrap();
            let trusted = trusted(number, &note, &self.catalog);
            let id = &published.meta.id;
            let verified = trusted.verify_head(published.note.as_bytes(), id, None, None, now_of(self)).unwrap();
            assert_eq!(verified.head(), &*published.head);
            assert_eq!(published.content.root(), published.head.root);
            let base = published.bases.last().unwrap();
            assert_eq!((base.serial, base.snapshot), (published.head.snapshot.serial, published.head.snapshot.digest));
            let mut at = published.deltas.first().map_or(published.head.serial, |d| d.from);
            assert!(at <= base.serial.max(at), "deltas lead on from the base");
            for delta in published.deltas.iter() {
                assert_eq!(delta.from, at);
                at = at.next().unwrap();
            }
            assert_eq!(at, published.head.serial);
            assert!(published.deltas.first().map_or(published.head.serial, |d| d.from) <= base.serial);
        }
        let report = self.publisher.check();
        assert_eq!(report.problems, Vec::<String>::new());
    }

    /// The change lines of the delta from `from`.
    pub fn delta(&self, from: u64) -> Vec<String> {
        let published = self.published();
        let delta = published.deltas.iter().find(|d| d.from.get() == from).unwrap();
        let stored = self.store.artefacts().read(bwld::store::ArtefactKind::Delta, &delta.digest, 1 << 20).unwrap();
        let delta = Delta::parse(&decompress("delta", &stored, delta.size).unwrap()).unwrap();
        delta.changes.iter().map(|c| format!("{}{}", c.sign(), c.body())).collect()
    }
}

fn now_of(house: &House) -> Timestamp {
    bwld::store::Clock::now(&*house.clock)
}

fn trusted(number: u64, note: &str, catalog: &Catalog) -> Trusted {
    if number == 1 {
        return Trusted::self_signed_for_tofu(note.as_bytes()).unwrap();
    }
    let (before, earlier) = catalog.keyset(Some(number - 1)).unwrap();
    trusted(before, &earlier, catalog).advance(note.as_bytes()).unwrap()
}

pub fn test() -> ListId {
    "test".parse().unwrap()
}

/// `rule` or `rule<TAB>cat=..` or `rule<TAB>ref=..` as in an entry line.
pub fn request(put: &[&str], remove: &[&str]) -> ChangeRequest {
    let put = put.iter().map(|line| {
        let (rule, attributes) = line.split_once('\t').unwrap_or((line, ""));
        let given: BTreeMap<&str, &str> = attributes.split('\t').filter_map(|a| a.split_once('=')).collect();
        let mut attributes = bwld::list::Attributes::default();
        if let Some(categories) = given.get("cat") {
            attributes.categories = categories.split(',').map(|c| c.parse().unwrap()).collect();
        }
        attributes.reference = given.get("ref").map(|r| (*r).to_owned());
        PutEntry { rule: rule.to_owned(), attributes }
    });
    ChangeRequest { put: put.collect(), remove: remove.iter().map(|r| (*r).to_owned()).collect(), dry_run: false }
}

/// An entry line without its reference.
pub fn plain(line: &str) -> String {
    line.split('\t').filter(|part| !part.starts_with("ref=")).collect::<Vec<_>>().join("\t")
}

pub fn plains(lines: &[String]) -> Vec<String> {
    lines.iter().map(|line| plain(line)).collect()
}
