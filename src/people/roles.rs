//! Roles, who has them on which list, and what is left of them in a token that may do less than its account.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::list::ListId;

/// Most lists that one account can have roles on.
pub const MAX_SCOPES: usize = 1_000;

/// What somebody may do with a list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
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

impl Role {
    /// All of them.
    pub const ALL: [Role; 5] = [Role::Owner, Role::Editor, Role::Reviewer, Role::Auditor, Role::Subscriber];

    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Role::Owner => "owner",
            Role::Editor => "editor",
            Role::Reviewer => "reviewer",
            Role::Auditor => "auditor",
            Role::Subscriber => "subscriber",
        }
    }
}

impl FromStr for Role {
    type Err = String;
    fn from_str(text: &str) -> Result<Role, String> {
        let all = || Role::ALL.map(Role::word).join(", ");
        Role::ALL.into_iter().find(|role| role.word() == text).ok_or_else(|| format!("no such role; the roles are {}", all()))
    }
}

/// A list, or all of them (`*`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Scope {
    /// All lists, those to come as well.
    All,
    /// One.
    List(ListId),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::All => f.write_str("*"),
            Scope::List(list) => list.fmt(f),
        }
    }
}

impl FromStr for Scope {
    type Err = String;
    fn from_str(text: &str) -> Result<Scope, String> {
        if text == "*" { Ok(Scope::All) } else { text.parse().map(Scope::List).map_err(|e: crate::list::IdError| e.to_string()) }
    }
}

impl Serialize for Scope {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Roles per list, or for all lists (`*`). A list's owner is everything else on it as well.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
#[schema(value_type = std::collections::BTreeMap<String, Vec<Role>>)]
pub struct Grants(pub BTreeMap<Scope, BTreeSet<Role>>);

impl Grants {
    /// This role for all lists.
    pub fn everywhere(role: Role) -> Grants {
        Grants::default().with(Scope::All, role)
    }

    /// With this role too.
    #[must_use]
    pub fn with(mut self, scope: Scope, role: Role) -> Grants {
        self.0.entry(scope).or_default().insert(role);
        self
    }

    /// With this role on this list too.
    #[must_use]
    pub fn on(self, list: &ListId, role: Role) -> Grants {
        self.with(Scope::List(list.clone()), role)
    }

    /// Whether this role is held on `list`; `None`: for all lists.
    pub fn may(&self, role: Role, list: Option<&ListId>) -> bool {
        let holds = |scope: &Scope| self.0.get(scope).is_some_and(|held| held.contains(&role) || held.contains(&Role::Owner));
        holds(&Scope::All) || list.is_some_and(|list| holds(&Scope::List(list.clone())))
    }

    /// Whether this role is held on any list.
    pub fn may_somewhere(&self, role: Role) -> bool {
        self.0.values().any(|held| held.contains(&role) || held.contains(&Role::Owner))
    }

    /// What both allow: a token never does more than its account, whatever becomes of the account's roles.
    #[must_use]
    pub fn narrowed(&self, to: &Grants) -> Grants {
        let mut both = Grants::default();
        for (scope, held) in &self.0 {
            for (narrow, allowed) in &to.0 {
                let scope = match (scope, narrow) {
                    (scope, Scope::All) => scope,
                    (Scope::All, narrow) => narrow,
                    (scope, narrow) if scope == narrow => scope,
                    _ => continue,
                };
                let owner = Role::Owner;
                let common = Role::ALL
                    .into_iter()
                    .filter(|role| (held.contains(role) || held.contains(&owner)) && (allowed.contains(role) || allowed.contains(&owner)));
                both.0.entry(scope.clone()).or_default().extend(common);
            }
        }
        for roles in both.0.values_mut().filter(|roles| roles.contains(&Role::Owner)) {
            roles.retain(|role| *role == Role::Owner);
        }
        both.0.retain(|_, roles| !roles.is_empty());
        both
    }
}

/// By which way somebody came in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Via {
    /// A token; its prefix.
    Token(String),
    /// A session of the console.
    Session,
    /// The operator's token of the data folder.
    Operator,
}

/// Who calls.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Who {
    /// The account's name.
    pub account: String,
    /// What they may do, by this way.
    pub grants: Grants,
    /// The way.
    pub via: Via,
}

impl Who {
    /// The account that the data folder's own token belongs to.
    pub const OPERATOR: &str = "operator";

    /// An owner of everything, by the operator's token.
    pub fn owner(account: &str) -> Who {
        Who { account: account.into(), grants: Grants::everywhere(Role::Owner), via: Via::Operator }
    }

    /// Whether one of these roles is held for all lists.
    pub fn is_everywhere(&self, roles: &[Role]) -> bool {
        roles.iter().any(|role| self.grants.may(*role, None))
    }

    /// Whether one of these roles is held for this list.
    pub fn is_on(&self, list: &ListId, roles: &[Role]) -> bool {
        roles.iter().any(|role| self.grants.may(*role, Some(list)))
    }

    /// Whether one of these roles is held for any list.
    pub fn is_somewhere(&self, roles: &[Role]) -> bool {
        roles.iter().any(|role| self.grants.may_somewhere(*role))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(name: &str) -> ListId {
        name.parse().expect("a list's name")
    }

    #[test]
    fn an_owner_is_everything_on_that_list_only() {
        let grants = Grants::default().on(&list("a"), Role::Owner).on(&list("b"), Role::Auditor);
        assert!(Role::ALL.into_iter().all(|role| grants.may(role, Some(&list("a"))) && !grants.may(role, None)));
        assert!(grants.may(Role::Auditor, Some(&list("b"))) && !grants.may(Role::Editor, Some(&list("b"))));
        assert!(!grants.may(Role::Subscriber, Some(&list("c"))) && grants.may_somewhere(Role::Editor));
        assert!(Grants::everywhere(Role::Editor).may(Role::Editor, Some(&list("c"))));
    }

    #[test]
    fn they_are_written_as_people_write_them() {
        let text = r#"{"*":["auditor"],"adult":["owner","editor"]}"#;
        let grants: Grants = serde_json::from_str(text).expect("grants");
        assert_eq!(grants, Grants::everywhere(Role::Auditor).on(&list("adult"), Role::Editor).on(&list("adult"), Role::Owner));
        assert_eq!(serde_json::to_string(&grants).expect("text"), text);
        for wrong in [r#"{"*":["root"]}"#, r#"{"Bad Name":["owner"]}"#, r#"{"":[]}"#] {
            assert!(serde_json::from_str::<Grants>(wrong).is_err(), "{wrong}");
        }
    }

    fn grants() -> impl Strategy<Value = Grants> {
        let scope = prop::sample::select(vec![Scope::All, Scope::List(list("a")), Scope::List(list("b"))]);
        let roles = prop::collection::btree_set(prop::sample::select(Role::ALL.to_vec()), 0..3);
        prop::collection::btree_map(scope, roles, 0..4).prop_map(Grants)
    }

    proptest! {
        /// Whatever the two are: narrowed means both allow it, and nothing else.
        #[test]
        fn narrowed_is_what_both_allow(one in grants(), other in grants()) {
            let both = one.narrowed(&other);
            for role in Role::ALL {
                for on in ["a", "b", "c"].map(list) {
                    let naive = one.may(role, Some(&on)) && other.may(role, Some(&on));
                    prop_assert_eq!(both.may(role, Some(&on)), naive, "{:?} on {}", role, on);
                }
                prop_assert_eq!(both.may(role, None), one.may(role, None) && other.may(role, None));
            }
        }
    }
}
