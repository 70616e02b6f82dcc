//! What goes in and out of the publisher, and through `/v1/admin` as JSON. `http` serves these, `cmd` reads them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::formats::Summary;
use crate::list::{Attributes, Code, Colour, ListId, Serial, Timestamp};
use crate::store::{ListMeta, VersionRecord};

/// A list to create.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewList {
    /// Its name.
    pub id: ListId,
    /// black or white.
    pub colour: Colour,
    /// One line for people.
    pub title: String,
    /// Categories its entries may carry; empty: any.
    #[serde(default)]
    pub categories: Vec<Code>,
    /// Who decides about it.
    #[serde(default)]
    pub owner: String,
    /// SPDX expression or a sentence.
    #[serde(default)]
    pub licence: String,
    /// Where it comes from.
    #[serde(default)]
    pub source: String,
    /// How entries are reviewed.
    #[serde(default)]
    pub review: String,
}

/// What to change of a list's description; absent: as it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ListPatch {
    /// One line for people.
    pub title: Option<String>,
    /// Categories its entries may carry.
    pub categories: Option<Vec<Code>>,
    /// Who decides about it.
    pub owner: Option<String>,
    /// Licence.
    pub licence: Option<String>,
    /// Source.
    pub source: Option<String>,
    /// Review rule.
    pub review: Option<String>,
}

/// A list as an operator sees it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ListView {
    /// Description.
    pub meta: ListMeta,
    /// Newest version; none before the first publication.
    pub serial: Option<Serial>,
    /// Entries in it.
    pub entries: u64,
    /// When it was published.
    pub updated: Option<Timestamp>,
    /// When its head expires.
    pub expires: Option<Timestamp>,
    /// Changes staged and not yet published.
    pub staged: u64,
}

/// Changes to stage.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChangeRequest {
    /// Entries to add or replace.
    pub put: Vec<PutEntry>,
    /// Rules to remove (`kind:target`, or a bare host, URL or address as people write it: exact).
    pub remove: Vec<String>,
    /// Only say what would happen.
    pub dry_run: bool,
}

/// One entry to add or replace.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutEntry {
    /// `kind:target`, or a bare host, URL or address as people write it: exact.
    pub rule: String,
    /// Its attributes.
    #[serde(default)]
    pub attributes: Attributes,
}

/// One thing that was refused, with its place in the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Refusal {
    /// Field or guard: `put[3].rule`, `guard:protected`.
    pub place: String,
    /// The text it is about.
    pub text: String,
    /// Why.
    pub reason: String,
    /// What to do.
    pub hint: String,
}

/// What is staged against what is published.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct StagedView {
    /// Entries that would be added.
    pub added: u64,
    /// Entries that would be removed.
    pub removed: u64,
    /// Entries that would be replaced.
    pub replaced: u64,
    /// Asked for, but already so.
    pub unchanged: u64,
    /// Change lines with their sign, at most as many as were asked for.
    pub lines: Vec<String>,
    /// Refused by form or by a guard, the first 100.
    pub refused: Vec<Refusal>,
    /// How many were refused.
    pub refused_total: u64,
    /// Guards that would have to be forced by name: `max-added`, `max-removed`, `protected` is never forced.
    pub guards: Vec<Refusal>,
    /// What does not stand against it and should be known: targets that a list of the other colour has as well. Of a publication
    /// and its preview; empty elsewhere.
    #[serde(default)]
    pub notices: Vec<Refusal>,
}

/// How an import relates to what the list holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ImportMode {
    /// Adds and replaces; removes nothing.
    Merge,
    /// Afterwards the list is what the file says.
    Replace,
}

/// What an import did or would do.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ImportReport {
    /// What the reader saw.
    pub summary: Summary,
    /// Lines that repeated a rule.
    pub duplicates: u64,
    /// What is staged now (or would be).
    pub staged: StagedView,
    /// Whether it was staged: false on a dry run and when `strict` refused it.
    pub done: bool,
}

/// How to publish.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PublishRequest {
    /// Why, for the log.
    pub reason: String,
    /// Guards to override, each by name: `max-added`, `max-removed`.
    pub force: Vec<String>,
    /// Only say what would happen.
    pub dry_run: bool,
}

/// What a publication did or would do.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PublishReport {
    /// The version; none on a dry run or when nothing was staged.
    pub version: Option<VersionRecord>,
    /// What changed or would.
    pub changes: StagedView,
}

/// A page of the log, newest first.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LogPage {
    /// Versions.
    pub versions: Vec<VersionRecord>,
    /// Ask with `before=` this for the next page.
    pub next: Option<Serial>,
}

/// What `bwld check` found.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct CheckReport {
    /// Things verified, in words with numbers.
    pub verified: Vec<String>,
    /// Things wrong, each with what to do.
    pub problems: Vec<String>,
}
