//! `bwld status`: how a follower stands, and `bwld verify folder`.

use std::path::{Path, PathBuf};

use crate::follower::{self, Health};
use crate::store::{Clock as _, SystemClock};

use super::config::{Loaded, Override};
use super::exit::Ended;
use super::following::{self, word};
use super::out;

/// What `bwld status` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Works while the follower runs and when it does not. Exit codes: 0 all fresh; 1 a list has no content yet; 4 a list is stale.

Examples:
  bwld status
  bwld status --dir /var/lib/bwld-follow --json")]
pub struct Args {
    /// The follower's folder [default: $BWLD_FOLLOW_DATA, ./bwld-follow]
    #[arg(long, alias = "data", value_name = "DIR")]
    dir: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: Args, config: Option<&Path>) -> anyhow::Result<()> {
    let overrides: Vec<Override> = args.dir.into_iter().map(|dir| ("--dir", "follow.data", dir)).collect();
    let settings = Loaded::load(config, &overrides)?.config();
    let status = follower::status(&following::folder(&settings.follow), SystemClock.now()).map_err(|e| anyhow::anyhow!("{e}"))?;
    if args.json {
        out::print_json(&status)?;
    } else {
        let mut text = following::table(&status);
        for list in &status.lists {
            if let Some(error) = &list.error {
                text.push_str(&format!("{}: last error at {}: {}\n", list.list, error.at, out::visible(&error.message)));
            }
            if let Some(error) = &list.index_error {
                text.push_str(&format!("{}: index: {}\n", list.list, out::visible(error)));
            }
        }
        text.push_str(&outputs(&status));
        if let Some(error) = &status.reload_error {
            text.push_str(&format!("reload: {}\n", out::visible(error)));
        }
        out::print(&text)?;
    }
    let named = |health: Health| {
        let lists: Vec<&str> = status.lists.iter().filter(|l| l.health == health).map(|l| l.list.as_str()).collect();
        (!lists.is_empty()).then(|| lists.join(", "))
    };
    if let Some(lists) = named(Health::Stale) {
        return Err(Ended::Stale(format!("{lists}: stale")).into());
    }
    match named(Health::Empty) {
        Some(lists) => Err(anyhow::anyhow!("{lists}: no content has arrived yet")),
        None => Ok(()),
    }
}

/// How the files for filters stand.
fn outputs(status: &follower::Status) -> String {
    let mut text = String::new();
    if status.outputs.is_empty() {
        return text;
    }
    let mut rows = vec![["FILE", "FORMAT", "HOLDS", "RULES", "LEFT OUT", "WRITTEN"].map(str::to_owned).to_vec()];
    for output in &status.outputs {
        let held: Vec<String> = output.versions.iter().map(|v| format!("{} {}", v.list, v.serial)).collect();
        rows.push(vec![
            output.file.display().to_string(),
            output.format.clone(),
            if held.is_empty() { "nothing yet".into() } else { held.join(", ") },
            out::count(output.rules),
            out::count(output.left_out),
            output.written.map_or_else(|| "never".to_owned(), |at| at.to_string()),
        ]);
    }
    text.push('\n');
    text.push_str(&out::table(&rows));
    for output in &status.outputs {
        let file = output.file.display();
        if let Some(error) = &output.error {
            text.push_str(&format!("{file}: not written at {}: {}\n", error.at, out::visible(&error.message)));
        }
        if let Some(error) = &output.reload_error {
            text.push_str(&format!("{file}: written, but not taken in: {}\n", out::visible(error)));
        }
    }
    text
}

/// Verifies a follower's folder.
///
/// # Errors
/// [`Ended::Verification`] with everything that does not hold, [`Ended::Stale`] when only time is over.
pub fn verify_folder(dir: &Path, json: bool) -> anyhow::Result<()> {
    let report = follower::verify_folder(dir, SystemClock.now()).map_err(following::ended)?;
    if json {
        out::print_json(&report)?;
    } else {
        let mut text = String::new();
        if let (Some(origin), Some(fingerprint)) = (&report.origin, &report.fingerprint) {
            let keyset = report.keyset.map_or_else(String::new, |n| format!(", key set {n}"));
            text.push_str(&format!("publisher {origin}{keyset}, pinned {fingerprint}\n"));
        }
        for list in &report.lists {
            let state = if list.problems.is_empty() { "genuine" } else { "NOT genuine" };
            let serial = list.serial.map_or_else(|| "no content".to_owned(), |s| format!("serial {s}"));
            text.push_str(&format!(
                "{}: {state}, {serial}, {} entries, {}{}\n",
                list.list,
                out::count(list.entries.unwrap_or(0)),
                word(&list.health),
                list.index.map_or_else(String::new, |serial| format!(", index of serial {serial}"))
            ));
        }
        out::print(&text)?;
    }
    if !report.good() {
        let of_lists = report.lists.iter().flat_map(|l| l.problems.iter().map(move |p| format!("{}: {p}", l.list)));
        let all: Vec<String> = report.problems.iter().cloned().chain(of_lists).collect();
        return Err(Ended::Verification(format!("{}: {}", dir.display(), all.join("; "))).into());
    }
    if report.stale() {
        return Err(Ended::Stale(format!("{}: genuine, but past its time", PathBuf::from(dir).display())).into());
    }
    Ok(())
}
