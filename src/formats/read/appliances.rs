//! What firewalls and other appliances fetch: dynamic lists of names, URLs and addresses, feeds of Check Point, scripts of
//! RouterOS, and proxy auto-config of our own making.
//!
//! `name` is that host; with `*.name` on the line behind it, the host and all under it.
//!
//! Guarantees: as for [`super::filters`]. Of a script no more is understood than the lines that our writers make.

use std::{io::BufRead, mem};

use crate::list::{Kind, Rule};

use super::{
    Exceptions, Item, ReadError,
    lines::{Lines, column},
    out::{Out, Place, Verdict},
    plain, ranges,
};

/// A name that waits whether what is under it follows.
#[derive(Default)]
struct Half {
    name: String,
    line: u64,
}

impl Half {
    fn give<E, F>(self, out: &mut Out<F>) -> Result<(), E>
    where
        F: FnMut(Item<'_>) -> Result<(), E>,
    {
        let place = Place { line: self.line, column: 1, text: &self.name };
        if self.name.is_empty() { Ok(()) } else { out.bare(Verdict::Block, &self.name, place) }
    }

    /// Takes a name, with or without a star.
    fn name<E, F>(&mut self, text: &str, place: Place<'_>, out: &mut Out<F>) -> Result<(), E>
    where
        F: FnMut(Item<'_>) -> Result<(), E>,
    {
        let before = mem::take(self);
        match text.strip_prefix("*.") {
            Some(name) if before.name == name => return out.entry(Verdict::Block, Kind::Subtree, name, place),
            Some(_) => {
                before.give(out)?;
                return out.bare(Verdict::Block, text, place);
            }
            None => *self = Half { name: text.to_owned(), line: place.line },
        }
        before.give(out)
    }
}

/// Reads one name, URL, address or range on a line.
pub(super) fn firewall<R: BufRead, E: From<ReadError>, F>(input: &mut Lines<R>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    let mut half = Half::default();
    plain::contents(input, out, |out, text, place| {
        if ranges::is_range(text) {
            ranges::entry(Verdict::Block, text, place, out)?;
        } else if text.contains(char::is_whitespace) {
            out.say(place, "more than one word on a line", "write one name, URL, address or range on a line");
        } else {
            match Rule::interpret_kind(text) {
                Kind::Domain => half.name(text, place, out)?,
                kind => out.entry(Verdict::Block, kind, text, place)?,
            }
        }
        Ok(())
    })?;
    half.give(out)
}

/// Reads a URL list of PAN-OS: `name/` is every page of the host.
pub(super) fn paloalto_urls<R: BufRead, E: From<ReadError>, F>(input: &mut Lines<R>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    let mut half = Half::default();
    plain::words(input, out, |out, word, place| match word.strip_suffix('/').unwrap_or(word) {
        // Without a slash PAN-OS takes what begins so, in the name too.
        host if !word.contains('/') => out.entry(Verdict::Block, Kind::Url, &format!("{host}/"), place),
        host if !host.contains('/') => match plain::address(host) {
            Some(address) => out.entry(Verdict::Block, Kind::Cidr, address, place),
            None => half.name(host, place, out),
        },
        _ => out.entry(Verdict::Block, Kind::Url, word, place),
    })?;
    half.give(out)
}

/// Reads a feed of Check Point: name, value, type, and more.
pub(super) fn checkpoint<R: BufRead, E: From<ReadError>, F>(input: &mut Lines<R>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    while let Some((number, line)) = input.next().map_err(ReadError::Io)? {
        let Some(raw) = out.text(number, line) else { continue };
        if raw.trim().is_empty() || raw.starts_with('#') {
            out.comment();
            continue;
        }
        let mut cells = raw.split(',').map(|cell| cell.trim().trim_matches('"'));
        let (value, kind) = (cells.nth(1).unwrap_or_default(), cells.next().unwrap_or_default());
        let place = Place { line: number, column: column(raw, value), text: value };
        match &*kind.to_ascii_lowercase() {
            "domain" => out.entry(Verdict::Block, Kind::Domain, value, place)?,
            "url" => out.entry(Verdict::Block, Kind::Url, value, place)?,
            "ip" | "ip range" => ranges::entry(Verdict::Block, value, place, out)?,
            "" => out.say(place, "no value and type", "write name, value and type, such as x,192.0.2.1,IP"),
            _ => out.leave_out("indicator of another type", Place { text: kind, ..place }),
        }
    }
    Ok(())
}

/// Reads a script of RouterOS: `dns static add`, `firewall address-list add`; also `add` below a line that names the menu.
pub(super) fn mikrotik<R: BufRead, E: From<ReadError>, F>(input: &mut Lines<R>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    let mut dns = false;
    while let Some((number, line)) = input.next().map_err(ReadError::Io)? {
        let Some(raw) = out.text(number, line) else { continue };
        let text = raw.trim();
        if text.is_empty() || text.starts_with('#') {
            out.comment();
            continue;
        }
        let place = Place { line: number, column: column(raw, text), text };
        if text.starts_with('/') {
            dns = text.contains("dns static");
        }
        let Some(add) = text.strip_prefix("add ").or_else(|| text.split_once(" add ").map(|(_, rest)| rest)) else {
            if text.starts_with('/') {
                out.comment()
            } else {
                out.leave_out("other setting", place)
            };
            continue;
        };
        let value = |key: &str| {
            add.split_whitespace().find_map(|part| part.strip_prefix(key)?.strip_prefix('=')).map(|value| value.trim_matches('"'))
        };
        let blocked = value("type") == Some("NXDOMAIN") || value("address").is_some_and(|address| plain::is_sink(address) == Some(true));
        match (value("name"), value("address")) {
            _ if value("regexp").is_some() => out.leave_out("regular expression", place),
            (Some(name), _) if dns && blocked => {
                let kind = if value("match-subdomain") == Some("yes") { Kind::Subtree } else { Kind::Domain };
                out.entry(Verdict::Block, kind, name, Place { text: name, ..place })?;
            }
            (Some(_), _) if dns => out.leave_out("answer with an address", place),
            (None, Some(address)) if !dns => {
                let place = Place { text: address, ..place };
                match Rule::interpret_kind(address) {
                    Kind::Domain if !ranges::is_range(address) => out.bare(Verdict::Block, address, place)?,
                    _ => ranges::entry(Verdict::Block, address, place, out)?,
                }
            }
            _ => out.say(place, "no name or address that can be blocked", "write add list=NAME address=ADDRESS"),
        }
    }
    Ok(())
}

/// Reads proxy auto-config as it is written here: a table of names, then what is done with them.
pub(super) fn pac<R: BufRead, E: From<ReadError>, F>(input: &mut Lines<R>, exceptions: Exceptions, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    let allows = exceptions == Exceptions::Only;
    let (mut table, mut told) = (false, false);
    while let Some((number, line)) = input.next().map_err(ReadError::Io)? {
        let Some(raw) = out.text(number, line) else { continue };
        let text = raw.trim();
        let place = Place { line: number, column: column(raw, text), text };
        if text == "var listed = {" {
            table = true;
        } else if let Some(rest) = text.strip_prefix("var yes = ") {
            // What the table is for stands behind it: only now it is known whether all was read as what it is.
            told = true;
            if rest.starts_with("\"DIRECT\"") != allows {
                let what = if allows { "proxy auto-config that blocks what it names" } else { "proxy auto-config of a list that allows" };
                return Err(ReadError::NotAList(what).into());
            }
        } else if table && text.starts_with("\".\"") {
            table = false;
        } else if table {
            let kind = [("\":1,", Kind::Domain), ("\":2,", Kind::Subtree)]
                .into_iter()
                .find_map(|(end, kind)| Some((kind, text.strip_suffix(end)?)));
            let verdict = if allows { Verdict::Allow } else { Verdict::Block };
            match kind.and_then(|(kind, name)| Some((kind, name.strip_prefix('"')?))) {
                Some((kind, name)) => out.entry(verdict, kind, name, Place { text: name, ..place })?,
                None => out.say(place, "not a line of the table", "write \"name\":1, or \"name\":2,"),
            }
            continue;
        }
        out.comment();
    }
    if told && !table {
        return Ok(());
    }
    Err(ReadError::NotAList("proxy auto-config that was not written here, or was cut off").into())
}
