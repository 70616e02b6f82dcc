//! Who calls, as far as the routes must know.

use std::collections::BTreeMap;

use crate::list::ListId;

/// What somebody may do with a list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Role {
    /// Everything.
    Owner,
    /// Changes entries.
    Editor,
    /// Approves changes of others.
    Reviewer,
    /// Reads everything, the audit chain too.
    Auditor,
    /// Gets the list.
    Subscriber,
}

/// Who calls.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Who {
    /// The account's name.
    pub account: String,
    /// Roles for all lists.
    pub everywhere: Vec<Role>,
    /// Roles for single lists.
    pub lists: BTreeMap<ListId, Vec<Role>>,
}

impl Who {
    /// An owner of everything.
    pub fn owner(account: &str) -> Who {
        Who { account: account.into(), everywhere: vec![Role::Owner], lists: BTreeMap::new() }
    }

    /// Whether one of these roles is held for all lists.
    pub fn is_everywhere(&self, roles: &[Role]) -> bool {
        self.everywhere.iter().any(|role| roles.contains(role))
    }

    /// Whether one of these roles is held for this list.
    pub fn is_on(&self, list: &ListId, roles: &[Role]) -> bool {
        self.is_everywhere(roles) || self.lists.get(list).is_some_and(|own| own.iter().any(|role| roles.contains(role)))
    }

    /// Whether one of these roles is held for any list.
    pub fn is_somewhere(&self, roles: &[Role]) -> bool {
        self.is_everywhere(roles) || self.lists.values().flatten().any(|role| roles.contains(role))
    }
}
