//! JSON: one object a line, or one document.
//!
//! Taken are strings (`kind:target`, or a name, a URL, an address as people write them) and objects whose members are named
//! as the columns of CSV, in an array at the top or in one that a member of the top object holds. Policies of browsers are
//! read by the names of their members ([`super::policy`]).
//!
//! Guarantees: an array is read element by element, each within the bound of a line; a document that is not well-formed or
//! cut off is refused as a whole.

use std::cell::RefCell;
use std::fmt;
use std::io::BufRead;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::list::{Rule, TargetError};

use super::{
    Item, ReadError, ReadOptions,
    lines::{self, Lines},
    out::{Out, Place, Verdict},
    policy,
    row::{Column, Row},
    source::{Counters, Encoding, Source},
};

/// Reads one value a line.
pub(super) fn lines<R: BufRead, E: From<ReadError>, F>(input: &mut Lines<R>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    let mut first = true;
    while let Some((number, line)) = input.next().map_err(ReadError::Io)? {
        let Some(raw) = out.text(number, line) else { continue };
        let Some(text) = lines::content(raw).map(|_| raw.trim()) else {
            out.comment();
            continue;
        };
        let place = Place { line: number, column: 1, text };
        match serde_json::from_str::<Value>(text) {
            // The first line says what list it is.
            Ok(Value::Object(object)) if first && object.contains_key("list") && !object.contains_key("rule") => out.comment(),
            Ok(value) => element(&value, place, out)?,
            Err(_) => out.say(place, "not JSON", "write one JSON object or string on a line; the file may have been cut off"),
        }
        first = false;
    }
    Ok(())
}

/// What an array holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Holds {
    Entries,
    Chromium(Verdict),
    Firefox(Verdict),
}

/// What the members of an object hold, if it is entries; `None`: nothing.
fn of_member(name: &str) -> Option<Holds> {
    Some(match name {
        "entries" | "rules" | "domains" | "hosts" | "urls" | "addresses" | "ips" => Holds::Entries,
        "URLBlocklist" => Holds::Chromium(Verdict::Block),
        "URLAllowlist" => Holds::Chromium(Verdict::Allow),
        "Block" => Holds::Firefox(Verdict::Block),
        "Exceptions" => Holds::Firefox(Verdict::Allow),
        _ => return None,
    })
}

/// Objects in objects that may hold an array of entries.
fn is_way(name: &str) -> bool {
    matches!(name, "policies" | "WebsiteFilter")
}

/// Reads a document.
pub(super) fn document<R: BufRead, E: From<ReadError>, F>(input: R, options: &ReadOptions, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    let counters = Counters::default();
    let source = Source::new(input, &counters, options.max_line, Encoding::Utf8);
    let failed = RefCell::new(None);
    let mut arrays = 0_u64;
    let mut each = |holds: Holds, value: &Value| {
        counters.done();
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let place = Place { line: counters.line(), column: 1, text: &text };
        let done = match (holds, value.as_str()) {
            (Holds::Entries, _) => element(value, place, out),
            (Holds::Chromium(verdict), Some(text)) => policy::chromium(verdict, text, place, out),
            (Holds::Firefox(verdict), Some(text)) => policy::firefox(verdict, text, place, out),
            (_, None) => {
                out.say(place, "not a pattern", "write patterns as strings");
                Ok(())
            }
        };
        done.map_err(|error| *failed.borrow_mut() = Some(error)).is_ok()
    };
    let mut reader = serde_json::Deserializer::from_reader(source);
    let top = Part { holds: None, top: true, each: &mut each, arrays: &mut arrays, counters: &counters };
    let done = top.deserialize(&mut reader).and_then(|()| reader.end());
    if let Some(error) = failed.into_inner() {
        return Err(error);
    }
    if let Err(error) = done {
        let wrong = match counters.failed() {
            Some(error) => ReadError::Io(error),
            None if counters.too_long() => ReadError::Json(format!("a value longer than {} octets", options.max_line)),
            None => ReadError::Json(error.to_string()),
        };
        return Err(wrong.into());
    }
    out.summary.lines = counters.line();
    if arrays == 0 {
        out.say(Place { line: 1, column: 1, text: "" }, "no list in it", "write an array, or an object with a member such as entries");
    }
    Ok(())
}

/// A part of the document: an array of entries, or an object in which such arrays are.
struct Part<'p, C> {
    /// What an array here holds, as the member's name says.
    holds: Option<Holds>,
    /// The document itself: a number or a text is none.
    top: bool,
    each: &'p mut C,
    arrays: &'p mut u64,
    counters: &'p Counters,
}

impl<'de, C: FnMut(Holds, &Value) -> bool> DeserializeSeed<'de> for Part<'_, C> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<C> Part<'_, C> {
    /// A member may have a list's name and hold something else: `"entries": 3`.
    fn no_list<E: serde::de::Error>(self) -> Result<(), E> {
        if self.top { Err(E::custom("neither an array nor an object")) } else { Ok(()) }
    }
}

impl<'de, C: FnMut(Holds, &Value) -> bool> Visitor<'de> for Part<'_, C> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of entries, or an object with one")
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        self.no_list()
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        self.no_list()
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        self.no_list()
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        self.no_list()
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.no_list()
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<(), E> {
        self.no_list()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        *self.arrays += 1;
        let holds = self.holds.unwrap_or(Holds::Entries);
        while let Some(value) = array.next_element::<Value>()? {
            if !(self.each)(holds, &value) {
                return Err(A::Error::custom("stopped"));
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        while let Some(name) = object.next_key::<String>()? {
            self.counters.done();
            match of_member(&name) {
                None if !is_way(&name) => {
                    object.next_value::<IgnoredAny>()?;
                    self.counters.done();
                }
                holds => object.next_value_seed(Part {
                    holds,
                    top: false,
                    each: &mut *self.each,
                    arrays: self.arrays,
                    counters: self.counters,
                })?,
            }
        }
        Ok(())
    }
}

/// One element: a string, or an object with members named as columns.
fn element<E, F>(value: &Value, place: Place<'_>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    let object = match value {
        Value::String(text) => {
            let place = Place { text, ..place };
            return match crate::list::Kind::split(text) {
                Some((kind, target)) => out.entry(Verdict::Block, kind, target, place),
                None => match Rule::interpret_kind(text) {
                    crate::list::Kind::Domain => out.bare(Verdict::Block, text, place),
                    kind => out.entry(Verdict::Block, kind, text, place),
                },
            };
        }
        Value::Object(object) => object,
        _ => {
            out.refuse(place, &TargetError::Empty);
            return Ok(());
        }
    };
    let cells: Vec<(&str, String)> = object.iter().map(|(name, value)| (name.as_str(), cell(value))).collect();
    let mut row = Row::default();
    for (name, cell) in cells.iter().filter(|(_, cell)| !cell.is_empty()) {
        let place = Place { text: cell, ..place };
        match Column::of(name) {
            None => out.leave_out("member that is not known", Place { text: name, ..place }),
            Some(column) => {
                if !row.is_free(column) {
                    out.say(place, "two members for one thing", "write one target, and each attribute once");
                    return Ok(());
                }
                if let Err(error) = row.set(column, cell) {
                    out.issue(place, || error.reason_and_hint());
                    return Ok(());
                }
            }
        }
    }
    row.give(place, out)
}

/// A value as it would stand in a cell; an object has no such form.
fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Array(values) => values.iter().map(cell).collect::<Vec<_>>().join(","),
        Value::Null | Value::Bool(_) | Value::Object(_) => String::new(),
    }
}
