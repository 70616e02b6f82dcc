//! How a follower stands, in `status.json`, for people and monitoring.
//!
//! Whether a list is fresh is not what the follower wrote but what the reader's clock says: a follower that died says nothing,
//! and its lists go stale all the same.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::list::{Colour, Digest, ListId, Origin, Timestamp};

use super::output::{self, DeliveryNotes, HeldVersion, Output};
use super::plan::Mode;
use super::{
    FollowError,
    shared::{Shared, lock},
};

/// Largest status file that is read.
const MOST: u64 = 1 << 20;

/// Whether a list can be relied on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// No content ever arrived.
    #[default]
    Empty,
    /// The newest head is within its time.
    Fresh,
    /// It is past its time; the list is still what was last published as far as is known.
    Stale,
}

/// An error and when it was.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LastError {
    /// When.
    pub at: Timestamp,
    /// What.
    pub message: String,
}

/// How one list stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ListStatus {
    /// Its name.
    pub list: ListId,
    /// Fresh, stale or empty, by the clock of who reads this.
    #[serde(default)]
    pub health: Health,
    /// Seconds since the newest head was issued, by the clock of who reads this.
    #[serde(default)]
    pub age: Option<u64>,
    /// Its colour.
    pub colour: Option<Colour>,
    /// The serial of the content.
    pub serial: Option<u64>,
    /// Number of entries.
    pub entries: Option<u64>,
    /// Root digest.
    pub root: Option<Digest>,
    /// The highest serial ever accepted; higher than `serial` while content is on its way.
    pub accepted: Option<u64>,
    /// When the newest accepted head was issued.
    pub issued: Option<Timestamp>,
    /// When it goes stale.
    pub expires: Option<Timestamp>,
    /// When a publisher or mirror last confirmed the newest head.
    pub checked: Option<Timestamp>,
    /// When the content last changed.
    pub applied: Option<Timestamp>,
    /// The last error since then.
    pub error: Option<LastError>,
    /// The address in use.
    pub mirror: String,
    /// How news arrive.
    pub mode: Mode,
    /// The version that look-ups see; `None`: none, or no index is kept.
    #[serde(default)]
    pub index: Option<u64>,
    /// Why the index is not that of the content, or not in the folder.
    #[serde(default)]
    pub index_error: Option<String>,
    /// Where it is written to.
    pub output: Option<PathBuf>,
}

/// How a file for a filter stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OutputStatus {
    /// The file.
    pub file: PathBuf,
    /// Its format.
    pub format: String,
    /// The lists it is to hold.
    pub lists: Vec<ListId>,
    /// The versions it holds; empty: it was never written.
    pub versions: Vec<HeldVersion>,
    /// When it was last replaced.
    pub written: Option<Timestamp>,
    /// Rules of the format in it.
    pub rules: u64,
    /// Entries that the format cannot say, or that did not fit; `bwld export --left-out` names them.
    pub left_out: u64,
    /// Why it could not be written the last time, if it could not.
    pub error: Option<LastError>,
    /// When the filter was last told.
    pub reloaded: Option<Timestamp>,
    /// Why that failed, if it did.
    pub reload_error: Option<String>,
}

/// How a follower stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The publisher, once its key set is known.
    pub origin: Option<Origin>,
    /// Number of the newest key set.
    pub keyset: Option<u64>,
    /// When key sets were last looked for.
    pub keys_checked: Option<Timestamp>,
    /// When this was written.
    pub written: Timestamp,
    /// Octets received since the follower was started, as this program sees them.
    pub received: u64,
    /// When the reload command last ended.
    pub reloaded: Option<Timestamp>,
    /// Why it failed, if it did.
    pub reload_error: Option<String>,
    /// The lists.
    pub lists: Vec<ListStatus>,
    /// The files for filters.
    #[serde(default)]
    pub outputs: Vec<OutputStatus>,
}

impl Status {
    /// What could not be written or handed over, in words.
    pub fn failures(&self) -> Vec<String> {
        let of_outputs = self.outputs.iter().flat_map(|o| {
            let write = o.error.as_ref().map(|e| format!("{}: {}", o.file.display(), e.message));
            write.into_iter().chain(o.reload_error.as_ref().map(|e| format!("{}: {e}", o.file.display())))
        });
        self.reload_error.clone().into_iter().chain(of_outputs).collect()
    }

    /// Computes what depends on the time.
    pub fn at(mut self, now: Timestamp) -> Status {
        for list in &mut self.lists {
            list.age = list.issued.map(|issued| now.since(issued));
            list.health = match (list.serial, list.expires) {
                (None, _) => Health::Empty,
                (Some(_), Some(expires)) if now < expires => Health::Fresh,
                _ => Health::Stale,
            };
        }
        self
    }
}

pub(super) fn path_in(dir: &Path) -> PathBuf {
    dir.join("status.json")
}

/// Reads how the follower in `dir` stands, by the time `now`. Works while it runs, and when it no longer does.
///
/// # Errors
/// [`FollowError`] if there is no status, or one that cannot be read.
pub fn status(dir: &Path, now: Timestamp) -> Result<Status, FollowError> {
    let path = path_in(dir);
    let size = fs::metadata(&path).map_err(FollowError::io("no follower has written its status to", &path))?.len();
    if size > MOST {
        return Err(FollowError::Unexpected(format!("{} is larger than {MOST} octets and no status", path.display())));
    }
    let text = fs::read(&path).map_err(FollowError::io("read", &path))?;
    let status: Status =
        serde_json::from_slice(&text).map_err(|e| FollowError::Unexpected(format!("{} cannot be read: {e}", path.display())))?;
    Ok(status.at(now))
}

fn outputs_of(shared: &Shared, delivered: &[DeliveryNotes]) -> Vec<OutputStatus> {
    let written = lock(&shared.written).clone();
    let of = |(output, delivery): (&Output, &Option<usize>)| {
        let Output::Format { choice, number, .. } = output else { return None };
        let record = output::recorded(shared, choice);
        let delivery = delivery.map(|n| delivered[n].clone()).unwrap_or_default();
        Some(OutputStatus {
            file: choice.file.clone(),
            format: choice.format.to_string(),
            lists: choice.lists.clone(),
            written: record.as_ref().map(|r| r.written),
            rules: record.as_ref().map_or(0, |r| r.rules),
            left_out: record.as_ref().map_or(0, |r| r.left_out),
            versions: record.map(|r| r.versions).unwrap_or_default(),
            error: written[*number].error.clone().map(|(at, message)| LastError { at, message }),
            reloaded: delivery.at,
            reload_error: delivery.error,
        })
    };
    shared.outputs.all.iter().zip(&shared.outputs.by).filter_map(of).collect()
}

/// Takes stock. `mirror` and `mode` of each list are the plan's.
pub(super) fn take_stock(shared: &Shared, plan: impl Fn(usize) -> (usize, Mode)) -> Status {
    let trusted = shared.trusted();
    let delivered = lock(&shared.delivered).clone();
    let reload = shared.outputs.of_texts.map(|n| delivered[n].clone()).unwrap_or_default();
    let lists = shared.lists.iter().enumerate().map(|(n, followed)| {
        let notes = lock(&followed.notes).clone();
        let (mirror, mode) = plan(n);
        let known = lock(&followed.known).clone();
        let index = shared.indexer.as_ref().map(|indexer| indexer.note(n)).unwrap_or_default();
        ListStatus {
            list: followed.choice.id.clone(),
            health: Health::Empty,
            age: None,
            colour: known.colour,
            serial: known.serial,
            entries: known.entries,
            root: known.root,
            accepted: known.accepted,
            issued: known.issued,
            expires: known.expires,
            checked: notes.checked,
            applied: notes.applied,
            error: notes.error.map(|(at, message)| LastError { at, message }),
            mirror: shared.client.name(mirror),
            mode,
            index: index.serial,
            index_error: index.error,
            output: followed.choice.output.clone(),
        }
    });
    let now = shared.clock.now();
    let status = Status {
        origin: trusted.as_ref().map(|t| t.origin().clone()),
        keyset: trusted.as_ref().map(|t| t.keyset().number),
        keys_checked: *lock(&shared.keys_checked),
        written: now,
        received: shared.client.received(),
        reloaded: reload.at,
        reload_error: reload.error,
        lists: lists.collect(),
        outputs: outputs_of(shared, &delivered),
    };
    status.at(now)
}
