//! Accounts, tokens, and coming in: what `people` does, as calls.
//!
//! A secret goes out once, in the answer to the call that made it, and never into a log, a URL or an error.

mod accounts;
mod come_in;
mod me;
mod oidc;
mod tokens;

use std::net::IpAddr;
use std::sync::Arc;

use axum::Extension;
use axum::http::{HeaderValue, StatusCode, header};

use crate::people::{People, PeopleError, Refused};
use crate::publisher::PublishError;

use super::super::app::Shared;
use super::super::problem::Problem;
use super::super::server::Remote;
use super::super::table::Route;
use super::{admin, blocking, refused};

/// Accounts or tokens shown when nothing else was asked for, and at most.
const PAGE: (usize, usize) = (100, 1_000);

pub(super) fn routes() -> Vec<Route> {
    [accounts::routes(), tokens::routes(), come_in::routes(), me::routes(), oidc::routes()].concat()
}

/// Runs `work` with everybody's accounts on a blocking thread.
async fn with_people<T: Send + 'static, E: Into<Refused> + Send + 'static>(
    shared: &Shared,
    work: impl FnOnce(&People) -> Result<T, E> + Send + 'static,
) -> Result<T, Problem> {
    let people: Arc<People> = admin(shared)?.people;
    blocking(move || work(&people).map_err(Into::into)).await?.map_err(|e| problem(shared, e))
}

/// The address of a request.
fn address(remote: Option<Extension<Remote>>) -> Option<IpAddr> {
    remote.map(|Extension(remote)| remote.address)
}

/// Why somebody was not let in, or something was not done, as an answer.
pub(in crate::http) fn problem(shared: &Shared, error: Refused) -> Problem {
    let detail = error.to_string();
    let error = match error {
        Refused::NotAccepted => {
            return Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "Not let in", detail)
                .with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"bwld\""));
        }
        Refused::CodeNeeded => return Problem::new(StatusCode::UNAUTHORIZED, "code-needed", "A second factor is needed", detail),
        Refused::TooMany { seconds } => {
            return Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-tries", "Too many tries", detail)
                .with(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        Refused::Busy => return Problem::busy("retry", detail, 1),
        Refused::Failed(error) => error,
    };
    match error {
        PeopleError::BadName(_) | PeopleError::Refused(_) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", "Refused", detail),
        PeopleError::NoAccount(_) => Problem::new(StatusCode::NOT_FOUND, "no-account", "There is no such account", detail),
        PeopleError::NoToken(_) => Problem::new(StatusCode::NOT_FOUND, "no-token", "There is no such token", detail),
        PeopleError::Exists(_) => Problem::new(StatusCode::CONFLICT, "conflict", "It does not fit what is there", detail),
        PeopleError::Store(error) => refused(shared, &PublishError::Store(error)),
        PeopleError::System(_) => {
            tracing::error!(error = detail, "accounts could not be looked into");
            Problem::internal("it could not be done; the log says why")
        }
    }
}
