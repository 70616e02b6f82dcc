//! The command line: one file per subcommand, the configuration, exit codes.
//!
//! Guarantees: only here is the configuration seen and only here does anyhow carry errors; results go to the standard
//! output, everything else to the standard error; the exit code follows from the type of the error.

mod account;
mod add;
mod args;
mod audit;
mod backup;
mod check;
mod client;
pub mod config;
mod config_cmd;
mod desk;
mod diff;
mod exit;
mod export;
mod files;
mod follow;
mod following;
mod import;
mod keys;
mod keyset;
mod list;
mod log;
mod logging;
mod lookup;
mod out;
mod own;
mod publish;
mod pull;
mod restore;
mod secret;
mod serve;
mod shell;
mod staged;
mod status;
mod token;
mod verify;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;

use args::{Cli, Command};
pub use exit::Exit;

/// Parses the command line, runs what it asks for, says what went wrong, and returns the exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => Exit::Ok.into(),
        // An answer, not a failure.
        Err(error) if exit::is_verdict(&error) => exit::code_of(&error).into(),
        Err(error) => {
            eprintln!("{}{}", if out::colour_err() { "\u{1b}[31merror:\u{1b}[0m " } else { "error: " }, chain(&error));
            exit::code_of(&error).into()
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let config = cli.config.as_deref();
    match cli.command {
        Command::Serve(args) => serve::run(args, config),
        Command::Follow(args) => follow::run(args, config),
        Command::Pull(args) => pull::run(args, config),
        Command::Status(args) => status::run(args, config),
        Command::Lookup(args) => lookup::run(&args, config),
        Command::Verify(command) => verify::run(&command),
        Command::Restore(args) => restore::run(args, config),
        Command::Config(command) => config_cmd::run(&command, config),
        Command::Completions(args) => shell::completions(&args),
        Command::Man(args) => shell::man(&args),
        asking => block_on(ask(asking, config)),
    }
}

/// What goes through the daemon's HTTP API.
async fn ask(command: Command, config: Option<&Path>) -> anyhow::Result<()> {
    match command {
        Command::List(command) => list::run(command, config).await,
        Command::Add(args) => add::add(args, config).await,
        Command::Remove(args) => add::remove(args, config).await,
        Command::Import(args) => import::run(args, config).await,
        Command::Diff(args) => diff::diff(args, config).await,
        Command::Discard(args) => diff::discard(args, config).await,
        Command::Publish(args) => publish::run(args, config).await,
        Command::Propose(args) => desk::propose(args, config).await,
        Command::Approve(args) => desk::approve(args, config).await,
        Command::Reject(args) => desk::reject(args, config).await,
        Command::Suspend(args) => desk::suspend(args, config).await,
        Command::Case(command) => desk::case(command, config).await,
        Command::Reviewed(args) => desk::reviewed(args, config).await,
        Command::Policy(command) => desk::policy(command, config).await,
        Command::Scheme(command) => desk::scheme(command, config).await,
        Command::Conflicts(args) => desk::conflicts(args, config).await,
        Command::Why(args) => desk::why(args, config).await,
        Command::Queue(args) => desk::queue(args, config).await,
        Command::Search(args) => desk::search(args, config).await,
        Command::Undo(args) => desk::undo(args, config).await,
        Command::Schedule(args) => desk::schedule(args, config).await,
        Command::Freeze(args) => desk::freeze(args, config).await,
        Command::Preview(args) => desk::preview(args, config).await,
        Command::Log(args) => log::run(args, config).await,
        Command::Export(args) => export::run(args, config).await,
        Command::Account(command) => account::run(command, config).await,
        Command::Token(command) => token::run(command, config).await,
        Command::Keys(command) => keys::run(command, config).await,
        Command::Audit(command) => audit::run(command, config).await,
        Command::Check(args) => check::run(args, config).await,
        Command::Backup(args) => backup::run(args, config).await,
        _ => unreachable!("run() handles what needs no daemon"),
    }
}

/// A runtime on this thread is enough for a command that asks and ends.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")?.block_on(work)
}

/// The cryptography for TLS, chosen once for the process, before the first HTTP client is made.
fn tls() {
    // A second call says that one is installed already, which is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// An error and its causes in one line, each cause once.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let words = cause.to_string();
        if !text.contains(&words) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&words);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_chain_says_each_thing_once() {
        let error = anyhow::anyhow!("no space left").context("writing x: no space left").context("saving");
        assert_eq!(super::chain(&error), "saving: writing x: no space left");
    }
}
