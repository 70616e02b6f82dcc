//! Files of proxies and packet filters, one rule a line: Squid's dstdomain, lists of URLs, maps of nginx and HAProxy, ipset.
//!
//! A leading dot is the name and all under it where the program has it so (dstdomain, nginx); a bare name is exactly that
//! host. In a map the value `white`, `0`, `off`, `no`, `false` or nothing is an exception, any other blocks.
//!
//! Guarantees: an expression is taken only if it says no more than one URL or one beginning of URLs.

use std::{io::BufRead, net::IpAddr};

use crate::list::{Kind, Rule};

use super::{
    Item, ReadError, Wildcards,
    lines::{Lines, column},
    out::{Out, Place, Verdict},
    plain, ranges, regex,
};

const EXPRESSION: &str = "regular expression";
const WILD: &str = "wildcard without the name itself";

/// Reads Squid's `dstdomain`.
pub(super) fn dstdomain<R: BufRead, E: From<ReadError>, F>(input: &mut Lines<R>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    plain::words(input, out, |out, word, place| dotted(Verdict::Block, word, place, out))
}

/// `.name`, `name`, or an address.
fn dotted<E, F>(verdict: Verdict, word: &str, place: Place<'_>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    match (plain::address(word), word.strip_prefix('.'), word.strip_prefix("*.")) {
        (Some(address), ..) => out.entry(verdict, Kind::Cidr, address, place),
        (_, Some(name), _) => out.entry(verdict, Kind::Subtree, name, place),
        (_, _, Some(name)) if out.wildcards == Wildcards::Subtree => out.entry(verdict, Kind::Subtree, name, place),
        (_, _, Some(_)) => {
            if out.takes(verdict, place) {
                out.leave_out(WILD, place);
            }
            Ok(())
        }
        _ => out.entry(verdict, Kind::Domain, word, place),
    }
}

/// Reads URLs, each exactly, and expressions as Squid's `url_regex` has them.
pub(super) fn urls<R: BufRead, E: From<ReadError>, F>(input: &mut Lines<R>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    plain::words(input, out, |out, word, place| {
        if word.starts_with('^') { expression(Verdict::Block, word, place, out) } else { out.entry(Verdict::Block, Kind::Url, word, place) }
    })
}

fn expression<E, F>(verdict: Verdict, text: &str, place: Place<'_>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    match regex::url(text) {
        Some((Kind::Prefix, target)) => out.prefix_entry(verdict, &target, place),
        Some((kind, target)) => out.entry(verdict, kind, &target, place),
        None => {
            out.leave_out(EXPRESSION, place);
            Ok(())
        }
    }
}

/// What the value of a map says.
fn verdict(value: &str) -> Verdict {
    match value {
        "" | "0" | "off" | "no" | "false" | "white" => Verdict::Allow,
        _ => Verdict::Block,
    }
}

/// The first word, in quotes or not, and the rest.
fn word(text: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some((word, rest)) = text.strip_prefix(quote).and_then(|rest| rest.split_once(quote)) {
            return (word, rest.trim());
        }
    }
    text.split_once(char::is_whitespace).map_or((text, ""), |(word, rest)| (word, rest.trim()))
}

/// Reads the lines of nginx's `map` and `geo`.
pub(super) fn nginx<R: BufRead, E: From<ReadError>, F>(input: &mut Lines<R>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    while let Some((number, line)) = input.next().map_err(ReadError::Io)? {
        let Some(raw) = out.text(number, line) else { continue };
        let text = raw.trim();
        let place = Place { line: number, column: column(raw, text), text };
        let begins = |word: &str| text.strip_prefix(word).is_some_and(|rest| rest.starts_with(char::is_whitespace));
        if text.is_empty() || text.starts_with('#') || text == "}" || ((begins("map") || begins("geo")) && text.ends_with('{')) {
            out.comment();
            continue;
        }
        // A `;` in quotes is part of a key.
        let (key, rest) = word(text);
        let Some((value, rest)) = rest.split_once(';').map(|(value, rest)| (value.trim(), rest.trim())) else {
            match text {
                "hostnames;" | "volatile;" | "ranges;" => out.comment(),
                _ => out.say(place, "no key and value that end in ;", "write such as .name.example 1;"),
            }
            continue;
        };
        if !(rest.is_empty() || rest.starts_with('#')) {
            out.say(place, "more than one setting on a line", "write one key and value on a line");
            continue;
        }
        let verdict = verdict(word(value).0);
        match key {
            "default" if verdict == Verdict::Block => {
                out.say(place, "everything that is not named is blocked", "a list names what is blocked; write the map so");
            }
            "default" => out.comment(),
            "include" | "proxy" | "delete" => out.leave_out("other setting", place),
            _ => keyed(verdict, key, place, out)?,
        }
    }
    Ok(())
}

/// A key of nginx.
fn keyed<E, F>(verdict: Verdict, key: &str, place: Place<'_>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    // A backslash keeps a word of the language from being one.
    let key = key.strip_prefix('\\').unwrap_or(key);
    if let Some(text) = key.strip_prefix("~*").or_else(|| key.strip_prefix('~')) {
        return expression(verdict, text, place, out);
    }
    match Rule::interpret_kind(key) {
        Kind::Domain => dotted(verdict, key, place, out),
        kind => out.entry(verdict, kind, key, place),
    }
}

/// Reads a map of HAProxy: key, blanks, value. `kind`: what all keys are; `None`: each says it itself.
pub(super) fn haproxy<R: BufRead, E: From<ReadError>, F>(input: &mut Lines<R>, kind: Option<Kind>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    while let Some((number, line)) = input.next().map_err(ReadError::Io)? {
        let Some(raw) = out.text(number, line) else { continue };
        let text = raw.trim();
        if text.is_empty() || text.starts_with('#') {
            out.comment();
            continue;
        }
        let (key, value) = text.split_once(char::is_whitespace).map_or((text, "1"), |(key, value)| (key, value.trim()));
        let place = Place { line: number, column: column(raw, key), text: key };
        match kind.unwrap_or_else(|| Rule::interpret_kind(key)) {
            // With `map_end` it is what is under the name; whether it is the name too, the file does not say.
            Kind::Domain if key.starts_with('.') => out.bare(verdict(value), key, place)?,
            Kind::Prefix => out.prefix_entry(verdict(value), key, place)?,
            kind => out.entry(verdict(value), kind, key, place)?,
        }
    }
    Ok(())
}

/// Reads what `ipset save` writes and `ipset restore` reads.
pub(super) fn ipset<R: BufRead, E: From<ReadError>, F>(input: &mut Lines<R>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    plain::contents(input, out, |out, text, place| {
        let mut words = text.split_whitespace();
        match words.next().unwrap_or_default() {
            "create" | "-N" | "flush" | "-F" | "swap" | "-W" | "destroy" | "-X" | "COMMIT" => out.comment(),
            "add" | "-A" => {
                let value = words.nth(1).unwrap_or_default();
                let verdict = if words.any(|word| word == "nomatch") { Verdict::Allow } else { Verdict::Block };
                if value.contains(',') {
                    out.leave_out("element with ports or of two parts", place);
                } else {
                    ranges::entry(verdict, value, place, out)?;
                }
            }
            "del" | "-D" => out.leave_out("element taken out", place),
            _ => out.say(place, "not a line of ipset", "write add SET ADDRESS"),
        }
        Ok(())
    })
}

/// Whether a word is an address or a range with a length.
pub(super) fn is_addressed(word: &str) -> bool {
    word.split_once('/').map_or(word, |(address, _)| address).parse::<IpAddr>().is_ok()
}
