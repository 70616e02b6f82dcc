//! One list on disk: the newest accepted head, and content as a base and a log of what was applied since.
//!
//! # Order of writes, and what a crash leaves
//!
//! *A delta*: verified and applied in memory, root compared; one frame (head and delta) appended and fsynced: the commit
//! point; then used. A crash before the frame is whole leaves the old version, and the next head brings the delta again; a
//! torn frame is cut off at opening.
//!
//! *A new base* (snapshot, repair, fold): written in `new-*.tmp/` and fsynced; content compared with the signed root; its log
//! begun in the same folder; the folder renamed to `gNNNNNNNN`: the commit point; the parent folder fsynced; older generations
//! removed. A crash before the rename leaves a folder that the next start removes; after it, two generations, of which the
//! next start takes the higher and removes the other.
//!
//! *An accepted head* is in the log before anything else is done about it. A second copy in `accepted.note` is not fsynced
//! while there is a log: it is there to remember the highest serial should the log be damaged.
//!
//! Guarantees: what [`ListState::apply`], [`ListState::install`] and [`ListState::accept`] returned is there after SIGKILL and
//! power loss; nothing is written before the root was compared. It verifies no signature: it takes [`VerifiedHead`]s only.

mod frames;
mod generation;
mod load;
mod rebuild;
mod since;
#[cfg(test)]
mod tests;
mod view;

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::list::{ListId, Serial};
use crate::store::{Content, Disk, Journal, JournalOptions, create_folder, write_file_atomic};
use crate::trust::{Accepted, VerifiedHead};
use crate::wire::{Delta, Head, Root, decompress};

use super::FollowError;

pub use frames::{Frame, KIND};
pub use generation::{BaseMeta, NewBase};
pub(super) use generation::{buckets_in, from_download, from_lines, log_in, numbers_in, read_meta, snapshot_in};
pub use load::Found;
pub(super) use load::head_of;
use view::rebase;
pub use view::{Sorted, View, fold};

/// Largest delta that goes into the log, compressed; a larger one makes a new base.
const MAX_LOGGED: usize = 8 << 20;
/// The log is folded when it is larger than this and than a quarter of the base.
const LEAST_FOLD: u64 = 256 << 10;

/// The least delta limit of the protocol, uncompressed (section 11).
pub const LEAST_DELTA_LIMIT: u64 = 65_536;

/// Uncompressed octets a delta may have under this head.
pub fn delta_limit(head: &Head) -> u64 {
    head.snapshot.size.max(LEAST_DELTA_LIMIT)
}

/// A head that was verified once, and the note it came as.
#[derive(Clone, Debug)]
pub struct AcceptedNote {
    /// For verifying the next.
    pub accepted: Accepted,
    /// As it travelled.
    pub note: String,
}

/// Content and where it stands.
#[derive(Debug)]
struct Current {
    folder: PathBuf,
    number: u64,
    meta: BaseMeta,
    content: Content,
    serial: Serial,
    /// A head of this version, and its note; none only after the log was damaged.
    head: Option<(Head, String)>,
    journal: Journal,
    /// Octets of deltas in the log.
    logged: u64,
    /// Frames appended since a fold began.
    since_fold: Option<Vec<Vec<u8>>>,
}

/// One list on disk.
#[derive(Debug)]
pub struct ListState {
    id: ListId,
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    accepted: Option<AcceptedNote>,
    current: Option<Current>,
}

impl ListState {
    /// Opens the list's folder, which is made if it is not there, and says what was found.
    ///
    /// # Errors
    /// [`FollowError`] of the file system. Damage is no error but part of [`Found`].
    pub fn open(dir: &Path, id: &ListId, disk: Arc<dyn Disk>) -> Result<(ListState, Found), FollowError> {
        create_folder(&*disk, dir)?;
        let mut state = ListState { id: id.clone(), dir: dir.to_owned(), disk, accepted: None, current: None };
        let found = state.load()?;
        Ok((state, found))
    }

    /// Opens the list's folder to look at it: nothing is mended and nothing removed.
    ///
    /// # Errors
    /// As [`ListState::open`].
    pub fn examine(dir: &Path, id: &ListId, disk: Arc<dyn Disk>) -> Result<(ListState, Found), FollowError> {
        let mut state = ListState { id: id.clone(), dir: dir.to_owned(), disk, accepted: None, current: None };
        let found = state.read_only()?;
        Ok((state, found))
    }

    /// A signed head of the content's version, and its note, if one is there.
    pub fn head_of_content(&self) -> Option<&(Head, String)> {
        self.current.as_ref()?.head.as_ref()
    }

    /// Reads the files anew, after a write of unknown outcome.
    ///
    /// # Errors
    /// As [`ListState::open`].
    pub fn reopen(&mut self) -> Result<Found, FollowError> {
        self.load()
    }

    /// The newest accepted head.
    pub fn accepted(&self) -> Option<&AcceptedNote> {
        self.accepted.as_ref()
    }

    /// The serial of the content.
    pub fn serial(&self) -> Option<Serial> {
        self.current.as_ref().map(|c| c.serial)
    }

    /// Number of entries.
    pub fn entries(&self) -> Option<u64> {
        self.current.as_ref().map(|c| c.content.entries())
    }

    /// Root digest of the content.
    pub fn root(&self) -> Option<Root> {
        self.current.as_ref().map(|c| c.content.root())
    }

    /// Whether the log has outgrown the base.
    pub fn fold_due(&self) -> bool {
        self.current.as_ref().is_some_and(|c| {
            let entries = usize::try_from(c.content.entries()).unwrap_or(usize::MAX);
            c.logged > (c.meta.snapshot_zst / 4).max(LEAST_FOLD) || c.content.overlay_len() > (entries / 4).max(10_000)
        })
    }

    /// Remembers a verified head for ever, whatever becomes of its content.
    ///
    /// # Errors
    /// Of writing; then it is not remembered.
    pub fn accept(&mut self, head: &VerifiedHead) -> Result<(), FollowError> {
        match &mut self.current {
            Some(current) => {
                current.append(&Frame::Head { note: head.note().to_owned() }, &[])?;
            }
            // No log yet: the copy is all there is, so it is made durable.
            None => write_file_atomic(&*self.disk, &self.dir.join("accepted.note"), head.note().as_bytes())?,
        }
        self.took(head);
        Ok(())
    }

    /// Lets the newest accepted head go: the key that signed it has been taken out, and its serial counts for nothing. The files
    /// remember it until the next base; a restart before that finds the same and does the same.
    pub fn let_go(&mut self) {
        self.accepted = None;
    }

    fn took(&mut self, head: &VerifiedHead) {
        let new = (head.head().serial, head.head().issued);
        if self.accepted.as_ref().is_some_and(|a| (a.accepted.head.serial, a.accepted.head.issued) > new) {
            // A later one was accepted while the content of this one was on its way.
            return;
        }
        self.copy_accepted(head);
        self.accepted = Some(AcceptedNote { accepted: Accepted::from(head), note: head.note().to_owned() });
    }

    /// Not fsynced: the log has it.
    fn copy_accepted(&self, head: &VerifiedHead) {
        let temporary = self.dir.join("accepted.tmp");
        let _ = fs::write(&temporary, head.note()).and_then(|()| fs::rename(&temporary, self.dir.join("accepted.note")));
    }

    /// Applies a compressed delta that leads to `head` and makes it durable.
    ///
    /// # Errors
    /// [`FollowError`]; content and files are as they were.
    pub fn apply(&mut self, head: &VerifiedHead, delta: &[u8]) -> Result<(), FollowError> {
        let current = self.current.as_mut().ok_or_else(|| FollowError::Unexpected("a delta came before any content".into()))?;
        let parsed = Delta::parse(&decompress("delta", delta, delta_limit(head.head()))?)?;
        check_delta(&parsed, head.head(), current.serial)?;
        let content = current.content.apply(&parsed.changes).map_err(|e| self.id_error(e))?;
        let current = self.current.as_mut().expect("it was there above");
        if content.tree().bits() != head.head().root.bits || delta.len() > MAX_LOGGED {
            // The publisher has chosen another k, or the delta is too large for a log: make a base of it.
            let base = rebase(&*self.disk, &self.dir, &current.view_of(&content), head.head().serial, head.head().root.bits)?;
            return self.install(head, base, None);
        }
        check_root(&content, head.head(), "the delta")?;
        current.append(&Frame::Delta { note: head.note().to_owned() }, delta)?;
        // From here on it is durable.
        current.logged += delta.len() as u64;
        current.content = content;
        current.serial = head.head().serial;
        current.head = Some((head.head().clone(), head.note().to_owned()));
        self.took(head);
        Ok(())
    }

    fn id_error(&self, error: crate::store::ApplyError) -> FollowError {
        match error {
            crate::store::ApplyError::Io(e) if e.kind() == io::ErrorKind::InvalidData => {
                FollowError::Damaged { list: self.id.clone(), reason: e.to_string() }
            }
            other => other.into(),
        }
    }

    /// Puts a new base in place, with a delta from it to `head` if it is not of that version already.
    ///
    /// # Errors
    /// [`FollowError`]; content and files are as they were.
    pub fn install(&mut self, head: &VerifiedHead, base: NewBase, delta: Option<&[u8]>) -> Result<(), FollowError> {
        let mut content = Content::open(&buckets_in(&base.folder))?;
        if let Some(delta) = delta {
            let parsed = Delta::parse(&decompress("delta", delta, delta_limit(head.head()))?)?;
            check_delta(&parsed, head.head(), base.meta.serial)?;
            content = content.apply(&parsed.changes)?;
        }
        check_root(&content, head.head(), "the snapshot")?;
        let first = match delta {
            Some(delta) => Frame::Delta { note: head.note().to_owned() }.encode(delta),
            None => Frame::Head { note: head.note().to_owned() }.encode(&[]),
        };
        let mut frames = vec![first];
        if let Some(kept) = self.accepted.as_ref().filter(|kept| kept.accepted.head.serial > head.head().serial) {
            frames.push(Frame::Head { note: kept.note.clone() }.encode(&[]));
        }
        let of_content = Some((head.head().clone(), head.note().to_owned()));
        self.enthrone(base, of_content, content, &frames, delta.map_or(0, <[u8]>::len) as u64)?;
        self.took(head);
        Ok(())
    }

    /// Gives a new base its name: the commit point.
    fn enthrone(
        &mut self,
        mut base: NewBase,
        head: Option<(Head, String)>,
        content: Content,
        frames: &[Vec<u8>],
        logged: u64,
    ) -> Result<(), FollowError> {
        let serial = head.as_ref().map_or(base.meta.serial, |(head, _)| head.serial);
        let number = self.current.as_ref().map_or(0, |c| c.number).max(numbers_in(&self.dir).last().copied().unwrap_or(0)) + 1;
        let (log, _) = Journal::open(&log_in(&base.folder), self.disk.clone(), JournalOptions::new(KIND), &mut |_| Ok(()))?;
        let mut log = log;
        for frame in frames {
            log.append(frame)?;
        }
        drop(log);
        let folder = self.dir.join(generation::name(number));
        self.disk.sync_dir(&base.folder).map_err(FollowError::io("fsync folder", &base.folder))?;
        let switched = (|| -> Result<Journal, FollowError> {
            self.disk.rename(&base.folder, &folder).map_err(FollowError::io("rename to", &folder))?;
            base.kept = true;
            self.disk.sync_dir(&self.dir).map_err(FollowError::io("fsync folder", &self.dir))?;
            // A crash here leaves two generations; the next start takes this one.
            Ok(Journal::open(&log_in(&folder), self.disk.clone(), JournalOptions::new(KIND), &mut |_| Ok(()))?.0)
        })();
        let journal = match switched {
            Ok(journal) => journal,
            Err(error) => {
                // Whether the new generation is there is not known from here, and what a start would take must be what is written
                // to from now on: do as a start does.
                self.load()?;
                return Err(error);
            }
        };
        let meta = base.meta.clone();
        let old = self.current.replace(Current { folder, number, meta, content, serial, head, journal, logged, since_fold: None });
        if let Some(old) = old {
            // Who still reads the old base holds its files open.
            let _ = fs::remove_dir_all(&old.folder);
        }
        Ok(())
    }

    /// What may be read while the list goes on.
    pub fn view(&self) -> Option<View> {
        let current = self.current.as_ref()?;
        let mut view = current.view_of(&current.content);
        view.head = current.head.as_ref().map(|(head, _)| head.clone());
        Some(view)
    }
}

impl Current {
    fn append(&mut self, frame: &Frame, delta: &[u8]) -> Result<(), FollowError> {
        let bytes = frame.encode(delta);
        self.journal.append(&bytes)?;
        if let Some(since) = &mut self.since_fold {
            since.push(bytes);
        }
        Ok(())
    }

    fn view_of(&self, content: &Content) -> View {
        let snapshot = snapshot_in(&self.folder);
        View { content: content.clone(), serial: self.serial, meta: self.meta.clone(), head: None, file: File::open(&snapshot), snapshot }
    }
}

fn check_delta(delta: &Delta, head: &Head, from: Serial) -> Result<(), FollowError> {
    let h = &delta.header;
    if (&h.origin, &h.list, h.colour) != (&head.origin, &head.list, head.colour) || h.from != from || h.to != head.serial {
        let reason = format!(
            "a delta of list {} from {} to {} came where one of {} from {from} to {} was due; ask another address",
            h.list, h.from, h.to, head.list, head.serial
        );
        return Err(FollowError::Unexpected(reason));
    }
    Ok(())
}

fn check_root(content: &Content, head: &Head, what: &'static str) -> Result<(), FollowError> {
    if content.root() == head.root && content.entries() == head.entries {
        Ok(())
    } else {
        Err(FollowError::NotAsSigned { what, list: head.list.clone(), serial: head.serial.get() })
    }
}
