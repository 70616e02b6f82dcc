//! What a list demands of every publication, whichever way it comes: how many approvals, whether it is frozen, how much may
//! change, how wide a range of addresses may be, which names it protects beside those of all lists.
//!
//! Guarantees: kept as a document in the store and read again at a start; in force for the very next publication; what was
//! staged before it is screened again. Who may set one is the caller's question.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::list::{Colour, ListId};
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
    /// A change that blocks a popular name needs more approvals.
    pub popular: bool,
    /// How many more, 1 to 9.
    pub popular_approvals: u8,
    /// Only names of this rank or a better one are popular; none: all names of the file.
    pub popular_ranks: Option<u32>,
    /// Popular names of this list in order of their rank, in place of the publisher's; empty: the publisher's.
    pub popular_names: Vec<String>,
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
            popular_approvals: 1,
            popular_ranks: None,
            popular_names: Vec::new(),
            appeal: String::new(),
        }
    }
}

/// A policy with what is made of it for the guards.
#[derive(Clone, Debug, Default)]
pub(super) struct Demands {
    pub(super) policy: ListPolicy,
    pub(super) protected: Protected,
    /// The list's own popular names.
    popular: Protected,
}

/// Names that are popular for a list.
pub(super) struct Popular<'a> {
    names: &'a Protected,
    ranks: u32,
}

impl Popular<'_> {
    /// Whether a rule would block one of them.
    pub(super) fn has(&self, rule: &str) -> bool {
        self.names.best_rank(rule).is_some_and(|rank| rank <= self.ranks)
    }
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
        if !(1..=MAX_APPROVALS).contains(&policy.popular_approvals) {
            refuse("popular_approvals", policy.popular_approvals.to_string(), "not 1 to 9", "ask for 1 to 9, or set popular to false");
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
        if policy.popular_names.len() > MAX_NAMES {
            refuse("popular_names", policy.popular_names.len().to_string(), "more than 10,000 names", "put them into publisher.popular");
        }
        let popular = match Protected::ranked(&policy.popular_names.join("\n")) {
            Ok(popular) => popular,
            Err(e) => {
                refuse("popular_names", super::error::cut(&e.to_string()), "the first is no name", "write host names, best rank first");
                Protected::default()
            }
        };
        if refusals.is_empty() { Ok(Demands { policy, protected, popular }) } else { Err(PublishError::Refused(refusals)) }
    }

    /// The names that are popular for this list, if any are; `of_all` are the publisher's.
    pub(super) fn popular<'a>(&'a self, colour: Colour, of_all: &'a Protected) -> Option<Popular<'a>> {
        let names = if self.policy.popular_names.is_empty() { of_all } else { &self.popular };
        let counts = colour == Colour::Black && self.policy.popular && !names.is_empty();
        counts.then(|| Popular { names, ranks: self.policy.popular_ranks.unwrap_or(u32::MAX) })
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
    /// How many approvals a change to this rule needs, and how many of them because it would block a popular name.
    ///
    /// # Errors
    /// [`PublishError::NoList`].
    pub fn approvals_for(&self, id: &ListId, rule: &str) -> Result<(usize, usize), PublishError> {
        let slot = self.slot(id)?;
        let state = slot.lock();
        let policy = &state.demands.policy;
        let popular = state.demands.popular(state.meta.colour, &self.options.popular).is_some_and(|popular| popular.has(rule));
        let more = if popular { usize::from(policy.popular_approvals) } else { 0 };
        Ok((usize::from(policy.approvals) + more, more))
    }

    /// What a list demands. Waits for nobody who changes the list.
    ///
    /// # Errors
    /// [`PublishError::NoList`].
    pub fn policy(&self, id: &ListId) -> Result<ListPolicy, PublishError> {
        Ok(self.slot(id)?.demands().policy.clone())
    }

    /// Whom to write to against an entry of a list, and how. Waits for nobody who changes the list: everybody may ask for it.
    ///
    /// # Errors
    /// [`PublishError::NoList`].
    pub fn appeal(&self, id: &ListId) -> Result<String, PublishError> {
        Ok(self.slot(id)?.demands().policy.appeal.clone())
    }

    /// Sets what a list demands, from the next publication on. `what` names the act: `list.policy`, `list.freeze`.
    ///
    /// # Errors
    /// [`PublishError::Refused`] by form; [`PublishError::NoList`]; of the store.
    pub fn set_policy(&self, id: &ListId, policy: ListPolicy, what: &str, by: impl Into<By>) -> Result<ListPolicy, PublishError> {
        self.change_policy(id, what, &by.into(), |_| policy)
    }

    /// Freezes a list for this reason, or thaws it if there is none; the rest of the policy stays as it is.
    ///
    /// # Errors
    /// As of [`Publisher::set_policy`].
    pub fn freeze(&self, id: &ListId, reason: &str, by: impl Into<By>) -> Result<ListPolicy, PublishError> {
        let what = if reason.is_empty() { "list.thaw" } else { "list.freeze" };
        self.change_policy(id, what, &by.into().because(reason), |before| ListPolicy { frozen: reason.into(), ..before })
    }

    fn change_policy(
        &self,
        id: &ListId,
        what: &str,
        by: &By,
        change: impl FnOnce(ListPolicy) -> ListPolicy,
    ) -> Result<ListPolicy, PublishError> {
        let slot = self.slot(id)?;
        let mut state = slot.lock();
        state.not_removed()?;
        by.expects(|| Ok::<_, PublishError>(Some(digest_of(&state.demands.policy))))?;
        let demands = Demands::of(change(state.demands.policy.clone()))?;
        let at = self.clock.now();
        let act = by.act(at, what, format!("list:{id}"));
        let act = Act { before: Some(digest_of(&state.demands.policy)), after: Some(digest_of(&demands.policy)), ..act };
        let value = serde_json::to_value(&demands.policy).map_err(|e| PublishError::System(e.to_string()))?;
        by.commit(&self.store, Record::Document { table: TABLE.into(), key: id.to_string(), value: Some(value) }, act)?;
        slot.set_demands(&mut state, demands);
        if let Some(staged) = &mut state.staged {
            staged.screened = false;
        }
        Ok(state.demands.policy.clone())
    }
}
