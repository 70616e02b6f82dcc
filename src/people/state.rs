//! What is known of people, in memory as in the store: a document each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::list::{Digest, Timestamp};
use crate::store::{Store, StoreError};

use super::Grants;
use super::factor::Factor;
use super::passwords::Password;

/// Tables of the store.
pub(super) const ACCOUNT: &str = "account";
pub(super) const TOKEN: &str = "token";
/// What is kept of an account's ways in: the only table with what is derived from secrets of people.
pub(super) const CREDENTIAL: &str = "credential";
pub(super) const SESSION: &str = "session";
/// When a token was last used.
pub(super) const USE: &str = "token-use";

/// An account.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) grants: Grants,
    #[serde(default)]
    pub(super) disabled: bool,
    pub(super) created: Timestamp,
    /// Whom a provider of identities vouches for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) identity: Option<Identity>,
}

/// Somebody at a provider of identities.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The provider, as it calls itself.
    pub issuer: String,
    /// What it calls the person, for ever (`sub`).
    pub subject: String,
}

/// How an account comes in.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Credential {
    #[serde(default)]
    pub(super) password: Option<Password>,
    #[serde(default)]
    pub(super) set_up: Option<SetUp>,
    #[serde(default)]
    pub(super) factor: Option<Factor>,
}

/// A set-up token, without the token.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct SetUp {
    pub(super) hash: Digest,
    pub(super) expires: Timestamp,
}

/// A session, under the SHA-256 of its id.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Session {
    pub(super) account: String,
    pub(super) created: Timestamp,
    pub(super) seen: Timestamp,
    pub(super) expires: Timestamp,
}

/// A second factor that was offered and is not yet confirmed. Only in memory.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) salt: String,
    pub(super) expires: Timestamp,
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
    pub(super) credentials: BTreeMap<String, Credential>,
    pub(super) sessions: BTreeMap<String, Session>,
    pub(super) offers: BTreeMap<String, Pending>,
}

impl State {
    pub(super) fn read(store: &Store) -> Result<State, StoreError> {
        Ok(State {
            accounts: table(store, ACCOUNT)?,
            tokens: table(store, TOKEN)?,
            uses: table(store, USE)?,
            credentials: table(store, CREDENTIAL)?,
            sessions: table(store, SESSION)?,
            offers: BTreeMap::new(),
        })
    }
}

/// A whole table.
fn table<T: DeserializeOwned>(store: &Store, table: &str) -> Result<BTreeMap<String, T>, StoreError> {
    let mut all = BTreeMap::new();
    store.each_document(table, |key, value| {
        let value = serde_json::from_value(value).map_err(|e| StoreError::Refused {
            reason: format!("the document {table} {key} cannot be read ({e}); it was written by another version of bwld"),
        })?;
        all.insert(key, value);
        Ok::<_, StoreError>(())
    })?;
    Ok(all)
}
