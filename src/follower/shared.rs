//! What the parts of a running follower share, and the one place where a head that was heard is verified.

use std::{
    collections::{HashMap, VecDeque},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use reqwest::header::HeaderValue;

use crate::list::{Colour, Digest, Serial, Timestamp};
use crate::store::{Clock, Disk, FolderLock};
use crate::trust::{Accepted, Freshness, TrustError, Trusted, VerifiedHead};

use super::client::Client;
use super::fetch::Partial;
use super::index::Indexer;
use super::keyring::KeyRing;
use super::output::{DeliveryNotes, OutputNotes, Outputs};
use super::plan::{HeadFacts, Refused};
use super::state::{AcceptedNote, ListState};
use super::{FollowError, FollowerOptions, ListChoice};

/// Locks, whatever happened to who held it before: every change under these locks is a single assignment or is repaired by
/// reading the files again.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A delta that came with an event.
#[derive(Clone, Debug)]
pub(super) struct Inline {
    pub from: u64,
    pub zstd: Arc<[u8]>,
}

/// The newest verified head of a list, in memory.
#[derive(Debug, Default)]
pub(super) struct Heads {
    /// What a further head is compared with.
    pub accepted: Option<AcceptedNote>,
    /// Number of the key set that is known to vouch for `accepted`.
    pub vouched: u64,
    /// The newest verified ones with the deltas that came along, newest last.
    pub recent: VecDeque<(Arc<VerifiedHead>, Option<Inline>)>,
    /// The entity tag of the newest head at each address, as long as it is of the newest verified one.
    pub etags: HashMap<usize, HeaderValue>,
}

/// What people want to know of a list beside its files.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes {
    pub checked: Option<Timestamp>,
    pub applied: Option<Timestamp>,
    pub error: Option<(Timestamp, String)>,
    /// The last error was one of verification.
    pub refused: bool,
    pub changed: bool,
    /// The content on disk cannot be used as it is.
    pub damaged: bool,
}

/// A copy of what the files hold, so that taking stock waits for no job.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub colour: Option<Colour>,
    pub serial: Option<u64>,
    pub entries: Option<u64>,
    pub root: Option<Digest>,
    pub accepted: Option<u64>,
    pub issued: Option<Timestamp>,
    pub expires: Option<Timestamp>,
}

impl Known {
    pub fn of(state: &ListState) -> Known {
        let head = state.accepted().map(|a| &a.accepted.head);
        Known {
            colour: head.map(|h| h.colour),
            serial: state.serial().map(Serial::get),
            entries: state.entries(),
            root: state.root().map(|r| r.digest),
            accepted: head.map(|h| h.serial.get()),
            issued: head.map(|h| h.issued),
            expires: head.map(|h| h.expires),
        }
    }
}

/// Verified heads that are kept in memory: as many as may come while one delta is applied, and no more.
const RECENT: usize = 16;

impl Heads {
    /// What the accepted head still counts for under this key set: nothing, when the keys that signed it are no longer in it.
    fn claim(&mut self, trusted: &Trusted) -> Option<Accepted> {
        let kept = self.accepted.as_ref()?;
        let number = trusted.keyset().number;
        if self.vouched != number && matches!(trusted.accepted(kept.note.as_bytes()), Ok(None)) {
            return None;
        }
        // A note that cannot be read any more keeps its claim: better one step too careful.
        self.vouched = number;
        Some(kept.accepted.clone())
    }

    /// The head of this serial, and the delta to it that came along; the newest head if that one is no longer there.
    pub fn of(&self, serial: u64) -> Option<(Arc<VerifiedHead>, Option<Inline>)> {
        let mut newest_first = self.recent.iter().rev().filter(|(head, _)| head.head().serial.get() == serial);
        let with_delta = newest_first.clone().find(|(_, inline)| inline.is_some());
        let head = newest_first.next().or(self.recent.back())?;
        Some((head.0.clone(), with_delta.and_then(|(_, inline)| inline.clone())))
    }
}

#[derive(Debug)]
pub(super) struct FollowedList {
    pub choice: ListChoice,
    pub dir: PathBuf,
    pub state: Mutex<ListState>,
    pub heads: Mutex<Heads>,
    pub notes: Mutex<Notes>,
    pub known: Mutex<Known>,
    pub partial: Mutex<Option<Partial>>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub dir: PathBuf,
    /// Held as long as anything of this follower is at work, so that no other process works on the folder.
    pub _lock: FolderLock,
    pub options: FollowerOptions,
    pub client: Client,
    pub clock: Arc<dyn Clock>,
    pub disk: Arc<dyn Disk>,
    pub keyring: tokio::sync::Mutex<KeyRing>,
    pub trusted: RwLock<Option<Arc<Trusted>>>,
    pub keys_checked: Mutex<Option<Timestamp>>,
    pub lists: Vec<FollowedList>,
    /// `None`: no indexes are kept.
    pub indexer: Option<Arc<Indexer>>,
    pub outputs: Outputs,
    /// By output for a filter.
    pub written: Mutex<Vec<OutputNotes>>,
    /// By delivery.
    pub delivered: Mutex<Vec<DeliveryNotes>>,
    /// Number of the status on disk.
    pub status_written: Mutex<u64>,
}

/// What became of a head.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Heard {
    /// It passed every check.
    Verified(HeadFacts),
    /// It is one that is known, or older than one that came by another way while this one was under way.
    Known,
    /// It was refused, and why is noted.
    Refused(Refused),
}

impl Shared {
    pub fn folder_of_list(dir: &Path, choice: &ListChoice) -> PathBuf {
        dir.join("lists").join(choice.id.as_str())
    }

    pub fn trusted(&self) -> Option<Arc<Trusted>> {
        self.trusted.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The serial of the newest head that was accepted, for [`Shared::hear`].
    pub fn accepted_serial(&self, list: usize) -> Option<Serial> {
        lock(&self.lists[list].heads).accepted.as_ref().map(|a| a.accepted.head.serial)
    }

    /// Verifies a head. `asked_at` is what [`Shared::accepted_serial`] was when it was asked for.
    pub fn hear(&self, list: usize, mirror: usize, note: &[u8], inline: Option<Inline>, asked_at: Option<Serial>) -> Heard {
        let Some(trusted) = self.trusted() else { return Heard::Refused(Refused::NeedsKeys) };
        let followed = &self.lists[list];
        let choice = &followed.choice;
        let now = self.clock.now();
        let mut heads = lock(&followed.heads);
        let claim = heads.claim(&trusted);
        // The colour is fixed for ever, whoever signed the first head.
        let colour = choice.colour.or(heads.accepted.as_ref().map(|a| a.accepted.head.colour));
        let verified = trusted.verify_head(note, &choice.id, colour, claim.as_ref(), now);
        let verified = match verified {
            Ok(verified) => verified,
            Err(error) => {
                let known = match &error {
                    TrustError::Superseded { .. } => true,
                    // Overtaken: at the time of the question this was no step back.
                    TrustError::Rollback { offered, .. } => asked_at.is_none_or(|at| *offered >= at) && !heads.recent.is_empty(),
                    _ => false,
                };
                if known && !heads.recent.is_empty() {
                    return Heard::Known;
                }
                if known {
                    return self.recall(list, &mut heads, &trusted);
                }
                drop(heads);
                let why = if matches!(error, TrustError::NewerKeySet { .. }) { Refused::NeedsKeys } else { Refused::Wrong };
                if why == Refused::Wrong {
                    self.shout(list, mirror, &error);
                    self.failed(list, &error.into());
                }
                return Heard::Refused(why);
            }
        };
        // With the claim of what was accepted before, its content may have to go: when this head does not follow it.
        let restart = claim.is_none()
            && heads.accepted.as_ref().is_some_and(|a| {
                let (old, new) = (&a.accepted.head, verified.head());
                new.serial < old.serial || (new.serial == old.serial && new.version_digest() != old.version_digest())
            });
        if restart {
            let (id, serial) = (&choice.id, verified.head().serial);
            tracing::error!(list = %id, %serial, "a signing key was taken out of the key set: what it signed last is let go, and repaired");
            heads.recent.clear();
            lock(&followed.notes).damaged = true;
        }
        Heard::Verified(self.take(list, &mut heads, verified, inline, restart))
    }

    /// Takes a verified head over, under the lock under which it was verified.
    fn take(&self, list: usize, heads: &mut Heads, verified: VerifiedHead, inline: Option<Inline>, restart: bool) -> HeadFacts {
        let now = self.clock.now();
        let head = verified.head();
        let fresh_for = match verified.freshness() {
            Freshness::Fresh => Duration::from_secs(head.expires.since(now)),
            Freshness::Stale => Duration::ZERO,
        };
        let facts = HeadFacts {
            serial: head.serial.get(),
            snapshot_size: head.snapshot.size,
            fresh_for,
            inline_from: inline.as_ref().map(|i| i.from),
            restart,
        };
        if heads.accepted.as_ref().is_none_or(|a| a.accepted.head != *head) {
            heads.etags.clear();
        }
        heads.accepted = Some(AcceptedNote { accepted: Accepted::from(&verified), note: verified.note().to_owned() });
        if heads.recent.len() == RECENT {
            heads.recent.pop_front();
        }
        heads.recent.push_back((Arc::new(verified), inline));
        lock(&self.lists[list].notes).checked = Some(now);
        facts
    }

    /// An address has the version that was accepted before the last restart, by an older signature: the head that is kept is the
    /// one to go by, if it can still be verified.
    fn recall(&self, list: usize, heads: &mut Heads, trusted: &Trusted) -> Heard {
        let choice = &self.lists[list].choice;
        let Some(kept) = heads.accepted.as_ref().map(|a| a.note.clone()) else { return Heard::Known };
        match trusted.verify_head(kept.as_bytes(), &choice.id, choice.colour, None, self.clock.now()) {
            Ok(verified) => Heard::Verified(self.take(list, heads, verified, None, false)),
            Err(error) => {
                self.failed(list, &error.into());
                Heard::Refused(Refused::Wrong)
            }
        }
    }

    /// Rollback and split view are attacks or grave mistakes of a publisher: they are said loudly.
    fn shout(&self, list: usize, mirror: usize, error: &TrustError) {
        let (list, mirror) = (&self.lists[list].choice.id, self.client.name(mirror));
        if error.is_split_view() || matches!(error, TrustError::Rollback { .. }) {
            tracing::error!(%list, %mirror, "{error}");
        } else {
            tracing::warn!(%list, %mirror, "refused a head: {error}");
        }
    }

    /// Remembers an error for the status.
    pub fn failed(&self, list: usize, error: &FollowError) {
        let mut notes = lock(&self.lists[list].notes);
        notes.error = Some((self.clock.now(), error.to_string()));
        notes.refused |= error.is_verification();
    }
}
