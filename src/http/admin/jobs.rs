//! Imports that are watched while they run: how far they have come, as server-sent events.
//!
//! Whoever imports names the job (`?job=NAME`), and may ask for its events on another connection before the import has ended; only
//! the same account sees them. A few are kept after their end, so that one who looks late still learns it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use utoipa::ToSchema;

use crate::publisher::{ImportProgress, ImportReport};

use super::super::app::Shared;
use super::super::caller::Caller;
use super::super::problem::Problem;
use super::super::table::{Need, Route, WRITERS, route};

/// Jobs kept at one time, those at their end included.
const MOST: usize = 64;
/// Time between two events.
const EVERY: Duration = Duration::from_millis(500);
/// Events without news until one is sent nevertheless, so that the connection is seen to live.
const QUIET: u32 = 20;
/// How long one that asks too early waits for the job to begin.
const BEGIN: Duration = Duration::from_secs(5);

/// How far an import has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobView {
    /// Whether it has ended.
    pub ended: bool,
    /// Octets taken, unpacked.
    pub octets: u64,
    /// Lines read.
    pub lines: u64,
    /// Entries read.
    pub entries: u64,
    /// Lines that could not be taken.
    pub issues: u64,
    /// Why it failed; absent: it did not, or not yet. Nothing was staged then, unless this says otherwise.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failed: Option<String>,
}

/// An import that may be watched.
#[derive(Debug, Default)]
pub(super) struct Job {
    pub(super) octets: AtomicU64,
    pub(super) progress: ImportProgress,
    /// Set when it has ended: the report, or what was wrong.
    end: watch::Sender<Option<Result<Box<serde_json::Value>, String>>>,
}

impl Job {
    fn view(&self) -> JobView {
        let end = self.end.borrow();
        JobView {
            ended: end.is_some(),
            octets: self.octets.load(Ordering::Relaxed),
            lines: self.progress.lines(),
            entries: self.progress.entries(),
            issues: self.progress.issues(),
            failed: end.as_ref().and_then(|end| end.as_ref().err().cloned()),
        }
    }

    pub(super) fn ended(&self, result: &Result<Json<ImportReport>, Problem>) {
        let told = match result {
            Ok(Json(report)) => Ok(Box::new(serde_json::to_value(report).unwrap_or_default())),
            Err(problem) => Err(problem.detail().to_owned()),
        };
        self.end.send_replace(Some(told));
    }

    /// The next event; none: the last one was the end.
    async fn event(&self, seen: &mut Option<JobView>) -> Option<String> {
        let mut end = self.end.subscribe();
        if seen.as_ref().is_some_and(|view| view.ended) {
            return None;
        }
        for _ in 0..QUIET {
            if seen.is_some() {
                let _ = timeout(EVERY, end.wait_for(Option::is_some)).await;
            }
            let view = self.view();
            if seen.as_ref() == Some(&view) {
                continue;
            }
            let (name, text) = match &*self.end.borrow() {
                Some(Ok(report)) => ("done", report.to_string()),
                Some(Err(_)) => ("failed", serde_json::to_string(&view).unwrap_or_default()),
                None => ("progress", serde_json::to_string(&view).unwrap_or_default()),
            };
            *seen = Some(JobView { ended: name != "progress", ..view });
            return Some(format!("event: {name}\ndata: {text}\n\n"));
        }
        Some(": still at it\n\n".into())
    }
}

/// Goes with the work of an import, not with its client: whatever way the work ends, the job has ended then, and not before.
pub(super) struct Running(pub(super) Arc<Job>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.end.send_if_modified(|end| {
            let open = end.is_none();
            if open {
                *end = Some(Err("the publisher failed at this; its log says where, and what is staged shows how far it came".into()));
            }
            open
        });
    }
}

/// All jobs, by account and name.
#[derive(Debug, Default)]
pub(in crate::http) struct Jobs(Mutex<BTreeMap<(String, String), Arc<Job>>>);

impl Jobs {
    /// Begins a job.
    pub(super) fn begin(&self, account: &str, name: &str) -> Result<Running, Problem> {
        let valid = (1..=64).contains(&name.len()) && name.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'));
        if !valid {
            return Err(Problem::bad_request("bad-parameter", "job: a name of 1 to 64 letters, digits, - and _"));
        }
        let mut jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (account.to_owned(), name.to_owned());
        if jobs.get(&key).is_some_and(|job| !job.view().ended) {
            let detail = "a job of this name is running; choose another name";
            return Err(Problem::new(StatusCode::CONFLICT, "conflict", "It does not fit what is there", detail));
        }
        if jobs.len() >= MOST {
            jobs.retain(|_, job| !job.view().ended);
        }
        if jobs.len() >= MOST {
            return Err(Problem::busy("retry", "too many imports are running; come back when one has ended", 10));
        }
        let job = Arc::new(Job::default());
        jobs.insert(key, job.clone());
        Ok(Running(job))
    }

    fn get(&self, account: &str, name: &str) -> Option<Arc<Job>> {
        let key = (account.to_owned(), name.to_owned());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }
}

pub(super) fn routes() -> Vec<Route> {
    let write = Need::Some(WRITERS);
    vec![
        route(Method::GET, "/v1/admin/jobs/{job}", "showJob", write, one)
            .about("How far an import of the caller has come.")
            .gives::<JobView>(200, "how far"),
        route(Method::GET, "/v1/admin/jobs/{job}/events", "watchJob", write, events)
            .about("How far an import of the caller has come, as events `progress`, and at last `done` with its report, or `failed`.")
            .gives_raw(200, "events until its end", "text/event-stream"),
    ]
}

fn none() -> Problem {
    Problem::not_found("unknown-job", "you have no job of this name; name one with ?job= when you import")
}

/// `GET /v1/admin/jobs/{job}`
async fn one(State(shared): State<Shared>, caller: Caller, Path(name): Path<String>) -> Result<Json<JobView>, Problem> {
    Ok(Json(shared.jobs.get(&caller.who.account, &name).ok_or_else(none)?.view()))
}

/// `GET /v1/admin/jobs/{job}/events`
async fn events(State(shared): State<Shared>, caller: Caller, Path(name): Path<String>) -> Result<Response, Problem> {
    let begun = async {
        loop {
            if let Some(job) = shared.jobs.get(&caller.who.account, &name) {
                return job;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let job = timeout(BEGIN, begun).await.map_err(|_| none())?;
    let pieces = stream::unfold((job, None), |(job, mut seen)| async move {
        let piece = job.event(&mut seen).await?;
        Some((Ok::<_, Infallible>(piece), (job, seen)))
    });
    let fields = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok((fields, Body::from_stream(pieces)).into_response())
}
