//! `GET /v1/events`: server-sent events (docs/PROTOCOL.md section 12).

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::json;

use crate::feed::{Position, PositionError};

use super::app::Shared;
use super::problem::Problem;
use super::query::Query;
use super::table::{In, Need, Parameter, Route, route, text};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

pub(super) fn routes() -> Vec<Route> {
    let last =
        Parameter { name: "Last-Event-ID", place: In::Header, about: "the id of the last event seen", schema: json!({"type": "string"}) };
    vec![
        route(Method::GET, "/v1/events", "events", Need::Nobody, events)
            .about("Heads and deltas as they are published, as server-sent events.")
            .takes([text("lists", "the lists, each with the serial that is known: a:1041,b; absent: all"), last])
            .gives_raw(200, "events until one side ends", "text/event-stream")
            .problems(&[404, 503]),
    ]
}

/// `GET /v1/events?lists=a:1041,b`
pub(super) async fn events(State(shared): State<Shared>, RawQuery(query): RawQuery, headers: HeaderMap) -> Result<Response, Problem> {
    let refused = |e: PositionError| Problem::bad_request("bad-position", e);
    let query = Query::read(query.as_deref());
    let mut position = Position::parse(query.get("lists")?.unwrap_or_default()).map_err(refused)?;
    if let Some(last) = headers.get(LAST_EVENT_ID).filter(|value| !value.is_empty()) {
        let last = last.to_str().map_err(|_| Problem::bad_request("bad-position", "Last-Event-ID is the id of an event of this server"))?;
        position = position.overridden_by(&Position::parse(last).map_err(refused)?);
    }
    for (list, _) in position.lists() {
        shared.list(list.as_str())?;
    }
    let subscription = shared.app.hub.subscribe(position).ok_or_else(|| {
        Problem::busy("too-many-subscribers", "too many event streams are open; poll the heads, or come back", shared.come_back())
    })?;
    let pieces = stream::unfold(subscription, |mut subscription| async move {
        let piece = subscription.next().await?;
        Some((Ok::<_, Infallible>(piece), subscription))
    });
    let fields = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // Proxies of the nginx family hold events back without it.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok((fields, Body::from_stream(pieces)).into_response())
}
