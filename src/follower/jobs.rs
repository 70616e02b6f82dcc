//! Brings a list to the version of its newest verified head: by delta, by repair, or by the snapshot.
//!
//! Every one of them ends in [`ListState::apply`], [`ListState::install`] or [`ListState::repair`], which compare the root
//! with the signed one before anything is written.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::store::StoreError;
use crate::trust::VerifiedHead;
use crate::wire::{Tree, ZstdWriter, bucket_digest};

use super::FollowError;
use super::client::Encoding;
use super::fetch::compressed_limit;
use super::index;
use super::plan::JobEnd;
use super::shared::{FollowedList, Known, Shared, lock};
use super::state::{ListState, delta_limit, fold, from_download};

/// Buckets fetched at a time.
const AT_A_TIME: usize = 4;

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub(super) enum Job {
    Inline,
    Delta { mirror: usize, at_most: u64 },
    Measure { mirror: usize },
    Snapshot { mirror: usize },
    Repair { mirror: usize },
}

/// Runs blocking work on this runtime's threads for it.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, FollowError> + Send + 'static) -> Result<T, FollowError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(e) => Err(FollowError::Unexpected(format!("a part of this program failed: {e}"))),
    }
}

/// Does a job and says how it ended.
pub(super) async fn run(shared: Arc<Shared>, list: usize, to: u64, job: Job) -> JobEnd {
    let Some((head, inline)) = lock(&shared.lists[list].heads).of(to) else { return JobEnd::Wrong };
    let result = match job {
        Job::Measure { mirror } => {
            let id = &shared.lists[list].choice.id;
            let size = shared.client.measure_snapshot(mirror, id, &head.head().snapshot.digest).await;
            return JobEnd::SnapshotSize(size.unwrap_or(None));
        }
        Job::Inline => match inline {
            Some(inline) => apply(&shared, list, &head, inline.zstd).await,
            None => Err(FollowError::Unexpected("the delta that came with the event is no longer there".into())),
        },
        Job::Delta { mirror, at_most } => delta(&shared, list, &head, mirror, at_most).await,
        Job::Snapshot { mirror } => snapshot(&shared, list, &head, mirror).await,
        Job::Repair { mirror } => repair(&shared, list, &head, mirror).await,
    };
    let followed = &shared.lists[list];
    match result {
        Ok(fold) => {
            let mut notes = lock(&followed.notes);
            notes.applied = Some(shared.clock.now());
            notes.changed = true;
            notes.error = None;
            notes.damaged = false;
            let serial = head.head().serial.get();
            tracing::info!(list = %followed.choice.id, serial, entries = head.head().entries, how = ?job, "applied");
            JobEnd::Applied { serial, fold }
        }
        Err(error) => {
            let end = end_of(&error);
            lock(&followed.notes).damaged |= end == JobEnd::Damaged;
            if !matches!(end, JobEnd::TooBig(_) | JobEnd::Gone) {
                tracing::warn!(list = %followed.choice.id, how = ?job, "{error}");
                shared.failed(list, &error);
            }
            end
        }
    }
}

fn end_of(error: &FollowError) -> JobEnd {
    match error {
        FollowError::Gone { .. } => JobEnd::Gone,
        FollowError::TooBig { size, .. } => JobEnd::TooBig(*size),
        FollowError::Transport { retry_after, .. } => JobEnd::Transport { wait: retry_after.map(Duration::from_secs) },
        FollowError::TooSlow { .. } => JobEnd::Transport { wait: None },
        FollowError::Damaged { .. } => JobEnd::Damaged,
        FollowError::Io { .. } | FollowError::Store(_) | FollowError::Options(_) => JobEnd::Local,
        FollowError::Trust(_)
        | FollowError::Wire(_)
        | FollowError::Apply(_)
        | FollowError::Stream(_)
        | FollowError::NotAsSigned { .. }
        | FollowError::Unexpected(_) => JobEnd::Wrong,
    }
}

/// Works on a list's files. A journal of unknown state is opened again, which shows what is there.
pub(super) async fn on_state<T: Send + 'static>(
    shared: &Arc<Shared>,
    list: usize,
    work: impl FnOnce(&FollowedList, &mut ListState) -> Result<T, FollowError> + Send + 'static,
) -> Result<(T, bool), FollowError> {
    let shared = shared.clone();
    blocking(move || {
        let followed = &shared.lists[list];
        let mut state = lock(&followed.state);
        let result = work(followed, &mut state);
        if let Err(FollowError::Store(StoreError::Poisoned { .. })) = &result {
            let found = state.reopen()?;
            tracing::warn!(list = %followed.choice.id, ?found, "opened the files again");
        }
        let known = Known::of(&state);
        let before = std::mem::replace(&mut *lock(&followed.known), known.clone());
        if (before.expires, before.colour) != (known.expires, known.colour) {
            index::facts(&shared, list);
        }
        result.map(|value| (value, state.fold_due()))
    })
    .await
}

/// Remembers the head before anything is fetched for it.
async fn remember(shared: &Arc<Shared>, list: usize, head: &Arc<VerifiedHead>) -> Result<(), FollowError> {
    let (head, trusted) = (head.clone(), shared.trusted());
    on_state(shared, list, move |_, state| {
        let lost = |note: &str| trusted.as_ref().is_some_and(|t| matches!(t.accepted(note.as_bytes()), Ok(None)));
        if state.accepted().is_some_and(|kept| kept.accepted.head.serial >= head.head().serial && lost(&kept.note)) {
            state.let_go();
        }
        accept_if_newer(state, &head)
    })
    .await
    .map(|_| ())
}

/// Remembers a head unless it, or one after it, is remembered already.
pub(super) fn accept_if_newer(state: &mut ListState, head: &VerifiedHead) -> Result<(), FollowError> {
    let new = (head.head().serial, head.head().issued);
    match state.accepted() {
        Some(kept) if (kept.accepted.head.serial, kept.accepted.head.issued) >= new => Ok(()),
        _ => state.accept(head),
    }
}

async fn apply(shared: &Arc<Shared>, list: usize, head: &Arc<VerifiedHead>, delta: Arc<[u8]>) -> Result<bool, FollowError> {
    let (head, indexed) = (head.clone(), shared.clone());
    let applied = on_state(shared, list, move |_, state| {
        match state.apply(&head, &delta) {
            // It was there before: a step that was reported as failed had been done.
            Err(_) if state.serial() == Some(head.head().serial) && state.root() == Some(head.head().root) => {}
            // Perhaps only the bucket file is damaged: then it can be made anew here, and the delta fits.
            Err(FollowError::Damaged { .. }) => state.mend().and_then(|()| state.apply(&head, &delta))?,
            other => other?,
        }
        index::delta(&indexed, list, &head, &delta);
        Ok(())
    });
    applied.await.map(|((), fold)| fold)
}

async fn delta(shared: &Arc<Shared>, list: usize, head: &Arc<VerifiedHead>, mirror: usize, at_most: u64) -> Result<bool, FollowError> {
    remember(shared, list, head).await?;
    let id = &shared.lists[list].choice.id;
    let Some(from) = lock(&shared.lists[list].state).serial() else {
        return Err(FollowError::Unexpected("a delta was asked for before any content".into()));
    };
    let h = head.head();
    if from == h.serial {
        return apply(shared, list, head, [].into()).await;
    }
    let zstd = shared.client.delta(mirror, id, from.get(), h.serial.get(), at_most, delta_limit(h)).await?;
    apply(shared, list, head, zstd.into()).await
}

async fn snapshot(shared: &Arc<Shared>, list: usize, head: &Arc<VerifiedHead>, mirror: usize) -> Result<bool, FollowError> {
    remember(shared, list, head).await?;
    let followed = &shared.lists[list];
    let (h, id) = (head.head(), &followed.choice.id);
    let size = h.snapshot.size;
    if size > shared.options.limits.snapshot_size {
        let most = shared.options.limits.snapshot_size;
        return Err(FollowError::Unexpected(format!("a snapshot of {size} octets; raise the limit of {most} if you want this list")));
    }
    let download = followed.dir.join("snapshot.download");
    let mut partial = lock(&followed.partial).take();
    let fetched = shared.client.snapshot(mirror, id, &h.snapshot.digest, size, &download, &mut partial).await;
    *lock(&followed.partial) = partial;
    let encoding = match fetched {
        Ok(encoding) => encoding,
        // A snapshot that does not fit its own head is wrong, not too dear.
        Err(FollowError::TooBig { url, limit, .. }) => {
            return Err(FollowError::Unexpected(format!("{url}: more than the {limit} octets that the head allows; ask another address")));
        }
        Err(other) => return Err(other),
    };
    let onward = match h.snapshot.serial < h.serial {
        true => {
            let (from, to) = (h.snapshot.serial.get(), h.serial.get());
            Some(shared.client.delta(mirror, id, from, to, compressed_limit(delta_limit(h)), delta_limit(h)).await?)
        }
        false => None,
    };
    let (head, disk, indexed) = (head.clone(), shared.disk.clone(), shared.clone());
    let installed = on_state(shared, list, move |followed, state| {
        if encoding == Encoding::Identity {
            compress_file(&download, size)?;
        }
        let base = from_download(&*disk, &followed.dir, &download, head.head())?;
        state.install(&head, base, onward.as_deref())?;
        index::replaced(&indexed, list);
        Ok(())
    });
    installed.await.map(|((), fold)| fold)
}

/// Compresses a file that came uncompressed, in place.
fn compress_file(path: &std::path::Path, limit: u64) -> Result<(), FollowError> {
    use std::io::{Read as _, Write as _};
    let beside = path.with_extension("download.zst");
    let from = std::fs::File::open(path).map_err(FollowError::io("open", path))?;
    let to = std::fs::File::create(&beside).map_err(FollowError::io("create", &beside))?;
    let mut out = ZstdWriter::new(std::io::BufWriter::new(to), 3).map_err(FollowError::io("compress", path))?;
    std::io::copy(&mut from.take(limit + 1), &mut out).map_err(FollowError::io("compress", path))?;
    out.finish().and_then(|mut out| out.flush()).map_err(FollowError::io("compress", path))?;
    std::fs::rename(&beside, path).map_err(FollowError::io("rename to", path))
}

async fn repair(shared: &Arc<Shared>, list: usize, head: &Arc<VerifiedHead>, mirror: usize) -> Result<bool, FollowError> {
    remember(shared, list, head).await?;
    let h = head.head();
    let (id, serial, bits) = (&shared.lists[list].choice.id, h.serial.get(), h.root.bits);
    let leaves = shared.client.buckets(mirror, id, serial, bits).await?;
    let tree = Tree::from_leaves(&leaves, bits)?;
    if tree.root(h.entries) != h.root {
        return Err(FollowError::NotAsSigned { what: "the list of bucket digests", list: id.clone(), serial });
    }
    let tree = Arc::new(tree);
    let compared = tree.clone();
    let (differing, _) = on_state(shared, list, move |_, state| Ok(state.differing(&compared))).await?;
    let url = || shared.client.name(mirror);
    // With another k, or with most of the buckets different, the snapshot is the cheaper way.
    let differing = match differing {
        Some(differing) if tree.buckets() < 8 || differing.len() * 2 <= tree.buckets() as usize => differing,
        _ => return Err(FollowError::Gone { url: url(), status: 0 }),
    };
    tracing::info!(list = %id, serial, buckets = differing.len(), of = tree.buckets(), "repairing");
    let fetched = stream::iter(differing)
        .map(|b| fetch_bucket(shared.clone(), list, serial, mirror, tree.clone(), b))
        .buffer_unordered(AT_A_TIME)
        .try_collect::<BTreeMap<u32, Vec<u8>>>()
        .await?;
    let (head, indexed) = (head.clone(), shared.clone());
    let repaired = on_state(shared, list, move |_, state| {
        state.repair(&head, &fetched)?;
        index::replaced(&indexed, list);
        Ok(())
    });
    repaired.await.map(|((), fold)| fold)
}

/// Fetches a bucket and compares it with its digest, which belongs to the signed root.
async fn fetch_bucket(
    shared: Arc<Shared>,
    list: usize,
    serial: u64,
    mirror: usize,
    tree: Arc<Tree>,
    b: u32,
) -> Result<(u32, Vec<u8>), FollowError> {
    let id = &shared.lists[list].choice.id;
    let lines = shared.client.bucket(mirror, id, serial, b).await?;
    if bucket_digest(&lines) != tree.leaf(b) {
        return Err(FollowError::NotAsSigned { what: "a bucket", list: id.clone(), serial });
    }
    Ok((b, lines))
}

/// Folds a list's log into a new base, beside the running list.
pub(super) async fn fold_list(shared: Arc<Shared>, list: usize) -> bool {
    let work = shared.clone();
    let folded = blocking(move || {
        let followed = &work.lists[list];
        let Some(mut view) = lock(&followed.state).begin_fold() else { return Ok(()) };
        let base = fold(&*work.disk, &followed.dir, &mut view)?;
        lock(&followed.state).end_fold(base)
    });
    match folded.await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(list = %shared.lists[list].choice.id, "could not fold the log into a new base: {error}");
            shared.failed(list, &error);
            false
        }
    }
}
