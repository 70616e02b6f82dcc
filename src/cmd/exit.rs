//! Exit codes, decided in one place from the error that ended a command.
//!
//! Guarantees: a script can tell "failed" from "not to be trusted" from "out of date" without reading words.

use std::process::ExitCode;

use crate::trust::TrustError;

use super::config::ConfigError;

/// How a command ended, as the shell sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Could not be done.
    Failed = 1,
    /// Asked for wrongly: command line or configuration.
    Usage = 2,
    /// A signature, a digest or a root did not hold.
    Verification = 3,
    /// Genuine, but past its time.
    Stale = 4,
    /// `lookup --exit-code`: a rule blocks.
    Block = 10,
    /// `lookup --exit-code`: a list is missing or damaged, nobody knows.
    NoData = 11,
    /// `lookup --exit-code`: no question.
    Invalid = 12,
}

/// The table of exit codes as `--help` and the manual page print it.
pub const TABLE: &str = "\
Exit codes:
  0  ok
  1  failed
  2  usage: the command line or the configuration is wrong
  3  verification failed: a signature, digest or root did not hold
  4  stale: genuine, but past its time";

/// An error that carries its exit code by type. Anything else that ends a command is a failure (1).
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// Exit code 2.
    #[error("{0}")]
    Usage(String),
    /// Exit code 3.
    #[error("{0}")]
    Verification(String),
    /// Exit code 4.
    #[error("{0}")]
    Stale(String),
    /// The exit code is the answer; nothing has failed and nothing is said.
    #[error("exit code {}", *.0 as u8)]
    Verdict(Exit),
}

/// Whether an "error" is an answer in the form of an exit code.
pub fn is_verdict(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(Ended::Verdict(_)))
}

/// The exit code of an error, by the types in its chain.
pub fn code_of(error: &anyhow::Error) -> Exit {
    for cause in error.chain() {
        if let Some(ended) = cause.downcast_ref::<Ended>() {
            return match ended {
                Ended::Usage(_) => Exit::Usage,
                Ended::Verification(_) => Exit::Verification,
                Ended::Stale(_) => Exit::Stale,
                Ended::Verdict(exit) => *exit,
            };
        }
        if cause.is::<ConfigError>() {
            return Exit::Usage;
        }
        if cause.is::<TrustError>() {
            return Exit::Verification;
        }
    }
    Exit::Failed
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn the_code_is_found_through_added_context() {
        let error = anyhow::Error::new(Ended::Stale("old".into())).context("while pulling");
        assert_eq!(code_of(&error), Exit::Stale);
        let error = Err::<(), _>(Ended::Verification("root".into())).context("a").context("b").expect_err("an error");
        assert_eq!(code_of(&error), Exit::Verification);
        assert_eq!(code_of(&anyhow::anyhow!("no space")), Exit::Failed);
        assert_eq!(code_of(&anyhow::Error::new(Ended::Usage("x".into()))), Exit::Usage);
    }

    #[test]
    fn the_table_names_every_code() {
        for exit in [Exit::Ok, Exit::Failed, Exit::Usage, Exit::Verification, Exit::Stale] {
            assert!(TABLE.contains(&format!("\n  {}  ", exit as u8)), "{exit:?}");
        }
    }
}
