//! The operator's API: `/v1/admin`. Who calls is asked before anything here runs, even for what does not exist.
//!
//! Bodies are bounded; what takes long runs on blocking threads; the publisher alone decides.

mod audit;
mod bodies;
mod desk;
mod jobs;
mod lists;
mod outlet;
pub(super) mod people;
mod store;
mod transfer;

use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};

use crate::desk::Desk;
use crate::list::ListId;
use crate::people::People;
use crate::publisher::{Class, PublishError, Publisher};
use crate::store::{Store, StoreError};

use super::app::Shared;
use super::condition::changed;
use super::oidc::Oidc;
use super::problem::Problem;
use super::table::Route;
use super::token::OperatorToken;

pub use audit::AuditPage;
pub(super) use bodies::{MAX_JSON, whole};
pub use jobs::JobView;
pub(super) use jobs::Jobs;

/// What the operator's routes work on.
#[derive(Clone, Debug)]
pub struct Admin {
    /// The writer.
    pub publisher: Arc<Publisher>,
    /// For backups, and to tell that it can no longer write.
    pub store: Arc<Store>,
    /// Entries under administration.
    pub desk: Arc<Desk>,
    /// Who may.
    pub people: Arc<People>,
    /// The token of the data folder's own account.
    pub operator: OperatorToken,
    /// Log-in by a provider of identities, if there is one.
    pub oidc: Option<Arc<Oidc>>,
    /// Largest body of an import in octets, as sent and again as decompressed.
    pub max_import: u64,
}

impl Admin {
    /// Imports of at most 1 GiB.
    pub const DEFAULT_MAX_IMPORT: u64 = 1 << 30;
}

/// The lines of the table below `/v1/admin`.
pub(super) fn routes() -> Vec<Route> {
    [lists::routes(), desk::routes(), transfer::routes(), jobs::routes(), audit::routes(), store::routes(), people::routes()].concat()
}

/// The admin part of the application; only its own routes ask.
fn admin(shared: &Shared) -> Result<Admin, Problem> {
    shared.app.admin.clone().ok_or_else(|| Problem::internal("there is no operator's API here"))
}

fn list_id(text: &str) -> Result<ListId, Problem> {
    text.parse().map_err(|e| Problem::bad_request("bad-list-name", e))
}

/// Runs `work` with the publisher on a blocking thread.
async fn with_publisher<T: Send + 'static>(
    shared: &Shared,
    work: impl FnOnce(&Publisher) -> Result<T, PublishError> + Send + 'static,
) -> Result<T, Problem> {
    let publisher = admin(shared)?.publisher;
    blocking(move || work(&publisher)).await?.map_err(|e| refused(shared, &e))
}

/// Runs `work` on a blocking thread, in the span of the request.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let span = tracing::Span::current();
    let done = tokio::task::spawn_blocking(move || span.in_scope(work)).await;
    done.map_err(|_| Problem::internal("the publisher failed at this; the log says where"))
}

/// An error of the publisher as a problem. One that only a restart mends shows in `/readyz` by way of the store.
fn refused(shared: &Shared, error: &PublishError) -> Problem {
    let detail = error.to_string();
    if let PublishError::Store(StoreError::Changed { current }) = error {
        return changed(*current, detail);
    }
    let (status, code, title) = match error.class() {
        Class::Reject => (StatusCode::UNPROCESSABLE_ENTITY, "refused", "Refused"),
        Class::NotFound => (StatusCode::NOT_FOUND, "not-found", "There is no such list"),
        Class::Conflict => (StatusCode::CONFLICT, "conflict", "It does not fit what is there"),
        Class::Retry => {
            tracing::warn!(error = %detail, "a request could not be served");
            return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "retry", "Not now", detail)
                .with(header::RETRY_AFTER, HeaderValue::from(shared.come_back()));
        }
        Class::Fatal => {
            tracing::error!(error = %detail, "a request met what only a repair mends");
            (StatusCode::INTERNAL_SERVER_ERROR, "fatal", "The publisher cannot go on")
        }
    };
    Problem::new(status, code, title, detail).with_refusals(error.refusals().to_vec())
}
