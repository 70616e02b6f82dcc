//! What is offered: lists, key sets, heads.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::list::{Code, Colour, Digest, ListId, Origin, Serial, Timestamp};
use crate::store::PublishedList;
use crate::wire::{KeySet, MAX_KEYSET, Note};

use super::app::Shared;
use super::problem::Problem;
use super::query::Query;
use super::range::none_match;
use super::spans::{self, IMMUTABLE};
use super::table::{MAX_SERIAL, Need, Route, number, route};

/// Longest wait of a long poll, in seconds (docs/PROTOCOL.md section 11).
const MAX_WAIT: u64 = 60;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

pub(super) fn routes() -> Vec<Route> {
    vec![
        route(Method::GET, "/v1/lists", "offered", Need::Nobody, lists)
            .about("The lists that are published here.")
            .gives::<Offer<'static>>(200, "the lists"),
        route(Method::GET, "/v1/keyset", "newestKeySet", Need::Nobody, newest_keyset).about("The key set in force.").gives_raw(
            200,
            "the signed note",
            "text/plain",
        ),
        route(Method::GET, "/v1/keyset/{n}", "keySet", Need::Nobody, keyset)
            .about("A key set by its number.")
            .gives_raw(200, "the signed note", "text/plain")
            .problems(&[404]),
        route(Method::GET, "/v1/lists/{list}/head", "head", Need::Nobody, head)
            .about("The newest head of a list; with `wait`, the next one, should it come in time.")
            .takes([
                number("wait", "seconds to wait for a newer one", 0, MAX_WAIT),
                number("after", "the serial that is known", 1, MAX_SERIAL),
            ])
            .gives_raw(200, "the signed note", "text/plain")
            .gives_nothing(304, "nothing newer")
            .problems(&[404, 503]),
    ]
}

/// The answer to `GET /v1/lists`.
#[derive(Serialize, ToSchema)]
struct Offer<'a> {
    #[schema(value_type = Option<Origin>)]
    origin: Option<&'a Origin>,
    keyset: Option<u64>,
    fingerprint: Option<Digest>,
    lists: Vec<Offered<'a>>,
}

#[derive(Serialize, ToSchema)]
struct Offered<'a> {
    #[schema(value_type = ListId)]
    id: &'a ListId,
    colour: Colour,
    title: &'a str,
    #[schema(value_type = Vec<Code>)]
    categories: &'a [Code],
    owner: &'a str,
    licence: &'a str,
    source: &'a str,
    serial: Serial,
    entries: u64,
    updated: Timestamp,
}

/// `GET /v1/lists`
pub(super) async fn lists(State(shared): State<Shared>, headers: HeaderMap) -> Result<Response, Problem> {
    let catalog = shared.app.hub.catalog();
    let keyset = catalog.keyset(None).and_then(|(_, note)| read_keyset(&note));
    let all = catalog.all();
    let lists = all.iter().map(|list| Offered {
        id: &list.meta.id,
        colour: list.meta.colour,
        title: &list.meta.title,
        categories: &list.meta.categories,
        owner: &list.meta.owner,
        licence: &list.meta.licence,
        source: &list.meta.source,
        serial: list.head.serial,
        entries: list.head.entries,
        updated: list.updated,
    });
    let offer = Offer {
        origin: keyset.as_ref().map(|k| &k.origin),
        keyset: keyset.as_ref().map(|k| k.number),
        fingerprint: keyset.as_ref().map(KeySet::fingerprint),
        lists: lists.collect(),
    };
    let body = serde_json::to_vec(&offer).map_err(|_| Problem::internal("the lists could not be written as JSON"))?;
    let later = header_value(&shared.poll_later())?;
    spans::small(&headers, body.into(), HeaderValue::from_static("application/json"), later)
}

/// The text of a key set note, read; our own notes are read without fail.
fn read_keyset(note: &str) -> Option<KeySet> {
    KeySet::parse(&Note::parse(note.as_bytes(), MAX_KEYSET).ok()?.text).ok()
}

/// `GET /v1/keyset`
pub(super) async fn newest_keyset(State(shared): State<Shared>, headers: HeaderMap) -> Result<Response, Problem> {
    let (_, note) = shared.app.hub.catalog().keyset(None).ok_or_else(no_keyset)?;
    note_or_304(&headers, &note, &header_value(&shared.poll_later())?)
}

/// `GET /v1/keyset/{n}`
pub(super) async fn keyset(State(shared): State<Shared>, Path(n): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    // A key set's number has the form and the range of a serial.
    let n: Serial = n.parse().map_err(|_| Problem::bad_request("bad-number", "a key set is asked for by its number, from 1"))?;
    let (_, note) = shared.app.hub.catalog().keyset(Some(n.get())).ok_or_else(no_keyset)?;
    note_or_304(&headers, &note, &IMMUTABLE)
}

fn no_keyset() -> Problem {
    Problem::not_found("unknown-keyset", "there is no such key set; GET /v1/keyset gives the newest")
}

/// `GET /v1/lists/{list}/head`
pub(super) async fn head(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let query = Query::read(query.as_deref());
    let wait = query.parsed::<u64>("wait")?.map(|s| Duration::from_secs(s.min(MAX_WAIT)));
    let after = query.parsed::<Serial>("after")?;
    let conditional = headers.contains_key(header::IF_NONE_MATCH);
    let is_news = |list: &PublishedList| match after {
        // The tag says more than the serial: it also changes when the head is signed again.
        _ if conditional => !none_match(&headers, &note_tag(&list.note)),
        Some(after) => list.head.serial > after,
        None => true,
    };
    let list = shared.list(&id)?;
    if is_news(&list) || wait.is_none() {
        let cache = header_value(&shared.poll_later())?;
        return Ok(if is_news(&list) { whole_note(&list.note, &cache) } else { not_modified(&note_tag(&list.note), &cache) });
    }
    let _place =
        shared.app.hub.long_poll().ok_or_else(|| {
            Problem::busy("too-many-long-polls", "too many are waiting here; ask without wait, or later", shared.come_back())
        })?;
    let at_most = wait.unwrap_or_default();
    Ok(match shared.app.hub.wait(&list.meta.id, at_most, is_news).await {
        Some(news) => whole_note(&news.note, &NO_STORE),
        None => not_modified(&note_tag(&list.note), &NO_STORE),
    })
}

/// The entity tag of a note: of the bytes, so that a head that was signed again has another.
fn note_tag(note: &str) -> HeaderValue {
    let tag = format!("\"{}\"", &Digest::of(note).hex()[..24]);
    HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"\""))
}

fn whole_note(note: &Arc<str>, cache: &HeaderValue) -> Response {
    let fields: [(HeaderName, HeaderValue); 3] =
        [(header::CONTENT_TYPE, TEXT), (header::ETAG, note_tag(note)), (header::CACHE_CONTROL, cache.clone())];
    (fields, note.to_string()).into_response()
}

fn not_modified(tag: &HeaderValue, cache: &HeaderValue) -> Response {
    (StatusCode::NOT_MODIFIED, [(header::ETAG, tag.clone()), (header::CACHE_CONTROL, cache.clone())]).into_response()
}

fn note_or_304(headers: &HeaderMap, note: &Arc<str>, cache: &HeaderValue) -> Result<Response, Problem> {
    let tag = note_tag(note);
    Ok(if none_match(headers, &tag) { not_modified(&tag, cache) } else { whole_note(note, cache) })
}

/// A field value that this server made itself.
pub(super) fn header_value(text: &str) -> Result<HeaderValue, Problem> {
    HeaderValue::from_str(text).map_err(|_| Problem::internal("a header field could not be written"))
}
