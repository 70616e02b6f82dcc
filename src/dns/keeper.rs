//! Writes what is kept of zones: documents of one table of the store, many of them in one frame.
//!
//! Guarantees: one writes at a time, in the order of the calls for each zone; what comes while it writes goes together
//! into the next frame, of each zone the newest only. So a zone costs at most one frame a version, and a burst of versions
//! costs few.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::oneshot;

use crate::store::{Record, Store};

/// The table of the store.
pub const TABLE: &str = "dns-zone";
/// Documents in one frame; each has a few kilobytes at most.
const AT_ONCE: usize = 256;

type Answer = oneshot::Sender<Result<(), String>>;

#[derive(Debug, Default)]
struct Waiting {
    documents: BTreeMap<String, (Value, Vec<Answer>)>,
    writing: bool,
}

/// The one that writes.
#[derive(Debug)]
pub struct Keeper {
    /// Where to.
    pub store: Arc<Store>,
    waiting: Mutex<Waiting>,
}

impl Keeper {
    /// Into this store.
    pub fn new(store: Arc<Store>) -> Arc<Keeper> {
        Arc::new(Keeper { store, waiting: Mutex::default() })
    }

    /// Writes a zone's document; returns when it is durable.
    ///
    /// # Errors
    /// In words.
    pub async fn put(self: &Arc<Self>, zone: &str, document: Value) -> Result<(), String> {
        let written = self.give(zone, document).await;
        written.unwrap_or_else(|_| Err("writing broke off".into()))
    }

    /// Writes several; returns when all are durable, or could not be written, which the log says.
    pub async fn put_all(self: &Arc<Self>, documents: Vec<(String, Value)>) {
        let written: Vec<_> = documents.into_iter().map(|(zone, document)| self.give(&zone, document)).collect();
        for written in written {
            let _ = written.await;
        }
    }

    /// The same as `put` without waiting: for what is only a pity to lose.
    pub fn put_later(self: &Arc<Self>, zone: &str, document: Value) {
        drop(self.give(zone, document));
    }

    fn give(self: &Arc<Self>, zone: &str, document: Value) -> oneshot::Receiver<Result<(), String>> {
        let (answer, written) = oneshot::channel();
        let mut waiting = self.lock();
        let (newest, answers) = waiting.documents.entry(zone.to_owned()).or_default();
        *newest = document;
        answers.push(answer);
        if !waiting.writing {
            waiting.writing = true;
            let keeper = self.clone();
            tokio::task::spawn_blocking(move || keeper.write());
        }
        written
    }

    fn write(&self) {
        loop {
            let mut records = Vec::new();
            let mut answers = Vec::new();
            {
                let mut waiting = self.lock();
                while records.len() < AT_ONCE
                    && let Some((key, (document, told))) = waiting.documents.pop_first()
                {
                    records.push(Record::Document { table: TABLE.into(), key, value: Some(document) });
                    answers.extend(told);
                }
                if records.is_empty() {
                    waiting.writing = false;
                    return;
                }
            }
            let written = self.store.commit(&Record::All { records }).map(|_| ()).map_err(|e| e.to_string());
            if let Err(reason) = &written {
                tracing::error!(reason, "what is kept of the zones' serials cannot be written");
            }
            for answer in answers {
                let _ = answer.send(written.clone());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
