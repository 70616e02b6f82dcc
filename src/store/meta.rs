//! What is known of a list beside its content.

use serde::{Deserialize, Serialize};

use crate::list::{Code, Colour, ListId, Timestamp};

/// What is known of a list beside its content. Goes into `/v1/lists` but for nothing secret is in it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListMeta {
    /// Its name.
    pub id: ListId,
    /// black or white; fixed.
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
    /// How entries are reviewed, in words.
    #[serde(default)]
    pub review: String,
    /// When it was created.
    pub created: Timestamp,
}
