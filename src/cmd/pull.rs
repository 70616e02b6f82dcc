//! `bwld pull`: one update and an exit code, for cron.

use std::path::Path;
use std::sync::Arc;

use crate::follower::{Follower, Health, PullReport};
use crate::store::SystemClock;

use super::exit::Ended;
use super::following::{self, Choice, word};
use super::{logging, out};

/// What `bwld pull` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Exit codes: 0 changed or current; 1 a publisher or a file could not be reached; 3 what came did not verify, and what was
there stays; 4 what is there is genuine but past its time.

Examples:
  bwld pull http://127.0.0.1:7080 --trust sha256:... --list canary
  23 * * * *  root  bwld --config /etc/bwld/bwld.toml pull --quiet")]
pub struct Args {
    #[command(flatten)]
    choice: Choice,
    /// Say nothing when all is well
    #[arg(long, short)]
    quiet: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: Args, config: Option<&Path>) -> anyhow::Result<()> {
    let settings = args.choice.load(config)?;
    let options = following::options(&settings)?;
    let mut log = settings.log;
    // The report says what there is to say; who asked for more with log.level gets it.
    if log.level == "info" {
        log.level = "error".into();
    }
    logging::start(&log);
    super::tls();
    let dir = following::folder(&settings.follow);
    let report = super::block_on(async {
        let follower = Follower::open(&dir, options, Arc::new(SystemClock)).map_err(following::ended)?;
        Ok(follower.pull().await)
    })?;
    let ended = verdict(&report);
    if args.json {
        out::print_json(&report)?;
    } else if !args.quiet || ended.is_some() {
        out::print(&text(&report))?;
    }
    ended.map_or(Ok(()), Err)
}

fn text(report: &PullReport) -> String {
    let mut text = String::new();
    for list in &report.lists {
        let what = match (&list.error, list.changed, list.health) {
            (Some(_), _, Health::Empty) => "failed, and nothing is there yet",
            (Some(_), ..) => "failed; what was there stays",
            (None, true, _) => "changed",
            (None, false, _) => "current",
        };
        let serial = list.serial.map_or_else(String::new, |s| format!(", serial {s}"));
        text.push_str(&format!("{}: {what}{serial}, {}\n", list.list, word(&list.health)));
        if let Some(error) = &list.error {
            text.push_str(&format!("    {}\n", out::visible(error)));
        }
    }
    text.push_str(&format!("{} octets received\n", out::count(report.received)));
    text
}

/// The error that a round ends with: the worst of its lists.
fn verdict(report: &PullReport) -> Option<anyhow::Error> {
    let named = |which: &dyn Fn(&crate::follower::PulledList) -> bool| {
        report.lists.iter().filter(|l| which(l)).map(|l| l.list.to_string()).collect::<Vec<_>>().join(", ")
    };
    if report.refused() {
        let lists = named(&|l| l.refused);
        return Some(
            Ended::Verification(format!(
                "{lists}: what came did not verify and was thrown away; ask another address, and tell the publisher"
            ))
            .into(),
        );
    }
    if report.stale() {
        let lists = named(&|l| l.health == Health::Stale);
        return Some(Ended::Stale(format!("{lists}: stale; go on filtering, and ask the publisher why nothing newer comes")).into());
    }
    let failed = named(&|l| l.error.is_some());
    if failed.is_empty() && !report.failures.is_empty() {
        return Some(anyhow::anyhow!("{}", out::visible(&report.failures.join("; "))));
    }
    (!failed.is_empty()).then(|| anyhow::anyhow!("{failed}: no update; what was there stays, try again later"))
}
