//! Entries as files, with all that those who administer them know; made while the client takes them.

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};

use crate::desk::{DeskError, ExportForm};

use super::super::super::app::Shared;
use super::super::super::body::{Outlet, Unwritten, written};
use super::super::super::caller::Caller;
use super::super::super::export::{busy, stream};
use super::super::super::problem::Problem;
use super::super::super::spans::coding;
use super::super::super::table::{Need, READERS, Route, route};
use super::super::admin;
use super::find::{filters, of_caller, read_search};
use super::problem;

const NDJSON: &str = "application/x-ndjson";
const CSV: &str = "text/csv";

pub(super) fn routes() -> Vec<Route> {
    let read = Need::Some(READERS);
    vec![
        route(Method::GET, "/v1/admin/entries.ndjson", "exportEntriesNdjson", read, ndjson)
            .about("The entries that a search finds, a JSON object a line, with who proposed and approved them, dates, reasons and law.")
            .takes(filters())
            .gives_raw(200, "the entries, each ended by LF", NDJSON)
            .problems(&[404, 406, 422]),
        route(Method::GET, "/v1/admin/entries.csv", "exportEntriesCsv", read, csv)
            .about("The same as comma-separated values with a line of names; a cell that might be a formula begins with an apostrophe.")
            .takes(filters())
            .gives_raw(200, "the entries, each ended by CR LF", CSV)
            .problems(&[404, 406, 422]),
    ]
}

async fn ndjson(State(shared): State<Shared>, caller: Caller, RawQuery(query): RawQuery, headers: HeaderMap) -> Result<Response, Problem> {
    export(&shared, caller, query.as_deref(), &headers, ExportForm::Ndjson).await
}

async fn csv(State(shared): State<Shared>, caller: Caller, RawQuery(query): RawQuery, headers: HeaderMap) -> Result<Response, Problem> {
    export(&shared, caller, query.as_deref(), &headers, ExportForm::Csv).await
}

async fn export(shared: &Shared, caller: Caller, query: Option<&str>, headers: &HeaderMap, form: ExportForm) -> Result<Response, Problem> {
    let search = read_search(query, &caller, &filters())?;
    let coding = coding(headers)?;
    let permit = shared.app.options.exports.permit_for_operators().ok_or_else(|| busy(shared))?;
    let desk = admin(shared)?.desk;
    let work = move |outlet: &mut Outlet| {
        let _permit = permit;
        let search = of_caller(&desk, &caller, search)?;
        stream::coded(coding, outlet, |out| desk.export(&search, form, out).map(|_| ()))
    };
    let (kind, name) = match form {
        ExportForm::Ndjson => (NDJSON, "attachment; filename=\"entries.ndjson\""),
        ExportForm::Csv => ("text/csv; charset=utf-8; header=present", "attachment; filename=\"entries.csv\""),
    };
    let fields: [(HeaderName, &'static str); 4] = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_DISPOSITION, name),
        (header::VARY, "accept-encoding"),
        // A browser is not to find a page of its own in what somebody wrote.
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let coded = coding.name().map(|name| (header::CONTENT_ENCODING, name));
    // Lines are small: they are gathered.
    match written::<DeskError>(stream::worth(coding).max(64 << 10), work).await {
        Ok(body) => {
            let mut response = body.into_response();
            response.headers_mut().extend(fields.map(|(name, value)| (name, HeaderValue::from_static(value))));
            response.headers_mut().extend(coded);
            Ok(response)
        }
        Err(Unwritten::Refused(error)) => Err(problem(shared, error)),
        Err(Unwritten::Panicked) => Err(Problem::internal("the export failed; the log says where")),
    }
}
