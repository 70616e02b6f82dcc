//! The audit chain as its auditors read it: page by page, or whole as the lines that `bwld audit verify` verifies.

use std::io::Write as _;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::Method;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::publisher::PublishError;
use crate::store::StoreError;
use crate::wire::{AuditLine, AuditTip};

use super::super::app::Shared;
use super::super::body::Outlet;
use super::super::problem::Problem;
use super::super::query::Query;
use super::super::table::{AUDITORS, MAX_SERIAL, Need, Route, number, route};
use super::outlet::streamed;
use super::{admin, blocking, refused};

/// Lines of a page when nothing else is asked for, and at most.
const LINES: (usize, usize) = (100, 1_000);

/// A page of the audit chain, newest first.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AuditPage {
    /// The newest line of all.
    pub tip: Option<AuditTip>,
    /// Lines.
    pub lines: Vec<AuditLine>,
    /// Ask with `before=` this for the next page.
    pub next: Option<u64>,
}

pub(super) fn routes() -> Vec<Route> {
    let read = Need::All(AUDITORS);
    vec![
        route(Method::GET, "/v1/admin/audit", "showAudit", read, page)
            .tagged()
            .about("Who did what, when, from where and why, newest first.")
            .takes([
                number("before", "only lines before this number", 1, MAX_SERIAL),
                number("limit", "lines in a page", 1, LINES.1 as u64),
            ])
            .gives::<AuditPage>(200, "a page of the chain"),
        route(Method::GET, "/v1/admin/audit/export", "exportAudit", read, export)
            .about("The lines of the audit chain as they are chained, oldest first.")
            .takes([number("from", "from this number on", 1, MAX_SERIAL)])
            .gives_raw(200, "the lines, each ended by LF", "application/x-ndjson"),
    ]
}

/// A number of a line, from 1.
fn line_number(query: &Query<'_>, name: &str) -> Result<Option<u64>, Problem> {
    Ok(query.parsed::<crate::list::Serial>(name)?.map(crate::list::Serial::get))
}

/// `GET /v1/admin/audit?before=N&limit=N`
async fn page(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Result<Json<AuditPage>, Problem> {
    let query = Query::read(query.as_deref());
    query.only(&["before", "limit"])?;
    let before = line_number(&query, "before")?;
    let limit = query.within("limit", 1, LINES.1)?.unwrap_or(LINES.0);
    let store = admin(&shared)?.store;
    let read = blocking(move || Ok((store.act_tip()?, store.acts(before, limit + 1)?))).await?;
    let (tip, mut lines) = read.map_err(|e| refused(&shared, &PublishError::Store(e)))?;
    let more = lines.len() > limit;
    lines.truncate(limit);
    let next = if more { lines.last().map(|line| line.number) } else { None };
    Ok(Json(AuditPage { tip, lines, next }))
}

/// `GET /v1/admin/audit/export?from=N`
async fn export(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let query = Query::read(query.as_deref());
    query.only(&["from"])?;
    let from = line_number(&query, "from")?.unwrap_or(1);
    let store = admin(&shared)?.store;
    let write = move |out: &mut Outlet| {
        // Nobody is left to be told; the reading ends.
        let gone = |e: std::io::Error| StoreError::Refused { reason: e.to_string() };
        let each = &mut |line: &str| out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n")).map_err(gone);
        Ok(store.each_act(from, each)?)
    };
    streamed(&shared, "application/x-ndjson", write).await
}
