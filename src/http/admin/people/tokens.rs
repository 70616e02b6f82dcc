//! Tokens: an owner of everything makes and revokes any, everybody sees their own. No token makes one.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::app::Shared;
use crate::http::caller::{Caller, forbidden};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::table::{Need, OWNERS, Route, number, route, text};
use crate::people::{NewToken, TokenView, Via};

use super::super::bodies::json;
use super::{PAGE, with_people};

pub(super) fn routes() -> Vec<Route> {
    vec![
        route(Method::GET, "/v1/admin/tokens", "listTokens", Need::Account, all)
            .about("Tokens by prefix: an owner of everything sees all, everybody else their own.")
            .takes([
                text("account", "only tokens of this account"),
                text("after", "only tokens behind this prefix"),
                number("limit", "tokens in a page", 1, PAGE.1 as u64),
            ])
            .gives::<TokenPage>(200, "a page of tokens"),
        route(Method::POST, "/v1/admin/tokens", "createToken", Need::Account, create)
            .secret()
            .about(
                "Makes a token: in a session, an owner of everything for any account, everybody else for themselves. A token makes none.",
            )
            .body::<NewToken>()
            .gives::<TokenSecret>(201, "the token, shown only now"),
        route(Method::DELETE, "/v1/admin/tokens/{token}", "revokeToken", Need::Account, revoke)
            .about("Refuses a token from now on. Named by its prefix; a token can revoke itself.")
            .gives_nothing(204, "it is gone"),
    ]
}

/// Tokens.
#[derive(Serialize, ToSchema)]
struct TokenPage {
    tokens: Vec<TokenView>,
    /// `after` of the next page; absent: this is the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A token that was just made.
#[derive(Serialize, ToSchema)]
struct TokenSecret {
    /// The token itself.
    token: String,
    /// As it is shown from now on.
    #[serde(flatten)]
    view: TokenView,
}

async fn all(State(shared): State<Shared>, caller: Caller, RawQuery(query): RawQuery) -> Result<Json<TokenPage>, Problem> {
    let query = Query::read(query.as_deref());
    query.only(&["account", "after", "limit"])?;
    let owner = caller.who.is_everywhere(OWNERS);
    let account = query.get("account")?.map(str::to_owned).or_else(|| (!owner).then(|| caller.who.account.clone()));
    if !owner && account.as_deref() != Some(&*caller.who.account) {
        return Err(forbidden());
    }
    let after = query.get("after")?.unwrap_or_default().to_owned();
    let limit = query.within("limit", 1, PAGE.1)?.unwrap_or(PAGE.0);
    let mut tokens = super::super::admin(&shared)?.people.tokens(account.as_deref(), &after, limit + 1);
    let next = (tokens.len() > limit).then(|| tokens[limit - 1].prefix.clone());
    tokens.truncate(limit);
    Ok(Json(TokenPage { tokens, next }))
}

async fn create(State(shared): State<Shared>, caller: Caller, body: Body) -> Result<Response, Problem> {
    let new: NewToken = json(&shared, body).await?;
    match caller.who.via {
        // A token that makes tokens would outlive its own end, and could do more than it may itself.
        Via::Token(_) => {
            let detail = "a token makes no tokens; make it in a session, or with the operator's token of the data folder";
            return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", "Not by a token", detail));
        }
        Via::Session if new.account == caller.who.account => {}
        Via::Session | Via::Operator if caller.who.is_everywhere(OWNERS) => {}
        Via::Session | Via::Operator => return Err(forbidden()),
    }
    let made = with_people(&shared, move |people| people.create_token(new, caller.by())).await?;
    Ok((StatusCode::CREATED, Json(TokenSecret { token: made.secret.to_string(), view: made.view })).into_response())
}

async fn revoke(State(shared): State<Shared>, caller: Caller, Path(prefix): Path<String>) -> Result<StatusCode, Problem> {
    let owner = caller.who.is_everywhere(OWNERS);
    let revoke = move |people: &crate::people::People| {
        let view = people.token(&prefix)?;
        let itself = caller.who.via == Via::Token(prefix.clone());
        let own = caller.who.via == Via::Session && view.account == caller.who.account;
        if owner || itself || own {
            return people.revoke_token(&prefix, caller.by()).map(|_| ());
        }
        // Of somebody else: as if it were not there.
        Err(crate::people::PeopleError::NoToken(prefix))
    };
    with_people(&shared, revoke).await?;
    Ok(StatusCode::NO_CONTENT)
}
