//! What is said to a question: which rule of which list decided, and how far that can be relied on.

use super::index::Hit;
use super::layers::Layers;
use super::layout::IndexError;
use super::policy::parse;
use super::set::ListState;
use crate::list::{Action, Attributes, Entry, Kind, Rule};

/// The answer to a question.
///
/// There is no answer "not listed" where a list is missing: that is [`Verdict::NoData`].
#[derive(Clone, Copy, Debug)]
pub enum Verdict<'v> {
    /// A black rule decided. [`Match::attributes`] may say to warn or to log instead of blocking.
    Block(Match<'v>),
    /// A white rule decided.
    Allow(Match<'v>),
    /// No rule that counts, and every list is here.
    Unlisted {
        /// Whether one of the lists is past its expiry.
        stale: bool,
    },
    /// No rule decided, and a list is missing or damaged: nobody knows.
    NoData(Missing<'v>),
}

impl<'v> Verdict<'v> {
    /// `block`, `allow`, `unlisted` or `no-data`.
    pub const fn word(&self) -> &'static str {
        match self {
            Verdict::Block(_) => "block",
            Verdict::Allow(_) => "allow",
            Verdict::Unlisted { .. } => "unlisted",
            Verdict::NoData(_) => "no-data",
        }
    }

    /// The rule that decided, if one did.
    pub const fn decided_by(&self) -> Option<&Match<'v>> {
        match self {
            Verdict::Block(by) | Verdict::Allow(by) => Some(by),
            Verdict::Unlisted { .. } | Verdict::NoData(_) => None,
        }
    }

    /// Whether what it rests on is past its expiry: the list of the rule, or for `Unlisted` any list.
    pub const fn stale(&self) -> bool {
        match self {
            Verdict::Block(by) | Verdict::Allow(by) => by.stale,
            Verdict::Unlisted { stale } => *stale,
            Verdict::NoData(_) => false,
        }
    }
}

/// A list that gave no answer.
#[derive(Clone, Copy, Debug)]
pub struct Missing<'v> {
    /// Which.
    pub list: &'v ListState,
    /// Whether it is here but damaged; otherwise its content never arrived.
    pub damaged: bool,
}

impl<'v> Missing<'v> {
    /// A list of which no layers are here.
    pub(crate) fn without_content(list: &'v ListState) -> Missing<'v> {
        Missing { list, damaged: list.serial.is_some() }
    }
}

/// The rule that decided. It costs nothing until it is asked.
#[derive(Clone, Copy)]
pub struct Match<'v> {
    pub(crate) state: &'v ListState,
    pub(crate) layers: &'v Layers,
    pub(crate) layer: usize,
    pub(crate) hit: Hit,
    /// Whether the list is past its expiry.
    pub stale: bool,
    /// Whether another list that could have decided otherwise is missing or damaged.
    pub incomplete: bool,
}

impl<'v> Match<'v> {
    /// The list the rule stands in: its name, colour and version.
    pub fn list(&self) -> &'v ListState {
        self.state
    }

    /// What kind of rule it is.
    pub fn kind(&self) -> Kind {
        self.hit.kind
    }

    /// The rule.
    ///
    /// # Errors
    /// [`IndexError`] if the index is damaged where the rule's text stands.
    pub fn rule(&self) -> Result<Rule, IndexError> {
        let mut text = String::new();
        self.layers.layers()[self.layer].write_rule(&self.hit, &mut text)?;
        text.parse().map_err(|_| IndexError::Contradiction("a rule that is none"))
    }

    /// Its attributes: categories, reference, age, action, reason, date of leaving.
    ///
    /// # Errors
    /// [`IndexError`] if the index is damaged where they stand.
    pub fn attributes(&self) -> Result<Attributes, IndexError> {
        let index = &self.layers.layers()[self.layer];
        let mut attributes = parse(index.attributes(self.hit.attributes)?)?;
        attributes.reference = index.reference(self.hit.kind, self.hit.at)?.map(str::to_owned);
        Ok(attributes)
    }

    /// What to do, and below which age in years; `None` each if the entry does not say. Unlike [`Match::attributes`] it
    /// allocates nothing.
    ///
    /// # Errors
    /// [`IndexError`] if the index is damaged where they stand.
    pub fn action_and_age(&self) -> Result<(Option<Action>, Option<u8>), IndexError> {
        let wrong = || IndexError::Contradiction("attributes that are none");
        let (mut action, mut age) = (None, None);
        for part in self.layers.layers()[self.layer].attributes(self.hit.attributes)?.split('\t') {
            match part.split_once('=') {
                Some(("act", word)) => action = Some(word.parse().map_err(|_| wrong())?),
                Some(("age", years)) => age = Some(years.parse().map_err(|_| wrong())?),
                _ => {}
            }
        }
        Ok((action, age))
    }

    /// The entry as it stands in the list.
    ///
    /// # Errors
    /// [`IndexError`] if the index is damaged where it stands.
    pub fn entry(&self) -> Result<Entry, IndexError> {
        Entry::new(&self.rule()?, &self.attributes()?).map_err(|_| IndexError::Contradiction("an entry that is none"))
    }
}

impl std::fmt::Debug for Match<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Match");
        shown.field("list", &self.state.list.as_str()).field("serial", &self.state.serial);
        shown.field("rule", &self.rule().map(|rule| rule.to_string())).finish_non_exhaustive()
    }
}
