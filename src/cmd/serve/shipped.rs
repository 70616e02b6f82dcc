//! Takes the lists that ship into a store that does not know them.
//!
//! Guarantees: a list the store has ever heard of is left alone, whatever became of it, unless taking it in was cut off
//! before its first publication: then that is finished.

use std::collections::BTreeMap;
use std::io::BufReader;

use anyhow::Context as _;

use crate::formats::{Format, ReadOptions, header};
use crate::list::ListId;
use crate::publisher::{ImportMode, ImportOptions, NewList, PublishRequest, Publisher};

use super::embedded;

/// Who takes them in, in the log.
const BY: &str = "bwld";

/// Takes in and publishes what is missing; returns the names.
///
/// # Errors
/// Of the publisher.
pub fn take_in(publisher: &Publisher, removed: impl Fn(&ListId) -> bool) -> anyhow::Result<Vec<ListId>> {
    let known: BTreeMap<ListId, bool> = publisher.lists().into_iter().map(|v| (v.meta.id.clone(), v.serial.is_some())).collect();
    let mut taken = Vec::new();
    for (file, text) in embedded::LISTS {
        let new = described(text).with_context(|| format!("lists/{file}"))?;
        let id = new.id.clone();
        match known.get(&id) {
            Some(true) => continue,
            Some(false) => {}
            None if removed(&id) => continue,
            None => {
                publisher.create_list(new, BY).with_context(|| format!("creating list {id}"))?;
            }
        }
        // Crash here: the list is known without a version; the next start comes through the arm above.
        let read = ReadOptions { format: Some(Format::Bwld), ..ReadOptions::default() };
        let options = ImportOptions { read, mode: ImportMode::Replace, strict: true, dry_run: false };
        let report =
            publisher.import(&id, &mut BufReader::new(text.as_bytes()), &options, BY).with_context(|| format!("reading lists/{file}"))?;
        anyhow::ensure!(report.done, "lists/{file} was refused: {:?}", report.summary.issues.first());
        let request = PublishRequest { reason: "ships with bwld".into(), force: vec!["max-added".into()], dry_run: false };
        publisher.publish(&id, &request, BY).with_context(|| format!("publishing list {id}"))?;
        tracing::info!(list = %id, entries = report.summary.entries, "taken in");
        taken.push(id);
    }
    Ok(taken)
}

/// The list a header block describes.
fn described(text: &str) -> anyhow::Result<NewList> {
    let head = header(text.as_bytes())?;
    let field = |key: &str| head.0.get(key).cloned().unwrap_or_default();
    let categories = field("categories");
    Ok(NewList {
        id: field("id").parse()?,
        colour: field("colour").parse()?,
        title: field("title"),
        categories: categories.split([',', ' ']).filter(|c| !c.is_empty()).map(str::parse).collect::<Result<_, _>>()?,
        owner: field("owner"),
        licence: field("licence"),
        source: field("source"),
        review: field("review"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_list_describes_itself() {
        for (file, text) in embedded::LISTS {
            let new = described(text).unwrap_or_else(|e| panic!("{file}: {e:#}"));
            assert_eq!(format!("{}.txt", new.id), *file);
            assert!(!new.title.is_empty() && !new.licence.is_empty() && !new.source.is_empty(), "{file}");
        }
    }
}
