//! Tokens: `bwld_PREFIX_SECRET`, 256 random bits behind a prefix that may be shown. Only the SHA-256 of the text is kept.

use std::net::IpAddr;
use std::ops::Bound;
use std::sync::PoisonError;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::list::{Digest, Timestamp};
use crate::store::{By, digest_of};

use super::accounts::{check_grants, shown};
use super::secret::{random_letters, random_text, same};
use super::state::{TOKEN, Token, USE};
use super::{Done, Grants, People, PeopleError, Refused, Via, Who, document, no_document};

/// Every token begins so.
const MARK: &str = "bwld_";
/// Letters of a prefix.
const PREFIX: usize = 8;
/// Characters of the secret: 256 bits in base64url.
const SECRET: usize = 43;
/// Longest label, in octets.
const MAX_LABEL: usize = 200;
/// A use is written down when the one in the journal is this many seconds old.
const USE_AFTER: u64 = 300;

/// A token to make.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// Whose it is.
    pub account: String,
    /// What it is for, in words.
    #[serde(default)]
    pub label: String,
    /// It may do what these and the account's roles both allow; absent: what the account may.
    #[serde(default)]
    pub grants: Option<Grants>,
    /// From when on it is refused; absent: never.
    #[serde(default)]
    pub expires: Option<Timestamp>,
}

/// A token, as it is shown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TokenView {
    /// What it is called by; the beginning of its text, after `bwld_`.
    pub prefix: String,
    /// Whose it is.
    pub account: String,
    /// What it is for.
    pub label: String,
    /// It may do what these and the account's roles both allow.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub grants: Option<Grants>,
    /// When it was made.
    pub created: Timestamp,
    /// From when on it is refused.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires: Option<Timestamp>,
    /// When it was last used.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub used: Option<Timestamp>,
}

/// A token that was just made. Its text is never shown again.
#[derive(Debug)]
pub struct TokenMade {
    /// As it is shown from now on.
    pub view: TokenView,
    /// The token itself.
    pub secret: Zeroizing<String>,
}

impl People {
    /// Makes a token.
    ///
    /// # Errors
    /// [`PeopleError::NoAccount`], [`PeopleError::Refused`]; of the store.
    pub fn create_token(&self, new: NewToken, by: impl Into<By>) -> Result<TokenMade, PeopleError> {
        let by = by.into();
        if new.label.len() > MAX_LABEL || new.label.chars().any(char::is_control) {
            return Err(PeopleError::Refused(format!("a token's label is at most {MAX_LABEL} octets of one line")));
        }
        new.grants.as_ref().map_or(Ok(()), check_grants)?;
        let now = self.clock.now();
        if new.expires.is_some_and(|expires| expires <= now) {
            return Err(PeopleError::Refused(format!("a token that expires before now ({now}) is of no use")));
        }
        let _alone = self.writing();
        let has = self.account(&new.account)?.tokens;
        if has >= self.options.max_tokens {
            return Err(PeopleError::Refused(format!("the account has {has} tokens; revoke those that are not used")));
        }
        let mut prefix = random_letters::<PREFIX>()?;
        while self.state().tokens.contains_key(&prefix) {
            prefix = random_letters::<PREFIX>()?;
        }
        let secret = Zeroizing::new(format!("{MARK}{prefix}_{}", random_text()?.as_str()));
        let hash = Digest::of(secret.as_bytes());
        let NewToken { account, label, grants, expires } = new;
        let token = Token { account, label, grants, hash, created: now, expires };
        let view = self.token_view(&prefix, &token);
        let object = format!("token:{prefix} of account:{}", token.account);
        let done = Done { what: "token.create", object, before: None, after: Some(digest_of(&view)) };
        self.commit(&by, vec![document(TOKEN, &prefix, &token)], done)?;
        self.state_mut().tokens.insert(prefix, token);
        Ok(TokenMade { view, secret })
    }

    /// Refuses a token from now on. It is gone; the audit chain knows of it.
    ///
    /// # Errors
    /// [`PeopleError::NoToken`]; of the store.
    pub fn revoke_token(&self, prefix: &str, by: impl Into<By>) -> Result<TokenView, PeopleError> {
        let by = by.into();
        let _alone = self.writing();
        let view = self.token(prefix)?;
        let object = format!("token:{prefix} of account:{}", view.account);
        let before = Some(digest_of(&TokenView { used: None, ..view.clone() }));
        let done = Done { what: "token.revoke", object, before, after: None };
        self.commit(&by, vec![no_document(TOKEN, prefix), no_document(USE, prefix)], done)?;
        let mut state = self.state_mut();
        state.tokens.remove(prefix);
        state.uses.remove(prefix);
        self.used.lock().unwrap_or_else(PoisonError::into_inner).remove(prefix);
        Ok(view)
    }

    /// A token.
    ///
    /// # Errors
    /// [`PeopleError::NoToken`].
    pub fn token(&self, prefix: &str) -> Result<TokenView, PeopleError> {
        let token = self.state().tokens.get(prefix).cloned();
        token.map(|token| self.token_view(prefix, &token)).ok_or_else(|| PeopleError::NoToken(shown(prefix)))
    }

    /// At most `limit` tokens by prefix, those behind `after`; of one account or of all.
    pub fn tokens(&self, account: Option<&str>, after: &str, limit: usize) -> Vec<TokenView> {
        let behind = (Bound::Excluded(after.to_owned()), Bound::Unbounded);
        let page: Vec<(String, Token)> = {
            let state = self.state();
            let of = state.tokens.range::<String, _>(behind).filter(|(_, token)| account.is_none_or(|name| token.account == name));
            of.take(limit).map(|(prefix, token)| (prefix.clone(), token.clone())).collect()
        };
        page.iter().map(|(prefix, token)| self.token_view(prefix, token)).collect()
    }

    /// Who carries this token.
    ///
    /// # Errors
    /// [`Refused::NotAccepted`], whatever is wrong with it; [`Refused::TooMany`] if one source sends many that are.
    pub fn who_by_token(&self, text: &str, from: Option<IpAddr>) -> Result<Who, Refused> {
        let offered = Digest::of(text);
        let now = self.clock.now();
        let state = self.state();
        let prefix = prefix_of(text).unwrap_or_default();
        // One that is not there is compared as well, so that a prefix cannot be felt for.
        let known = state.tokens.get(prefix);
        let fits = same(&offered, &known.map_or(Digest([0; 32]), |token| token.hash));
        let (Some(token), true) = (known, fits) else {
            self.tries.wrong_token(from)?;
            return Err(Refused::NotAccepted);
        };
        if token.expires.is_some_and(|expires| expires <= now) {
            return Err(Refused::NotAccepted);
        }
        let account = state.accounts.get(&token.account).filter(|account| !account.disabled).ok_or(Refused::NotAccepted)?;
        let grants = token.grants.as_ref().map_or_else(|| account.grants.clone(), |to| account.grants.narrowed(to));
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(prefix.to_owned(), now);
        Ok(Who { account: account.name.clone(), grants, via: Via::Token(prefix.to_owned()) })
    }

    /// Writes down when tokens were last used, those for which that has changed by minutes.
    pub(super) fn write_uses(&self) -> Result<(), PeopleError> {
        let _alone = self.writing();
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let state = self.state();
        let due = |prefix: &str, at: Timestamp| {
            state.tokens.contains_key(prefix) && state.uses.get(prefix).is_none_or(|written| at.since(*written) >= USE_AFTER)
        };
        let due: Vec<_> = used.into_iter().filter(|(prefix, at)| due(prefix, *at)).collect();
        drop(state);
        if due.is_empty() {
            return Ok(());
        }
        let records = due.iter().map(|(prefix, at)| document(USE, prefix, at)).collect();
        self.store.commit(&crate::store::Record::All { records })?;
        self.state_mut().uses.extend(due);
        Ok(())
    }

    fn token_view(&self, prefix: &str, token: &Token) -> TokenView {
        let Token { account, label, grants, created, expires, .. } = token.clone();
        let fresh = self.used.lock().unwrap_or_else(PoisonError::into_inner).get(prefix).copied();
        let used = fresh.max(self.state().uses.get(prefix).copied());
        TokenView { prefix: prefix.into(), account, label, grants, created, expires, used }
    }
}

/// The prefix, if this has the form of a token.
fn prefix_of(text: &str) -> Option<&str> {
    let (prefix, secret) = text.strip_prefix(MARK)?.split_once('_')?;
    (prefix.len() == PREFIX && secret.len() == SECRET).then_some(prefix)
}
