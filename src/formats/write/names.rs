//! Lists of names, addresses and URLs, one a line, and hosts files.

use crate::list::Kind;

use super::entry::EntryRef;
use super::format::{Fold, PLAIN, Says, Spec, White};
use super::{Cx, Why};

pub(super) const EXACT: [Says; 5] = [Says::All, Says::None, Says::None, Says::None, Says::None];
pub(super) const UNDER: [Says; 5] = [Says::None, Says::All, Says::None, Says::None, Says::None];

pub(super) const DOMAINS: Spec =
    Spec { name: "domains", about: "one name a line, for readers that take it as exactly that host", says: EXACT, entry: exact, ..PLAIN };

pub(super) const SUBTREES: Spec = Spec {
    name: "subtrees",
    about: "one name a line, for readers that take it as the host and all under it",
    says: UNDER,
    entry: under,
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

pub(super) const ADDRESSES: Spec =
    Spec { name: "addresses", about: "one address range a line (also for dst of Squid)", says: RANGES, entry: range, ..PLAIN };

pub(super) const URLS: Spec = Spec {
    name: "urls",
    about: "one URL a line without its scheme, for readers that take it as exactly that URL",
    says: [Says::None, Says::None, Says::All, Says::None, Says::None],
    entry: |cx, entry| only(cx, entry, Kind::Url),
    ..PLAIN
};

pub(super) const BLOCKY: Spec = Spec {
    name: "blocky",
    about: "lists of Blocky: a name is that host, *.name the name and all under it",
    says: NAMES,
    entry: |cx, entry| match entry.kind {
        Kind::Subtree => {
            cx.line(["*.", entry.target]);
            Ok(1)
        }
        _ => exact(cx, entry),
    },
    ..PLAIN
};

/// Squid ends when a file of `dstdomain` holds a name and one that covers it.
pub(super) const SQUID_DOMAINS: Spec = Spec {
    name: "squid-domains",
    about: "dstdomain of Squid: a name is that host, .name the name and all under it",
    says: NAMES,
    fold: Fold::Names,
    entry: |cx, entry| match entry.kind {
        Kind::Subtree => {
            cx.line([".", entry.target]);
            Ok(1)
        }
        _ => exact(cx, entry),
    },
    ..PLAIN
};

pub(super) const SQUIDGUARD_DOMAINS: Spec = Spec {
    name: "squidguard-domains",
    about: "domainlist of squidGuard and ufdbGuard",
    says: UNDER,
    comment: Some("#"),
    entry: under,
    ..PLAIN
};

pub(super) const SQUIDGUARD_URLS: Spec = Spec {
    name: "squidguard-urls",
    about: "urllist of squidGuard and ufdbGuard",
    says: [Says::None, Says::None, Says::None, Says::Some(LOOSE), Says::None],
    entry: loose,
    ..PLAIN
};

pub(super) const E2GUARDIAN_SITES: Spec =
    Spec { name: "e2guardian-sites", about: "site lists of e2guardian", says: UNDER, entry: under, ..PLAIN };

pub(super) const E2GUARDIAN_URLS: Spec = Spec {
    name: "e2guardian-urls",
    about: "URL lists of e2guardian",
    says: [Says::None, Says::None, Says::None, Says::Some(LOOSE), Says::None],
    entry: loose,
    ..PLAIN
};

pub(super) const PFBLOCKERNG_DOMAINS: Spec =
    Spec { name: "pfblockerng-domains", about: "DNSBL feeds of pfBlockerNG: one name a line, that host", ..DOMAINS };

pub(super) const PFBLOCKERNG_ADDRESSES: Spec =
    Spec { name: "pfblockerng-addresses", about: "IP feeds of pfBlockerNG: one address range a line", ..ADDRESSES };

/// `*` stands for any labels in domain feeds of Fortinet and of Palo Alto; the name itself is a line of its own.
const STARRED: Spec = Spec {
    says: NAMES,
    white: White::Plain,
    entry: |cx, entry| match entry.kind {
        Kind::Subtree => {
            cx.line([entry.target]);
            cx.line(["*.", entry.target]);
            Ok(2)
        }
        _ => exact(cx, entry),
    },
    ..PLAIN
};

pub(super) const FORTINET_DOMAINS: Spec =
    Spec { name: "fortinet-domains", about: "FortiGate, external resource of type domain; limit= by model", ..STARRED };

pub(super) const FORTINET_ADDRESSES: Spec =
    Spec { name: "fortinet-addresses", about: "FortiGate, external resource of type address; limit= by model", ..ADDRESSES };

pub(super) const PALOALTO_DOMAINS: Spec =
    Spec { name: "paloalto-domains", about: "PAN-OS, external dynamic list of domains; limit= by model", comment: None, ..STARRED };

pub(super) const PALOALTO_ADDRESSES: Spec =
    Spec { name: "paloalto-addresses", about: "PAN-OS, external dynamic list of addresses; limit= by model", ..ADDRESSES };

/// An entry is a prefix; without a slash at its end `example.com` would cover `example.com.evil.example`.
pub(super) const PALOALTO_URLS: Spec = Spec {
    name: "paloalto-urls",
    about: "PAN-OS, external dynamic list of URLs: whole hosts; limit= by model",
    says: NAMES,
    comment: None,
    entry: |cx, entry| match entry.kind {
        Kind::Domain => {
            cx.line([entry.target, "/"]);
            Ok(1)
        }
        Kind::Subtree => {
            cx.line([entry.target, "/"]);
            cx.line(["*.", entry.target, "/"]);
            Ok(2)
        }
        _ => Err(Why::Kind),
    },
    ..PLAIN
};

const NAMES: [Says; 5] = [Says::All, Says::All, Says::None, Says::None, Says::None];
pub(super) const RANGES: [Says; 5] = [Says::None, Says::None, Says::None, Says::None, Says::All];
const LOOSE: &str = "with spellings=any, if it ends in / ? & or =";

fn exact(cx: &mut Cx<'_>, entry: &EntryRef<'_>) -> Result<u64, Why> {
    only(cx, entry, Kind::Domain)
}

fn under(cx: &mut Cx<'_>, entry: &EntryRef<'_>) -> Result<u64, Why> {
    only(cx, entry, Kind::Subtree)
}

fn range(cx: &mut Cx<'_>, entry: &EntryRef<'_>) -> Result<u64, Why> {
    only(cx, entry, Kind::Cidr)
}

/// The target as it is, if it is of this kind.
fn only(cx: &mut Cx<'_>, entry: &EntryRef<'_>, kind: Kind) -> Result<u64, Why> {
    if entry.kind != kind {
        return Err(Why::Kind);
    }
    cx.line([entry.target]);
    Ok(1)
}

/// Prefixes for programs that look at neither port nor case and cut `www.` and its like off a host (squidGuard 1.6 was
/// seen to do all three): only for somebody who has said that these spellings may match, too.
fn loose(cx: &mut Cx<'_>, entry: &EntryRef<'_>) -> Result<u64, Why> {
    if entry.kind != Kind::Prefix {
        return Err(Why::Kind);
    }
    let url = entry.url();
    let first = url.host.split('.').next().unwrap_or_default().trim_end_matches(|c: char| c.is_ascii_digit());
    if !cx.loose {
        Err(Why::Case)
    } else if url.port.is_some() {
        Err(Why::Port)
    } else if !url.ends_at_boundary() {
        Err(Why::Boundary)
    } else if matches!(first, "www" | "web" | "ftp") || url.host.starts_with('[') {
        Err(Why::Text)
    } else {
        cx.line([url.host, url.path]);
        Ok(1)
    }
}
