//! `bwld add` and `bwld remove`: stage changes of a list, few by hand or many from the standard input.

use std::io::BufRead as _;
use std::path::Path;

use anyhow::Context as _;
use reqwest::Method;

use crate::list::{Action, Attributes, Code, Date, Kind, ListId};
use crate::publisher::{ChangeRequest, PutEntry, StagedView};

use super::client::{Api, Connect, list_path};
use super::{exit::Ended, out, publish, staged};

/// Rules in one request; more are sent in parts.
const PART: usize = 2_000;
/// Most rules of one command.
const MOST: usize = 1_000_000;

/// What `bwld add` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  bwld add canary bad.example                       exactly this host
  bwld add canary bad.example --subtree             this host and every host under it
  bwld add canary url:bad.example/page cidr:192.0.2.0/24
  bwld add canary bad.example --cat phishing --expires 2030-01-01 --publish
  generate-names | bwld add canary - --dry-run")]
pub struct AddArgs {
    /// The list
    list: ListId,
    /// Rules (domain:, subtree:, url:, prefix:, cidr:) or bare names; - reads them from the standard input, one a line
    #[arg(required = true, value_name = "RULE")]
    rules: Vec<String>,
    /// Bare names stand for the host and every host under it
    #[arg(long)]
    subtree: bool,
    /// Categories, joined by commas
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    cat: Vec<Code>,
    /// Minimum age in years
    #[arg(long, value_name = "YEARS", value_parser = clap::value_parser!(u8).range(1..=21))]
    age: Option<u8>,
    /// What a filter is to do, where that differs from the list's colour
    #[arg(long, value_parser = action)]
    act: Option<Action>,
    /// Why, as a code
    #[arg(long, value_name = "CODE")]
    reason_code: Option<Code>,
    /// The date after which the entry is to leave the list
    #[arg(long, value_name = "YYYY-MM-DD")]
    expires: Option<Date>,
    /// Public reference, 8 to 32 of A-Z a-z 0-9 _ - (for a single rule)
    #[arg(long = "ref", value_name = "REFERENCE")]
    reference: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// What `bwld remove` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  bwld remove canary bad.example
  bwld remove canary subtree:bad.example --publish --reason \"appeal 2026/17\"")]
pub struct RemoveArgs {
    /// The list
    list: ListId,
    /// Rules or bare names; - reads them from the standard input, one a line
    #[arg(required = true, value_name = "RULE")]
    rules: Vec<String>,
    /// Bare names stand for subtree rules
    #[arg(long)]
    subtree: bool,
    #[command(flatten)]
    common: Common,
}

/// What both take.
#[derive(clap::Args, Debug)]
struct Common {
    /// Only show what would be added, removed, changed or refused
    #[arg(long)]
    dry_run: bool,
    /// Publish at once
    #[arg(long, conflicts_with = "dry_run")]
    publish: bool,
    /// Why, for the log
    #[arg(long, requires = "publish", default_value = "")]
    reason: String,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

fn action(text: &str) -> Result<Action, String> {
    match text {
        "block" => Ok(Action::Block),
        "warn" => Ok(Action::Warn),
        "log" => Ok(Action::Log),
        _ => Err("expected block, warn or log".into()),
    }
}

/// Stages entries.
pub async fn add(args: AddArgs, config: Option<&Path>) -> anyhow::Result<()> {
    let rules = gather(&args.rules, args.subtree)?;
    if args.reference.is_some() && rules.len() != 1 {
        return Err(Ended::Usage("--ref names one entry; give one rule with it".into()).into());
    }
    let attributes = Attributes {
        categories: args.cat,
        reference: args.reference,
        age: args.age,
        action: args.act,
        reason: args.reason_code,
        expires: args.expires,
    };
    let request = |rules: &[String]| ChangeRequest {
        put: rules.iter().map(|rule| PutEntry { rule: rule.clone(), attributes: attributes.clone() }).collect(),
        remove: Vec::new(),
        dry_run: args.common.dry_run,
    };
    stage(&args.list, &rules, request, &args.common, config).await
}

/// Stages removals.
pub async fn remove(args: RemoveArgs, config: Option<&Path>) -> anyhow::Result<()> {
    let rules = gather(&args.rules, args.subtree)?;
    let request = |rules: &[String]| ChangeRequest { put: Vec::new(), remove: rules.to_vec(), dry_run: args.common.dry_run };
    stage(&args.list, &rules, request, &args.common, config).await
}

async fn stage(
    list: &ListId,
    rules: &[String],
    request: impl Fn(&[String]) -> ChangeRequest,
    common: &Common,
    config: Option<&Path>,
) -> anyhow::Result<()> {
    let api = common.connect.open(config)?;
    let mut view = StagedView::default();
    for part in rules.chunks(PART) {
        staged::sum(&mut view, send(&api, list, &request(part)).await?);
    }
    if common.json && !common.publish {
        out::print_json(&view)?;
    } else if !common.json {
        let (what, next) = match (common.dry_run, common.publish) {
            (true, _) => ("would be staged", String::new()),
            (false, true) => ("staged", String::new()),
            (false, false) => ("staged", format!("Look: bwld diff {list}. Publish: bwld publish {list}\n")),
        };
        out::print(&format!("{}{list}: {what}: {}\n{next}", staged::text(&view, out::colour_out()), staged::counts(&view)))?;
    }
    if view.refused_total > 0 {
        anyhow::bail!("{} of {} were refused", view.refused_total, rules.len());
    }
    if common.publish {
        publish::publish(&api, list, &common.reason, &[], false, common.json).await?;
    }
    Ok(())
}

async fn send(api: &Api, list: &ListId, request: &ChangeRequest) -> anyhow::Result<StagedView> {
    api.send_json(Method::POST, &list_path(list, "/changes"), request).await
}

/// Rules from the arguments, with `-` replaced by the lines of the standard input.
fn gather(arguments: &[String], subtree: bool) -> anyhow::Result<Vec<String>> {
    let mut rules = Vec::new();
    for argument in arguments {
        if argument != "-" {
            rules.push(scoped(argument.trim(), subtree));
            continue;
        }
        for line in std::io::stdin().lock().lines() {
            let line = line.context("reading the standard input")?;
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                rules.push(scoped(line, subtree));
            }
            if rules.len() > MOST {
                return Err(Ended::Usage(format!("more than {MOST} rules; use bwld import for files of that size")).into());
            }
        }
    }
    Ok(rules)
}

/// A bare name becomes a subtree rule when that was asked for; a rule stays as it is.
fn scoped(text: &str, subtree: bool) -> String {
    let is_rule = text.split_once(':').is_some_and(|(word, _)| Kind::ALL.iter().any(|k| k.word() == word));
    if subtree && !is_rule { format!("subtree:{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bare_names_become_subtrees() {
        assert_eq!(scoped("a.example", true), "subtree:a.example");
        assert_eq!(scoped("a.example", false), "a.example");
        assert_eq!(scoped("domain:a.example", true), "domain:a.example");
        assert_eq!(scoped("a.example:8080", true), "subtree:a.example:8080");
    }
}
