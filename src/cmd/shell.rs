//! `bwld completions` and `bwld man`: made from the command tree, so they cannot be out of date.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::CommandFactory as _;

use super::{args::Cli, exit, out};

/// What `bwld completions` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  bwld completions bash > /etc/bash_completion.d/bwld
  bwld completions zsh > ~/.zfunc/_bwld
  bwld completions fish > ~/.config/fish/completions/bwld.fish")]
pub struct CompletionArgs {
    /// Which shell
    pub shell: clap_complete::Shell,
}

/// What `bwld man` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  bwld man | man -l -
  bwld man /usr/share/man/man1")]
pub struct ManArgs {
    /// Folder to write bwld.1, bwld-serve.1 and so on into [default: print bwld.1]
    pub dir: Option<PathBuf>,
}

/// Prints the completion script.
pub fn completions(args: &CompletionArgs) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "bwld", &mut script);
    out::print(&String::from_utf8(script).context("the completion script is text")?)
}

/// Prints or writes manual pages.
pub fn man(args: &ManArgs) -> anyhow::Result<()> {
    let command = Cli::command();
    if let Some(dir) = &args.dir {
        std::fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
        return clap_mangen::generate_to(command, dir).with_context(|| format!("writing manual pages into {}", dir.display()));
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page).context("rendering the manual page")?;
    let page = String::from_utf8(page).context("the manual page is text")?;
    debug_assert!(exit::TABLE.lines().skip(1).all(|line| page.contains(line.split("  ").last().unwrap_or(line).trim())));
    out::print(&page)
}
