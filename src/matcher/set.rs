//! The lists a filter applies, with its policy and its own rules: what look-ups are put to.
//!
//! Guarantees: a [`Lists`] value never changes, so that one look-up sees one state of all lists; a [`Matcher`] exchanges
//! it under running look-ups, which take no lock. No look-up allocates.

use std::sync::Arc;
use std::sync::{Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::hash::Seed;
use super::index::{Hit, Index, MAX_SUFFIXES};
use super::layers::Layers;
use super::layout::IndexError;
use super::policy::{Policy, Precedence, Sieve};
use super::question::{Question, QuestionError};
use super::verdict::{Match, Missing, Verdict};
use crate::list::{Colour, ListId, Origin, Serial, Timestamp};

/// What is known of a list beside its rules.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListState {
    /// Whose list.
    pub origin: Origin,
    /// Which.
    pub list: ListId,
    /// What it is for.
    pub colour: Colour,
    /// The version that is here; `None` if the content never arrived. A list that is put in with a version and without its
    /// content counts as damaged.
    pub serial: Option<Serial>,
    /// When its head expires; past it the list is stale. `None`: never (local rules, a file).
    pub expires: Option<Timestamp>,
    /// Whether it is the filter's own: its rules stand over those of every list.
    pub local: bool,
}

impl ListState {
    /// Whether the list is past its expiry.
    pub fn is_stale(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// A list of the set.
#[derive(Clone, Debug)]
struct Held {
    state: ListState,
    /// `None` if the content never arrived.
    layers: Option<Layers>,
    /// What the policy leaves out, a sieve a layer.
    sieves: Vec<Sieve>,
}

/// Lists, policy and local rules at one moment.
#[derive(Clone, Debug, Default)]
pub struct Lists {
    held: Vec<Held>,
    policy: Policy,
}

/// Room for the hashes of one question. Names with more labels than usual take the larger one.
const USUAL: usize = 16;
/// Questions whose reads are started together.
pub const BATCH: usize = 32;

/// What one colour has to say.
#[derive(Clone, Copy, Default)]
struct Best<'v> {
    found: Option<(&'v Held, usize, Hit)>,
}

impl<'v> Best<'v> {
    fn offer(&mut self, held: &'v Held, layer: usize, hit: Hit) {
        if self.found.is_none_or(|(_, _, before)| hit.rank() > before.rank()) {
            self.found = Some((held, layer, hit));
        }
    }

    fn rank(&self) -> u32 {
        self.found.map_or(0, |(_, _, hit)| hit.rank())
    }
}

impl Lists {
    /// No lists, and the policy that all rules count and white wins over black.
    pub fn new() -> Lists {
        Lists::default()
    }

    /// The same with a list put in, or exchanged for the one of that name. `None` says that it is wanted and not here.
    ///
    /// # Errors
    /// [`IndexError`] if the attributes of a layer are damaged; nothing has changed then.
    pub fn with_list(&self, state: ListState, layers: Option<Layers>) -> Result<Lists, IndexError> {
        let mut held = Held { state, layers, sieves: Vec::new() };
        held.sift(&self.policy)?;
        let mut lists = self.clone();
        let same = |other: &Held| {
            let (a, b) = (&other.state, &held.state);
            (&a.origin, &a.list, a.local, a.local.then_some(a.colour)) == (&b.origin, &b.list, b.local, b.local.then_some(b.colour))
        };
        match lists.held.iter().position(same) {
            Some(at) => lists.held[at] = held,
            None => lists.held.push(held),
        }
        Ok(lists)
    }

    /// The same without a list.
    pub fn without_list(&self, origin: &Origin, list: &ListId) -> Lists {
        let mut lists = self.clone();
        lists.held.retain(|held| (&held.state.origin, &held.state.list) != (origin, list));
        lists
    }

    /// The same under another policy.
    ///
    /// # Errors
    /// [`IndexError`] if the attributes of a layer are damaged.
    pub fn with_policy(&self, policy: Policy) -> Result<Lists, IndexError> {
        let mut lists = Lists { held: self.held.clone(), policy };
        for held in &mut lists.held {
            held.sift(&lists.policy)?;
        }
        Ok(lists)
    }

    /// The policy in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The lists, in the order in which they were put in.
    pub fn states(&self) -> impl Iterator<Item = &ListState> {
        self.held.iter().map(|held| &held.state)
    }

    /// The layers of a list, if its content is here.
    pub fn layers(&self, origin: &Origin, list: &ListId) -> Option<&Layers> {
        self.held.iter().find(|held| (&held.state.origin, &held.state.list) == (origin, list))?.layers.as_ref()
    }

    /// The lists with their contents.
    pub(crate) fn contents(&self) -> impl Iterator<Item = (&ListState, Option<&Layers>)> {
        self.held.iter().map(|held| (&held.state, held.layers.as_ref()))
    }

    /// Reads a text and looks it up.
    ///
    /// # Errors
    /// [`QuestionError`] if the text is no question; refuse what was asked for.
    pub fn ask(&self, text: &str, now: Timestamp) -> Result<Verdict<'_>, QuestionError> {
        Ok(self.look_up(&Question::parse(text)?, now))
    }

    /// Looks a question up. `now` only decides what is stale.
    pub fn look_up(&self, question: &Question<'_>, now: Timestamp) -> Verdict<'_> {
        if question.suffixes() <= USUAL {
            self.decide(question, now, None, &mut [0; USUAL])
        } else {
            self.decide(question, now, None, &mut [0; MAX_SUFFIXES])
        }
    }

    /// Looks many up, [`BATCH`] at a time, so that their reads from memory overlap; gives each verdict with its number.
    pub fn look_up_batch<'v>(&'v self, questions: &[Question<'_>], now: Timestamp, mut each: impl FnMut(usize, Verdict<'v>)) {
        let seed = self.bases().next().map(Index::seed);
        // Where every list is one base under one seed, a name that no line may hold is unlisted, and nothing more is asked.
        let plain = |held: &Held| {
            held.layers.as_ref().is_some_and(|l| l.layers().len() == 1 && seed.is_some_and(|s| same(s, l.layers()[0].seed())))
        };
        let plain = !self.held.is_empty() && self.held.iter().all(plain);
        let unlisted = Verdict::Unlisted { stale: self.held.iter().any(|held| held.is_stale(now)) };
        let mut rooms = [[0; USUAL]; BATCH];
        let mut clear = [false; BATCH];
        for (n, some) in questions.chunks(BATCH).enumerate() {
            // Three passes over the batch: hash and start reading the lines; start reading the names; decide.
            if let Some(seed) = seed {
                for (question, room) in some.iter().zip(&mut rooms) {
                    question.hashes(seed, room);
                    self.fetch_lines(seed, &room[..question.suffixes().min(USUAL)]);
                }
                for ((question, room), clear) in some.iter().zip(&rooms).zip(&mut clear) {
                    let hashes = &room[..question.suffixes().min(USUAL)];
                    let may_be_listed = self.fetch_names(seed, hashes);
                    *clear = plain && !may_be_listed && question.as_address().is_none() && question.suffixes() <= USUAL;
                }
            }
            for (k, (question, room)) in some.iter().zip(&mut rooms).enumerate() {
                let verdict = match question.suffixes() {
                    _ if clear[k] => unlisted,
                    0..=USUAL => self.decide(question, now, seed, room),
                    _ => self.look_up(question, now),
                };
                each(n * BATCH + k, verdict);
            }
        }
    }

    /// The base of each list that is here.
    fn bases(&self) -> impl Iterator<Item = &Index> {
        self.held.iter().filter_map(|held| held.layers.as_ref()?.layers().last()).map(Arc::as_ref)
    }

    /// Starts reading the lines of every list's base that a question needs, so that it waits for them once.
    #[inline]
    fn fetch_lines(&self, seed: &Seed, hashes: &[u64]) {
        for base in self.bases().filter(|base| same(base.seed(), seed)) {
            hashes.iter().for_each(|hash| base.fetch_line(*hash));
        }
    }

    /// Starts reading the names that a question may be about, whose lines are here by now. Says whether there are any, or
    /// a line could not be read.
    #[inline]
    fn fetch_names(&self, seed: &Seed, hashes: &[u64]) -> bool {
        let mut any = false;
        for base in self.bases().filter(|base| same(base.seed(), seed)) {
            for hash in hashes.iter().filter(|hash| !matches!(base.may_hold(**hash), Ok(false))) {
                base.fetch_name(*hash);
                any = true;
            }
        }
        any
    }

    /// `hashed` is the seed with which the hashes in `room` have been made already.
    #[inline]
    fn decide<'v>(&'v self, question: &Question<'_>, now: Timestamp, mut hashed: Option<&'v Seed>, room: &mut [u64]) -> Verdict<'v> {
        let n = question.suffixes().min(room.len());
        let (mut black, mut white, mut local_black, mut local_white) = (Best::default(), Best::default(), Best::default(), Best::default());
        let mut missing = None;
        let mut stale = false;
        for held in &self.held {
            let Some(layers) = &held.layers else {
                missing = missing.or(Some(Missing::without_content(&held.state)));
                continue;
            };
            let seed = layers.layers()[0].seed();
            if !hashed.is_some_and(|before| same(before, seed)) {
                question.hashes(seed, &mut room[..n]);
                hashed = Some(seed);
                self.fetch_lines(seed, &room[..n]);
            }
            stale |= held.is_stale(now);
            match layers.best(question, &room[..n], |layer, set| held.sieves[layer].counts(set)) {
                Ok(Some((layer, hit))) => {
                    let best = match (held.state.local, held.state.colour) {
                        (false, Colour::Black) => &mut black,
                        (false, Colour::White) => &mut white,
                        (true, Colour::Black) => &mut local_black,
                        (true, Colour::White) => &mut local_white,
                    };
                    best.offer(held, layer, hit);
                }
                Ok(None) => {}
                Err(_) => missing = missing.or(Some(Missing { list: &held.state, damaged: true })),
            }
        }
        let winner = match white_wins(Precedence::MoreSpecific, &local_white, &local_black) {
            Some(true) => local_white.found,
            Some(false) => local_black.found,
            None => match white_wins(self.policy.precedence, &white, &black) {
                Some(true) => white.found,
                Some(false) => black.found,
                None => None,
            },
        };
        match (winner, missing) {
            (Some((held, layer, hit)), _) => held.verdict(layer, hit, now, missing.is_some()),
            (None, Some(missing)) => Verdict::NoData(missing),
            (None, None) => Verdict::Unlisted { stale },
        }
    }
}

/// Whether two seeds are one: mostly they are in one place, and need not be read.
#[inline(always)]
fn same(a: &Seed, b: &Seed) -> bool {
    std::ptr::eq(a, b) || a == b
}

/// Whether white decides, or black, or neither has a rule.
fn white_wins(precedence: Precedence, white: &Best<'_>, black: &Best<'_>) -> Option<bool> {
    match (white.found, black.found) {
        (None, None) => None,
        (Some(_), None) => Some(true),
        (None, Some(_)) => Some(false),
        (Some(_), Some(_)) => Some(match precedence {
            Precedence::WhiteOverBlack => true,
            Precedence::BlackOverWhite => false,
            Precedence::MoreSpecific => white.rank() >= black.rank(),
        }),
    }
}

impl Held {
    fn sift(&mut self, policy: &Policy) -> Result<(), IndexError> {
        let black = self.state.colour == Colour::Black;
        // A filter's own rules are beyond its policy for others.
        let policy = if self.state.local { &Policy::default() } else { policy };
        let layers = self.layers.iter().flat_map(Layers::layers);
        self.sieves = layers.map(|layer| policy.compile(layer, black)).collect::<Result<_, _>>()?;
        Ok(())
    }

    fn is_stale(&self, now: Timestamp) -> bool {
        self.state.is_stale(now)
    }

    fn verdict(&self, layer: usize, hit: Hit, now: Timestamp, incomplete: bool) -> Verdict<'_> {
        let Some(layers) = &self.layers else { return Verdict::NoData(Missing::without_content(&self.state)) };
        let by = Match { state: &self.state, layers, layer, hit, stale: self.is_stale(now), incomplete };
        match self.state.colour {
            Colour::Black => Verdict::Block(by),
            Colour::White => Verdict::Allow(by),
        }
    }
}

/// Lists that change under running look-ups.
#[derive(Debug, Default)]
pub struct Matcher {
    lists: ArcSwap<Lists>,
    writer: Mutex<()>,
}

impl Matcher {
    /// Begins with these lists.
    pub fn new(lists: Lists) -> Matcher {
        Matcher { lists: ArcSwap::from_pointee(lists), writer: Mutex::new(()) }
    }

    /// The lists as they are now; hold them for a question or a batch, not for ever. Takes no lock.
    pub fn load(&self) -> arc_swap::Guard<Arc<Lists>> {
        self.lists.load()
    }

    /// Exchanges the lists for what `change` makes of them. Writers wait for each other, readers for nobody.
    ///
    /// # Errors
    /// What `change` returns; the lists are then as they were.
    pub fn update<E>(&self, change: impl FnOnce(&Lists) -> Result<Lists, E>) -> Result<(), E> {
        let _one_writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&self.lists.load())?;
        self.lists.store(Arc::new(changed));
        Ok(())
    }
}
