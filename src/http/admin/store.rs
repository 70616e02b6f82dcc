//! Key sets, check, backup.

use std::path::PathBuf;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::list::Digest;
use crate::publisher::{By, CheckReport, PublishError};
use crate::store::Record;
use crate::wire::MAX_KEYSET;

use super::super::app::Shared;
use super::super::caller::Caller;
use super::super::problem::Problem;
use super::super::table::{Need, OWNERS, Route, route};
use super::bodies::{json, whole};
use super::{admin, blocking, refused, with_publisher};

pub(super) fn routes() -> Vec<Route> {
    let own = Need::All(OWNERS);
    vec![
        route(Method::POST, "/v1/admin/keyset", "activateKeySet", own, keyset)
            .about("Puts a key set in force.")
            .raw_body("text/plain")
            .gives::<Activated>(200, "its number"),
        route(Method::POST, "/v1/admin/check", "check", own, check)
            .about("Checks the store against its journal, and what is published against what was signed.")
            .gives::<CheckReport>(200, "what was verified, and what is wrong"),
        route(Method::POST, "/v1/admin/backup", "backUp", own, backup)
            .about("Backs up to a folder on the daemon's machine.")
            .body::<BackupRequest>()
            .gives::<BackedUp>(200, "what was backed up"),
    ]
}

/// What is in force after a key set was activated.
#[derive(Serialize, ToSchema)]
pub(super) struct Activated {
    keyset: u64,
}

/// `POST /v1/admin/keyset`: the signed note as it is.
pub(super) async fn keyset(State(shared): State<Shared>, caller: Caller, body: Body) -> Result<Json<Activated>, Problem> {
    let note = whole(&shared, body, MAX_KEYSET).await?;
    let note = String::from_utf8(note.to_vec()).map_err(|_| Problem::bad_request("bad-note", "a key set is a signed note, in text"))?;
    let keyset = with_publisher(&shared, move |publisher| publisher.activate_keyset(&note, caller.by())).await?;
    Ok(Json(Activated { keyset }))
}

/// `POST /v1/admin/check`: the store against its journal, then what is published against what was signed.
pub(super) async fn check(State(shared): State<Shared>) -> Result<Json<CheckReport>, Problem> {
    let store = admin(&shared)?.store;
    let found = blocking(move || store.check()).await?.map_err(|e| refused(&shared, &PublishError::Store(e)))?;
    let mut report = with_publisher(&shared, |publisher| Ok(publisher.check())).await?;
    report.verified.splice(0..0, found.verified);
    report.problems.splice(0..0, found.problems);
    Ok(Json(report))
}

/// Where to back up to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BackupRequest {
    /// A folder on the daemon's machine, empty or not there; absolute.
    #[schema(value_type = String)]
    to: PathBuf,
    /// With keys and token: whoever has it can sign.
    #[serde(default)]
    secrets: bool,
}

/// What was backed up.
#[derive(Serialize, ToSchema)]
pub(super) struct BackedUp {
    frame: u64,
    files: u64,
    octets: u64,
    linked: u64,
    manifest: Digest,
}

/// `POST /v1/admin/backup`
pub(super) async fn backup(State(shared): State<Shared>, caller: Caller, body: Body) -> Result<Json<BackedUp>, Problem> {
    let BackupRequest { to, secrets } = json(&shared, body).await?;
    if !to.is_absolute() {
        let detail = "to: name the folder from / on; the daemon's working folder is not yours";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", "Refused", detail));
    }
    let (store, now) = (admin(&shared)?.store, shared.app.clock.now());
    let report = blocking(move || {
        // Before it begins: whatever becomes of the copy, or of the daemon, it is known who made it and what went with it.
        let object = format!("backup:{} secrets:{}", to.display(), if secrets { "with" } else { "without" });
        let said = |what: &str, why: String| {
            let act = By::new(&*caller.who.account, &*caller.from).because(why).act(now, what, &*object);
            store.commit(&Record::All { records: vec![Record::Act { act }] }).map(|_| ())
        };
        match said("store.backup", String::new()) {
            Err(error) if secrets => return Err(error),
            // A disk that is full is a reason for a backup, not against it.
            Err(error) => tracing::warn!(%error, "a backup is made that is not in the audit chain"),
            Ok(()) => {}
        }
        store.backup(&to, secrets, now).inspect_err(|error| {
            if let Err(error) = said("store.backup-failed", error.to_string()) {
                tracing::warn!(%error, "that a backup failed is not in the audit chain");
            }
        })
    });
    let report = report.await?;
    let report = report.map_err(|e| refused(&shared, &PublishError::Store(e)))?;
    Ok(Json(BackedUp { frame: report.frame, files: report.files, octets: report.octets, linked: report.linked, manifest: report.manifest }))
}
