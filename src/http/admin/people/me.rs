//! One's own account: who one is, password, second factor.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
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
use crate::people::{AccountView, Grants, Via, csrf_of};

use super::super::bodies::json;
use super::{address, with_people};

pub(super) fn routes() -> Vec<Route> {
    vec![
        route(Method::GET, "/v1/admin/me", "me", Need::Account, me)
            .about("Who one is, and what one may do.")
            .gives::<Me>(200, "the caller"),
        route(Method::POST, "/v1/admin/me/password", "changePassword", Need::Account, password)
            .secret()
            .about("Sets another password. All sessions of the account end.")
            .body::<PasswordChange>()
            .gives_nothing(204, "it is set")
            .problems(&[429]),
        route(Method::POST, "/v1/admin/me/factor", "offerFactor", Need::Account, offer)
            .secret()
            .about("Offers a second factor (RFC 6238). It holds once it is confirmed.")
            .body::<FactorRequest>()
            .gives::<Offered>(200, "the secret, shown only now")
            .problems(&[429]),
        route(Method::PUT, "/v1/admin/me/factor", "confirmFactor", Need::Account, confirm)
            .secret()
            .about("Puts the offered second factor in force.")
            .body::<Confirmation>()
            .gives::<RecoveryCodes>(200, "recovery codes, shown only now")
            .problems(&[429]),
    ]
}

/// The caller.
#[derive(Serialize, ToSchema)]
struct Me {
    account: AccountView,
    /// What the caller may do, by the way they came in.
    grants: Grants,
    /// `operator`, `token` or `session`.
    via: &'static str,
    /// In a session: for the header `bwld-csrf` of every call that is not GET.
    #[serde(skip_serializing_if = "Option::is_none")]
    csrf: Option<String>,
}

/// Another password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordChange {
    old: String,
    /// At least 12 characters.
    new: String,
}

/// A wish for a second factor.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FactorRequest {
    /// The account's password.
    password: String,
}

/// A second factor that waits for its confirmation.
#[derive(Serialize, ToSchema)]
struct Offered {
    /// In base32, for typing.
    secret: String,
    /// `otpauth:`, for a QR code.
    uri: String,
}

/// That the second factor has arrived.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Confirmation {
    code: String,
}

/// Codes that take the place of the second factor, once each.
#[derive(Serialize, ToSchema)]
struct RecoveryCodes {
    recovery_codes: Vec<String>,
}

async fn me(State(shared): State<Shared>, caller: Caller, headers: HeaderMap) -> Result<Json<Me>, Problem> {
    let name = caller.who.account.clone();
    let account = with_people(&shared, move |people| people.account(&name)).await?;
    let (via, csrf) = match caller.who.via {
        Via::Operator => ("operator", None),
        Via::Token(_) => ("token", None),
        Via::Session => ("session", cookie::session(&headers).map(csrf_of)),
    };
    Ok(Json(Me { account, grants: caller.who.grants, via, csrf }))
}

async fn password(
    State(shared): State<Shared>,
    caller: Caller,
    remote: Option<Extension<Remote>>,
    body: Body,
) -> Result<StatusCode, Problem> {
    let PasswordChange { old, new } = json(&shared, body).await?;
    let (from, old, new) = (address(remote), Zeroizing::new(old), Zeroizing::new(new));
    with_people(&shared, move |people| people.change_password(&caller.who.account, &old, &new, from)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn offer(
    State(shared): State<Shared>,
    caller: Caller,
    remote: Option<Extension<Remote>>,
    body: Body,
) -> Result<Json<Offered>, Problem> {
    let FactorRequest { password } = json(&shared, body).await?;
    let (from, password) = (address(remote), Zeroizing::new(password));
    let offer = with_people(&shared, move |people| people.offer_factor(&caller.who.account, &password, from)).await?;
    Ok(Json(Offered { secret: offer.secret.to_string(), uri: offer.uri.to_string() }))
}

async fn confirm(
    State(shared): State<Shared>,
    caller: Caller,
    remote: Option<Extension<Remote>>,
    body: Body,
) -> Result<Json<RecoveryCodes>, Problem> {
    let Confirmation { code } = json(&shared, body).await?;
    let from = address(remote);
    let recovery_codes = with_people(&shared, move |people| people.confirm_factor(&caller.who.account, &code, from)).await?;
    Ok(Json(RecoveryCodes { recovery_codes }))
}
