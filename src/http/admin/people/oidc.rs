//! Log-in by a provider of identities, as two calls: away, and back.

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::http::app::Shared;
use crate::http::cookie;
use crate::http::oidc::{Oidc, OidcError};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::server::Remote;
use crate::http::table::{Need, Route, route, text};

use super::come_in::{LoggedIn, session};
use super::{address, with_people};

/// Keeps a log-in in the browser that has begun it. Lax: it must come along when the provider sends the browser back.
const COOKIE: &str = "__Host-bwld-oidc";

pub(super) fn routes() -> Vec<Route> {
    vec![
        route(Method::GET, "/v1/admin/oidc", "oidcBegin", Need::Nobody, begin)
            .about("Sends the browser to the provider of identities.")
            .gives_nothing(303, "to the provider")
            .problems(&[404, 429, 502]),
        route(Method::GET, "/v1/admin/oidc/return", "oidcReturn", Need::Nobody, end)
            .about("Where the provider sends the browser back to: begins a session.")
            .takes([
                text("code", "what the provider gives for an ID token"),
                text("state", "which log-in this is"),
                text("iss", "the provider (RFC 9207)"),
                text("error", "why there is no code"),
                text("error_description", "the same in words"),
                text("error_uri", "more about it"),
                text("session_state", "of no use here"),
            ])
            .gives::<LoggedIn>(200, "who came in, and what the page must send along")
            .problems(&[401, 404, 429, 502]),
    ]
}

fn problem(error: &OidcError) -> Problem {
    // Who is behind it is not written down, and neither code nor token is in an error.
    tracing::info!(%error, "a log-in by the provider of identities came to nothing");
    match error {
        OidcError::Refused(what) => Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "Not let in", *what),
        _ => {
            let detail = "the provider of identities cannot be asked, or answers wrongly; the log says more";
            Problem::new(StatusCode::BAD_GATEWAY, "bad-provider", "The provider fails", detail)
        }
    }
}

fn oidc(shared: &Shared) -> Result<std::sync::Arc<Oidc>, Problem> {
    let none = || Problem::not_found("no-oidc", "no provider of identities is set up here ([oidc] in the configuration)");
    shared.app.admin.as_ref().and_then(|admin| admin.oidc.clone()).ok_or_else(none)
}

async fn begin(State(shared): State<Shared>, remote: Option<Extension<Remote>>) -> Result<Response, Problem> {
    let oidc = oidc(&shared)?;
    let from = address(remote);
    with_people(&shared, move |people| people.count_request(from)).await?;
    let begun = oidc.begin().await.map_err(|e| problem(&e))?;
    let set = format!("{COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600", begun.state.as_str());
    let value = |text: &str| HeaderValue::from_str(text).map_err(|_| Problem::internal("no such header"));
    let fields = [(header::LOCATION, value(&begun.to)?), (header::SET_COOKIE, value(&set)?), (header::CACHE_CONTROL, value("no-store")?)];
    Ok((StatusCode::SEE_OTHER, fields).into_response())
}

async fn end(
    State(shared): State<Shared>,
    remote: Option<Extension<Remote>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let oidc = oidc(&shared)?;
    let from = address(remote);
    with_people(&shared, move |people| people.count_request(from)).await?;
    let query = Query::read(query.as_deref());
    let (Some(state), Some(code)) = (query.get("state")?, query.get("code")?) else {
        return Err(problem(&OidcError::Refused("the provider has not let you in; begin again")));
    };
    if query.get("iss")?.is_some_and(|issuer| issuer != oidc.issuer()) {
        return Err(problem(&OidcError::Refused("this comes from another provider; begin again")));
    }
    let person = oidc.end(state, cookie::named(&headers, COOKIE), code).await.map_err(|e| problem(&e))?;
    session(with_people(&shared, move |people| people.log_in_by_identity(&person.issuer, &person.subject, from)).await?)
}
