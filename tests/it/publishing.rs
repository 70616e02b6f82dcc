//! A publisher in small for tests of what serves: versions made from the formats alone, without the publisher's room.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bwld::feed::{Hub, HubOptions};
use bwld::list::{Change, ChangeSet, Colour, Digest, Entry, ListId, Origin, Serial, Timestamp};
use bwld::store::{ArtefactKind, Artefacts, BaseRef, BaseWriter, Catalog, Content, DeltaRef, FakeClock, ListMeta, PublishedList, RealDisk};
use bwld::trust::SecretKey;
use bwld::wire::{
    Delta, DeltaHeader, Head, KeySet, ListSelection, RootKey, SigningKeyLine, SnapshotHeader, SnapshotRef, SnapshotWriter, bits_for,
    compress,
};

pub const NOW: u64 = 1_795_480_000;

/// One list as it grows.
struct Grown {
    published: Arc<PublishedList>,
    lines: BTreeMap<String, String>,
}

/// Lists, a hub over them, and the keys.
pub struct World {
    pub catalog: Arc<Catalog>,
    pub artefacts: Artefacts,
    pub hub: Arc<Hub>,
    pub clock: Arc<FakeClock>,
    key: SecretKey,
    lists: Mutex<BTreeMap<ListId, Grown>>,
    _dir: tempfile::TempDir,
}

pub fn id(name: &str) -> ListId {
    name.parse().expect("a list name")
}

pub fn serial(n: u64) -> Serial {
    Serial::new(n).expect("a serial")
}

fn origin() -> Origin {
    "lists.example.org".parse().expect("an origin")
}

/// `+domain:a.example`, `~…`, `-…` as changes.
pub fn changes(lines: &[impl AsRef<str>]) -> ChangeSet {
    let mut set = ChangeSet::default();
    for line in lines {
        let (sign, body) = line.as_ref().split_at(1);
        let entry = || body.parse::<Entry>().expect("a canonical entry");
        let change = match sign {
            "+" => Change::Add(entry()),
            "~" => Change::Replace(entry()),
            _ => Change::Remove(body.parse().expect("a canonical rule")),
        };
        set.push(change).expect("changes that compose");
    }
    set
}

impl World {
    pub fn new() -> Arc<World> {
        Self::with(HubOptions::default())
    }

    pub fn with(options: HubOptions) -> Arc<World> {
        let dir = tempfile::tempdir().expect("a folder");
        let artefacts = Artefacts::open(&dir.path().join("artefacts"), Arc::new(RealDisk)).expect("artefacts");
        let catalog = Arc::new(Catalog::default());
        let hub = Hub::new(catalog.clone(), artefacts.clone(), options);
        let key = SecretKey::from_seed("lists.example.org/signing-1", &[7; 32]).expect("a key");
        let clock = Arc::new(FakeClock::at(Timestamp::from_unix(NOW)));
        let world = World { catalog, artefacts, hub, clock, key, lists: Mutex::default(), _dir: dir };
        world.keyset();
        Arc::new(world)
    }

    fn keyset(&self) {
        let root = SecretKey::from_seed("lists.example.org/root-1", &[8; 32]).expect("a key");
        let set = KeySet {
            origin: origin(),
            number: 1,
            previous: None,
            threshold: 1,
            roots: vec![RootKey { name: root.name().into(), key: root.public() }],
            signing: vec![SigningKeyLine {
                name: self.key.name().into(),
                key: self.key.public(),
                from: Timestamp::from_unix(0),
                until: Timestamp::MAX,
                lists: ListSelection::All,
            }],
            issued: Timestamp::from_unix(NOW),
        };
        self.catalog.set_keyset(1, root.sign_note(set.to_text()).encode().into());
    }

    /// Publishes a version: the first one of a list with a snapshot, each further one with a delta. Announces it.
    pub fn publish(&self, name: &str, lines: &[impl AsRef<str>]) -> Arc<PublishedList> {
        let list = self.next(name, lines);
        self.catalog.set(list.clone());
        self.hub.announce(&list.meta.id);
        list
    }

    /// The next version, not yet put into the catalog.
    pub fn next(&self, name: &str, lines: &[impl AsRef<str>]) -> Arc<PublishedList> {
        let (list, set) = (id(name), changes(lines));
        let mut lists = self.lists.lock().expect("no test panicked");
        let before = lists.remove(&list);
        let (mut all, old) = before.map_or((BTreeMap::new(), None), |grown| (grown.lines, Some(grown.published)));
        for change in set.iter() {
            match change {
                Change::Remove(rule) => all.remove(rule.as_str()),
                other => all.insert(other.rule_str().into(), other.body().into()),
            };
        }
        let content = match &old {
            Some(old) => old.content.apply(&set).expect("changes that fit"),
            None if all.len() >= 2_000 => self.bucketed(&list, &all),
            None => Content::empty().apply(&set).expect("changes that fit"),
        };
        let number = old.as_ref().map_or(Serial::FIRST, |o| o.head.serial.next().expect("not the last"));
        let mut deltas = old.as_ref().map_or(Vec::new(), |o| o.deltas.to_vec());
        if let Some(old) = &old {
            deltas.push(self.delta(&list, old.head.serial, set));
        }
        let bases = match &old {
            Some(old) => old.bases.clone(),
            None => Arc::new(vec![self.snapshot(&list, number, &all)]),
        };
        let previous = old.as_ref().map(|o| o.head.version_digest());
        let head = self.head(&list, number, previous, &content, bases.last().expect("a base"), 0);
        let published = Arc::new(PublishedList {
            meta: Arc::new(meta(&list)),
            note: self.sign(&head),
            head: Arc::new(head),
            updated: Timestamp::from_unix(NOW),
            deltas: Arc::new(deltas),
            bases,
            content,
        });
        lists.insert(list, Grown { published: published.clone(), lines: all });
        published
    }

    /// Content with as many buckets as a publisher would choose.
    fn bucketed(&self, list: &ListId, all: &BTreeMap<String, String>) -> Content {
        let mut writer = BaseWriter::new(bits_for(all.len() as u64), self._dir.path());
        all.values().for_each(|line| writer.push(line).expect("a line"));
        let path = self._dir.path().join(format!("{list}.buckets"));
        writer.finish_at(&RealDisk, &path).expect("a bucket file");
        Content::open(&path).expect("the same")
    }

    /// Signs the newest head again, `later` seconds after the first time.
    pub fn resign(&self, name: &str, later: u64) -> Arc<PublishedList> {
        let mut lists = self.lists.lock().expect("no test panicked");
        let grown = lists.get_mut(&id(name)).expect("a list");
        let mut head = (*grown.published.head).clone();
        head.issued = head.issued.plus(later);
        head.expires = head.expires.plus(later);
        let note = self.sign(&head);
        let list = Arc::new(PublishedList { note, head: Arc::new(head), ..(*grown.published).clone() });
        grown.published = list.clone();
        self.catalog.set(list.clone());
        self.hub.announce(&list.meta.id);
        list
    }

    /// Names a snapshot of the newest version in a head that is signed again.
    pub fn rebase(&self, name: &str) {
        {
            let mut lists = self.lists.lock().expect("no test panicked");
            let grown = lists.get_mut(&id(name)).expect("a list");
            let base = self.snapshot(&id(name), grown.published.head.serial, &grown.lines);
            let mut next = (*grown.published).clone();
            let snapshot = SnapshotRef { serial: base.serial, digest: base.snapshot, size: base.snapshot_size };
            next.head = Arc::new(Head { snapshot, ..(*next.head).clone() });
            next.bases = Arc::new(vec![base]);
            grown.published = Arc::new(next);
        }
        self.resign(name, 1);
    }

    /// Forgets the deltas before a serial.
    pub fn drop_deltas(&self, name: &str, before: u64) {
        let mut lists = self.lists.lock().expect("no test panicked");
        let grown = lists.get_mut(&id(name)).expect("a list");
        let kept = grown.published.deltas.iter().filter(|d| d.from.get() >= before).cloned().collect();
        let list = Arc::new(PublishedList { deltas: Arc::new(kept), ..(*grown.published).clone() });
        grown.published = list.clone();
        self.catalog.set(list);
    }

    /// The lines a list has now.
    pub fn lines(&self, name: &str) -> BTreeMap<String, String> {
        self.lists.lock().expect("no test panicked").get(&id(name)).expect("a list").lines.clone()
    }

    fn sign(&self, head: &Head) -> Arc<str> {
        self.key.sign_note(head.to_text()).encode().into()
    }

    fn delta(&self, list: &ListId, from: Serial, set: ChangeSet) -> DeltaRef {
        let to = from.next().expect("not the last");
        let header = DeltaHeader { origin: origin(), list: list.clone(), colour: Colour::Black, from, to };
        let bytes = Delta { header, changes: set }.encode();
        let (digest, zst) = (Digest::of(&bytes), compress(&bytes, 3));
        self.artefacts.put(ArtefactKind::Delta, &digest, &zst).expect("a delta is written");
        DeltaRef { from, digest, size: bytes.len() as u64, zst: zst.len() as u64 }
    }

    fn snapshot(&self, list: &ListId, number: Serial, all: &BTreeMap<String, String>) -> BaseRef {
        let entries = all.len() as u64;
        let header = SnapshotHeader { origin: origin(), list: list.clone(), colour: Colour::Black, serial: number, entries };
        let mut writer = SnapshotWriter::new(Vec::new(), &header).expect("a header");
        all.values().for_each(|line| writer.push(line).expect("a line"));
        let (bytes, digest, size) = writer.finish().expect("a snapshot");
        let zst = compress(&bytes, 3);
        self.artefacts.put(ArtefactKind::Snapshot, &digest, &zst).expect("a snapshot is written");
        BaseRef { serial: number, snapshot: digest, snapshot_size: size, snapshot_zst: zst.len() as u64, buckets: digest, bits: 0, entries }
    }

    fn head(&self, list: &ListId, number: Serial, previous: Option<Digest>, content: &Content, base: &BaseRef, later: u64) -> Head {
        let issued = Timestamp::from_unix(NOW + later);
        Head {
            origin: origin(),
            list: list.clone(),
            colour: Colour::Black,
            serial: number,
            previous,
            root: content.root(),
            entries: content.entries(),
            snapshot: SnapshotRef { serial: base.serial, digest: base.snapshot, size: base.snapshot_size },
            audit: None,
            keyset: 1,
            issued,
            expires: issued.plus(86_400),
        }
    }
}

fn meta(list: &ListId) -> ListMeta {
    ListMeta {
        id: list.clone(),
        colour: Colour::Black,
        title: format!("List {list}"),
        categories: Vec::new(),
        owner: "Test board".into(),
        licence: "CC0-1.0".into(),
        source: "made up".into(),
        review: String::new(),
        created: Timestamp::from_unix(NOW),
    }
}

/// `+domain:<prefix><i>.example` for each `i`.
pub fn additions(prefix: &str, range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|i| format!("+domain:{prefix}{i}.example\tcat=test")).collect()
}
