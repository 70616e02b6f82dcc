//! What an export leaves out, told one by one.

use std::io::{self, Write};

use serde::Serialize;

use super::{ExportError, ExportFormat, ExportHeader, ExportOptions, ExportReport, Lines, Why, run};

#[derive(Serialize)]
struct LeftOut<'a> {
    rule: &'a str,
    why: Why,
}

/// Writes a JSON object a line for every entry that [`export`](super::export) with the same arguments leaves out, `rule` and
/// `why`, and as the last line the report.
///
/// # Errors
/// As [`export`](super::export).
pub fn list_left_out(
    format: ExportFormat,
    options: &ExportOptions,
    header: &ExportHeader,
    lines: &mut dyn Lines,
    out: &mut dyn Write,
) -> Result<ExportReport, ExportError> {
    let mut buffered = io::BufWriter::with_capacity(super::PIECE, out);
    // A listing is wanted above all of a list that is too long for its format: so that never refuses it.
    let options = ExportOptions { limit: options.limit.or(format.most()), ..options.clone() };
    let report = run(format, &options, header, lines, &mut io::sink(), &mut |entry, why| {
        serde_json::to_writer(&mut buffered, &LeftOut { rule: entry.rule(), why })?;
        buffered.write_all(b"\n")
    })?;
    serde_json::to_writer(&mut buffered, &report).map_err(io::Error::from)?;
    buffered.write_all(b"\n")?;
    buffered.flush()?;
    Ok(report)
}
