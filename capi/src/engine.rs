//! What stands behind the border: a matcher, and how lists, local rules and policy get into it. No pointers here.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bwld::formats::{self, Item, ReadError, ReadOptions};
use bwld::indexes::{IndexFolder, IndexesError};
use bwld::list::{Colour, Digest, ListId, Origin, Rule, Serial, Timestamp};
use bwld::matcher::{About, BuildError, IndexBuilder, IndexError, Layers, ListState, Lists, Matcher, Policy, Seed};
use bwld::wire::{SnapshotReader, ZstdReader};

/// Longest list, uncompressed, in octets.
const MAX_LIST: u64 = 16 << 30;
/// First octets of a zstd frame.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// First line of a snapshot.
const SNAPSHOT: &[u8] = b"bwld snapshot v1\n";
/// Whose lists are loaded from files that do not say.
const FILE: &str = "file";
/// Whose rules a filter's own are.
const LOCAL: &str = "local";

/// Why something was not done. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A text that is not what was asked for.
    #[error("{0}")]
    Text(String),
    /// A file or folder.
    #[error("{0}")]
    File(String),
    /// An index or a list that is damaged.
    #[error("{0}")]
    Damaged(String),
    /// No such list.
    #[error("{0}")]
    None(String),
    /// A number that means nothing here.
    #[error("{0}")]
    Argument(String),
    /// The machine has no random octets, or the like.
    #[error("{0}")]
    Internal(String),
}

impl From<IndexError> for EngineError {
    fn from(error: IndexError) -> Self {
        EngineError::Damaged(error.to_string())
    }
}

impl From<IndexesError> for EngineError {
    fn from(error: IndexesError) -> Self {
        match error {
            IndexesError::NoFolder(_) | IndexesError::Io { .. } => EngineError::File(error.to_string()),
            _ => EngineError::Damaged(error.to_string()),
        }
    }
}

impl From<BuildError> for EngineError {
    fn from(error: BuildError) -> Self {
        EngineError::Text(error.to_string())
    }
}

impl From<ReadError> for EngineError {
    fn from(error: ReadError) -> Self {
        EngineError::Text(error.to_string())
    }
}

/// What was loaded.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Loaded {
    pub rules: u64,
    pub refused: u64,
    /// Line and reason of the first line that was left out.
    pub first: Option<(u64, String)>,
    pub serial: Option<Serial>,
}

/// A matcher and what it was made from.
pub struct Engine {
    pub matcher: Matcher,
    seed: Seed,
    /// The followed folder, if there is one. Look-ups never wait for it.
    folder: Option<Mutex<IndexFolder>>,
    /// Names of the lists that were put in here, not by the folder. Held while one is.
    own: Mutex<BTreeSet<ListId>>,
}

/// What a panic left behind a lock is whole: it is exchanged in one piece.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now_or_clock(now: u64) -> u64 {
    let clock = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if now == 0 { clock() } else { now }
}

/// The time of a question: `now` in seconds since 1970, or the clock's if it is 0.
pub fn time(now: u64) -> Timestamp {
    Timestamp::from_unix(now_or_clock(now))
}

/// A colour by its number; `None` for 0.
pub fn colour(number: i32) -> Result<Option<Colour>, EngineError> {
    match number {
        0 => Ok(None),
        1 => Ok(Some(Colour::Black)),
        2 => Ok(Some(Colour::White)),
        _ => Err(EngineError::Argument(format!("{number} is no colour; pass BWLD_BLACK or BWLD_WHITE"))),
    }
}

fn list_name(text: &str) -> Result<ListId, EngineError> {
    text.parse().map_err(|e| EngineError::Text(format!("{e}")))
}

fn origin(text: &'static str) -> Origin {
    text.parse().expect("the constant is an origin")
}

impl Engine {
    /// Without lists.
    pub fn new() -> Result<Engine, EngineError> {
        let mut octets = [0; 16];
        getrandom::fill(&mut octets).map_err(|e| EngineError::Internal(format!("no random octets: {e}")))?;
        Ok(Engine { matcher: Matcher::default(), seed: Seed::new(octets), folder: None, own: Mutex::default() })
    }

    /// With the lists of a followed folder. One that cannot be read is there without content.
    pub fn open_folder(path: &str) -> Result<Engine, EngineError> {
        let mut folder = IndexFolder::open(Path::new(path))?;
        let matcher = Matcher::new(folder.load()?);
        Ok(Engine { matcher, folder: Some(Mutex::new(folder)), ..Engine::new()? })
    }

    /// Takes over what has changed in the folder, and says whether anything had.
    pub fn refresh(&self) -> Result<bool, EngineError> {
        let folder = self.folder.as_ref().ok_or_else(|| EngineError::None("this matcher follows no folder".to_owned()))?;
        Ok(lock(folder).refresh(&self.matcher)?)
    }

    /// Why a list of the folder could not be read as it is there now.
    pub fn problem(&self, list: &ListId) -> Option<String> {
        let folder = lock(self.folder.as_ref()?);
        folder.problems().find(|(id, _)| *id == list).map(|(_, problem)| problem.to_string())
    }

    /// Loads a list from a snapshot or a file of rules.
    pub fn load(&self, list: Option<&str>, colour: Option<Colour>, octets: &[u8], expires: u64) -> Result<Loaded, EngineError> {
        let list = list.map(list_name).transpose()?;
        if !octets.starts_with(&ZSTD) {
            return self.load_plain(list, colour, octets, expires);
        }
        let mut text = Vec::new();
        let damaged = |e: &dyn std::fmt::Display| EngineError::Damaged(e.to_string());
        ZstdReader::new("list", octets, MAX_LIST).map_err(|e| damaged(&e))?.read_to_end(&mut text).map_err(|e| damaged(&e))?;
        self.load_plain(list, colour, &text, expires)
    }

    fn load_plain(&self, list: Option<ListId>, colour: Option<Colour>, octets: &[u8], expires: u64) -> Result<Loaded, EngineError> {
        let expires = (expires != 0).then(|| Timestamp::from_unix(expires));
        if octets.starts_with(SNAPSHOT) {
            return self.load_snapshot(list, colour, octets, expires);
        }
        let list = list.ok_or_else(|| EngineError::Argument("the text is no snapshot and has no name; pass the list's name".into()))?;
        let colour = colour.ok_or_else(|| EngineError::Argument("the text is no snapshot and has no colour; pass one".into()))?;
        let mut entries = BTreeMap::new();
        let summary = formats::read(octets, &ReadOptions::default(), |item| {
            match item {
                Item::Put(line) => entries.insert(line.split('\t').next().unwrap_or(line).to_owned(), line.to_owned()),
                Item::Remove(rule) => entries.remove(rule),
            };
            Ok::<(), EngineError>(())
        })?;
        let about = About { origin: origin(FILE), list, colour, serial: Serial::FIRST, root: Digest::of("") };
        let mut builder = IndexBuilder::new(about.clone(), self.seed);
        for line in entries.values() {
            builder.push(line)?;
        }
        let loaded = Loaded {
            rules: entries.len() as u64,
            refused: summary.issues_total,
            first: summary.issues.first().map(|issue| (issue.line, format!("line {}: {}; {}", issue.line, issue.reason, issue.hint))),
            serial: None,
        };
        self.put(about, None, expires, builder)?;
        Ok(loaded)
    }

    fn load_snapshot(
        &self,
        list: Option<ListId>,
        colour: Option<Colour>,
        octets: &[u8],
        expires: Option<Timestamp>,
    ) -> Result<Loaded, EngineError> {
        let damaged = |e: bwld::wire::WireError| EngineError::Damaged(e.to_string());
        let mut reader = SnapshotReader::new(octets, MAX_LIST).map_err(damaged)?.canonical();
        let header = reader.header().clone();
        if let Some(colour) = colour.filter(|colour| *colour != header.colour) {
            return Err(EngineError::Argument(format!("the snapshot is of a {} list, not a {colour} one", header.colour)));
        }
        let list = list.unwrap_or(header.list);
        let about = About { origin: header.origin, list, colour: header.colour, serial: header.serial, root: Digest::of("") };
        let mut builder = IndexBuilder::new(about.clone(), self.seed);
        while let Some(line) = reader.next_line().map_err(damaged)? {
            builder.push(line)?;
        }
        self.put(about, Some(header.serial), expires, builder)?;
        Ok(Loaded { rules: header.entries, serial: Some(header.serial), ..Loaded::default() })
    }

    fn put(&self, about: About, serial: Option<Serial>, expires: Option<Timestamp>, builder: IndexBuilder) -> Result<(), EngineError> {
        let layers = Layers::new(builder.finish()?.into());
        let state = ListState { origin: about.origin, list: about.list, colour: about.colour, serial, expires, local: false };
        self.change(&state.list.clone(), |lists| {
            let others: Vec<Origin> = named(lists, &state.list).filter(|s| s.origin != state.origin).map(|s| s.origin.clone()).collect();
            let lists = others.iter().fold(lists.clone(), |lists, other| lists.without_list(other, &state.list));
            Ok(lists.with_list(state, Some(layers))?)
        })
    }

    /// Changes a list that is none of the folder's.
    fn change(&self, list: &ListId, change: impl FnOnce(&Lists) -> Result<Lists, EngineError>) -> Result<(), EngineError> {
        let mut own = lock(&self.own);
        if self.folder.is_some() && !own.contains(list) && named(&self.matcher.load(), list).next().is_some() {
            return Err(EngineError::Argument(format!("{list} is a list of the folder; choose another name")));
        }
        self.matcher.update(change)?;
        own.insert(list.clone());
        Ok(())
    }

    /// Says that a list is wanted.
    pub fn expect(&self, list: &str, colour: Colour) -> Result<(), EngineError> {
        let list = list_name(list)?;
        self.change(&list, |lists| {
            if named(lists, &list).next().is_some() {
                return Ok(lists.clone());
            }
            let state = ListState { origin: origin(FILE), list: list.clone(), colour, serial: None, expires: None, local: false };
            Ok(lists.with_list(state, None)?)
        })
    }

    /// Takes a list out.
    pub fn drop_list(&self, list: &str) -> Result<(), EngineError> {
        let list = list_name(list)?;
        if named(&self.matcher.load(), &list).next().is_none() {
            return Err(EngineError::None(format!("there is no list {list}")));
        }
        self.change(&list, |lists| {
            let origins: Vec<Origin> = named(lists, &list).map(|state| state.origin.clone()).collect();
            Ok(origins.iter().fold(lists.clone(), |lists, origin| lists.without_list(origin, &list)))
        })
    }

    /// Exchanges the filter's own rules of a colour.
    pub fn set_local(&self, colour: Colour, rules: &str) -> Result<(), EngineError> {
        let list: ListId = list_name(if colour == Colour::White { "allow" } else { "deny" })?;
        let about = About { origin: origin(LOCAL), list, colour, serial: Serial::FIRST, root: Digest::of("") };
        let mut entries = std::collections::BTreeSet::new();
        for (number, line) in (1_u64..).zip(rules.lines()) {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                let rule = Rule::interpret(line).map_err(|e| EngineError::Text(format!("line {number}: {e}")))?;
                entries.insert(rule);
            }
        }
        if entries.is_empty() {
            return self.matcher.update(|lists| Ok(lists.without_list(&about.origin, &about.list)));
        }
        let mut builder = IndexBuilder::new(about.clone(), self.seed);
        for rule in &entries {
            builder.push(rule.as_str())?;
        }
        let layers = Layers::new(builder.finish()?.into());
        let state = ListState { origin: about.origin, list: about.list, colour, serial: None, expires: None, local: true };
        self.matcher.update(|lists| Ok(lists.with_list(state, Some(layers))?))
    }

    /// Sets the policy; an empty text restores the first one.
    pub fn set_policy(&self, json: &str) -> Result<(), EngineError> {
        let policy = match json.trim() {
            "" => Policy::default(),
            json => serde_json::from_str(json).map_err(|e| EngineError::Text(format!("the policy is not of the form of bwld.h: {e}")))?,
        };
        self.matcher.update(|lists| Ok(lists.with_policy(policy)?))
    }
}

/// The lists of that name that are not the filter's own.
fn named<'l>(lists: &'l Lists, list: &'l ListId) -> impl Iterator<Item = &'l ListState> {
    lists.states().filter(move |state| !state.local && state.list == *list)
}
