//! Adblock syntax: browsers' filters (ABP, uBlock Origin, AdGuard), AdGuard Home, Pi-hole.
//!
//! Taken are rules for whole hosts (`||name^`, a bare name, a hosts line), for beginnings of URLs (`||name/path`,
//! `|https://name/path`), for one URL (with `|` at its end), and expressions that say no more than one of these. An option
//! that makes the rule narrower (`$third-party`, `$script`, `$domain=`) or another thing leaves it out: a list would block
//! more than the rule does. `$important`, `$match-case`, and types that include the page itself (`$all`, `$document`) do not.
//!
//! Guarantees: no entry says more than its rule; what is left out is counted by sort. Rules between `!#if` and `!#endif` are
//! left out, whatever the condition. No `!#include` is followed.

use std::{io::BufRead, mem};

use crate::list::{Kind, TargetError};

use super::{
    Item, ReadError, Wildcards,
    lines::{Lines, column},
    out::{Out, Place, Verdict},
    plain, regex,
};

const WILD: &str = "pattern with wildcards";
const LOOSE: &str = "pattern without an anchor";

/// The rule for one host and one scheme, which waits for that of the other scheme: both together mean the host.
#[derive(Default)]
struct Half {
    host: String,
    https: bool,
    allows: bool,
    line: u64,
}

/// Reads rules.
pub(super) fn read<R: BufRead, E: From<ReadError>, F>(input: &mut Lines<R>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    let mut half = Half::default();
    // How deep in `!#if`, and where the outermost one is.
    let (mut depth, mut began) = (0_u32, 0);
    while let Some((number, line)) = input.next().map_err(ReadError::Io)? {
        let Some(raw) = out.text(number, line) else { continue };
        let text = raw.trim();
        let place = Place { line: number, column: column(raw, text), text };
        if let Some(directive) = text.strip_prefix("!#") {
            match directive.split_whitespace().next().unwrap_or_default() {
                "if" => {
                    began = if depth == 0 { number } else { began };
                    depth = depth.saturating_add(1);
                    out.comment();
                }
                "endif" => {
                    depth = depth.saturating_sub(1);
                    out.comment();
                }
                "include" => out.leave_out("!#include of another file", place),
                _ => out.comment(),
            }
            continue;
        }
        if is_comment(text) {
            out.comment();
        } else if depth > 0 {
            out.leave_out("rule under a condition (!#if)", place);
        } else if let Some((https, allows, host)) = one_scheme(text) {
            if half.host == host && half.https != https && half.allows == allows {
                half.host.clear();
                out.entry(verdict(allows), Kind::Domain, host, place)?;
            } else {
                let before = mem::replace(&mut half, Half { host: host.to_owned(), https, allows, line: number });
                before.give(out)?;
            }
        } else {
            mem::take(&mut half).give(out)?;
            rule(text, place, out)?;
        }
    }
    if depth > 0 {
        let place = Place { line: began, column: 1, text: "!#if" };
        out.say(place, "a condition that does not end", "write !#endif where it ends; the file may have been cut off");
    }
    half.give(out)
}

impl Half {
    /// A rule for one scheme alone is that for the host's URLs.
    fn give<E, F>(self, out: &mut Out<F>) -> Result<(), E>
    where
        F: FnMut(Item<'_>) -> Result<(), E>,
    {
        if self.host.is_empty() {
            return Ok(());
        }
        let place = Place { line: self.line, column: 1, text: &self.host };
        out.prefix_entry(verdict(self.allows), &format!("{}/", self.host), place)
    }
}

fn verdict(allows: bool) -> Verdict {
    if allows { Verdict::Allow } else { Verdict::Block }
}

/// `|https://name^` and nothing else: the scheme is https, it allows, the name.
fn one_scheme(text: &str) -> Option<(bool, bool, &str)> {
    let allows = text.starts_with("@@");
    let rest = text.strip_prefix("@@").unwrap_or(text).strip_prefix("|http")?.strip_suffix('^')?;
    let (https, host) = match rest.strip_prefix("s://") {
        Some(host) => (true, host),
        None => (false, rest.strip_prefix("://")?),
    };
    is_name(host).then_some((https, allows, host))
}

/// `!` and what follows, the header, and `#` where no rule for elements follows.
fn is_comment(text: &str) -> bool {
    match text.as_bytes() {
        [] | [b'!', ..] => true,
        [b'#', ..] => text.starts_with("###") || !is_cosmetic(text),
        [b'[', .., b']'] => !text.starts_with("[$"),
        _ => false,
    }
}

/// Whether a rule is about elements of pages: `##`, `#@#`, `#?#`, `#$#`, `#%#` and the like, `$$`, `$@$`.
fn is_cosmetic(text: &str) -> bool {
    let marked = |at: usize| {
        let rest = &text[at + 1..];
        let middle = rest.bytes().take_while(|c| matches!(c, b'@' | b'?' | b'$' | b'%')).count();
        middle <= 3 && rest[middle..].starts_with('#')
    };
    text.starts_with("[$") || text.contains("$$") || text.contains("$@$") || memchr::memchr_iter(b'#', text.as_bytes()).any(marked)
}

/// One rule.
fn rule<E, F>(text: &str, place: Place<'_>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    if is_cosmetic(text) {
        out.leave_out("rule for elements of pages", place);
        return Ok(());
    }
    let (verdict, rest) = match text.strip_prefix("@@") {
        Some(rest) => (Verdict::Allow, rest),
        None => (Verdict::Block, text),
    };
    let (pattern, options) = split_options(rest);
    if options.split(',').any(|option| option == "badfilter") {
        out.say(place, "switches another rule off, which is not done", "take that rule out by hand, if this file or another has it");
        return Ok(());
    }
    if let Some(sort) = limited(options) {
        out.leave_out(sort, place);
        return Ok(());
    }
    if let Some(expression) = pattern.strip_prefix('/').and_then(|p| p.strip_suffix('/')) {
        match regex::url(expression) {
            Some((Kind::Prefix, target)) => return out.prefix_entry(verdict, &target, place),
            Some((kind, target)) => return out.entry(verdict, kind, &target, place),
            None => out.leave_out("regular expression", place),
        }
        return Ok(());
    }
    if let Some(rest) = pattern.strip_prefix("||") {
        return at_host(verdict, rest, place, out);
    }
    match pattern.strip_prefix('|') {
        Some(rest) => match rest.strip_prefix("https://").or_else(|| rest.strip_prefix("http://")) {
            Some(rest) => at_url(verdict, rest, place, out),
            None if rest.is_empty() => {
                out.refuse(place, &TargetError::Empty);
                Ok(())
            }
            // AdGuard Home takes `|name^` as exactly that host.
            None => match rest.strip_suffix('^').filter(|name| is_name(name)) {
                Some(name) => named(verdict, Kind::Domain, name, place, out),
                None => {
                    out.leave_out(LOOSE, place);
                    Ok(())
                }
            },
        },
        None => bare(verdict, pattern, place, out),
    }
}

/// Cuts the options off: behind the last `$`, where a word follows.
fn split_options(text: &str) -> (&str, &str) {
    match text.rfind('$') {
        Some(at) if text[at + 1..].starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '~' | '_')) => {
            (&text[..at], &text[at + 1..])
        }
        _ => (text, ""),
    }
}

/// Why the options say less than all of the pattern, or something else; `None` if they do not.
fn limited(options: &str) -> Option<&'static str> {
    let (mut page, mut types) = (false, false);
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option.split('=').next().unwrap_or_default() {
            "all" | "document" | "doc" if !option.contains('=') => page = true,
            "important" | "match-case" | "_" => {}
            "script" | "image" | "stylesheet" | "css" | "object" | "xmlhttprequest" | "xhr" | "subdocument" | "frame" | "ping"
            | "beacon" | "websocket" | "webrtc" | "font" | "media" | "other" | "popup" | "popunder" | "object-subrequest" => types = true,
            "third-party" | "3p" | "~third-party" | "first-party" | "1p" | "~first-party" | "~3p" | "~1p" | "strict1p" | "strict3p" => {
                return Some("rule for own or foreign requests ($third-party)");
            }
            "domain" | "from" | "to" | "denyallow" | "app" | "method" | "ipaddress" | "header" => {
                return Some("rule for some sites ($domain, $denyallow)");
            }
            "ctag" | "client" | "dnstype" => return Some("rule for some clients ($client, $ctag)"),
            "dnsrewrite" | "redirect" | "redirect-rule" | "rewrite" | "removeparam" | "queryprune" | "csp" | "replace" | "cookie"
            | "hls" | "jsonprune" | "xmlprune" | "permissions" | "urltransform" | "uritransform" | "urlskip" | "removeheader" | "empty"
            | "mp4" | "elemhide" | "ehide" | "generichide" | "ghide" | "specifichide" | "shide" | "genericblock" | "inline-script"
            | "inline-font" | "jsinject" | "content" | "extension" | "stealth" | "cname" | "referrerpolicy" | "urlblock" => {
                return Some("rule that changes pages or answers");
            }
            other if other.starts_with('~') => return Some("rule for some sorts of requests ($script, $image)"),
            _ => return Some("rule with an option that is not known"),
        }
    }
    (types && !page).then_some("rule for some sorts of requests ($script, $image)")
}

/// Behind `||`: a host and all under it, perhaps with port and path.
fn at_host<E, F>(verdict: Verdict, pattern: &str, place: Place<'_>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    if let Some(name) = pattern.strip_prefix("*.").map(|rest| rest.strip_suffix('^').unwrap_or(rest)).filter(|name| is_name(name)) {
        if out.wildcards == Wildcards::Subtree {
            return out.entry(verdict, Kind::Subtree, name, place);
        }
        out.refuse(place, &TargetError::Wildcard { text: crate::list::quoted(pattern), rest: crate::list::quoted(name) });
        return Ok(());
    }
    let (host, tail) = split_host(pattern);
    match tail {
        _ if host.is_empty() && matches!(tail, "" | "^") => {
            out.refuse(place, &TargetError::Empty);
            Ok(())
        }
        // The pattern goes on in the name: `||name.` begins `name.com` and `name.org`.
        _ if host.is_empty() || host.ends_with('.') => {
            out.leave_out(WILD, place);
            Ok(())
        }
        "" | "^" | "^*" | "*" => named(verdict, Kind::Subtree, host, place, out),
        _ => at_path(verdict, pattern, host, tail, place, out),
    }
}

/// Behind `|https://`: a host, perhaps with port and path.
fn at_url<E, F>(verdict: Verdict, pattern: &str, place: Place<'_>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    let (host, tail) = split_host(pattern);
    match tail {
        _ if host.is_empty() || host.ends_with('.') => {
            out.leave_out(WILD, place);
            Ok(())
        }
        "" | "^" | "^*" | "*" => out.prefix_entry(verdict, &format!("{host}/"), place),
        _ => at_path(verdict, pattern, host, tail, place, out),
    }
}

/// A name, or an address.
fn named<E, F>(verdict: Verdict, kind: Kind, host: &str, place: Place<'_>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    match plain::address(host) {
        Some(address) => out.entry(verdict, Kind::Cidr, address, place),
        None => out.entry(verdict, kind, host, place),
    }
}

/// The host at the beginning, and the rest.
fn split_host(pattern: &str) -> (&str, &str) {
    let from = if pattern.starts_with('[') { pattern.find(']').map_or(0, |at| at + 1) } else { 0 };
    let at = pattern[from..].find(['/', '^', '?', ':', '*', '|', '\\', '#']).map_or(pattern.len(), |at| from + at);
    pattern.split_at(at)
}

/// A host with port or path behind it.
fn at_path<E, F>(verdict: Verdict, pattern: &str, host: &str, tail: &str, place: Place<'_>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    let (port, path) = match tail.strip_prefix(':') {
        Some(rest) => {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            (&tail[..=digits], &rest[digits..])
        }
        None => ("", tail),
    };
    // Browsers write no :80 and no :443; a rule without them would say more.
    let odd_port = matches!(port, ":" | ":80" | ":443");
    let path = if !port.is_empty() && matches!(path, "" | "^" | "*" | "^*") { "/" } else { path };
    let (path, exact) = match path.strip_suffix('|') {
        Some(path) => (path, true),
        None => (path, false),
    };
    // `^` is the end or a separator, `*` anything: behind a path that does not end at a boundary, what the rule covers is a part of it.
    let path = path.trim_end_matches('*');
    let path = match path.strip_suffix('^') {
        Some(path) if !path.ends_with(['/', '?', '&', '=']) => path,
        _ => path,
    };
    if odd_port {
        out.leave_out("URL with a port that browsers do not write", place);
        return Ok(());
    }
    if !path.starts_with('/') || path.contains(['*', '^', '|']) {
        out.leave_out(WILD, place);
        return Ok(());
    }
    let from = host.len() + port.len();
    let whole: std::borrow::Cow<'_, str> =
        if pattern[from..].starts_with(path) { pattern[..from + path.len()].into() } else { format!("{host}{port}{path}").into() };
    if exact { out.entry(verdict, Kind::Url, &whole, place) } else { out.prefix_entry(verdict, &whole, place) }
}

/// Without an anchor: a name or an address alone, or a hosts line.
fn bare<E, F>(verdict: Verdict, pattern: &str, place: Place<'_>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    let mut words = pattern.split_whitespace();
    let first = words.next().unwrap_or_default();
    if verdict == Verdict::Block && plain::is_sink(first) == Some(true) && first.len() < pattern.len() {
        for name in words.take_while(|word| !word.starts_with('#')).filter(|name| !plain::is_local(name)) {
            out.entry(verdict, Kind::Domain, name, Place { text: name, ..place })?;
        }
        return Ok(());
    }
    if let Some(address) = plain::address(pattern) {
        return out.entry(verdict, Kind::Cidr, address, place);
    }
    if is_name(pattern) {
        return out.bare(verdict, pattern, place);
    }
    match pattern {
        "" | "*" | "^" => out.refuse(place, &TargetError::Empty),
        _ if pattern.contains(['*', '^', '|']) => out.leave_out(WILD, place),
        _ => out.leave_out(LOOSE, place),
    }
    Ok(())
}

/// Whether it can only be the name of a host: labels with dots between, at least two.
fn is_name(text: &str) -> bool {
    text.contains('.')
        && !text.starts_with(['.', '-'])
        && !text.ends_with('.')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') || !c.is_ascii())
}
