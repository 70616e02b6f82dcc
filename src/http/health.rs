//! `/healthz`, `/readyz`, `/metrics`.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::list::ListId;

use super::app::Shared;
use super::problem::Problem;
use super::table::{Need, Route, route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        route(Method::GET, "/healthz", "alive", Need::Nobody, alive).about("The process answers.").gives_raw(200, "it does", "text/plain"),
        route(Method::GET, "/readyz", "ready", Need::Nobody, ready)
            .about("Whether requests should be sent here.")
            .gives::<Ready>(200, "they should")
            .gives::<Ready>(503, "they should go elsewhere"),
        route(Method::GET, "/metrics", "metrics", Need::Nobody, metrics).about("Everything that is counted.").gives_raw(
            200,
            "OpenMetrics text",
            "application/openmetrics-text",
        ),
    ]
}

/// What `/readyz` says.
#[derive(Serialize, ToSchema)]
struct Ready {
    ready: bool,
    lists: usize,
    reasons: Vec<String>,
    /// Lists that are not served, and why: the others are.
    #[schema(value_type = Vec<Vec<String>>)]
    out_of_service: Vec<(ListId, String)>,
    /// Why a restart is advised, although everything is served.
    degraded: Option<String>,
}

/// The process answers.
pub(super) async fn alive() -> Response {
    ([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], "alive\n").into_response()
}

/// Whether requests should be sent here.
pub(super) async fn ready(State(shared): State<Shared>) -> Response {
    let reasons = shared.app.not_ready();
    let (out_of_service, degraded) = match shared.app.admin.clone() {
        // What lies on the disk is asked for; nobody who changes a list is waited for, since anybody may ask this.
        Some(admin) => {
            tokio::task::spawn_blocking(move || (admin.publisher.out_of_service(), admin.store.degraded())).await.unwrap_or_default()
        }
        None => Default::default(),
    };
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let answer = Ready { ready: reasons.is_empty(), lists: shared.app.hub.catalog().all().len(), reasons, out_of_service, degraded };
    (status, [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(answer)).into_response()
}

/// Everything that is counted.
pub(super) async fn metrics(State(shared): State<Shared>) -> Result<Response, Problem> {
    // Writing them takes a while, and waits for nobody.
    let work = shared.clone();
    let written = tokio::task::spawn_blocking(move || work.metrics.encode(&work.app)).await;
    let text = written.unwrap_or(Err(std::fmt::Error)).map_err(|_| Problem::internal("the metrics could not be written"))?;
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}
