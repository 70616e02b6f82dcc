//! Dumps of registers in XML: records with URLs, names and addresses.
//!
//! A record names everything that it is about: a page, the host it is on, that host's addresses. What is to be blocked is
//! the narrowest of it, unless the record says otherwise in an attribute (`blockType`: `domain`, `domain-mask`, `ip`): with
//! a URL only the URL, else with a name only the name, else the addresses. To take all of it would block whole hosts, and
//! what else is on an address, because of one page.
//!
//! Guarantees: streams, one record in memory, within bounds; a document type definition is refused, and no entity but the
//! five of XML itself is known; a document that is not well-formed or cut off is refused as a whole.

use std::io::BufRead;
use std::str::FromStr;

use quick_xml::{Reader, events::Event};

use crate::list::{Kind, quoted};

use super::{
    Item, ReadError, ReadOptions,
    out::{Out, Place, Verdict},
    source::{Counters, Encoding, Source},
};

/// Longest tag or text, in octets.
const LONGEST: usize = 64 * 1024;
/// Elements in elements.
const DEEPEST: usize = 64;
/// Most octets of the values of a record.
const LARGEST_RECORD: usize = 1 << 20;
/// Where the encoding is declared.
const DECLARATION: usize = 256;

/// Names of elements in a register's dump, without prefixes; each may have several.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct XmlNames {
    /// What holds one record.
    pub record: Vec<String>,
    /// A name of a host.
    pub domain: Vec<String>,
    /// A URL.
    pub url: Vec<String>,
    /// An address.
    pub ip: Vec<String>,
    /// A range of addresses.
    pub subnet: Vec<String>,
    /// The attribute of the record that says what is to be blocked.
    pub block_type: String,
}

impl Default for XmlNames {
    fn default() -> Self {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        XmlNames {
            record: own(&["content"]),
            domain: own(&["domain"]),
            url: own(&["url"]),
            ip: own(&["ip", "ipv6"]),
            subnet: own(&["ipSubnet", "ipv6Subnet"]),
            block_type: "blockType".to_owned(),
        }
    }
}

/// `record=entry,domain=host|name`: what is not said stays as it is.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("\"{0}\" names no element; write such as record=entry,domain=host|name with record, domain, url, ip, subnet or block-type")]
pub struct XmlNamesError(String);

impl FromStr for XmlNames {
    type Err = XmlNamesError;
    fn from_str(text: &str) -> Result<Self, XmlNamesError> {
        let mut names = XmlNames::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let wrong = || XmlNamesError(quoted(part));
            let (key, value) = part.split_once('=').ok_or_else(wrong)?;
            let values: Vec<String> = value.split('|').map(str::to_owned).collect();
            if values.iter().any(|value| value.is_empty() || value.len() > 64) {
                return Err(wrong());
            }
            match key {
                "record" => names.record = values,
                "domain" => names.domain = values,
                "url" => names.url = values,
                "ip" => names.ip = values,
                "subnet" => names.subnet = values,
                "block-type" => names.block_type = value.to_owned(),
                _ => return Err(wrong()),
            }
        }
        Ok(names)
    }
}

/// What an element of a record says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Says {
    Domain,
    Url,
    Address,
}

/// One record.
#[derive(Default)]
struct Record {
    /// How deep its element is.
    depth: usize,
    block_type: String,
    /// Values in their order, with their lines.
    values: Vec<(Says, u64, String)>,
    octets: usize,
    line: u64,
}

/// Reads a dump.
pub(super) fn read<R: BufRead, E: From<ReadError>, F>(mut input: R, options: &ReadOptions, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    let encoding = encoding(input.fill_buf().map_err(ReadError::Io)?)?;
    let counters = Counters::default();
    let mut reader = Reader::from_reader(Source::new(input, &counters, LONGEST, encoding));
    let wrong = |why: String| ReadError::Xml { line: counters.line(), why };
    let mut buffer = Vec::new();
    let (mut depth, mut records) = (0, 0_u64);
    let mut record: Option<Record> = None;
    // The element of a record that is being read, and its text.
    let mut value: Option<(Says, u64, String)> = None;
    loop {
        buffer.clear();
        counters.done();
        let event = reader.read_event_into(&mut buffer).map_err(|error| match counters.failed() {
            Some(error) => ReadError::Io(error),
            None if counters.too_long() => wrong(format!("a tag or text longer than {LONGEST} octets")),
            None => wrong(error.to_string()),
        })?;
        let text = match event {
            Event::Start(tag) => {
                depth += 1;
                if depth > DEEPEST {
                    return Err(wrong(format!("elements in elements, deeper than {DEEPEST}")).into());
                }
                let name = tag.local_name();
                let name: &str = name.as_ref();
                match &record {
                    None if options.xml.record.iter().any(|own| own == name) => {
                        let block = tag.attributes().flatten().find(|a| a.key.local_name().as_ref() == options.xml.block_type.as_str());
                        let block_type = block.map(|a| a.value.chars().take(32).collect()).unwrap_or_default();
                        record = Some(Record { depth, block_type, line: counters.line(), ..Record::default() });
                    }
                    Some(_) if value.is_none() => value = says(name, options).map(|says| (says, counters.line(), String::new())),
                    _ => {}
                }
                continue;
            }
            Event::End(_) => {
                if let (Some(record), Some(value)) = (&mut record, value.take()) {
                    record.octets += value.2.len();
                    if record.octets <= LARGEST_RECORD {
                        record.values.push(value);
                    }
                }
                if let Some(record) = record.take_if(|record| record.depth == depth) {
                    records += 1;
                    record.give(out)?;
                }
                depth -= 1;
                continue;
            }
            Event::Text(text) => text.into_inner(),
            Event::CData(text) => text.into_inner(),
            Event::GeneralRef(name) => match name.resolve_char_ref() {
                Ok(Some(c)) => c.to_string().into(),
                _ => match &*name {
                    "amp" => "&".into(),
                    "lt" => "<".into(),
                    "gt" => ">".into(),
                    "quot" => "\"".into(),
                    "apos" => "'".into(),
                    other => return Err(wrong(format!("the entity {} is not known", quoted(other))).into()),
                },
            },
            Event::DocType(_) => return Err(wrong("it has a document type definition, which no register needs".to_owned()).into()),
            Event::Eof => break,
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => continue,
        };
        if let Some((_, _, value)) = &mut value
            && value.len() <= LONGEST
        {
            value.push_str(&text);
        }
    }
    if depth > 0 {
        return Err(wrong("it ends inside an element; it was cut off".to_owned()).into());
    }
    out.summary.lines = counters.line() - 1;
    if records == 0 {
        let place = Place { line: 1, column: 1, text: "" };
        out.say(place, "no record in it", "say what its elements are called, such as record=entry,domain=host");
    }
    Ok(())
}

/// As the declaration says.
fn encoding(head: &[u8]) -> Result<Encoding, ReadError> {
    let head = String::from_utf8_lossy(&head[..head.len().min(DECLARATION)]).to_ascii_lowercase();
    let declared = head.split_once("?>").and_then(|(declaration, _)| declaration.split_once("encoding=")).map(|(_, rest)| rest);
    let name = declared.and_then(|rest| rest.get(1..)?.split(['"', '\'']).next());
    match name {
        None | Some("utf-8" | "utf8" | "us-ascii") => Ok(Encoding::Utf8),
        Some("windows-1251" | "cp1251") => Ok(Encoding::Windows1251),
        Some("iso-8859-1" | "latin1") => Ok(Encoding::Latin1),
        Some(_) => Err(ReadError::Encoding("something other than UTF-8, windows-1251 and ISO-8859-1")),
    }
}

fn says(name: &str, options: &ReadOptions) -> Option<Says> {
    let is = |names: &[String]| names.iter().any(|own| own == name);
    let xml = &options.xml;
    if is(&xml.url) {
        Some(Says::Url)
    } else if is(&xml.domain) {
        Some(Says::Domain)
    } else if is(&xml.ip) || is(&xml.subnet) {
        Some(Says::Address)
    } else {
        None
    }
}

impl Record {
    fn give<E, F>(self, out: &mut Out<F>) -> Result<(), E>
    where
        F: FnMut(Item<'_>) -> Result<(), E>,
    {
        let has = |wanted: Says| self.values.iter().any(|(says, _, text)| *says == wanted && !text.trim().is_empty());
        let place = Place { line: self.line, column: 1, text: &self.block_type };
        let wanted = match &*self.block_type {
            "" | "default" if has(Says::Url) => Says::Url,
            "" | "default" if has(Says::Domain) => Says::Domain,
            "" | "default" | "ip" => Says::Address,
            "domain" | "domain-mask" => Says::Domain,
            _ => {
                out.say(place, "what the record wants blocked is not known", "write default, domain, domain-mask or ip");
                return Ok(());
            }
        };
        if self.octets > LARGEST_RECORD {
            out.say(place, "a record with more than a million octets of values", "write it as several records");
            return Ok(());
        }
        if !has(wanted) {
            out.say(place, "a record with nothing that can be blocked", "write a URL, a name or an address into it");
            return Ok(());
        }
        for (_, line, text) in self.values.iter().filter(|(says, _, text)| *says == wanted && !text.trim().is_empty()) {
            let text = text.trim();
            let place = Place { line: *line, column: 1, text };
            match wanted {
                Says::Url => out.entry(Verdict::Block, Kind::Url, text, place)?,
                Says::Domain => out.bare(Verdict::Block, text, place)?,
                Says::Address => out.entry(Verdict::Block, Kind::Cidr, text, place)?,
            }
        }
        Ok(())
    }
}
