//! Maps of proxies: Squid's URL expressions, nginx, HAProxy. A value is the list's colour, so that one map can hold both.

use crate::list::Kind;

use super::entry::EntryRef;
use super::format::{Fold, PLAIN, Says, Spec, White};
use super::names::RANGES;
use super::{Cx, Why, regex};

const NAMES: [Says; 5] = [Says::All, Says::All, Says::None, Says::None, Says::None];
const PATHS: [Says; 5] = [Says::None, Says::None, Says::All, Says::All, Says::None];

pub(super) const SQUID_URLS: Spec = Spec {
    name: "squid-urls",
    about: "url_regex of Squid; each is tried in turn, so for short lists",
    says: PATHS,
    entry: |cx, entry| match entry.kind {
        Kind::Url | Kind::Prefix => {
            regex::push_url(cx, entry, false);
            cx.put("\n");
            Ok(1)
        }
        _ => Err(Why::Kind),
    },
    ..PLAIN
};

/// With `hostnames;` in the map: a name is that host, `.name` the name and all under it; one name twice ends nginx.
pub(super) const NGINX: Spec = Spec {
    name: "nginx",
    extension: "map",
    about: "for map $host … { hostnames; include FILE; } of nginx; the value is black or white",
    says: NAMES,
    white: White::Allows,
    fold: Fold::Names,
    entry: |cx, entry| match entry.kind {
        Kind::Domain => {
            cx.line([entry.target, " ", colour(cx), ";"]);
            Ok(1)
        }
        Kind::Subtree => {
            cx.line([".", entry.target, " ", colour(cx), ";"]);
            Ok(1)
        }
        _ => Err(Why::Kind),
    },
    ..PLAIN
};

pub(super) const NGINX_URLS: Spec = Spec {
    name: "nginx-urls",
    extension: "map",
    about: "for map $scheme://$http_host$request_uri … { include FILE; } of nginx; each is tried in turn, so for short lists",
    says: [Says::None, Says::None, Says::Some(QUOTES), Says::Some(QUOTES), Says::None],
    white: White::Allows,
    entry: |cx, entry| match entry.kind {
        Kind::Url | Kind::Prefix if entry.target.contains(['"', '\\']) => Err(Why::Text),
        Kind::Url | Kind::Prefix => {
            cx.put("\"~");
            regex::push_url(cx, entry, false);
            cx.line(["\" ", colour(cx), ";"]);
            Ok(1)
        }
        _ => Err(Why::Kind),
    },
    ..PLAIN
};

const QUOTES: &str = "without \" and \\";

pub(super) const NGINX_ADDRESSES: Spec = Spec {
    name: "nginx-addresses",
    extension: "geo",
    about: "for geo … { include FILE; } of nginx; the value is black or white",
    says: RANGES,
    white: White::Allows,
    entry: |cx, entry| {
        if entry.kind != Kind::Cidr {
            return Err(Why::Kind);
        }
        cx.line([entry.target, " ", colour(cx), ";"]);
        Ok(1)
    },
    ..PLAIN
};

/// A host alone and all under it are two keys, asked by `map_str`: `map_end` would take a host alone for all under it, too.
pub(super) const HAPROXY: Spec = Spec {
    name: "haproxy",
    extension: "map",
    about: "a map of HAProxy for map_str: a name is that host, .name the name and all under it (asked with each ending of the host)",
    says: NAMES,
    white: White::Allows,
    entry: |cx, entry| match entry.kind {
        Kind::Domain => pair(cx, "", entry),
        Kind::Subtree => pair(cx, ".", entry),
        _ => Err(Why::Kind),
    },
    ..PLAIN
};

pub(super) const HAPROXY_URLS: Spec = Spec {
    name: "haproxy-urls",
    extension: "map",
    about: "a map of HAProxy for map_str of baseq",
    says: [Says::None, Says::None, Says::All, Says::None, Says::None],
    white: White::Allows,
    entry: |cx, entry| if entry.kind == Kind::Url { pair(cx, "", entry) } else { Err(Why::Kind) },
    ..PLAIN
};

pub(super) const HAPROXY_PREFIXES: Spec = Spec {
    name: "haproxy-prefixes",
    extension: "map",
    about: "a map of HAProxy for map_beg of baseq",
    says: [Says::None, Says::None, Says::None, Says::Some("if it ends in / ? & or ="), Says::None],
    white: White::Allows,
    entry: |cx, entry| match entry.kind {
        Kind::Prefix if !entry.url().ends_at_boundary() => Err(Why::Boundary),
        Kind::Prefix => pair(cx, "", entry),
        _ => Err(Why::Kind),
    },
    ..PLAIN
};

pub(super) const HAPROXY_ADDRESSES: Spec = Spec {
    name: "haproxy-addresses",
    extension: "map",
    about: "a map of HAProxy for map_ip",
    says: RANGES,
    white: White::Allows,
    entry: |cx, entry| if entry.kind == Kind::Cidr { pair(cx, "", entry) } else { Err(Why::Kind) },
    ..PLAIN
};

fn colour(cx: &Cx<'_>) -> &'static str {
    if cx.black { "black" } else { "white" }
}

fn pair(cx: &mut Cx<'_>, before: &str, entry: &EntryRef<'_>) -> Result<u64, Why> {
    cx.line([before, entry.target, " ", colour(cx)]);
    Ok(1)
}
