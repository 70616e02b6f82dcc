//! Published lists in the formats of filters, and minisign signatures over them.
//!
//! Guarantees: an export is made while it is sent, in constant memory; the same version, format and parameters give the same
//! octets and the same tag; one that would be empty is refused unless it is asked for. At most a stated number are made at a
//! time for anybody, and a few more for those who have an account. It decides nothing about what a format can say: that is `formats::write`.

mod lines;
mod sign;
pub(super) mod stream;

use std::io::Write;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::formats::write::{ExportError, ExportFormat, ExportHeader, ExportOptions, export, list_left_out};
use crate::list::{Code, Digest, Timestamp};
use crate::store::PublishedList;

use super::accept::Coding;
use super::app::{Inner, Shared};
use super::body::{Outlet, Unwritten, written};
use super::problem::Problem;
use super::public::header_value;
use super::query::Query;
use super::range::none_match;
use super::spans::{built, coding};
use super::table::{Need, Route, flag, number, parameter, route, text};

use lines::Passes;
pub use sign::Exports;

/// Most categories that a query may name.
const MAX_CODES: usize = 64;
const PARAMETERS: [&str; 8] = ["categories", "age", "limit", "priority", "spellings", "name", "empty", "report"];

pub(super) fn routes() -> Vec<Route> {
    let any = "application/octet-stream";
    vec![
        route(Method::GET, "/v1/lists/{list}/export/{format}", "export", Need::Nobody, one)
            .about("The newest version in the format of a filter; with .minisig behind the format, the signature over it.")
            .takes([
                text("categories", "categories, joined by commas: entries of one of them, and those of none"),
                number("age", "age in years of those who ask", 0, 255),
                number("limit", "most rules of the format", 1, u64::MAX >> 1),
                text("priority", "categories in the order in which they fill the limit, joined by commas"),
                parameter("spellings", "URLs may match in other spellings", serde_json::json!({"enum": ["exact", "any"]})),
                text("name", "the name of the set, zone or group"),
                parameter("empty", "serve it even if it is empty", serde_json::json!({"enum": ["refuse", "ok"]})),
                flag("report", "what is left out, as NDJSON, in place of the export"),
            ])
            .gives_raw(200, "the export", any)
            .gives_nothing(304, "the tag is that of what is there")
            .problems(&[404, 406, 409, 422, 503]),
        route(Method::GET, "/v1/minisign.pub", "minisignKey", Need::Nobody, sign::public_key)
            .about("The public key of the signatures over exports, for minisign.")
            .gives_raw(200, "the key", "text/plain")
            .problems(&[404]),
    ]
}

/// What is asked for.
#[derive(Clone)]
struct Asked {
    list: Arc<PublishedList>,
    format: ExportFormat,
    header: ExportHeader,
    options: ExportOptions,
    report: bool,
    /// Names the octets: version, format, parameters.
    tag: String,
}

/// `GET /v1/lists/{list}/export/{format}`
async fn one(
    State(shared): State<Shared>,
    method: Method,
    Path((id, format)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (format, signature) = match format.strip_suffix(".minisig") {
        Some(format) => (format, true),
        None => (format.as_str(), false),
    };
    let format = format.parse().map_err(|e: crate::formats::write::NoSuchFormat| Problem::not_found("unknown-format", e.to_string()))?;
    let asked = Asked::read(&shared, &id, format, &Query::read(query.as_deref()))?;
    if signature { sign::signature(&shared, &headers, asked).await } else { answer(&shared, &method, &headers, asked).await }
}

impl Asked {
    fn read(shared: &Inner, id: &str, format: ExportFormat, query: &Query<'_>) -> Result<Asked, Problem> {
        query.only(&PARAMETERS)?;
        let list = shared.list(id)?;
        let words = |name: &'static str, usual: &str, other: &str| match query.get(name)? {
            None => Ok(false),
            Some(word) if word == usual => Ok(false),
            Some(word) if word == other => Ok(true),
            Some(_) => Err(Problem::bad_request("bad-parameter", format!("{name}: is {usual} or {other}"))),
        };
        let limit = query.parsed::<u64>("limit")?;
        if limit == Some(0) {
            return Err(Problem::bad_request("bad-parameter", "limit: is 1 at least"));
        }
        let options = ExportOptions {
            categories: codes(query, "categories")?,
            age: query.parsed("age")?,
            limit,
            priority: codes(query, "priority")?,
            any_spelling: words("spellings", "exact", "any")?,
            refuse_empty: !words("empty", "refuse", "ok")?,
            name: query.get("name")?.map(str::to_owned),
        };
        let header = header_of(&list);
        let report = query.flag("report")?;
        // Whether an empty one is refused changes no octet of one that is not.
        let parameters = ExportOptions { refuse_empty: false, ..options.clone() };
        let text = format!("1 {format} {report} {} {header:?} {parameters:?}", list.head.root.digest);
        let tag = format!("{}-{}", header.serial, &Digest::of(text).hex()[..24]);
        Ok(Asked { list, format, header, options, report, tag })
    }

    /// Writes it, or what it leaves out.
    fn write(&self, artefacts: &crate::store::Artefacts, out: &mut dyn Write) -> Result<(), ExportError> {
        let lines = Passes::open(self.list.clone(), artefacts);
        let mut lines = lines.map_err(|e| ExportError::Io(std::io::Error::other(e)))?;
        if self.report {
            let options = ExportOptions { refuse_empty: false, ..self.options.clone() };
            list_left_out(self.format, &options, &self.header, &mut lines, out)?;
        } else {
            export(self.format, &self.options, &self.header, &mut lines, out)?;
        }
        Ok(())
    }
}

fn codes(query: &Query<'_>, name: &'static str) -> Result<Vec<Code>, Problem> {
    let bad = |e: String| Problem::bad_request("bad-parameter", format!("{name}: {e}"));
    let words: Vec<&str> = query.get(name)?.unwrap_or_default().split(',').filter(|code| !code.is_empty()).collect();
    if words.len() > MAX_CODES {
        return Err(bad(format!("at most {MAX_CODES} categories")));
    }
    words.into_iter().map(|code| code.parse::<Code>().map_err(|e| bad(e.to_string()))).collect()
}

fn header_of(list: &PublishedList) -> ExportHeader {
    ExportHeader {
        origin: Some(list.head.origin.clone()),
        list: list.meta.id.clone(),
        colour: list.meta.colour,
        title: list.meta.title.clone(),
        owner: list.meta.owner.clone(),
        licence: list.meta.licence.clone(),
        source: list.meta.source.clone(),
        serial: list.head.serial,
        updated: list.updated,
        entries: list.head.entries,
    }
}

async fn answer(shared: &Inner, method: &Method, headers: &HeaderMap, asked: Asked) -> Result<Response, Problem> {
    let coding = coding(headers)?;
    let tag = header_value(&match coding {
        Coding::Identity => format!("\"{}\"", asked.tag),
        Coding::Gzip => format!("\"{}-gzip\"", asked.tag),
        Coding::Zstd => format!("\"{}-zstd\"", asked.tag),
    })?;
    let signature = format!("</v1/lists/{}/export/{}.minisig>; rel=\"signature\"", asked.header.list, asked.format);
    let fields = Response::builder()
        .header(header::ETAG, &tag)
        .header(header::CACHE_CONTROL, header_value(&shared.poll_later())?)
        .header(header::VARY, "accept-encoding")
        .header(header::LAST_MODIFIED, http_date(asked.header.updated)?);
    if none_match(headers, &tag) {
        return built(fields.status(StatusCode::NOT_MODIFIED), Body::empty());
    }
    let name =
        if asked.report { format!("{}.left-out.ndjson", asked.header.list) } else { asked.format.file_name(asked.header.list.as_str()) };
    let kind = if asked.report { "application/x-ndjson" } else { asked.format.media_type() };
    let mut fields = fields
        .header(header::CONTENT_TYPE, kind)
        .header(header::CONTENT_DISPOSITION, header_value(&format!("inline; filename=\"{name}\""))?)
        .header(header::LINK, header_value(&signature)?);
    if let Some(coding) = coding.name() {
        fields = fields.header(header::CONTENT_ENCODING, coding);
    }
    if method == Method::HEAD {
        return built(fields, Body::empty());
    }
    let permit = shared.app.options.exports.permit().ok_or_else(|| busy(shared))?;
    let artefacts = shared.app.hub.deltas().artefacts().clone();
    let work = move |outlet: &mut Outlet| {
        let _permit = permit;
        stream::coded(coding, outlet, |out| asked.write(&artefacts, out))
    };
    match written(stream::worth(coding), work).await {
        Ok(body) => built(fields, body),
        Err(Unwritten::Refused(error)) => Err(refused(error)),
        Err(Unwritten::Panicked) => Err(Problem::internal("the export failed; the log says where")),
    }
}

pub(super) fn busy(shared: &Inner) -> Problem {
    Problem::busy("too-many-exports", "too many exports are being made; come back later", shared.come_back())
}

/// Why there is no export, as a problem.
fn refused(error: ExportError) -> Problem {
    match &error {
        ExportError::Empty { .. } => {
            let detail = format!("{error}; add empty=ok if that is what you want");
            Problem::new(StatusCode::CONFLICT, "empty-export", "Nothing would be in it", detail)
        }
        ExportError::TooMany { .. } => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "too-many-rules", "Too many for this format", error.to_string())
        }
        ExportError::Name(_) => Problem::bad_request("bad-parameter", error),
        ExportError::Io(cause) => {
            tracing::error!(error = %cause, "an export could not be made; run check");
            Problem::internal("the list cannot be read; ask another address")
        }
    }
}

/// A date as in RFC 9110 section 5.6.7.
fn http_date(at: Timestamp) -> Result<HeaderValue, Problem> {
    let form = format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    let seconds = i64::try_from(at.unix()).unwrap_or_default();
    let text = OffsetDateTime::from_unix_timestamp(seconds).ok().and_then(|at| at.format(form).ok());
    header_value(&text.ok_or_else(|| Problem::internal("a time could not be written"))?)
}
