//! Lists in bulk: read, sorted, merged with what the list holds, and staged as what differs. Streams from end to end.

use std::io::BufRead;
use std::thread;

use crate::formats::{self, Item, ReadError, ReadOptions, Summary};
use crate::list::ListId;
use crate::store::{Content, Sorter};

use super::base::list_lines;
use super::changes::{Staged, write};
use super::chunks::{LineSender, fan_out, first_cause, join};
use super::guards::{Screen, Tally};
use super::lines::{Lines, NoLines, Outcome, stage};
use super::publish::LISTED;
use super::state::State;
use super::{ImportMode, ImportReport, PublishError, Publisher, Refusal, StagedView};

/// How to import.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// How to read the file.
    pub read: ReadOptions,
    /// How it relates to what the list holds.
    pub mode: ImportMode,
    /// Refuse the whole file if anything in it is refused.
    pub strict: bool,
    /// Only say what would happen.
    pub dry_run: bool,
}

/// What the merge found beside the changes.
#[derive(Default)]
struct Found {
    unchanged: u64,
    refused: Vec<Refusal>,
    refused_total: u64,
    tally: Tally,
    lines: Vec<String>,
}

impl Publisher {
    /// Reads a list and stages what differs. Entries that come in bulk get no reference: it would make the list half as
    /// large again, and who needs one can put the entry singly.
    ///
    /// What cannot be understood, or what a guard forbids, is left out and reported; with `strict` nothing is staged then.
    ///
    /// # Errors
    /// [`PublishError::Read`] if the file as a whole is refused; else of disk and store. Nothing is staged then.
    pub fn import(&self, id: &ListId, input: &mut dyn BufRead, options: &ImportOptions, by: &str) -> Result<ImportReport, PublishError> {
        let slot = self.slot(id)?;
        slot.lock().in_service()?;
        // Reading takes long; others may look at the list and change it meanwhile.
        let (summary, sorter) = self.read_sorted(input, &options.read)?;
        let mut sorted = sorter.finish()?;

        let mut state = slot.lock();
        state.in_service()?;
        let strictly = options.strict && summary.issues_total > 0;
        let write = !options.dry_run && !strictly;
        let mut screened = true;
        let (found, staged) = self.merge(&state, &mut sorted, options.mode, write)?;
        if let Some(before) = &state.staged
            && options.mode == ImportMode::Merge
        {
            screened = before.screened;
        }
        let done = write && !(options.strict && found.refused_total > 0);
        if done && let Some(mut staged) = staged {
            staged.screened = screened;
            self.commit_staged(&mut state, Some(staged), by)?;
        }
        let view = StagedView {
            unchanged: found.unchanged,
            lines: found.lines,
            refused: found.refused,
            refused_total: found.refused_total,
            ..self.view_of(&state, found.tally)
        };
        Ok(ImportReport { summary, duplicates: sorted.duplicates(), staged: view, done })
    }

    /// Phase one: lines into the sorter.
    fn read_sorted(&self, input: &mut dyn BufRead, options: &ReadOptions) -> Result<(Summary, Sorter), PublishError> {
        let mut sorter = Sorter::new(&self.store.artefacts().temporary_dir(), self.options.sort_memory);
        let summary = formats::read::<PublishError>(input, options, |item| {
            match item {
                Item::Put(line) => sorter.push(b'+', line)?,
                Item::Remove(rule) => sorter.push(b'-', rule)?,
            }
            Ok(())
        })?;
        Ok((summary, sorter))
    }

    /// Phase two: what differs from the list, written as an artefact if `keep`.
    fn merge(&self, state: &State, incoming: impl Lines, mode: ImportMode, keep: bool) -> Result<(Found, Option<Staged>), PublishError> {
        let artefacts = self.store.artefacts();
        if !keep {
            return Ok((self.merge_into(state, incoming, mode, None)?, None));
        }
        let (mut sender, [receiver]) = fan_out();
        thread::scope(|scope| {
            let written = scope.spawn(move || write(artefacts, &receiver));
            let made = self.merge_into(state, incoming, mode, Some(&mut sender));
            let made = sender.end(made);
            first_cause(join(written), made).map(|(staged, found)| (found, Some(staged)))
        })
    }

    fn merge_into(
        &self,
        state: &State,
        incoming: impl Lines,
        mode: ImportMode,
        mut sender: Option<&mut LineSender>,
    ) -> Result<Found, PublishError> {
        let artefacts = self.store.artefacts();
        let empty = Content::empty();
        let published = match &state.published {
            Some(published) => list_lines(artefacts, published.bases.last(), &published.content)?,
            None => list_lines(artefacts, None, &empty)?,
        };
        let staged: Box<dyn Lines> = match &state.staged {
            Some(staged) => staged.lines(artefacts)?,
            None => Box::new(NoLines),
        };
        let mut screen = Screen::new(&state.meta, &self.options);
        let mut found = Found::default();
        let mut refusals = Vec::new();
        let refuses = |line: &str| {
            let refusal = screen.refuses(line);
            let refused = refusal.is_some();
            if refusals.len() < LISTED {
                refusals.extend(refusal);
            }
            refused
        };
        stage::<PublishError>(published, staged, incoming, mode == ImportMode::Replace, refuses, |outcome| {
            let (sign, body) = match outcome {
                Outcome::Unchanged => {
                    found.unchanged += 1;
                    return Ok(());
                }
                Outcome::Refused(kept) => {
                    found.refused_total += 1;
                    let Some(kept) = kept else { return Ok(()) };
                    kept.split_at(1)
                }
                Outcome::Change(sign, body) => (sign, body),
            };
            found.tally.count(sign.as_bytes()[0]);
            if found.lines.len() < LISTED {
                found.lines.push([sign, body].concat());
            }
            match &mut sender {
                Some(sender) => Ok(sender.push([sign, body])?),
                None => Ok(()),
            }
        })?;
        found.refused = refusals;
        Ok(found)
    }
}

/// So that a failure of the reader's input is told apart from a refusal of the file.
impl From<ReadError> for PublishError {
    fn from(error: ReadError) -> PublishError {
        match error {
            ReadError::Io(e) => PublishError::Io(e),
            other => PublishError::Read(other),
        }
    }
}
