//! Comma-separated values with a header line (RFC 4180; also `;` or TAB between the columns).
//!
//! Guarantees: one record is held at a time, within the bound of a line even if a quote is never closed; a column
//! that this reader does not know is reported once and left aside, never guessed at.

use std::{io::BufRead, mem};

use crate::list::quoted;

use super::{
    Item, ReadError,
    lines::{self, Line, Lines},
    out::{Out, Place},
    row::{Column, Row},
};

/// Whether a line is a header line: one of its cells names the column of the target.
pub(super) fn is_header(line: &str) -> bool {
    let delimiter = char::from(delimiter(line));
    line.split(delimiter).any(|cell| matches!(Column::of(cell.trim().trim_matches('"')), Some(Column::Target(_))))
}

/// What separates the columns of a header line.
fn delimiter(line: &str) -> u8 {
    *[b',', b';', b'\t'].iter().find(|c| line.as_bytes().contains(c)).unwrap_or(&b',')
}

/// Puts records together from lines.
struct Records {
    reader: csv_core::Reader,
    text: Vec<u8>,
    used: usize,
    ends: Vec<usize>,
    fields: usize,
    /// The line on which the record began, while it is not complete.
    began: Option<u64>,
    delimiter: u8,
}

/// What a line did to a record.
enum Step {
    /// It is complete.
    Record,
    /// A quote is open: the next line goes on with it.
    Open,
    /// It is longer than a line may be, or has too many columns.
    TooLong,
}

impl Records {
    const MAX_FIELDS: usize = 256;

    fn new(delimiter: u8, max: usize) -> Self {
        let reader = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
        Records { reader, text: vec![0; max + 1], used: 0, ends: vec![0; Self::MAX_FIELDS], fields: 0, began: None, delimiter }
    }

    /// Forgets a record that is not complete.
    fn reset(&mut self) {
        self.reader = csv_core::ReaderBuilder::new().delimiter(self.delimiter).build();
        self.used = 0;
        self.fields = 0;
        self.began = None;
    }

    fn push(&mut self, number: u64, line: &str) -> Step {
        use csv_core::ReadRecordResult as Result;
        if self.began.is_none() {
            self.used = 0;
            self.fields = 0;
            self.began = Some(number);
        }
        for mut part in [line.as_bytes(), b"\n"] {
            while !part.is_empty() {
                let (result, read, written, ends) =
                    self.reader.read_record(part, &mut self.text[self.used..], &mut self.ends[self.fields..]);
                part = &part[read..];
                self.used += written;
                self.fields += ends;
                match result {
                    Result::InputEmpty => {}
                    Result::Record => return Step::Record,
                    Result::OutputFull | Result::OutputEndsFull => return Step::TooLong,
                    Result::End => return Step::Open,
                }
            }
        }
        Step::Open
    }

    /// The fields of a complete record, blanks around them taken off.
    fn fields(&self) -> impl Iterator<Item = &str> {
        let mut from = 0;
        self.ends[..self.fields].iter().map(move |end| {
            // Delimiters are ASCII and the lines are UTF-8, so that a field is too.
            let field = str::from_utf8(&self.text[from..*end]).unwrap_or_default();
            from = *end;
            field.trim()
        })
    }
}

/// Reads a header line and records.
pub(super) fn read<R: BufRead, E: From<ReadError>, F>(input: &mut Lines<R>, out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    let max = input.max();
    let mut table: Option<(Records, Vec<Option<Column>>)> = None;
    while let Some((number, line)) = input.next().map_err(ReadError::Io)? {
        let open = table.as_mut().filter(|(records, _)| records.began.is_some());
        if matches!(line, Line::TooLong(_) | Line::NotUtf8(..))
            && let Some((records, _)) = open
        {
            records.reset();
        }
        let Some(raw) = out.text(number, line) else { continue };
        let Some((records, columns)) = &mut table else {
            // A comment before the header line is one; what is behind a blank in a header line is not.
            match lines::content(raw) {
                Some(_) => table = Some(header(number, raw, max, out)?),
                None => out.comment(),
            }
            continue;
        };
        if records.began.is_none() && lines::content(raw).is_none() {
            out.comment();
            continue;
        }
        match records.push(number, raw) {
            Step::Open => {}
            Step::Record => {
                let began = records.began.take().unwrap_or(number);
                record(began, records, columns, out)?;
            }
            Step::TooLong => {
                let began = records.began.unwrap_or(number);
                out.say(
                    Place { line: began, column: 1, text: raw },
                    "the record is too long or has too many columns; perhaps a quote is not closed",
                    "close the quote, or double it inside quotes",
                );
                records.reset();
            }
        }
    }
    if let Some(began) = table.and_then(|(records, _)| records.began) {
        out.say(
            Place { line: began, column: 1, text: "" },
            "the file ends inside quotes",
            "close the quote; the file may have been cut off",
        );
    }
    Ok(())
}

fn header<E: From<ReadError>, F>(number: u64, line: &str, max: usize, out: &mut Out<F>) -> Result<(Records, Vec<Option<Column>>), E> {
    out.comment();
    let mut records = Records::new(delimiter(line), max);
    if !matches!(records.push(number, line), Step::Record) {
        return Err(ReadError::NoTargetColumn(quoted(line)).into());
    }
    records.began = None;
    let columns: Vec<Option<Column>> = records.fields().map(Column::of).collect();
    for (at, column) in columns.iter().enumerate() {
        if let Some(column) = column
            && *column != Column::Note
            && columns[..at].iter().flatten().any(|before| mem::discriminant(before) == mem::discriminant(column))
        {
            return Err(ReadError::TwoColumns(column.words()).into());
        }
    }
    if !columns.iter().flatten().any(|column| matches!(column, Column::Target(_))) {
        return Err(ReadError::NoTargetColumn(quoted(line)).into());
    }
    let unknown: Vec<&str> = records.fields().zip(&columns).filter(|(_, column)| column.is_none()).map(|(name, _)| name).collect();
    if !unknown.is_empty() {
        let names = unknown.join(", ");
        out.say(
            Place { line: number, column: 1, text: &names },
            "columns that are not known are left aside",
            "use rule, domain, url, address, scope, category, reference, age, action, reason, expires",
        );
    }
    Ok((records, columns))
}

fn record<E, F>(number: u64, records: &Records, columns: &[Option<Column>], out: &mut Out<F>) -> Result<(), E>
where
    F: FnMut(Item<'_>) -> Result<(), E>,
{
    let place = |text| Place { line: number, column: 1, text };
    if records.fields > columns.len() {
        let text = records.fields().next().unwrap_or_default();
        out.say(place(text), "more columns than the header line has", "put quotes around a cell that has a comma in it");
        return Ok(());
    }
    let mut row = Row::default();
    for (cell, column) in records.fields().zip(columns) {
        let (Some(column), false) = (column, cell.is_empty()) else { continue };
        if let Err(error) = row.set(*column, cell) {
            out.issue(place(cell), || error.reason_and_hint());
            return Ok(());
        }
    }
    row.give(place(""), out)
}
