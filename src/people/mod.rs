//! Accounts, their roles, and the ways in: tokens for programs, sessions for the console.
//!
//! Guarantees: every change is one journal frame with its line of the audit chain; no secret is kept, shown again, logged or audited
//! (tokens, sessions and set-up links as SHA-256 of 256 random bits, passwords as argon2id); what was revoked, disabled or has
//! expired is refused by the next question; an answer to somebody unknown does not tell, by text or by work done, whether there is
//! such an account. There is always an owner: the account `operator`, whose token lies in the data folder, cannot be disabled.
//!
//! It knows nothing of HTTP. Synchronous; what hashes a password takes tens of milliseconds and is for blocking threads.

mod accounts;
mod error;
mod factor;
mod login;
mod options;
mod passwords;
mod roles;
mod secret;
mod sessions;
mod source;
mod state;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_login;
mod tokens;
mod tries;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde::Serialize;

use crate::list::{Digest, Timestamp};
use crate::store::{By, Clock, Record, Store};

pub use accounts::{AccountChange, AccountView, NewAccount};
pub use error::{PeopleError, Refused};
pub use factor::FactorOffer;
pub use login::{Invitation, LogIn};
pub use options::PeopleOptions;
pub use passwords::HashCost;
pub use roles::{Grants, MAX_SCOPES, Role, Scope, Via, Who};
pub use secret::random_text;
pub use sessions::{SessionMade, csrf_of};
pub use source::source;
pub use state::Identity;
pub use tokens::{NewToken, TokenMade, TokenView};

use passwords::Hasher;
use state::State;
use tries::Tries;

/// Everybody who may do something here.
pub struct People {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    options: PeopleOptions,
    state: RwLock<State>,
    /// Held from the check of a change to its end, so that no two are checked against the same state.
    writing: Mutex<()>,
    /// When tokens were last used, as far as that is not yet in the journal.
    used: Mutex<HashMap<String, Timestamp>>,
    /// The same of sessions.
    seen: Mutex<HashMap<String, Timestamp>>,
    hasher: Hasher,
    tries: Tries,
}

impl std::fmt::Debug for People {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("People").finish_non_exhaustive()
    }
}

impl People {
    /// Reads all accounts from the store. The first time it makes the account `operator`, an owner of everything.
    ///
    /// # Errors
    /// Of the store.
    pub fn open(store: Arc<Store>, clock: Arc<dyn Clock>, options: PeopleOptions) -> Result<People, PeopleError> {
        let state = State::read(&store)?;
        let people = People {
            state: RwLock::new(state),
            writing: Mutex::default(),
            used: Mutex::default(),
            seen: Mutex::default(),
            hasher: Hasher::new(options.hash, options.hash_at_once),
            tries: Tries::new(clock.clone(), options.log_ins_per_minute, options.wrong_tokens_per_minute),
            store,
            clock,
            options,
        };
        if !people.state().accounts.contains_key(Who::OPERATOR) {
            let new = NewAccount { name: Who::OPERATOR.into(), grants: Grants::everywhere(Role::Owner) };
            people.create_account(new, "bwld")?;
        }
        Ok(people)
    }

    /// Writes down what need not be durable at once. To be called every few minutes.
    ///
    /// # Errors
    /// Of the store; it is then tried again the next time.
    pub fn upkeep(&self) -> Result<(), PeopleError> {
        self.write_uses()?;
        self.write_sessions()
    }

    /// Counts a request of somebody who is not yet let in.
    ///
    /// # Errors
    /// [`Refused::TooMany`].
    pub fn count_request(&self, from: Option<IpAddr>) -> Result<(), Refused> {
        self.tries.request(from)
    }

    /// How much was ever hashed to check passwords, in KiB times passes.
    pub fn hashed(&self) -> u64 {
        self.hasher.work()
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits documents and the act as one frame.
    fn commit(&self, by: &By, documents: Vec<Record>, done: Done<'_>) -> Result<(), PeopleError> {
        let mut act = by.act(self.clock.now(), done.what, done.object);
        (act.before, act.after) = (done.before, done.after);
        let mut documents = documents.into_iter();
        let first = documents.next().ok_or(PeopleError::System("there is nothing to write"))?;
        by.clone().with(documents).commit(&self.store, first, act)?;
        Ok(())
    }
}

/// What was done, for the audit chain.
#[derive(Default)]
struct Done<'a> {
    what: &'a str,
    object: String,
    before: Option<Digest>,
    after: Option<Digest>,
}

/// A document from now on.
fn document(table: &str, key: &str, value: &impl Serialize) -> Record {
    let value = serde_json::to_value(value).expect("what is kept of people has only text keys and values that JSON can hold");
    Record::Document { table: table.into(), key: key.into(), value: Some(value) }
}

/// A document no longer.
fn no_document(table: &str, key: &str) -> Record {
    Record::Document { table: table.into(), key: key.into(), value: None }
}
