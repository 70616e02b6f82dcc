//! Lists, staged changes, publication, log.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::list::Serial;
use crate::publisher::{ChangeRequest, ListPatch, ListView, LogPage, NewList, PublishReport, PublishRequest, Publisher, StagedView};

use super::super::app::Shared;
use super::super::caller::Caller;
use super::super::condition;
use super::super::problem::Problem;
use super::super::query::Query;
use super::super::table::{MAX_SERIAL, Need, OWNERS, READERS, Route, WRITERS, flag, number, route};
use super::bodies::{json, json_or_default};
use super::desk::with_desk;
use super::{blocking, list_id, with_publisher};

/// Change lines shown when nothing else was asked for, and at most.
const LINES: (usize, usize) = (100, 100_000);
/// Versions in a page of the log when nothing else was asked for, and at most.
const VERSIONS: (usize, usize) = (50, 1_000);

const LIST: &str = "/v1/admin/lists/{list}";
const SHOW_LIST: &str = "GET /v1/admin/lists/{list}";
pub(super) const SHOW_STAGED: &str = "GET /v1/admin/lists/{list}/staged";
const DRY_RUN: &str = "only say what would happen";

pub(super) fn routes() -> Vec<Route> {
    let (read, write, own) = (Need::List(READERS), Need::List(WRITERS), Need::List(OWNERS));
    let dry_run = || [flag("dry_run", DRY_RUN)];
    vec![
        route(Method::GET, "/v1/admin/lists", "listLists", Need::Some(READERS), all)
            .tagged()
            .about("The lists on which the caller has a role.")
            .gives_list::<ListView>("the lists, by name"),
        route(Method::POST, "/v1/admin/lists", "createList", Need::All(OWNERS), create)
            .tagged()
            .about("Makes a list. It is served once it is published.")
            .takes(dry_run())
            .body::<NewList>()
            .gives::<ListView>(200, "what would be made, on a dry run")
            .gives::<ListView>(201, "the list"),
        route(Method::GET, LIST, "showList", read, one).tagged().about("One list.").gives::<ListView>(200, "the list"),
        route(Method::PATCH, LIST, "describeList", own, set)
            .tagged()
            .on_tag_of(SHOW_LIST)
            .about("Changes a list's description. What is absent stays as it is.")
            .takes(dry_run())
            .body::<ListPatch>()
            .gives::<ListView>(200, "the list as it is now, or would be"),
        route(Method::DELETE, LIST, "removeList", own, remove)
            .on_tag_of(SHOW_LIST)
            .about("Offers a list no longer. Its serials stay known for ever.")
            .takes(dry_run())
            .gives::<ListView>(200, "the list that would go, on a dry run")
            .gives_nothing(204, "it is gone"),
        route(Method::POST, "/v1/admin/lists/{list}/changes", "stageChanges", write, stage)
            .on_tag_of(SHOW_STAGED)
            .about("Stages entries to add, replace and remove for the next publication.")
            .body::<ChangeRequest>()
            .gives::<StagedView>(200, "what is staged by this request"),
        route(Method::GET, "/v1/admin/lists/{list}/staged", "showStaged", read, staged)
            .tagged()
            .about("What is staged against what is published.")
            .takes([number("lines", "change lines to show", 0, LINES.1 as u64)])
            .gives::<StagedView>(200, "what is staged"),
        route(Method::DELETE, "/v1/admin/lists/{list}/staged", "discardStaged", write, discard)
            .on_tag_of(SHOW_STAGED)
            .about("Throws away what is staged.")
            .takes(dry_run())
            .gives::<StagedView>(200, "what was thrown away, or would be"),
        route(Method::POST, "/v1/admin/lists/{list}/publish", "publishList", write, publish)
            .on_tag_of(SHOW_STAGED)
            .about("Publishes what is staged as the next version.")
            .optional_body::<PublishRequest>()
            .gives::<PublishReport>(200, "the version, and what changed"),
        route(Method::GET, "/v1/admin/lists/{list}/log", "showLog", read, log)
            .tagged()
            .about("The versions of a list, newest first.")
            .takes([
                number("before", "only versions before this serial", 1, MAX_SERIAL),
                number("limit", "versions in a page", 1, VERSIONS.1 as u64),
            ])
            .gives::<LogPage>(200, "a page of versions"),
    ]
}

/// The only parameter of what changes a list as such: `dry_run`.
fn dry_run(query: Option<&str>) -> Result<bool, Problem> {
    let query = Query::read(query);
    query.only(&["dry_run"])?;
    query.flag("dry_run")
}

/// `GET /v1/admin/lists`
pub(super) async fn all(State(shared): State<Shared>, caller: Caller) -> Result<Json<Vec<ListView>>, Problem> {
    let publisher = super::admin(&shared)?.publisher;
    let mut lists = blocking(move || publisher.lists()).await?;
    lists.retain(|view| caller.is_on(&view.meta.id, READERS));
    Ok(Json(lists))
}

/// `POST /v1/admin/lists?dry_run=true`; 200 on a dry run, for nothing was created.
pub(super) async fn create(
    State(shared): State<Shared>,
    caller: Caller,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, Problem> {
    let dry_run = dry_run(query.as_deref())?;
    let new: NewList = json(&shared, body).await?;
    if dry_run {
        let view = with_publisher(&shared, |publisher| publisher.would_create_list(new)).await?;
        return Ok(Json(view).into_response());
    }
    let view = with_publisher(&shared, move |publisher| publisher.create_list(new, caller.by())).await?;
    let place = HeaderValue::from_str(&format!("/v1/admin/lists/{}", view.meta.id)).map_err(|_| Problem::internal("no place"))?;
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], Json(view)).into_response())
}

/// `GET /v1/admin/lists/{list}`
pub(super) async fn one(State(shared): State<Shared>, Path(id): Path<String>) -> Result<Json<ListView>, Problem> {
    let id = list_id(&id)?;
    Ok(Json(with_publisher(&shared, move |publisher| publisher.view(&id)).await?))
}

/// `PATCH /v1/admin/lists/{list}?dry_run=true`
pub(super) async fn set(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Json<ListView>, Problem> {
    let id = list_id(&id)?;
    let dry_run = dry_run(query.as_deref())?;
    let patch: ListPatch = json(&shared, body).await?;
    let set = move |publisher: &Publisher| {
        if dry_run { publisher.would_set_list(&id, patch, &caller.by()) } else { publisher.set_list(&id, patch, caller.by()) }
    };
    Ok(Json(with_publisher(&shared, set).await?))
}

/// `DELETE /v1/admin/lists/{list}?dry_run=true`; on a dry run the list that would go.
pub(super) async fn remove(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let id = list_id(&id)?;
    if dry_run(query.as_deref())? {
        return Ok(Json(with_publisher(&shared, move |publisher| publisher.would_remove_list(&id, &caller.by())).await?).into_response());
    }
    with_publisher(&shared, move |publisher| publisher.remove_list(&id, caller.by())).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `POST /v1/admin/lists/{list}/changes`
pub(super) async fn stage(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<StagedView>, Problem> {
    let id = list_id(&id)?;
    let request: ChangeRequest = json(&shared, body).await?;
    Ok(Json(with_publisher(&shared, move |publisher| publisher.stage(&id, &request, caller.by())).await?))
}

/// `GET /v1/admin/lists/{list}/staged?lines=N`
pub(super) async fn staged(State(shared): State<Shared>, Path(id): Path<String>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let id = list_id(&id)?;
    let query = Query::read(query.as_deref());
    query.only(&["lines"])?;
    let lines = query.within("lines", 0, LINES.1)?.unwrap_or(LINES.0);
    let (view, tag) = with_publisher(&shared, move |publisher| publisher.staged_tagged(&id, lines)).await?;
    // Not the digest of what is shown: writes know nothing of the number of lines.
    Ok(([(header::ETAG, condition::field(&tag))], Json(view)).into_response())
}

/// `DELETE /v1/admin/lists/{list}/staged?dry_run=true`; what was thrown away, or would be.
pub(super) async fn discard(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<StagedView>, Problem> {
    let id = list_id(&id)?;
    let dry_run = dry_run(query.as_deref())?;
    let discard = move |publisher: &Publisher| {
        if dry_run { publisher.would_discard(&id, LINES.0, &caller.by()) } else { publisher.discard(&id, caller.by()) }
    };
    Ok(Json(with_publisher(&shared, discard).await?))
}

/// `POST /v1/admin/lists/{list}/publish`; without a body, with nothing forced and no reason.
pub(super) async fn publish(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<PublishReport>, Problem> {
    let id = list_id(&id)?;
    let request: PublishRequest = json_or_default(&shared, &headers, body).await?;
    super::desk::may_force(&caller, &id, &request.force)?;
    Ok(Json(with_desk(&shared, move |desk| desk.publish_staged(&id, &request, &caller.by())).await?))
}

/// `GET /v1/admin/lists/{list}/log?before=SERIAL&limit=N`
pub(super) async fn log(State(shared): State<Shared>, Path(id): Path<String>, RawQuery(query): RawQuery) -> Result<Json<LogPage>, Problem> {
    let id = list_id(&id)?;
    let query = Query::read(query.as_deref());
    query.only(&["before", "limit"])?;
    let before = query.parsed::<Serial>("before")?;
    let limit = query.within("limit", 1, VERSIONS.1)?.unwrap_or(VERSIONS.0);
    Ok(Json(with_publisher(&shared, move |publisher| publisher.log(&id, before, limit)).await?))
}
