//! The desk on the command line: propose, approve, reject, suspend, queue, search, undo, schedule, freeze, preview. What is done to
//! one case stands in `cases`, what a list demands and what is asked of all lists in `demands`.

mod args;
mod cases;
mod demands;
mod words;

use std::path::Path;

use anyhow::Context as _;
use reqwest::Method;
use serde_json::json;

use crate::desk::{Case, CaseState, LegalBasis, NewCase, Page, Preview, Queue, Schedule, Words};
use crate::list::ListId;
use crate::publisher::{ListPolicy, PublishReport, StagedReview, Undone};

use super::client::{self, Api, list_path};
use super::{exit::Ended, export, out, secret, staged};

use args::SearchFormat;

pub use args::{ApproveArgs, FreezeArgs, PreviewArgs, ProposeArgs, QueueArgs, RejectArgs, ScheduleArgs, SearchArgs, SuspendArgs, UndoArgs};
pub use cases::Command as CaseCommand;
pub use cases::run as case;
pub use demands::{ConflictsArgs, Policy, ReviewedArgs, SchemeCommand, WhyArgs, conflicts, policy, reviewed, scheme, why};

/// `bwld propose`
pub async fn propose(args: ProposeArgs, config: Option<&Path>) -> anyhow::Result<()> {
    let words = args.words.over(Words { rule: args.rule, ..Words::default() })?;
    let new = NewCase { words, note: args.note, draft: args.draft };
    let api = args.common.connect.open(config)?;
    let case: Case = api.send_json(Method::POST, &list_path(&args.list, "/cases"), &new).await?;
    show_case(&case, args.common.json)
}

/// `bwld approve`
pub async fn approve(args: ApproveArgs, config: Option<&Path>) -> anyhow::Result<()> {
    let api = args.common.connect.open(config)?;
    if let Some(digest) = args.staged {
        let body = json!({"digest": digest, "reason": args.reason});
        let review: StagedReview = api.send_json(Method::POST, &list_path(&args.list, "/approve"), &body).await?;
        let text = format!("{}: {} of {} approvals\n", args.list, review.approved_by.len(), review.needed);
        return if args.common.json { out::print_json(&review) } else { out::print(&text) };
    }
    let reference = args.reference.context("a reference was asked for by the command line")?;
    let path = list_path(&args.list, &format!("/cases/{}", plain(&reference)?));
    let revision = match args.revision {
        Some(revision) => revision,
        None => read_by_somebody(&api.get(&path).await?)?,
    };
    let body = json!({"reason": args.reason, "revision": revision});
    let case: Case = api.send_json(Method::POST, &format!("{path}/approve"), &body).await?;
    if args.publish && case.state == CaseState::Approved {
        let body = json!({"references": [reference], "reason": args.reason});
        let report = api.send_json::<PublishReport>(Method::POST, &list_path(&args.list, "/cases/publish"), &body).await;
        let report = report.with_context(|| {
            let list = &args.list;
            format!("{reference} is approved, and that holds; it was not published (who may publish runs `bwld publish {list} --cases`)")
        })?;
        return show_version(&args.list, &report, args.common.json);
    }
    show_case(&case, args.common.json)
}

/// The revision of a case that somebody at the terminal has looked at and agrees to.
fn read_by_somebody(case: &Case) -> anyhow::Result<u64> {
    if !secret::is_asked() {
        let usage = "say which words are approved: --revision N, as `bwld queue` and `bwld case show` name it";
        return Err(Ended::Usage(usage.into()).into());
    }
    out::print(&cases::whole(case))?;
    if !secret::agreed("approve this?")? {
        anyhow::bail!("it is not approved");
    }
    Ok(case.revision)
}

/// `bwld reject`
pub async fn reject(args: RejectArgs, config: Option<&Path>) -> anyhow::Result<()> {
    let one = args.one;
    let case = decide(&one.common.connect.open(config)?, &one.list, &one.reference, "reject", &one.reason).await?;
    show_case(&case, one.common.json)
}

async fn decide(api: &Api, list: &ListId, reference: &str, what: &str, reason: &str) -> anyhow::Result<Case> {
    api.send_json(Method::POST, &list_path(list, &format!("/cases/{}/{what}", plain(reference)?)), &json!({"reason": reason})).await
}

/// A reference as it may stand in a path.
fn plain(reference: &str) -> anyhow::Result<&str> {
    let good = !reference.is_empty() && reference.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'));
    if good { Ok(reference) } else { Err(Ended::Usage("a reference has letters, digits, - and _ only".into()).into()) }
}

/// `bwld suspend`
pub async fn suspend(args: SuspendArgs, config: Option<&Path>) -> anyhow::Result<()> {
    let one = args.one;
    let what = if args.resume {
        "resume"
    } else if args.remove {
        "remove"
    } else {
        "suspend"
    };
    let path = list_path(&one.list, &format!("/cases/{}/{what}", plain(&one.reference)?));
    let report: PublishReport = one.common.connect.open(config)?.send_json(Method::POST, &path, &json!({"reason": one.reason})).await?;
    show_version(&one.list, &report, one.common.json)
}

/// `bwld queue`
pub async fn queue(args: QueueArgs, config: Option<&Path>) -> anyhow::Result<()> {
    let queue: Queue = args.common.connect.open(config)?.get("v1/admin/queue").await?;
    if args.common.json {
        return out::print_json(&queue);
    }
    let mut rows = vec![["WHAT", "LIST", "WHICH", "SINCE OR BY"].map(String::from).to_vec()];
    let kinds = [("approve", &queue.proposed), ("publish", &queue.approved), ("look again", &queue.due), ("overdue", &queue.overdue)];
    for (what, cases) in kinds {
        for case in cases {
            let day = case.words.review_by.filter(|_| what == "look again").map(|day| day.to_string());
            let which = format!("{} {} (revision {})", case.reference, case.words.rule, case.revision);
            rows.push(vec![what.into(), case.list.to_string(), out::visible(&which), day.unwrap_or_else(|| case.created.to_string())]);
        }
    }
    for one in &queue.staged {
        let digest = one.digest.map(|digest| digest.to_string()).unwrap_or_default();
        rows.push(vec!["approve staged".into(), one.list.to_string(), digest, one.staged_by.join(", ")]);
    }
    for one in &queue.unreviewed {
        rows.push(vec!["review after".into(), one.list.to_string(), format!("version {} by {}", one.serial, one.by), one.at.to_string()]);
    }
    for one in &queue.schedules {
        let which = if one.outcome.is_empty() { one.id.clone() } else { format!("{}: {}", one.id, one.outcome) };
        rows.push(vec!["scheduled".into(), one.list.to_string(), out::visible(&which), one.at.to_string()]);
        let left_out =
            one.left_out.iter().map(|case| vec!["left out".into(), one.list.to_string(), out::visible(case), one.at.to_string()]);
        rows.extend(left_out);
    }
    for one in &queue.expired {
        rows.push(vec!["expired".into(), one.list.to_string(), out::visible(&one.reason), one.since.to_string()]);
    }
    if rows.len() == 1 {
        return out::print("nothing waits\n");
    }
    out::print(&out::table(&rows))?;
    match queue.more() {
        0 => Ok(()),
        more => out::print(&format!("and {more} more, which are due less; --json says how many of each kind there are\n")),
    }
}

/// `bwld search`
pub async fn search(args: SearchArgs, config: Option<&Path>) -> anyhow::Result<()> {
    let states = args.state.iter().map(|state| state.word()).collect::<Vec<_>>().join(",");
    let text = |value: Option<&dyn std::fmt::Display>| value.map(ToString::to_string).unwrap_or_default();
    fn shown<T: std::fmt::Display>(value: &Option<T>) -> Option<&dyn std::fmt::Display> {
        value.as_ref().map(|value| value as &dyn std::fmt::Display)
    }
    let parameters = [
        ("text", text(shown(&args.text))),
        ("list", text(shown(&args.list))),
        ("rule", text(shown(&args.rule))),
        ("category", text(shown(&args.category))),
        ("reason", text(shown(&args.reason))),
        ("reference", text(shown(&args.reference))),
        ("proposer", text(shown(&args.proposer))),
        ("state", states),
        ("expires_from", text(shown(&args.expires_from))),
        ("expires_to", text(shown(&args.expires_to))),
        ("created_from", text(shown(&args.created_from))),
        ("created_to", text(shown(&args.created_to))),
    ];
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters.iter().filter(|(_, value)| !value.is_empty()));
    let api = args.common.connect.open(config)?;
    if let Some(format) = args.format {
        let ending = if matches!(format, SearchFormat::Csv) { "csv" } else { "ndjson" };
        return export::whole(&api, &format!("v1/admin/entries.{ending}?{}", query.finish()), args.output.as_deref()).await;
    }
    query.append_pair("limit", &args.limit.to_string());
    if let Some(cursor) = &args.cursor {
        query.append_pair("cursor", cursor);
    }
    let page: Page = api.get(&format!("v1/admin/entries?{}", query.finish())).await?;
    if args.common.json {
        return out::print_json(&page);
    }
    let mut rows = vec![["STATE", "LIST", "RULE", "REFERENCE"].map(String::from).to_vec()];
    for found in &page.found {
        let reference = found.attributes.reference.clone().unwrap_or_default();
        rows.push(vec![found.state.word().into(), found.list.to_string(), out::visible(&found.rule), reference]);
    }
    out::print(&out::table(&rows))?;
    match &page.next {
        Some(next) => out::print(&format!("more with --cursor {next}\n")),
        None => Ok(()),
    }
}

/// `bwld undo`
pub async fn undo(args: UndoArgs, config: Option<&Path>) -> anyhow::Result<()> {
    let body = json!({"reason": args.reason, "force": args.force, "partial": args.partial, "dry_run": args.dry_run});
    let path = list_path(&args.list, &format!("/undo/{}", args.serial));
    let undone: Undone = args.common.connect.open(config)?.send_json(Method::POST, &path, &body).await?;
    if args.common.json {
        return out::print_json(&undone);
    }
    for conflict in &undone.conflicts {
        out::print(&format!("left as it is: {}: {}\n", out::visible(&conflict.text), conflict.reason))?;
    }
    show_version(&args.list, &PublishReport { version: undone.version, changes: undone.changes }, false)
}

/// `bwld schedule`
pub async fn schedule(args: ScheduleArgs, config: Option<&Path>) -> anyhow::Result<()> {
    let api = args.common.connect.open(config)?;
    if let Some(id) = &args.cancel {
        return api.delete(&list_path(&args.list, &format!("/schedules/{}", plain(id)?))).await;
    }
    let body = json!({"at": args.at, "cases": args.cases, "reason": args.reason, "force": args.force});
    let made: Schedule = api.send_json(Method::POST, &list_path(&args.list, "/schedules"), &body).await?;
    if args.common.json { out::print_json(&made) } else { out::print(&format!("{}: {} at {}\n", made.list, made.id, made.at)) }
}

/// `bwld freeze`
pub async fn freeze(args: FreezeArgs, config: Option<&Path>) -> anyhow::Result<()> {
    let api = args.common.connect.open(config)?;
    let policy: ListPolicy = match args.approvals {
        Some(approvals) => {
            let path = list_path(&args.list, "/policy");
            let (before, tag): (ListPolicy, _) = api.get_tagged(&path).await?;
            api.send_if(Method::PUT, &path, &ListPolicy { approvals, ..before }, &tag).await?
        }
        None => {
            let reason = if args.thaw { "" } else { &args.reason };
            api.send_json(Method::POST, &list_path(&args.list, "/freeze"), &json!({"reason": reason})).await?
        }
    };
    if args.common.json {
        return out::print_json(&policy);
    }
    let frozen = if policy.frozen.is_empty() { "not frozen".to_owned() } else { format!("frozen: {}", out::visible(&policy.frozen)) };
    out::print(&format!("{}: {frozen}; a change needs {} approvals\n", args.list, policy.approvals))
}

/// `bwld preview`
pub async fn preview(args: PreviewArgs, config: Option<&Path>) -> anyhow::Result<()> {
    let api = args.common.connect.open(config)?;
    let body = json!({"questions": args.questions, "cases": args.cases});
    let preview: Preview = api.send_json(Method::POST, &list_path(&args.list, "/preview"), &body).await?;
    if args.common.json {
        return out::print_json(&preview);
    }
    let mut text = staged::text(&preview.changes, out::colour_out());
    for refusal in preview.changes.guards.iter().chain(&preview.both) {
        text.push_str(&format!("{}\n", client::refusal_text(refusal)));
    }
    let mut rows = vec![["QUESTION", "BEFORE", "AFTER"].map(String::from).to_vec()];
    rows.extend(
        preview.effects.iter().map(|effect| [&effect.question, &effect.before, &effect.after].map(|text| out::visible(text)).to_vec()),
    );
    if rows.len() > 1 {
        text.push_str(&out::table(&rows));
    }
    text.push_str(&format!("{}: {}\n", args.list, staged::counts(&preview.changes)));
    if preview.approved > 0 {
        text.push_str(&format!("{} approved wait beside what is staged; --cases shows what they would do\n", out::count(preview.approved)));
    }
    out::print(&text)
}

fn show_case(case: &Case, json: bool) -> anyhow::Result<()> {
    if json {
        return out::print_json(case);
    }
    out::print(&format!("{} {}: {}: {}\n", case.list, case.reference, case.state.word(), out::visible(&case.words.rule)))?;
    case.notices.iter().try_for_each(|notice| out::print(&format!("  {}\n", client::refusal_text(notice))))
}

/// What there is of a legal basis, in one line.
fn basis_text(basis: &LegalBasis) -> String {
    let date = basis.date.map(|date| date.to_string()).unwrap_or_default();
    let parts = [&basis.jurisdiction, &basis.instrument, &basis.authority, &basis.number, &date];
    parts.into_iter().filter(|part| !part.is_empty()).map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn show_version(list: &ListId, report: &PublishReport, json: bool) -> anyhow::Result<()> {
    if json {
        return out::print_json(report);
    }
    match &report.version {
        Some(v) => out::print(&format!("{list}: published serial {} (+{} -{} ~{})\n", v.serial, v.added, v.removed, v.replaced)),
        None => out::print(&format!("{}{list}: {}\n", staged::text(&report.changes, out::colour_out()), staged::counts(&report.changes))),
    }?;
    out::print(&staged::notices(&report.changes))
}
