//! What the publisher knows of each list while it runs, and how it comes to know it at a start.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::list::{Digest, ListId, Serial, Timestamp};
use crate::store::{ArtefactKind, Artefacts, Content, DeltaRef, ListMeta, ListState, PublishedList, VersionRecord};
use crate::wire::{Delta, Head, MAX_HEAD, Note, decompress};

use super::changes::Staged;
use super::policy::Demands;
use super::{PublishError, Publisher};

/// A list, with the lock under which everything about it is changed.
///
/// That lock is held as long as an import merges or a publication writes. What anybody may ask for stands beside it, so that
/// nobody who asks has to wait.
pub(super) struct Slot {
    pub(super) id: ListId,
    state: Mutex<State>,
    /// The same as in the state; held only to look or to exchange it.
    demands: RwLock<Arc<Demands>>,
    /// The same as in the state, which a start finds and nothing changes.
    out_of_service: Option<String>,
}

impl Slot {
    pub(super) fn new(state: State) -> Slot {
        let (demands, out_of_service) = (RwLock::new(state.demands.clone()), state.out_of_service.clone());
        Slot { id: state.meta.id.clone(), state: Mutex::new(state), demands, out_of_service }
    }

    /// What the list demands of its publications. Waits for nobody.
    pub(super) fn demands(&self) -> Arc<Demands> {
        self.demands.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets that; `state` is this slot's.
    pub(super) fn set_demands(&self, state: &mut State, demands: Demands) {
        state.demands = Arc::new(demands);
        *self.demands.write().unwrap_or_else(PoisonError::into_inner) = state.demands.clone();
    }

    /// Why the list is not served, if it is not. Waits for nobody.
    pub(super) fn out_of_service(&self) -> Option<&str> {
        self.out_of_service.as_deref()
    }

    /// A panic of somebody who held the lock leaves a state that is whole: it is only ever replaced after a commit.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A list.
pub(super) struct State {
    pub(super) meta: Arc<ListMeta>,
    /// What it demands of its publications.
    pub(super) demands: Arc<Demands>,
    pub(super) published: Option<Arc<PublishedList>>,
    pub(super) staged: Option<Staged>,
    /// Serials go on above this one.
    pub(super) floor: Option<Serial>,
    /// Serial and version digest of the last version there ever was, also before a removal.
    pub(super) last: Option<(Serial, Digest)>,
    /// When each of the kept deltas was made; as many as `published.deltas`.
    pub(super) delta_times: VecDeque<Timestamp>,
    /// Why it is not served, if it is not.
    pub(super) out_of_service: Option<String>,
    /// It was removed while somebody waited for its lock.
    removed: bool,
}

impl State {
    pub(super) fn new(meta: ListMeta) -> State {
        State {
            meta: Arc::new(meta),
            demands: Arc::default(),
            published: None,
            staged: None,
            floor: None,
            last: None,
            delta_times: VecDeque::new(),
            out_of_service: None,
            removed: false,
        }
    }

    /// Leaves nothing that somebody who has waited for the lock could publish, sign again or put into the catalog.
    pub(super) fn remove(&mut self) {
        (self.published, self.staged, self.removed) = (None, None, true);
    }

    /// Refuses what cannot be done to a list that is not there any more.
    pub(super) fn not_removed(&self) -> Result<(), PublishError> {
        if self.removed { Err(PublishError::NoList(self.meta.id.clone())) } else { Ok(()) }
    }

    /// Entries of the newest version.
    pub(super) fn entries(&self) -> u64 {
        self.published.as_ref().map_or(0, |p| p.content.entries())
    }

    /// Refuses what cannot be done to a list that is out of service, or not there any more.
    pub(super) fn in_service(&self) -> Result<(), PublishError> {
        self.not_removed()?;
        match &self.out_of_service {
            Some(reason) => Err(PublishError::OutOfService { list: self.meta.id.clone(), reason: reason.clone() }),
            None => Ok(()),
        }
    }

    /// Whether the head is to be signed again.
    pub(super) fn due(&self, publisher: &Publisher) -> bool {
        let Some(published) = &self.published else { return false };
        let number = publisher.keyset.read().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(0, |k| k.keyset().number);
        let head = &published.head;
        let now = publisher.clock.now();
        head.keyset < number || now.since(head.issued) >= publisher.options.renew_after.max(1) || now >= head.expires
    }

    /// Everything the store knows of a list, with its content rebuilt and compared with its head.
    pub(super) fn open(publisher: &Publisher, known: ListState) -> State {
        let artefacts = publisher.store.artefacts();
        let mut state = State::new(known.meta.clone());
        state.floor = known.floor;
        state.last = known.last;
        match Demands::load(&publisher.store, &known.meta.id) {
            Ok(demands) => state.demands = Arc::new(demands),
            // Without it nothing tells what may be published.
            Err(e) => state.out_of_service = Some(e.to_string()),
        }
        if let Some((digest, _)) = known.staged {
            match Staged::load(artefacts, digest) {
                Ok(staged) => state.staged = Some(staged),
                Err(e) => state.out_of_service = Some(format!("its staged changes cannot be read ({e})")),
            }
        }
        if known.newest.is_some() {
            match published_of(publisher, &known) {
                Ok((published, times)) => {
                    state.published = Some(Arc::new(published));
                    state.delta_times = times;
                }
                Err(reason) => state.out_of_service = Some(reason),
            }
        }
        state
    }
}

/// Rebuilds what is published: base, deltas since, root compared with the head's.
fn published_of(publisher: &Publisher, known: &ListState) -> Result<(PublishedList, VecDeque<Timestamp>), String> {
    let artefacts = publisher.store.artefacts();
    let newest = known.newest.as_ref().ok_or("nothing is published")?;
    let head = read_head(&newest.head).map_err(|e| format!("its head cannot be read ({e})"))?;
    let versions = kept_versions(publisher, known).map_err(|e| format!("its versions cannot be read ({e})"))?;
    let deltas: Vec<DeltaRef> = versions.iter().filter_map(delta_ref).collect();
    let times = versions.iter().map(|v| v.at).collect();

    let base = artefacts.path(ArtefactKind::Buckets, &newest.base.buckets);
    let content = Content::open(&base).map_err(|e| format!("its base cannot be opened ({e})"))?;
    let since = deltas.iter().filter(|d| d.from >= newest.base.serial);
    let content = replay(artefacts, content, since).map_err(|e| format!("its deltas do not lead to its head ({e})"))?;
    if content.root() != head.root || content.entries() != head.entries {
        return Err(format!("its content has {}, its head says {}", content.root().digest, head.root.digest));
    }
    let published = PublishedList {
        meta: Arc::new(known.meta.clone()),
        note: newest.head.as_str().into(),
        head: Arc::new(head),
        updated: newest.version.at,
        deltas: Arc::new(deltas),
        bases: Arc::new(known.previous_base.iter().chain([&newest.base]).cloned().collect()),
        content,
    };
    Ok((published, times))
}

/// The text of a head note of one's own.
pub(super) fn read_head(note: &str) -> Result<Head, PublishError> {
    Ok(Head::parse(&Note::parse(note.as_bytes(), MAX_HEAD)?.text)?)
}

pub(super) fn delta_ref(version: &VersionRecord) -> Option<DeltaRef> {
    let delta = version.delta.as_ref()?;
    let from = Serial::new(version.serial.get() - 1)?;
    Some(DeltaRef { from, digest: delta.digest, size: delta.size, zst: delta.zst })
}

/// The versions whose deltas are kept and lead without a gap to the newest, oldest first.
fn kept_versions(publisher: &Publisher, known: &ListState) -> Result<Vec<VersionRecord>, PublishError> {
    let mut kept: Vec<VersionRecord> = Vec::new();
    let mut before = None;
    loop {
        let page = publisher.store.versions(&known.meta.id, before, 256)?;
        let Some(last) = page.last() else { break };
        before = Some(last.serial);
        for version in page {
            let from = version.serial.get() - 1;
            let joined = kept.last().is_none_or(|newer| newer.serial.get() == version.serial.get() + 1);
            if version.delta.is_none() || !joined || known.deltas_from.is_some_and(|first| from < first.get()) {
                kept.reverse();
                return Ok(kept);
            }
            kept.push(version);
        }
    }
    kept.reverse();
    Ok(kept)
}

/// `content` after these deltas.
pub(super) fn replay<'a>(
    artefacts: &Artefacts,
    mut content: Content,
    deltas: impl Iterator<Item = &'a DeltaRef>,
) -> Result<Content, PublishError> {
    for delta in deltas {
        content = content.apply(&read_delta(artefacts, delta)?.changes)?;
    }
    Ok(content)
}

/// A delta that is kept; its digest is compared.
pub(super) fn read_delta(artefacts: &Artefacts, delta: &DeltaRef) -> Result<Delta, PublishError> {
    let stored = artefacts.read(ArtefactKind::Delta, &delta.digest, delta.zst)?;
    let bytes = decompress("delta", &stored, delta.size)?;
    if Digest::of(&bytes) != delta.digest {
        let reason = format!("the delta from {} is damaged; restore it from a backup or a mirror", delta.from);
        return Err(PublishError::Io(std::io::Error::new(std::io::ErrorKind::InvalidData, reason)));
    }
    Ok(Delta::parse(&bytes)?)
}
