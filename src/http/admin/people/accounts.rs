//! Accounts: for owners of everything.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::app::Shared;
use crate::http::caller::Caller;
use crate::http::condition::missing;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::table::{Need, OWNERS, Route, number, route, text};
use crate::list::Timestamp;
use crate::people::{AccountView, Grants, Identity, NewAccount};
use crate::store::Expected;

use super::super::bodies::json;
use super::{PAGE, with_people};

const SHOW_ACCOUNT: &str = "GET /v1/admin/accounts/{account}";
const ACCOUNT: &str = "/v1/admin/accounts/{account}";

pub(super) fn routes() -> Vec<Route> {
    let own = Need::All(OWNERS);
    vec![
        route(Method::GET, "/v1/admin/accounts", "listAccounts", own, all)
            .tagged()
            .about("The accounts, by name.")
            .takes([text("after", "only accounts behind this name"), number("limit", "accounts in a page", 1, PAGE.1 as u64)])
            .gives::<AccountPage>(200, "a page of accounts"),
        route(Method::POST, "/v1/admin/accounts", "createAccount", own, create)
            .tagged()
            .about("Makes an account. It has no way in yet: invite it, link it, or make a token for it.")
            .body::<NewAccount>()
            .gives::<AccountView>(201, "the account"),
        route(Method::GET, ACCOUNT, "showAccount", own, one).tagged().about("One account.").gives::<AccountView>(200, "the account"),
        route(Method::PATCH, ACCOUNT, "changeAccount", own, change)
            .tagged()
            .on_tag_of(SHOW_ACCOUNT)
            .about("Changes an account. What is absent stays as it is. `grants` needs If-Match.")
            .body::<AccountPatch>()
            .problems(&[428])
            .gives::<AccountView>(200, "the account as it is now"),
        route(Method::POST, "/v1/admin/accounts/{account}/invite", "inviteAccount", own, invite)
            .secret()
            .on_tag_of(SHOW_ACCOUNT)
            .about("Makes the set-up token by which the account's password is set, once. One made before is void.")
            .gives::<Invited>(201, "the token, shown only now"),
        route(Method::DELETE, "/v1/admin/accounts/{account}/factor", "dropFactor", own, drop_factor)
            .on_tag_of(SHOW_ACCOUNT)
            .about("Takes the second factor away from an account; its sessions end.")
            .gives_nothing(204, "it is gone"),
    ]
}

/// Accounts.
#[derive(Serialize, ToSchema)]
struct AccountPage {
    accounts: Vec<AccountView>,
    /// `after` of the next page; absent: this is the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// What is to change of an account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AccountPatch {
    /// Its roles, instead of those it has.
    #[serde(default)]
    grants: Option<Grants>,
    /// Whether it, its tokens and its sessions are refused.
    #[serde(default)]
    disabled: Option<bool>,
    /// Whom a provider of identities vouches for.
    #[serde(default)]
    identity: Option<Identity>,
    /// Takes that link away.
    #[serde(default)]
    unlink: bool,
}

/// A set-up token.
#[derive(Serialize, ToSchema)]
struct Invited {
    token: String,
    expires: Timestamp,
}

async fn all(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Result<Json<AccountPage>, Problem> {
    let query = Query::read(query.as_deref());
    query.only(&["after", "limit"])?;
    let after = query.get("after")?.unwrap_or_default().to_owned();
    let limit = query.within("limit", 1, PAGE.1)?.unwrap_or(PAGE.0);
    let mut accounts = super::super::admin(&shared)?.people.accounts(&after, limit + 1);
    let next = (accounts.len() > limit).then(|| accounts[limit - 1].name.clone());
    accounts.truncate(limit);
    Ok(Json(AccountPage { accounts, next }))
}

async fn create(State(shared): State<Shared>, caller: Caller, body: Body) -> Result<Response, Problem> {
    let new: NewAccount = json(&shared, body).await?;
    let view = with_people(&shared, move |people| people.create_account(new, caller.by())).await?;
    let place = HeaderValue::from_str(&format!("/v1/admin/accounts/{}", view.name)).map_err(|_| Problem::internal("no place"))?;
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], Json(view)).into_response())
}

async fn one(State(shared): State<Shared>, Path(name): Path<String>) -> Result<Json<AccountView>, Problem> {
    Ok(Json(with_people(&shared, move |people| people.account(&name)).await?))
}

async fn change(State(shared): State<Shared>, caller: Caller, Path(name): Path<String>, body: Body) -> Result<Json<AccountView>, Problem> {
    let AccountPatch { grants, disabled, identity, unlink } = json(&shared, body).await?;
    // They take the place of all roles that somebody else may have given or taken meanwhile.
    if grants.is_some() && caller.expected == Expected::Whatever {
        return Err(missing(SHOW_ACCOUNT));
    }
    let change = crate::people::AccountChange { grants, disabled, identity: if unlink { Some(None) } else { identity.map(Some) } };
    Ok(Json(with_people(&shared, move |people| people.change_account(&name, change, caller.by())).await?))
}

async fn invite(State(shared): State<Shared>, caller: Caller, Path(name): Path<String>) -> Result<Response, Problem> {
    let made = with_people(&shared, move |people| people.invite(&name, caller.by())).await?;
    Ok((StatusCode::CREATED, Json(Invited { token: made.secret.to_string(), expires: made.expires })).into_response())
}

async fn drop_factor(State(shared): State<Shared>, caller: Caller, Path(name): Path<String>) -> Result<StatusCode, Problem> {
    with_people(&shared, move |people| people.drop_factor(&name, caller.by())).await?;
    Ok(StatusCode::NO_CONTENT)
}
