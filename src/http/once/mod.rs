//! `Idempotency-Key`: a write that is sent again is not done again.
//!
//! Guarantees: for a day after a write was done under a key, the same account sending the same request under it gets the answer of
//! then, and another request under it is refused. That it was done stands in the same journal frame as what was done: after a crash
//! between the two, a retry is told so, and still nothing is done twice. What was refused, or failed, was not done: its key is free.
//!
//! An import is not kept this way, for its body is not held; it may be sent again, for it stages what differs. Nor is what changes
//! nothing when it is done again. How much is kept for an account has a bound ([`room`]).

mod room;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tracing::Instrument as _;

use crate::list::{Digest, Timestamp};
use crate::store::{Record, Store};

use super::admin::{MAX_JSON, blocking, whole};
use super::app::Shared;
use super::caller::Caller;
use super::problem::Problem;

use room::Room;

/// The header field with the key.
pub(super) const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// On an answer of then: `true`.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Longest key, in octets.
const MAX_KEY: usize = 255;
/// Largest answer that is kept, in octets. Of a larger one only that it was given.
const MAX_ANSWER: usize = 256 << 10;
/// For how long, in seconds.
const KEPT: u64 = 24 * 3600;
/// Keys looked at in a step of a sweep: as many answers may be read at once.
const STEP: usize = 100;
/// Writes from the beginning of a sweep to that of the next one.
const EVERY: u64 = 256;
/// Where they are kept in the store.
const TABLE: &str = "idempotency";

/// What is kept of a write.
#[derive(Debug, Serialize, Deserialize)]
struct Done {
    at: Timestamp,
    /// Of method, path, query and body.
    request: Digest,
    /// None: the frame of what was done was written, and nothing after it.
    answer: Option<Answer>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    status: u16,
    fields: Vec<(String, String)>,
    body: String,
}

/// Writes under a key that are being done, what is kept for whom, and how far the keys were looked through.
#[derive(Debug, Default)]
pub(super) struct InProgress {
    keys: Mutex<HashSet<String>>,
    room: Room,
    sweep: Mutex<Sweep>,
}

impl InProgress {
    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A sweep forgets keys whose day is over; with each write it goes a step on, from the first key to the last.
#[derive(Debug, Default)]
struct Sweep {
    writes: u64,
    /// Behind which key it goes on; none: it has come to the end.
    after: Option<String>,
}

/// The turn of a key; others wait for none, they are turned away.
struct Turn {
    shared: Shared,
    key: String,
}

impl Turn {
    fn take(shared: &Shared, key: &str) -> Option<Turn> {
        shared.in_progress.lock().insert(key.to_owned()).then(|| Turn { shared: shared.clone(), key: key.to_owned() })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.shared.in_progress.lock().remove(&self.key);
    }
}

/// Does a write once for each key.
pub(super) async fn once(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    match keyed(&shared, request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn keyed(shared: &Shared, mut request: Request, next: Next) -> Result<Response, Problem> {
    let mut fields = request.headers().get_all(KEY).iter();
    let Some(key) = fields.next() else { return Ok(next.run(request).await) };
    let graphic = key.len() <= MAX_KEY && !key.is_empty() && key.as_bytes().iter().all(|c| matches!(c, 0x20..=0x7e));
    if !graphic || fields.next().is_some() {
        return Err(Problem::bad_request("bad-idempotency-key", format!("Idempotency-Key is once 1 to {MAX_KEY} visible characters")));
    }
    let (Some(admin), Some(caller)) = (shared.app.admin.clone(), request.extensions().get::<Caller>().cloned()) else {
        return Err(Problem::internal("this call does not know who makes it"));
    };
    // Under its digest, so that no key, which may say more than it should, is kept.
    let key = Digest::of([caller.who.account.as_bytes(), b"\0", key.as_bytes()].concat()).hex();
    let (parts, body) = request.into_parts();
    let body = whole(shared, body, MAX_JSON).await?;
    // Not the whole URI: in HTTP/2 it has scheme and host as well, and a retry may come by another version than the request.
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let digest = Digest::of([parts.method.as_str().as_bytes(), b" ", target.as_bytes(), b"\n", &body].concat());
    request = Request::from_parts(parts, Body::from(body));

    let Some(turn) = Turn::take(shared, &key) else {
        let detail = "a request under this Idempotency-Key is being done; ask again when it has been answered";
        return Err(Problem::new(StatusCode::CONFLICT, "idempotency-in-progress", "In progress", detail));
    };
    // It goes on when the client goes away: its turn must not end before what was begun has.
    let work = in_turn(turn, admin.store, caller, digest, request, next).instrument(tracing::Span::current());
    tokio::spawn(work).await.unwrap_or_else(|_| Err(Problem::internal("the publisher failed at this; the log says where")))
}

async fn in_turn(
    turn: Turn,
    store: Arc<Store>,
    caller: Caller,
    digest: Digest,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (shared, key) = (&turn.shared, &turn.key);
    let now = shared.app.clock.now();
    let (looked, named) = (store.clone(), key.clone());
    let before = blocking(move || looked.document(TABLE, &named)).await?.map_err(|_| Problem::internal("the store cannot be read"))?;
    let before = before.and_then(|value| serde_json::from_value::<Done>(value).ok());
    if let Some(done) = before.filter(|done| now.unix().saturating_sub(done.at.unix()) < KEPT) {
        return replayed(done, &digest);
    }
    let room = shared.in_progress.room.take(&caller.who.account, now, shared.app.options.max_keys);
    let place = room.map_err(|seconds| used_up(shared.app.options.max_keys, seconds))?;
    let done = |answer| record(key, Some(&Done { at: now, request: digest, answer }));
    request.extensions_mut().insert(Caller { once: Some(done(None)), ..caller });
    let response = next.run(request).await;
    if !response.status().is_success() {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.map_err(|_| Problem::internal("the answer could not be written"))?;
    let answer = answer_of(parts.status, &parts.headers, &body);
    let has_room = place.keep(answer.as_ref().map_or(0, |answer| answer.body.len()));
    let kept = done(answer.filter(|_| has_room));
    // It is done and answered; that the answer cannot be kept must not say otherwise.
    let sweeper = shared.clone();
    let written = blocking(move || {
        store.commit(&kept)?;
        // Who finds it taken leaves the step to the one who has it.
        if let Ok(mut sweep) = sweeper.in_progress.sweep.try_lock() {
            sweep.step(&store, now);
        }
        Ok::<_, crate::store::StoreError>(())
    })
    .await;
    if !matches!(written, Ok(Ok(()))) {
        tracing::warn!("an answer could not be kept for its idempotency key");
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn used_up(most: usize, seconds: u64) -> Problem {
    let detail = format!("your account has used {most} Idempotency-Keys within 24 hours; send this without one, or come back later");
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-keys", "Too many keys", detail)
        .with(header::RETRY_AFTER, HeaderValue::from(seconds))
}

fn record(key: &str, done: Option<&Done>) -> Record {
    let value = done.map(|done| serde_json::to_value(done).expect("text and numbers are always JSON"));
    Record::Document { table: TABLE.into(), key: key.into(), value }
}

fn answer_of(status: StatusCode, headers: &axum::http::HeaderMap, body: &Bytes) -> Option<Answer> {
    let field = |name: HeaderName| Some((name.as_str().to_owned(), headers.get(&name)?.to_str().ok()?.to_owned()));
    let fields = [header::CONTENT_TYPE, header::LOCATION, header::ETAG].into_iter().filter_map(field).collect();
    let body = std::str::from_utf8(body).ok().filter(|body| body.len() <= MAX_ANSWER)?.to_owned();
    Some(Answer { status: status.as_u16(), fields, body })
}

fn replayed(done: Done, request: &Digest) -> Result<Response, Problem> {
    if done.request != *request {
        let detail = "this Idempotency-Key was used for another request; use a new one for each";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-mismatch", "Used before", detail));
    }
    let Some(answer) = done.answer else {
        let detail = "this was done, but its answer was not kept; look at what there is now";
        return Err(Problem::new(StatusCode::CONFLICT, "idempotency-answer-lost", "Done before", detail));
    };
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = (status, answer.body).into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    for (name, value) in answer.fields {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

impl Sweep {
    fn step(&mut self, store: &Store, now: Timestamp) {
        if self.writes.is_multiple_of(EVERY) && self.after.is_none() {
            self.after = Some(String::new());
        }
        self.writes += 1;
        let Some(after) = self.after.take() else { return };
        let Ok(looked_at) = store.documents(TABLE, &after, STEP) else { return };
        self.after = looked_at.last().map(|(key, _)| key.clone());
        let over = looked_at.into_iter().filter(|(_, value)| {
            let at = serde_json::from_value::<Done>(value.clone()).map(|done| done.at.unix());
            at.is_ok_and(|at| now.unix().saturating_sub(at) >= KEPT)
        });
        let records: Vec<Record> = over.map(|(key, _)| record(&key, None)).collect();
        if !records.is_empty() && store.commit(&Record::All { records }).is_err() {
            tracing::warn!("old idempotency keys could not be removed");
        }
    }
}
