//! `/healthz`, `/readyz`, `/metrics`.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::app::Shared;
use super::problem::Problem;

/// What `/readyz` says.
#[derive(Serialize)]
struct Ready {
    ready: bool,
    lists: usize,
    reasons: Vec<String>,
}

/// The process answers.
pub(super) async fn alive() -> Response {
    ([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], "alive\n").into_response()
}

/// Whether requests should be sent here.
pub(super) async fn ready(State(shared): State<Shared>) -> Response {
    let reasons = shared.app.readiness.reasons();
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let answer = Ready { ready: reasons.is_empty(), lists: shared.app.hub.catalog().all().len(), reasons };
    (status, [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(answer)).into_response()
}

/// Everything that is counted.
pub(super) async fn metrics(State(shared): State<Shared>) -> Result<Response, Problem> {
    let text = shared.metrics.encode(&shared.app).map_err(|_| Problem::internal("the metrics could not be written"))?;
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}
