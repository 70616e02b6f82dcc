//! What a list demands of its publications, category schemes, publications reviewed afterwards, conflicts between lists, and the
//! public page of an entry.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use reqwest::Method;
use serde_json::json;

use crate::desk::{Conflicts, PublicEntry, Scheme};
use crate::list::{ListId, Serial};
use crate::publisher::ListPolicy;

use super::super::account::escaped;
use super::super::client::{Refused, list_path};
use super::super::out;
use super::args::Common;
use super::{basis_text, plain};

/// Largest file of names or of a scheme, in octets.
const MAX_FILE: u64 = 1 << 20;

/// What `bwld policy` does.
#[derive(clap::Subcommand, Debug)]
pub enum Policy {
    /// Show what a list demands of its publications
    #[command(after_help = "Examples:\n  bwld policy show canary")]
    Show {
        /// The list
        list: ListId,
        #[command(flatten)]
        common: Common,
    },
    /// Set what a list demands; what is not given stays
    #[command(after_help = "\
Examples:
  bwld policy set canary --approvals 1 --appeal \"appeals@regulator.example, within 30 days\"
  bwld policy set canary --popular-ranks 10000 --popular-approvals 2
  bwld policy set canary --popular-names top.csv --protected ours.txt --widest-v4 24")]
    Set(Box<SetArgs>),
}

/// What `bwld policy set` takes.
#[derive(clap::Args, Debug)]
pub struct SetArgs {
    /// The list
    list: ListId,
    /// Approvals that a change needs
    #[arg(long, value_name = "N")]
    approvals: Option<u8>,
    /// Entries that one publication may add, remove or replace ...
    #[arg(long, value_name = "N")]
    max_entries: Option<u64>,
    /// ... and its share of the list in per cent; refused is what exceeds both
    #[arg(long, value_name = "N")]
    max_percent: Option<u64>,
    /// Shortest prefix length of an IPv4 range
    #[arg(long, value_name = "LENGTH")]
    widest_v4: Option<u8>,
    /// Shortest prefix length of an IPv6 range
    #[arg(long, value_name = "LENGTH")]
    widest_v6: Option<u8>,
    /// File of names that this list may not block, beside those that no list may
    #[arg(long, value_name = "FILE")]
    protected: Option<PathBuf>,
    /// Whether to block a popular name takes more approvals
    #[arg(long, value_name = "true|false")]
    popular: Option<bool>,
    /// How many more
    #[arg(long, value_name = "N")]
    popular_approvals: Option<u8>,
    /// Only names of this rank or a better one are popular; 0: all of the file
    #[arg(long, value_name = "RANK")]
    popular_ranks: Option<u32>,
    /// Ranked file of names that are popular for this list, at most 10,000, in place of the publisher's; an empty one: the publisher's
    #[arg(long, value_name = "FILE")]
    popular_names: Option<PathBuf>,
    /// Whom to write to against an entry, and how
    #[arg(long, value_name = "TEXT")]
    appeal: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// `bwld policy`
pub async fn policy(command: Policy, config: Option<&Path>) -> anyhow::Result<()> {
    let (policy, json) = match command {
        Policy::Show { list, common } => {
            let policy: ListPolicy = common.connect.open(config)?.get(&list_path(&list, "/policy")).await?;
            (policy, common.json)
        }
        Policy::Set(args) => {
            let api = args.common.connect.open(config)?;
            let (path, json) = (list_path(&args.list, "/policy"), args.common.json);
            let (before, tag): (ListPolicy, _) = api.get_tagged(&path).await?;
            (api.send_if(Method::PUT, &path, &args.over(before)?, &tag).await?, json)
        }
    };
    if json { out::print_json(&policy) } else { out::print(&policy_text(&policy)) }
}

impl SetArgs {
    fn over(self, before: ListPolicy) -> anyhow::Result<ListPolicy> {
        Ok(ListPolicy {
            approvals: self.approvals.unwrap_or(before.approvals),
            frozen: before.frozen,
            max_entries: self.max_entries.or(before.max_entries),
            max_percent: self.max_percent.or(before.max_percent),
            widest_v4: self.widest_v4.unwrap_or(before.widest_v4),
            widest_v6: self.widest_v6.unwrap_or(before.widest_v6),
            protected: self.protected.map_or(Ok(before.protected), |file| lines(&file))?,
            popular: self.popular.unwrap_or(before.popular),
            popular_approvals: self.popular_approvals.unwrap_or(before.popular_approvals),
            popular_ranks: self.popular_ranks.map_or(before.popular_ranks, |ranks| (ranks > 0).then_some(ranks)),
            popular_names: self.popular_names.map_or(Ok(before.popular_names), |file| lines(&file))?,
            appeal: self.appeal.unwrap_or(before.appeal),
        })
    }
}

fn policy_text(policy: &ListPolicy) -> String {
    let limit = |value: Option<u64>| value.map_or("as for all lists".to_owned(), |value| value.to_string());
    let names = if policy.popular_names.is_empty() {
        "of publisher.popular".into()
    } else {
        format!("{} of its own", out::count(policy.popular_names.len() as u64))
    };
    let ranks = policy.popular_ranks.map_or(String::new(), |ranks| format!(", to rank {}", out::count(u64::from(ranks))));
    let rows = [
        ("approvals", policy.approvals.to_string()),
        ("frozen", if policy.frozen.is_empty() { "no".into() } else { policy.frozen.clone() }),
        ("max entries", limit(policy.max_entries)),
        ("max percent", limit(policy.max_percent)),
        ("widest range", format!("/{} (IPv4), /{} (IPv6)", policy.widest_v4, policy.widest_v6)),
        ("protected", format!("{} names beside those of all lists", policy.protected.len())),
        ("popular", if policy.popular { format!("{names}{ranks}: {} approvals more", policy.popular_approvals) } else { "no".into() }),
        ("appeal", policy.appeal.clone()),
    ];
    rows.iter().map(|(name, text)| format!("{name:14} {}\n", out::visible(text))).collect()
}

/// The lines of a file that say something.
fn lines(file: &Path) -> anyhow::Result<Vec<String>> {
    let lines = read(file)?;
    Ok(lines.lines().map(|line| line.split('#').next().unwrap_or("").trim()).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

fn read(file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    anyhow::ensure!(text.len() as u64 <= MAX_FILE, "{} is larger than {MAX_FILE} octets; give a shorter one", file.display());
    Ok(text)
}

/// What `bwld scheme` does.
#[derive(clap::Subcommand, Debug)]
pub enum SchemeCommand {
    /// Show the category schemes
    #[command(after_help = "Examples:\n  bwld scheme list --json")]
    List {
        #[command(flatten)]
        common: Common,
    },
    /// Put a category scheme in, or in place of the one of its name
    #[command(after_help = "Examples:\n  bwld scheme put ours.json              id, and codes with names by language and a least age")]
    Put {
        /// The scheme as JSON
        file: PathBuf,
        #[command(flatten)]
        common: Common,
    },
}

/// `bwld scheme`
pub async fn scheme(command: SchemeCommand, config: Option<&Path>) -> anyhow::Result<()> {
    let (schemes, json) = match command {
        SchemeCommand::List { common } => (common.connect.open_public(config)?.get::<Vec<Scheme>>("v1/schemes").await?, common.json),
        SchemeCommand::Put { file, common } => {
            let scheme: serde_json::Value =
                serde_json::from_str(&read(&file)?).with_context(|| format!("{} is not JSON", file.display()))?;
            let (api, path) = (common.connect.open(config)?, "v1/admin/schemes");
            let id = scheme["id"].as_str().filter(|id| !id.is_empty()).context("the file's \"id\" names no scheme; write one")?;
            let put: Scheme = match api.get_tagged::<Scheme>(&format!("{path}/{}", escaped(id))).await {
                Ok((_, tag)) => api.send_if(Method::PUT, path, &scheme, &tag).await?,
                Err(e) if e.downcast_ref::<Refused>().is_some_and(|refused| refused.status == 404) => {
                    api.send_new(Method::PUT, path, &scheme).await?
                }
                Err(e) => return Err(e),
            };
            (vec![put], common.json)
        }
    };
    if json {
        return out::print_json(&schemes);
    }
    let mut rows = vec![["SCHEME", "CODE", "NAMES"].map(String::from).to_vec()];
    for scheme in &schemes {
        for code in &scheme.codes {
            let names = code.names.iter().map(|(language, name)| format!("{language}: {name}")).collect::<Vec<_>>().join(", ");
            rows.push(vec![scheme.id.to_string(), code.code.to_string(), out::visible(&names)]);
        }
    }
    out::print(&out::table(&rows))
}

/// What `bwld reviewed` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  bwld reviewed canary 17 --reason \"looked at with the file at hand\"")]
pub struct ReviewedArgs {
    /// The list
    list: ListId,
    /// The version
    serial: Serial,
    /// What came of it, for the audit chain
    #[arg(long, default_value = "")]
    reason: String,
    #[command(flatten)]
    common: Common,
}

/// `bwld reviewed`
pub async fn reviewed(args: ReviewedArgs, config: Option<&Path>) -> anyhow::Result<()> {
    let api = args.common.connect.open(config)?;
    let path = list_path(&args.list, &format!("/reviewed/{}", args.serial));
    let () = api.send_json(Method::POST, &path, &json!({"reason": args.reason})).await?;
    let text = format!("{}: version {} was reviewed\n", args.list, args.serial);
    if args.common.json { out::print_json(&json!({"list": args.list, "serial": args.serial})) } else { out::print(&text) }
}

/// What `bwld conflicts` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  bwld conflicts\n  bwld conflicts --list canary --limit 1000")]
pub struct ConflictsArgs {
    /// Only conflicts in which this list has a part
    #[arg(long)]
    list: Option<ListId>,
    /// Where the page before ended
    #[arg(long)]
    cursor: Option<String>,
    /// Results of a page
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1000))]
    limit: u64,
    #[command(flatten)]
    common: Common,
}

/// `bwld conflicts`
pub async fn conflicts(args: ConflictsArgs, config: Option<&Path>) -> anyhow::Result<()> {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("limit", &args.limit.to_string());
    query.extend_pairs(args.list.iter().map(|list| ("list", list.as_str())));
    query.extend_pairs(args.cursor.iter().map(|cursor| ("cursor", cursor.as_str())));
    let page: Conflicts = args.common.connect.open(config)?.get(&format!("v1/admin/conflicts?{}", query.finish())).await?;
    if args.common.json {
        return out::print_json(&page);
    }
    let mut rows = vec![["BLACK", "RULE", "WHITE", "RULE"].map(String::from).to_vec()];
    for conflict in &page.conflicts {
        let rules = [&conflict.black_rule, &conflict.white_rule].map(|rule| out::visible(rule));
        let [black, white] = rules;
        rows.push(vec![conflict.black.to_string(), black, conflict.white.to_string(), white]);
    }
    match &page.next {
        None if rows.len() == 1 => out::print("no target is on lists of both colours\n"),
        None => out::print(&out::table(&rows)),
        Some(next) => out::print(&format!("{}more with --cursor {next}\n", out::table(&rows))),
    }
}

/// What `bwld why` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  bwld why canary k3Jx0aZqPm2vT7yWb9cD1e")]
pub struct WhyArgs {
    /// The list
    list: ListId,
    /// The entry's reference, as a block page shows it
    #[arg(allow_hyphen_values = true)]
    reference: String,
    #[command(flatten)]
    common: Common,
}

/// `bwld why`
pub async fn why(args: WhyArgs, config: Option<&Path>) -> anyhow::Result<()> {
    let path = format!("v1/lists/{}/entries/{}", args.list, plain(&args.reference)?);
    let entry: PublicEntry = args.common.connect.open_public(config)?.get(&path).await?;
    if args.common.json {
        return out::print_json(&entry);
    }
    let mut rows = vec![("rule", entry.rule.clone()), ("list", entry.list.to_string()), ("state", entry.state.word().to_owned())];
    rows.extend(entry.reason.iter().map(|code| ("reason", code.to_string())));
    rows.extend(entry.reasons.iter().map(|(language, text)| ("reason", format!("{language}: {text}"))));
    rows.extend(entry.basis.iter().map(|basis| ("legal basis", basis_text(basis))));
    rows.extend(entry.categories.iter().map(|code| ("category", code.to_string())));
    rows.extend(entry.schemes.iter().flat_map(|(scheme, codes)| codes.iter().map(move |code| ("category", format!("{scheme}: {code}")))));
    rows.extend(entry.published.map(|at| ("published", at.to_string())));
    rows.extend(entry.ended.map(|at| ("ended", at.to_string())));
    rows.extend(entry.review_by.map(|day| ("look again", day.to_string())));
    rows.extend(entry.expires.map(|day| ("expires", day.to_string())));
    if !entry.appeal.is_empty() {
        rows.push(("appeal", entry.appeal.clone()));
    }
    out::print(&rows.into_iter().map(|(name, text)| format!("{name:12} {}\n", out::visible(&text))).collect::<String>())
}
