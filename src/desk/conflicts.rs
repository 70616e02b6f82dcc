//! Which targets stand on a black and on a white list of this publisher.
//!
//! Guarantees: of each pair of lists the one with fewer entries is read and the other one is asked, so cost is by the smaller; a call
//! looks at a bounded number of entries and says where the next one goes on. What is published in between may be missed or named twice.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::list::{Colour, ListId, Rule, rule_of};
use crate::publisher::{Refusal, same_target};
use crate::store::PublishedList;

use super::{Desk, DeskError};

/// Most conflicts of a page.
pub(super) const MOST: usize = 1_000;
/// Entries that one call looks at.
const LOOKED_AT: usize = 100_000;

/// A target that is on lists of both colours.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Conflict {
    /// The black list.
    pub black: ListId,
    /// Its rule.
    pub black_rule: String,
    /// The white list.
    pub white: ListId,
    /// Its rule.
    pub white_rule: String,
}

/// A page of them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Conflicts {
    /// Conflicts, pair by pair of lists.
    pub conflicts: Vec<Conflict>,
    /// Ask with `cursor=` this for the next page, which may be empty and go on again.
    pub next: Option<String>,
}

/// Behind this rule in this bucket of what is read of this pair; or, if only some of the rule's conflicts were given, behind those.
struct Cursor {
    black: ListId,
    white: ListId,
    bucket: u32,
    rule: String,
    given: usize,
}

impl Cursor {
    fn read(text: &str) -> Option<Cursor> {
        let mut parts = text.splitn(5, '.');
        let (black, white, bucket) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let rule = String::from_utf8(URL_SAFE_NO_PAD.decode(parts.next()?).ok()?).ok()?;
        let given = parts.next().map_or(Some(0), |given| given.parse().ok())?;
        Some(Cursor { black, white, bucket, rule, given })
    }

    fn text(black: &ListId, white: &ListId, bucket: u32, rule: &str, given: usize) -> String {
        let given = if given == 0 { String::new() } else { format!(".{given}") };
        format!("{black}.{white}.{bucket}.{}{given}", URL_SAFE_NO_PAD.encode(rule))
    }
}

impl Desk {
    /// Conflicts between the lists that `shows` names, at most `limit` (1 to 1,000); with `list` those in which it has a part.
    ///
    /// # Errors
    /// [`DeskError::Refused`] if the cursor is none that was given; if there is no such list; of reading.
    pub fn conflicts(
        &self,
        list: Option<&ListId>,
        cursor: &str,
        limit: usize,
        shows: &dyn Fn(&ListId) -> bool,
    ) -> Result<Conflicts, DeskError> {
        list.map_or(Ok(()), |list| self.publisher.known(list))?;
        let from = Cursor::read(cursor);
        if from.is_none() && !cursor.is_empty() {
            let (reason, hint) = ("not a cursor that was given".into(), "begin at the first page".into());
            return Err(DeskError::Refused(vec![Refusal { place: "cursor".into(), text: String::new(), reason, hint }]));
        }
        let (mut page, mut left) = (Conflicts::default(), LOOKED_AT);
        let lists: Vec<Arc<PublishedList>> = self.catalog.all().into_iter().filter(|list| shows(&list.meta.id)).collect();
        let of = |colour| lists.iter().filter(move |list| list.meta.colour == colour);
        for (black, white) in of(Colour::Black).flat_map(|black| of(Colour::White).map(move |white| (black, white))) {
            let ids = (&black.meta.id, &white.meta.id);
            if list.is_some_and(|list| list != ids.0 && list != ids.1) {
                continue;
            }
            let from = match &from {
                Some(from) if ids < (&from.black, &from.white) => continue,
                from => from.as_ref().filter(|from| ids == (&from.black, &from.white)),
            };
            pair(black, white, from, limit.clamp(1, MOST), &mut left, &mut page)?;
            if page.next.is_some() {
                break;
            }
        }
        Ok(page)
    }
}

/// Conflicts of one pair, until the page is full or enough was looked at.
fn pair(
    black: &PublishedList,
    white: &PublishedList,
    from: Option<&Cursor>,
    limit: usize,
    left: &mut usize,
    page: &mut Conflicts,
) -> Result<(), DeskError> {
    let by_white = white.content.entries() <= black.content.entries();
    let (read, asked) = if by_white { (white, black) } else { (black, white) };
    let mut failed = None;
    each_rule(read, from, &mut |bucket, rule| {
        let mut found = Vec::new();
        for same in same_target(rule) {
            match asked.content.get(&same) {
                Ok(Some(_)) => found.push(same.as_str().to_owned()),
                Ok(None) => {}
                Err(e) => {
                    failed = Some(e);
                    return false;
                }
            }
        }
        // Of the rule that the page before broke off at, those that it gave are left out.
        let given = from.filter(|from| from.bucket == bucket && from.rule == rule.as_str()).map_or(0, |from| from.given);
        let count = found.len();
        for (at, other) in found.into_iter().enumerate().skip(given) {
            let own = rule.as_str().to_owned();
            let (black_rule, white_rule) = if by_white { (other, own) } else { (own, other) };
            page.conflicts.push(Conflict { black: black.meta.id.clone(), black_rule, white: white.meta.id.clone(), white_rule });
            if page.conflicts.len() == limit {
                let given = if at + 1 == count { 0 } else { at + 1 };
                page.next = Some(Cursor::text(&black.meta.id, &white.meta.id, bucket, rule.as_str(), given));
                return false;
            }
        }
        *left = left.saturating_sub(1);
        if *left == 0 {
            page.next = Some(Cursor::text(&black.meta.id, &white.meta.id, bucket, rule.as_str(), 0));
        }
        page.next.is_none()
    })?;
    failed.map_or(Ok(()), |e| Err(e.into()))
}

/// Hands out the rules of a list behind a place, bucket by bucket.
fn each_rule(list: &PublishedList, from: Option<&Cursor>, each: &mut dyn FnMut(u32, &Rule) -> bool) -> Result<(), DeskError> {
    let begin = from.map_or(0, |from| from.bucket);
    list.content.scan(begin, &Finder::new(""), &mut |bucket, line| {
        let rule = rule_of(line);
        let behind = from.is_none_or(|from| bucket > from.bucket || rule > &*from.rule || from.given > 0 && rule == from.rule);
        !behind || each(bucket, &Rule::trusted(rule))
    })?;
    Ok(())
}
