//! What guards a list, over HTTP: its policy, freezing, review of what is staged, preview, undoing, schedules.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::desk::{NewSchedule, Preview, PreviewRequest, Schedule};
use crate::list::{Digest, Serial};
use crate::publisher::{Beside, ListPolicy, StagedReview, Undone};

use super::super::super::app::Shared;
use super::super::super::caller::Caller;
use super::super::super::problem::Problem;
use super::super::super::table::{Need, OWNERS, READERS, Route, WRITERS, route};
use super::super::bodies::{json, json_or_default};
use super::super::list_id;
use super::{JUDGES, Why, may_force, with_desk};

/// To freeze a list or to thaw it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Freeze {
    /// Why nothing may be published; empty: it may again.
    reason: String,
}

/// What is approved.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ApproveStaged {
    /// Digest of what is staged.
    digest: Digest,
    /// Why.
    #[serde(default)]
    reason: String,
}

/// How to undo a version.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct UndoRequest {
    /// Why, for the log.
    reason: String,
    /// Guards to override, by name.
    force: Vec<String>,
    /// Undo what can be undone, though some was changed again since.
    partial: bool,
    /// Only say what would happen.
    dry_run: bool,
}

const SHOW_POLICY: &str = "GET /v1/admin/lists/{list}/policy";
const SHOW_SCHEDULE: &str = "GET /v1/admin/lists/{list}/schedules/{id}";
const SCHEDULE: &str = "/v1/admin/lists/{list}/schedules/{id}";

pub(super) fn routes() -> Vec<Route> {
    let (read, write, own, judge) = (Need::List(READERS), Need::List(WRITERS), Need::List(OWNERS), Need::List(JUDGES));
    vec![
        route(Method::GET, "/v1/admin/lists/{list}/policy", "showPolicy", read, policy)
            .tagged()
            .about("What a list demands of its publications.")
            .gives::<ListPolicy>(200, "the policy"),
        route(Method::PUT, "/v1/admin/lists/{list}/policy", "setPolicy", own, set_policy)
            .tagged()
            .only_on_tag_of(SHOW_POLICY)
            .about("Sets what a list demands of its publications: approvals, limits, how wide a range may be, protected names.")
            .body::<ListPolicy>()
            .gives::<ListPolicy>(200, "the policy"),
        route(Method::POST, "/v1/admin/lists/{list}/freeze", "freezeList", own, freeze)
            .tagged()
            .on_tag_of(SHOW_POLICY)
            .about("Freezes a list, so that nothing is published, or thaws it.")
            .body::<Freeze>()
            .gives::<ListPolicy>(200, "the policy"),
        route(Method::GET, "/v1/admin/lists/{list}/review", "showReview", read, review)
            .tagged()
            .about("Who staged and who approved what is staged.")
            .gives::<StagedReview>(200, "the review"),
        route(Method::POST, "/v1/admin/lists/{list}/approve", "approveStaged", judge, approve_staged)
            .about("Approves what others staged, by its digest.")
            .body::<ApproveStaged>()
            .gives::<StagedReview>(200, "the review"),
        route(Method::POST, "/v1/admin/lists/{list}/reviewed/{serial}", "reviewedVersion", judge, reviewed)
            .about("Says that a publication without approvals was looked at afterwards, by one who had no hand in it.")
            .optional_body::<Why>()
            .gives_nothing(204, "it waits no longer"),
        route(Method::POST, "/v1/admin/lists/{list}/preview", "preview", read, preview)
            .repeatable()
            .about("What publishing what is staged, or the approved entries (`cases`), would do: delta, guards, and how questions would be answered before and after.")
            .optional_body::<PreviewRequest>()
            .gives::<Preview>(200, "the preview"),
        route(Method::POST, "/v1/admin/lists/{list}/undo/{serial}", "undoVersion", write, undo)
            .about("Reverses the changes of a version by a new one.")
            .optional_body::<UndoRequest>()
            .gives::<Undone>(200, "the version, and what could not be undone"),
        route(Method::POST, "/v1/admin/lists/{list}/schedules", "schedule", write, schedule)
            .tagged()
            .about(
                "Schedules the publication of what is staged or approved now. Any later staging ends one of what is staged; entries that \
                 change meanwhile are left out.",
            )
            .body::<NewSchedule>()
            .gives::<Schedule>(201, "the schedule"),
        route(Method::GET, SCHEDULE, "showSchedule", read, scheduled)
            .tagged()
            .about("A scheduled publication, and what became of it.")
            .gives::<Schedule>(200, "the schedule")
            .problems(&[404]),
        route(Method::DELETE, SCHEDULE, "cancelSchedule", write, cancel)
            .on_tag_of(SHOW_SCHEDULE)
            .about("Takes a scheduled publication off.")
            .gives_nothing(204, "it is gone")
            .problems(&[404]),
    ]
}

async fn policy(State(shared): State<Shared>, Path(list): Path<String>) -> Result<Json<ListPolicy>, Problem> {
    let list = list_id(&list)?;
    Ok(Json(with_desk(&shared, move |desk| Ok(desk.publisher().policy(&list)?)).await?))
}

async fn set_policy(
    State(shared): State<Shared>,
    caller: Caller,
    Path(list): Path<String>,
    body: Body,
) -> Result<Json<ListPolicy>, Problem> {
    let list = list_id(&list)?;
    let policy: ListPolicy = json(&shared, body).await?;
    Ok(Json(with_desk(&shared, move |desk| Ok(desk.publisher().set_policy(&list, policy, "list.policy", caller.by())?)).await?))
}

async fn freeze(State(shared): State<Shared>, caller: Caller, Path(list): Path<String>, body: Body) -> Result<Json<ListPolicy>, Problem> {
    let list = list_id(&list)?;
    let freeze: Freeze = json(&shared, body).await?;
    Ok(Json(with_desk(&shared, move |desk| Ok(desk.publisher().freeze(&list, &freeze.reason, caller.by())?)).await?))
}

async fn review(State(shared): State<Shared>, Path(list): Path<String>) -> Result<Json<StagedReview>, Problem> {
    let list = list_id(&list)?;
    Ok(Json(with_desk(&shared, move |desk| Ok(desk.publisher().staged_review(&list)?)).await?))
}

async fn approve_staged(
    State(shared): State<Shared>,
    caller: Caller,
    Path(list): Path<String>,
    body: Body,
) -> Result<Json<StagedReview>, Problem> {
    let list = list_id(&list)?;
    let what: ApproveStaged = json(&shared, body).await?;
    let by = caller.by().because(what.reason);
    Ok(Json(with_desk(&shared, move |desk| Ok(desk.publisher().approve_staged(&list, what.digest, by)?)).await?))
}

fn serial(text: &str) -> Result<Serial, Problem> {
    text.parse().map_err(|e| Problem::bad_request("bad-serial", e))
}

async fn reviewed(
    State(shared): State<Shared>,
    caller: Caller,
    Path((list, of)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Problem> {
    let (list, serial) = (list_id(&list)?, serial(&of)?);
    let why: Why = json_or_default(&shared, &headers, body).await?;
    let by = caller.by().because(why.reason);
    with_desk(&shared, move |desk| Ok(desk.publisher().reviewed(&list, serial, by)?)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn preview(State(shared): State<Shared>, Path(list): Path<String>, headers: HeaderMap, body: Body) -> Result<Json<Preview>, Problem> {
    let list = list_id(&list)?;
    let request: PreviewRequest = json_or_default(&shared, &headers, body).await?;
    Ok(Json(with_desk(&shared, move |desk| desk.preview(&list, &request)).await?))
}

async fn undo(
    State(shared): State<Shared>,
    caller: Caller,
    Path((list, of)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Undone>, Problem> {
    let (list, serial) = (list_id(&list)?, serial(&of)?);
    let request: UndoRequest = json_or_default(&shared, &headers, body).await?;
    may_force(&caller, &list, &request.force)?;
    let how = Beside { reason: request.reason, force: request.force, cleared: false, dry_run: request.dry_run };
    Ok(Json(with_desk(&shared, move |desk| desk.undo(&list, serial, request.partial, &how, &caller.by())).await?))
}

async fn schedule(State(shared): State<Shared>, caller: Caller, Path(list): Path<String>, body: Body) -> Result<Response, Problem> {
    let list = list_id(&list)?;
    let new: NewSchedule = json(&shared, body).await?;
    may_force(&caller, &list, &new.force)?;
    let made = with_desk(&shared, move |desk| desk.schedule(&list, new, &caller.by())).await?;
    let place = HeaderValue::from_str(&format!("/v1/admin/lists/{}/schedules/{}", made.list, made.id));
    let place = place.map_err(|_| Problem::internal("no place"))?;
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], Json(made)).into_response())
}

async fn scheduled(State(shared): State<Shared>, Path((list, id)): Path<(String, String)>) -> Result<Json<Schedule>, Problem> {
    let list = list_id(&list)?;
    Ok(Json(with_desk(&shared, move |desk| desk.scheduled(&list, &id)).await?))
}

async fn cancel(State(shared): State<Shared>, caller: Caller, Path((list, id)): Path<(String, String)>) -> Result<StatusCode, Problem> {
    let list = list_id(&list)?;
    with_desk(&shared, move |desk| desk.cancel(&list, &id, &caller.by())).await?;
    Ok(StatusCode::NO_CONTENT)
}
