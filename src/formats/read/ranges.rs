//! Ranges of addresses as `first-last`, and the sets of nftables.
//!
//! Guarantees: the ranges that come of `first-last` cover exactly its addresses.

use std::borrow::Cow;
use std::io::BufRead;
use std::net::IpAddr;

use crate::list::Kind;

use super::{
    Item, ReadError,
    filters::is_addressed,
    lines::Lines,
    out::{Out, Place, Verdict},
};

/// Whether it looks like `first-last`.
pub(super) fn is_range(text: &str) -> bool {
    text.split_once('-').is_some_and(|(first, last)| is_addressed(first.trim()) && is_addressed(last.trim()))
}

/// Hands on an address, a range with a length, or `first-last`.
pub(super) fn entry<E, F>(verdict: Verdict, text: &str, place: Place<'_>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    let Some((first, last)) = text.split_once('-') else { return out.entry(verdict, Kind::Cidr, text, place) };
    let (Ok(first), Ok(last)) = (first.trim().parse::<IpAddr>(), last.trim().parse::<IpAddr>()) else {
        return out.entry(verdict, Kind::Cidr, text, place);
    };
    let (width, mut at, last) = match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => (32, u128::from(u32::from(first)), u128::from(u32::from(last))),
        (IpAddr::V6(first), IpAddr::V6(last)) => (128, u128::from(first), u128::from(last)),
        _ => (0, 1, 0),
    };
    if at > last {
        out.say(place, "a range that ends before it begins", "write the first address, -, and the last one");
        return Ok(());
    }
    loop {
        // The longest block that begins here and does not go beyond the end.
        let mut bits = if at == 0 { width } else { at.trailing_zeros().min(width) };
        while bits > 0 && (bits == 128 || last - at < (1_u128 << bits) - 1) && !(bits == 128 && last == u128::MAX && at == 0) {
            bits -= 1;
        }
        let address = if width == 32 { IpAddr::from((at as u32).to_be_bytes()) } else { IpAddr::from(at.to_be_bytes()) };
        out.entry(verdict, Kind::Cidr, &format!("{address}/{}", width - bits), place)?;
        match (bits < 128).then(|| at.checked_add(1_u128 << bits)).flatten() {
            Some(next) if next <= last => at = next,
            _ => return Ok(()),
        }
    }
}

/// Longest element with what follows it, in octets.
const LONGEST: usize = 1_024;

/// Where in a file of nft the reader is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    /// Outside of elements.
    Rules,
    /// Behind `elements` or `element`: a brace opens them.
    Named,
    /// As [`At::Named`], behind `delete`, `destroy`, `get` or `reset`.
    NamedOut,
    /// Among elements.
    Elements,
    /// Among elements that are taken out.
    ElementsOut,
}

/// Reads the elements of nft's sets, from a file of its language.
pub(super) fn nft<R: BufRead, E: From<ReadError>, F>(input: &mut Lines<R>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    let mut at = At::Rules;
    // What the statement begins with, and whether an element is complete but for what follows it.
    let mut taken_out = false;
    let mut element = String::new();
    let mut began = 1;
    while let Some((number, line)) = input.next().map_err(ReadError::Io)? {
        let Some(raw) = out.text(number, line) else { continue };
        let text = bare(raw);
        if text.trim().is_empty() {
            out.comment();
            continue;
        }
        let mut rest = &*text;
        while !rest.is_empty() {
            let end = rest.find(|c: char| c.is_whitespace() || matches!(c, ',' | '{' | '}' | '=' | ';')).unwrap_or(rest.len());
            let (word, tail) = rest.split_at(end);
            let mark = tail.chars().next();
            if !word.is_empty() {
                match (at, word) {
                    (At::Elements | At::ElementsOut, _) => {
                        if element.is_empty() {
                            began = number;
                        } else {
                            element.push(' ');
                        }
                        if element.len() < LONGEST {
                            element.push_str(word);
                        }
                    }
                    (_, "delete" | "destroy" | "get" | "reset") => taken_out = true,
                    (_, "elements" | "element") => at = if taken_out { At::NamedOut } else { At::Named },
                    _ => {}
                }
            }
            match (at, mark) {
                (At::Named, Some('{')) => at = At::Elements,
                (At::NamedOut, Some('{')) => at = At::ElementsOut,
                (At::Elements | At::ElementsOut, Some(',' | '}')) => {
                    let place = Place { line: began, column: 1, text: &element };
                    match at {
                        _ if element.is_empty() => {}
                        At::Elements => nft_element(&element, place, out)?,
                        _ => out.leave_out("element taken out", place),
                    }
                    element.clear();
                    if mark == Some('}') {
                        (at, taken_out) = (At::Rules, false);
                    }
                }
                (At::Rules, Some(';' | '}' | '{')) => taken_out = false,
                _ => {}
            }
            rest = tail.get(mark.map_or(0, char::len_utf8)..).unwrap_or_default();
        }
        if at == At::Rules {
            taken_out = false;
        }
    }
    if at != At::Rules {
        let place = Place { line: began, column: 1, text: &element };
        out.say(place, "the file ends inside elements", "close the brace; the file may have been cut off");
    }
    Ok(())
}

/// A line without what stands in quotes, and without its comment.
fn bare(raw: &str) -> Cow<'_, str> {
    let text = match raw.contains('"') {
        true => raw.split('"').step_by(2).collect::<Vec<_>>().join("x").into(),
        false => Cow::Borrowed(raw),
    };
    match text.find('#') {
        Some(at) => text[..at].to_owned().into(),
        None => text,
    }
}

/// One element: an address, a range, and what is kept beside it (`timeout 1h`, `comment "x"`).
fn nft_element<E, F>(text: &str, place: Place<'_>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    let mut words = text.split(' ');
    let value = words.next().unwrap_or_default();
    match words.next() {
        Some("." | ":") => out.leave_out("element with ports or of two parts", place),
        _ if is_range(value) || is_addressed(value) => return entry(Verdict::Block, value, place, out),
        _ => out.leave_out("element that is no address", place),
    }
    Ok(())
}
