//! How far an import has come, for those who watch it.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::formats::Summary;

/// How far an import has come. Counts only grow; they are as old as the piece that was read last.
#[derive(Debug, Default)]
pub struct ImportProgress {
    lines: AtomicU64,
    entries: AtomicU64,
    issues: AtomicU64,
}

impl ImportProgress {
    /// Lines read.
    pub fn lines(&self) -> u64 {
        self.lines.load(Ordering::Relaxed)
    }

    /// Entries read.
    pub fn entries(&self) -> u64 {
        self.entries.load(Ordering::Relaxed)
    }

    /// Lines that could not be taken.
    pub fn issues(&self) -> u64 {
        self.issues.load(Ordering::Relaxed)
    }

    pub(super) fn reached(&self, summary: &Summary) {
        self.lines.store(summary.lines, Ordering::Relaxed);
        self.entries.store(summary.entries, Ordering::Relaxed);
        self.issues.store(summary.issues_total, Ordering::Relaxed);
    }

    pub(super) fn more_entries(&self, count: u64) {
        self.entries.fetch_add(count, Ordering::Relaxed);
    }
}
