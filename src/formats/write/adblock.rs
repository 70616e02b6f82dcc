//! Rules of filters in browsers (uBlock Origin, AdGuard, Brave) and of resolvers that took the syntax over (AdGuard Home,
//! Pi-hole).
//!
//! `||name^` is the name and all under it. One host exactly is in a browser `|http://name^` and `|https://name^`; a
//! resolver has no URLs, and takes a bare name as exactly that host. A path is compared without regard to case, but for
//! a regular expression with `match-case`: so a URL is one.

use crate::list::Kind;

use super::entry::EntryRef;
use super::format::{PLAIN, Says, Spec, White};
use super::{Cx, Why, regex};

pub(super) const BROWSER: Spec = Spec {
    name: "adblock",
    about: "rules for uBlock Origin, AdGuard, Brave and others in a browser",
    says: [Says::All, Says::All, Says::All, Says::All, Says::None],
    white: White::Allows,
    comment: Some("!"),
    entry: |cx, entry| {
        let mark = mark(cx);
        match entry.kind {
            Kind::Domain => {
                cx.line([mark, "|http://", entry.target, "^"]);
                cx.line([mark, "|https://", entry.target, "^"]);
                Ok(2)
            }
            Kind::Subtree => subtree(cx, entry),
            Kind::Url | Kind::Prefix => {
                cx.put(mark);
                cx.put("/");
                regex::push_url(cx, entry, true);
                cx.put("/$match-case\n");
                Ok(1)
            }
            Kind::Cidr => Err(Why::Kind),
        }
    },
    ..PLAIN
};

pub(super) const DNS: Spec = Spec {
    name: "adguard-dns",
    about: "rules for AdGuard Home, Pi-hole and others that filter DNS",
    says: [Says::All, Says::All, Says::None, Says::None, Says::None],
    white: White::Allows,
    comment: Some("!"),
    entry: |cx, entry| match entry.kind {
        Kind::Domain if cx.black => {
            cx.line([entry.target]);
            Ok(1)
        }
        Kind::Domain => {
            cx.line(["@@|", entry.target, "^"]);
            Ok(1)
        }
        Kind::Subtree => subtree(cx, entry),
        _ => Err(Why::Kind),
    },
    ..PLAIN
};

fn mark(cx: &Cx<'_>) -> &'static str {
    if cx.black { "" } else { "@@" }
}

fn subtree(cx: &mut Cx<'_>, entry: &EntryRef<'_>) -> Result<u64, Why> {
    cx.line([mark(cx), "||", entry.target, "^"]);
    Ok(1)
}
