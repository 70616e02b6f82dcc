//! What is known of people, in memory as in the store: a document each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::list::{Digest, Timestamp};
use crate::store::{Store, StoreError};

use super::Grants;

/// Tables of the store.
pub(super) const ACCOUNT: &str = "account";
pub(super) const TOKEN: &str = "token";
/// When a token was last used.
pub(super) const USE: &str = "token-use";

/// Documents read at once.
const PAGE: usize = 1_000;

/// An account.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) grants: Grants,
    #[serde(default)]
    pub(super) disabled: bool,
    pub(super) created: Timestamp,
}

/// A token, without the token.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Token {
    pub(super) account: String,
    pub(super) label: String,
    /// It may do what these and the account's grants both allow.
    pub(super) grants: Option<Grants>,
    /// SHA-256 of the whole text.
    pub(super) hash: Digest,
    pub(super) created: Timestamp,
    pub(super) expires: Option<Timestamp>,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) accounts: BTreeMap<String, Account>,
    /// By prefix.
    pub(super) tokens: BTreeMap<String, Token>,
    /// When a token was last used, by prefix.
    pub(super) uses: BTreeMap<String, Timestamp>,
}

impl State {
    pub(super) fn read(store: &Store) -> Result<State, StoreError> {
        Ok(State { accounts: table(store, ACCOUNT)?, tokens: table(store, TOKEN)?, uses: table(store, USE)? })
    }
}

/// A whole table.
fn table<T: DeserializeOwned>(store: &Store, table: &str) -> Result<BTreeMap<String, T>, StoreError> {
    let mut all = BTreeMap::new();
    let mut after = String::new();
    loop {
        let page = store.documents(table, &after, PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(all) };
        after.clone_from(last);
        for (key, value) in page {
            let value = serde_json::from_value(value).map_err(|e| StoreError::Refused {
                reason: format!("the document {table} {key} cannot be read ({e}); it was written by another version of bwld"),
            })?;
            all.insert(key, value);
        }
    }
}
