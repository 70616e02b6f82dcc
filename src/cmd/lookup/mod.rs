//! `bwld lookup`: puts names, URLs and addresses to the lists of a followed folder, or to list files. No daemon is asked.
//!
//! Guarantees: one answer a question, in their order; memory does not grow with the number of questions; a bad question is
//! answered `invalid` and ends nothing; lists that change in the folder are taken up while questions come in.

mod answer;
mod explain;
mod file;
mod sources;
mod stream;

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use crate::list::{Code, ListId, Timestamp};
use crate::matcher::Precedence;

use super::exit::{Ended, Exit};
use super::out;
use answer::{Counts, Form};
use sources::Sources;

/// What `bwld lookup` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
A question is a host, a URL or an address; a port behind a host is passed over. The answer is one line: the question, the
verdict, the rule, its list and serial, its attributes. Verdicts: block, allow, unlisted, no-data (a list is missing or damaged:
nobody knows), invalid (no such name can exist; refuse it).

Exit codes: 0 all were answered; 1 there was no-data among the answers; 4 all were answered, and a list is past its time. With
--exit-code: 0 allow or unlisted, 10 block, 11 no-data, 12 invalid.

Examples:
  bwld lookup www.example.com https://example.org/a/b
  bwld lookup --explain www.example.com              which rules were considered, and why one won
  zcat access.log.gz | awk '{print $7}' | bwld lookup --only block --json
  bwld lookup --file hosts.txt --count < names.txt   a list that was not followed
  bwld lookup --age 16 --category-off ads --allow own.txt example.com")]
pub struct Args {
    /// What to ask about; - or nothing: one question a line from the standard input
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// The follower's folder [default: $BWLD_FOLLOW_DATA, ./bwld-follow]
    #[arg(long, alias = "data", value_name = "DIR")]
    dir: Option<String>,
    /// Ask this list file instead of a folder: bwld's text, a snapshot, domains, hosts or CSV (may be repeated)
    #[arg(long, value_name = "LIST")]
    file: Vec<PathBuf>,
    /// Files of --file that do not say their colour are white lists
    #[arg(long, requires = "file")]
    white: bool,
    /// What plain names in files stand for: the host alone, or it and every host under it
    #[arg(long, default_value = "exact", value_parser = ["exact", "subtree"])]
    scope: String,
    /// Ask only this list (may be repeated)
    #[arg(long, value_name = "LIST")]
    list: Vec<ListId>,
    /// Own rules that allow, over all lists (may be repeated)
    #[arg(long, value_name = "FILE")]
    allow: Vec<PathBuf>,
    /// Own rules that block, over all lists (may be repeated)
    #[arg(long, value_name = "FILE")]
    deny: Vec<PathBuf>,
    /// Policy as TOML: precedence, categories, age
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Age in years of those who ask: black rules with a minimum age up to it do not count
    #[arg(long, value_name = "YEARS")]
    age: Option<u8>,
    /// Leave rules of this category out (may be repeated)
    #[arg(long, value_name = "CODE", conflicts_with = "category_only")]
    category_off: Vec<Code>,
    /// Of rules with categories only those of this one count (may be repeated)
    #[arg(long, value_name = "CODE")]
    category_only: Vec<Code>,
    /// What wins over what [default: white-over-black]
    #[arg(long, value_parser = clap::builder::ValueParser::new(precedence))]
    precedence: Option<Precedence>,
    /// As if it were this time, YYYY-MM-DDTHH:MM:SSZ
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Every rule that was considered, and what became of it
    #[arg(long)]
    explain: bool,
    /// Print answers of this verdict only (may be repeated)
    #[arg(long, value_name = "VERDICT", value_parser = answer::WORDS)]
    only: Vec<String>,
    /// Print how many there are of each verdict, instead of the answers
    #[arg(long, conflicts_with = "explain")]
    count: bool,
    /// Print nothing: the exit code says it
    #[arg(long, short, conflicts_with_all = ["json", "explain", "count"])]
    quiet: bool,
    /// Of a single NAME: the exit code is the verdict
    #[arg(long)]
    exit_code: bool,
}

fn precedence(text: &str) -> Result<Precedence, String> {
    match text {
        "white-over-black" => Ok(Precedence::WhiteOverBlack),
        "black-over-white" => Ok(Precedence::BlackOverWhite),
        "more-specific" => Ok(Precedence::MoreSpecific),
        _ => Err("it is white-over-black, black-over-white or more-specific".to_owned()),
    }
}

/// Runs it.
pub fn run(args: &Args, config: Option<&Path>) -> anyhow::Result<()> {
    let from_input = args.names.is_empty() || args.names == ["-"];
    if args.exit_code && (from_input || args.names.len() != 1) {
        return Err(Ended::Usage("--exit-code is of one NAME; give just one".to_owned()).into());
    }
    let mut sources = Sources::open(args, config)?;
    let form = Form {
        json: args.json,
        explain: args.explain,
        colour: !args.json && out::colour_out(),
        silent: args.quiet || args.count,
        only: args.only.clone(),
    };
    let counts = if from_input {
        if io::stdin().is_terminal() {
            eprintln!("one question a line; Ctrl-D ends");
        }
        stream::run(&mut sources, &form, io::stdin().lock())?
    } else {
        answer::answer_all(&sources.matcher.load(), args.names.iter().map(String::as_bytes), sources.now(), &form)?
    };
    if args.count {
        out::print(&counts.text(args.json))?;
    }
    if args.exit_code {
        return Err(Ended::Verdict(verdict_of(&counts)).into());
    }
    ended(&sources, &counts, from_input)
}

fn verdict_of(counts: &Counts) -> Exit {
    if counts.of("block") > 0 {
        Exit::Block
    } else if counts.of("no-data") > 0 {
        Exit::NoData
    } else if counts.of("invalid") > 0 {
        Exit::Invalid
    } else {
        Exit::Ok
    }
}

/// What remains to be said, and the exit code.
fn ended(sources: &Sources, counts: &Counts, from_input: bool) -> anyhow::Result<()> {
    let invalid = counts.of("invalid");
    if invalid > 0 && from_input {
        eprintln!("{} of {} questions were invalid", out::count(invalid), out::count(counts.total()));
    }
    let lists = sources.matcher.load();
    if counts.of("no-data") > 0 {
        let missing: Vec<&str> = lists.states().filter(|s| lists.layers(&s.origin, &s.list).is_none()).map(|s| s.list.as_str()).collect();
        let which = if missing.is_empty() { "a list is damaged".to_owned() } else { format!("not here: {}", missing.join(", ")) };
        anyhow::bail!("{} questions without an answer; {which}; see `bwld status`", out::count(counts.of("no-data")));
    }
    let now = sources.now();
    let stale: Vec<&str> = lists.states().filter(|state| state.is_stale(now)).map(|state| state.list.as_str()).collect();
    if !stale.is_empty() {
        return Err(Ended::Stale(format!("stale: {}; the answers are those of what was last heard", stale.join(", "))).into());
    }
    Ok(())
}
