//! Which rules count: lists and categories that are switched on, the age of those who ask, and what wins over what.
//!
//! Guarantees: a policy is turned into one bit for each set of attributes of an index when either changes, so that a look-up
//! only tests bits.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::index::Index;
use super::layout::IndexError;
use crate::list::{Attributes, Code};

/// What wins when a white and a black rule both meet a question.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precedence {
    /// White wins, however specific the black rule is.
    #[default]
    WhiteOverBlack,
    /// Black wins, however specific the white rule is.
    BlackOverWhite,
    /// The more specific rule wins; white if both are equally specific.
    MoreSpecific,
}

/// Which categories count. A rule of several counts if one of them does; a rule of none always counts.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Categories {
    /// Every one.
    #[default]
    All,
    /// These alone.
    Only(BTreeSet<Code>),
    /// All but these.
    Except(BTreeSet<Code>),
}

impl Categories {
    fn count(&self, of: &[Code]) -> bool {
        match self {
            _ if of.is_empty() => true,
            Categories::All => true,
            Categories::Only(on) => of.iter().any(|code| on.contains(code)),
            Categories::Except(off) => of.iter().any(|code| !off.contains(code)),
        }
    }
}

/// How a school or a provider applies the lists it follows.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// What wins over what.
    pub precedence: Precedence,
    /// Which categories count.
    pub categories: Categories,
    /// Age in years of those who ask: black rules with a minimum age up to it do not count. `None`: all count.
    pub age: Option<u8>,
}

/// Why a rule does not count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ignored {
    /// None of its categories is switched on.
    Category,
    /// Those who ask are old enough.
    Age,
}

impl Policy {
    /// Whether a rule with these attributes is left out, and why. White rules have no use for an age.
    pub fn ignores(&self, attributes: &Attributes, black: bool) -> Option<Ignored> {
        if !self.categories.count(&attributes.categories) {
            return Some(Ignored::Category);
        }
        match (self.age, attributes.age) {
            (Some(age), Some(minimum)) if black && age >= minimum => Some(Ignored::Age),
            _ => None,
        }
    }

    /// The sets of attributes of an index that do not count.
    pub(crate) fn compile(&self, index: &Index, black: bool) -> Result<Sieve, IndexError> {
        if self.categories == Categories::All && self.age.is_none() {
            return Ok(Sieve(Box::new([])));
        }
        let sets = index.attribute_sets();
        let mut bits = vec![0_u64; (sets as usize).div_ceil(64)];
        for set in 1..sets {
            let attributes = parse(index.attributes(set)?)?;
            if self.ignores(&attributes, black).is_some() {
                bits[set as usize / 64] |= 1 << (set % 64);
            }
        }
        Ok(Sieve(bits.into_boxed_slice()))
    }
}

/// Reads attributes that an index holds.
pub(crate) fn parse(text: &str) -> Result<Attributes, IndexError> {
    match text {
        "" => Ok(Attributes::default()),
        text => Attributes::parse(text).map_err(|_| IndexError::Contradiction("attributes that are none")),
    }
}

/// One bit a set of attributes: left out. Empty: none is.
#[derive(Clone, Debug)]
pub(crate) struct Sieve(Box<[u64]>);

impl Sieve {
    #[inline(always)]
    pub(crate) fn counts(&self, set: u32) -> bool {
        self.0.get(set as usize / 64).is_none_or(|word| word >> (set % 64) & 1 == 0)
    }
}
