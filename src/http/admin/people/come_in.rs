//! Coming in and going out: name and password for a session in a cookie, and the set-up token that makes a password.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::http::app::Shared;
use crate::http::caller::Caller;
use crate::http::cookie;
use crate::http::problem::Problem;
use crate::http::server::Remote;
use crate::http::table::{Need, Route, route};
use crate::list::Timestamp;
use crate::people::{Grants, LogIn, SessionMade};

use super::super::bodies::json;
use super::{address, with_people};

pub(super) fn routes() -> Vec<Route> {
    vec![
        route(Method::POST, "/v1/admin/login", "logIn", Need::Nobody, log_in)
            .secret()
            .about("Begins a session, in a cookie.")
            .body::<LogIn>()
            .gives::<LoggedIn>(200, "who came in, and what the page must send along")
            .problems(&[401, 429, 503]),
        route(Method::POST, "/v1/admin/logout", "logOut", Need::Account, log_out)
            .repeatable()
            .about("Ends the session of the cookie, if there is one.")
            .gives_nothing(204, "it has ended"),
        route(Method::POST, "/v1/admin/setup", "setUp", Need::Nobody, set_up)
            .secret()
            .about("Sets the password of the account for which the set-up token was made.")
            .body::<SetUp>()
            .gives::<SetUpDone>(200, "whose password it is")
            .problems(&[401, 429, 503]),
    ]
}

/// A session that has just begun; its cookie stands in the header.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct LoggedIn {
    account: String,
    grants: Grants,
    /// For the header `bwld-csrf` of every call that is not GET.
    csrf: String,
    /// When it ends at the latest.
    expires: Timestamp,
}

/// A password to set.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SetUp {
    /// The set-up token.
    token: String,
    /// At least 12 characters.
    password: String,
}

/// Whose password was set.
#[derive(Serialize, ToSchema)]
struct SetUpDone {
    account: String,
}

/// The answer to one who came in.
pub(in crate::http) fn session(made: SessionMade) -> Result<Response, Problem> {
    let set = cookie::set(&made.id)?;
    let body = LoggedIn { account: made.who.account, grants: made.who.grants, csrf: made.csrf, expires: made.expires };
    let mut response = Json(body).into_response();
    response.headers_mut().insert(header::SET_COOKIE, set);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn log_in(State(shared): State<Shared>, remote: Option<Extension<Remote>>, body: Body) -> Result<Response, Problem> {
    let offered: LogIn = json(&shared, body).await?;
    let from = address(remote);
    session(with_people(&shared, move |people| people.log_in(&offered, from)).await?)
}

async fn log_out(State(shared): State<Shared>, caller: Caller, headers: HeaderMap) -> Result<Response, Problem> {
    if let Some(id) = cookie::session(&headers) {
        let id = Zeroizing::new(id.to_owned());
        with_people(&shared, move |people| people.log_out(&id, caller.by())).await?;
    }
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie::GONE)]).into_response())
}

async fn set_up(State(shared): State<Shared>, remote: Option<Extension<Remote>>, body: Body) -> Result<Json<SetUpDone>, Problem> {
    let SetUp { token, password } = json(&shared, body).await?;
    let (from, token, password) = (address(remote), Zeroizing::new(token), Zeroizing::new(password));
    let account = with_people(&shared, move |people| people.set_up(&token, &password, from)).await?;
    Ok(Json(SetUpDone { account }))
}
