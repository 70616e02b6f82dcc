//! Plain domain lists and hosts files.
//!
//! Guarantees: a bare name is exactly that host (unless the options say subtree), a hosts line never more than the
//! hosts it names.

use std::{io::BufRead, net::IpAddr};

use crate::list::Kind;

use super::{
    Item, ReadError, Wildcards,
    lines::{self, Lines, column},
    out::{Out, Place, Verdict},
    own,
};

/// Reads one name a line.
pub(super) fn domains<R: BufRead, E: From<ReadError>, F>(input: &mut Lines<R>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    while let Some((number, line)) = input.next().map_err(ReadError::Io)? {
        let Some(raw) = out.text(number, line) else { continue };
        // Nearly every line is a host name and nothing else: no comment, no blank, no colon to look for.
        if is_bare(raw) && out.host(raw).is_ok() {
            out.put(None)?;
            continue;
        }
        match lines::content(raw) {
            Some(text) => domain(number, raw, text, out)?,
            None => out.comment(),
        }
    }
    Ok(())
}

/// Letters, digits, dots, hyphens and underscores, not beginning with a hyphen.
fn is_bare(line: &str) -> bool {
    !line.starts_with('-') && line.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_'))
}

fn domain<E, F>(number: u64, raw: &str, text: &str, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let place = Place { line: number, column: column(raw, word), text: word };
    // The hints of this reader say to write `subtree:name`; a plain list with such lines is read as what it says.
    if Kind::split(word).is_some() {
        return own::put(number, raw, text, out);
    }
    if word.starts_with("||") || word.starts_with("@@") || word.contains("##") {
        out.say(
            place,
            "a rule for a browser's filter, which this reader does not take",
            "write the host alone, or fetch the list as domains",
        );
        return Ok(());
    }
    if word.starts_with('-') {
        // A removal in own text and in change files of other programs: as an entry it would mean the opposite.
        out.say(
            place,
            "begins with -, as a removal would",
            "write domain: before a name that begins so; removals need kind: too, as in -domain:NAME",
        );
        return Ok(());
    }
    if !rest.is_empty() {
        let address = word == "0" || word.parse::<IpAddr>().is_ok();
        let hint = if address { "read the file as hosts" } else { "write one name on a line, and # before a comment" };
        out.say(Place { text, ..place }, "more than one word on a line", hint);
        return Ok(());
    }
    match out.host(word) {
        Ok(()) => out.put(None),
        Err(error) => {
            out.refuse(place, &error);
            Ok(())
        }
    }
}

/// Reads one name a line, which means the host and all under it; an address is that address alone.
pub(super) fn subtrees<R: BufRead, E: From<ReadError>, F>(input: &mut Lines<R>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    words(input, out, |out, word, place| match address(word) {
        Some(address) => out.entry(Verdict::Block, Kind::Cidr, address, place),
        None if out.wildcards == Wildcards::Subtree => {
            let name = word.strip_prefix("*.").or_else(|| word.strip_prefix('.')).unwrap_or(word);
            out.entry(Verdict::Block, Kind::Subtree, name, place)
        }
        None => out.entry(Verdict::Block, Kind::Subtree, word, place),
    })
}

/// Reads one URL a line, which means everything that begins so.
pub(super) fn prefixes<R: BufRead, E: From<ReadError>, F>(input: &mut Lines<R>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    words(input, out, |out, word, place| out.prefix_entry(Verdict::Block, word, place))
}

/// Reads lines of one word.
pub(super) fn words<R: BufRead, E: From<ReadError>, F>(
    input: &mut Lines<R>,
    out: &mut Out<F>,
    mut each: impl FnMut(&mut Out<F>, &str, Place<'_>) -> Result<(), E>,
) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    contents(input, out, |out, text, place| {
        if text.contains(char::is_whitespace) {
            out.say(place, "more than one word on a line", "write one name or URL on a line, and # before a comment");
            return Ok(());
        }
        each(out, text, place)
    })
}

/// Reads lines with what is behind their comments taken off; those of nothing else are counted.
pub(super) fn contents<R: BufRead, E: From<ReadError>, F>(
    input: &mut Lines<R>,
    out: &mut Out<F>,
    mut each: impl FnMut(&mut Out<F>, &str, Place<'_>) -> Result<(), E>,
) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    while let Some((number, line)) = input.next().map_err(ReadError::Io)? {
        let Some(raw) = out.text(number, line) else { continue };
        match lines::content(raw) {
            Some(text) => each(out, text, Place { line: number, column: column(raw, text), text })?,
            None => out.comment(),
        }
    }
    Ok(())
}

/// The text of an address as a target of `cidr:`, if the word is one.
pub(super) fn address(word: &str) -> Option<&str> {
    let bare = word.strip_prefix('[').and_then(|w| w.strip_suffix(']')).unwrap_or(word);
    // Names do not begin with a digit or a colon that often: most are told apart by a look at their ends.
    let last = bare.as_bytes().last()?;
    (last.is_ascii_hexdigit() || *last == b':').then(|| bare.parse::<IpAddr>().ok().map(|_| bare)).flatten()
}

/// Reads `/etc/hosts` lines: an address that leads nowhere, then names.
pub(super) fn hosts<R: BufRead, E: From<ReadError>, F>(input: &mut Lines<R>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    while let Some((number, line)) = input.next().map_err(ReadError::Io)? {
        let Some(raw) = out.text(number, line) else { continue };
        match lines::content(raw) {
            Some(text) => host_line(number, raw, text, out)?,
            None => out.comment(),
        }
    }
    Ok(())
}

fn host_line<E, F>(number: u64, raw: &str, text: &str, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    let place = |word| Place { line: number, column: column(raw, word), text: word };
    let mut words = text.split_whitespace();
    let address = words.next().unwrap_or(text);
    let mut names = words.clone().peekable();
    if names.peek().is_none() {
        if is_sink(address).is_some() {
            out.say(place(address), "an address and no name", "write the name behind the address, or remove the line");
        } else {
            out.say(
                place(address),
                "no address at the beginning of a hosts line",
                "write 0.0.0.0 before the name, or read the file as domains",
            );
        }
        return Ok(());
    }
    // `::1 localhost`, `fe80::1%lo0 localhost`, `255.255.255.255 broadcasthost`: about this machine, not about a list.
    if names.all(is_local) {
        out.comment();
        return Ok(());
    }
    match is_sink(address) {
        Some(true) => {}
        Some(false) => {
            out.say(
                place(address),
                "the line gives names a real address, it does not block them",
                "write 0.0.0.0 for names to list, or remove the line",
            );
            return Ok(());
        }
        None => {
            out.say(place(address), "not an address", "write 0.0.0.0 before the names");
            return Ok(());
        }
    }
    for name in words.filter(|name| !is_local(name)) {
        // Always exact: a hosts file cannot mean a subtree, whatever the options say.
        match out.rule(Kind::Domain, name) {
            Ok(()) => out.put(None)?,
            Err(error) => out.refuse(place(name), &error),
        }
    }
    Ok(())
}

/// Whether the address leads nowhere (or back); `None` if it is none.
pub(super) fn is_sink(address: &str) -> Option<bool> {
    match address {
        // The common ones, without parsing.
        "0.0.0.0" | "127.0.0.1" | "0" => Some(true),
        _ => address
            .parse::<IpAddr>()
            .ok()
            .map(|ip| ip.is_unspecified() || ip == IpAddr::from([127, 0, 0, 1]) || ip.is_loopback() && ip.is_ipv6()),
    }
}

/// Names of hosts files that mean the machine itself; `0.0.0.0 0.0.0.0` stands in many lists.
pub(super) fn is_local(name: &str) -> bool {
    const LOCAL: [&str; 6] = ["localhost", "localhost.localdomain", "localhost6.localdomain6", "local", "broadcasthost", "0.0.0.0"];
    const PREFIX: &str = "ip6-";
    LOCAL.iter().any(|local| name.eq_ignore_ascii_case(local))
        || (name.get(..PREFIX.len()).is_some_and(|p| p.eq_ignore_ascii_case(PREFIX)) && !name.contains('.'))
}
