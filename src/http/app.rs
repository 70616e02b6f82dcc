//! What the routes share, and the router with everything around it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use prometheus_client::registry::Registry;

use crate::feed::{Hub, jittered};
use crate::list::ListId;
use crate::store::{Clock, PublishedList};

use super::admin::Jobs;
use super::export::Exports;
use super::metrics::HttpMetrics;
use super::once::InProgress;
use super::problem::Problem;
use super::server::Remote;
use super::{Admin, caller, observe, table};

/// Times the routes tell their clients, what exports need, and how much is kept for an account.
#[derive(Clone, Debug)]
pub struct RouteOptions {
    /// How often a polling client is to ask for a head. What is told is jittered by a quarter either way.
    pub poll_every: Duration,
    /// How long a client that was turned away is to wait at least.
    pub come_back: Duration,
    /// How long the body of a request may stand still.
    pub body_stall: Duration,
    /// What others count, to be shown beside our own.
    pub more_metrics: Vec<MoreMetrics>,
    /// Signs exports, and bounds how many are made at a time.
    pub exports: Exports,
    /// Idempotency keys that an account may use within the 24 hours for which they are kept.
    pub max_keys: usize,
}

/// Puts what another module counts into the registry, under a prefix of its own.
#[derive(Clone)]
pub struct MoreMetrics {
    /// The prefix, behind `bwld_`.
    pub prefix: &'static str,
    /// Registers.
    pub register: Arc<dyn Fn(&mut Registry) + Send + Sync>,
}

impl std::fmt::Debug for MoreMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MoreMetrics").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Default for RouteOptions {
    fn default() -> Self {
        RouteOptions {
            poll_every: Duration::from_secs(60),
            come_back: Duration::from_secs(10),
            body_stall: Duration::from_secs(30),
            more_metrics: Vec::new(),
            exports: Exports::default(),
            max_keys: 50_000,
        }
    }
}

/// Whether the publisher is ready to serve, and if not, why. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<BTreeSet<String>>>);

impl Readiness {
    /// Not ready, for this reason, until [`Readiness::clear`] is called with the same.
    pub fn wait_for(&self, reason: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(reason.to_owned());
    }

    /// This is no longer a reason.
    pub fn clear(&self, reason: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(reason);
    }

    /// Why it is not ready; empty: it is.
    pub fn reasons(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// What the routes work on.
#[derive(Clone, Debug)]
pub struct App {
    /// What is published, and who waits for it.
    pub hub: Arc<Hub>,
    /// Whether it is ready.
    pub readiness: Readiness,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The operator's API; none: it is not offered.
    pub admin: Option<Admin>,
    /// Times told to clients.
    pub options: RouteOptions,
}

impl App {
    /// Why requests should go elsewhere; empty: this one is ready. A store that takes no commits any more is a reason.
    pub(super) fn not_ready(&self) -> Vec<String> {
        let failure = self.admin.as_ref().and_then(|admin| admin.store.failure().borrow().clone());
        failure.into_iter().chain(self.readiness.reasons()).collect()
    }
}

/// What every route is given.
#[derive(Clone, Debug)]
pub(super) struct Shared(Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) app: App,
    pub(super) metrics: HttpMetrics,
    pub(super) in_progress: InProgress,
    pub(super) jobs: Jobs,
}

impl std::ops::Deref for Shared {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Inner {
    /// The published list of this name.
    pub(super) fn list(&self, id: &str) -> Result<Arc<PublishedList>, Problem> {
        let list = id.parse::<ListId>().ok().and_then(|id| self.app.hub.catalog().get(&id));
        list.ok_or_else(|| {
            let shown: String = id.chars().take(80).collect();
            Problem::not_found(
                "unknown-list",
                format!("no list \"{}\" is published here; GET /v1/lists names those that are", shown.escape_debug()),
            )
        })
    }

    /// `Cache-Control` of what changes with each publication: how long a polling client is to wait.
    pub(super) fn poll_later(&self) -> String {
        let every = self.app.options.poll_every;
        format!("public, max-age={}", jittered(every * 3 / 4, every / 2).as_secs())
    }

    /// Seconds for `Retry-After`.
    pub(super) fn come_back(&self) -> u64 {
        jittered(self.app.options.come_back, self.app.options.come_back).as_secs().max(1)
    }
}

/// The routes of `app`, with everything around them but the connection.
pub fn router(app: App) -> Router {
    let metrics = HttpMetrics::new(&app);
    let shared = Shared(Arc::new(Inner { app, metrics, in_progress: InProgress::default(), jobs: Jobs::default() }));
    table::build(&shared)
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(axum::middleware::from_fn_with_state(shared.clone(), observe::observe))
        .with_state(shared)
}

async fn no_route(State(shared): State<Shared>, request: Request) -> Response {
    let problem = Problem::not_found("no-route", "there is nothing at this path; GET /v1/openapi.json describes what there is");
    to_callers_only(&shared, &request).unwrap_or(problem).into_response()
}

async fn no_method(State(shared): State<Shared>, request: Request) -> Response {
    let detail = "this path is there, but not for this method; the Allow field says which";
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Not with this method", detail);
    to_callers_only(&shared, &request).unwrap_or(problem).into_response()
}

/// The refusal of one who has no account and asks for something of the operator's API, be it there or not. What anybody may call
/// there tells nothing by what it is not.
fn to_callers_only(shared: &Shared, request: &Request) -> Option<Problem> {
    let within = request.uri().path().strip_prefix("/v1/admin").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let peer = request.extensions().get::<Remote>().copied();
    if within && shared.app.admin.is_some() { caller::caller(shared, request.method(), request.headers(), peer).err() } else { None }
}
