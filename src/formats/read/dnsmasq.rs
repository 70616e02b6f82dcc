//! Settings of dnsmasq, and of BIND's named, that make names unreachable.
//!
//! Of dnsmasq: `address=/name/` with nothing, `#` or an address that leads nowhere behind it, `local=/name/` and
//! `server=/name/` without a server: the name and all under it; `host-record` with such an address: exactly that host. `server=/name/#` is an exception. Of named: `zone "name" {`:
//! the zone is answered from a file of one's own. Whatever else the file sets is counted.

use std::{io::BufRead, net::IpAddr};

use crate::list::{Kind, TargetError};

use super::{
    Item, ReadError,
    lines::{Lines, column},
    out::{Out, Place, Verdict},
    plain,
};

/// Reads settings of dnsmasq.
pub(super) fn read<R: BufRead, E: From<ReadError>, F>(input: &mut Lines<R>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    plain::contents(input, out, |out, text, place| {
        let (key, value) = text.split_once('=').map_or((text, ""), |(key, value)| (key.trim(), value.trim()));
        match key {
            "address" | "server" | "local" => setting(key, value, place, out)?,
            "host-record" => host_record(value, place, out)?,
            _ if key.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-') && !key.is_empty() => out.leave_out("other setting", place),
            _ => out.say(place, "not a setting of dnsmasq", "write address=/name/ for a name and all under it"),
        }
        Ok(())
    })
}

fn setting<E, F>(key: &str, value: &str, place: Place<'_>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    let Some((names, answer)) = value.strip_prefix('/').and_then(|rest| rest.rsplit_once('/')) else {
        if key == "server" && !value.contains('/') {
            out.leave_out("other setting", place);
        } else {
            out.say(place, "no name between slashes", "write such as address=/name/ or local=/name/");
        }
        return Ok(());
    };
    let verdict = match (key, answer) {
        (_, "") | ("address", "#") => Verdict::Block,
        ("server" | "local", "#") => Verdict::Allow,
        ("address", answer) if plain::is_sink(answer) == Some(true) => Verdict::Block,
        ("address", _) => {
            out.leave_out("answer with an address", place);
            return Ok(());
        }
        _ => {
            out.leave_out("name asked of another server", place);
            return Ok(());
        }
    };
    for name in names.split('/') {
        let place = Place { column: place.column + column(place.text, name) - 1, text: name, ..place };
        match name {
            // All names, and names without a dot.
            "#" => out.refuse(place, &TargetError::Root),
            "" => out.leave_out("names without a dot", place),
            _ if name.starts_with('*') && !name.starts_with("*.") => out.leave_out("pattern with wildcards", place),
            // Since 2.86 a star label is what the name without it is; before it was an error.
            _ => out.entry(verdict, Kind::Subtree, name, place)?,
        }
    }
    Ok(())
}

/// `name,name,0.0.0.0,::`: exactly these hosts, if the addresses lead nowhere.
fn host_record<E, F>(value: &str, place: Place<'_>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    let is_address = |part: &&str| part.parse::<IpAddr>().is_ok();
    // A number at the end is a time to live.
    let parts = || value.split(',').map(str::trim).filter(|part| !part.bytes().all(|c| c.is_ascii_digit()));
    let nowhere = parts().filter(is_address).all(|address| plain::is_sink(address) == Some(true));
    if !nowhere || !parts().any(|part| is_address(&part)) {
        out.leave_out("answer with an address", place);
        return Ok(());
    }
    for name in parts().filter(|part| !is_address(part)) {
        out.entry(Verdict::Block, Kind::Domain, name, Place { text: name, ..place })?;
    }
    Ok(())
}

/// Reads zones of named.
pub(super) fn bind<R: BufRead, E: From<ReadError>, F>(input: &mut Lines<R>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    while let Some((number, line)) = input.next().map_err(ReadError::Io)? {
        let Some(raw) = out.text(number, line) else { continue };
        let text = raw.trim();
        if text.is_empty() || text.starts_with(['#', ';', '!']) || text.starts_with("//") {
            out.comment();
            continue;
        }
        let place = Place { line: number, column: column(raw, text), text };
        let zone =
            text.strip_prefix("zone").map(str::trim_start).and_then(|rest| rest.strip_prefix('"')).and_then(|rest| rest.split_once('"'));
        match zone {
            // One line has the whole zone: what type it is must be seen.
            Some((name, rest)) if rest.contains('}') => {
                let words: Vec<&str> = rest.split(['{', '}', ';', ' ', '\t']).filter(|word| !word.is_empty()).take(16).collect();
                let own = words.windows(2).any(|pair| pair[0] == "type" && matches!(pair[1], "master" | "primary"));
                if own {
                    out.entry(Verdict::Block, Kind::Subtree, name, Place { column: column(raw, name), text: name, ..place })?;
                } else {
                    out.leave_out("zone of another type", place);
                }
            }
            Some(_) => out.say(place, "a zone over several lines", "write each zone on one line, with its type and file"),
            None => out.leave_out("other setting", place),
        }
    }
    Ok(())
}
