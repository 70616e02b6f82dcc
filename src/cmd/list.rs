//! `bwld list`: create, show, describe, remove.

use std::path::Path;

use reqwest::Method;

use crate::list::{Code, Colour, ListId};
use crate::publisher::{ListPatch, ListView, NewList};

use super::client::{Connect, list_path};
use super::{exit::Ended, out};

/// Create, show, describe or remove lists.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Make a new, empty list
    #[command(after_help = "\
Examples:
  bwld list create gambling --colour black --title \"Unlicensed gambling\" --owner \"Gambling Authority\" --cat gambling
  bwld list create schools --colour white --title \"Sites for schools\"")]
    Create(CreateArgs),
    /// Show one list, or all
    #[command(after_help = "Examples:\n  bwld list show\n  bwld list show canary --json")]
    Show {
        /// Which; without it: all
        list: Option<ListId>,
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        connect: Connect,
    },
    /// Change a list's description (its colour is fixed)
    #[command(after_help = "Examples:\n  bwld list set gambling --title \"Gambling without a licence\" --review \"every 90 days\"")]
    Set(SetArgs),
    /// Take a list out of what is offered; its serials are never used again
    #[command(after_help = "Examples:\n  bwld list remove gambling --dry-run\n  bwld list remove gambling --yes")]
    Remove {
        /// Which
        list: ListId,
        /// Really
        #[arg(long)]
        yes: bool,
        /// Only show what would be removed
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        connect: Connect,
    },
}

/// What `bwld list create` takes.
#[derive(clap::Args, Debug)]
pub struct CreateArgs {
    /// Its name: a-z, 0-9 and -
    list: ListId,
    /// black (block) or white (allow); fixed for the life of the list
    #[arg(long, alias = "color")]
    colour: Colour,
    /// One line for people
    #[arg(long)]
    title: String,
    /// Categories its entries may carry, joined by commas [default: any]
    #[arg(long, alias = "categories", value_name = "CODES", value_delimiter = ',')]
    cat: Vec<Code>,
    /// Who decides about it
    #[arg(long, default_value = "")]
    owner: String,
    /// SPDX expression or a sentence
    #[arg(long, alias = "license", default_value = "")]
    licence: String,
    /// Where it comes from
    #[arg(long, default_value = "")]
    source: String,
    /// How entries are reviewed
    #[arg(long, default_value = "")]
    review: String,
    /// Only show what it would be then, or what would be refused
    #[arg(long)]
    dry_run: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

/// What `bwld list set` takes.
#[derive(clap::Args, Debug)]
pub struct SetArgs {
    /// Which
    list: ListId,
    /// One line for people
    #[arg(long)]
    title: Option<String>,
    /// Categories its entries may carry, joined by commas; "" for any
    #[arg(long, alias = "categories", value_name = "CODES")]
    cat: Option<String>,
    /// Who decides about it
    #[arg(long)]
    owner: Option<String>,
    /// SPDX expression or a sentence
    #[arg(long, alias = "license")]
    licence: Option<String>,
    /// Where it comes from
    #[arg(long)]
    source: Option<String>,
    /// How entries are reviewed
    #[arg(long)]
    review: Option<String>,
    /// Only show what it would be then, or what would be refused
    #[arg(long)]
    dry_run: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

/// Runs it.
pub async fn run(command: Command, config: Option<&Path>) -> anyhow::Result<()> {
    match command {
        Command::Create(args) => create(args, config).await,
        Command::Show { list: Some(list), json, connect } => {
            let view: ListView = connect.open(config)?.get(&list_path(&list, "")).await?;
            if json { out::print_json(&view) } else { out::print(&describe(&view)) }
        }
        Command::Show { list: None, json, connect } => {
            let views: Vec<ListView> = connect.open(config)?.get("v1/admin/lists").await?;
            if json { out::print_json(&views) } else { out::print(&overview(&views)) }
        }
        Command::Set(args) => set(args, config).await,
        Command::Remove { list, dry_run: true, connect, .. } => {
            let view: ListView = connect.open(config)?.would_delete(&list_path(&list, "")).await?;
            out::print(&format!("{}{list}: would be removed; nothing was written\n", describe(&view)))
        }
        Command::Remove { list, yes, dry_run: false, connect } => {
            if !yes {
                return Err(Ended::Usage(format!("this takes list {list} from everybody who follows it; say --yes if you mean it")).into());
            }
            connect.open(config)?.delete(&list_path(&list, "")).await?;
            out::print(&format!("{list}: removed; followers keep what they have and will say it is no longer offered\n"))
        }
    }
}

async fn create(args: CreateArgs, config: Option<&Path>) -> anyhow::Result<()> {
    let list = args.list.clone();
    let new = NewList {
        id: args.list,
        colour: args.colour,
        title: args.title,
        categories: args.cat,
        owner: args.owner,
        licence: args.licence,
        source: args.source,
        review: args.review,
    };
    let path = with_dry_run(args.dry_run, "v1/admin/lists".to_owned());
    let view: ListView = args.connect.open(config)?.send_json(Method::POST, &path, &new).await?;
    if args.json {
        return out::print_json(&view);
    }
    if args.dry_run {
        return out::print(&format!("{}{list}: would be created; nothing was written\n", describe(&view)));
    }
    out::print(&format!("{list}: created. Next: bwld add {list} RULE, or bwld import FILE --list {list}; then bwld publish {list}\n"))
}

async fn set(args: SetArgs, config: Option<&Path>) -> anyhow::Result<()> {
    let categories = args.cat.map(|text| text.split(',').filter(|c| !c.is_empty()).map(str::parse::<Code>).collect::<Result<Vec<_>, _>>());
    let patch = ListPatch {
        title: args.title,
        categories: categories.transpose().map_err(|e| Ended::Usage(e.to_string()))?,
        owner: args.owner,
        licence: args.licence,
        source: args.source,
        review: args.review,
    };
    let (api, path) = (args.connect.open(config)?, list_path(&args.list, ""));
    let (_, tag): (ListView, _) = api.get_tagged(&path).await?;
    let view: ListView = api.send_if(Method::PATCH, &with_dry_run(args.dry_run, path), &patch, &tag).await?;
    if args.json {
        return out::print_json(&view);
    }
    let said = if args.dry_run { format!("{}: would be as above; nothing was written\n", args.list) } else { String::new() };
    out::print(&format!("{}{said}", describe(&view)))
}

/// The path, of a dry run if it is to be one.
fn with_dry_run(dry_run: bool, path: String) -> String {
    if dry_run { path + "?dry_run=true" } else { path }
}

fn describe(view: &ListView) -> String {
    let meta = &view.meta;
    let codes = meta.categories.iter().map(Code::as_str).collect::<Vec<_>>().join(", ");
    let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { out::visible(&text) };
    let rows = [
        ("list", meta.id.to_string()),
        ("colour", meta.colour.to_string()),
        ("title", meta.title.clone()),
        ("categories", if codes.is_empty() { "any".into() } else { codes }),
        ("owner", meta.owner.clone()),
        ("licence", meta.licence.clone()),
        ("source", meta.source.clone()),
        ("review", meta.review.clone()),
        ("created", meta.created.to_string()),
        ("serial", view.serial.map_or_else(|| "not yet published".into(), |s| s.to_string())),
        ("entries", out::count(view.entries)),
        ("updated", view.updated.map(|t| t.to_string()).unwrap_or_default()),
        ("head expires", view.expires.map(|t| t.to_string()).unwrap_or_default()),
        ("staged", out::count(view.staged)),
    ];
    rows.into_iter().map(|(name, value)| format!("{name:<13} {}\n", or_dash(value))).collect()
}

fn overview(views: &[ListView]) -> String {
    let mut rows = vec![["LIST", "COLOUR", "SERIAL", "ENTRIES", "STAGED", "UPDATED", "TITLE"].map(String::from).to_vec()];
    for view in views {
        rows.push(vec![
            view.meta.id.to_string(),
            view.meta.colour.to_string(),
            view.serial.map_or_else(|| "-".into(), |s| s.to_string()),
            out::count(view.entries),
            out::count(view.staged),
            view.updated.map_or_else(|| "-".into(), |t| t.to_string()),
            out::visible(&view.meta.title),
        ]);
    }
    out::table(&rows)
}
