//! What goes to the terminal: standard output for results, colour and progress only where a person looks.

use std::io::{self, IsTerminal as _, Write as _};

use anyhow::Context as _;

/// Writes `text` to standard output. A reader that has gone away (`bwld log x | head`) ends the program quietly.
///
/// # Errors
/// Of the output.
pub fn print(text: &str) -> anyhow::Result<()> {
    print_bytes(text.as_bytes())
}

/// As [`print`], for bytes.
///
/// # Errors
/// Of the output.
pub fn print_bytes(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        result => result.context("writing to the standard output"),
    }
}

/// Writes a value as indented JSON and a line end.
///
/// # Errors
/// Of the output.
pub fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(value).context("writing JSON")?;
    text.push('\n');
    print(&text)
}

/// Whether a stream may be coloured: a terminal, and nobody set `NO_COLOR` (<https://no-color.org>).
fn coloured(terminal: bool) -> bool {
    terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()) && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
}

/// Whether standard output may be coloured.
pub fn colour_out() -> bool {
    coloured(io::stdout().is_terminal())
}

/// Whether standard error may be coloured.
pub fn colour_err() -> bool {
    coloured(io::stderr().is_terminal())
}

/// A change line in its colour: green `+`, red `-`, yellow `~`.
pub fn change_line(line: &str, colour: bool) -> String {
    let code = match line.as_bytes().first() {
        Some(b'+') if colour => "32",
        Some(b'-') if colour => "31",
        Some(b'~') if colour => "33",
        _ => return visible(line),
    };
    format!("\u{1b}[{code}m{}\u{1b}[0m", visible(line))
}

/// Text from elsewhere without control characters but TAB, so that it cannot play with the terminal.
pub fn visible(text: &str) -> String {
    if text.chars().any(|c| c.is_control() && c != '\t') {
        text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
    } else {
        text.to_owned()
    }
}

/// A number with thin groups, for people.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// Columns, each as wide as its widest cell; the last one is not padded.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| rows.iter().filter_map(|r| r.get(c)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let pad = width - cell.chars().count();
            // Numbers stand to the right.
            let number = !cell.is_empty() && cell.chars().all(|c| c.is_ascii_digit() || matches!(c, ',' | '+' | '-' | '~'));
            let (before, after) = if number { (pad, 0) } else { (0, pad) };
            line.push_str(&format!("{}{cell}{}  ", " ".repeat(before), " ".repeat(after)));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn tables_align_and_control_characters_vanish() {
        let rows = vec![vec!["LIST".into(), "N".into()], vec!["a".into(), "10".into()]];
        assert_eq!(table(&rows), "LIST  N\na     10\n");
        assert_eq!(visible("a\u{1b}[31m"), "a\u{fffd}[31m");
        assert_eq!(change_line("+x", true), "\u{1b}[32m+x\u{1b}[0m");
        assert_eq!(change_line("+x", false), "+x");
    }
}
