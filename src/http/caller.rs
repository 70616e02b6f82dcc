//! Who makes a call and from where, and whether they may: asked before any handler of the operator's API runs.
//!
//! Guarantees: without a valid token nothing is told, not even what there is; a list on which the caller has no role at all is
//! answered as one that does not exist. The token goes no further than this module.

use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::list::ListId;
use crate::people::{Refused, Role, Who};
use crate::publisher::By;
use crate::store::{Expected, Record};

use super::app::Shared;
use super::cookie;
use super::problem::Problem;
use super::server::Remote;
use super::table::Need;
use super::token::bearer;

/// What a page of this host sends along with what changes something.
const CSRF: &str = "bwld-csrf";

/// Who calls, and from where.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) who: Who,
    /// The address, as the audit chain names it.
    pub(super) from: String,
    /// What says that a write under an idempotency key is done; belongs into its frame.
    pub(super) once: Option<Record>,
    /// What a write must find to be done.
    pub(super) expected: Expected,
}

impl Caller {
    /// On whose behalf the publisher acts.
    pub(super) fn by(&self) -> By {
        By::new(self.who.account.clone(), self.from.clone()).with(self.once.clone()).expecting(self.expected.clone())
    }

    /// Whether one of these roles is held on this list.
    pub(super) fn is_on(&self, list: &ListId, roles: &[Role]) -> bool {
        self.who.is_on(list, roles)
    }
}

impl FromRequestParts<Shared> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Problem> {
        // Only a route that anybody may call has none; that is a defect of the table.
        parts.extensions.get::<Caller>().cloned().ok_or_else(|| Problem::internal("this call does not know who makes it"))
    }
}

/// Lets a request through to its handler if the caller fulfils `need`.
pub(super) async fn admit(State((shared, need)): State<(Shared, Need)>, path: RawPathParams, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Remote>().copied();
    let list = path.iter().find(|(name, _)| *name == "list").map(|(_, value)| value);
    let admitted = match caller(&shared, request.method(), request.headers(), peer) {
        Ok(caller) => fulfils(&caller.who, need, list).map(|()| caller),
        Err(problem) => Err(problem),
    };
    match admitted {
        Err(problem) => problem.into_response(),
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            let mut response = next.run(request).await;
            response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
            response
        }
    }
}

/// Who carries the token of a request.
pub(super) fn caller(shared: &Shared, method: &Method, headers: &HeaderMap, peer: Option<Remote>) -> Result<Caller, Problem> {
    let Some(admin) = shared.app.admin.as_ref() else { return Err(unauthorized()) };
    let address = peer.map(|remote| remote.address);
    let from = address.map_or_else(String::new, |address| address.to_string());
    if admin.operator.is_in(headers) {
        return Ok(Caller { who: Who::owner(Who::OPERATOR), from, once: None, expected: Expected::Whatever });
    }
    let refused = |refused| match refused {
        Refused::NotAccepted => unauthorized(),
        other => super::admin::people::problem(shared, other),
    };
    if headers.contains_key(header::AUTHORIZATION) {
        let token = bearer(headers).ok_or_else(unauthorized)?;
        return Ok(Caller {
            who: admin.people.who_by_token(token, address).map_err(refused)?,
            from,
            once: None,
            expected: Expected::Whatever,
        });
    }
    let session = cookie::session(headers).ok_or_else(unauthorized)?;
    let who = admin.people.who_by_session(session).map_err(refused)?;
    // The browser sends the cookie along whoever has made the page; only ours knows this.
    let shown = headers.get(CSRF).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !method.is_safe() && !admin.people.csrf_fits(session, shown) {
        let detail = "send the csrf of GET /v1/admin/me in the header bwld-csrf";
        return Err(Problem::new(StatusCode::FORBIDDEN, "csrf", "Not from a page of this host", detail));
    }
    Ok(Caller { who, from, once: None, expected: Expected::Whatever })
}

fn unauthorized() -> Problem {
    let detail = "send a token as Authorization: Bearer TOKEN; the first one lies in operator.token in the data folder";
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "Only for those who have an account", detail)
        .with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"bwld\""))
}

/// Whether `who` fulfils `need`; `list` is the one the path names.
fn fulfils(who: &Who, need: Need, list: Option<&str>) -> Result<(), Problem> {
    let forbidden = || Err(forbidden());
    match need {
        Need::Nobody | Need::Account => Ok(()),
        Need::All(roles) if who.is_everywhere(roles) => Ok(()),
        Need::Some(roles) if who.is_somewhere(roles) => Ok(()),
        Need::All(_) | Need::Some(_) => forbidden(),
        Need::List(roles) => match list.unwrap_or_default().parse::<ListId>() {
            Err(e) => Err(Problem::bad_request("bad-list-name", e)),
            Ok(list) if who.is_on(&list, roles) => Ok(()),
            Ok(list) if who.is_on(&list, ANY) => forbidden(),
            Ok(list) => Err(no_list(&list)),
        },
    }
}

/// The answer for what the caller's roles do not allow.
pub(super) fn forbidden() -> Problem {
    let detail = "your account has no role that allows this; an owner of all lists can give you one";
    Problem::new(StatusCode::FORBIDDEN, "forbidden", "Not with your roles", detail)
}

const ANY: &[Role] = &[Role::Owner, Role::Editor, Role::Reviewer, Role::Auditor, Role::Subscriber];

/// The answer for a list that is not there, and for one that is not there for this caller.
pub(super) fn no_list(list: &ListId) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "not-found",
        "There is no such list",
        crate::publisher::PublishError::NoList(list.clone()).to_string(),
    )
}
