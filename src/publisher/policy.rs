//! What a list demands of every publication, whichever way it comes: how many approvals, whether it is frozen, how much may
//! change, how wide a range of addresses may be, which names it protects beside those of all lists.
//!
//! Guarantees: kept as a document in the store and read again at a start; in force for the very next publication; what was
//! staged before it is screened again. Who may set one is the caller's question.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::list::ListId;
use crate::store::{By, Record, Store, StoreError, digest_of};
use crate::wire::Act;

use super::{Protected, PublishError, Publisher, Refusal};

/// The table of documents, by the list's name.
pub(super) const TABLE: &str = "policy";
/// Most approvals that can be asked for.
const MAX_APPROVALS: u8 = 9;
/// Most names that a list protects by itself.
const MAX_NAMES: usize = 10_000;

/// What a list demands of its publications.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ListPolicy {
    /// Approvals that a change needs, by others than who proposed or staged it; 0: none.
    pub approvals: u8,
    /// Why nothing may be published now; empty: it may.
    pub frozen: String,
    /// Entries that one publication may add, remove or replace; none: as configured for all lists.
    pub max_entries: Option<u64>,
    /// Share of the list in per cent that it may; refused is what exceeds both. None: as configured.
    pub max_percent: Option<u64>,
    /// The shortest prefix length of an IPv4 range, 8 to 32.
    pub widest_v4: u8,
    /// The shortest prefix length of an IPv6 range, 16 to 128.
    pub widest_v6: u8,
    /// Names that this list may not block, beside those that no list may.
    pub protected: Vec<String>,
    /// A change that blocks a popular name needs one approval more.
    pub popular: bool,
    /// Whom to write to against an entry, and how; shown with each.
    pub appeal: String,
}

impl Default for ListPolicy {
    fn default() -> Self {
        ListPolicy {
            approvals: 0,
            frozen: String::new(),
            max_entries: None,
            max_percent: None,
            widest_v4: 16,
            widest_v6: 32,
            protected: Vec::new(),
            popular: true,
            appeal: String::new(),
        }
    }
}

/// A policy with what is made of it for the guards.
#[derive(Clone, Debug, Default)]
pub(super) struct Demands {
    pub(super) policy: ListPolicy,
    pub(super) protected: Protected,
}

impl Demands {
    pub(super) fn of(policy: ListPolicy) -> Result<Demands, PublishError> {
        let mut refusals = Vec::new();
        let mut refuse = |place: &str, text: String, reason: &str, hint: &str| {
            refusals.push(Refusal { place: place.into(), text, reason: reason.into(), hint: hint.into() });
        };
        if policy.approvals > MAX_APPROVALS {
            refuse("approvals", policy.approvals.to_string(), "more approvals than anybody gives", "ask for 0 to 9");
        }
        if !(8..=32).contains(&policy.widest_v4) {
            refuse("widest_v4", policy.widest_v4.to_string(), "no prefix length of a range that can be listed", "write 8 to 32");
        }
        if !(16..=128).contains(&policy.widest_v6) {
            refuse("widest_v6", policy.widest_v6.to_string(), "no prefix length of a range that can be listed", "write 16 to 128");
        }
        for (place, text) in [("frozen", &policy.frozen), ("appeal", &policy.appeal)] {
            if text.len() > 1_000 || text.chars().any(char::is_control) {
                refuse(place, super::error::cut(text), "longer than 1,000 octets, or more than one line", "write one line");
            }
        }
        if policy.protected.len() > MAX_NAMES {
            refuse("protected", policy.protected.len().to_string(), "more than 10,000 names", "put them into publisher.protected");
        }
        let protected = match Protected::parse(&policy.protected.join("\n")) {
            Ok(protected) => protected,
            Err(e) => {
                refuse("protected", super::error::cut(&e.to_string()), "one of the names is none", "write host names");
                Protected::default()
            }
        };
        if refusals.is_empty() { Ok(Demands { policy, protected }) } else { Err(PublishError::Refused(refusals)) }
    }

    /// As the store has it; a list that nobody set one for has the default.
    pub(super) fn load(store: &Store, list: &ListId) -> Result<Demands, StoreError> {
        let unreadable = |reason: String| StoreError::Refused { reason: format!("the policy of list {list} cannot be read: {reason}") };
        let Some(value) = store.document(TABLE, list.as_str())? else { return Ok(Demands::default()) };
        let policy = serde_json::from_value(value).map_err(|e| unreadable(e.to_string()))?;
        Demands::of(policy).map_err(|e| unreadable(e.to_string()))
    }
}

impl Publisher {
    /// What a list demands.
    ///
    /// # Errors
    /// [`PublishError::NoList`].
    pub fn policy(&self, id: &ListId) -> Result<ListPolicy, PublishError> {
        Ok(self.slot(id)?.lock().demands.policy.clone())
    }

    /// Sets what a list demands, from the next publication on. `what` names the act: `list.policy`, `list.freeze`.
    ///
    /// # Errors
    /// [`PublishError::Refused`] by form; [`PublishError::NoList`]; of the store.
    pub fn set_policy(&self, id: &ListId, policy: ListPolicy, what: &str, by: impl Into<By>) -> Result<ListPolicy, PublishError> {
        let demands = Demands::of(policy)?;
        let slot = self.slot(id)?;
        let mut state = slot.lock();
        let (by, at) = (by.into(), self.clock.now());
        let act = by.act(at, what, format!("list:{id}"));
        let act = Act { before: Some(digest_of(&state.demands.policy)), after: Some(digest_of(&demands.policy)), ..act };
        let value = serde_json::to_value(&demands.policy).map_err(|e| PublishError::System(e.to_string()))?;
        by.commit(&self.store, Record::Document { table: TABLE.into(), key: id.to_string(), value: Some(value) }, act)?;
        state.demands = std::sync::Arc::new(demands);
        if let Some(staged) = &mut state.staged {
            staged.screened = false;
        }
        Ok(state.demands.policy.clone())
    }
}
