//! Response policy zones as master files.
//!
//! Taken are triggers on names (`name` is exactly that host; with `*.name` beside it, the host and all under it) and on
//! addresses in answers (`rpz-ip`), with an action that blocks: NXDOMAIN, NODATA, drop, or an address that leads nowhere.
//! `rpz-passthru.` is an exception. Other triggers and actions are counted. `*.name` without `name` would come out wider.
//!
//! Guarantees: a name is taken only where it is certain what it is relative to; a name outside the zone is an issue. No
//! `$INCLUDE` is followed.

use std::{io::BufRead, mem};

use crate::list::{Kind, TargetError};

use super::{
    Item, ReadError, Wildcards,
    lines::Lines,
    out::{Out, Place, Verdict},
    plain,
    zone::{Record, Records},
};

/// Types of records that a zone can have besides.
const OTHER_TYPES: [&str; 27] = [
    "NS",
    "TXT",
    "MX",
    "SRV",
    "PTR",
    "DNAME",
    "CAA",
    "HINFO",
    "RP",
    "NAPTR",
    "DS",
    "RRSIG",
    "NSEC",
    "NSEC3",
    "NSEC3PARAM",
    "DNSKEY",
    "CDS",
    "CDNSKEY",
    "TLSA",
    "SSHFP",
    "HTTPS",
    "SVCB",
    "SPF",
    "URI",
    "LOC",
    "CERT",
    "ZONEMD",
];

/// What relative names stand under.
enum Origin {
    /// The zone itself, whose name the file does not say.
    Zone,
    /// This absolute name, lower case, without the last dot.
    Name(String),
    /// It cannot be told.
    Unknown,
}

/// A trigger that waits for the other half: `name` and `*.name` together are a subtree.
#[derive(Default)]
struct Half {
    name: String,
    wild: bool,
    allows: bool,
    line: u64,
}

struct Zone {
    origin: Origin,
    /// Name of the zone, where the file says it.
    apex: Option<String>,
    owner: String,
    half: Half,
    /// The last name that both halves were there for.
    done: (String, bool),
}

/// Reads a zone.
pub(super) fn read<R: BufRead, E: From<ReadError>, F>(input: &mut Lines<R>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    let mut records = Records::new(input.max());
    let mut zone = Zone { origin: Origin::Zone, apex: None, owner: String::new(), half: Half::default(), done: (String::new(), false) };
    while let Some((number, line)) = input.next().map_err(ReadError::Io)? {
        let Some(raw) = out.text(number, line) else { continue };
        if let Some(record) = records.push(number, raw, out) {
            zone.record(&record, out)?;
        }
    }
    if let Some(line) = records.open() {
        let place = Place { line, column: 1, text: "(" };
        out.say(place, "the file ends inside parentheses", "close the parenthesis; the file may have been cut off");
    }
    mem::take(&mut zone.half).give(out)
}

impl Zone {
    fn record<E, F>(&mut self, record: &Record<'_>, out: &mut Out<F>) -> Result<(), E>
    where
        F: FnMut(Item<'_>) -> Result<(), E>,
    {
        let mut words = record.words().peekable();
        let first = words.peek().copied().unwrap_or_default();
        let mut place = Place { line: record.line(), column: 1, text: first };
        if first.starts_with('$') && !record.same_owner() {
            self.directive(first, words.nth(1).unwrap_or_default(), place, out);
            return Ok(());
        }
        if !record.same_owner() {
            self.owner.clear();
            self.owner.push_str(first);
            words.next();
        }
        let owner = mem::take(&mut self.owner);
        place.text = &owner;
        let done = self.body(&owner, &mut words, place, out);
        self.owner = owner;
        done
    }

    fn directive<F>(&mut self, word: &str, value: &str, place: Place<'_>, out: &mut Out<F>) {
        match &*word.to_ascii_uppercase() {
            "$TTL" => out.comment(),
            "$ORIGIN" => {
                out.comment();
                let name = value.to_ascii_lowercase();
                self.origin = match (name.strip_suffix('.'), &self.origin) {
                    _ if name.contains('\\') || name.len() > 512 => Origin::Unknown,
                    (Some(name), _) => Origin::Name(name.to_owned()),
                    (None, Origin::Name(before)) if !name.is_empty() => Origin::Name(format!("{name}.{before}")),
                    (None, _) => Origin::Unknown,
                };
            }
            "$INCLUDE" => out.leave_out("$INCLUDE of another file", place),
            "$GENERATE" => out.leave_out("$GENERATE", place),
            _ => out.say(place, "a directive that is not known", "write $ORIGIN, $TTL or a record"),
        }
    }

    /// What follows the owner: time to live, class, type, content.
    fn body<'w, E, F>(
        &mut self,
        owner: &str,
        words: &mut impl Iterator<Item = &'w str>,
        place: Place<'_>,
        out: &mut Out<F>,
    ) -> Result<(), E>
    where
        F: FnMut(Item<'_>) -> Result<(), E>,
    {
        let is_ttl = |word: &str| word.starts_with(|c: char| c.is_ascii_digit()) && word.bytes().all(|c| c.is_ascii_alphanumeric());
        let kind = words.find(|word| !is_ttl(word) && !["IN", "CH", "HS"].iter().any(|class| word.eq_ignore_ascii_case(class)));
        let kind = kind.unwrap_or_default().to_ascii_uppercase();
        let value = words.next().unwrap_or_default();
        if kind == "SOA" {
            out.comment();
            self.apex = match (owner.strip_suffix('.'), &self.origin) {
                (Some(name), _) => Some(name.to_ascii_lowercase()),
                (None, Origin::Name(origin)) if owner == "@" => Some(origin.clone()),
                (None, Origin::Name(origin)) => Some(format!("{}.{origin}", owner.to_ascii_lowercase())),
                (None, _) => None,
            };
            return Ok(());
        }
        let other = OTHER_TYPES.contains(&&*kind) || kind.strip_prefix("TYPE").is_some_and(|n| n.parse::<u16>().is_ok());
        if value.is_empty() || !(other || matches!(&*kind, "CNAME" | "A" | "AAAA")) {
            out.say(place, "not a record", "write owner, type and content, such as name.example CNAME .");
            return Ok(());
        }
        let name = match self.trigger(owner) {
            Ok(name) if name.is_empty() => {
                out.comment();
                return Ok(());
            }
            Ok(name) => name,
            Err((reason, hint)) => {
                out.say(place, reason, hint);
                return Ok(());
            }
        };
        let sort = match &*kind {
            "CNAME" => match &*value.to_ascii_lowercase() {
                "." | "*." | "rpz-drop." => return self.policy(&name, Verdict::Block, place, out),
                "rpz-passthru." => return self.policy(&name, Verdict::Allow, place, out),
                "rpz-tcp-only." => "rpz-tcp-only",
                // How the first zones wrote it: the name is its own.
                own if own.strip_suffix('.') == Some(&*name) => return self.policy(&name, Verdict::Allow, place, out),
                _ => "answer with another name",
            },
            "A" | "AAAA" if plain::is_sink(value) == Some(true) => return self.policy(&name, Verdict::Block, place, out),
            "A" | "AAAA" => "answer with an address",
            _ => "record of another type",
        };
        out.leave_out(sort, place);
        Ok(())
    }

    /// The name of the trigger: the owner without the zone's own name, in lower case; empty: the zone itself.
    fn trigger(&self, owner: &str) -> Result<String, (&'static str, &'static str)> {
        const OUTSIDE: (&str, &str) =
            ("a name that is not in the zone", "write the name without a dot at its end, or with the zone's name behind it");
        const UNKNOWN: (&str, &str) = (
            "it cannot be told what the name is relative to",
            "write $ORIGIN with the zone's name and the SOA record before the first name",
        );
        if owner.contains('\\') {
            return Err(("an escape in a name, which no host has", "write the name as it is registered"));
        }
        let lower = owner.to_ascii_lowercase();
        let absolute = match (lower.strip_suffix('.'), &self.origin) {
            (Some(name), _) => name.to_owned(),
            (None, Origin::Zone) => return Ok(if lower == "@" { String::new() } else { lower }),
            (None, Origin::Name(origin)) if lower == "@" => origin.clone(),
            (None, Origin::Name(origin)) => format!("{lower}.{origin}"),
            (None, Origin::Unknown) => return Err(UNKNOWN),
        };
        let apex = self.apex.as_deref().ok_or(UNKNOWN)?;
        match absolute.strip_suffix(apex) {
            Some("") => Ok(String::new()),
            Some(rest) => rest.strip_suffix('.').map(str::to_owned).ok_or(OUTSIDE),
            None => Err(OUTSIDE),
        }
    }

    fn policy<E, F>(&mut self, name: &str, verdict: Verdict, place: Place<'_>, out: &mut Out<F>) -> Result<(), E>
    where
        F: FnMut(Item<'_>) -> Result<(), E>,
    {
        let (before, last) = name.rsplit_once('.').unwrap_or(("", name));
        if last == "rpz-ip" {
            return match range(before) {
                Some(range) => out.entry(verdict, Kind::Cidr, &range, place),
                None => {
                    out.say(place, "not an address range backwards", "write such as 24.0.2.0.192.rpz-ip for 192.0.2.0/24");
                    Ok(())
                }
            };
        }
        let other = match last {
            "rpz-client-ip" => "trigger rpz-client-ip",
            "rpz-nsip" => "trigger rpz-nsip",
            "rpz-nsdname" => "trigger rpz-nsdname",
            _ => "",
        };
        if !other.is_empty() {
            out.leave_out(other, place);
            return Ok(());
        }
        if name == "*" {
            out.refuse(place, &TargetError::Root);
            return Ok(());
        }
        let allows = verdict == Verdict::Allow;
        let (wild, name) = match name.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, name),
        };
        // A second record of the same trigger (A and AAAA) says nothing new.
        let same = |half: &Half| half.name == name && half.allows == allows;
        if (self.done.0 == name && self.done.1 == allows) || (same(&self.half) && self.half.wild == wild) {
            out.comment();
            return Ok(());
        }
        if same(&self.half) {
            self.half = Half::default();
            self.done = (name.to_owned(), allows);
            return out.entry(verdict, Kind::Subtree, name, place);
        }
        mem::replace(&mut self.half, Half { name: name.to_owned(), wild, allows, line: place.line }).give(out)
    }
}

impl Half {
    /// It stayed alone.
    fn give<E, F>(self, out: &mut Out<F>) -> Result<(), E>
    where
        F: FnMut(Item<'_>) -> Result<(), E>,
    {
        let place = Place { line: self.line, column: 1, text: &self.name };
        let verdict = if self.allows { Verdict::Allow } else { Verdict::Block };
        match self.wild {
            _ if self.name.is_empty() => Ok(()),
            false => out.entry(verdict, Kind::Domain, &self.name, place),
            true if out.wildcards == Wildcards::Subtree => out.entry(verdict, Kind::Subtree, &self.name, place),
            true => {
                if out.takes(verdict, place) {
                    out.leave_out("wildcard without the name itself", place);
                }
                Ok(())
            }
        }
    }
}

/// `24.0.2.0.192` is 192.0.2.0/24, `48.zz.db8.2001` is 2001:db8::/48.
fn range(labels: &str) -> Option<String> {
    let (length, rest) = labels.split_once('.')?;
    let parts: Vec<&str> = rest.split('.').rev().take(9).collect();
    if parts.len() == 4 && !parts.contains(&"zz") {
        return Some(format!("{}/{length}", parts.join(".")));
    }
    if !parts.iter().all(|part| *part == "zz" || (1..=4).contains(&part.len())) {
        return None;
    }
    let joined = parts.iter().map(|part| if *part == "zz" { "" } else { part }).collect::<Vec<_>>().join(":");
    let begin = if parts.first() == Some(&"zz") { ":" } else { "" };
    let end = if parts.last() == Some(&"zz") { ":" } else { "" };
    Some(format!("{begin}{joined}{end}/{length}"))
}
