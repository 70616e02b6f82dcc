//! On whose behalf something is done, and how it comes into the audit chain: in the same frame as what was done.

use crate::list::{Digest, Timestamp};
use crate::wire::Act;

use super::{Expected, Record, Store, StoreError};

/// On whose behalf something is done.
#[derive(Clone, Debug)]
pub struct By {
    /// An account's name, or `bwld` for what the publisher does by itself.
    pub who: String,
    /// The address it came from; `local` from this machine's own command or file.
    pub from: String,
    /// Why, for the audit chain; a publication's own reason comes before it.
    pub reason: String,
    /// Written in the same frame: there if and only if what is done is.
    pub with: Vec<Record>,
    /// Who else had a hand in it: wrote what is published.
    pub hands: Vec<String>,
    /// What it must find to be done.
    pub expected: Expected,
}

impl By {
    /// Who, and from where.
    pub fn new(who: impl Into<String>, from: impl Into<String>) -> By {
        By { who: who.into(), from: from.into(), reason: String::new(), with: Vec::new(), hands: Vec::new(), expected: Expected::Whatever }
    }

    /// With the reason.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> By {
        self.reason = reason.into();
        self
    }

    /// With records that are written in the same frame.
    #[must_use]
    pub fn with(mut self, records: impl IntoIterator<Item = Record>) -> By {
        self.with.extend(records);
        self
    }

    /// With those who had a hand in it.
    #[must_use]
    pub fn with_hands(mut self, hands: impl IntoIterator<Item = String>) -> By {
        self.hands.extend(hands);
        self
    }

    /// The act of doing `what` to `object`.
    pub fn act(&self, at: Timestamp, what: &str, object: impl Into<String>) -> Act {
        Act {
            at,
            who: self.who.clone(),
            from: self.from.clone(),
            what: what.into(),
            object: object.into(),
            before: None,
            after: None,
            reason: self.reason.clone(),
        }
    }

    /// Commits `record`, what belongs to it and the act, as one frame.
    ///
    /// # Errors
    /// Those of [`Store::commit`].
    pub fn commit(&self, store: &Store, record: Record, act: Act) -> Result<(), StoreError> {
        let mut records = vec![record];
        records.extend(self.with.iter().cloned());
        records.push(Record::Act { act });
        store.commit(&Record::All { records }).map(|_| ())
    }
}

impl From<&str> for By {
    fn from(who: &str) -> By {
        By::new(who, "local")
    }
}

impl From<&By> for By {
    fn from(by: &By) -> By {
        by.clone()
    }
}

/// Digest of a description, for the audit chain.
pub fn digest_of(value: &impl serde::Serialize) -> Digest {
    Digest::of(serde_json::to_vec(value).expect("a description has only text keys and values that JSON can hold"))
}
