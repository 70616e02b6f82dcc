//! Accounts: made, changed, disabled, shown. They are never removed: the audit chain names them.

use std::ops::Bound;

use serde::{Deserialize, Serialize};

use crate::list::Timestamp;
use crate::store::{By, digest_of};

use super::state::{ACCOUNT, Account};
use super::{Done, Grants, MAX_SCOPES, People, PeopleError, Who, document};

/// Longest name, in octets.
const MAX_NAME: usize = 64;
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
        let account = Account { name: new.name, grants: new.grants, disabled: false, created: self.clock.now() };
        self.put(account, "account.create", &by.into())
    }

    /// Gives an account these roles instead of those it has.
    ///
    /// # Errors
    /// [`PeopleError::NoAccount`], [`PeopleError::Refused`]; of the store.
    pub fn set_grants(&self, name: &str, grants: Grants, by: impl Into<By>) -> Result<AccountView, PeopleError> {
        check_grants(&grants)?;
        self.change(name, "account.grants", &by.into(), |account| account.grants = grants)
    }

    /// Refuses an account, its tokens and its sessions from now on, or no longer.
    ///
    /// # Errors
    /// As [`People::set_grants`].
    pub fn set_disabled(&self, name: &str, disabled: bool, by: impl Into<By>) -> Result<AccountView, PeopleError> {
        let what = if disabled { "account.disable" } else { "account.enable" };
        self.change(name, what, &by.into(), |account| account.disabled = disabled)
    }

    /// An account.
    ///
    /// # Errors
    /// [`PeopleError::NoAccount`].
    pub fn account(&self, name: &str) -> Result<AccountView, PeopleError> {
        let account = self.state().accounts.get(name).cloned();
        account.map(|account| self.account_view(&account)).ok_or_else(|| PeopleError::NoAccount(shown(name)))
    }

    /// At most `limit` accounts by name, those behind `after`.
    pub fn accounts(&self, after: &str, limit: usize) -> Vec<AccountView> {
        let behind = (Bound::Excluded(after.to_owned()), Bound::Unbounded);
        let page: Vec<Account> = self.state().accounts.range::<String, _>(behind).take(limit).map(|(_, one)| one.clone()).collect();
        page.iter().map(|account| self.account_view(account)).collect()
    }

    fn change(&self, name: &str, what: &str, by: &By, change: impl FnOnce(&mut Account)) -> Result<AccountView, PeopleError> {
        let _alone = self.writing();
        let before = self.state().accounts.get(name).cloned();
        let mut account = before.clone().ok_or_else(|| PeopleError::NoAccount(shown(name)))?;
        if name == Who::OPERATOR {
            let reason = "the operator's account stays an owner of everything, so that there always is one; make another account";
            return Err(PeopleError::Refused(reason.into()));
        }
        change(&mut account);
        if before.as_ref() == Some(&account) {
            return Ok(self.account_view(&account));
        }
        self.put(account, what, by)
    }

    /// Writes an account; the caller holds `writing`.
    pub(super) fn put(&self, account: Account, what: &str, by: &By) -> Result<AccountView, PeopleError> {
        let before = self.state().accounts.get(&account.name).map(digest_of);
        let object = format!("account:{}", account.name);
        let done = Done { what, object, before, after: Some(digest_of(&account)) };
        self.commit(by, vec![document(ACCOUNT, &account.name, &account)], done)?;
        self.state_mut().accounts.insert(account.name.clone(), account.clone());
        Ok(self.account_view(&account))
    }

    fn account_view(&self, account: &Account) -> AccountView {
        let tokens = self.state().tokens.values().filter(|token| token.account == account.name).count();
        let Account { name, grants, disabled, created, .. } = account.clone();
        AccountView { name, grants, disabled, created, tokens }
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
