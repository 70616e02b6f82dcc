//! Coming in by name and password, and how a password comes into being: by a set-up token that an owner makes and that is taken once.

use std::net::IpAddr;

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::list::{Digest, Timestamp};
use crate::store::By;

use super::accounts::shown;
use super::factor::{self, FactorOffer};
use super::passwords::Password;
use super::secret::{random_text, same};
use super::state::{CREDENTIAL, Credential, Pending, SetUp};
use super::{Done, People, PeopleError, Refused, SessionMade, document};

/// Every set-up token begins so.
const MARK: &str = "bwld_setup_";
/// Longest name that is looked at, in octets.
const MAX_NAME: usize = 64;
/// Seconds in which an offered second factor must be confirmed.
const OFFER: u64 = 900;

/// What somebody sends who wants to come in.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogIn {
    /// The account.
    pub account: String,
    /// Its password.
    pub password: String,
    /// Of the second factor, or a recovery code; where the account has a second factor.
    #[serde(default)]
    pub code: Option<String>,
}

impl std::fmt::Debug for LogIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogIn(…)")
    }
}

/// A set-up token, shown once.
#[derive(Debug)]
pub struct Invitation {
    /// The token.
    pub secret: Zeroizing<String>,
    /// From when on it is of no use.
    pub expires: Timestamp,
}

impl People {
    /// Lets somebody in who knows the password, and has the second factor if the account has one.
    ///
    /// # Errors
    /// [`Refused`]; whether there is such an account is not told.
    pub fn log_in(&self, offered: &LogIn, from: Option<IpAddr>) -> Result<SessionMade, Refused> {
        let checked = self.check_password(&offered.account, &offered.password, from)?;
        let _alone = self.writing();
        let mut credential = self.still(&offered.account, &checked)?;
        let mut changed = false;
        if let Some(factor) = &credential.factor {
            let Some(code) = &offered.code else { return Err(Refused::CodeNeeded) };
            let taken = factor.take(self.factor_key()?, &offered.account, code, self.clock.now())?;
            credential.factor = Some(taken.ok_or(Refused::NotAccepted)?);
            changed = true;
        }
        let made = self.begin_session(&offered.account, "session.begin", from, changed.then_some(&credential))?;
        self.tries.fitted(&offered.account, from);
        Ok(made)
    }

    /// Lets somebody in for whom a provider of identities vouches.
    ///
    /// # Errors
    /// [`Refused::NotAccepted`]: no account is linked to this identity, or it is disabled.
    pub fn log_in_by_identity(&self, issuer: &str, subject: &str, from: Option<IpAddr>) -> Result<SessionMade, Refused> {
        let _alone = self.writing();
        let name = {
            let state = self.state();
            let linked = |account: &&super::state::Account| {
                !account.disabled && account.identity.as_ref().is_some_and(|own| own.issuer == issuer && own.subject == subject)
            };
            state.accounts.values().find(linked).map(|account| account.name.clone())
        };
        self.begin_session(&name.ok_or(Refused::NotAccepted)?, "session.begin-oidc", from, None)
    }

    /// The password that fits, as it is kept. One hash, whatever the answer. It is hashed without a lock, so whoever then writes asks
    /// [`People::still`].
    fn check_password(&self, account: &str, password: &str, from: Option<IpAddr>) -> Result<Password, Refused> {
        self.tries.request(from)?;
        let name: String = account.chars().take(MAX_NAME + 1).collect();
        self.tries.begin(&name, from)?;
        let kept = {
            let state = self.state();
            let enabled = state.accounts.get(account).is_some_and(|account| !account.disabled);
            state.credentials.get(account).and_then(|c| c.password.clone()).filter(|_| enabled)
        };
        let fits = self.hasher.fits(password, kept.as_ref())?;
        kept.filter(|_| fits).ok_or(Refused::NotAccepted)
    }

    /// The ways in of an account whose password was checked; the caller holds `writing`. Read again: while it was hashed the account may
    /// have been disabled, a code taken, or another password set, by somebody who wants to keep out whoever knows this one.
    fn still(&self, account: &str, checked: &Password) -> Result<Credential, Refused> {
        let state = self.state();
        let enabled = state.accounts.get(account).is_some_and(|account| !account.disabled);
        let credential = state.credentials.get(account).filter(|credential| enabled && credential.password.as_ref() == Some(checked));
        credential.cloned().ok_or(Refused::NotAccepted)
    }

    /// Makes the token by which the account's password is set, once. One made before is void.
    ///
    /// # Errors
    /// [`PeopleError::NoAccount`]; of the store.
    pub fn invite(&self, account: &str, by: impl Into<By>) -> Result<Invitation, PeopleError> {
        let (_alone, by) = (self.writing(), by.into());
        self.expected(account, &by)?;
        let mut credential = self.credential(account)?;
        let secret = Zeroizing::new(format!("{MARK}{}", random_text()?.as_str()));
        let expires = self.clock.now().plus(self.options.set_up_seconds);
        credential.set_up = Some(SetUp { hash: Digest::of(secret.as_bytes()), expires });
        self.put_credential(account, credential, "account.invite", &by, false)?;
        Ok(Invitation { secret, expires })
    }

    /// Sets the password of the account that the token was made for. Its sessions end.
    ///
    /// # Errors
    /// [`Refused::NotAccepted`]: the token is none, was taken before, or has expired.
    pub fn set_up(&self, token: &str, password: &str, from: Option<IpAddr>) -> Result<String, Refused> {
        self.tries.request(from)?;
        let offered = Digest::of(token);
        let find = || {
            let (state, now) = (self.state(), self.clock.now());
            let fits = |set_up: &SetUp| same(&set_up.hash, &offered) && set_up.expires > now;
            state.credentials.iter().find(|(_, c)| c.set_up.as_ref().is_some_and(fits)).map(|(name, c)| (name.clone(), c.clone()))
        };
        find().ok_or(Refused::NotAccepted)?;
        let kept = self.hasher.keep(password)?;
        let _alone = self.writing();
        let (name, credential) = find().ok_or(Refused::NotAccepted)?;
        let credential = Credential { password: Some(kept), set_up: None, ..credential };
        let by = By::new(name.clone(), from.map_or_else(String::new, |from| from.to_string()));
        self.put_credential(&name, credential, "password.set", &by, true)?;
        self.tries.fitted(&name, from);
        Ok(name)
    }

    /// Sets another password. All sessions of the account end.
    ///
    /// # Errors
    /// [`Refused::NotAccepted`] if `old` is not the password, or was none any more when `new` was to take its place.
    pub fn change_password(&self, account: &str, old: &str, new: &str, from: Option<IpAddr>) -> Result<(), Refused> {
        let checked = self.check_password(account, old, from)?;
        let kept = self.hasher.keep(new)?;
        let _alone = self.writing();
        let credential = Credential { password: Some(kept), ..self.still(account, &checked)? };
        let by = By::new(account, from.map_or_else(String::new, |from| from.to_string()));
        self.put_credential(account, credential, "password.set", &by, true)?;
        self.tries.fitted(account, from);
        Ok(())
    }

    /// Offers a second factor to somebody who knows the password. It holds once it is confirmed.
    ///
    /// # Errors
    /// [`Refused::NotAccepted`] if that is not the password; [`PeopleError::Refused`] if there is a factor already.
    pub fn offer_factor(&self, account: &str, password: &str, from: Option<IpAddr>) -> Result<FactorOffer, Refused> {
        let checked = self.check_password(account, password, from)?;
        let _alone = self.writing();
        let credential = self.still(account, &checked)?;
        self.tries.fitted(account, from);
        if credential.factor.is_some() {
            let reason = "there is a second factor; an owner can take it away, then set up another";
            return Err(PeopleError::Refused(reason.into()).into());
        }
        let offer = factor::offer(self.factor_key()?, account)?;
        let expires = self.clock.now().plus(OFFER);
        self.state_mut().offers.insert(account.into(), Pending { salt: offer.salt.clone(), expires });
        Ok(offer)
    }

    /// Puts the offered second factor in force; gives the recovery codes, shown once.
    ///
    /// # Errors
    /// [`Refused::NotAccepted`] if the code does not fit, or nothing was offered.
    pub fn confirm_factor(&self, account: &str, code: &str, from: Option<IpAddr>) -> Result<Vec<String>, Refused> {
        self.tries.request(from)?;
        let _alone = self.writing();
        let now = self.clock.now();
        let offered = self.state().offers.get(account).filter(|offer| offer.expires > now).map(|offer| offer.salt.clone());
        let salt = offered.ok_or(Refused::NotAccepted)?;
        let (factor, codes) = factor::confirm(self.factor_key()?, account, &salt, code, now)?;
        let credential = Credential { factor: Some(factor), ..self.credential(account)? };
        let by = By::new(account, from.map_or_else(String::new, |from| from.to_string()));
        self.put_credential(account, credential, "factor.set", &by, false)?;
        self.state_mut().offers.remove(account);
        Ok(codes)
    }

    /// Takes the second factor away from an account; its sessions end.
    ///
    /// # Errors
    /// [`PeopleError::NoAccount`]; of the store.
    pub fn drop_factor(&self, account: &str, by: impl Into<By>) -> Result<(), PeopleError> {
        let (_alone, by) = (self.writing(), by.into());
        self.expected(account, &by)?;
        let credential = Credential { factor: None, ..self.credential(account)? };
        self.put_credential(account, credential, "factor.drop", &by, true)
    }

    /// What is kept of an account's ways in.
    pub(super) fn credential(&self, account: &str) -> Result<Credential, PeopleError> {
        let state = self.state();
        if !state.accounts.contains_key(account) {
            return Err(PeopleError::NoAccount(shown(account)));
        }
        Ok(state.credentials.get(account).cloned().unwrap_or_default())
    }

    /// Writes what is kept of an account's ways in; the caller holds `writing`. With `end` its sessions end, and what was offered to one
    /// of them is void. No digest of it is in the audit chain: it would be one of secrets.
    pub(super) fn put_credential(&self, account: &str, credential: Credential, what: &str, by: &By, end: bool) -> Result<(), PeopleError> {
        let mut records = vec![document(CREDENTIAL, account, &credential)];
        let (ending, keys) = if end { self.ending_sessions(account) } else { Default::default() };
        records.extend(ending);
        self.commit(by, records, Done { what, object: format!("account:{account}"), ..Done::default() })?;
        let mut state = self.state_mut();
        state.credentials.insert(account.into(), credential);
        if end {
            state.offers.remove(account);
        }
        drop(state);
        self.forget_sessions(&keys);
        Ok(())
    }

    fn factor_key(&self) -> Result<&[u8; 32], PeopleError> {
        let none = PeopleError::Refused("no second factor here: the data folder has no key for it (keys/factor.key)".into());
        self.options.factor_key.as_deref().ok_or(none)
    }
}
