//! `bwld config`: what is in force, is a file right, what keys are there.

use std::path::{Path, PathBuf};

use super::{
    config::{self, Loaded},
    out,
};

/// Show, check or explain the configuration.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Print every value in force and where it was set
    #[command(after_help = "Examples:\n  bwld config show\n  BWLD_LOG_LEVEL=debug bwld config show --json")]
    Show {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Check a file; the exit code is 2 when it is refused
    #[command(after_help = "Examples:\n  bwld config check /etc/bwld/bwld.toml")]
    Check {
        /// The file
        file: PathBuf,
    },
    /// Print a commented example with every key at its default
    #[command(after_help = "Examples:\n  bwld config example > bwld.toml")]
    Example,
}

/// Runs it.
pub fn run(command: &Command, explicit: Option<&Path>) -> anyhow::Result<()> {
    match command {
        Command::Show { json } => {
            let loaded = Loaded::load(explicit, &[])?;
            if *json {
                return out::print_json(&config::in_force_json(&loaded));
            }
            let from = loaded.file().map_or_else(|| "no file".to_owned(), |f| f.display().to_string());
            out::print(&format!("# in force; read from: {from}\n{}", config::in_force(&loaded)))
        }
        Command::Check { file } => {
            let loaded = Loaded::from_file(file)?;
            let set = loaded.values().iter().filter(|(_, source)| *source != config::Source::Default).count();
            out::print(&format!("{}: valid; {set} keys set, {} at their default\n", file.display(), loaded.values().len() - set))
        }
        Command::Example => out::print(&config::example()),
    }
}
