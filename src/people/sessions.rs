//! Sessions of the console: 256 random bits in a cookie, kept as their SHA-256; they end when idle, at the latest after a working day.

use std::net::IpAddr;
use std::sync::PoisonError;

use zeroize::Zeroizing;

use crate::list::{Digest, Timestamp};
use crate::store::{By, Record};

use super::secret::{random_text, same};
use super::state::{Credential, SESSION, Session};
use super::{Done, People, PeopleError, Refused, Via, Who, document, no_document};

/// Sessions of one account at one time; the oldest one ends.
const MAX_SESSIONS: usize = 20;
/// That a session was used is written down when what is written is this many seconds old.
const SEEN_AFTER: u64 = 300;

/// A session that has just begun.
#[derive(Debug)]
pub struct SessionMade {
    /// Whose.
    pub who: Who,
    /// For the cookie; never shown again.
    pub id: Zeroizing<String>,
    /// For the header of every call that changes something.
    pub csrf: String,
    /// When it ends at the latest.
    pub expires: Timestamp,
}

/// What a page must send along to show that it is ours: it follows from the session, and from nothing that another site has.
pub fn csrf_of(id: &str) -> String {
    Digest::of(format!("bwld csrf\0{id}")).hex()
}

impl People {
    /// Begins a session; `credential` is written in the same frame. The caller holds `writing`.
    pub(super) fn begin_session(
        &self,
        account: &str,
        what: &str,
        from: Option<IpAddr>,
        credential: Option<&Credential>,
    ) -> Result<SessionMade, Refused> {
        let now = self.clock.now();
        let id = random_text()?;
        let key = Digest::of(id.as_bytes()).hex();
        let expires = now.plus(self.options.session_seconds);
        let session = Session { account: account.into(), created: now, seen: now, expires };
        let mut records = vec![document(SESSION, &key, &session)];
        records.extend(credential.map(|credential| document(super::state::CREDENTIAL, account, credential)));
        let crowded = self.oldest_sessions(account, MAX_SESSIONS - 1);
        records.extend(crowded.iter().map(|key| no_document(SESSION, key)));
        let by = By::new(account, from.map_or_else(String::new, |from| from.to_string()));
        self.commit(&by, records, Done { what, object: format!("account:{account}"), before: None, after: None })?;
        let mut state = self.state_mut();
        crowded.iter().for_each(|key| drop(state.sessions.remove(key)));
        state.sessions.insert(key, session);
        if let Some(credential) = credential {
            state.credentials.insert(account.into(), credential.clone());
        }
        let grants = state.accounts.get(account).map(|account| account.grants.clone()).unwrap_or_default();
        let who = Who { account: account.into(), grants, via: Via::Session };
        Ok(SessionMade { who, csrf: csrf_of(&id), id, expires })
    }

    /// Keys of an account's sessions but the newest `keep`.
    fn oldest_sessions(&self, account: &str, keep: usize) -> Vec<String> {
        let state = self.state();
        let mut own: Vec<_> =
            state.sessions.iter().filter(|(_, s)| s.account == account).map(|(key, s)| (s.created, key.clone())).collect();
        own.sort_unstable();
        let over = own.len().saturating_sub(keep);
        own.into_iter().take(over).map(|(_, key)| key).collect()
    }

    /// Records that end all sessions of an account, and their keys.
    pub(super) fn ending_sessions(&self, account: &str) -> (Vec<Record>, Vec<String>) {
        let keys = self.oldest_sessions(account, 0);
        (keys.iter().map(|key| no_document(SESSION, key)).collect(), keys)
    }

    /// Whose session this is. It counts as used.
    ///
    /// # Errors
    /// [`Refused::NotAccepted`]: there is none, it has ended, or the account is disabled.
    pub fn who_by_session(&self, id: &str) -> Result<Who, Refused> {
        let (now, key) = (self.clock.now(), Digest::of(id).hex());
        let state = self.state();
        let session = state.sessions.get(&key).ok_or(Refused::NotAccepted)?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let last = seen.get(&key).copied().unwrap_or(session.seen);
        if session.expires <= now || now.since(last) >= self.options.idle_seconds {
            return Err(Refused::NotAccepted);
        }
        let account = state.accounts.get(&session.account).filter(|account| !account.disabled).ok_or(Refused::NotAccepted)?;
        seen.insert(key, now);
        Ok(Who { account: account.name.clone(), grants: account.grants.clone(), via: Via::Session })
    }

    /// Whether `header` is what a page of this session sends along.
    pub fn csrf_fits(&self, id: &str, header: &str) -> bool {
        same(&Digest::of(csrf_of(id)), &Digest::of(header))
    }

    /// Ends a session. One that is not there is ended already.
    ///
    /// # Errors
    /// Of the store.
    pub fn log_out(&self, id: &str, by: impl Into<By>) -> Result<(), PeopleError> {
        let key = Digest::of(id).hex();
        let _alone = self.writing();
        let Some(account) = self.state().sessions.get(&key).map(|session| session.account.clone()) else { return Ok(()) };
        let object = format!("account:{account}");
        self.commit(&by.into(), vec![no_document(SESSION, &key)], Done { what: "session.end", object, ..Done::default() })?;
        self.forget_sessions(&[key]);
        Ok(())
    }

    /// What was written is so in memory too.
    pub(super) fn forget_sessions(&self, keys: &[String]) {
        let mut state = self.state_mut();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            state.sessions.remove(key);
            seen.remove(key);
        }
    }

    /// Removes sessions that have ended, and writes down which were used.
    pub(super) fn write_sessions(&self) -> Result<(), PeopleError> {
        let _alone = self.writing();
        let now = self.clock.now();
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (mut records, mut ended, mut used) = (Vec::new(), Vec::new(), Vec::new());
        for (key, session) in &self.state().sessions {
            let last = seen.get(key).copied().unwrap_or(session.seen);
            if session.expires <= now || now.since(last) >= self.options.idle_seconds {
                records.push(no_document(SESSION, key));
                ended.push(key.clone());
            } else if last.since(session.seen) >= SEEN_AFTER {
                let session = Session { seen: last, ..session.clone() };
                records.push(document(SESSION, key, &session));
                used.push((key.clone(), session));
            }
        }
        if records.is_empty() {
            return Ok(());
        }
        self.store.commit(&Record::All { records })?;
        self.state_mut().sessions.extend(used);
        self.forget_sessions(&ended);
        Ok(())
    }
}
