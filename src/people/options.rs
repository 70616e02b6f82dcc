//! What can be set.

use std::num::NonZeroU32;

use zeroize::Zeroizing;

use super::HashCost;

/// What can be set; all times in seconds.
#[derive(Clone)]
pub struct PeopleOptions {
    /// Most accounts.
    pub max_accounts: usize,
    /// Most tokens of one account.
    pub max_tokens: usize,
    /// What a new password's hash costs.
    pub hash: HashCost,
    /// Passwords that are hashed at one time.
    pub hash_at_once: usize,
    /// Log-ins and set-ups that one source may try in a minute.
    pub log_ins_per_minute: NonZeroU32,
    /// Wrong tokens that one source may send in a minute; right ones have no limit.
    pub wrong_tokens_per_minute: NonZeroU32,
    /// How long a session may be idle.
    pub idle_seconds: u64,
    /// How long a session lasts at the most.
    pub session_seconds: u64,
    /// How long a set-up token may be used.
    pub set_up_seconds: u64,
    /// From which second factors are made; none: there can be none.
    pub factor_key: Option<Zeroizing<[u8; 32]>>,
}

impl Default for PeopleOptions {
    fn default() -> Self {
        PeopleOptions {
            max_accounts: 10_000,
            max_tokens: 200,
            hash: HashCost::default(),
            hash_at_once: 2,
            log_ins_per_minute: NonZeroU32::new(20).unwrap_or(NonZeroU32::MIN),
            wrong_tokens_per_minute: NonZeroU32::new(300).unwrap_or(NonZeroU32::MIN),
            idle_seconds: 1_800,
            session_seconds: 43_200,
            set_up_seconds: 86_400,
            factor_key: None,
        }
    }
}

impl std::fmt::Debug for PeopleOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PeopleOptions").finish_non_exhaustive()
    }
}
