//! What waits, search, category schemes, and for everybody the reason of an entry by its reference.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::Method;

use crate::desk::{Conflicts, Desk, DeskError, Page, PublicEntry, Queue, Scheme, Search};
use crate::list::{Code, Date, ListId};

use super::super::super::app::Shared;
use super::super::super::caller::{Caller, no_list};
use super::super::super::problem::Problem;
use super::super::super::query::Query;
use super::super::super::table::{Need, OWNERS, Parameter, READERS, Route, number, parameter, route, text};
use super::super::bodies::json;
use super::super::list_id;
use super::with_desk;

/// Results of a page when nothing else is asked for, and at most.
const RESULTS: (usize, usize) = (50, 1_000);

const SHOW_SCHEME: &str = "GET /v1/admin/schemes/{scheme}";

pub(super) fn routes() -> Vec<Route> {
    vec![
        route(Method::GET, "/v1/admin/queue", "showQueue", Need::Some(READERS), queue)
            .tagged()
            .about("What waits for somebody on the caller's lists.")
            .gives::<Queue>(200, "the queue"),
        route(Method::GET, "/v1/admin/entries", "searchEntries", Need::Some(READERS), search)
            .tagged()
            .about("Searches the entries of the caller's lists, whatever their state.")
            .takes(search_parameters())
            .gives::<Page>(200, "a page of entries")
            .problems(&[404, 422]),
        route(Method::GET, "/v1/admin/conflicts", "showConflicts", Need::Some(READERS), conflicts)
            .tagged()
            .about("Targets that are on a black and on a white list of the caller's lists.")
            .takes(conflict_parameters())
            .gives::<Conflicts>(200, "a page of conflicts")
            .problems(&[404, 422]),
        route(Method::PUT, "/v1/admin/schemes", "putScheme", Need::All(OWNERS), put_scheme)
            .tagged()
            .only_on_tag_of(SHOW_SCHEME)
            .about("Puts a category scheme in, or in place of the one of its name.")
            .body::<Scheme>()
            .gives::<Scheme>(200, "the scheme"),
        route(Method::GET, "/v1/admin/schemes/{scheme}", "showScheme", Need::Account, scheme)
            .tagged()
            .about("One category scheme.")
            .gives::<Scheme>(200, "the scheme")
            .problems(&[404]),
        route(Method::GET, "/v1/schemes", "schemes", Need::Nobody, schemes)
            .about("The category schemes: codes, names in several languages, ages.")
            .gives_list::<Scheme>("the schemes"),
        route(Method::GET, "/v1/lists/{list}/entries/{reference}", "entry", Need::Nobody, public)
            .about("Why an entry is or was on a list: reasons, legal basis, dates, how to appeal.")
            .gives::<PublicEntry>(200, "the entry")
            .problems(&[404, 503]),
    ]
}

fn search_parameters() -> Vec<Parameter> {
    let page = [text("cursor", "where the page before ended"), number("limit", "results of a page", 1, RESULTS.1 as u64)];
    filters().into_iter().chain(page).collect()
}

/// What an entry must be like.
pub(super) fn filters() -> Vec<Parameter> {
    let day = |name, about| parameter(name, about, serde_json::json!({"type": "string", "format": "date"}));
    vec![
        text("list", "only this list"),
        text("text", "a text in the rule, the attributes or any word of a case, its letters small or capital"),
        text("rule", "a rule, or a host, URL or address that one of any kind names"),
        text("category", "a category, of the list or of any scheme"),
        text("reason", "a reason code"),
        text("reference", "a reference"),
        text("proposer", "who proposed it"),
        text("state", "states, joined by commas"),
        day("created_from", "begun on this day or later"),
        day("created_to", "begun on this day or before"),
        day("expires_from", "expires on this day or later"),
        day("expires_to", "expires on this day or before"),
    ]
}

fn conflict_parameters() -> Vec<Parameter> {
    vec![
        text("list", "only conflicts in which this list has a part"),
        text("cursor", "where the page before ended"),
        number("limit", "results of a page", 1, RESULTS.1 as u64),
    ]
}

async fn conflicts(State(shared): State<Shared>, caller: Caller, RawQuery(query): RawQuery) -> Result<Json<Conflicts>, Problem> {
    let query = Query::read(query.as_deref());
    let known: Vec<&str> = conflict_parameters().iter().map(|parameter| parameter.name).collect();
    query.only(&known)?;
    let wanted = wanted_list(&query, &caller)?;
    let (cursor, limit) = (query.get("cursor")?.unwrap_or_default().to_owned(), query.within("limit", 1, RESULTS.1)?.unwrap_or(RESULTS.0));
    let shows = move |list: &ListId| caller.is_on(list, READERS);
    Ok(Json(with_desk(&shared, move |desk| desk.conflicts(wanted.as_ref(), &cursor, limit, &shows)).await?))
}

/// The list that a query names, if it names one and the caller may read it.
fn wanted_list(query: &Query, caller: &Caller) -> Result<Option<ListId>, Problem> {
    let wanted = query.get("list")?.map(list_id).transpose()?;
    match wanted.as_ref().filter(|list| !caller.is_on(list, READERS)) {
        Some(list) => Err(no_list(list)),
        None => Ok(wanted),
    }
}

async fn queue(State(shared): State<Shared>, caller: Caller) -> Result<Json<Queue>, Problem> {
    Ok(Json(with_desk(&shared, move |desk| desk.queue(&|list| caller.is_on(list, READERS))).await?))
}

async fn search(State(shared): State<Shared>, caller: Caller, RawQuery(query): RawQuery) -> Result<Json<Page>, Problem> {
    let search = read_search(query.as_deref(), &caller, &search_parameters())?;
    Ok(Json(with_desk(&shared, move |desk| desk.search(&of_caller(desk, &caller, search)?)).await?))
}

/// Of all lists those of the caller, if none is named. One that is named must be there.
pub(super) fn of_caller(desk: &Desk, caller: &Caller, search: Search) -> Result<Search, DeskError> {
    search.lists.iter().flatten().try_for_each(|list| desk.publisher().known(list))?;
    let mine = || desk.publisher().lists().into_iter().map(|view| view.meta.id).filter(|list| caller.is_on(list, READERS)).collect();
    let lists = Some(search.lists.unwrap_or_else(mine));
    Ok(Search { lists, ..search })
}

/// What a query looks for, by these of its parameters.
pub(super) fn read_search(query: Option<&str>, caller: &Caller, parameters: &[Parameter]) -> Result<Search, Problem> {
    let query = Query::read(query);
    let known: Vec<&str> = parameters.iter().map(|parameter| parameter.name).collect();
    query.only(&known)?;
    let text = |name: &str| Ok::<_, Problem>(query.get(name)?.unwrap_or_default().to_owned());
    let wanted = wanted_list(&query, caller)?;
    let states =
        query.get("state")?.unwrap_or_default().split(',').filter(|word| !word.is_empty()).map(str::parse).collect::<Result<_, _>>();
    let days = |from: &str, to: &str| Ok::<_, Problem>((query.parsed::<Date>(from)?, query.parsed::<Date>(to)?));
    Ok(Search {
        lists: wanted.map(|list| vec![list]),
        text: text("text")?,
        rule: text("rule")?,
        category: query.parsed("category")?,
        reason: query.parsed("reason")?,
        reference: text("reference")?,
        proposer: text("proposer")?,
        states: states.map_err(|e| Problem::bad_request("bad-parameter", format!("state: {e}")))?,
        created: days("created_from", "created_to")?,
        expires: days("expires_from", "expires_to")?,
        cursor: text("cursor")?,
        limit: query.within("limit", 1, RESULTS.1)?.unwrap_or(RESULTS.0),
    })
}

async fn put_scheme(State(shared): State<Shared>, caller: Caller, body: Body) -> Result<Json<Scheme>, Problem> {
    let scheme: Scheme = json(&shared, body).await?;
    let put = with_desk(&shared, move |desk| desk.put_scheme(&scheme, &caller.by()).map(|()| scheme));
    Ok(Json(put.await?))
}

async fn scheme(State(shared): State<Shared>, Path(id): Path<String>) -> Result<Json<Scheme>, Problem> {
    let none = || Problem::not_found("unknown-scheme", "there is no such category scheme; GET /v1/schemes shows those there are");
    let id = id.parse::<Code>().map_err(|_| none())?;
    with_desk(&shared, move |desk| desk.scheme(&id)).await?.map(Json).ok_or_else(none)
}

async fn schemes(State(shared): State<Shared>) -> Result<Json<Vec<Scheme>>, Problem> {
    Ok(Json(with_desk(&shared, Desk::schemes).await?))
}

async fn public(State(shared): State<Shared>, Path((list, reference)): Path<(String, String)>) -> Result<Json<PublicEntry>, Problem> {
    let unknown = |_| Problem::not_found("unknown-entry", "there is no such list, or it has no entry of this reference");
    let list: ListId = list.parse().map_err(unknown)?;
    Ok(Json(with_desk(&shared, move |desk| desk.public(&list, &reference)).await?))
}
