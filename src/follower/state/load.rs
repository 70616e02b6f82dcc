//! Opening a list's folder after whatever happened.

use std::fs;
use std::path::Path;

use crate::list::Serial;
use crate::store::{Content, Journal, JournalOptions, StoreError};
use crate::trust::Accepted;
use crate::wire::{Delta, Head, MAX_HEAD, Note, decompress};

use super::{AcceptedNote, Current, FollowError, Frame, KIND, ListState, delta_limit, generation, log_in, numbers_in, read_meta};

/// What opening a list's folder found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Found {
    /// The files are damaged and there is content that must be repaired before it may be used (or none at all, if there is no serial).
    pub damage: Option<String>,
    /// What was mended without any network: a bucket file made anew, a torn frame cut off, a damaged log put aside.
    pub mended: Vec<String>,
}

/// Reads the head of a note that was verified when it was written here.
pub(in crate::follower) fn head_of(note: &str) -> Result<Head, String> {
    let parsed = Note::parse(note.as_bytes(), MAX_HEAD).map_err(|e| e.to_string())?;
    Head::parse(&parsed.text).map_err(|e| e.to_string())
}

/// What the log says.
struct Replay {
    content: Content,
    serial: Serial,
    logged: u64,
    newest: Option<(Head, String)>,
    /// A head of the content's version, to compare the root with.
    of_content: Option<(Head, String)>,
}

impl Replay {
    fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        let (frame, delta) = Frame::decode(bytes)?;
        let (Frame::Head { note } | Frame::Delta { note }) = &frame;
        let head = head_of(note)?;
        if matches!(frame, Frame::Delta { .. }) {
            let text = decompress("delta", delta, delta_limit(&head)).map_err(|e| e.to_string())?;
            let parsed = Delta::parse(&text).map_err(|e| e.to_string())?;
            if parsed.header.from != self.serial {
                return Err(format!("a delta from {} follows version {}", parsed.header.from, self.serial));
            }
            self.content = self.content.apply(&parsed.changes).map_err(|e| e.to_string())?;
            self.serial = parsed.header.to;
            self.logged += delta.len() as u64;
        }
        if head.serial == self.serial {
            self.of_content = Some((head.clone(), note.clone()));
        }
        let newer = self.newest.as_ref().is_none_or(|(kept, _)| (head.serial, head.issued) >= (kept.serial, kept.issued));
        if newer {
            self.newest = Some((head, note.clone()));
        }
        Ok(())
    }
}

impl ListState {
    /// Reads everything anew. What cannot be used is said, never guessed.
    pub(super) fn load(&mut self) -> Result<Found, FollowError> {
        self.current = None;
        self.remove_unfinished()?;
        self.read(true)
    }

    /// The same, changing nothing: what could be mended is reported as damage.
    pub(super) fn read_only(&mut self) -> Result<Found, FollowError> {
        self.read(false)
    }

    fn read(&mut self, mend: bool) -> Result<Found, FollowError> {
        let mut found = Found::default();
        let copy = fs::read_to_string(self.dir.join("accepted.note")).ok().and_then(|note| Some((head_of(&note).ok()?, note)));
        let numbers = numbers_in(&self.dir);
        let mut newest = copy;
        if let Some(number) = numbers.last() {
            let folder = self.dir.join(generation::name(*number));
            match self.open_generation(&folder, *number, mend, &mut found) {
                Ok((current, replayed)) => {
                    self.current = Some(current);
                    let later = |(h, _): &(Head, String)| newest.as_ref().is_none_or(|(n, _)| (h.serial, h.issued) >= (n.serial, n.issued));
                    if let Some(replayed) = replayed.filter(later) {
                        newest = Some(replayed);
                    }
                }
                Err(reason) => found.damage = Some(reason),
            }
            // Older ones are what a crash between rename and removal left.
            for old in numbers.iter().rev().skip(1).filter(|_| mend) {
                let _ = fs::remove_dir_all(self.dir.join(generation::name(*old)));
            }
        }
        self.accepted = newest.map(|(head, note)| AcceptedNote { accepted: Accepted { head }, note });
        Ok(found)
    }

    fn remove_unfinished(&self) -> Result<(), FollowError> {
        for entry in fs::read_dir(&self.dir).map_err(FollowError::io("read folder", &self.dir))?.flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|e| e == "tmp") {
                let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            }
        }
        Ok(())
    }

    #[allow(clippy::type_complexity)]
    fn open_generation(
        &self,
        folder: &Path,
        number: u64,
        mend: bool,
        found: &mut Found,
    ) -> Result<(Current, Option<(Head, String)>), String> {
        let meta = read_meta(folder)?;
        let (content, reindexed) = generation::open_base(&*self.disk, folder, &meta, mend)?;
        if reindexed {
            found.mended.push("the bucket file was damaged and was made anew from the snapshot beside it".into());
        }
        let mut replay = Replay { content, serial: meta.serial, logged: 0, newest: None, of_content: None };
        let base = replay.content.clone();
        let read = |replay: &mut Replay| {
            Journal::open(&log_in(folder), self.disk.clone(), JournalOptions::new(KIND), &mut |frame| {
                replay.take(frame.content).map_err(|reason| StoreError::BadFrame { frame: frame.id, reason })
            })
        };
        let (journal, recovery) = match read(&mut replay) {
            Ok(opened) => opened,
            Err(StoreError::Io { action, path, source }) => return Err(format!("{action} {path}: {source}")),
            Err(error) if !mend => return Err(format!("log: {error}")),
            Err(error) => {
                // The log is damaged: what it held is lost, the base is not. What the publisher has is applied to the base anew.
                found.mended.push(format!("the log was damaged and was put aside ({error}); serial {} is the newest left", meta.serial));
                let aside = folder.join("log.damaged");
                let _ = fs::remove_dir_all(&aside);
                fs::rename(log_in(folder), &aside).map_err(|e| format!("{}: {e}", aside.display()))?;
                let newest = replay.newest.take();
                replay = Replay { content: base, serial: meta.serial, logged: 0, newest: None, of_content: None };
                let opened = read(&mut replay).map_err(|e| e.to_string())?;
                // Heads that could still be read were accepted: their serials stay known.
                replay.newest = newest;
                opened
            }
        };
        if recovery.torn.is_some() {
            found.mended.push("the last write was cut off by a crash; the version before it is in force".into());
        }
        let Replay { content, serial, logged, newest, of_content } = replay;
        if let Some((head, _)) = &of_content
            && (content.root() != head.root || content.entries() != head.entries)
        {
            found.damage = Some(format!("the content does not have the root that was signed for serial {serial}"));
        }
        Ok((
            Current { folder: folder.to_owned(), number, meta, content, serial, head: of_content, journal, logged, since_fold: None },
            newest,
        ))
    }
}
