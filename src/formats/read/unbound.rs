//! Settings of Unbound that make names unreachable.
//!
//! `local-zone` with a type that answers nothing is the name and all under it; `redirect` is, if the `local-data` that
//! follows is an address that leads nowhere (it may as well be a safe search). `local-data` with such an address is exactly
//! that host. `always_transparent` is an exception. Whatever else the file sets is counted.

use std::{io::BufRead, mem};

use crate::list::Kind;

use super::{
    Item, ReadError,
    lines::{Lines, column},
    out::{Out, Place, Verdict},
    plain,
};

/// A redirected zone of which the answer is not known yet.
#[derive(Default)]
struct Redirect {
    name: String,
    line: u64,
    /// Its answer leads nowhere.
    nowhere: bool,
    /// It has an answer that does not.
    elsewhere: bool,
}

/// Reads settings.
pub(super) fn read<R: BufRead, E: From<ReadError>, F>(input: &mut Lines<R>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    let mut redirect = Redirect::default();
    while let Some((number, line)) = input.next().map_err(ReadError::Io)? {
        let Some(raw) = out.text(number, line) else { continue };
        let text = without_comment(raw);
        let place = Place { line: number, column: column(raw, text), text };
        let Some((key, value)) = text.split_once(':').map(|(key, value)| (key.trim_end(), value.trim())) else {
            if text.is_empty() {
                out.comment();
            } else {
                out.say(place, "not a setting of Unbound", "write local-zone: \"name.\" always_nxdomain");
            }
            continue;
        };
        match key {
            "local-zone" => {
                mem::take(&mut redirect).give(out)?;
                redirect = zone(value, place, out)?;
            }
            "local-data" => local_data(value, place, &mut redirect, out)?,
            "server" if value.is_empty() => out.comment(),
            _ if key.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-') && !key.is_empty() => out.leave_out("other setting", place),
            _ => out.say(place, "not a setting of Unbound", "write local-zone: \"name.\" always_nxdomain"),
        }
    }
    redirect.give(out)
}

/// `#` begins a comment, but not in quotes.
fn without_comment(raw: &str) -> &str {
    let mut quote = None;
    for (at, c) in raw.char_indices() {
        match (quote, c) {
            (None, '#') => return raw[..at].trim(),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
    }
    raw.trim()
}

/// The text in quotes, or the first word; and the rest.
fn word(text: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some((word, rest)) = text.strip_prefix(quote).and_then(|rest| rest.split_once(quote)) {
            return (word, rest.trim_start());
        }
    }
    text.split_once(char::is_whitespace).map_or((text, ""), |(word, rest)| (word, rest.trim_start()))
}

fn zone<E, F>(value: &str, place: Place<'_>, out: &mut Out<F>) -> Result<Redirect, E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    let (name, kind) = word(value);
    let (kind, _) = word(kind);
    let place = Place { column: place.column + column(place.text, name) - 1, text: name, ..place };
    match kind {
        "static" | "deny" | "refuse" | "inform_deny" | "always_nxdomain" | "always_nodata" | "always_refuse" | "always_deny"
        | "always_null" => {
            out.entry(Verdict::Block, Kind::Subtree, name, place)?;
        }
        "redirect" | "inform_redirect" => {
            return Ok(Redirect { name: name.trim_end_matches('.').to_ascii_lowercase(), line: place.line, ..Redirect::default() });
        }
        "always_transparent" => out.entry(Verdict::Allow, Kind::Subtree, name, place)?,
        // `block_a` leaves IPv6 open.
        "transparent" | "typetransparent" | "inform" | "nodefault" | "noview" | "ipset" | "block_a" => {
            out.leave_out("zone of another type", place)
        }
        _ => out.say(place, "no type of a zone that is known", "write a type such as always_nxdomain behind the name"),
    }
    Ok(Redirect::default())
}

fn local_data<E, F>(value: &str, place: Place<'_>, redirect: &mut Redirect, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    let (record, _) = word(value);
    let mut words = record.split_whitespace();
    let name = words.next().unwrap_or_default();
    let is_ttl = |word: &str| word.bytes().all(|c| c.is_ascii_digit());
    let kind = words.find(|word| !is_ttl(word) && !word.eq_ignore_ascii_case("in")).unwrap_or_default();
    let answer = words.next().unwrap_or_default();
    let address = kind.eq_ignore_ascii_case("a") || kind.eq_ignore_ascii_case("aaaa");
    let nowhere = address && plain::is_sink(answer) == Some(true);
    if !redirect.name.is_empty() && name.trim_end_matches('.').eq_ignore_ascii_case(&redirect.name) {
        redirect.nowhere |= nowhere;
        redirect.elsewhere |= !nowhere;
        out.comment();
        return Ok(());
    }
    mem::take(redirect).give(out)?;
    let place = Place { column: place.column + column(place.text, name) - 1, text: name, ..place };
    if answer.is_empty() {
        out.say(place, "no record", "write such as local-data: \"name. A 0.0.0.0\"");
    } else if nowhere {
        out.entry(Verdict::Block, Kind::Domain, name, place)?;
    } else {
        out.leave_out(if address { "answer with an address" } else { "record of another type" }, place);
    }
    Ok(())
}

impl Redirect {
    fn give<E, F>(self, out: &mut Out<F>) -> Result<(), E>
    where
        F: FnMut(Item<'_>) -> Result<(), E>,
    {
        let place = Place { line: self.line, column: 1, text: &self.name };
        match self.nowhere && !self.elsewhere {
            _ if self.name.is_empty() => Ok(()),
            true => out.entry(Verdict::Block, Kind::Subtree, &self.name, place),
            false => {
                out.leave_out("redirected zone", place);
                Ok(())
            }
        }
    }
}
