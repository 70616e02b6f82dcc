//! What a caller must be to make a call.

use crate::people::Role;

/// What a caller must be to make a call. An owner of the list, or of all lists, is everything else as well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::http) enum Need {
    /// Nothing: anybody.
    Nobody,
    /// An account, whatever it may do.
    Account,
    /// One of these roles on any list; the handler shows only what belongs to the lists where the caller has it.
    Some(&'static [Role]),
    /// One of these roles on the list that the path names as `{list}`.
    List(&'static [Role]),
    /// One of these roles for all lists.
    All(&'static [Role]),
}

/// Who looks at a list as its operators do: what is staged, its log, its entries with all that is known of them.
pub(in crate::http) const READERS: &[Role] = &[Role::Owner, Role::Editor, Role::Reviewer, Role::Auditor];
/// Who changes entries.
pub(in crate::http) const WRITERS: &[Role] = &[Role::Owner, Role::Editor];
/// Who decides about the list as such.
pub(in crate::http) const OWNERS: &[Role] = &[Role::Owner];
/// Who reads the audit chain.
pub(in crate::http) const AUDITORS: &[Role] = &[Role::Owner, Role::Auditor];
