//! Compares the index of a followed list with the list: every entry of one is in the other.
//!
//! The list's entries are put to the index as questions, and those of the index are counted: with as many, and each of the list's
//! among them, they are the same.

use std::path::Path;

use crate::indexes::IndexFolder;
use crate::list::{Kind, ListId, Serial, rule_of};
use crate::matcher::{Layers, Question};

use crate::follower::state::{ListState, View};

use super::build::catch_up;

/// The version of the list's index in the folder `followed`, if there is one, after it was found to be whole; and, if it is that
/// of the content or the log leads from it there, to say the same as the content.
pub fn verify_index(followed: &Path, list: &ListId, state: &ListState, view: &mut View) -> Result<Option<Serial>, String> {
    // A follower that keeps no indexes leaves no folder for them.
    let Ok(folder) = IndexFolder::open(followed) else { return Ok(None) };
    let mut folder = folder.only([list.clone()].into());
    let lists = folder.load().map_err(|e| e.to_string())?;
    if let Some((_, problem)) = folder.problems().next() {
        return Err(problem.to_string());
    }
    let Some(layers) = lists.layers(&view.meta.origin, list) else { return Ok(None) };
    let told = |e: &dyn std::fmt::Display| format!("index of serial {}: {e}", layers.about().serial);
    for layer in layers.layers() {
        layer.verify().map_err(|e| told(&e))?;
    }
    if let Some(layers) = catch_up(state, layers).map_err(|e| told(&e))? {
        compare(&layers, view).map_err(|e| told(&e))?;
    }
    Ok(Some(layers.about().serial))
}

fn compare(layers: &Layers, view: &mut View) -> Result<(), String> {
    let mut entries = 0;
    layers.each_entry(|_| entries += 1).map_err(|e| e.to_string())?;
    if entries != view.content.entries() {
        return Err(format!("it has {entries} entries, the list {}", view.content.entries()));
    }
    let mut wrong = None;
    let read = view.lines(&mut |line| {
        if wrong.is_none() {
            wrong = missing(layers, line);
        }
        Ok(())
    });
    read.map_err(|e| e.to_string())?;
    wrong.map_or(Ok(()), Err)
}

/// What is wrong with the index's answer about an entry.
fn missing(layers: &Layers, line: &str) -> Option<String> {
    let rule = rule_of(line);
    let Some((kind, target)) = Kind::split(rule) else { return Some(format!("{rule}: no rule")) };
    let asked = match kind {
        Kind::Cidr => target.split_once('/').map_or(target, |(address, _)| address),
        _ => target,
    };
    match Question::parse(asked).map_err(|e| e.to_string()).and_then(|question| layers.entry_of(&question, rule).map_err(|e| e.to_string()))
    {
        Ok(Some(found)) if found == line => None,
        Ok(Some(found)) => Some(format!("it has \"{found}\" where the list has \"{line}\"")),
        Ok(None) => Some(format!("it does not have \"{line}\"")),
        Err(error) => Some(format!("{rule}: {error}")),
    }
}
