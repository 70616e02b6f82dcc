//! Secrets from whoever sits at the terminal: a line that is not shown while it is typed.

use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::os::fd::AsFd as _;

use anyhow::Context as _;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::exit::Ended;

/// Longest line, in octets.
const MAX_LINE: u64 = 4 << 10;

/// The terminal without echo; as it was again when this goes.
struct Unseen(Termios);

impl Unseen {
    fn begin() -> std::io::Result<Unseen> {
        let before = tcgetattr(std::io::stdin().as_fd())?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        quiet.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(std::io::stdin().as_fd(), OptionalActions::Flush, &quiet)?;
        Ok(Unseen(before))
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        // If the terminal is gone there is nobody to see anything.
        let _ = tcsetattr(std::io::stdin().as_fd(), OptionalActions::Now, &self.0);
    }
}

/// Whether somebody sits at the standard input.
pub fn is_asked() -> bool {
    std::io::stdin().is_terminal()
}

/// Asks on the standard error for a yes; whatever else is typed is a no.
///
/// # Errors
/// Of the terminal.
pub fn agreed(question: &str) -> anyhow::Result<bool> {
    eprint!("{question} [y/N] ");
    std::io::stderr().flush().context("asking at the terminal")?;
    Ok(matches!(line()?.trim(), "y" | "Y" | "yes"))
}

/// Asks on the standard error, and reads a line that is not shown.
///
/// # Errors
/// Of the terminal; a line longer than 4 KiB.
pub fn ask(what: &str) -> anyhow::Result<Zeroizing<String>> {
    let _unseen = Unseen::begin().context("switching off the terminal's echo")?;
    eprint!("{what}: ");
    std::io::stderr().flush().context("asking at the terminal")?;
    let line = line()?;
    let text = text(&line);
    anyhow::ensure!(text.len() < line.len(), "the line does not end; type it again");
    Ok(text)
}

/// Asks for what is to become a secret, and for the same again.
///
/// # Errors
/// As of [`ask`]; [`Ended::Usage`] if the two differ.
pub fn ask_new(what: &str) -> anyhow::Result<Zeroizing<String>> {
    let new = ask(what)?;
    if *ask("the same password again")? != *new {
        return Err(Ended::Usage("the two passwords differ; nothing was set".into()).into());
    }
    Ok(new)
}

/// The next line of the standard input.
///
/// # Errors
/// Of reading; [`Ended::Usage`] says what was expected of one that is empty.
pub fn read(what: &str) -> anyhow::Result<Zeroizing<String>> {
    let text = text(&line()?);
    if text.is_empty() {
        return Err(Ended::Usage(format!("the standard input ends where a line was expected: {what}")).into());
    }
    Ok(text)
}

fn line() -> anyhow::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::new());
    std::io::stdin().lock().take(MAX_LINE).read_line(&mut line).context("reading the standard input")?;
    Ok(line)
}

fn text(line: &str) -> Zeroizing<String> {
    Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned())
}
