//! What is done for an index: taken up, laid over, built, folded, shown.

use std::sync::Arc;

use crate::matcher::{About, Index, IndexBuilder, Layers};
use crate::wire::{Delta, Head, bucket_digest, decompress};

use super::{Held, Indexer, Work, state_of, unknown};
use crate::follower::shared::{Shared, lock};
use crate::follower::state::{ListState, View, delta_limit};

/// A delta of more changes than this, and than an eighth of the list, makes a new base.
const LARGE: u64 = 65_536;

/// What a delta makes of layers.
enum Laid {
    /// They are of this version already, or of a later one.
    Known,
    Newer(Layers),
    /// It does not follow on them, or is so large that a new base is the better way.
    Unfit,
}

/// Does all of `taken`, then shows what came of it.
pub(super) fn work(shared: &Arc<Shared>, list: usize, indexer: &Indexer, held: &mut Held, taken: Vec<Work>) -> Result<(), String> {
    let mut rebuild = false;
    for work in taken {
        rebuild |= match work {
            Work::Rebuild => true,
            Work::Facts => false,
            Work::Start => !take_up(shared, list, held).unwrap_or_else(|error| {
                tracing::info!(list = %shared.lists[list].choice.id, "the index is built anew: {error}");
                false
            }),
            Work::Delta { head, zstd } => match held.layers.as_ref().map(|layers| lay(layers, head.head(), &zstd)) {
                None | Some(Ok(Laid::Unfit)) => true,
                Some(Ok(Laid::Known)) => false,
                Some(Ok(Laid::Newer(newer))) => {
                    held.layers = Some(newer);
                    false
                }
                Some(Err(error)) => {
                    tracing::warn!(list = %shared.lists[list].choice.id, "the index is built anew: {error}");
                    true
                }
            },
            Work::Folded { fold, .. } if fold != held.fold => false,
            Work::Folded { built: Ok(index), .. } => finish_fold(held, *index),
            Work::Folded { built: Err(error), .. } => {
                tracing::warn!(list = %shared.lists[list].choice.id, "the index could not be folded and is built anew: {error}");
                true
            }
        };
    }
    let mut stored = Ok(());
    if rebuild && let Some(index) = build(shared, list, indexer)? {
        let (base, written) = store(held, index);
        held.layers = Some(Layers::new(base));
        // A fold of the layers before is of no use any more.
        held.fold += 1;
        stored = written;
    }
    show(shared, list, indexer, held)?;
    stored
}

/// Writes a base and gives it back mapped; if it cannot be written it stays in memory.
fn store(held: &mut Held, index: Index) -> (Arc<Index>, Result<(), String>) {
    match held.files.as_mut().map(|files| files.store(&index)) {
        Some(Ok(mapped)) => (mapped, Ok(())),
        Some(Err(error)) => (Arc::new(index), Err(error.to_string())),
        None => (Arc::new(index), Ok(())),
    }
}

/// Always done, so that it can stand among the steps: no new base is needed then.
fn finish_fold(held: &mut Held, index: Index) -> bool {
    let (base, written) = store(held, index);
    if let Err(error) = written {
        tracing::warn!("a folded index stays in memory: {error}");
    }
    held.layers = held.layers.as_ref().map(|layers| layers.finish_fold(base));
    false
}

/// Looks through what the last run left and lays over it what the log holds since; `false` if it is of no use.
fn take_up(shared: &Arc<Shared>, list: usize, held: &mut Held) -> Result<bool, String> {
    let Some(layers) = &held.layers else { return Ok(false) };
    for layer in layers.layers() {
        layer.verify().map_err(|error| error.to_string())?;
    }
    let caught_up = catch_up(&lock(&shared.lists[list].state), layers)?;
    let fits = caught_up.is_some();
    held.layers = caught_up.or(held.layers.take());
    Ok(fits)
}

/// Layers with what the log holds since; `None` if it does not lead from their version to the content's.
pub(super) fn catch_up(state: &ListState, layers: &Layers) -> Result<Option<Layers>, String> {
    let about = layers.about();
    let Some(deltas) = state.deltas_since(about.serial, about.root).map_err(|error| error.to_string())? else { return Ok(None) };
    let mut layers = layers.clone();
    for delta in deltas {
        match lay(&layers, &delta.head, &delta.zstd)? {
            Laid::Newer(newer) => layers = newer,
            Laid::Known => {}
            Laid::Unfit => return Ok(None),
        }
    }
    Ok(Some(layers))
}

/// Lays a delta over layers. It was verified when it was applied to the content.
fn lay(layers: &Layers, head: &Head, zstd: &[u8]) -> Result<Laid, String> {
    let before = layers.about();
    if head.serial <= before.serial {
        return Ok(Laid::Known);
    }
    let text = decompress("delta", zstd, delta_limit(head)).map_err(|e| e.to_string())?;
    let delta = Delta::parse(&text).map_err(|e| e.to_string())?;
    let rules: u64 = layers.layers().last().map_or(0, |base| base.len());
    if delta.header.from != before.serial || delta.changes.len() as u64 > LARGE.max(rules / 8) {
        return Ok(Laid::Unfit);
    }
    let about = About { serial: head.serial, root: head.root.digest, ..before.clone() };
    layers.apply(about, &delta.changes).map(Laid::Newer).map_err(|e| e.to_string())
}

/// Builds an index of the content; `None` if there is none, or the follower stops.
fn build(shared: &Arc<Shared>, list: usize, indexer: &Indexer) -> Result<Option<Index>, String> {
    let Some(view) = lock(&shared.lists[list].state).view() else { return Ok(None) };
    let View { content, serial, meta, .. } = &view;
    let about =
        About { origin: meta.origin.clone(), list: meta.list.clone(), colour: meta.colour, serial: *serial, root: content.root().digest };
    let mut builder = IndexBuilder::new(about, indexer.seed);
    for b in 0..content.tree().buckets() {
        if indexer.stopping() {
            return Ok(None);
        }
        let lines = content.bucket(b).map_err(|e| format!("bucket {b}: {e}"))?;
        if bucket_digest(&lines) != content.tree().leaf(b) {
            return Err(format!("bucket {b} is damaged; the follower repairs it from the publisher"));
        }
        let lines = std::str::from_utf8(&lines).map_err(|e| format!("bucket {b}: {e}"))?;
        for line in lines.split_terminator('\n') {
            builder.push(line).map_err(|e| e.to_string())?;
        }
    }
    builder.finish().map(Some).map_err(|e| e.to_string())
}

/// Shows it to look-ups in this process, then to those outside.
fn show(shared: &Arc<Shared>, list: usize, indexer: &Indexer, held: &mut Held) -> Result<(), String> {
    let followed = &shared.lists[list];
    let trusted = shared.trusted();
    let begun = unknown(&followed.choice, trusted.as_ref().map(|t| t.origin()));
    let layers = held.layers.as_ref();
    let state = state_of(&lock(&followed.known), begun, layers);
    let shown = indexer.matcher.update(|lists| {
        // Whose list it is may have become known.
        let before = lists.states().find(|other| other.list == state.list && other.origin != state.origin);
        let lists = before.map_or_else(|| lists.clone(), |before| lists.without_list(&before.origin, &before.list));
        lists.with_list(state.clone(), layers.cloned())
    });
    shown.map_err(|error| error.to_string())?;
    match &mut held.files {
        Some(files) => files.publish(&state, layers).map_err(|error| error.to_string()),
        None => Err("the folder of indexes could not be opened; they are kept in this process only".to_owned()),
    }
}
