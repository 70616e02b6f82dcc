//! Accounts: made, changed, disabled, shown. They are never removed: the audit chain names them.

use std::ops::Bound;

use serde::{Deserialize, Serialize};

use crate::list::{ListId, Timestamp};
use crate::store::{By, Record, digest_of};
use crate::wire::Act;

use super::state::{ACCOUNT, Account, Identity};
use super::{Done, Grants, MAX_SCOPES, People, PeopleError, Role, Who, document};

/// Longest name, in octets.
const MAX_NAME: usize = 64;
/// Longest issuer and subject, in octets.
const MAX_IDENTITY: usize = 500;
/// Names of what acts by itself; nobody may look like it.
const RESERVED: [&str; 2] = ["bwld", "local"];

/// An account to make.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    /// 1 to 64 of a-z, 0-9, `.`, `_`, `@` and `-`, beginning with a letter or digit.
    pub name: String,
    /// Its roles.
    #[serde(default)]
    pub grants: Grants,
}

/// What is to change of an account; what is absent stays as it is.
#[derive(Clone, Debug, Default)]
pub struct AccountChange {
    /// Its roles, instead of those it has.
    pub grants: Option<Grants>,
    /// Whether it, its tokens and its sessions are refused.
    pub disabled: Option<bool>,
    /// Whom a provider of identities vouches for, or nobody.
    pub identity: Option<Option<Identity>>,
}

/// An account, as it is shown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AccountView {
    /// Its name.
    pub name: String,
    /// Its roles.
    pub grants: Grants,
    /// Whether it is refused.
    pub disabled: bool,
    /// When it was made.
    pub created: Timestamp,
    /// How many tokens it has.
    pub tokens: usize,
    /// Whether it has a password.
    pub password: bool,
    /// Whether it has a second factor.
    pub second_factor: bool,
    /// Recovery codes of the second factor that are left.
    pub recovery_codes: usize,
    /// Whom a provider of identities vouches for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub identity: Option<Identity>,
}

impl People {
    /// Makes an account. It has no way in yet.
    ///
    /// # Errors
    /// [`PeopleError::BadName`], [`PeopleError::Exists`], [`PeopleError::Refused`]; of the store.
    pub fn create_account(&self, new: NewAccount, by: impl Into<By>) -> Result<AccountView, PeopleError> {
        check_name(&new.name)?;
        check_grants(&new.grants)?;
        let _alone = self.writing();
        let count = self.state().accounts.len();
        if self.state().accounts.contains_key(&new.name) {
            return Err(PeopleError::Exists(new.name));
        }
        if count >= self.options.max_accounts {
            return Err(PeopleError::Refused(format!("there are {count} accounts, and no more can be made")));
        }
        let account = Account { name: new.name, grants: new.grants, disabled: false, created: self.clock.now(), identity: None };
        self.put(account, &["account.create"], &by.into())
    }

    /// Gives an account these roles instead of those it has.
    ///
    /// # Errors
    /// As [`People::change_account`].
    pub fn set_grants(&self, name: &str, grants: Grants, by: impl Into<By>) -> Result<AccountView, PeopleError> {
        self.change_account(name, AccountChange { grants: Some(grants), ..AccountChange::default() }, by)
    }

    /// Refuses an account, its tokens and its sessions from now on, or no longer.
    ///
    /// # Errors
    /// As [`People::change_account`].
    pub fn set_disabled(&self, name: &str, disabled: bool, by: impl Into<By>) -> Result<AccountView, PeopleError> {
        self.change_account(name, AccountChange { disabled: Some(disabled), ..AccountChange::default() }, by)
    }

    /// Changes an account, in one frame, with a line of the audit chain for each thing that is different then.
    ///
    /// # Errors
    /// [`PeopleError::NoAccount`], [`PeopleError::Refused`]; of the store.
    pub fn change_account(&self, name: &str, change: AccountChange, by: impl Into<By>) -> Result<AccountView, PeopleError> {
        change.grants.as_ref().map_or(Ok(()), check_grants)?;
        let (_alone, by) = (self.writing(), by.into());
        self.expected(name, &by)?;
        let before = self.state().accounts.get(name).cloned().ok_or_else(|| PeopleError::NoAccount(shown(name)))?;
        let AccountChange { grants, disabled, identity } = change;
        let account = Account {
            grants: grants.unwrap_or_else(|| before.grants.clone()),
            disabled: disabled.unwrap_or(before.disabled),
            identity: identity.unwrap_or_else(|| before.identity.clone()),
            ..before.clone()
        };
        if name == Who::OPERATOR && (account.disabled || account.grants != before.grants) {
            let reason = "the operator's account stays an owner of everything, so that there always is one; make another account";
            return Err(PeopleError::Refused(reason.into()));
        }
        if account.identity != before.identity {
            account.identity.as_ref().map_or(Ok(()), |identity| self.check_identity(name, identity))?;
        }
        let acts = [
            ("account.disable", account.disabled && !before.disabled),
            ("account.enable", !account.disabled && before.disabled),
            ("account.grants", account.grants != before.grants),
            ("account.link", account.identity != before.identity),
        ];
        let acts: Vec<&str> = acts.into_iter().filter(|(_, done)| *done).map(|(what, _)| what).collect();
        if acts.is_empty() {
            return Ok(self.account_view(&account));
        }
        self.put(account, &acts, &by)
    }

    /// Whether an account is still what `by` expects.
    pub(super) fn expected(&self, name: &str, by: &By) -> Result<(), PeopleError> {
        by.expects(|| Ok(Some(digest_of(&self.account(name)?))))
    }

    fn check_identity(&self, name: &str, identity: &Identity) -> Result<(), PeopleError> {
        let fine = |text: &str| !text.is_empty() && text.len() <= MAX_IDENTITY && !text.chars().any(char::is_control);
        if !fine(&identity.issuer) || !fine(&identity.subject) {
            return Err(PeopleError::Refused(format!("issuer and subject are 1 to {MAX_IDENTITY} octets of one line")));
        }
        if self.state().accounts.values().any(|other| other.name != name && other.identity.as_ref() == Some(identity)) {
            return Err(PeopleError::Refused("another account is linked to this subject".into()));
        }
        Ok(())
    }

    /// An account.
    ///
    /// # Errors
    /// [`PeopleError::NoAccount`].
    pub fn account(&self, name: &str) -> Result<AccountView, PeopleError> {
        let account = self.state().accounts.get(name).cloned();
        account.map(|account| self.account_view(&account)).ok_or_else(|| PeopleError::NoAccount(shown(name)))
    }

    /// Why an account may not do now what takes one of these roles on a list; none: it may.
    pub fn bars(&self, name: &str, roles: &[Role], list: &ListId) -> Option<&'static str> {
        match self.state().accounts.get(name) {
            None => Some("there is no such account"),
            Some(account) if account.disabled => Some("the account is disabled"),
            Some(account) if roles.iter().any(|role| account.grants.may(*role, Some(list))) => None,
            Some(_) => Some("the account has no role any more that this takes"),
        }
    }

    /// At most `limit` accounts by name, those behind `after`.
    pub fn accounts(&self, after: &str, limit: usize) -> Vec<AccountView> {
        let behind = (Bound::Excluded(after.to_owned()), Bound::Unbounded);
        let page: Vec<Account> = self.state().accounts.range::<String, _>(behind).take(limit).map(|(_, one)| one.clone()).collect();
        page.iter().map(|account| self.account_view(account)).collect()
    }

    /// Writes an account, as these acts; the caller holds `writing`. Each act names the whole account before and after: there was
    /// nothing between them.
    fn put(&self, account: Account, acts: &[&str], by: &By) -> Result<AccountView, PeopleError> {
        let (what, others) = acts.split_last().ok_or(PeopleError::System("there is nothing to do"))?;
        let (before, after) = (self.state().accounts.get(&account.name).map(digest_of), Some(digest_of(&account)));
        let object = format!("account:{}", account.name);
        let mut records = vec![document(ACCOUNT, &account.name, &account)];
        let now = self.clock.now();
        records.extend(others.iter().map(|what| Record::Act { act: Act { before, after, ..by.act(now, what, object.as_str()) } }));
        let done = Done { what, object, before, after };
        let (ending, keys) = if account.disabled { self.ending_sessions(&account.name) } else { Default::default() };
        records.extend(ending);
        self.commit(by, records, done)?;
        self.state_mut().accounts.insert(account.name.clone(), account.clone());
        self.forget_sessions(&keys);
        Ok(self.account_view(&account))
    }

    fn account_view(&self, account: &Account) -> AccountView {
        let state = self.state();
        let tokens = state.tokens.values().filter(|token| token.account == account.name).count();
        let credential = state.credentials.get(&account.name);
        let factor = credential.and_then(|c| c.factor.as_ref());
        let Account { name, grants, disabled, created, identity } = account.clone();
        AccountView {
            name,
            grants,
            disabled,
            created,
            tokens,
            password: credential.is_some_and(|c| c.password.is_some()),
            second_factor: factor.is_some(),
            recovery_codes: factor.map_or(0, super::factor::Factor::recovery_left),
            identity,
        }
    }
}

fn check_name(name: &str) -> Result<(), PeopleError> {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let rest = |c: char| fine(c) || "._@-".contains(c);
    if name.len() > MAX_NAME || !name.starts_with(fine) || !name.chars().all(rest) {
        return Err(PeopleError::BadName(shown(name)));
    }
    if RESERVED.contains(&name) {
        return Err(PeopleError::Refused(format!("\"{name}\" is what the audit chain calls what acts by itself; take another name")));
    }
    Ok(())
}

pub(super) fn check_grants(grants: &Grants) -> Result<(), PeopleError> {
    if grants.0.len() > MAX_SCOPES {
        return Err(PeopleError::Refused(format!("roles on more than {MAX_SCOPES} lists; give them for all lists (*)")));
    }
    Ok(())
}

/// What a message quotes, cut.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}
