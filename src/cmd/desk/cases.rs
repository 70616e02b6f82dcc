//! `bwld case`: one entry under administration, shown, changed, put forward, taken back, noted, looked at again.

use std::path::Path;

use reqwest::Method;
use serde_json::json;

use crate::desk::Case;
use crate::list::Date;

use super::super::client::{Api, list_path};
use super::super::out;
use super::args::One;
use super::words::WordArgs;
use super::{basis_text, decide, plain, show_case};

/// What `bwld case` does.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Show an entry with all that is known of it
    #[command(after_help = "Examples:\n  bwld case show canary k3Jx0aZqPm2vT7yWb9cD1e")]
    Show(One),
    /// Change what is written of an entry that is not published; its approvals fall
    #[command(after_help = "Examples:\n  bwld case edit canary k3Jx0aZqPm2vT7yWb9cD1e --expires 2030-01-01 --text uk=\"Шахрайство\"")]
    Edit(Box<EditArgs>),
    /// Put a draft before those who approve
    #[command(after_help = "Examples:\n  bwld case submit canary k3Jx0aZqPm2vT7yWb9cD1e")]
    Submit(One),
    /// Take an entry back before it is published
    #[command(after_help = "Examples:\n  bwld case withdraw canary k3Jx0aZqPm2vT7yWb9cD1e --reason \"a typing error\"")]
    Withdraw(One),
    /// Add a note that never leaves the publisher
    #[command(after_help = "Examples:\n  bwld case note canary k3Jx0aZqPm2vT7yWb9cD1e \"the owner has called\"")]
    Note(NoteArgs),
    /// Say that a published entry was looked at again and stays
    #[command(after_help = "Examples:\n  bwld case reviewed canary k3Jx0aZqPm2vT7yWb9cD1e --next 2028-01-01")]
    Reviewed(ReviewedArgs),
}

/// What `bwld case edit` takes.
#[derive(clap::Args, Debug)]
pub struct EditArgs {
    /// Another rule
    #[arg(long)]
    rule: Option<String>,
    #[command(flatten)]
    words: WordArgs,
    #[command(flatten)]
    one: One,
}

/// What `bwld case note` takes.
#[derive(clap::Args, Debug)]
pub struct NoteArgs {
    #[command(flatten)]
    one: One,
    /// The note
    note: String,
}

/// What `bwld case reviewed` takes.
#[derive(clap::Args, Debug)]
pub struct ReviewedArgs {
    #[command(flatten)]
    one: One,
    /// The day on which somebody is to look at it again [default: never]
    #[arg(long, value_name = "YYYY-MM-DD")]
    next: Option<Date>,
}

/// `bwld case`
pub async fn run(command: Command, config: Option<&Path>) -> anyhow::Result<()> {
    let (one, json) = match &command {
        Command::Show(one) | Command::Submit(one) | Command::Withdraw(one) => (one, one.common.json),
        Command::Edit(args) => (&args.one, args.one.common.json),
        Command::Note(NoteArgs { one, .. }) | Command::Reviewed(ReviewedArgs { one, .. }) => (one, one.common.json),
    };
    let api = one.common.connect.open(config)?;
    let path = list_path(&one.list, &format!("/cases/{}", plain(&one.reference)?));
    let case = match command {
        Command::Show(_) => {
            let case: Case = api.get(&path).await?;
            return if json { out::print_json(&case) } else { out::print(&whole(&case)) };
        }
        Command::Edit(args) => edit(&api, &path, *args).await?,
        Command::Submit(one) => decide(&api, &one.list, &one.reference, "propose", &one.reason).await?,
        Command::Withdraw(one) => decide(&api, &one.list, &one.reference, "withdraw", &one.reason).await?,
        Command::Note(args) => api.send_json(Method::POST, &format!("{path}/notes"), &json!({"note": args.note})).await?,
        Command::Reviewed(args) => {
            let body = json!({"reviewed": true, "review_by": args.next, "note": args.one.reason});
            api.send_json(Method::POST, &format!("{path}/notes"), &body).await?
        }
    };
    show_case(&case, json)
}

async fn edit(api: &Api, path: &str, args: EditArgs) -> anyhow::Result<Case> {
    let before: Case = api.get(path).await?;
    let mut words = args.words.over(before.words)?;
    words.rule = args.rule.unwrap_or(words.rule);
    let body = json!({"words": words, "reason": args.one.reason, "revision": before.revision});
    api.send_json(Method::PATCH, path, &body).await
}

/// All of a case as text.
pub(super) fn whole(case: &Case) -> String {
    let words = &case.words;
    let mut rows = vec![
        ("rule", words.rule.clone()),
        ("list", case.list.to_string()),
        ("state", case.state.word().to_owned()),
        ("revision", case.revision.to_string()),
        ("proposed by", case.proposer.clone()),
        ("begun", case.created.to_string()),
    ];
    rows.extend(case.approvals.iter().map(|approval| ("approved by", format!("{} {}", approval.by, approval.at))));
    rows.extend(case.serial.map(|serial| ("in version", serial.to_string())));
    rows.extend(words.reasons.iter().map(|(language, text)| ("reason", format!("{language}: {text}"))));
    rows.extend(words.basis.iter().map(|basis| ("legal basis", basis_text(basis))));
    rows.extend(words.attributes.expires.map(|day| ("expires", day.to_string())));
    rows.extend(words.review_by.map(|day| ("look again", day.to_string())));
    rows.extend(case.notices.iter().map(|notice| ("notice", notice.reason.clone())));
    rows.extend(case.notes.iter().map(|note| ("note", format!("{} {}: {}", note.at, note.by, note.text))));
    if !case.decision.is_empty() {
        rows.push(("decided", case.decision.clone()));
    }
    rows.into_iter().map(|(name, text)| format!("{name:12} {}\n", out::visible(&text))).collect()
}
