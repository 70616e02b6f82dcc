//! What can be set.

/// What can be set; all times in seconds.
#[derive(Clone, Debug)]
pub struct PeopleOptions {
    /// Most accounts.
    pub max_accounts: usize,
    /// Most tokens of one account.
    pub max_tokens: usize,
}

impl Default for PeopleOptions {
    fn default() -> Self {
        PeopleOptions { max_accounts: 10_000, max_tokens: 200 }
    }
}
