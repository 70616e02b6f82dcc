//! Lists in bulk: import in, export out, both as streams between a socket and a blocking thread.

use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::formats::{Exceptions, Format, ReadOptions, Wildcards, XmlNames};
use crate::list::{Attributes, Code};
use crate::publisher::{ImportMode, ImportOptions, ImportReport, PublishError};

use super::super::app::Shared;
use super::super::caller::Caller;
use super::super::problem::Problem;
use super::super::query::Query;
use super::super::table::{Need, READERS, Route, WRITERS, flag, parameter, route, text};
use super::bodies::{self, Packed};
use super::lists::SHOW_STAGED;
use super::outlet::streamed;
use super::{admin, blocking, list_id, refused};

pub(super) fn routes() -> Vec<Route> {
    let words = |words: &[&str]| json!({"type": "string", "enum": words});
    let formats: Vec<&str> = Format::ALL.iter().map(|format| format.name()).collect();
    vec![
        route(Method::POST, "/v1/admin/lists/{list}/import", "importList", Need::List(WRITERS), import)
            .on_tag_of(SHOW_STAGED)
            .about("Reads a file of rules, plain or packed, and stages what differs from the list.")
            .takes([
                parameter("format", "its format; absent: found out", words(&formats)),
                parameter("scope", "what plain names mean", words(&["exact", "subtree"])),
                parameter("mode", "add and replace, or make the list what the file says", words(&["merge", "replace"])),
                flag("strict", "stage nothing if anything is refused"),
                flag("dry_run", "only say what would happen"),
                text("cat", "categories of entries that bring none, separated by commas"),
                text("rsn", "reason code of entries that bring none"),
                parameter("wildcards", "what *.name and .name mean", words(&["refuse", "subtree"])),
                parameter("exceptions", "what becomes of rules that allow", words(&["leave-out", "only"])),
                text("only", "of a tree of categories only these, separated by commas"),
                text("xml", "where a register in XML keeps what is listed; see `bwld import --help`"),
                text("job", "a name of your own under which its progress can be watched"),
            ])
            .raw_body("text/plain")
            .streamed()
            .gives::<ImportReport>(200, "what was read and staged"),
        route(Method::GET, "/v1/admin/lists/{list}/export", "exportList", Need::List(READERS), export)
            .about("The newest version's entry lines, in order.")
            .gives_raw(200, "the lines", "text/plain"),
    ]
}

/// A value that is one of a few words, read as the JSON API reads it.
fn word<T: DeserializeOwned>(query: &Query<'_>, name: &str, words: &str) -> Result<Option<T>, Problem> {
    let Some(text) = query.get(name)? else { return Ok(None) };
    let read = serde_json::from_value(serde_json::Value::String(text.to_owned()));
    read.map(Some).map_err(|_| Problem::bad_request("bad-parameter", format!("{name}: is one of {words}")))
}

fn options(query: &Query<'_>) -> Result<ImportOptions, Problem> {
    query.only(&["format", "scope", "mode", "strict", "dry_run", "cat", "rsn", "wildcards", "exceptions", "only", "xml", "job"])?;
    let bad = |name: &str, e: &dyn std::fmt::Display| Problem::bad_request("bad-parameter", format!("{name}: {e}"));
    let subtree = match query.get("scope")? {
        None | Some("exact") => false,
        Some("subtree") => true,
        Some(_) => return Err(bad("scope", &"is exact or subtree")),
    };
    let codes = |name: &str| -> Result<Vec<Code>, Problem> {
        let codes = query.get(name)?.unwrap_or_default().split(',').filter(|code| !code.is_empty());
        codes.map(|code| code.parse::<Code>().map_err(|e| bad(name, &e))).collect()
    };
    let categories = codes("cat")?;
    let reason = query.get("rsn")?.filter(|code| !code.is_empty()).map(|code| code.parse::<Code>().map_err(|e| bad("rsn", &e)));
    Ok(ImportOptions {
        read: ReadOptions {
            format: word::<Format>(query, "format", &Format::names())?,
            subtree,
            attributes: Attributes { categories, reason: reason.transpose()?, ..Attributes::default() },
            wildcards: word::<Wildcards>(query, "wildcards", "refuse, subtree")?.unwrap_or_default(),
            exceptions: word::<Exceptions>(query, "exceptions", "leave-out, only")?.unwrap_or_default(),
            only: codes("only")?,
            xml: query.get("xml")?.unwrap_or_default().parse::<XmlNames>().map_err(|e| bad("xml", &e))?,
            ..ReadOptions::default()
        },
        mode: word::<ImportMode>(query, "mode", "merge, replace")?.unwrap_or(ImportMode::Merge),
        strict: query.flag("strict")?,
        dry_run: query.flag("dry_run")?,
    })
}

/// `POST /v1/admin/lists/{list}/import`
pub(super) async fn import(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ImportReport>, Problem> {
    let id = list_id(&id)?;
    let query = Query::read(query.as_deref());
    let options = options(&query)?;
    let packed = Packed::of(&headers)?;
    let (admin, by) = (admin(&shared)?, caller.by());
    let limit = admin.max_import;
    let running = query.get("job")?.map(|name| shared.jobs.begin(&caller.who.account, name)).transpose()?;
    let (pump, pieces) = bodies::import(limit, shared.app.options.body_stall);
    // When the client goes away only what waits for this here ends. The job is therefore with the work, and ends when that has.
    let work = blocking(move || {
        let job = running.as_ref().map_or_else(Arc::default, |running| running.0.clone());
        let result = pieces.unpacked(packed, limit).map_err(PublishError::from).and_then(|inner| {
            let mut reader = Counted { inner, octets: &job.octets };
            admin.publisher.import_watched(&id, &mut reader, &options, by, &job.progress)
        });
        let result = result.map(Json).map_err(|e| match met_in_body(&e) {
            Some(cut) => bodies::cut(cut, limit),
            None => refused(&shared, &e),
        });
        job.ended(&result);
        result
    });
    match tokio::join!(pump.run(body), work) {
        // What was wrong with the body explains what the reader met.
        (Err(e), Ok(Err(_))) => Err(bodies::cut(e, limit)),
        (_, done) => done?,
    }
}

/// Counts what is read.
struct Counted<'a> {
    inner: Box<dyn BufRead + Send>,
    octets: &'a AtomicU64,
}

impl Read for Counted<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(into)?;
        self.octets.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

impl BufRead for Counted<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.octets.fetch_add(count as u64, Ordering::Relaxed);
        self.inner.consume(count);
    }
}

/// What the reader met in the body, if that is what went wrong.
fn met_in_body(error: &PublishError) -> Option<bodies::Cut> {
    match error {
        PublishError::Io(e) | PublishError::Read(crate::formats::ReadError::Io(e)) => bodies::cut_inside(e),
        _ => None,
    }
}

/// `GET /v1/admin/lists/{list}/export`: canonical lines. If it fails on the way, the body is broken off.
pub(super) async fn export(State(shared): State<Shared>, Path(id): Path<String>) -> Result<Response, Problem> {
    let id = list_id(&id)?;
    let publisher = admin(&shared)?.publisher;
    streamed(&shared, "text/plain; charset=utf-8", move |out| publisher.export(&id, out).map(|_| ())).await
}
