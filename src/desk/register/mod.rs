//! The cases as a search goes over them: 128 to a leaf, of each the few octets that most questions are about, all their words in one
//! text, and of all together the letter combinations of that text, the values of the columns and the span of the days.
//!
//! Guarantees: a walk gives the cases in the order in which they were entered, and leaves none out that is meant; it may give some
//! that are not, so whoever walks looks at the case itself. A question whose words stand in few leaves, or that few cases meet by
//! their columns, costs milliseconds for a million cases: 32 octets a case are read, and texts only where they may be found. The
//! register takes 32 + 32 octets a case beside its words. Nothing is ever taken out: cases end, but stay.

mod grams;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use memchr::memmem::Finder;

use crate::list::{Code, Date};

use super::case::Case;
use super::search::{Search, within};
use super::states::CaseState;
use grams::Grams;

/// Cases of a leaf: the bits of a [`Mask`].
const LEAF: usize = 128;
/// One bit a case of a leaf.
type Mask = u128;
/// With fewer cases left than this, each one's text is looked into by itself.
const FEW: u32 = 8;

/// Texts by number.
#[derive(Debug, Default)]
struct Numbers(HashMap<Box<str>, u32>);

impl Numbers {
    fn of(&mut self, text: &str) -> u32 {
        if let Some(number) = self.0.get(text) {
            return *number;
        }
        let number = u32::try_from(self.0.len()).expect("fewer texts than cases, and those are fewer than 2^32");
        self.0.insert(text.into(), number);
        number
    }

    /// What a column must hold for this text; `None`: anything. A text that no case has is a number that none has.
    fn wanted(&self, text: &str) -> Option<u32> {
        (!text.is_empty()).then(|| self.0.get(text).copied().unwrap_or(u32::MAX))
    }
}

/// What most questions are about.
#[derive(Clone, Copy, Debug)]
struct Row {
    list: u32,
    proposer: u32,
    reason: u32,
    categories: u32,
    created: Date,
    expires: Option<Date>,
    state: CaseState,
}

/// The columns that leaves know the values of.
const PROPOSER: u8 = 0;
const REASON: u8 = 1;
const CATEGORY: u8 = 2;
const STATE: u8 = 3;

/// The first and the last of some days.
type Span = Option<(Date, Date)>;

fn widened(span: Span, day: Option<Date>) -> Span {
    match (span, day) {
        (Some((first, last)), Some(day)) => Some((first.min(day), last.max(day))),
        (span, day) => span.or(day.map(|day| (day, day))),
    }
}

/// Whether one of the days of a span may lie between two.
fn meets_span(span: Span, (from, to): (Option<Date>, Option<Date>)) -> bool {
    let bound = from.is_some() || to.is_some();
    !bound || span.is_some_and(|(first, last)| from.is_none_or(|from| last >= from) && to.is_none_or(|to| first <= to))
}

#[derive(Debug, Default)]
struct Leaf {
    rows: Vec<Row>,
    cases: Vec<Arc<Case>>,
    text: String,
    /// Where each one's text ends.
    ends: Vec<u32>,
    /// Of the text and the columns, and perhaps of what was there before.
    grams: Grams,
    /// The same of the days on which they were begun and expire.
    created: Span,
    expires: Span,
}

/// A search as the columns see it.
struct Wanted<'s> {
    lists: Option<Vec<u32>>,
    proposer: Option<u32>,
    reason: Option<u32>,
    /// By number of the set of categories.
    categories: Option<Vec<bool>>,
    states: u16,
    search: &'s Search,
}

impl Wanted<'_> {
    fn meets(&self, row: &Row) -> bool {
        self.states >> (row.state as u16) & 1 != 0
            && self.proposer.is_none_or(|proposer| proposer == row.proposer)
            && self.reason.is_none_or(|reason| reason == row.reason)
            && self.lists.as_ref().is_none_or(|lists| lists.contains(&row.list))
            && self.categories.as_ref().is_none_or(|sets| sets[row.categories as usize])
            && within(Some(row.created), self.search.created)
            && within(row.expires, self.search.expires)
    }
}

impl Leaf {
    fn text_of(&self, at: usize) -> &str {
        let from = if at == 0 { 0 } else { self.ends[at - 1] as usize };
        &self.text[from..self.ends[at] as usize]
    }

    fn note(&mut self, row: &Row, case: &Case, text: &str) {
        self.grams.add(text);
        self.grams.add_mark(PROPOSER, &case.proposer);
        self.grams.add_mark(STATE, case.state.word());
        let attributes = &case.words.attributes;
        attributes.reason.iter().for_each(|code| self.grams.add_mark(REASON, code.as_str()));
        case.words.categories().for_each(|code| self.grams.add_mark(CATEGORY, code.as_str()));
        self.created = widened(self.created, Some(row.created));
        self.expires = widened(self.expires, row.expires);
    }

    /// Whether one of its cases may be meant.
    fn may_have(&self, search: &Search, text: &str, rules: &[String]) -> bool {
        let code = |column, code: &Option<Code>| code.as_ref().is_none_or(|code| self.grams.may_have_mark(column, code.as_str()));
        meets_span(self.created, search.created)
            && meets_span(self.expires, search.expires)
            && (search.proposer.is_empty() || self.grams.may_have_mark(PROPOSER, &search.proposer))
            && code(REASON, &search.reason)
            && code(CATEGORY, &search.category)
            && (search.states.is_empty() || search.states.iter().any(|state| self.grams.may_have_mark(STATE, state.word())))
            && (rules.is_empty() || rules.iter().any(|rule| self.grams.may_have(rule)))
            && self.grams.may_have(text)
    }

    fn push(&mut self, row: Row, case: Arc<Case>, text: &str) {
        self.note(&row, &case, text);
        self.rows.push(row);
        self.cases.push(case);
        self.text.push_str(text);
        self.ends.push(u32::try_from(self.text.len()).expect("the words of a case are bounded, a leaf has 128"));
        if self.rows.len() == LEAF {
            self.text.shrink_to_fit();
        }
    }

    fn set(&mut self, at: usize, row: Row, case: Arc<Case>, text: &str) {
        self.note(&row, &case, text);
        self.rows[at] = row;
        self.cases[at] = case;
        let old: Vec<String> = (at + 1..self.ends.len()).map(|later| self.text_of(later).to_owned()).collect();
        self.text.truncate(if at == 0 { 0 } else { self.ends[at - 1] as usize });
        self.ends.truncate(at);
        for text in std::iter::once(text).chain(old.iter().map(String::as_str)) {
            self.text.push_str(text);
            self.ends.push(u32::try_from(self.text.len()).expect("the words of a case are bounded, a leaf has 128"));
        }
    }

    /// Those of `mask` in whose text `text` stands.
    fn having(&self, mask: Mask, text: &Finder<'_>) -> Mask {
        if mask.count_ones() < FEW {
            return places(mask).filter(|at| text.find(self.text_of(*at).as_bytes()).is_some()).fold(0, |found, at| found | 1 << at);
        }
        let (mut found, mut from) = (0, 0);
        while let Some(hit) = text.find(&self.text.as_bytes()[from..]) {
            let hit = from + hit;
            let at = self.ends.partition_point(|end| *end as usize <= hit);
            let end = self.ends[at] as usize;
            // From one case's words into the next one's is no hit.
            let inside = hit + text.needle().len() <= end;
            found |= if inside { 1 << at } else { 0 };
            from = if inside { end } else { hit + 1 };
        }
        found & mask
    }
}

fn places(mut mask: Mask) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let at = (mask != 0).then(|| mask.trailing_zeros() as usize)?;
        mask &= mask - 1;
        Some(at)
    })
}

/// All cases.
#[derive(Debug, Default)]
pub(super) struct Register {
    leaves: Vec<Leaf>,
    lists: Numbers,
    proposers: Numbers,
    reasons: Numbers,
    /// Sets of categories, of the list and of schemes, joined by commas.
    categories: Numbers,
    sets: Vec<Vec<Code>>,
}

impl Register {
    /// Enters a case, or what has become of the one at `at`. Where it is.
    pub(super) fn put(&mut self, at: Option<usize>, case: &Arc<Case>) -> usize {
        let (row, text) = (self.row(case), words_of(case));
        if let Some(at) = at {
            self.leaves[at / LEAF].set(at % LEAF, row, case.clone(), &text);
            return at;
        }
        if self.leaves.last().is_none_or(|leaf| leaf.rows.len() == LEAF) {
            self.leaves.push(Leaf::default());
        }
        let before = (self.leaves.len() - 1) * LEAF;
        let leaf = self.leaves.last_mut().expect("just looked at");
        leaf.push(row, case.clone(), &text);
        before + leaf.rows.len() - 1
    }

    fn row(&mut self, case: &Case) -> Row {
        let attributes = &case.words.attributes;
        let joined = case.words.categories().map(Code::as_str).collect::<Vec<_>>().join(",");
        let categories = self.categories.of(&joined);
        if categories as usize == self.sets.len() {
            self.sets.push(case.words.categories().cloned().collect());
        }
        Row {
            list: self.lists.of(case.list.as_str()),
            proposer: self.proposers.of(&case.proposer),
            reason: self.reasons.of(attributes.reason.as_ref().map_or("", Code::as_str)),
            categories,
            created: case.created.date(),
            expires: attributes.expires,
            state: case.state,
        }
    }

    fn wanted<'s>(&self, search: &'s Search) -> Wanted<'s> {
        let lists = search.lists.as_ref().map(|lists| lists.iter().filter_map(|list| self.lists.wanted(list.as_str())).collect());
        let states = search.states.iter().fold(0, |states, state| states | 1 << (*state as u16));
        Wanted {
            lists,
            proposer: self.proposers.wanted(&search.proposer),
            reason: self.reasons.wanted(search.reason.as_ref().map_or("", Code::as_str)),
            categories: search.category.as_ref().map(|code| self.sets.iter().map(|set| set.contains(code)).collect()),
            states: if states == 0 { u16::MAX } else { states },
            search,
        }
    }

    /// Gives the cases at these places that may be meant to `each`, until it says false. `rules`: one of these texts stands in each
    /// case that is meant; none: not asked.
    pub(super) fn walk(&self, at: Range<usize>, search: &Search, rules: &[String], each: &mut dyn FnMut(&Arc<Case>) -> bool) {
        let wanted = self.wanted(search);
        let text = search.text.to_lowercase();
        let finder = (!text.is_empty()).then(|| Finder::new(&text));
        for (number, leaf) in self.leaves.iter().enumerate().take(at.end.div_ceil(LEAF)).skip(at.start / LEAF) {
            if !leaf.may_have(search, &text, rules) {
                continue;
            }
            let meets = leaf.rows.iter().enumerate().filter(|(_, row)| wanted.meets(row));
            let mut mask: Mask = meets.fold(0, |mask, (at, _)| mask | 1 << at);
            if number == at.start / LEAF {
                mask &= Mask::MAX << (at.start % LEAF);
            }
            if number == at.end / LEAF {
                mask &= !(Mask::MAX << (at.end % LEAF));
            }
            if let Some(finder) = finder.as_ref().filter(|_| mask != 0) {
                mask = leaf.having(mask, finder);
            }
            for at in places(mask) {
                if !each(&leaf.cases[at]) {
                    return;
                }
            }
        }
    }
}

/// All words of a case in small letters, each on a line of its own.
fn words_of(case: &Case) -> String {
    let evidence = case.words.evidence.map(|digest| digest.to_string());
    let basis = case.words.basis.iter().flat_map(|basis| [&basis.jurisdiction, &basis.instrument, &basis.authority, &basis.number]);
    let attributes = &case.words.attributes;
    let codes = case.words.categories().chain(&attributes.reason).map(Code::as_str);
    let texts =
        [&case.words.rule, &case.reference, &case.proposer, &case.decision].into_iter().chain(basis).chain(case.words.reasons.values());
    let texts = texts.chain(case.notes.iter().map(|note| &note.text)).map(String::as_str).chain(codes).chain(evidence.as_deref());
    texts.collect::<Vec<_>>().join("\n").to_lowercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::list::Timestamp;

    fn case(number: usize, word: &str, proposer: &str, state: CaseState) -> Arc<Case> {
        Arc::new(Case {
            reference: format!("reference-{number}"),
            list: "test".parse().unwrap(),
            state,
            words: super::super::Words {
                rule: format!("domain:{word}{number}.example"),
                reasons: [("en".to_owned(), format!("{word} {}", number % 7))].into(),
                ..Default::default()
            },
            number: number as u64 + 1,
            notes: Vec::new(),
            notices: Vec::new(),
            proposer: proposer.to_owned(),
            authors: Vec::new(),
            approvals: Vec::new(),
            decision: String::new(),
            created: Timestamp::from_unix(1_795_500_000 + number as u64),
            proposed: None,
            approved: None,
            published: None,
            ended: None,
            serial: None,
            revision: 1,
        })
    }

    fn drawn() -> impl Strategy<Value = (&'static str, &'static str, CaseState)> {
        let words = prop_oneof![Just("alpha"), Just("beta"), Just("гамма"), Just("a"), Just("rare-word")];
        (words, prop_oneof![Just("anna"), Just("borys")], (0..CaseState::ALL.len()).prop_map(|at| CaseState::ALL[at]))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        #[test]
        fn a_walk_gives_what_a_look_at_each_gives(
            entered in proptest::collection::vec(drawn(), 0..400),
            changed in proptest::collection::vec((0usize..400, drawn()), 0..60),
            texts in proptest::collection::vec("(alpha|beta|гам|[abg]|rare-word 5|e[0-9]{1,2}.ex|borys|\\.)", 20),
            ends in (0usize..420, 0usize..420),
        ) {
            let mut register = Register::default();
            let mut all = Vec::new();
            for (number, (word, proposer, state)) in entered.into_iter().enumerate() {
                let case = case(number, word, proposer, state);
                prop_assert_eq!(register.put(None, &case), number);
                all.push(case);
            }
            let count = all.len();
            for (at, (word, proposer, state)) in changed.into_iter().filter(|(at, _)| *at < count) {
                all[at] = case(at, word, proposer, state);
                register.put(Some(at), &all[at]);
            }
            for (at, text) in texts.into_iter().enumerate() {
                let states = if at % 3 == 0 { vec![CaseState::Draft, CaseState::Expired] } else { Vec::new() };
                let proposer = if at % 4 == 1 { "anna" } else { "" };
                let search = Search { text, states, proposer: proposer.into(), ..Search::default() };
                let range = if at % 2 == 0 { 0..usize::MAX } else { ends.0.min(ends.1)..ends.0.max(ends.1) };
                let mut found = Vec::new();
                register.walk(range.clone(), &search, &[], &mut |case| {
                    found.push(case.reference.clone());
                    true
                });
                let meant = |case: &&Arc<Case>| {
                    (search.states.is_empty() || search.states.contains(&case.state))
                        && (proposer.is_empty() || case.proposer == proposer)
                        && words_of(case).contains(&search.text)
                };
                let here = all.iter().enumerate().filter(|(at, _)| range.contains(at)).map(|(_, case)| case);
                let expected: Vec<String> = here.filter(meant).map(|case| case.reference.clone()).collect();
                prop_assert_eq!(found, expected, "{:?} in {:?}", search, range);
            }
        }
    }
}
