//! Lists of names: plain, and hosts files.

use crate::list::Kind;

use super::Why;
use super::format::{PLAIN, Says, Spec};

const EXACT: [Says; 5] = [Says::All, Says::None, Says::None, Says::None, Says::None];
const UNDER: [Says; 5] = [Says::None, Says::All, Says::None, Says::None, Says::None];

pub(super) const DOMAINS: Spec = Spec {
    name: "domains",
    about: "one name a line, for readers that take it as exactly that host",
    says: EXACT,
    entry: |cx, entry| match entry.kind {
        Kind::Domain => {
            cx.line([entry.target]);
            Ok(1)
        }
        _ => Err(Why::Kind),
    },
    ..PLAIN
};

pub(super) const SUBTREES: Spec = Spec {
    name: "subtrees",
    about: "one name a line, for readers that take it as the host and all under it",
    says: UNDER,
    entry: |cx, entry| match entry.kind {
        Kind::Subtree => {
            cx.line([entry.target]);
            Ok(1)
        }
        _ => Err(Why::Kind),
    },
    ..PLAIN
};

/// Both families of addresses: with 0.0.0.0 alone a system asks its resolver for an IPv6 address all the same.
pub(super) const HOSTS: Spec = Spec {
    name: "hosts",
    about: "a hosts file, with 0.0.0.0 and :: (also for addn-hosts of dnsmasq, and adlists of MikroTik)",
    says: EXACT,
    entry: |cx, entry| match entry.kind {
        Kind::Domain => {
            cx.line(["0.0.0.0 ", entry.target]);
            cx.line([":: ", entry.target]);
            Ok(2)
        }
        _ => Err(Why::Kind),
    },
    ..PLAIN
};
