//! The desk over HTTP: entries under administration from proposal to removal. What guards a list and what finds entries stand in
//! files of their own.

mod export;
mod find;
mod guards;

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::desk::{Action, Case, CaseEdit, Desk, DeskError, Hats, JUDGES, NewCase, PublishCases};
use crate::list::{Date, ListId};
use crate::publisher::{PublishReport, forces_approvals};
use crate::store::Expected;

use super::super::app::Shared;
use super::super::caller::Caller;
use super::super::condition::missing;
use super::super::problem::Problem;
use super::super::table::{Need, OWNERS, READERS, Route, WRITERS, route};
use super::bodies::{json, json_or_default};
use super::{admin, blocking, list_id, refused};
use crate::people::Role;

/// Who works on cases.
const WORKERS: &[Role] = &[Role::Owner, Role::Editor, Role::Reviewer];

const SHOW_CASE: &str = "GET /v1/admin/lists/{list}/cases/{reference}";
const CASE: &str = "/v1/admin/lists/{list}/cases/{reference}";

/// Why something is done.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct Why {
    /// Why.
    reason: String,
}

/// A note, or the next day of review.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct LookedAt {
    /// A note for those who work on it.
    note: String,
    /// Whether the entry was looked at, and stays.
    reviewed: bool,
    /// The day on which somebody is to look at it again; none: never.
    review_by: Option<Date>,
}

pub(super) fn routes() -> Vec<Route> {
    let (read, write) = (Need::List(READERS), Need::List(WRITERS));
    let (work, judge) = (Need::List(WORKERS), Need::List(JUDGES));
    let mut routes = vec![
        route(Method::POST, "/v1/admin/lists/{list}/cases", "proposeEntry", write, propose)
            .tagged()
            .about("Proposes an entry: rule, reasons, legal basis, categories, dates.")
            .body::<NewCase>()
            .gives::<Case>(201, "the case"),
        route(Method::GET, CASE, "showCase", read, one)
            .tagged()
            .about("An entry under administration.")
            .gives::<Case>(200, "the case")
            .problems(&[404]),
        route(Method::PATCH, CASE, "editCase", work, edit)
            .tagged()
            .on_tag_of(SHOW_CASE)
            .about("Changes the words of an entry that is not published, all of them; needs If-Match or `revision`. Approvals fall.")
            .body::<CaseEdit>()
            .gives::<Case>(200, "the case")
            .problems(&[404, 409, 428]),
        route(Method::POST, "/v1/admin/lists/{list}/cases/{reference}/propose", "submitCase", write, submit)
            .tagged()
            .on_tag_of(SHOW_CASE)
            .about("Puts a draft before those who approve.")
            .optional_body::<CaseEdit>()
            .gives::<Case>(200, "the case")
            .problems(&[404, 409]),
        route(Method::POST, "/v1/admin/lists/{list}/cases/{reference}/approve", "approveCase", judge, approve)
            .tagged()
            .on_tag_of(SHOW_CASE)
            .about("Approves an entry that somebody else wrote, as it was read; needs If-Match or `revision`.")
            .optional_body::<CaseEdit>()
            .gives::<Case>(200, "the case")
            .problems(&[404, 409, 428]),
        route(Method::POST, "/v1/admin/lists/{list}/cases/{reference}/reject", "rejectCase", judge, reject)
            .tagged()
            .on_tag_of(SHOW_CASE)
            .about("Refuses an entry.")
            .optional_body::<CaseEdit>()
            .gives::<Case>(200, "the case")
            .problems(&[404, 409]),
        route(Method::POST, "/v1/admin/lists/{list}/cases/{reference}/withdraw", "withdrawCase", work, withdraw)
            .tagged()
            .on_tag_of(SHOW_CASE)
            .about("Takes an entry back before it is published.")
            .optional_body::<CaseEdit>()
            .gives::<Case>(200, "the case")
            .problems(&[404, 409]),
        route(Method::POST, "/v1/admin/lists/{list}/cases/{reference}/suspend", "suspendCase", work, suspend)
            .on_tag_of(SHOW_CASE)
            .about("Takes a published entry off the list for a while, at once.")
            .optional_body::<Why>()
            .gives::<PublishReport>(200, "the version")
            .problems(&[404, 409]),
        route(Method::POST, "/v1/admin/lists/{list}/cases/{reference}/resume", "resumeCase", judge, resume)
            .on_tag_of(SHOW_CASE)
            .about("Puts a suspended entry back onto the list.")
            .optional_body::<Why>()
            .gives::<PublishReport>(200, "the version")
            .problems(&[404, 409]),
        route(Method::POST, "/v1/admin/lists/{list}/cases/{reference}/remove", "removeCase", work, remove)
            .on_tag_of(SHOW_CASE)
            .about("Takes an entry off the list for good, at once.")
            .optional_body::<Why>()
            .gives::<PublishReport>(200, "the version")
            .problems(&[404, 409]),
        route(Method::POST, "/v1/admin/lists/{list}/cases/{reference}/notes", "noteCase", work, note)
            .tagged()
            .on_tag_of(SHOW_CASE)
            .about("Adds a note that never leaves the publisher, or says that a published entry was looked at again.")
            .body::<LookedAt>()
            .gives::<Case>(200, "the case")
            .problems(&[404]),
        route(Method::POST, "/v1/admin/lists/{list}/cases/publish", "publishCases", write, publish)
            .about("Publishes approved entries in a version of their own; in an emergency, those that are named without their approvals.")
            .optional_body::<PublishCases>()
            .gives::<PublishReport>(200, "the version")
            .problems(&[404, 409]),
    ];
    routes.extend(guards::routes());
    routes.extend(find::routes());
    routes.extend(export::routes());
    routes
}

/// An error of the desk as a problem.
fn problem(shared: &Shared, error: DeskError) -> Problem {
    let (status, code, title) = match &error {
        DeskError::Publish(e) => return refused(shared, e),
        DeskError::Busy => return Problem::busy("too-many-searches", error.to_string(), shared.come_back()),
        DeskError::Refused(_) => (StatusCode::UNPROCESSABLE_ENTITY, "refused", "Refused"),
        DeskError::NoCase(_) => (StatusCode::NOT_FOUND, "unknown-entry", "There is no such entry"),
        DeskError::NotDone(_) => (StatusCode::CONFLICT, "not-now", "Not in this state, or not by you"),
        DeskError::Changed(_) => (StatusCode::CONFLICT, "changed", "Changed meanwhile"),
        DeskError::Form(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "The publisher has a fault"),
        DeskError::Store(_) => {
            let DeskError::Store(e) = error else { unreachable!("just matched") };
            return refused(shared, &crate::publisher::PublishError::Store(e));
        }
    };
    let detail = error.to_string();
    let refusals = if let DeskError::Refused(refusals) = error { refusals } else { Vec::new() };
    Problem::new(status, code, title, detail).with_refusals(refusals)
}

/// Runs `work` with the desk on a blocking thread.
pub(super) async fn with_desk<T: Send + 'static>(
    shared: &Shared,
    work: impl FnOnce(&Desk) -> Result<T, DeskError> + Send + 'static,
) -> Result<T, Problem> {
    let desk = admin(shared)?.desk;
    blocking(move || work(&desk)).await?.map_err(|e| problem(shared, e))
}

fn hats(caller: &Caller, list: &ListId) -> Hats {
    let has = |role| caller.who.is_on(list, &[role]);
    Hats { owner: has(Role::Owner), editor: has(Role::Editor), reviewer: has(Role::Reviewer), ..Hats::default() }
}

/// A case's reference, which must be one of this list.
fn of_list(desk: &Desk, list: &ListId, reference: &str) -> Result<Arc<Case>, DeskError> {
    match desk.case(reference)? {
        case if case.list == *list => Ok(case),
        _ => desk.case(""),
    }
}

/// Without the approvals that a list demands only an owner publishes.
pub(super) fn may_force(caller: &Caller, list: &ListId, force: &[String]) -> Result<(), Problem> {
    if forces_approvals(force) && !caller.is_on(list, OWNERS) {
        let detail = "only an owner of the list publishes without the approvals it demands";
        return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", "Not with your roles", detail));
    }
    Ok(())
}

async fn propose(State(shared): State<Shared>, caller: Caller, Path(list): Path<String>, body: Body) -> Result<Response, Problem> {
    let list = list_id(&list)?;
    let new: NewCase = json(&shared, body).await?;
    let who = hats(&caller, &list);
    let case = with_desk(&shared, move |desk| desk.propose(&list, new, who, &caller.by())).await?;
    let place = HeaderValue::from_str(&format!("/v1/admin/lists/{}/cases/{}", case.list, case.reference));
    let place = place.map_err(|_| Problem::internal("no place"))?;
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], Json(Case::clone(&case))).into_response())
}

async fn one(State(shared): State<Shared>, Path((list, reference)): Path<(String, String)>) -> Result<Json<Case>, Problem> {
    let list = list_id(&list)?;
    Ok(Json(with_desk(&shared, move |desk| of_list(desk, &list, &reference).map(|case| Case::clone(&case))).await?))
}

async fn act(
    shared: Shared,
    caller: Caller,
    (list, reference): (String, String),
    headers: HeaderMap,
    body: Body,
    action: Action,
) -> Result<Json<Case>, Problem> {
    let list = list_id(&list)?;
    let edit: CaseEdit = json_or_default(&shared, &headers, body).await?;
    let decides = match action {
        Action::Approve => true,
        Action::Edit => edit.words.is_some(),
        _ => false,
    };
    if decides && edit.revision.is_none() && caller.expected == Expected::Whatever {
        return Err(missing(SHOW_CASE));
    }
    let who = hats(&caller, &list);
    let done = with_desk(&shared, move |desk| {
        of_list(desk, &list, &reference)?;
        desk.act(&reference, action, edit, who, &caller.by())
    });
    Ok(Json(Case::clone(&*done.await?)))
}

async fn change(
    shared: Shared,
    caller: Caller,
    (list, reference): (String, String),
    headers: HeaderMap,
    body: Body,
    action: Action,
) -> Result<Json<PublishReport>, Problem> {
    let list = list_id(&list)?;
    let why: Why = json_or_default(&shared, &headers, body).await?;
    let who = hats(&caller, &list);
    let done = with_desk(&shared, move |desk| {
        of_list(desk, &list, &reference)?;
        desk.change(&reference, action, &why.reason, who, &caller.by())
    });
    Ok(Json(done.await?))
}

macro_rules! acts {
    ($($name:ident: $way:ident $action:ident -> $answer:ty;)*) => {$(
        async fn $name(
            State(shared): State<Shared>,
            caller: Caller,
            Path(path): Path<(String, String)>,
            headers: HeaderMap,
            body: Body,
        ) -> Result<Json<$answer>, Problem> {
            $way(shared, caller, path, headers, body, Action::$action).await
        }
    )*};
}

acts! {
    edit: act Edit -> Case;
    submit: act Propose -> Case;
    approve: act Approve -> Case;
    reject: act Reject -> Case;
    withdraw: act Withdraw -> Case;
    suspend: change Suspend -> PublishReport;
    resume: change Resume -> PublishReport;
    remove: change Remove -> PublishReport;
}

async fn note(
    State(shared): State<Shared>,
    caller: Caller,
    Path((list, reference)): Path<(String, String)>,
    body: Body,
) -> Result<Json<Case>, Problem> {
    let list = list_id(&list)?;
    let looked: LookedAt = json(&shared, body).await?;
    let done = with_desk(&shared, move |desk| {
        of_list(desk, &list, &reference)?;
        desk.note(&reference, &looked.note, looked.reviewed.then_some(looked.review_by), &caller.by())
    });
    Ok(Json(Case::clone(&*done.await?)))
}

async fn publish(
    State(shared): State<Shared>,
    caller: Caller,
    Path(list): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<PublishReport>, Problem> {
    let list = list_id(&list)?;
    let request: PublishCases = json_or_default(&shared, &headers, body).await?;
    may_force(&caller, &list, &request.force)?;
    let who = hats(&caller, &list);
    Ok(Json(with_desk(&shared, move |desk| desk.publish(&list, &request, who, &caller.by())).await?))
}
