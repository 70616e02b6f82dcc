//! Lists in bulk: read, sorted, merged with what the list holds, and staged as what differs. Streams from end to end.

use std::io::BufRead;
use std::sync::Arc;
use std::thread;

use crate::formats::{ReadError, ReadOptions, Summary};
use crate::list::ListId;
use crate::store::{ArtefactKind, By, Content, ListMeta, Sorter};

use super::ahead::Ahead;
use super::base::list_lines;
use super::changes::{Staged, write};
use super::chunks::{LineSender, fan_out, first_cause, join};
use super::guards::{Screen, Tally};
use super::lines::{Lines, NoLines, Outcome, Over, stage};
use super::policy::Demands;
use super::publish::LISTED;
use super::reading::{Lot, read_lots};
use super::state::{Slot, State};
use super::{ImportMode, ImportProgress, ImportReport, PublishError, Publisher, Refusal, StagedView};

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

/// What was found beside the changes.
#[derive(Default)]
pub(super) struct Found {
    unchanged: u64,
    refused: Vec<Refusal>,
    pub(super) refused_total: u64,
    pub(super) tally: Tally,
    pub(super) lines: Vec<String>,
}

impl Found {
    pub(super) fn take(&mut self, sign: &str, body: &str) {
        self.tally.count(sign.as_bytes()[0]);
        if self.lines.len() < LISTED {
            self.lines.push([sign, body].concat());
        }
    }

    /// Takes entries that come in, all of them.
    pub(super) fn take_lot(&mut self, lot: &Lot) {
        self.tally.added += lot.count();
        let room = LISTED.saturating_sub(self.lines.len());
        self.lines.extend(lot.lines().take(room).map(|(_, body)| ["+", body].concat()));
    }

    pub(super) fn refuse(&mut self, refusal: Refusal) {
        self.refused_total += 1;
        if self.refused.len() < LISTED {
            self.refused.push(refusal);
        }
    }
}

/// What was read for a list that holds nothing.
struct Intake {
    summary: Summary,
    found: Found,
    /// The beginning that was in order.
    ahead: Staged,
    /// The rest, if not all was.
    rest: Option<Sorter>,
    duplicates: u64,
}

/// Whether a list holds nothing and nothing is staged for it.
fn is_fresh(state: &State) -> bool {
    state.entries() == 0 && state.staged.is_none()
}

impl Publisher {
    /// Reads a list and stages what differs. Entries that come in bulk get no reference: it would make the list half as
    /// large again, and who needs one can put the entry singly.
    ///
    /// What cannot be understood, or what a guard forbids, is left out and reported; with `strict` nothing is staged then.
    ///
    /// # Errors
    /// [`PublishError::Read`] if the file as a whole is refused; else of disk and store. Nothing is staged then.
    pub fn import(
        &self,
        id: &ListId,
        input: &mut dyn BufRead,
        options: &ImportOptions,
        by: impl Into<By>,
    ) -> Result<ImportReport, PublishError> {
        self.import_watched(id, input, options, by, &ImportProgress::default())
    }

    /// [`Publisher::import`], for those who watch how far it has come.
    ///
    /// # Errors
    /// The same.
    pub fn import_watched(
        &self,
        id: &ListId,
        input: &mut dyn BufRead,
        options: &ImportOptions,
        by: impl Into<By>,
        progress: &ImportProgress,
    ) -> Result<ImportReport, PublishError> {
        let by = &by.into();
        let slot = self.slot(id)?;
        let (fresh, meta, demands) = {
            let state = slot.lock();
            state.in_service()?;
            by.expects(|| self.staged_tag(&state))?;
            (is_fresh(&state), state.meta.clone(), state.demands.clone())
        };
        // Reading takes long; others may look at the list and change it meanwhile.
        if fresh && !options.strict && !options.dry_run {
            let intake = self.read_ahead(&meta, &demands, input, &options.read, progress)?;
            return self.import_ahead(&slot, (&meta, &demands), intake, options, by);
        }
        let (summary, sorter) = self.read_sorted(input, &options.read, progress)?;
        let mut sorted = sorter.finish()?;
        let mut state = slot.lock();
        state.in_service()?;
        by.expects(|| self.staged_tag(&state))?;
        let refused = options.strict && summary.issues_total > 0;
        let write = !options.dry_run && !refused;
        let (found, staged) = self.merge(&state, &mut sorted, options.mode, write)?;
        let (staged, refused) = if options.strict && found.refused_total > 0 { (None, staged) } else { (staged, None) };
        refused.iter().for_each(|refused| self.store.artefacts().let_go(ArtefactKind::Changes, &refused.digest));
        self.finish_import(&mut state, summary, found, staged, sorted.duplicates(), options.mode, by)
    }

    /// Stages what was read ahead: as it is if it was all in order, else with the rest sorted on top.
    fn import_ahead(
        &self,
        slot: &Slot,
        (meta, demands): (&Arc<ListMeta>, &Arc<Demands>),
        intake: Intake,
        options: &ImportOptions,
        by: &By,
    ) -> Result<ImportReport, PublishError> {
        let Intake { summary, mut found, ahead, rest, mut duplicates } = intake;
        let mut rest = rest.map(Sorter::finish).transpose()?;
        let mut state = slot.lock();
        let artefacts = self.store.artefacts();
        let may = state.in_service().and_then(|()| by.expects(|| self.staged_tag(&state)));
        may.inspect_err(|_| artefacts.let_go(ArtefactKind::Changes, &ahead.digest))?;
        if rest.is_none() && is_fresh(&state) {
            let staged = Staged { screened: Arc::ptr_eq(meta, &state.meta) && Arc::ptr_eq(demands, &state.demands), ..ahead };
            return self.finish_import(&mut state, summary, found, Some(staged), duplicates, options.mode, by);
        }
        artefacts.let_go(ArtefactKind::Changes, &ahead.digest);
        let (all, staged) = {
            let later: Box<dyn Lines + '_> = match &mut rest {
                Some(sorted) => Box::new(sorted),
                None => Box::new(NoLines),
            };
            let mut both = Over::new(ahead.lines(artefacts)?, later)?;
            let merged = self.merge(&state, &mut both, options.mode, true)?;
            duplicates += both.duplicates;
            merged
        };
        duplicates += rest.map_or(0, |sorted| sorted.duplicates());
        found.refused.extend(all.refused);
        found.refused.truncate(LISTED);
        let found = Found { refused: found.refused, refused_total: found.refused_total + all.refused_total, ..all };
        self.finish_import(&mut state, summary, found, staged, duplicates, options.mode, by)
    }

    #[allow(clippy::too_many_arguments)] // the tail of two ways through the same import
    fn finish_import(
        &self,
        state: &mut State,
        summary: Summary,
        found: Found,
        staged: Option<Staged>,
        duplicates: u64,
        mode: ImportMode,
        by: &By,
    ) -> Result<ImportReport, PublishError> {
        let done = staged.is_some();
        if let Some(mut staged) = staged {
            // What was staged before and stays is as well screened as it was.
            staged.screened &= mode == ImportMode::Replace || state.staged.as_ref().is_none_or(|s| s.screened);
            self.commit_staged(state, Some(staged), "list.import", by)?;
        }
        let view = StagedView {
            unchanged: found.unchanged,
            lines: found.lines,
            refused: found.refused,
            refused_total: found.refused_total,
            ..self.view_of(state, found.tally)
        };
        Ok(ImportReport { summary, duplicates, staged: view, done })
    }

    /// Reads for a list that holds nothing: lines are staged as they come, beside the reading, as long as they are in
    /// order, which published lists mostly are ([`Ahead`]). From the first one that is not, the rest is sorted.
    fn read_ahead(
        &self,
        meta: &ListMeta,
        demands: &Demands,
        input: &mut dyn BufRead,
        options: &ReadOptions,
        progress: &ImportProgress,
    ) -> Result<Intake, PublishError> {
        let artefacts = self.store.artefacts();
        let (mut sender, [receiver]) = fan_out();
        thread::scope(|scope| {
            let written = scope.spawn(move || write(artefacts, &receiver));
            let mut ahead = Ahead::new(Screen::new(meta, &self.options, demands));
            let mut rest: Option<Sorter> = None;
            let screen = || Some(Screen::new(meta, &self.options, demands));
            let summary = read_lots(input, options, progress, screen, |lot| {
                let lot = if rest.is_none() { ahead.takes_lot(lot, &mut sender)? } else { Some(lot) };
                for (sign, line) in lot.iter().flat_map(Lot::lines) {
                    if rest.is_some() || sign != b'+' || !ahead.takes(line, &mut sender)? {
                        let sorter = rest.get_or_insert_with(|| Sorter::new(&artefacts.temporary_dir(), self.options.sort_memory));
                        sorter.push(sign, line)?;
                    }
                }
                Ok(())
            });
            let read = summary.and_then(|summary| Ok((summary, ahead.finish(&mut sender)?)));
            let read = sender.end(read);
            let (staged, (summary, (found, duplicates))) = first_cause(join(written), read)?;
            Ok(Intake { summary, found, ahead: staged, rest, duplicates })
        })
    }

    /// Reads for any list: lines into the sorter.
    fn read_sorted(
        &self,
        input: &mut dyn BufRead,
        options: &ReadOptions,
        progress: &ImportProgress,
    ) -> Result<(Summary, Sorter), PublishError> {
        let mut sorter = Sorter::new(&self.store.artefacts().temporary_dir(), self.options.sort_memory);
        let summary =
            read_lots(input, options, progress, || None, |lot| Ok(lot.lines().try_for_each(|(sign, line)| sorter.push(sign, line))?))?;
        Ok((summary, sorter))
    }

    /// What differs from the list, written as an artefact if `keep`.
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
        let mut screen = Screen::new(&state.meta, &self.options, &state.demands);
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
            found.take(sign, body);
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
