//! What is said of a change before it is published, beside the guards: whether a list would take an entry at all, and which targets
//! stand on a list of the other colour as well.
//!
//! Cost is by the rules that are asked about, never by the lists.

use crate::list::{Colour, Entry, Kind, ListId, Rule, rule_of};

use crate::store::{By, Record};
use crate::wire::Act;

use super::error::cut;
use super::guards::Screen;
use super::state::State;
use super::{PublishError, Publisher, Refusal};

/// What a notice of such a target has for its place.
pub const BOTH_COLOURS: &str = "both-colours";
/// Most rules of a publication that are looked up on the lists of the other colour.
const LOOKED_UP: u64 = 1_000;
/// Notices that are given.
const GIVEN: usize = 100;
/// Notices of a publication that get a line in the audit chain.
const AUDITED: usize = 10;

/// The same target under each kind that has it.
pub fn same_target(rule: &Rule) -> Vec<Rule> {
    let kinds: &[Kind] = match rule.kind() {
        Kind::Domain | Kind::Subtree => &[Kind::Domain, Kind::Subtree],
        Kind::Url | Kind::Prefix => &[Kind::Url, Kind::Prefix],
        Kind::Cidr => &[Kind::Cidr],
    };
    kinds.iter().map(|kind| Rule::trusted(&format!("{}:{}", kind.word(), rule.target()))).collect()
}

impl Publisher {
    /// Why a list would not take this entry, whoever approves it: a protected name, too wide a range, a category it does not have.
    ///
    /// # Errors
    /// [`PublishError::NoList`].
    pub fn would_refuse(&self, id: &ListId, entry: &Entry) -> Result<Option<Refusal>, PublishError> {
        let slot = self.slot(id)?;
        let state = slot.lock();
        Ok(Screen::new(&state.meta, &self.options, &state.demands).refuses(entry.line()))
    }

    /// Those of these rules whose target a list of the other colour has as well, the first 100.
    ///
    /// # Errors
    /// [`PublishError::NoList`]; of reading.
    pub fn on_both_colours(&self, id: &ListId, rules: &[Rule]) -> Result<Vec<Refusal>, PublishError> {
        let colour = self.slot(id)?.lock().meta.colour;
        self.both_colours(colour, rules)
    }

    fn both_colours(&self, colour: Colour, rules: &[Rule]) -> Result<Vec<Refusal>, PublishError> {
        let mut found = Vec::new();
        for other in self.catalog.all().into_iter().filter(|other| other.meta.colour != colour) {
            for same in rules.iter().flat_map(same_target) {
                if found.len() < GIVEN && other.content.get(&same)?.is_some() {
                    found.push(Refusal {
                        place: BOTH_COLOURS.into(),
                        text: cut(same.target()),
                        reason: format!("{same} is on list {}, which is {}", other.meta.id, other.meta.colour),
                        hint: "white wins with most filters; take it off one of the two if that is not meant".into(),
                    });
                }
            }
        }
        Ok(found)
    }

    /// `by` with a line in the audit chain for each notice, the first ten.
    pub(super) fn with_notices(&self, by: By, list: &ListId, notices: &[Refusal]) -> By {
        let at = self.clock.now();
        let acts: Vec<Record> = notices
            .iter()
            .take(AUDITED)
            .map(|notice| {
                let act = by.act(at, "list.notice", format!("list:{list} {}:{}", notice.place, notice.text));
                Record::Act { act: Act { reason: notice.reason.clone(), ..act } }
            })
            .collect();
        by.with(acts)
    }

    /// What should be known of the staged changes though it does not stand against them.
    pub(super) fn notices(&self, state: &State) -> Result<Vec<Refusal>, PublishError> {
        let Some(staged) = &state.staged else { return Ok(Vec::new()) };
        if self.catalog.all().iter().all(|other| other.meta.colour == state.meta.colour) {
            return Ok(Vec::new());
        }
        let Some(small) = staged.small.as_ref().filter(|_| staged.tally.added + staged.tally.replaced <= LOOKED_UP) else {
            return Ok(vec![Refusal {
                place: BOTH_COLOURS.into(),
                text: staged.tally.total().to_string(),
                reason: "more changes than are looked up on the lists of the other colour one by one".into(),
                hint: format!("`bwld conflicts --list {}` names what stands on both once it is published", state.meta.id),
            }]);
        };
        let puts = small.values().filter(|line| !line.starts_with('-'));
        let rules: Vec<Rule> = puts.map(|line| Rule::trusted(rule_of(&line[1..]))).collect();
        self.both_colours(state.meta.colour, &rules)
    }
}
