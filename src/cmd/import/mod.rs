//! `bwld import`: streams a file, or a folder of categories, to the daemon, which reads it and stages what it says.

mod folder;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use clap::builder::{PossibleValue, PossibleValuesParser};
use futures_util::TryStreamExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::io::AsyncReadExt as _;

use crate::formats::{Format, Summary, XmlNames};
use crate::list::{Code, ListId};
use crate::publisher::ImportReport;

use super::client::{Connect, list_path};
use super::{out, publish, staged};

/// Octets sent at once.
const CHUNK: usize = 64 << 10;

/// What `bwld import` takes.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  bwld import hosts.txt --list malware --dry-run    see what it would change, and which lines are wrong
  bwld import adult.csv --list adult --mode replace --publish
  bwld import names.gz --list phishing --format domains --scope subtree
  bwld import blacklists.tar.gz --list adult --only adult,mixed_adult
  bwld import easylist.txt --list exceptions --format adblock --exceptions only")]
pub struct Args {
    /// The file, also packed with gzip or zstd, or a folder of categories; - is the standard input
    file: PathBuf,
    /// The list
    #[arg(long)]
    list: ListId,
    /// How to read it [default: found out from the beginning of the file]
    #[arg(long, value_parser = formats())]
    format: Option<String>,
    /// What plain names stand for: the host alone, or it and every host under it
    #[arg(long, default_value = "exact", value_parser = ["exact", "subtree"])]
    scope: String,
    /// What *.name and .name stand for: nothing, or the name and every host under it
    #[arg(long, default_value = "refuse", value_parser = ["refuse", "subtree"])]
    wildcards: String,
    /// What becomes of what the file allows in spite of its other rules: left out, or only that is taken, for a white list
    #[arg(long, default_value = "leave-out", value_parser = ["leave-out", "only"])]
    exceptions: String,
    /// Of a folder or an archive of categories only these, joined by commas
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    only: Vec<Code>,
    /// What the elements of a dump in XML are called, such as record=entry,domain=host|name
    #[arg(long, value_name = "NAMES", value_parser = xml_names)]
    xml: Option<String>,
    /// Add to what the list holds, or make the list what the file says
    #[arg(long, default_value = "merge", value_parser = ["merge", "replace"])]
    mode: String,
    /// Refuse the file when a single line is wrong, instead of passing over such lines
    #[arg(long)]
    strict: bool,
    /// Categories for entries that bring none, joined by commas
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    cat: Vec<Code>,
    /// Reason code for entries that bring none
    #[arg(long, value_name = "CODE")]
    reason_code: Option<Code>,
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
    /// Publish at once
    #[arg(long, conflicts_with = "dry_run")]
    publish: bool,
    /// Why, for the log
    #[arg(long, requires = "publish", default_value = "")]
    reason: String,
    /// Override a guard by its name: max-added or max-removed (may be repeated)
    #[arg(long, value_name = "GUARD", requires = "publish", value_parser = ["max-added", "max-removed"])]
    force: Vec<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

/// The formats, each with what it is.
fn formats() -> PossibleValuesParser {
    PossibleValuesParser::new(Format::ALL.iter().map(|format| PossibleValue::new(format.name()).help(format.about())))
}

/// Checked here, so that a mistake costs no upload.
fn xml_names(text: &str) -> Result<String, String> {
    text.parse::<XmlNames>().map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// Runs it.
pub async fn run(args: Args, config: Option<&Path>) -> anyhow::Result<()> {
    let api = args.connect.open(config)?;
    let bar = ProgressBar::no_length();
    let body = body(&args.file, &bar).await?;
    let result: anyhow::Result<ImportReport> = api.send_body(&list_path(&args.list, &query(&args)), body).await;
    bar.finish_and_clear();
    let report = result?;
    if args.json && !args.publish {
        out::print_json(&report)?;
    } else if !args.json {
        out::print(&text(&args.list, &report, args.dry_run))?;
    }
    let issues = report.summary.issues_total;
    if !report.done && !args.dry_run {
        let hint = if args.strict && issues > 0 { "; mend the lines, or leave --strict out to pass over them" } else { "" };
        anyhow::bail!("nothing was staged{hint}");
    }
    if args.dry_run && args.strict && issues > 0 {
        anyhow::bail!("--strict would refuse this file: {} lines are wrong", out::count(issues));
    }
    if args.publish {
        publish::publish(&api, &args.list, &args.reason, &args.force, false, args.json).await?;
    }
    Ok(())
}

fn query(args: &Args) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("scope", &args.scope).append_pair("mode", &args.mode);
    query.append_pair("wildcards", &args.wildcards).append_pair("exceptions", &args.exceptions);
    if !args.only.is_empty() {
        query.append_pair("only", &codes(&args.only));
    }
    if let Some(xml) = &args.xml {
        query.append_pair("xml", xml);
    }
    if let Some(format) = &args.format {
        query.append_pair("format", format);
    }
    if args.strict {
        query.append_pair("strict", "true");
    }
    if args.dry_run {
        query.append_pair("dry_run", "true");
    }
    if !args.cat.is_empty() {
        query.append_pair("cat", &codes(&args.cat));
    }
    if let Some(code) = &args.reason_code {
        query.append_pair("rsn", code.as_str());
    }
    format!("/import?{}", query.finish())
}

fn codes(codes: &[Code]) -> String {
    codes.iter().map(Code::as_str).collect::<Vec<_>>().join(",")
}

/// The file as a stream that moves the progress bar, which shows itself only on a terminal.
async fn body(file: &Path, bar: &ProgressBar) -> anyhow::Result<reqwest::Body> {
    let reader: Box<dyn tokio::io::AsyncRead + Send + Unpin> = if file == Path::new("-") {
        use std::os::fd::AsFd as _;
        let stdin = std::io::stdin().as_fd().try_clone_to_owned().context("reading the standard input")?;
        Box::new(tokio::fs::File::from_std(stdin.into()))
    } else {
        let open = tokio::fs::File::open(file).await.with_context(|| format!("opening {}", file.display()))?;
        let length = open.metadata().await.with_context(|| format!("reading {}", file.display()))?;
        if length.is_dir() {
            let (files, octets) = folder::files(file)?;
            bar.set_length(octets);
            let bar = bar.clone();
            let archive = folder::archive(file.to_owned(), files);
            return Ok(reqwest::Body::wrap_stream(archive.inspect_ok(move |chunk| bar.inc(chunk.len() as u64))));
        }
        bar.set_length(length.len());
        Box::new(open)
    };
    if bar.length().is_some() {
        let style = ProgressStyle::with_template("{bytes}/{total_bytes} {wide_bar} {bytes_per_sec} {eta}");
        bar.set_style(style.context("the template of the progress bar")?);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    let bar = bar.clone();
    let stream = futures_util::stream::try_unfold(reader, move |mut reader| {
        let bar = bar.clone();
        async move {
            let mut chunk = vec![0; CHUNK];
            let n = reader.read(&mut chunk).await?;
            if n == 0 {
                bar.set_message("read; waiting for the daemon");
                return Ok::<_, std::io::Error>(None);
            }
            chunk.truncate(n);
            bar.inc(n as u64);
            Ok(Some((Bytes::from(chunk), reader)))
        }
    });
    Ok(reqwest::Body::wrap_stream(stream))
}

fn text(list: &ListId, report: &ImportReport, dry_run: bool) -> String {
    let mut text = issues(&report.summary);
    text.push_str(&staged::text(&report.staged, out::colour_out()));
    let s = &report.summary;
    let format = s.format.map_or("unknown format", Format::name);
    text.push_str(&format!(
        "read as {format}: {} lines, {} entries, {} comments, {} duplicates, {} left out, {} wrong\n",
        out::count(s.lines),
        out::count(s.entries),
        out::count(s.comments),
        out::count(report.duplicates),
        out::count(s.left_out_total()),
        out::count(s.issues_total)
    ));
    let what = match (report.done, dry_run) {
        (true, _) => "staged",
        (false, true) => "would be staged",
        (false, false) => "not staged",
    };
    text.push_str(&format!("{list}: {what}: {}\n", staged::counts(&report.staged)));
    if report.done {
        text.push_str(&format!("Look: bwld diff {list}. Publish: bwld publish {list}\n"));
    }
    text
}

/// The first hundred, each with place, reason and hint; the rest as a number.
fn issues(summary: &Summary) -> String {
    let mut text = String::new();
    for issue in &summary.issues {
        let file = if issue.file.is_empty() { String::new() } else { format!("{}:", out::visible(&issue.file)) };
        text.push_str(&format!("{file}{}:{}: {} \"{}\"\n", issue.line, issue.column, issue.reason, out::visible(&issue.text)));
        if !issue.hint.is_empty() {
            text.push_str(&format!("    {}\n", issue.hint));
        }
    }
    let more = summary.issues_total.saturating_sub(summary.issues.len() as u64);
    if more > 0 {
        text.push_str(&format!("... and {} more wrong lines\n", out::count(more)));
    }
    for (sort, left) in &summary.left_out {
        let file = if left.file.is_empty() { String::new() } else { format!("{}, ", out::visible(&left.file)) };
        text.push_str(&format!(
            "left out: {} of: {sort}; first in {file}line {}: \"{}\"\n",
            out::count(left.count),
            left.line,
            out::visible(&left.text)
        ));
    }
    text
}
