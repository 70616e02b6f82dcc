//! The audit chain and the documents of the rooms above, as they are read; and sealing: old lines move from the index into an artefact.

use std::io::{BufRead as _, BufReader};

use serde_json::Value;

use crate::list::Digest;
use crate::wire::{AuditLine, AuditTip, ZstdReader, compress};

use super::{ArtefactKind, Record, SealedActs, Store, StoreError, state};

/// Lines that are sealed together.
pub const ACTS_PER_SEAL: usize = 8_192;
/// Lines that stay in the index when others are sealed, so that the newest pages need no artefact.
const KEPT: usize = 1_024;
/// Level at which sealed lines are compressed.
const LEVEL: i32 = 9;

/// Documents read at once when all of a table are read.
const PAGE: usize = 1_000;

impl Store {
    /// Number and digest of the newest line of the audit chain.
    ///
    /// # Errors
    /// As [`Store::lists`].
    pub fn act_tip(&self) -> Result<Option<AuditTip>, StoreError> {
        self.read(state::act_tip)
    }

    /// At most `limit` lines of the audit chain, newest first; with `before` only those of a lower number.
    ///
    /// # Errors
    /// As [`Store::lists`]; of reading an artefact.
    pub fn acts(&self, before: Option<u64>, limit: usize) -> Result<Vec<AuditLine>, StoreError> {
        let mut lines = self.read(|index| state::act_lines(index, before, limit))?;
        // What is sealed from here on is among the lines already.
        let before = lines.last().map(|line| line.number).or(before);
        for sealed in self.read(state::sealed)? {
            if lines.len() >= limit {
                break;
            }
            if before.is_some_and(|before| sealed.first >= before) {
                continue;
            }
            let mut older = Vec::new();
            self.sealed_lines(&sealed, &mut |line| {
                older.push(AuditLine::parse(line).map_err(|reason| damaged(&sealed, reason))?);
                Ok(())
            })?;
            older.retain(|line| before.is_none_or(|before| line.number < before));
            lines.extend(older.into_iter().rev().take(limit - lines.len()));
        }
        Ok(lines)
    }

    /// Hands every line of the audit chain from number `from` on to `each`, oldest first, as it is written.
    ///
    /// # Errors
    /// As [`Store::acts`]; of `each`.
    pub fn each_act(&self, from: u64, each: &mut dyn FnMut(&str) -> Result<(), StoreError>) -> Result<(), StoreError> {
        // In this order: what is sealed in between is then there twice, not missing.
        let fresh = self.read(|index| state::act_lines(index, None, usize::MAX))?;
        let mut sealed = self.read(state::sealed)?;
        sealed.reverse();
        let from_fresh = sealed.last().map_or(from, |sealed| from.max(sealed.last.number + 1));
        for sealed in sealed.iter().filter(|sealed| sealed.last.number >= from) {
            let mut number = sealed.first;
            self.sealed_lines(sealed, &mut |line| {
                number += 1;
                if number > from { each(line) } else { Ok(()) }
            })?;
        }
        fresh.iter().rev().filter(|line| line.number >= from_fresh).try_for_each(|line| each(&line.encode()))
    }

    /// The document under `key` in `table`.
    ///
    /// # Errors
    /// As [`Store::lists`].
    pub fn document(&self, table: &str, key: &str) -> Result<Option<Value>, StoreError> {
        self.read(|index| state::document(index, table, key))
    }

    /// At most `limit` documents of `table`, in order of their keys, those behind `after`.
    ///
    /// # Errors
    /// As [`Store::lists`].
    pub fn documents(&self, table: &str, after: &str, limit: usize) -> Result<Vec<(String, Value)>, StoreError> {
        self.read(|index| state::documents(index, table, after, limit))
    }

    /// Hands out every document of `table`, in order of their keys; they are read a page at a time.
    ///
    /// # Errors
    /// As [`Store::lists`], and those of `each`.
    pub fn each_document<E: From<StoreError>>(&self, table: &str, mut each: impl FnMut(String, Value) -> Result<(), E>) -> Result<(), E> {
        let mut after = String::new();
        loop {
            let page = self.documents(table, &after, PAGE)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after.clone_from(last);
            page.into_iter().try_for_each(|(key, value)| each(key, value))?;
        }
    }

    /// Moves the oldest lines of the audit chain into artefacts, as many as are more than what the index keeps. Returns how many.
    ///
    /// # Errors
    /// Those of [`Store::commit`].
    pub fn seal_acts(&self) -> Result<u64, StoreError> {
        let mut moved = 0;
        loop {
            // Numbers have no gaps: how many lines are not sealed is known without reading them.
            let newest = self.act_tip()?.map_or(0, |tip| tip.number);
            let sealed = self.read(state::sealed)?.first().map_or(0, |sealed| sealed.last.number);
            if newest - sealed < (ACTS_PER_SEAL + KEPT) as u64 {
                return Ok(moved);
            }
            let lines = self.read(|index| state::act_lines(index, None, usize::MAX))?;
            let Some(begin) = lines.len().checked_sub(ACTS_PER_SEAL) else {
                return Ok(moved); // another thread was here in between
            };
            let oldest = &lines[begin..];
            let text: String = oldest.iter().rev().map(|line| line.encode() + "\n").collect();
            let digest = Digest::of(&text);
            // Crash before the record: an artefact that nothing names; the next sweep removes it. It is let go of only if that fails.
            self.artefacts().put(ArtefactKind::Audit, &digest, &compress(text.as_bytes(), LEVEL))?;
            let first = oldest[ACTS_PER_SEAL - 1].number;
            let sealed = SealedActs { first, last: oldest[0].tip(), digest, size: text.len() as u64 };
            self.commit(&Record::AuditSealed { sealed })?;
            moved += ACTS_PER_SEAL as u64;
        }
    }

    fn sealed_lines(&self, sealed: &SealedActs, each: &mut dyn FnMut(&str) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let file = self.artefacts().open_file(ArtefactKind::Audit, &sealed.digest)?;
        // What is longer than was sealed is refused.
        let read = ZstdReader::new("sealed audit lines", BufReader::new(file), sealed.size).map_err(|e| damaged(sealed, e.to_string()))?;
        for line in BufReader::new(read).lines() {
            each(&line.map_err(|e| damaged(sealed, e.to_string()))?)?;
        }
        Ok(())
    }
}

fn damaged(sealed: &SealedActs, reason: String) -> StoreError {
    let (first, last) = (sealed.first, sealed.last.number);
    StoreError::Refused {
        reason: format!("lines {first} to {last} of the audit chain cannot be read ({reason}); restore them from a backup"),
    }
}
