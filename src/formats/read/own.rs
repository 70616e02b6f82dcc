//! bwld's own text: entry lines, change lines, snapshots and deltas.
//!
//! Guarantees: targets may be written as people write them, attributes only as docs/PROTOCOL.md section 4 has them; a
//! snapshot with another number of entries than its header says is an issue. Root and signature are not looked at: an
//! import trusts its file.

use std::io::BufRead;

use crate::list::{Attributes, Kind, Rule, TargetError, quoted};

use super::{
    Item, ReadError,
    lines::{self, Line, Lines, column},
    out::{Out, Place},
};

/// The most lines a snapshot's or delta's header has, the empty one included.
const HEADER_LINES: u64 = 16;

/// Reads own text.
pub(super) fn read<R: BufRead, E: From<ReadError>, F>(input: &mut Lines<R>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    let mut promised = None;
    let mut in_header = false;
    let mut body_lines = 0_u64;
    while let Some((number, line)) = input.next().map_err(ReadError::Io)? {
        if number == 1 && matches!(line, Line::Text("bwld snapshot v1" | "bwld delta v1")) {
            in_header = true;
        }
        let Some(raw) = out.text(number, line) else { continue };
        if in_header {
            in_header = !raw.is_empty() && number < HEADER_LINES;
            if let Some(count) = raw.strip_prefix("entries ").or_else(|| raw.strip_prefix("changes ")) {
                promised = count.parse::<u64>().ok();
            }
            out.comment();
            continue;
        }
        match lines::content(raw) {
            Some(text) => {
                body_lines += 1;
                line_of_body(number, raw, text, out)?;
            }
            None => out.comment(),
        }
    }
    if let Some(promised) = promised.filter(|promised| *promised != body_lines) {
        let place = Place { line: input.number(), column: 1, text: "" };
        out.issue(place, || {
            (
                format!("the header says {promised} lines, the file has {body_lines}"),
                "the file was cut off or changed; fetch it again".to_owned(),
            )
        });
    }
    Ok(())
}

fn line_of_body<E, F>(number: u64, raw: &str, text: &str, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    match text.as_bytes().first() {
        Some(b'+' | b'~') => put(number, raw, &text[1..], out),
        Some(b'-') => {
            let text = &text[1..];
            match removal(text) {
                Ok(rule) => out.remove(&rule),
                Err(error) => {
                    out.refuse(Place { line: number, column: column(raw, text), text }, &error);
                    Ok(())
                }
            }
        }
        _ => put(number, raw, text, out),
    }
}

/// A rule to remove. A public suffix passes if it is written canonically: what got into a list must be able to leave it.
fn removal(text: &str) -> Result<Rule, TargetError> {
    match text.parse() {
        Err(TargetError::NotCanonical { .. }) => match Kind::split(text) {
            Some((kind, target)) => Rule::new(kind, target),
            None => Err(TargetError::Kind(quoted(text))),
        },
        other => other,
    }
}

/// Reads `kind:target` and attributes behind a TAB, and hands the entry on.
pub(super) fn put<E, F>(number: u64, raw: &str, text: &str, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    let (word, attributes) = match text.find(char::is_whitespace) {
        None => (text, None),
        Some(at) => (&text[..at], Some(&text[at..])),
    };
    let place = Place { line: number, column: column(raw, word), text: word };
    let Some((kind, target)) = Kind::split(word) else {
        out.refuse(place, &TargetError::Kind(quoted(word)));
        return Ok(());
    };
    if let Err(error) = out.rule(kind, target) {
        let column = column(raw, target);
        out.refuse(Place { column, ..place }, &error);
        return Ok(());
    }
    let Some(attributes) = attributes else { return out.put(None) };
    let place = Place { column: column(raw, attributes), text: attributes, ..place };
    let Some(attributes) = attributes.strip_prefix('\t') else {
        out.say(place, "a blank behind the rule", "write a TAB before each attribute, and no blanks in a target");
        return Ok(());
    };
    match Attributes::parse(attributes) {
        Ok(_) => out.put(Some(attributes)),
        Err(error) => {
            out.issue(place, || error.reason_and_hint());
            Ok(())
        }
    }
}
