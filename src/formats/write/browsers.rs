//! Policies of browsers, and proxy auto-config: short lists alone, more are refused.

use crate::list::Kind;

use super::entry::EntryRef;
use super::format::{PLAIN, Says, Spec, White};
use super::own::string;
use super::{Cx, Why};

/// `URLBlocklist` and `URLAllowlist`: a host without a dot before it covers all under it; a path is a prefix, and without
/// a port every port matches.
pub(super) const CHROMIUM: Spec = Spec {
    name: "chromium-policy",
    extension: "json",
    media: "application/json",
    about: "a policy file of Chromium, Chrome and Edge: URLBlocklist, or URLAllowlist of a white list",
    says: [Says::All, Says::All, Says::None, Says::Some("if it ends in /, without query, @ and *"), Says::None],
    white: White::Allows,
    comment: None,
    most: Some(1_000),
    begin: |cx| cx.put(if cx.black { "{\"URLBlocklist\":[\n" } else { "{\"URLAllowlist\":[\n" }),
    entry: |cx, entry| match entry.kind {
        Kind::Domain => element(cx, 0, &[".", entry.target]),
        Kind::Subtree => element(cx, 0, &[entry.target]),
        Kind::Prefix => prefix(cx, entry),
        Kind::Url | Kind::Cidr => Err(Why::Kind),
    },
    end: |cx| cx.put("\n]}\n"),
    ..PLAIN
};

fn prefix(cx: &mut Cx<'_>, entry: &EntryRef<'_>) -> Result<u64, Why> {
    let url = entry.url();
    if url.path.contains('?') {
        return Err(Why::Query);
    }
    // Behind @ comes a query in these patterns, and * stands for anything.
    if url.path.contains(['@', '*']) {
        return Err(Why::Text);
    }
    if !url.path.ends_with('/') {
        return Err(Why::Boundary);
    }
    // Addresses have nothing under them.
    let dot = if url.host.starts_with('[') || url.host.parse::<std::net::Ipv4Addr>().is_ok() { "" } else { "." };
    let mut written = 0;
    for (scheme, port) in [("http://", "80"), ("https://", "443")] {
        written += element(cx, written, &[scheme, dot, url.host, ":", url.port.unwrap_or(port), url.path])?;
    }
    Ok(written)
}

/// One text of an array, on a line of its own; `before`: how many the entry has already.
fn element(cx: &mut Cx<'_>, before: u64, parts: &[&str]) -> Result<u64, Why> {
    if cx.rules + before > 0 {
        cx.put(",\n");
    }
    string(cx, &parts.concat());
    Ok(1)
}

/// `WebsiteFilter`. Its patterns have no port and match every one: so it says whole hosts, no URLs.
pub(super) const FIREFOX: Spec = Spec {
    name: "firefox-policy",
    extension: "json",
    media: "application/json",
    about: "a policy file of Firefox: WebsiteFilter, Block, or Exceptions of a white list",
    says: [Says::All, Says::All, Says::None, Says::None, Says::None],
    white: White::Allows,
    comment: None,
    most: Some(1_000),
    begin: |cx| {
        let member = if cx.black { "Block" } else { "Exceptions" };
        let text = format!("{{\"policies\":{{\"WebsiteFilter\":{{\"{member}\":[\n");
        cx.put(&text);
    },
    entry: |cx, entry| match entry.kind {
        Kind::Domain => element(cx, 0, &["*://", entry.target, "/*"]),
        Kind::Subtree => element(cx, 0, &["*://*.", entry.target, "/*"]),
        _ => Err(Why::Kind),
    },
    end: |cx| cx.put("\n]}}}\n"),
    ..PLAIN
};

/// Browsers refuse scripts of more than about a megabyte, and show them only the host of an https URL.
pub(super) const PAC: Spec = Spec {
    name: "pac",
    extension: "pac",
    media: "application/x-ns-proxy-autoconfig",
    about: "proxy auto-config: listed hosts of a black list go to a port where nothing listens; of a white list all others do",
    says: [Says::All, Says::All, Says::None, Says::None, Says::None],
    white: White::Allows,
    comment: Some("//"),
    most: Some(20_000),
    begin: |cx| cx.put("var listed = {\n"),
    entry: |cx, entry| {
        // A subtree comes after the host of the same name, and so wins.
        let value = match entry.kind {
            Kind::Domain => "\":1,",
            Kind::Subtree => "\":2,",
            _ => return Err(Why::Kind),
        };
        cx.line(["\"", entry.target, value]);
        Ok(1)
    },
    end: |cx| {
        cx.put("\".\":0};\n");
        cx.put(if cx.black {
            "var yes = \"PROXY 127.0.0.1:9\", no = \"DIRECT\";\n"
        } else {
            "var yes = \"DIRECT\", no = \"PROXY 127.0.0.1:9\";\n"
        });
        cx.put(
            "function FindProxyForURL(url, host) {\n\
             \x20 var name = host.toLowerCase().replace(/\\.$/, \"\");\n\
             \x20 if (listed[name] > 0) return yes;\n\
             \x20 for (var dot = name.indexOf(\".\"); dot >= 0; dot = name.indexOf(\".\")) {\n\
             \x20   name = name.substring(dot + 1);\n\
             \x20   if (listed[name] === 2) return yes;\n\
             \x20 }\n\
             \x20 return no;\n\
             }\n",
        );
    },
    ..PLAIN
};
