//! Patterns of browsers' policies.
//!
//! Chromium's and Edge's `[scheme://][.]host[:port][/path]` (a leading dot is exactly that host), and Firefox's match
//! patterns such as `*://*.name/*`.
//!
//! Guarantees: a pattern for one scheme, or with a query, a user or a star elsewhere, is left out or becomes a rule for URLs;
//! `*` alone is an issue.

use crate::list::{Kind, TargetError};

use super::{
    Item,
    out::{Out, Place, Verdict},
    plain,
};

const OTHER: &str = "pattern that a list cannot say";

/// A pattern of `URLBlocklist` or `URLAllowlist`.
pub(super) fn chromium<E, F>(verdict: Verdict, text: &str, place: Place<'_>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let scheme = rest.is_some();
    let rest = rest.unwrap_or(text);
    if matches!(rest, "" | "*") {
        out.refuse(place, &if rest.is_empty() { TargetError::Empty } else { TargetError::Root });
        return Ok(());
    }
    if rest.contains(['*', '@', '?', '#']) || rest.contains("://") {
        out.leave_out(OTHER, place);
        return Ok(());
    }
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (exact, authority) = match authority.strip_prefix('.') {
        Some(host) => (true, host),
        None => (false, authority),
    };
    let port = authority.rfind(':').is_some_and(|at| !authority[at..].contains(']'));
    // A whole host, any scheme.
    if path.is_empty() && !port && !scheme {
        return match plain::address(authority) {
            Some(address) => out.entry(verdict, Kind::Cidr, address, place),
            None => out.entry(verdict, if exact { Kind::Domain } else { Kind::Subtree }, authority, place),
        };
    }
    if port && (authority.ends_with(":80") || authority.ends_with(":443")) && !scheme {
        out.leave_out(OTHER, place);
        return Ok(());
    }
    let path = if path.is_empty() { "/" } else { path };
    out.prefix_entry(verdict, &format!("{authority}{path}"), place)
}

/// A pattern of `WebsiteFilter`.
pub(super) fn firefox<E, F>(verdict: Verdict, text: &str, place: Place<'_>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    if matches!(text, "<all_urls>" | "*://*/*") {
        out.refuse(place, &TargetError::Root);
        return Ok(());
    }
    let Some((scheme, rest)) = text.split_once("://").filter(|(scheme, _)| matches!(*scheme, "*" | "http" | "https")) else {
        out.leave_out(OTHER, place);
        return Ok(());
    };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if scheme == "*" && path == "/*" {
        if let Some(name) = host.strip_prefix("*.").filter(|name| !name.contains('*')) {
            return out.entry(verdict, Kind::Subtree, name, place);
        }
        if !host.contains('*') {
            return match plain::address(host) {
                Some(address) => out.entry(verdict, Kind::Cidr, address, place),
                None => out.entry(verdict, Kind::Domain, host, place),
            };
        }
    }
    let host = host.strip_prefix("*.").unwrap_or(host);
    match path.strip_suffix('*') {
        _ if host.contains(['*', '@']) || host.is_empty() || path.is_empty() || path.contains('#') => out.leave_out(OTHER, place),
        // The host alone, of all those that the pattern has: no more than it says.
        Some(path) if !path.contains('*') => return out.prefix_entry(verdict, &format!("{host}{path}"), place),
        None if !path.contains('*') => return out.entry(verdict, Kind::Url, &format!("{host}{path}"), place),
        _ => out.leave_out(OTHER, place),
    }
    Ok(())
}
