//! The key sets a follower trusts: the pinned one and the chain from there, in `trust/`.
//!
//! ```text
//! trust/pinned             the fingerprint that trust rests on, named or taken on first use
//! trust/00000001.keyset    key sets as they travelled, from the pinned one on
//! ```
//!
//! Guarantees: a key set is written only after `trust` has verified it; the chain is verified again at every start; it never
//! goes back to a lower number.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::list::Digest;
use crate::store::{Disk, create_folder, write_file_atomic};
use crate::trust::{TrustError, Trusted};
use crate::wire::{KeySet, MAX_KEYSET, Note};

use super::client::Client;
use super::{FollowError, Trust};

/// Key sets that are fetched in one go at most; a longer chain takes several.
const MOST: u64 = 256;

#[derive(Debug)]
pub(super) struct KeyRing {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    pinned: Option<Digest>,
    newest: Option<Arc<Trusted>>,
}

pub(super) fn file_of(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:08}.keyset"))
}

/// Numbers of the key sets in a folder, ascending.
pub(super) fn numbers_in(dir: &Path) -> Vec<u64> {
    let mut numbers: Vec<u64> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".keyset")?.parse().ok())
        .collect();
    numbers.sort_unstable();
    numbers
}

/// The fingerprint that trust rests on, once there was a key set.
pub(super) fn pinned_in(dir: &Path) -> Option<Digest> {
    fs::read_to_string(dir.join("pinned")).ok()?.trim().parse().ok()
}

/// The chain in a folder, from the pinned key set on; verified.
pub(super) fn chain_in(dir: &Path, pinned: &Digest) -> Result<Vec<Trusted>, FollowError> {
    let mut chain: Vec<Trusted> = Vec::new();
    for number in numbers_in(dir) {
        let path = file_of(dir, number);
        let note = fs::read(&path).map_err(FollowError::io("read", &path))?;
        match chain.last() {
            Some(before) => chain.push(before.advance(&note)?),
            None => match Trusted::pin(&note, pinned) {
                Ok(first) => chain.push(first),
                // Of a fingerprint that was pinned before: passed over.
                Err(TrustError::FingerprintMismatch { .. }) => {}
                Err(error) => return Err(error.into()),
            },
        }
    }
    Ok(chain)
}

fn number_of(note: &[u8]) -> Result<(u64, Digest), FollowError> {
    let parsed = Note::parse(note, MAX_KEYSET)?;
    Ok((KeySet::parse(&parsed.text)?.number, Digest::of(&parsed.text)))
}

impl KeyRing {
    pub fn open(dir: &Path, trust: Trust, disk: Arc<dyn Disk>) -> Result<KeyRing, FollowError> {
        create_folder(&*disk, dir)?;
        let pinned = match trust {
            Trust::Pinned(fingerprint) => Some(fingerprint),
            Trust::FirstUse => pinned_in(dir),
        };
        let newest = match &pinned {
            Some(fingerprint) => chain_in(dir, fingerprint)?.pop().map(Arc::new),
            None => None,
        };
        Ok(KeyRing { dir: dir.to_owned(), disk, pinned, newest })
    }

    pub fn newest(&self) -> Option<Arc<Trusted>> {
        self.newest.clone()
    }

    /// Fetches what is newer. `true`: there is a newer key set in force than before.
    pub async fn fetch(&mut self, client: &Client, mirror: usize) -> Result<bool, FollowError> {
        let offered = client.keyset(mirror, None).await?;
        let (number, digest) = number_of(&offered)?;
        let mut changed = false;
        if self.newest.is_none() {
            let first = self.first(client, mirror, offered, number).await?;
            self.keep(first)?;
            changed = true;
        }
        while let Some(newest) = self.newest.clone().filter(|n| n.keyset().number < number) {
            let next = newest.keyset().number + 1;
            let note = client.keyset(mirror, Some(next)).await?;
            self.keep(newest.advance(&note)?)?;
            changed = true;
        }
        let same = self.newest.as_ref().is_none_or(|n| n.keyset().number != number || n.fingerprint() == digest);
        if same { Ok(changed) } else { Err(TrustError::KeySetPrevious { number }.into()) }
    }

    /// The key set to begin with: the pinned one, looked for from the newest downwards; or the one that is offered.
    async fn first(&self, client: &Client, mirror: usize, offered: Vec<u8>, number: u64) -> Result<Trusted, FollowError> {
        let Some(pinned) = &self.pinned else {
            return Ok(Trusted::self_signed_for_tofu(&offered)?);
        };
        let mismatch = match Trusted::pin(&offered, pinned) {
            Err(error @ TrustError::FingerprintMismatch { .. }) => error,
            other => return Ok(other?),
        };
        for n in (number.saturating_sub(MOST).max(1)..number).rev() {
            let note = client.keyset(mirror, Some(n)).await?;
            match Trusted::pin(&note, pinned) {
                Err(TrustError::FingerprintMismatch { .. }) => {}
                other => return Ok(other?),
            }
        }
        Err(mismatch.into())
    }

    /// Writes a verified key set, then uses it. The fingerprint that trust rests on is written before.
    fn keep(&mut self, trusted: Trusted) -> Result<(), FollowError> {
        let pinned = *self.pinned.get_or_insert_with(|| trusted.fingerprint());
        if pinned_in(&self.dir) != Some(pinned) {
            write_file_atomic(&*self.disk, &self.dir.join("pinned"), format!("{pinned}\n").as_bytes())?;
        }
        // A crash here leaves a pinned fingerprint without its key set, which the next start fetches.
        write_file_atomic(&*self.disk, &file_of(&self.dir, trusted.keyset().number), trusted.note().as_bytes())?;
        self.newest = Some(Arc::new(trusted));
        Ok(())
    }
}
