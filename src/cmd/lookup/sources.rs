//! What is asked: the lists of a folder or of files, the filter's own rules, and the policy.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::indexes::IndexFolder;
use crate::list::{Colour, Digest, ListId, Origin, Serial, Timestamp};
use crate::matcher::{About, Categories, ListState, Lists, Matcher, Policy, Seed};
use crate::store::{Clock as _, SystemClock};

use super::Args;
use super::file::{self, Entries};
use crate::cmd::config::{Loaded, Override};
use crate::cmd::exit::Ended;
use crate::cmd::{files, following, out};

/// How often the folder is looked at while questions come in.
const EVERY: Duration = Duration::from_millis(500);
/// Largest policy file, in octets.
const MOST_POLICY: u64 = 1 << 20;

/// What is asked, and by which time.
#[derive(Debug)]
pub struct Sources {
    pub matcher: Arc<Matcher>,
    folder: Option<IndexFolder>,
    looked: Instant,
    /// What was said of lists that cannot be read.
    told: BTreeSet<String>,
    at: Option<Timestamp>,
}

impl Sources {
    /// Opens what the options name.
    ///
    /// # Errors
    /// [`Ended::Usage`] for what they name wrongly; of the disk.
    pub fn open(args: &Args, config: Option<&Path>) -> anyhow::Result<Sources> {
        let policy = policy(args)?;
        let mut lists = Lists::new();
        let mut folder = None;
        if args.file.is_empty() || args.dir.is_some() {
            let (opened, found) = open_folder(args, config)?;
            (folder, lists) = (Some(opened), found);
        }
        let seed = seed()?;
        for path in &args.file {
            lists = with_file(lists, path, args, seed)?;
        }
        for (paths, colour, name) in [(&args.deny, Colour::Black, "deny"), (&args.allow, Colour::White, "allow")] {
            lists = with_own_rules(lists, paths, colour, name, args, seed)?;
        }
        if let Some(unknown) = args.list.iter().find(|id| !lists.states().any(|state| state.list == **id && !state.local)) {
            let known: Vec<&str> = lists.states().filter(|state| !state.local).map(|state| state.list.as_str()).collect();
            return Err(Ended::Usage(format!("there is no list {unknown}; there are: {}", known.join(", "))).into());
        }
        let matcher = Arc::new(Matcher::new(lists.with_policy(policy)?));
        let mut sources = Sources { matcher, folder, looked: Instant::now(), told: BTreeSet::new(), at: args.at };
        sources.tell();
        Ok(sources)
    }

    /// The time that decides what is stale.
    pub fn now(&self) -> Timestamp {
        self.at.unwrap_or_else(|| SystemClock.now())
    }

    /// Takes up what has changed in the folder, now and then.
    pub fn refresh(&mut self) {
        let Some(folder) = &mut self.folder else { return };
        if self.looked.elapsed() < EVERY {
            return;
        }
        self.looked = Instant::now();
        if let Err(error) = folder.refresh(&self.matcher) {
            // What was read before goes on answering.
            self.say(error.to_string());
        }
        self.tell();
    }

    fn tell(&mut self) {
        let problems: Vec<String> =
            self.folder.iter().flat_map(IndexFolder::problems).map(|(list, problem)| format!("list {list}: {problem}")).collect();
        problems.into_iter().for_each(|problem| self.say(problem));
    }

    /// Once each.
    fn say(&mut self, problem: String) {
        if self.told.insert(problem.clone()) {
            eprintln!("{}", out::visible(&problem));
        }
    }
}

fn seed() -> anyhow::Result<Seed> {
    let mut octets = [0; 16];
    getrandom::fill(&mut octets).map_err(|e| anyhow::anyhow!("drawing a seed: {e}"))?;
    Ok(Seed::new(octets))
}

fn open_folder(args: &Args, config: Option<&Path>) -> anyhow::Result<(IndexFolder, Lists)> {
    let overrides: Vec<Override> = args.dir.clone().into_iter().map(|dir| ("--dir", "follow.data", dir)).collect();
    let dir = following::folder(&Loaded::load(config, &overrides)?.config().follow);
    let mut folder = IndexFolder::open(&dir)?;
    if !args.list.is_empty() {
        folder = folder.only(args.list.iter().cloned().collect());
    }
    let lists = folder.load()?;
    if lists.states().next().is_none() && args.list.is_empty() {
        anyhow::bail!("no list is followed in {}; name the follower's folder with --dir", dir.display());
    }
    Ok((folder, lists))
}

/// The lists with a file's.
fn with_file(lists: Lists, path: &Path, args: &Args, seed: Seed) -> anyhow::Result<Lists> {
    let mut entries = Entries::default();
    let (described, summary) = file::read(path, args.scope == "subtree", &mut entries)?;
    if let Some(issue) = file::first_issue(path, &summary) {
        let others = summary.issues_total - 1;
        let more = if others > 0 { format!("; {} more lines are wrong", out::count(others)) } else { String::new() };
        eprintln!("passed over: {}{more}", out::visible(&issue));
    }
    let colour = described.colour.unwrap_or(if args.white { Colour::White } else { Colour::Black });
    let origin = described.origin.unwrap_or(named("file")?);
    let list = free_name(&lists, &origin, &described.list.unwrap_or_else(|| name_of(path)))?;
    if !args.list.is_empty() && !args.list.contains(&list) {
        return Ok(lists);
    }
    let about = About {
        origin: origin.clone(),
        list: list.clone(),
        colour,
        serial: described.serial.unwrap_or(Serial::FIRST),
        root: described.root.unwrap_or(Digest::of("")),
    };
    let layers = entries.compile(about, seed).with_context(|| path.display().to_string())?;
    let state = ListState { origin, list, colour, serial: described.serial, expires: None, local: false };
    Ok(lists.with_list(state, Some(layers))?)
}

fn named(name: &str) -> anyhow::Result<Origin> {
    name.parse().context("a name that is one")
}

/// A list's name from a file's: what can stand in one.
fn name_of(path: &Path) -> ListId {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    let name: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(50).collect();
    name.trim_start_matches('-').parse().unwrap_or_else(|_| "file".parse().expect("four letters"))
}

/// The name, or the next one that no other list has.
fn free_name(lists: &Lists, origin: &Origin, name: &ListId) -> anyhow::Result<ListId> {
    let taken = |id: &ListId| lists.states().any(|state| (&state.origin, &state.list) == (origin, id));
    let others = (2..).map(|n| format!("{}-{n}", name.as_str().chars().take(50).collect::<String>()).parse());
    for id in std::iter::once(Ok(name.clone())).chain(others) {
        let id = id.context("a name with a number")?;
        if !taken(&id) {
            return Ok(id);
        }
    }
    unreachable!("the numbers do not end")
}

/// The lists with rules of the filter's own. Nothing wrong in them is passed over: who writes them wants all of them.
fn with_own_rules(lists: Lists, paths: &[PathBuf], colour: Colour, name: &str, args: &Args, seed: Seed) -> anyhow::Result<Lists> {
    if paths.is_empty() {
        return Ok(lists);
    }
    let mut entries = Entries::default();
    for path in paths {
        let (_, summary) = file::read(path, args.scope == "subtree", &mut entries)?;
        if let Some(issue) = file::first_issue(path, &summary) {
            return Err(Ended::Usage(out::visible(&issue)).into());
        }
    }
    let (origin, list): (Origin, ListId) = (named("local")?, name.parse().context("a name that is one")?);
    let about = About { origin: origin.clone(), list: list.clone(), colour, serial: Serial::FIRST, root: Digest::of("") };
    let layers = entries.compile(about, seed)?;
    let state = ListState { origin, list, colour, serial: None, expires: None, local: true };
    Ok(lists.with_list(state, Some(layers))?)
}

/// The policy file, and over it what the options say.
fn policy(args: &Args) -> anyhow::Result<Policy> {
    let mut policy = match &args.policy {
        None => Policy::default(),
        Some(path) => {
            let text = files::read_bounded(path, MOST_POLICY)?;
            let text = std::str::from_utf8(&text).map_err(|e| Ended::Usage(format!("{}: {e}", path.display())))?;
            toml::from_str(text).map_err(|e| Ended::Usage(format!("{}: {}", path.display(), e.to_string().trim())))?
        }
    };
    if !args.category_only.is_empty() {
        policy.categories = Categories::Only(args.category_only.iter().cloned().collect());
    }
    if !args.category_off.is_empty() {
        policy.categories = Categories::Except(args.category_off.iter().cloned().collect());
    }
    policy.precedence = args.precedence.unwrap_or(policy.precedence);
    policy.age = args.age.or(policy.age);
    Ok(policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_give_names_that_lists_can_have() {
        let names = ["/a/Hosts.txt", "-x_1.csv", "...", "日本.txt"].map(|path| name_of(Path::new(path)).to_string());
        assert_eq!(names, ["hosts", "x-1", "file", "file"]);
    }
}
