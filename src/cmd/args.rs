//! The command line: the tree of subcommands. What each takes stands in its own file.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use super::{
    account, add, audit, backup, check, config_cmd, desk, diff, export, follow, import, keys, list, log, lookup, publish, pull, restore,
    serve, shell, status, token, verify,
};

/// The whole command line.
#[derive(Parser, Debug)]
#[command(
    name = "bwld",
    version,
    about = "Distributes black and white lists of domains, URLs and addresses: signed, as small deltas, within moments",
    long_about = "Distributes black and white lists of domains, URLs and addresses from the bodies that decide about them to the \
                  filters that enforce them: signed, as small deltas, within moments.\n\n\
                  The publisher runs `bwld serve`. Filters run `bwld follow`, or `bwld pull` from cron. Operators change lists \
                  with `list`, `add`, `remove`, `import`, `diff` and `publish`.",
    after_help = HELP,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 110
)]
pub struct Cli {
    /// Configuration file [default: $BWLD_CONFIG, ./bwld.toml, /etc/bwld/bwld.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Examples and exit codes behind `--help`.
const HELP: &str = "\
Examples:
  bwld serve                                     publish, with everything at its default
  bwld follow http://127.0.0.1:7080 --trust sha256:... --list canary
  bwld add canary new.example --publish          change a list; followers have it within a moment
  bwld lookup --explain www.example.com          which lists say what about a name, and why
  bwld import hosts.txt --list malware --dry-run see what a file would change

Exit codes:
  0  ok
  1  failed
  2  usage: the command line or the configuration is wrong
  3  verification failed: a signature, digest or root did not hold
  4  stale: genuine, but past its time

Environment: BWLD_CONFIG, BWLD_DATA, BWLD_SERVER, BWLD_TOKEN_FILE, BWLD_<SECTION>_<KEY> for every key of the
configuration, NO_COLOR.";

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run the publisher's daemon
    Serve(serve::Args),
    /// Run the subscriber's daemon: keep lists up to date
    Follow(follow::Args),
    /// Bring lists up to date once and exit (for cron)
    Pull(pull::Args),
    /// Say how a follower's lists stand: serial, age, fresh or stale
    Status(status::Args),
    /// Ask the lists about names, URLs and addresses
    Lookup(lookup::Args),
    /// Create, show, describe or remove lists
    #[command(subcommand)]
    List(list::Command),
    /// Stage entries to add to a list
    Add(add::AddArgs),
    /// Stage rules to remove from a list
    Remove(add::RemoveArgs),
    /// Stage the entries of a file
    Import(import::Args),
    /// Show what is staged against what is published
    Diff(diff::Args),
    /// Throw away what is staged
    Discard(diff::DiscardArgs),
    /// Publish what is staged as the next version
    Publish(publish::Args),
    /// Propose an entry with its reason, legal basis and dates
    Propose(desk::ProposeArgs),
    /// Approve an entry, or what others staged
    Approve(desk::ApproveArgs),
    /// Refuse an entry
    Reject(desk::RejectArgs),
    /// Take a published entry off its list at once, for a while or for good, or put it back
    Suspend(desk::SuspendArgs),
    /// One entry under administration: show, change, put forward, take back, note
    #[command(subcommand)]
    Case(desk::CaseCommand),
    /// Say that a publication without approvals was looked at afterwards
    Reviewed(desk::ReviewedArgs),
    /// Show what waits: approvals, publications, reviews that are due
    Queue(desk::QueueArgs),
    /// Search the entries of all lists
    Search(desk::SearchArgs),
    /// Reverse the changes of a version by a new one
    Undo(desk::UndoArgs),
    /// Publish what is staged or approved now at a time to come
    Schedule(desk::ScheduleArgs),
    /// Freeze a list, so that nothing is published, or thaw it
    Freeze(desk::FreezeArgs),
    /// Show and set what a list demands: approvals, limits, protected and popular names
    #[command(subcommand)]
    Policy(desk::Policy),
    /// Show and put in category schemes
    #[command(subcommand)]
    Scheme(desk::SchemeCommand),
    /// Show which targets are on a black and on a white list
    Conflicts(desk::ConflictsArgs),
    /// Show why an entry is or was on a list, by its reference
    Why(desk::WhyArgs),
    /// Show what publishing would do: delta, guards, answers before and after
    Preview(desk::PreviewArgs),
    /// Show the versions of a list, newest first
    Log(log::Args),
    /// Print the published entries of a list
    Export(export::Args),
    /// Make, show and change accounts: who may do what
    #[command(subcommand)]
    Account(account::Command),
    /// Make, show and revoke tokens: ways in for programs
    #[command(subcommand)]
    Token(token::Command),
    /// Make and show keys; make, sign and activate key sets
    #[command(subcommand)]
    Keys(keys::Command),
    /// Verify a head, a snapshot, a delta or a followed folder, off line
    #[command(subcommand)]
    Verify(verify::Command),
    /// Show who did what, export it, verify it off line
    #[command(subcommand)]
    Audit(audit::Command),
    /// Check the publisher's store against everything it promises
    Check(check::Args),
    /// Copy the publisher's store into a new folder
    Backup(backup::Args),
    /// Make a publisher's data folder from a backup
    Restore(restore::Args),
    /// Show, check or explain the configuration
    #[command(subcommand)]
    Config(config_cmd::Command),
    /// Print a completion script for a shell
    Completions(shell::CompletionArgs),
    /// Print the manual page, or write all of them into a folder
    Man(shell::ManArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_tree_is_sound_and_every_leaf_explains_itself() {
        let mut command = Cli::command();
        command.build();
        command.clone().debug_assert();
        fn walk(command: &clap::Command, path: &str) {
            assert!(command.get_about().is_some(), "{path} has no sentence");
            for sub in command.get_subcommands().filter(|s| s.get_name() != "help") {
                walk(sub, &format!("{path} {}", sub.get_name()));
            }
            if command.get_subcommands().next().is_none() {
                let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(examples.contains(path), "{path} has no example");
            }
        }
        walk(&command, "bwld");
    }

    #[test]
    fn the_exit_codes_in_the_help_are_the_table() {
        assert!(HELP.contains(crate::cmd::exit::TABLE));
    }
}
