//! What a follower writes for filters, and how they take it in.
//!
//! ```text
//! text    a list in bwld's own text            format   lists in the format of a filter
//! merge   several lists as one                  record   what was written, for the next start
//! deliver reload commands, runtime sockets
//! ```
//!
//! Guarantees: a file is replaced as a whole by rename, or it stays as it was; nothing is written for a list whose content
//! never came; what is unchanged is not written and not reloaded, also after a restart; a reload that was due when the process
//! died is run by the next one.

mod deliver;
mod format;
mod merge;
mod record;
mod text;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::list::{Digest, Timestamp};

use super::plan::{OutputStart, Written};
use super::shared::{Shared, lock};
use super::{Deliver, FollowError, FollowerOptions, OutputChoice};

pub use record::HeldVersion;
use record::Record;
pub(super) use text::is_current;

/// One output, in the order in which the plan counts them.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a handful of them for the life of the program; a box would only be in the way")]
pub(super) enum Output {
    /// A list's own text file.
    Text {
        /// Which list.
        list: usize,
        /// Where.
        path: PathBuf,
    },
    /// For a filter.
    Format {
        /// The lists it holds.
        lists: Vec<usize>,
        /// All else.
        choice: OutputChoice,
        /// Its place among the notes.
        number: usize,
    },
}

/// All outputs, and all that is to be run after them.
#[derive(Clone, Debug, Default)]
pub(super) struct Outputs {
    pub all: Vec<Output>,
    /// Each once, however many outputs share it.
    pub deliveries: Vec<Deliver>,
    /// By output, which of them.
    pub by: Vec<Option<usize>>,
    /// The first delivery is the one for the text files.
    pub of_texts: Option<usize>,
}

/// How the writing of an output went.
#[derive(Clone, Debug, Default)]
pub(super) struct OutputNotes {
    pub error: Option<(Timestamp, String)>,
}

/// How the last delivery went.
#[derive(Clone, Debug, Default)]
pub(super) struct DeliveryNotes {
    pub at: Option<Timestamp>,
    pub error: Option<String>,
}

impl Outputs {
    /// # Errors
    /// [`FollowError::Options`] for an output of a list that is not followed, or for two outputs to one file.
    pub fn of(options: &FollowerOptions) -> Result<Outputs, FollowError> {
        let mut outputs = Outputs::default();
        outputs.of_texts = options.reload.clone().map(|words| outputs.delivery(Deliver::Command(words)));
        for (list, choice) in options.lists.iter().enumerate() {
            if let Some(path) = &choice.output {
                outputs.all.push(Output::Text { list, path: path.clone() });
                outputs.by.push(outputs.of_texts);
            }
        }
        for (number, choice) in options.outputs.iter().enumerate() {
            let place = |id: &crate::list::ListId| options.lists.iter().position(|l| l.id == *id);
            let lists: Option<Vec<usize>> = choice.lists.iter().map(place).collect();
            let Some(lists) = lists.filter(|l| !l.is_empty()) else {
                let named: Vec<&str> = choice.lists.iter().map(|l| l.as_str()).collect();
                let text = format!("{}: holds {}; name lists that are followed", choice.file.display(), named.join(", "));
                return Err(FollowError::Options(text));
            };
            let delivery = choice.deliver.clone().map(|deliver| outputs.delivery(deliver));
            outputs.all.push(Output::Format { lists, choice: choice.clone(), number });
            outputs.by.push(delivery);
        }
        Ok(outputs)
    }

    fn delivery(&mut self, deliver: Deliver) -> usize {
        self.deliveries.iter().position(|d| *d == deliver).unwrap_or_else(|| {
            self.deliveries.push(deliver);
            self.deliveries.len() - 1
        })
    }

    /// Where it is noted that a delivery is due.
    fn marker(&self, dir: &Path, delivery: usize) -> PathBuf {
        if Some(delivery) == self.of_texts {
            return dir.join("reload-due");
        }
        let name = Digest::of(format!("{:?}", self.deliveries[delivery])).hex();
        dir.join(format!("reload-due-{}", &name[..16]))
    }

    /// Which deliveries were due when the process ended last time; forgets those of outputs that are no longer there.
    pub fn due(&self, dir: &Path) -> Vec<bool> {
        let markers: Vec<PathBuf> = (0..self.deliveries.len()).map(|n| self.marker(dir, n)).collect();
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let of_reload = entry.file_name().to_str().is_some_and(|name| name.starts_with("reload-due"));
            if of_reload && !markers.contains(&entry.path()) {
                let _ = fs::remove_file(entry.path());
            }
        }
        let files = self.all.iter().filter_map(|o| if let Output::Format { choice, .. } = o { Some(choice.file.as_path()) } else { None });
        record::keep_only(dir, files);
        markers.iter().map(|m| m.exists()).collect()
    }

    /// How each stands, before the plan begins.
    pub fn starts(&self, shared: &Shared) -> Vec<OutputStart> {
        let view = |list: &usize| lock(&shared.lists[*list].state).view();
        let of = |(output, reload): (&Output, &Option<usize>)| match output {
            Output::Text { list, path } => {
                let due = view(list).is_some_and(|v| !is_current(&v, path));
                OutputStart { lists: vec![*list], due, reload: *reload }
            }
            Output::Format { lists, choice, .. } => {
                let views: Vec<_> = lists.iter().map(view).collect();
                OutputStart { lists: lists.clone(), due: format::is_due(&shared.dir, choice, &views), reload: *reload }
            }
        };
        self.all.iter().zip(&self.by).map(of).collect()
    }
}

impl Output {
    pub fn path(&self) -> &Path {
        match self {
            Output::Text { path, .. } => path,
            Output::Format { choice, .. } => &choice.file,
        }
    }

    pub fn lists(&self) -> &[usize] {
        match self {
            Output::Text { list, .. } => std::slice::from_ref(list),
            Output::Format { lists, .. } => lists,
        }
    }

    /// The list of which this is the text file.
    pub const fn text_of(&self) -> Option<usize> {
        if let Output::Text { list, .. } = self { Some(*list) } else { None }
    }

    fn write_once(&self, shared: &Shared, marker: Option<&Path>) -> Result<Written, FollowError> {
        match self {
            Output::Text { list, path } => {
                let Some(mut view) = lock(&shared.lists[*list].state).view() else { return Ok(Written::Unchanged) };
                text::write(&*shared.disk, &mut view, path, marker)
            }
            Output::Format { lists, choice, .. } => format::write(shared, choice, lists, marker),
        }
    }
}

/// What is recorded of a filter's file.
pub(super) fn recorded(shared: &Shared, choice: &OutputChoice) -> Option<Record> {
    Record::read(&shared.dir, &choice.file)
}

fn temporary_of(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.bwld.tmp"))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes the base of a list anew, whose files are damaged; `error` if that cannot be.
fn mend(shared: &Shared, list: usize, error: FollowError) -> Result<(), FollowError> {
    let followed = &shared.lists[list];
    tracing::warn!(list = %followed.choice.id, "{error}; making the base anew");
    let Some(mut view) = lock(&followed.state).begin_fold() else { return Err(error) };
    let base = super::state::fold(&*shared.disk, &followed.dir, &mut view).map_err(|e| match e {
        // Neither the snapshot nor the buckets are whole.
        FollowError::Io { source, .. } if source.kind() == io::ErrorKind::InvalidData => error,
        other => other,
    })?;
    lock(&followed.state).end_fold(base)
}

/// Writes an output.
pub(super) fn write_output(shared: &Shared, number: usize) -> Written {
    let output = &shared.outputs.all[number];
    let marker = shared.outputs.by[number].map(|delivery| shared.outputs.marker(&shared.dir, delivery));
    let damaged = |error: &FollowError| match error {
        FollowError::Damaged { list, .. } => output.lists().iter().copied().find(|n| shared.lists[*n].choice.id == *list),
        _ => None,
    };
    let written = output.write_once(shared, marker.as_deref()).or_else(|error| match damaged(&error) {
        Some(list) => mend(shared, list, error).and_then(|()| output.write_once(shared, marker.as_deref())),
        None => Err(error),
    });
    let path = output.path().display();
    let error = match written {
        Ok(written) => {
            if written == Written::Changed {
                tracing::info!(%path, "wrote");
            }
            note(shared, output, None);
            return written;
        }
        Err(error) => error,
    };
    tracing::error!(%path, "could not write: {error}");
    output.lists().iter().for_each(|list| shared.failed(*list, &error));
    note(shared, output, Some((shared.clock.now(), error.to_string())));
    match damaged(&error) {
        Some(list) => {
            lock(&shared.lists[list].notes).damaged = true;
            Written::Damaged { list }
        }
        None => Written::Failed,
    }
}

fn note(shared: &Shared, output: &Output, error: Option<(Timestamp, String)>) {
    if let Output::Format { number, .. } = output {
        lock(&shared.written)[*number].error = error;
    }
}

/// Runs a reload command or hands over what was written. Whether it is to be tried again by itself: a command is not, it would
/// fail again; a running filter that was not reached may come back.
pub(super) async fn reload(shared: Arc<Shared>, delivery: usize) -> bool {
    let how = &shared.outputs.deliveries[delivery];
    let result = deliver::deliver(how, shared.options.limits.reload).await;
    let again = result.is_err() && !matches!(how, Deliver::Command(_));
    if !again {
        let _ = fs::remove_file(shared.outputs.marker(&shared.dir, delivery));
    }
    match &result {
        Ok(said) => tracing::info!("reloaded: {said}"),
        // A command is run again with the next change.
        Err(reason) => tracing::error!("{reason}"),
    }
    lock(&shared.delivered)[delivery] = DeliveryNotes { at: Some(shared.clock.now()), error: result.err() };
    again
}
