//! Why a verdict is what it is: every rule that the question meets, and what became of it.
//!
//! Slower than a look-up, and it allocates: for people, and for what they report.

use super::index::MAX_SUFFIXES;
use super::layout::IndexError;
use super::policy::{Ignored, Policy};
use super::question::Question;
use super::set::Lists;
use super::verdict::{Match, Missing, Verdict};
use crate::list::{Colour, Timestamp};

/// What became of a rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It decided.
    Decided,
    /// The policy leaves it out.
    Ignored(Ignored),
    /// A more specific rule of the same colour stands before it, or the same rule in a list before it.
    LessSpecific,
    /// A rule of the other colour won.
    Overruled,
    /// The filter's own rules won.
    LocalWon,
}

impl Outcome {
    /// A word for scripts.
    pub const fn word(self) -> &'static str {
        match self {
            Outcome::Decided => "decided",
            Outcome::Ignored(Ignored::Category) => "category-off",
            Outcome::Ignored(Ignored::Age) => "old-enough",
            Outcome::LessSpecific => "less-specific",
            Outcome::Overruled => "overruled",
            Outcome::LocalWon => "local-won",
        }
    }
}

/// A verdict with all that was considered.
#[derive(Clone, Debug)]
pub struct Explanation<'v> {
    /// The same as [`Lists::look_up`] gives.
    pub verdict: Verdict<'v>,
    /// Every rule that the question meets, the one that decided first, then the more specific before the less.
    pub considered: Vec<(Match<'v>, Outcome)>,
    /// Lists that gave no answer.
    pub missing: Vec<Missing<'v>>,
}

impl Lists {
    /// Looks a question up and says why.
    ///
    /// # Errors
    /// [`IndexError`] if the attributes of a rule are damaged. A list that is damaged elsewhere is among the missing.
    pub fn explain(&self, question: &Question<'_>, now: Timestamp) -> Result<Explanation<'_>, IndexError> {
        let verdict = self.look_up(question, now);
        let decided = verdict.decided_by();
        let mut room = [0; MAX_SUFFIXES];
        let hashes = &mut room[..question.suffixes().min(MAX_SUFFIXES)];
        let mut considered = Vec::new();
        let mut missing = Vec::new();
        for (state, layers) in self.contents() {
            let Some(layers) = layers else {
                missing.push(Missing::without_content(state));
                continue;
            };
            question.hashes(layers.layers()[0].seed(), hashes);
            let Ok(all) = layers.all(question, hashes) else {
                missing.push(Missing { list: state, damaged: true });
                continue;
            };
            let stale = state.is_stale(now);
            for (layer, hit) in all {
                let by = Match { state, layers, layer, hit, stale, incomplete: false };
                let outcome = outcome(&by, decided, self.policy())?;
                considered.push((by, outcome));
            }
        }
        considered.sort_by_key(|(by, outcome)| (*outcome != Outcome::Decided, std::cmp::Reverse(by.hit.rank())));
        Ok(Explanation { verdict, considered, missing })
    }
}

fn outcome(by: &Match<'_>, decided: Option<&Match<'_>>, policy: &Policy) -> Result<Outcome, IndexError> {
    let black = by.state.colour == Colour::Black;
    if !by.state.local
        && let Some(ignored) = policy.ignores(&by.attributes()?, black)
    {
        return Ok(Outcome::Ignored(ignored));
    }
    let Some(winner) = decided else { return Ok(Outcome::Overruled) };
    Ok(if std::ptr::eq(winner.state, by.state) && winner.hit == by.hit {
        Outcome::Decided
    } else if winner.state.local && !by.state.local {
        Outcome::LocalWon
    } else if winner.state.colour == by.state.colour {
        Outcome::LessSpecific
    } else {
        Outcome::Overruled
    })
}
